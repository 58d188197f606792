-- Tenant tables that :'role' may read. What another line says of a table is said; these should be isolated by now.
SELECT t.name FROM :"schema".tenant_tables AS t
WHERE t.kind IN ('r', 'p') AND has_table_privilege(:'role', t.relation, 'SELECT')
  AND has_schema_privilege(:'role', (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = t.relation), 'USAGE')
EXCEPT
SELECT object FROM :"schema".isolation_problems(NULL::pg_catalog.oid[])
ORDER BY name;
