-- What one tenant's sessions could learn of the others', run after tenancy.sql. Can be run again.

-- All tenants share the app role. What PostgreSQL tells everybody of its sessions, statements, locks and tables is told
-- of other tenants: their queries, how many rows they read and write, whether they work at all. And the app role could
-- end "its own" sessions. Who watches the server has pg_monitor, who ends sessions pg_signal_backend.

-- Functions and views that PostgreSQL, or an extension, opens to everybody when it is installed, whatever their rights
-- are now; and who needs them. By name, because every version has others. A view alone hides nothing: the functions
-- behind it can be called.
CREATE OR REPLACE VIEW :"schema".oracles AS
SELECT o.kind, o.oid, o.name, o.owner,
       CASE WHEN o.word IN ('pg_terminate_backend', 'pg_cancel_backend') THEN ARRAY['pg_signal_backend']
            -- Migrations look for locks, and drizzle-kit for indexes in pg_stat_user_indexes; all of it is the owner's.
            WHEN o.word IN ('pg_locks', 'pg_lock_status', 'pg_blocking_pids') OR o.word LIKE '%\_size'
              OR o.word ~ '^pg_stat(io)?_(xact_)?(all|sys|user)_' OR o.name LIKE 'pg\_stat\_get\_%(oid)'
              THEN ARRAY['pg_read_all_stats', :'owner']
            ELSE ARRAY['pg_read_all_stats'] END AS readers
FROM (
  SELECT 'FUNCTION' AS kind, 'pg_catalog.pg_proc'::regclass AS class, p.oid, p.proowner AS owner,
         p.pronamespace AS namespace, p.proname AS word, p.oid::regprocedure::text AS name,
         acldefault('f', p.proowner) AS rights
  FROM pg_catalog.pg_proc AS p
  WHERE p.prokind = 'f'
    AND (p.proname ~ '^pg_stat_'
         OR p.proname IN ('pg_lock_status', 'pg_blocking_pids', 'pg_safe_snapshot_blocking_pids', 'pgrowlocks',
                          'pg_isolation_test_session_is_blocked', 'pg_prepared_statement', 'pg_prepared_xact',
                          'pg_cursor', 'pg_get_replication_slots', 'pg_relation_size', 'pg_table_size',
                          'pg_indexes_size', 'pg_total_relation_size', 'pg_database_size', 'pg_tablespace_size',
                          'pg_terminate_backend', 'pg_cancel_backend'))
    -- These tell nothing.
    AND p.proname NOT IN ('pg_stat_clear_snapshot', 'pg_stat_force_next_flush')
    -- A dump carries the rights on PostgreSQL's own functions, and would not restore in a version that does not have
    -- them: seven about the server's checkpoints are none of 17, and in 18 one has other arguments.
    AND p.proname !~ '(_checkpoints|checkpoint_(write|sync)_time|buf_(written|fsync)_backend)$'
    AND NOT (p.proname = 'pg_stat_have_stats' AND current_setting('server_version_num')::int < 180000)
  UNION ALL
  SELECT 'TABLE', 'pg_catalog.pg_class'::regclass, c.oid, c.relowner, c.relnamespace,
         c.relname, c.oid::regclass::text, acldefault('r', c.relowner)
  FROM pg_catalog.pg_class AS c
  WHERE c.relkind = 'v'
    AND (c.relname ~ '^pg_stat(io)?_' OR c.relname IN ('pg_locks', 'pg_prepared_statements', 'pg_prepared_xacts',
                                                      'pg_cursors', 'pg_replication_slots'))) AS o
LEFT JOIN pg_catalog.pg_init_privs AS i ON i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = 0
WHERE (o.namespace = 'pg_catalog'::regnamespace
       OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e'))
  AND EXISTS (SELECT FROM aclexplode(coalesce(i.initprivs, o.rights)) AS a WHERE a.grantee = 0);
REVOKE ALL ON :"schema".oracles FROM PUBLIC;

-- The admin of a managed server may do it to what is its own.
DO $$
DECLARE
  todo record;
BEGIN
  FOR todo IN
    SELECT format('REVOKE ALL ON %s %s FROM PUBLIC', o.kind, string_agg(o.name, ', ')) AS statement
    FROM :"schema".oracles AS o
    WHERE CASE o.kind WHEN 'TABLE' THEN has_any_column_privilege('public', o.oid, 'SELECT')
                      ELSE has_function_privilege('public', o.oid, 'EXECUTE') END
      AND pg_has_role(o.owner, 'USAGE')
    GROUP BY o.kind
  LOOP
    EXECUTE todo.statement;
  END LOOP;
  FOR todo IN
    SELECT format('GRANT %s ON %s %s TO %I', CASE o.kind WHEN 'TABLE' THEN 'SELECT' ELSE 'EXECUTE' END, o.kind,
                  string_agg(o.name, ', '), r.reader) AS statement
    FROM :"schema".oracles AS o
    CROSS JOIN LATERAL unnest(o.readers) AS r (reader)
    WHERE NOT CASE o.kind WHEN 'TABLE' THEN has_table_privilege(r.reader, o.oid, 'SELECT')
                          ELSE has_function_privilege(r.reader, o.oid, 'EXECUTE') END
      AND pg_has_role(o.owner, 'USAGE')
    GROUP BY o.kind, r.reader
  LOOP
    EXECUTE todo.statement;
  END LOOP;
END $$;

-- Indexes that find rows by something else than the tenant. Where the planner uses one, the policy sorts out what it
-- found, and EXPLAIN ANALYZE counts that: "Rows Removed by Filter: 1" is another tenant's row with this value.
CREATE OR REPLACE VIEW :"schema".telling_indexes AS
SELECT t.name AS "table", x.relname AS name, i.indisprimary AS "primary"
FROM :"schema".tenant_tables AS t
JOIN pg_catalog.pg_index AS i ON i.indrelid = t.relation
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
WHERE NOT t.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT x.relispartition;
REVOKE ALL ON :"schema".telling_indexes FROM PUBLIC;
