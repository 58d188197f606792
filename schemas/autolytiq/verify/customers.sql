-- Verify autolytiq:customers on pg

BEGIN;

\set table customers
\ir tenant_table.psql
SELECT 'public.customers_email'::regclass, 'public.idx_customers_dealership'::regclass;

ROLLBACK;
