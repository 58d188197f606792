-- Deploy autolytiq:foundation to pg

BEGIN;

-- Row-level security on every table below comes from tenancy, in the statement that makes the table.
DO $$
BEGIN
  IF to_regprocedure('app.tenant_id()') IS NULL
     OR NOT EXISTS (SELECT FROM pg_catalog.pg_proc
                    WHERE proname = 'set_tenant' AND pronamespace = to_regnamespace('app')) THEN
    RAISE EXCEPTION 'app.set_tenant() does not exist: this database was declared without tenancy'
      USING HINT = 'Declare it in platform.yml, then deploy again: '
                   'tenancy: {table: dealerships, column: dealership_id, setting: app.current_dealership_id}';
  END IF;
END $$;

CREATE FUNCTION app.touch_updated_at() RETURNS trigger
  LANGUAGE plpgsql
  AS $$
BEGIN
  NEW.updated_at := pg_catalog.now();
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION app.touch_updated_at() FROM PUBLIC;  -- a trigger needs no grant

COMMIT;
