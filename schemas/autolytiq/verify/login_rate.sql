-- Verify autolytiq:login_rate on pg

BEGIN;

DO $$
BEGIN
  ASSERT NOT EXISTS (SELECT FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
                     WHERE c.oid = 'auth.answered'::regclass AND a.grantee <> c.relowner),
    'others than the owner have rights on auth.answered';
  ASSERT (SELECT provolatile = 'v' FROM pg_proc WHERE oid = 'app.find_login(text)'::regprocedure),
    'app.find_login does not count what it answers';
  ASSERT has_function_privilege('authenticated', 'app.find_login(text)', 'EXECUTE'),
    'authenticated may not call app.find_login';
END $$;

ROLLBACK;
