-- Questions about the isolation of a database's tenants; all of them only read. :"schema" is tenancy.schema.

-- name: taken
-- To whom the schema belongs, where it is somebody else's.
SELECT pg_get_userbyid(nspowner) AS owner FROM pg_catalog.pg_namespace
WHERE nspname = :'schema' AND pg_get_userbyid(nspowner) <> current_user;

-- name: admin
-- Who asks, and with what rights.
SELECT rolname AS name, rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname = current_user;

-- name: problems
SELECT kind, object, problem FROM :"schema".isolation_problems(NULL::pg_catalog.oid[]) ORDER BY kind, object;

-- name: tables
-- Partitions come first: an index on their parent takes over theirs.
SELECT relation, kind, partition, name, "column", type, fits, not_null,
       NOT (enabled AND forced AND armed AND (open <> own)) AS bare
FROM :"schema".tenant_tables
ORDER BY partition DESC, name;

-- name: views
SELECT DISTINCT name FROM :"schema".tenant_views WHERE kind = 'v' AND NOT invoker ORDER BY name;

-- name: shared
SELECT name, reason, declared, open FROM :"schema".shared_tables ORDER BY name;

-- name: reader
-- Who may read all rows of a table: the guard's role where an earlier deploy made it; before the first one no policy binds
-- the owner. What somebody else made, a restore as superuser for example, is read by its maker.
-- Parameters: relation.
SELECT r.rolname AS reader
FROM pg_catalog.pg_roles AS r
JOIN pg_catalog.pg_class AS c ON c.oid = %(relation)s
WHERE r.oid = c.relowner OR (r.rolname IN (:'guard_role', :'owner') AND has_table_privilege(r.oid, c.oid, 'SELECT'))
ORDER BY r.rolname = :'guard_role' DESC, r.rolname = :'owner' DESC
LIMIT 1;
