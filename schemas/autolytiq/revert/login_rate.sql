-- Revert autolytiq:login_rate from pg

BEGIN;

CREATE OR REPLACE FUNCTION app.find_login(email text) RETURNS TABLE (dealership_id uuid, user_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT l.tenant, l.user_id FROM auth.logins AS l WHERE l.email = lower(find_login.email)
  $$;
COMMENT ON FUNCTION app.find_login(text) IS NULL;
DROP SEQUENCE auth.answered;

COMMIT;
