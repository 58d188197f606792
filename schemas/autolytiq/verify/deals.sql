-- Verify autolytiq:deals on pg

BEGIN;

\set table deals
\ir tenant_table.psql
SELECT 'public.idx_deals_customer'::regclass, 'public.idx_deals_dealership'::regclass,
       'public.idx_deals_status'::regclass, 'public.idx_deals_dealership_status'::regclass,
       'public.idx_deals_dealership_created'::regclass;

ROLLBACK;
