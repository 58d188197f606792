-- Deploy autolytiq:tenant_lookups to pg

BEGIN;

-- By idx_deals_customer and idx_vehicles_vin, rows of all tenants are found before the policy hides them, and EXPLAIN
-- ANALYZE counts these. By an index that leads with the tenant, none are; VINs have such a one, of their UNIQUE.
CREATE INDEX deals_customer ON public.deals (dealership_id, customer_id);

-- Where the planner expects a single row, it takes the index without the tenant all the same: it costs as much, and
-- starts sooner. A customer has some deals, and a VIN some dealerships, whatever a sample of the rows says.
ALTER TABLE public.deals ALTER customer_id SET (n_distinct = -0.4);
ALTER TABLE public.vehicles ALTER vin SET (n_distinct = -0.4);
ANALYZE public.deals, public.vehicles;

COMMIT;
