-- Verify autolytiq:tenant_lookups on pg

BEGIN;

SELECT 'public.deals_customer'::regclass, 'public.vehicles_dealership_id_vin_key'::regclass;
DO $$
BEGIN
  ASSERT (SELECT count(*) = 2 FROM pg_attribute
          WHERE (attrelid, attname) IN (('public.deals'::regclass, 'customer_id'), ('public.vehicles'::regclass, 'vin'))
            AND attoptions = '{n_distinct=-0.4}'),
    'VINs or customers of deals are taken for unique';
END $$;

ROLLBACK;
