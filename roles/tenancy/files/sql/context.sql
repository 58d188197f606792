-- The tenant context, set by whoever may use the app role. token.sql is its other form: run after tenancy.sql is one of
-- them. Can be run again.

-- What the other form leaves; a signing key is in the vault.
DROP TABLE IF EXISTS :"schema".token_keys;
DO $$
BEGIN
  IF :'type' <> 'text' THEN
    EXECUTE format('DROP FUNCTION IF EXISTS %I.set_tenant(text)', :'schema');
  END IF;
END $$;

-- Bound to its transaction: a value that a pooled connection kept, a plain SET or a replayed value is another
-- transaction's, and the reader says so. Nothing but the time of the transaction is needed for that, and parallel
-- workers know it, too. In binary, which is cheap and which no setting of the client's changes; 16 digits.
CREATE OR REPLACE FUNCTION :"schema".set_tenant(tenant :"type") RETURNS :"type"
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
  AS $$
DECLARE
  context text;
BEGIN
  IF tenant IS NULL THEN
    RAISE EXCEPTION 'tenant context cannot be set to null' USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- Assigned, not PERFORMed: an expression is evaluated at once, a query is planned anew each time.
  context := pg_catalog.set_config(
    :'setting',
    pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), 'hex') || '|' || tenant::text,
    true);
  RETURN tenant;
END $$;
COMMENT ON FUNCTION :"schema".set_tenant(:"type") IS
  'Sets the tenant whose rows this transaction sees and writes. Call it first: BEGIN; SELECT set_tenant($1); ...; COMMIT';

-- What the policies call. No SET clause and no EXCEPTION block: both would cost more than all the rest. STABLE and
-- called without (SELECT ...): the planner asks it for the tenant and knows how many rows that one has. It asks for
-- every index, so that what holds as a rule comes first, in as few steps as can be.
CREATE OR REPLACE FUNCTION :"schema".tenant_id() RETURNS :"type"
  LANGUAGE plpgsql STABLE PARALLEL SAFE
  AS $$
DECLARE
  context text := pg_catalog.current_setting(:'setting', true);
  own text := pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), 'hex') || '|';
BEGIN
  IF pg_catalog.starts_with(context, own) THEN
    RETURN CAST(pg_catalog.substr(context, 18) AS :"type");
  END IF;
  IF context IS NULL OR context = '' THEN
    -- For the check of a new foreign key; see altering() in tenancy.sql.
    IF current_user = :'owner' AND pg_catalog.starts_with(pg_catalog.current_setting('backtrace_functions'), 'altering_') THEN
      RETURN NULL;
    END IF;
    RAISE EXCEPTION 'tenant context is not set'
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Call ' || :'schema' || '.set_tenant(...) first, in the same transaction: BEGIN; SELECT '
                   || :'schema' || '.set_tenant($1); ...; COMMIT';
  END IF;
  RAISE EXCEPTION 'tenant context was not set in this transaction'
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Do not SET ' || :'setting' || '. Call ' || :'schema'
                 || '.set_tenant(...) in the same transaction: BEGIN; SELECT ' || :'schema'
                 || '.set_tenant($1); ...; COMMIT';
END $$;
COMMENT ON FUNCTION :"schema".tenant_id() IS
  'The tenant of this transaction; an error (SQLSTATE 42501) where set_tenant() was not called in it';
