-- Questions that pgstead verify asks a running server; all of them only read.

-- name: server
SELECT current_setting('server_version') AS version,
       current_setting('data_checksums') AS checksums,
       current_setting('password_encryption') AS password_encryption,
       current_setting('ssl') AS ssl,
       (SELECT count(*) FROM pg_catalog.pg_hba_file_rules
        WHERE auth_method IN ('trust', 'password', 'md5', 'ident')) AS weak_hba,
       (SELECT count(*) FROM pg_catalog.pg_authid
        WHERE rolpassword IS NOT NULL AND rolpassword NOT LIKE 'SCRAM-SHA-256$%%') AS weak_passwords,
       (SELECT string_agg(rolname, ', ') FROM pg_catalog.pg_authid
        WHERE rolsuper AND rolpassword IS NOT NULL) AS superusers_with_password;

-- name: overridden
-- Settings of pgstead's files that another file or the command line overrides (ALTER SYSTEM, for example).
SELECT DISTINCT f.name, coalesce(s.sourcefile, s.source) AS by
FROM pg_catalog.pg_file_settings AS f
JOIN pg_catalog.pg_settings AS s ON s.name = f.name
WHERE f.sourcefile LIKE '%%/conf.d/%%'
  AND (s.source NOT IN ('configuration file', 'session', 'client') OR s.sourcefile NOT LIKE '%%/conf.d/%%')
ORDER BY 1;

-- name: unread
-- Configuration files that changed after the server read them, and lines that it could not take.
-- A setting that only waits for a restart has a line of its own.
WITH file (path) AS (
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
)
SELECT text FROM problem ORDER BY 1;

-- name: role
-- What a role could do that no declared kind may.
-- Parameters: role, owner.
SELECT r.rolsuper OR r.rolcreaterole OR r.rolbypassrls OR r.rolreplication AS powerful,
       (SELECT count(*) FROM pg_catalog.pg_shdepend AS d
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
          AND d.dbid IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))) AS owned,
       has_database_privilege(r.rolname, current_database(), 'TEMPORARY') AS temporary,
       has_database_privilege(r.rolname, current_database(), 'CREATE') AS create_schema,
       (SELECT coalesce(string_agg(n.nspname, ', '), '') FROM pg_catalog.pg_namespace AS n
        WHERE n.nspname !~ '^pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE')) AS create_in,
       coalesce(pg_has_role(r.oid, o.oid, 'USAGE'), false) AS acts_as_owner,
       coalesce(pg_has_role(r.oid, o.oid, 'MEMBER'), false) AS member_of_owner
FROM pg_catalog.pg_roles AS r
LEFT JOIN pg_catalog.pg_roles AS o ON o.rolname = %(owner)s
WHERE r.rolname = %(role)s;

-- name: extension
-- Parameters: name.
SELECT e.extversion AS installed, quote_ident(n.nspname) AS schema
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = %(name)s;
