-- Deploy autolytiq:login_rate to pg

BEGIN;

-- One row per dealership in which an active user has this address. So it tells whoever can send SQL as the application
-- which addresses are known, to which dealerships, and the ids of dealership and user; where tenants are set by their id,
-- SQL that was injected becomes that dealership with it. It answers as often as a login form needs, 10 times a second
-- and 100 times at once, for all callers together: the database does not know who they are. 20,000 guesses take half an
-- hour and not half a second, and while somebody makes them, others who log in are refused (53400), too.
--
-- The time up to which answers are used up, in milliseconds: a sequence, because a rollback does not bring back its value.
CREATE SEQUENCE auth.answered INCREMENT BY 100;
CREATE OR REPLACE FUNCTION app.find_login(email text) RETURNS TABLE (dealership_id uuid, user_id uuid)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
DECLARE
  present bigint := extract(epoch FROM clock_timestamp()) * 1000;
  ahead bigint := (SELECT last_value FROM auth.answered) - present;
BEGIN
  IF ahead NOT BETWEEN 0 AND 60000 THEN  -- nobody asked for a while; or the clock was set back
    PERFORM setval('auth.answered', present + 100);
  ELSIF ahead > 9900 THEN
    RAISE EXCEPTION 'too many logins are looked up' USING ERRCODE = 'configuration_limit_exceeded',
      HINT = 'Try again in a moment. It answers 10 times a second, and 100 times at once.';
  ELSE
    PERFORM nextval('auth.answered');
  END IF;
  RETURN QUERY SELECT l.tenant, l.user_id FROM auth.logins AS l WHERE l.email = lower(find_login.email);
END $$;
COMMENT ON FUNCTION app.find_login(text) IS
  'Who can send SQL as the application learns by it which addresses are known, and the ids of their dealerships and users';

COMMIT;
