-- Deploy autolytiq:logins to pg

BEGIN;

-- Whoever logs in brings an e-mail address and no tenant, and without a tenant nobody sees a user. So a copy of the
-- addresses lies where nobody but the owner has rights, and one function answers the one question. Its columns are
-- not named dealership_id on purpose: it belongs to no tenant. Nor does it refer to tables of tenants.
CREATE SCHEMA auth;
CREATE TABLE auth.logins (
  user_id uuid PRIMARY KEY,
  tenant uuid NOT NULL,
  email text NOT NULL CHECK (email = lower(email))
);
CREATE INDEX logins_email ON auth.logins (email);

-- With the owner's rights: whoever writes users has none on auth.
CREATE FUNCTION auth.keep_logins() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM auth.logins;
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM auth.logins WHERE user_id = OLD.id;
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.is_active THEN
    INSERT INTO auth.logins (user_id, tenant, email) VALUES (NEW.id, NEW.dealership_id, lower(NEW.email));
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION auth.keep_logins() FROM PUBLIC;

CREATE TRIGGER keep_logins AFTER INSERT OR DELETE OR UPDATE OF id, dealership_id, email, is_active ON public.users
  FOR EACH ROW EXECUTE FUNCTION auth.keep_logins();
CREATE TRIGGER keep_logins_truncate AFTER TRUNCATE ON public.users
  FOR EACH STATEMENT EXECUTE FUNCTION auth.keep_logins();

-- One row per dealership in which an active user has this address. That an address is known is all that it tells;
-- whoever may call it comes through the application.
CREATE FUNCTION app.find_login(email text) RETURNS TABLE (dealership_id uuid, user_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT l.tenant, l.user_id FROM auth.logins AS l WHERE l.email = lower(find_login.email)
  $$;
REVOKE ALL ON FUNCTION app.find_login(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.find_login(text) TO authenticated;

COMMIT;
