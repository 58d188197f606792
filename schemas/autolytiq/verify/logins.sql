-- Verify autolytiq:logins on pg

BEGIN;

SELECT FROM app.find_login('nobody@example.com');

DO $$
BEGIN
  ASSERT (SELECT count(*) = 2 FROM pg_trigger
          WHERE tgrelid = 'public.users'::regclass AND tgfoid = 'auth.keep_logins'::regproc AND tgenabled = 'O'),
    'auth.logins is not kept by triggers on users';
  ASSERT NOT EXISTS (SELECT FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
                     WHERE c.oid = 'auth.logins'::regclass AND a.grantee <> c.relowner)
     AND NOT EXISTS (SELECT FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
                     WHERE n.nspname = 'auth' AND a.grantee <> n.nspowner),
    'others than the owner have rights on auth.logins';
  ASSERT has_function_privilege('authenticated', 'app.find_login(text)', 'EXECUTE'),
    'authenticated may not call app.find_login';
  ASSERT NOT EXISTS (SELECT FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                     WHERE p.oid = 'app.find_login'::regproc AND a.grantee = 0),
    'everybody may call app.find_login';
END $$;

ROLLBACK;
