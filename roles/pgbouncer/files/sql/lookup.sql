-- The pooler's own database role and the one function it may call: password verifiers by role name.
-- Reached over the socket by peer, so the role has no password.
-- The verifiers are in a file of the node's, because PostgreSQL lets a role change its own password: what one client
-- does to the role that all of them share must not lock the others out. No SQL but the superuser's reaches that file,
-- and no dump has it.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgbouncer') THEN
    CREATE ROLE pgbouncer;
  END IF;
END $$;
ALTER ROLE pgbouncer WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 50 PASSWORD NULL;
COMMENT ON ROLE pgbouncer IS 'pgstead: password lookup of the pooler';

CREATE SCHEMA IF NOT EXISTS pgbouncer AUTHORIZATION postgres;
REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC;
GRANT USAGE ON SCHEMA pgbouncer TO pgbouncer;

-- Superusers and replication roles never come through the pooler; a role without LOGIN, or whose
-- password has expired, is no longer found (CVE-2025-2291: PgBouncer itself does not look).
CREATE OR REPLACE FUNCTION pgbouncer.lookup(role_name text)
  RETURNS TABLE (username text, password text)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT r.rolname::text, split_part(f.line, E'\t', 2)
    FROM pg_catalog.pg_roles AS r
    CROSS JOIN string_to_table(pg_read_file('/etc/pgbouncer/verifiers.txt'), E'\n') AS f (line)
    WHERE r.rolname = role_name AND split_part(f.line, E'\t', 1) = role_name
      AND r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication
      AND (r.rolvaliduntil IS NULL OR r.rolvaliduntil > pg_catalog.now())
  $$;
ALTER FUNCTION pgbouncer.lookup(text) OWNER TO postgres;
REVOKE ALL ON FUNCTION pgbouncer.lookup(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgbouncer.lookup(text) TO pgbouncer;

-- Declared databases admit nobody unnamed.
DO $$
BEGIN
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgbouncer', current_database());
END $$;
