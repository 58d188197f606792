-- Everything that a .sql file of a role can make, as (object, definition): two fingerprints differ
-- exactly where something changed. Rights are sorted: a REVOKE and GRANT of the same moves them to the end.
-- Parameters: schemas, roles (whose objects and attributes count), catalog (whether rights on what PostgreSQL and
-- extensions bring count).
-- Both blocks together; the second asks what only a superuser may.

-- name: fingerprint
SELECT 'schema ' || n.nspname AS object,
       format('owner %%s, acl %%s, comment %%s', pg_get_userbyid(n.nspowner),
              ARRAY(SELECT unnest(coalesce(n.nspacl, acldefault('n', n.nspowner)))::text ORDER BY 1),
              obj_description(n.oid, 'pg_namespace')) AS definition
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = ANY (%(schemas)s)
UNION ALL
SELECT 'routine ' || p.oid::regprocedure,
       format(E'%%s\n-- owner %%s, acl %%s, comment %%s', pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner),
              ARRAY(SELECT unnest(coalesce(p.proacl, acldefault('f', p.proowner)))::text ORDER BY 1),
              obj_description(p.oid, 'pg_proc'))
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = ANY (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (%(schemas)s))
  AND p.prokind IN ('f', 'p')
UNION ALL
SELECT 'relation ' || c.oid::regclass,
       format('kind %%s, owner %%s, acl %%s, options %%s, columns %%s, view %%s', c.relkind, pg_get_userbyid(c.relowner),
              ARRAY(SELECT unnest(coalesce(c.relacl, acldefault(
                CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)))::text ORDER BY 1),
              c.reloptions,
              (SELECT string_agg(format('%%I %%s%%s', a.attname, format_type(a.atttypid, a.atttypmod),
                                        CASE WHEN a.attnotnull THEN ' NOT NULL' END), ', ' ORDER BY a.attnum)
               FROM pg_catalog.pg_attribute AS a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
              CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = ANY (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (%(schemas)s))
  AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
UNION ALL
SELECT 'event trigger ' || e.evtname,
       format('on %%s, enabled %%s, tags %%s, function %%s, owner %%s', e.evtevent, e.evtenabled, e.evttags,
              e.evtfoid::regprocedure, pg_get_userbyid(e.evtowner))
FROM pg_catalog.pg_event_trigger AS e
JOIN pg_catalog.pg_proc AS p ON p.oid = e.evtfoid
WHERE p.pronamespace = ANY (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (%(schemas)s))
UNION ALL
SELECT 'rights on functions and views of PostgreSQL', string_agg(r.name || ' ' || r.rights::text, E'\n' ORDER BY r.name)
FROM (
  SELECT 'pg_proc'::regclass AS class, p.oid, p.pronamespace AS namespace, p.oid::regprocedure::text AS name,
         ARRAY(SELECT unnest(p.proacl)::text ORDER BY 1) AS rights
  FROM pg_catalog.pg_proc AS p
  WHERE p.proacl IS NOT NULL
  UNION ALL
  SELECT 'pg_class'::regclass, c.oid, c.relnamespace, c.oid::regclass::text, ARRAY(SELECT unnest(c.relacl)::text ORDER BY 1)
  FROM pg_catalog.pg_class AS c
  WHERE c.relkind = 'v' AND c.relacl IS NOT NULL) AS r
WHERE %(catalog)s
  AND (r.namespace = 'pg_catalog'::regnamespace
       OR (r.class, r.oid) IN (SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d WHERE d.deptype = 'e'))
HAVING count(*) > 0;

-- name: fingerprint_roles
SELECT 'role ' || r.rolname AS object,
       format('super %%s, login %%s, inherit %%s, createdb %%s, createrole %%s, replication %%s, bypassrls %%s, limit %%s, '
              'valid until %%s, password %%s, comment %%s, member of %%s',
              r.rolsuper, r.rolcanlogin, r.rolinherit, r.rolcreatedb, r.rolcreaterole, r.rolreplication,
              r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil,
              CASE WHEN r.rolpassword IS NULL THEN 'none' ELSE md5(r.rolpassword) END,
              shobj_description(r.oid, 'pg_authid'),
              (SELECT array_agg(pg_get_userbyid(m.roleid)::text ORDER BY 1)
               FROM pg_catalog.pg_auth_members AS m WHERE m.member = r.oid)) AS definition
FROM pg_catalog.pg_authid AS r
WHERE r.rolname = ANY (%(roles)s)
UNION ALL
SELECT format('database rights of %%s', pg_get_userbyid(a.grantee)), string_agg(a.privilege_type, ', ' ORDER BY 1)
FROM pg_catalog.pg_database AS d
CROSS JOIN LATERAL aclexplode(d.datacl) AS a
WHERE d.datname = current_database() AND pg_get_userbyid(a.grantee) = ANY (%(roles)s)
GROUP BY a.grantee
UNION ALL
SELECT format('settings of %%s', r.rolname), s.setconfig::text
FROM pg_catalog.pg_db_role_setting AS s
JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
WHERE r.rolname = ANY (%(roles)s)
  AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()));
