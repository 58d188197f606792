-- What the instance holds, for the reconcile module: one result set per block.
-- Roles of PostgreSQL itself (pg_...) and template databases are left out.

-- name: roles
SELECT r.rolname AS name,
       r.rolcanlogin AS login,
       array_remove(ARRAY[
         CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
         CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
         CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
         CASE WHEN r.rolreplication THEN 'REPLICATION' END,
         CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes,
       r.rolinherit AS inherit,
       r.rolconnlimit AS connection_limit,
       CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil::text ELSE '' END AS valid_until,
       r.rolpassword AS verifier,
       coalesce(shobj_description(r.oid, 'pg_authid'), '') AS comment,
       r.oid = 10 AS is_bootstrap
FROM pg_catalog.pg_authid AS r
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolname;

-- name: memberships
-- inherit_option and set_option exist since PostgreSQL 16; before, membership always had both.
SELECT pg_get_userbyid(a.roleid) AS role,
       pg_get_userbyid(a.member) AS member,
       pg_get_userbyid(a.grantor) AS grantor,
       a.admin_option AS admin,
       coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, true) AS inherit,
       coalesce((to_jsonb(a) ->> 'set_option')::boolean, true) AS "set"
FROM pg_catalog.pg_auth_members AS a
ORDER BY 1, 2, 3;

-- name: settings
SELECT coalesce(r.rolname, '') AS role,
       coalesce(d.datname, '') AS database,
       split_part(c.setting, '=', 1) AS name,
       substr(c.setting, strpos(c.setting, '=') + 1) AS value
FROM pg_catalog.pg_db_role_setting AS s
CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
ORDER BY 1, 2, 3;

-- name: databases
SELECT d.datname AS name,
       pg_get_userbyid(d.datdba) AS owner,
       pg_encoding_to_char(d.encoding) AS encoding,
       d.datcollate AS locale,
       d.datconnlimit AS connection_limit
FROM pg_catalog.pg_database AS d
WHERE NOT d.datistemplate
ORDER BY 1;

-- name: database_grants
-- Grants to others than the owner; grantee "" is PUBLIC.
SELECT d.datname AS database,
       CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END AS grantee,
       a.privilege_type AS privilege
FROM pg_catalog.pg_database AS d
CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
WHERE NOT d.datistemplate AND a.grantee <> d.datdba
ORDER BY 1, 2, 3;

-- name: parameter_grants
-- Rights on server settings; grantee "" is PUBLIC.
SELECT p.parname AS parameter,
       CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END AS grantee,
       a.privilege_type AS privilege
FROM pg_catalog.pg_parameter_acl AS p
CROSS JOIN LATERAL aclexplode(p.paracl) AS a
ORDER BY 1, 2, 3;

-- name: dependencies
-- What holds a role back from being dropped, database by database: objects it owns, rights it was given.
SELECT pg_get_userbyid(s.refobjid) AS role,
       coalesce(d.datname, '') AS database,
       count(*) FILTER (WHERE s.deptype = 'o') AS owned,
       count(*) FILTER (WHERE s.deptype = 'r') AS policies,
       count(*) FILTER (WHERE s.deptype NOT IN ('o', 'r')) AS rights
FROM pg_catalog.pg_shdepend AS s
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid <> 10
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: valid_until
-- Declared expiry times as the server writes them.
SELECT t.text AS declared, CASE WHEN isfinite(t.text::timestamptz) THEN t.text::timestamptz::text ELSE '' END AS meant
FROM unnest(%(texts)s::text[]) AS t (text);
