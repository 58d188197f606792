-- Revert autolytiq:deals from pg

BEGIN;

DROP TABLE public.deals;

COMMIT;
