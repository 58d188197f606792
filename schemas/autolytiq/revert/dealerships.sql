-- Revert autolytiq:dealerships from pg

BEGIN;

DROP TABLE public.dealerships;

COMMIT;
