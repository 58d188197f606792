-- Revert autolytiq:logins from pg

BEGIN;

DROP FUNCTION app.find_login(text);
DROP TRIGGER keep_logins ON public.users;
DROP TRIGGER keep_logins_truncate ON public.users;
DROP FUNCTION auth.keep_logins();
DROP TABLE auth.logins;
DROP SCHEMA auth;

COMMIT;
