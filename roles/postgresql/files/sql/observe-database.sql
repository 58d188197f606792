-- What one database holds, for the reconcile module: one result set per block.
-- A schema that another role of pgstead made for itself (its comment says so, and it is the superuser's) is that role's
-- own: what it lets others do there is no drift.
-- Parameters: schemas (declared), wanted (declared rights as JSON), managed (declared roles), owner,
-- writers (functions of pg_catalog that only some may execute).

-- name: schemas
SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
ORDER BY 1;

-- name: schema_grants
-- Grants to others than the owner, in every schema; grantee "" is PUBLIC.
SELECT n.nspname AS schema,
       CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END AS grantee,
       a.privilege_type AS privilege
FROM pg_catalog.pg_namespace AS n
CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND a.grantee <> n.nspowner
  AND NOT (n.nspowner = 10 AND coalesce(obj_description(n.oid, 'pg_namespace'), '') LIKE 'pgstead: %%')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
ORDER BY 1, 2, 3;

-- name: extensions
SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
ORDER BY 1;

-- name: object_grants
-- What declared roles lack, and what they and PUBLIC have too much, as one row per schema, kind, role and right;
-- a right on columns is written with them. Looked at are all schemas but PostgreSQL's own, of which only the
-- functions that only some may execute; nothing is lacking in schemas that are not declared. Left out: members of
-- extensions, and that PUBLIC may execute functions of undeclared schemas, which PostgreSQL lets it by default.
WITH wanted AS (
  SELECT w.schema, w.kind, w.grantee, w.privilege
  FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w (schema text, kind text, grantee text, privilege text)
), member AS (
  SELECT d.classid, d.objid
  FROM pg_catalog.pg_depend AS d
  WHERE d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)
), relation AS (
  SELECT c.oid, n.nspname::text AS schema, CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
         format('%%I.%%I', n.nspname, c.relname) AS name, c.relowner AS owner, c.relacl AS acl,
         -- A sequence of an identity column needs no grant.
         NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                     WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                       AND d.deptype = 'i') AS needs
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT (n.nspowner = 10 AND coalesce(obj_description(n.oid, 'pg_namespace'), '') LIKE 'pgstead: %%')
    AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM member)
), object AS (
  SELECT schema, kind, name, owner, acl, needs FROM relation
  UNION ALL
  SELECT n.nspname::text, 'ROUTINE',
         format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
         p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), true
  FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE ((n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
         OR (n.nspname = 'pg_catalog' AND p.proname = ANY (%(writers)s)))
    AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM member)
    AND NOT (n.nspowner = 10 AND coalesce(obj_description(n.oid, 'pg_namespace'), '') LIKE 'pgstead: %%')
), granted AS (
  SELECT o.schema, o.kind, o.name, a.grantee, a.privilege_type AS privilege
  FROM object AS o
  CROSS JOIN LATERAL aclexplode(o.acl) AS a
  WHERE a.grantee <> o.owner
  UNION ALL
  SELECT r.schema, r.kind, r.name, a.grantee,
         format('%%s (%%s)', a.privilege_type, string_agg(quote_ident(c.attname), ', ' ORDER BY c.attnum))
  FROM pg_catalog.pg_attribute AS c
  JOIN relation AS r ON r.oid = c.attrelid
  CROSS JOIN LATERAL aclexplode(c.attacl) AS a
  WHERE c.attacl IS NOT NULL AND NOT c.attisdropped AND a.grantee <> r.owner
  GROUP BY r.schema, r.kind, r.name, a.grantee, a.privilege_type
), named AS (
  SELECT g.schema, g.kind, g.name, g.privilege,
         CASE WHEN g.grantee = 0 THEN '' ELSE pg_get_userbyid(g.grantee)::text END AS grantee
  FROM granted AS g
), difference AS (
  SELECT 'missing' AS what, o.schema, o.kind, o.name, w.grantee, w.privilege
  FROM object AS o
  JOIN wanted AS w ON w.schema = o.schema AND w.kind = o.kind
  WHERE o.needs AND w.grantee <> pg_get_userbyid(o.owner)::text
    AND NOT EXISTS (SELECT FROM named AS g
                    WHERE g.schema = o.schema AND g.kind = o.kind AND g.name = o.name
                      AND g.grantee = w.grantee AND g.privilege = w.privilege)
  UNION ALL
  SELECT 'extra', g.schema, g.kind, g.name, g.grantee, g.privilege
  FROM named AS g
  WHERE (g.grantee = ANY (%(managed)s)
         OR (g.grantee = '' AND (g.kind <> 'ROUTINE' OR g.schema = 'pg_catalog' OR g.schema = ANY (%(schemas)s))))
    AND NOT EXISTS (SELECT FROM wanted AS w
                    WHERE w.schema = g.schema AND w.kind = g.kind
                      AND w.grantee = g.grantee AND w.privilege = g.privilege)
)
SELECT what, schema, kind, grantee, privilege, array_agg(name ORDER BY name) AS objects
FROM difference
GROUP BY what, schema, kind, grantee, privilege
ORDER BY what DESC, schema, kind, grantee, privilege;

-- name: default_grants
-- Rights on objects yet to be created, by whom and in which schema ("" is all): what was altered, and that
-- PUBLIC may execute the owner's functions, which PostgreSQL lets it as long as nothing was altered.
SELECT coalesce(n.nspname, '') AS schema,
       CASE d.defaclobjtype WHEN 'r' THEN 'TABLE' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'ROUTINE' WHEN 'T' THEN 'TYPE'
                            WHEN 'n' THEN 'SCHEMA' ELSE 'LARGE OBJECT' END AS kind,
       pg_get_userbyid(d.defaclrole) AS creator,
       CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END AS grantee,
       a.privilege_type AS privilege
FROM pg_catalog.pg_default_acl AS d
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
WHERE a.grantee <> d.defaclrole
  -- What PUBLIC has by default stands in the entries for all schemas, too.
  AND NOT (d.defaclnamespace = 0 AND a.grantee = 0
           AND (d.defaclobjtype = 'T' OR (d.defaclobjtype = 'f' AND pg_get_userbyid(d.defaclrole) <> %(owner)s)))
UNION ALL
SELECT '', 'ROUTINE', %(owner)s, '', 'EXECUTE'
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_default_acl AS d
                  WHERE pg_get_userbyid(d.defaclrole) = %(owner)s AND d.defaclnamespace = 0 AND d.defaclobjtype = 'f')
ORDER BY 1, 2, 3, 4, 5;
