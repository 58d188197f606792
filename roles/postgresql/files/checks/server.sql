-- The running server, whatever was deployed.
-- Parameters: version, major or minor.
WITH weak (hba, passwords, superusers) AS (
  SELECT (SELECT count(*) FROM pg_catalog.pg_hba_file_rules
          WHERE auth_method IN ('trust', 'password', 'md5', 'ident')),
         count(*) FILTER (WHERE rolpassword NOT LIKE 'SCRAM-SHA-256$%%'),
         string_agg(rolname, ', ' ORDER BY rolname) FILTER (WHERE rolsuper)
  FROM pg_catalog.pg_authid
  WHERE rolpassword IS NOT NULL

-- Settings of pgstead's files that another file or the command line overrides (ALTER SYSTEM, for example).
), overridden (names) AS (
  SELECT string_agg(DISTINCT format('%%s (by %%s)', f.name, coalesce(s.sourcefile, s.source)), ', ')
  FROM pg_catalog.pg_file_settings AS f
  JOIN pg_catalog.pg_settings AS s ON s.name = f.name
  WHERE f.sourcefile LIKE '%%/conf.d/%%'
    AND (s.source NOT IN ('configuration file', 'session', 'client') OR s.sourcefile NOT LIKE '%%/conf.d/%%')

-- Configuration files that changed after the server read them, and lines that it could not take.
-- A setting that only waits for a restart has a line of its own.
), file (path) AS (
  SELECT sourcefile FROM pg_catalog.pg_file_settings
  UNION
  SELECT setting FROM pg_catalog.pg_settings WHERE name IN ('config_file', 'hba_file', 'ident_file')
), problem (text) AS (
  SELECT format('%%s changed at %%s, was read at %%s', path, modified::timestamptz(0), pg_conf_load_time()::timestamptz(0))
  FROM file
  CROSS JOIN LATERAL (SELECT modification FROM pg_stat_file(path, true)) AS s (modified)
  WHERE modified > pg_conf_load_time()
  UNION ALL
  SELECT format('%%s, line %%s: %%s', f.sourcefile, f.sourceline, f.error)
  FROM pg_catalog.pg_file_settings AS f
  LEFT JOIN pg_catalog.pg_settings AS s ON s.name = lower(f.name)
  WHERE f.error IS NOT NULL
    AND NOT coalesce(s.context = 'postmaster', f.error LIKE '%% without restarting the server')
  UNION ALL
  SELECT format('%%s, line %%s: %%s', current_setting('hba_file'), line_number, error)
  FROM pg_catalog.pg_hba_file_rules
  WHERE error IS NOT NULL
  UNION ALL
  SELECT format('%%s, line %%s: %%s', current_setting('ident_file'), line_number, error)
  FROM pg_catalog.pg_ident_file_mappings
  WHERE error IS NOT NULL
), unread (texts) AS (
  SELECT string_agg(text, '; ' ORDER BY text) FROM problem
)
SELECT line.title, line.ok, line.found, line.fix
FROM weak, overridden, unread,
LATERAL (VALUES
  ('runs PostgreSQL ' || %(version)s,
   starts_with(split_part(current_setting('server_version'), ' ', 1) || '.', %(version)s || '.'),
   current_setting('server_version'), 'pgstead deploy'),
  ('has data checksums on', current_setting('data_checksums') = 'on',
   'data_checksums = ' || current_setting('data_checksums'), 'pg_checksums --enable, with the server stopped'),
  ('serves TLS', current_setting('ssl') = 'on',
   'ssl = ' || current_setting('ssl'), 'remove ssl from postgresql_settings'),
  ('admits passwords by SCRAM alone', weak.hba = 0 AND weak.passwords = 0,
   format('%%s weak lines in pg_hba.conf, %%s weak passwords', weak.hba, weak.passwords),
   'remove the lines from postgresql_hba; set those passwords again'),
  ('has no superuser with a password', weak.superusers IS NULL,
   coalesce(weak.superusers, 'none'), 'ALTER ROLE ... PASSWORD NULL'),
  ('runs the declared settings', overridden.names IS NULL,
   coalesce(overridden.names, 'no override'), 'ALTER SYSTEM RESET ..., or declare the value in postgresql_settings'),
  ('has read its configuration files', unread.texts IS NULL,
   coalesce(unread.texts, 'none changed since, none has errors'), 'pgstead deploy; or SELECT pg_reload_conf()')
) AS line (title, ok, found, fix);
