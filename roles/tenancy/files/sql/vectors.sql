-- Columns of vectors, their sizes and indexes; and the statements that --apply runs.
-- :"..." and :'...' are names, quoted as an identifier or as a string.

-- name: extension
SELECT n.nspname AS schema, e.extversion AS version
FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'vector';

-- name: load
-- So that its settings have their defaults.
LOAD 'vector';

-- name: settings
-- In force for sessions of each login role: its own in this database, its own, the database's, the server's.
SELECT r.rolname AS role, w.name,
       coalesce(
         (SELECT substr(o.setting, length(w.name) + 2)
          FROM pg_catalog.pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS o (setting)
          WHERE s.setrole IN (r.oid, 0) AND s.setdatabase IN (d.oid, 0) AND starts_with(o.setting, w.name || '=')
          ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1),
         current_setting(w.name, true)) AS value
FROM pg_catalog.pg_roles AS r
CROSS JOIN (VALUES ('hnsw.iterative_scan'), ('hnsw.ef_search')) AS w (name)
JOIN pg_catalog.pg_database AS d ON d.datname = current_database()
WHERE r.rolcanlogin AND NOT r.rolsuper AND has_database_privilege(r.oid, d.oid, 'CONNECT')
ORDER BY r.rolname, w.name;

-- name: columns
-- One row per table that can have an index: of a partitioned one each partition, with the name of the whole.
SELECT c.oid AS relation, n.nspname AS namespace, c.relname AS "table", rn.nspname AS root_namespace,
       root.relname AS root, root.relkind = 'p' AS partitioned,
       a.attnum, a.attname AS "column", t.typname AS type, greatest(a.atttypmod, 0) AS dimensions,
       coalesce(k.attname, '') AS tenant,
       EXISTS (SELECT FROM pg_catalog.pg_index AS i
               JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
               JOIN pg_catalog.pg_am AS m ON m.oid = x.relam AND m.amname = 'btree'
               WHERE i.indrelid = c.oid AND i.indkey[0] = k.attnum AND i.indisvalid AND i.indpred IS NULL) AS led
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS root ON root.oid = coalesce(pg_partition_root(c.oid), c.oid)
JOIN pg_catalog.pg_namespace AS rn ON rn.oid = root.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid AND t.typname IN ('vector', 'halfvec')
JOIN pg_catalog.pg_extension AS e ON e.extname = 'vector' AND e.extnamespace = t.typnamespace
LEFT JOIN pg_catalog.pg_attribute AS k
  ON k.attrelid = c.oid AND k.attnum > 0 AND NOT k.attisdropped
 AND k.attname = CASE WHEN rn.nspname = :'tenant_namespace' AND root.relname = :'tenant_table'
                      THEN :'tenant_key' ELSE :'tenant_column' END
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema'
ORDER BY rn.nspname, root.relname, a.attname, n.nspname, c.relname;

-- name: indexes
-- Of vectors, on the column itself or on an expression of it; and every one that a broken-off run left behind.
SELECT i.indrelid AS relation, a.attnum, n.nspname AS namespace, x.relname AS name, m.amname AS method,
       o.opcname AS opclass, i.indkey[0] = 0 AS expression, i.indpred IS NOT NULL AS partial, i.indisvalid AS valid,
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = x.oid) AS building
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid AND x.relkind = 'i'
JOIN pg_catalog.pg_namespace AS n ON n.oid = x.relnamespace
JOIN pg_catalog.pg_am AS m ON m.oid = x.relam
JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0]
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum > 0
WHERE (m.amname IN ('hnsw', 'ivfflat') OR NOT i.indisvalid)
  AND (i.indkey[0] = a.attnum
       OR i.indkey[0] = 0 AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                                      WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid
                                        AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
ORDER BY x.relname;

-- name: sizes of tenants
SELECT coalesce(sum(n), 0)::bigint AS rows, coalesce(max(n), 0) AS largest
FROM (SELECT count(:"column") AS n FROM :"namespace".:"table" GROUP BY :"tenant") AS t;

-- name: size
SELECT count(:"column") AS rows, count(:"column") AS largest FROM :"namespace".:"table";

-- name: drop
DROP INDEX CONCURRENTLY :"namespace".:"index";

-- name: hnsw
CREATE INDEX CONCURRENTLY :"index" ON :"namespace".:"table"
USING hnsw (:"column" :"extension".:"opclass") WITH (m = 16, ef_construction = 64);

-- name: btree
CREATE INDEX CONCURRENTLY :"index" ON :"namespace".:"table" (:"tenant");

-- name: analyze
ANALYZE :"namespace".:"table";
