-- What one database holds, for the reconcile module: one result set per block.
-- Parameters: schemas (declared), wanted (declared rights as JSON), managed (declared roles), owner.

-- name: schemas
SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
ORDER BY 1;

-- name: schema_grants
-- Grants to others than the owner; grantee "" is PUBLIC.
SELECT n.nspname AS schema,
       CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END AS grantee,
       a.privilege_type AS privilege
FROM pg_catalog.pg_namespace AS n
CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
WHERE n.nspname = ANY (%(schemas)s) AND a.grantee <> n.nspowner
ORDER BY 1, 2, 3;

-- name: extensions
SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
ORDER BY 1;

-- name: object_grants
-- What declared roles lack or have too much on the objects of the declared schemas, as one row per schema,
-- kind, role and right. Left out: members of extensions, and sequences of identity columns, which need no grant.
WITH wanted AS (
  SELECT w.schema, w.kind, w.grantee, w.privilege
  FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w (schema text, kind text, grantee text, privilege text)
), object AS (
  SELECT n.nspname::text AS schema,
         CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
         format('%%I.%%I', n.nspname, c.relname) AS name,
         c.relowner AS owner,
         coalesce(c.relacl, acldefault(CASE WHEN c.relkind = 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND (d.deptype = 'e' OR (d.deptype = 'i' AND c.relkind = 'S')))
  UNION ALL
  SELECT n.nspname::text, 'ROUTINE',
         format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
         p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
  FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE n.nspname = ANY (%(schemas)s)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
), granted AS (
  SELECT o.schema, o.kind, o.name, pg_get_userbyid(a.grantee)::text AS grantee, a.privilege_type AS privilege
  FROM object AS o
  CROSS JOIN LATERAL aclexplode(o.acl) AS a
  WHERE a.grantee <> 0 AND a.grantee <> o.owner
), difference AS (
  SELECT 'missing' AS what, o.schema, o.kind, o.name, w.grantee, w.privilege
  FROM object AS o
  JOIN wanted AS w ON w.schema = o.schema AND w.kind = o.kind
  WHERE w.grantee <> pg_get_userbyid(o.owner)::text
    AND NOT EXISTS (SELECT FROM granted AS g
                    WHERE g.schema = o.schema AND g.kind = o.kind AND g.name = o.name
                      AND g.grantee = w.grantee AND g.privilege = w.privilege)
  UNION ALL
  SELECT 'extra', g.schema, g.kind, g.name, g.grantee, g.privilege
  FROM granted AS g
  WHERE g.grantee = ANY (%(managed)s)
    AND NOT EXISTS (SELECT FROM wanted AS w
                    WHERE w.schema = g.schema AND w.kind = g.kind
                      AND w.grantee = g.grantee AND w.privilege = g.privilege)
)
SELECT what, schema, kind, grantee, privilege, array_agg(name ORDER BY name) AS objects
FROM difference
GROUP BY what, schema, kind, grantee, privilege
ORDER BY what DESC, schema, kind, grantee, privilege;

-- name: default_grants
-- Rights on objects that the owner role will create.
SELECT n.nspname AS schema,
       CASE d.defaclobjtype WHEN 'r' THEN 'TABLE' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'ROUTINE' ELSE 'TYPE' END AS kind,
       CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END AS grantee,
       a.privilege_type AS privilege
FROM pg_catalog.pg_default_acl AS d
JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
WHERE d.defaclrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(owner)s)
  AND n.nspname = ANY (%(schemas)s) AND a.grantee <> d.defaclrole
ORDER BY 1, 2, 3, 4;
