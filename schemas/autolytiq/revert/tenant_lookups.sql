-- Revert autolytiq:tenant_lookups from pg

BEGIN;

ALTER TABLE public.vehicles ALTER vin RESET (n_distinct);
ALTER TABLE public.deals ALTER customer_id RESET (n_distinct);
DROP INDEX public.deals_customer;

COMMIT;
