-- Verify autolytiq:dealerships on pg

BEGIN;

\set table dealerships
\ir tenant_table.psql

ROLLBACK;
