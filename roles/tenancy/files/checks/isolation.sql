-- What the catalog says of the isolation of a database's tenants. :"schema" is tenancy.schema; :'role' is who comes
-- through the pooler, or public for everybody.
-- Parameters: bypass, the roles whose declared reach is all tenants.

WITH me (name, super) AS (
  SELECT rolname, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user

-- What tells of other sessions and of tables' contents, and is open.
), oracles (count, open) AS (
  SELECT count(*), array_agg(o.name ORDER BY o.name) FILTER (
           WHERE CASE o.kind WHEN 'TABLE' THEN has_any_column_privilege(:'role', o.oid, 'SELECT')
                             ELSE has_function_privilege(:'role', o.oid, 'EXECUTE') END)
  FROM :"schema".oracles AS o
), tables (count) AS (
  SELECT count(*) FROM :"schema".tenant_tables WHERE kind <> 'f'

-- What isolation_problems() finds, by the statement that holds where it finds nothing; and what to do.
), statement (number, kind, title, fix) AS (
  VALUES
    (1, 'enabled', 'has row-level security on for every tenant table', 'pgstead deploy'),
    (2, 'forced', 'binds owners to it, too', 'pgstead deploy'),
    (3, 'policy', 'has the tenant policy, unchanged, on every tenant table', 'pgstead deploy'),
    (4, 'type', 'has tenant columns of the declared type', 'change the column''s type'),
    (5, 'null', 'knows of every row whose it is', 'pgstead deploy; it names rows that have no tenant'),
    (6, 'index', 'finds a tenant''s rows by an index in every table', 'tenancy.indexes: create, or make it yourself'),
    (7, 'foreign key', 'has no foreign key from one tenant to another',
     'put the tenant column into the key, on both sides'),
    (8, 'reference', 'has no table without tenants that refers to tenants'' rows', 'give it the tenant column'),
    (9, 'unique', 'has no unique index that tells of other tenants', 'put the tenant column into it'),
    (10, 'inheritance', 'has no tenant table that is read through one without tenants',
     'ALTER TABLE ... NO INHERIT ..., or give the parent the tenant column'),
    (11, 'lost', 'still isolates what was isolated once',
     'give it back its tenant column; or, if it is everybody''s now, name it in tenancy.shared'),
    (12, 'view', 'has views that see no more than who asks', 'ALTER VIEW ... SET (security_invoker = on)'),
    (13, 'materialized view', 'has no materialized view of tenants'' rows', 'make it a table with the tenant column'),
    (14, 'foreign table', 'has no foreign table with tenants'' rows', 'isolate them where they are'),
    (15, 'right', 'grants no right that goes around policies', 'REVOKE it; TRUNCATE, REFERENCES, TRIGGER'),
    (16, 'function', 'has no function that runs unbound by policies', 'ALTER FUNCTION ... OWNER TO the owner role')
), problem (kind, texts) AS (
  SELECT kind, array_agg(format('%%s: %%s', object, problem) ORDER BY object)
  FROM :"schema".isolation_problems(NULL::pg_catalog.oid[])
  GROUP BY kind

-- Login roles of this database that no policy binds, besides the superuser.
), free (names) AS (
  SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname)
  FROM pg_catalog.pg_roles AS r
  WHERE r.rolcanlogin AND r.oid <> 10 AND (r.rolsuper OR r.rolbypassrls)
    AND has_database_privilege(r.oid, current_database(), 'CONNECT')
    AND r.rolname <> ALL (%(bypass)s::text[])
), telling (names) AS (
  SELECT string_agg(format('%%s (%%s)', t."table", t.names), ', ' ORDER BY t."table")
  FROM (SELECT "table", string_agg(name::text, ', ' ORDER BY NOT "primary", name) AS names
        FROM :"schema".telling_indexes GROUP BY "table") AS t

-- Triggers (and rules) that PostgreSQL runs past all policies: what fires when a foreign key changes or deletes rows.
), fired (names) AS (
  SELECT string_agg(format('%%s of %%s', fired.name, t.name), ', ' ORDER BY format('%%s of %%s', fired.name, t.name))
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
), shared (all_of_them, open) AS (
  SELECT string_agg(format('%%s (%%s)', name, reason), ', ' ORDER BY name),
         string_agg(name::text, ', ' ORDER BY name) FILTER (WHERE open AND NOT declared)
  FROM :"schema".shared_tables

), line (number, title, ok, found, fix, look) AS (
  SELECT 1, 'tells no tenant what others do', o.open IS NULL,
         CASE WHEN o.open IS NULL THEN format('%%s functions and views are closed', o.count)
              ELSE format('open: %%s', array_to_string(o.open[:3], ', '))
                   || CASE WHEN cardinality(o.open) > 3 THEN format(' and %%s more', cardinality(o.open) - 3) ELSE '' END
                   || CASE WHEN me.super THEN '' ELSE format('; %%s may not close them', me.name) END END,
         CASE WHEN me.super THEN 'pgstead deploy; REVOKE what the app role was granted itself'
              ELSE 'bind values as parameters, or ask the provider to REVOKE them from PUBLIC' END, false
  FROM oracles AS o, me
  UNION ALL
  SELECT 2, 'has tenant tables', count > 0, format('%%s tables', count), 'run the application''s migrations', false
  FROM tables
  UNION ALL
  SELECT 2 + coalesce(s.number, 17), coalesce(s.title, format('has no problem of the kind %%s', p.kind)), p.texts IS NULL,
         CASE WHEN p.texts IS NULL THEN format('%%s tables looked at', tables.count)
              ELSE array_to_string(p.texts[:3], '; ')
                   || CASE WHEN cardinality(p.texts) > 3 THEN format('; and %%s more', cardinality(p.texts) - 3) ELSE '' END
         END, s.fix, false
  FROM statement AS s
  FULL JOIN problem AS p ON p.kind = s.kind
  CROSS JOIN tables
  UNION ALL
  SELECT 20, 'has no undeclared role beyond policies', names IS NULL, coalesce(names, 'none'),
         'ALTER ROLE ... NOBYPASSRLS, or declare reach: all_tenants', false
  FROM free
  UNION ALL
  SELECT 21, 'has no index that EXPLAIN ANALYZE tells other tenants'' rows by, but these', true,
         coalesce(names, 'no exception'), '', false
  FROM telling
  UNION ALL
  SELECT 22, 'runs none of its triggers past all policies but these, by foreign keys', true, coalesce(names, 'none'), '',
         false
  FROM fired
  UNION ALL
  SELECT 23, 'isolates all tables but these', true,
         coalesce(open || ': one tenant can leave there what another reads', all_of_them, 'no exception'),
         'give them the tenant column, or name them in tenancy.shared', open IS NOT NULL
  FROM shared
)
SELECT title, ok, found, fix, look FROM line ORDER BY number;
