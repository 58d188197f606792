-- Verify autolytiq:knowledge_base on pg

BEGIN;

\set table knowledge_base
\ir tenant_table.psql
SELECT 'public.idx_knowledge_base_dealership'::regclass;

ROLLBACK;
