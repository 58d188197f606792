-- Verify autolytiq:users on pg

BEGIN;

\set table users
\ir tenant_table.psql
SELECT 'public.users_email'::regclass;

ROLLBACK;
