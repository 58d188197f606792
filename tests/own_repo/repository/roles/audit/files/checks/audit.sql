SELECT 'leaves a trail of ' || %(log)s AS title,
       current_setting('pgaudit.log') = %(log)s AS ok,
       current_setting('pgaudit.log') AS found,
       'RESET pgaudit.log of the database and of its roles; pgstead deploy' AS fix
UNION ALL
SELECT format('lets in at most %%s roles', %(logins)s),
       count(*) <= %(logins)s,
       string_agg(rolname, ', ' ORDER BY rolname),
       'ask the auditors, then change audit.logins; or REVOKE CONNECT'
FROM pg_roles
WHERE rolcanlogin AND NOT rolsuper AND has_database_privilege(rolname, current_database(), 'CONNECT');
