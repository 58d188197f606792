-- Revert autolytiq:customers from pg

BEGIN;

DROP TABLE public.customers;

COMMIT;
