-- Questions about the isolation of a database's tenants; all of them only read. :"schema" is tenancy.schema.

-- name: taken
-- To whom the schema belongs, where it is somebody else's.
SELECT pg_get_userbyid(nspowner) AS owner FROM pg_catalog.pg_namespace
WHERE nspname = :'schema' AND pg_get_userbyid(nspowner) <> current_user;

-- name: admin
-- Who asks, and with what rights.
SELECT rolname AS name, rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname = current_user;

-- name: oracles
-- What tells of other sessions and of tables' contents, and whether it is open to a role ("public" is everybody).
SELECT o.name, CASE o.kind WHEN 'TABLE' THEN has_any_column_privilege(:'role', o.oid, 'SELECT')
                           ELSE has_function_privilege(:'role', o.oid, 'EXECUTE') END AS open
FROM :"schema".oracles AS o
ORDER BY o.name;

-- name: telling
SELECT format('%s (%s)', t."table", string_agg(t.name::text, ', ' ORDER BY NOT t."primary", t.name)) AS indexes
FROM :"schema".telling_indexes AS t
GROUP BY t."table"
ORDER BY t."table";

-- name: installed
-- By a deploy: what an owner made under these names would run with the rights of who asks.
SELECT EXISTS (SELECT FROM pg_catalog.pg_proc AS p
               WHERE p.oid = to_regprocedure(format('%I.isolation_problems(oid[])', :'schema'))
                 AND pg_get_userbyid(p.proowner) = current_user) AS installed;

-- name: guard
-- What keeps the guard from firing, "" where it does.
SELECT coalesce(string_agg(
         CASE WHEN e.oid IS NULL THEN format('%s is missing', w.name)
              WHEN e.evtenabled <> 'O' THEN format('%s is disabled', w.name)
              WHEN e.evtowner <> (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = :'schema')
                THEN format('%s belongs to %s', w.name, r.rolname)
              WHEN e.evtfoid IS DISTINCT FROM to_regprocedure(format('%I.%I()', :'schema', w.function))
                OR e.evttags IS DISTINCT FROM w.tags THEN format('%s is not as deployed', w.name) END, '; '), '') AS wrong
FROM (VALUES ('pgstead_guard', 'guard', NULL), ('pgstead_guard_drop', 'guard', NULL),
             ('pgstead_guard_alter', 'altering', '{ALTER TABLE}'::text[]),
             ('pgstead_guard_altered', 'altering', '{ALTER TABLE}')) AS w (name, function, tags)
LEFT JOIN pg_catalog.pg_event_trigger AS e ON e.evtname = w.name
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = e.evtowner;

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

-- name: readable
-- Those of them that a role has the right to read.
SELECT name FROM :"schema".tenant_tables
WHERE kind IN ('r', 'p') AND has_table_privilege(:'role', relation, 'SELECT')
  AND has_schema_privilege(:'role', (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = relation), 'USAGE')
ORDER BY name;

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

-- name: triggers
-- Triggers (and rules) that PostgreSQL runs past all policies: what fires when a foreign key changes or deletes rows.
SELECT format('%s of %s', fired.name, t.name) AS name
FROM :"schema".tenant_tables AS t
JOIN (
  SELECT tgrelid AS relation, tgname AS name, tgtype & 8 > 0 AS deletes, tgtype & 16 > 0 AS updates
  FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgtype & 2 > 0
  UNION ALL
  SELECT ev_class, rulename, ev_type = '4', ev_type = '2' FROM pg_catalog.pg_rewrite WHERE ev_type IN ('2', '4')
) AS fired ON fired.relation = t.relation
WHERE EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
              WHERE k.contype = 'f' AND k.conrelid = t.relation
                AND (fired.deletes AND k.confdeltype = 'c'
                     OR fired.updates AND (k.confdeltype IN ('n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))))
ORDER BY 1;

-- name: bypass
-- Login roles of this database that no policy binds, besides the superuser.
SELECT r.rolname AS role
FROM pg_catalog.pg_roles AS r
WHERE r.rolcanlogin AND r.oid <> 10 AND (r.rolsuper OR r.rolbypassrls)
  AND has_database_privilege(r.oid, current_database(), 'CONNECT')
ORDER BY 1;
