-- Rows of the tenant table. :"..." and :'...' are names, quoted as an identifier or as a string; %(...)s are values.

-- name: installed
-- By a deploy: a view that an owner made under this name would run with the rights of who asks.
SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c
               WHERE c.oid = to_regclass(format('%I.tenant_tables', :'schema')) AND c.relkind = 'v'
                 AND pg_get_userbyid(c.relowner) = current_user) AS installed;

-- name: columns
-- Those of the tenant table, and whether a new row must say them.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL AS needed,
       -- What makes a value where none is given.
       coalesce(CASE WHEN a.attidentity <> '' THEN
                       format('nextval(%L)', pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)) END,
                pg_get_expr(d.adbin, d.adrelid), t.typdefault, 'NULL') AS "default"
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(format('%I.%I', :'namespace', :'table')) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: list
SELECT to_jsonb(t) - %(hidden)s::text[] AS tenant FROM :"namespace".:"table" AS t ORDER BY t.:"order", t.:"key";

-- name: show
SELECT to_jsonb(t) - %(hidden)s::text[] AS tenant FROM :"namespace".:"table" AS t WHERE t.:"key" = %(key)s;

-- name: tables
-- Where tenants have rows; a partition's are its parent's.
SELECT n.nspname AS namespace, c.relname AS "table", t.name, t."column"
FROM :"schema".tenant_tables AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.kind IN ('r', 'p') AND NOT t.partition AND t.fits AND (n.nspname, c.relname) <> (:'namespace', :'table')
ORDER BY t.name;

-- name: count
SELECT count(*) AS count FROM :"namespace".:"table" WHERE :"column" = %(key)s;

-- name: add
INSERT INTO :"namespace".:"table" AS t (:columns) OVERRIDING SYSTEM VALUE VALUES (:values)
RETURNING to_jsonb(t) - %(hidden)s::text[] AS tenant;
