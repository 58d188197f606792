-- The tenant context, set by whoever has a token for the tenant: signed outside of the database, and soon over.
-- context.sql is its other form: run after tenancy.sql is one of them. Can be run again.

-- What the other form leaves.
DO $$
BEGIN
  IF :'type' <> 'text' THEN
    EXECUTE format('DROP FUNCTION IF EXISTS %I.set_tenant(%s)', :'schema', :'type');
  END IF;
END $$;

-- Keys that tokens may be signed with, as the two blocks that HMAC begins its hashes with (RFC 2104: the key, filled
-- up to 64 bytes, XOR 0x36 and 0x5c); the server has sha256(), and no HMAC of its own.
CREATE TABLE IF NOT EXISTS :"schema".token_keys (inner_block bytea PRIMARY KEY, outer_block bytea NOT NULL);
REVOKE ALL ON :"schema".token_keys FROM PUBLIC;

-- The tenant is kept where only a superuser can put it, and this function. Of the server's own settings that is
-- backtrace_functions: a text, a superuser's, and without effect as long as it names no C function of the server. It
-- takes letters, digits and _ alone. Local to the transaction, so that nothing outlives it.
CREATE OR REPLACE FUNCTION :"schema".set_tenant(tenant text) RETURNS :"type"
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
  AS $$
DECLARE
  hint CONSTANT text := 'Call ' || :'schema' || '.set_tenant(token) with a token that your login service signed just now '
                        'for this tenant; docs/how-to/tenant-tokens.md shows how';
  content text := left(tenant, -65);
  signed CONSTANT bytea := convert_to(content, 'UTF8');
  signature CONSTANT text := right(tenant, 65);
  until text;
  context text;
BEGIN
  -- Hashes are compared, not signatures: how long it takes tells nothing of how much was right. What is in the content
  -- is looked at when it is known who wrote it; a regular expression would take ten times as long as all the rest.
  IF NOT EXISTS (
    SELECT FROM :"schema".token_keys AS k
    WHERE sha256(convert_to('.' || encode(sha256(k.outer_block || sha256(k.inner_block || signed)), 'hex'), 'UTF8'))
          = sha256(convert_to(signature, 'UTF8'))) THEN
    RAISE EXCEPTION 'tenant token is not valid' USING ERRCODE = 'insufficient_privilege', HINT = hint;
  END IF;
  until := split_part(content, '.', -1);
  IF until::bigint < extract(epoch FROM clock_timestamp()) THEN
    RAISE EXCEPTION 'tenant token has expired' USING ERRCODE = 'insufficient_privilege', HINT = hint;
  END IF;
  content := left(content, -1 - length(until));
  context := set_config('backtrace_functions', 'tenant_' || encode(convert_to(content, 'UTF8'), 'hex'), true);
  RETURN CAST(content AS :"type");
END $$;
COMMENT ON FUNCTION :"schema".set_tenant(text) IS
  'Sets the tenant whose rows this transaction sees and writes, by a token. Call it first: BEGIN; SELECT set_tenant($1); ...; COMMIT';

-- What the policies call; see context.sql.
CREATE OR REPLACE FUNCTION :"schema".tenant_id() RETURNS :"type"
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  AS $$
DECLARE
  context text := pg_catalog.current_setting('backtrace_functions');
BEGIN
  IF pg_catalog.starts_with(context, 'tenant_') THEN
    RETURN CAST(pg_catalog.convert_from(pg_catalog.decode(pg_catalog.substr(context, 8), 'hex'), 'UTF8') AS :"type");
  END IF;
  -- For the check of a new foreign key; see altering() in tenancy.sql.
  IF current_user = :'owner' AND pg_catalog.starts_with(context, 'altering_') THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'tenant context is not set'
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Call ' || :'schema' || '.set_tenant(token) first, in the same transaction: BEGIN; SELECT '
                 || :'schema' || '.set_tenant($1); ...; COMMIT';
END $$;
COMMENT ON FUNCTION :"schema".tenant_id() IS
  'The tenant of this transaction; an error (SQLSTATE 42501) where set_tenant() was not called in it';
