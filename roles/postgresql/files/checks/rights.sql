-- What the catalog says that roles could do beyond their kind.
-- Parameters: owner of the database; roles, expanded, as JSON.
WITH can (number, name, kind, declared, oid, powerful, owned, temporary, create_schema, create_in, acts_as_owner,
          member_of_owner) AS (
  SELECT w.number, w.name, w.kind, json_array_length(w.attributes) > 0, r.oid,
         r.rolsuper OR r.rolcreaterole OR r.rolbypassrls OR r.rolreplication,
         (SELECT count(*) FROM pg_catalog.pg_shdepend AS d
          WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
            AND d.dbid IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))),
         has_database_privilege(r.oid, current_database(), 'TEMPORARY'),
         has_database_privilege(r.oid, current_database(), 'CREATE'),
         (SELECT string_agg(n.nspname, ', ') FROM pg_catalog.pg_namespace AS n
          WHERE n.nspname !~ '^pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE')),
         coalesce(pg_has_role(r.oid, o.oid, 'USAGE'), false),
         coalesce(pg_has_role(r.oid, o.oid, 'MEMBER'), false)
  FROM ROWS FROM (json_to_recordset(%(roles)s) AS (name text, kind text, attributes json))
    WITH ORDINALITY AS w (name, kind, attributes, number)
  LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = w.name
  LEFT JOIN pg_catalog.pg_roles AS o ON o.rolname = %(owner)s
), excess (number, name, text) AS (
  SELECT number, name,
         CASE WHEN oid IS NULL THEN 'the role does not exist' ELSE concat_ws('; ',
           CASE WHEN powerful AND NOT declared THEN 'an attribute like SUPERUSER or BYPASSRLS' END,
           CASE WHEN owned > 0 THEN format('owns %%s objects', owned) END,
           CASE WHEN temporary OR create_schema THEN 'TEMPORARY or CREATE on the database' END,
           'CREATE in ' || create_in,
           CASE WHEN acts_as_owner OR member_of_owner AND kind <> 'migrator' THEN 'membership in the owner role' END) END
  FROM can
)
SELECT 'role ' || name AS area, 'has no right beyond its kind' AS title, text = '' AS ok,
       coalesce(nullif(text, ''), 'owns nothing, creates nothing, is no member of the owner') AS found,
       'pgstead deploy -e postgresql_prune=true' AS fix
FROM excess
ORDER BY number;
