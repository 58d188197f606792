-- Parameters: names. That of vector says more; it has vector.sql.
SELECT 'has ' || w.name AS title, e.oid IS NOT NULL AS ok, coalesce(e.extversion, 'not installed') AS found,
       'pgstead deploy' AS fix
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS w (name, number)
LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = w.name
ORDER BY w.number;
