-- pgvector, wherever it is: its schema need not be in anybody's search_path, and is no place to look for anything else.
SELECT set_config('search_path', format('pg_catalog, %I, pg_temp', n.nspname), true)
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'vector';

SELECT 'has vector, and it computes' AS title, '[1,0]'::vector <=> '[0,1]'::vector = 1 AS ok, e.extversion AS found,
       'pgstead deploy' AS fix
FROM pg_catalog.pg_extension AS e
WHERE e.extname = 'vector';
