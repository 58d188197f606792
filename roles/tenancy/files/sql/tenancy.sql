-- Tenant isolation of one database. Can be run again: what is there already is left as it is or put right.
-- :"..." and :'...' are names from the inventory, quoted as an identifier or as a string.

-- Run by the superuser, or by the admin of a managed server, who is none and may do less.

CREATE SCHEMA IF NOT EXISTS :"schema";
-- The owner may add functions to it, and CREATE OR REPLACE keeps an owner: none of these names may be somebody else's.
DO $$
DECLARE
  taken record;
BEGIN
  FOR taken IN
    SELECT p.oid::regprocedure::text AS object, p.proowner AS owner
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :'schema')
      AND p.proname IN ('protect', 'guard', 'altering', 'remember', 'refers_to_none', 'isolation_problems', 'set_tenant', 'tenant_id')
      AND NOT (p.proname = 'refers_to_none' AND p.pronargs = 1 AND pg_get_userbyid(p.proowner) = :'guard_role')
    UNION ALL
    SELECT c.oid::regclass::text, c.relowner
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :'schema')
      AND c.relname IN ('tenant_tables', 'tenant_views', 'shared_tables', 'isolated_tables', 'token_keys', 'oracles',
                        'telling_indexes')
  LOOP
    IF taken.owner <> (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = :'schema') THEN
      RAISE EXCEPTION '% belongs to %, and its name is one of pgstead''s', taken.object, pg_get_userbyid(taken.owner)
        USING ERRCODE = 'duplicate_object', HINT = 'Drop it, or give it another name.';
    END IF;
  END LOOP;
END $$;
COMMENT ON SCHEMA :"schema" IS 'pgstead: tenant isolation';
REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC;
GRANT USAGE ON SCHEMA :"schema" TO PUBLIC;
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"owner";  -- functions of the application that belong beside these

-- Whatever an owner defines (types, casts, operators, index expressions) is evaluated by whoever reads its tables. So the
-- guard runs with the rights of whoever made the statement, and what it has to read of all tenants is read by this role:
-- it may do what the owner may, is bound by no policy, and nobody logs in as it.
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RETURN;  -- the admin of a managed server has no guard either
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'guard_role') THEN
    EXECUTE format('CREATE ROLE %I', :'guard_role');
  END IF;
  EXECUTE format('ALTER ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT NOREPLICATION BYPASSRLS PASSWORD NULL',
                 :'guard_role');
  EXECUTE format('COMMENT ON ROLE %I IS %L', :'guard_role', 'pgstead: reads all tenants for the DDL guard of one database');
  IF NOT pg_has_role(:'guard_role', :'owner', 'USAGE') THEN
    EXECUTE format('GRANT %I TO %I', :'owner', :'guard_role');
  END IF;
END $$;

-- ---- what is there -----------------------------------------------------------------------------------

-- Every table that has the tenant column (the tenant table: its key), with the state of its protection.
-- One row per table, whichever schema it is in, and whether an extension has it or not.
CREATE OR REPLACE VIEW :"schema".tenant_tables AS
SELECT c.oid AS relation,
       c.relkind AS kind,
       c.relispartition AS partition,
       format('%I.%I', n.nspname, c.relname) AS name,
       a.attname AS "column",
       a.attnum AS attnum,
       coalesce(nullif(t.typbasetype, 0), t.oid) = :'type'::regtype AS fits,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null,
       c.relrowsecurity AS enabled,
       c.relforcerowsecurity AS forced,
       p.policy AS policy,
       e.canon AS canon,
       coalesce(s.named, false) AS named,
       coalesce(s.armed, false) AS armed,
       coalesce(s.open, false) AS open,
       coalesce(s.own, false) AS own
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a
  ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 AND a.attname = CASE WHEN n.nspname = :'namespace' AND c.relname = :'table' THEN :'key' ELSE :'column' END
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
CROSS JOIN LATERAL (SELECT (:'policy_prefix' || c.relname)::name AS policy) AS p
-- As pg_get_expr writes it: a domain is cast to what it is over.
CROSS JOIN LATERAL (
  SELECT format('(%s = %I.tenant_id())',
                CASE WHEN t.typbasetype = 0 THEN quote_ident(a.attname)
                     ELSE format('(%I)::%s', a.attname, format_type(t.typbasetype, NULL)) END,
                :'schema') AS canon) AS e
LEFT JOIN LATERAL (
  SELECT bool_or(l.polname = p.policy) AS named,
         bool_or(l.polname = p.policy AND NOT l.polpermissive AND l.polcmd = '*' AND l.polroles = '{0}'
                 AND pg_get_expr(l.polqual, c.oid) = e.canon AND pg_get_expr(l.polwithcheck, c.oid) = e.canon
                 AND o.reads) AS armed,
         bool_or(o.is_open) AS open,                         -- the permissive policy that protect() makes
         bool_or(l.polpermissive AND NOT o.is_open) AS own   -- permissive policies of the application
  FROM pg_catalog.pg_policy AS l
  CROSS JOIN LATERAL (
    SELECT l.polname = 'tenant_access' AND l.polpermissive AND l.polcmd = '*' AND l.polroles = '{0}'
           AND pg_get_expr(l.polqual, c.oid) = 'true'
           AND coalesce(pg_get_expr(l.polwithcheck, c.oid), 'true') = 'true' AS is_open,
           -- An expression only reads like ours where it calls another function, or operator, of the same name.
           (SELECT bool_and(d.refclassid = 'pg_proc'::regclass AND d.refobjid = (
                     SELECT r.oid FROM pg_catalog.pg_proc AS r JOIN pg_catalog.pg_namespace AS rn ON rn.oid = r.pronamespace
                     WHERE r.proname = 'tenant_id' AND r.pronargs = 0 AND rn.nspname = :'schema'))
            FROM pg_catalog.pg_depend AS d
            WHERE d.classid = 'pg_policy'::regclass AND d.objid = l.oid
              AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)) AS reads) AS o
  WHERE l.polrelid = c.oid) AS s ON true
WHERE c.relkind IN ('r', 'p', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
REVOKE ALL ON :"schema".tenant_tables FROM PUBLIC;

-- Tables that were isolated once, with their tenant column: what else would tell that they no longer are, when the column
-- or the tenant table has another name, or none?
CREATE TABLE IF NOT EXISTS :"schema".isolated_tables (
  relation oid PRIMARY KEY,
  attnum int2 NOT NULL,
  -- The oid of this table itself, since a dump brings oids to where they are those of others; then the tenant table, its
  -- key and the column, as they were declared.
  declared text NOT NULL
);
REVOKE ALL ON :"schema".isolated_tables FROM PUBLIC;

-- Writes down those of some relations (of all) that have the tenant column, and forgets what is gone, or was written down
-- of something else. It evaluates nothing of anybody's, and can add nothing that is not true.
CREATE OR REPLACE FUNCTION :"schema".remember(among oid[] DEFAULT NULL) RETURNS void
  LANGUAGE sql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
  DELETE FROM :"schema".isolated_tables AS i
  WHERE coalesce(among, '{}') = '{}'
    AND (i.declared <> concat_ws(' ', i.tableoid, :'namespace', :'table', :'key', :'column')
         OR NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = i.relation));
  INSERT INTO :"schema".isolated_tables
  SELECT relation, attnum,
         concat_ws(' ', format('%I.isolated_tables', :'schema')::regclass::oid, :'namespace', :'table', :'key', :'column')
  FROM :"schema".tenant_tables
  WHERE kind IN ('r', 'p') AND fits AND relation = ANY (coalesce(among, ARRAY(SELECT oid FROM pg_class)))
  ON CONFLICT DO NOTHING;
  $$;
REVOKE ALL ON FUNCTION :"schema".remember(oid[]) FROM PUBLIC;

-- Views and materialized views that show rows of tenant tables, through other views as well.
CREATE OR REPLACE VIEW :"schema".tenant_views AS
WITH RECURSIVE link AS (
  SELECT DISTINCT d.refobjid AS source, r.ev_class AS view
  FROM pg_catalog.pg_rewrite AS r
  JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class AND r.rulename = '_RETURN'
    AND r.ev_class >= 16384 AND d.refobjid >= 16384  -- none of the server's own
), shown AS (
  SELECT l.view, l.source FROM link AS l
  -- OFFSET 0: looked up for each of them, not by going through all tables for few views.
  CROSS JOIN LATERAL (SELECT FROM :"schema".tenant_tables AS t WHERE t.relation = l.source OFFSET 0) AS t
  UNION
  SELECT l.view, s.source FROM link AS l JOIN shown AS s ON s.view = l.source
)
SELECT c.oid AS relation, c.relkind AS kind, format('%I.%I', n.nspname, c.relname) AS name, s.source AS source,
       EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
               WHERE o.option_name = 'security_invoker' AND o.option_value::boolean) AS invoker
FROM shown AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.view
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm');
REVOKE ALL ON :"schema".tenant_views FROM PUBLIC;

-- Everything that keeps tenants from being isolated, in the whole database or in some relations of it.
-- `made_by` is the constraint or relation by which the guard tells whether the statement at hand made it.
CREATE OR REPLACE FUNCTION :"schema".isolation_problems(among oid[] DEFAULT NULL)
  RETURNS TABLE (kind text, object text, problem text, made_by oid)
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
  AS $$
  -- Those asked for, and those they refer to: the guard asks after every statement, beside thousands of tables.
  WITH tenant AS MATERIALIZED (
    SELECT * FROM :"schema".tenant_tables
    WHERE relation = ANY (ARRAY(
      SELECT oid FROM pg_class WHERE among IS NULL AND relkind IN ('r', 'p', 'f')
      UNION ALL SELECT unnest(among)
      UNION ALL SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY (among))))
  -- protection of a table; one with a column of another type cannot have any, and that is all there is to say
  SELECT 'enabled', t.name, 'row-level security is off', NULL::oid FROM tenant AS t
  WHERE t.fits AND t.kind <> 'f' AND NOT t.enabled AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT 'forced', t.name, 'its owner is not subject to row-level security', NULL FROM tenant AS t
  WHERE t.fits AND t.kind <> 'f' AND NOT t.forced AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT 'policy', t.name, format('policy %I is missing or is not %s', t.policy, t.canon), NULL FROM tenant AS t
  WHERE t.fits AND t.kind <> 'f' AND NOT t.armed AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT 'type', t.name, format('column %I is %s, declared is %s', t."column", t.type, :'type'), NULL FROM tenant AS t
  WHERE NOT t.fits AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT 'null', t.name, format('column %I may be null', t."column"), NULL FROM tenant AS t
  WHERE t.fits AND t.kind <> 'f' AND NOT t.not_null AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT 'index', t.name, format('no index leads with %I', t."column"), NULL FROM tenant AS t
  WHERE t.fits AND t.kind <> 'f' AND (among IS NULL OR t.relation = ANY (among))
    AND NOT EXISTS (SELECT FROM pg_index AS i
                    WHERE i.indrelid = t.relation AND i.indkey[0] = t.attnum AND i.indisvalid AND i.indpred IS NULL)
  UNION ALL
  SELECT 'lost', format('%I.%I', n.nspname, c.relname),
         CASE WHEN a.attisdropped THEN 'was isolated by a column that it no longer has'
              ELSE format('was isolated by its column that is called %I now', a.attname) END, c.oid
  FROM :"schema".isolated_tables AS i
  JOIN pg_class AS c ON c.oid = i.relation
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.attnum
  WHERE (among IS NULL OR i.relation = ANY (among))
    AND i.declared = concat_ws(' ', i.tableoid, :'namespace', :'table', :'key', :'column')
    AND NOT EXISTS (SELECT FROM :"schema".tenant_tables AS t WHERE t.relation = i.relation AND t.attnum = i.attnum)
    AND format('%s.%s', n.nspname, c.relname) <> ALL (:'shared'::text[])
  -- what goes around it
  UNION ALL
  SELECT 'inheritance', t.name, format('is read and written through %s, which has no column %I', i.inhparent::regclass, t."column"),
         t.relation
  FROM pg_inherits AS i
  JOIN :"schema".tenant_tables AS t ON t.relation = i.inhrelid
  WHERE (among IS NULL OR i.inhrelid = ANY (among) OR i.inhparent = ANY (among))
    AND NOT EXISTS (SELECT FROM :"schema".tenant_tables AS p WHERE p.relation = i.inhparent AND p."column" = t."column")
  UNION ALL
  -- Of the tenant table: its key is no tenant column in a table of another name.
  SELECT 'inheritance', i.inhrelid::regclass::text, format('holds rows of %s, and has no column %I', p.name, :'column'), i.inhrelid
  FROM pg_inherits AS i
  JOIN :"schema".tenant_tables AS p ON p.relation = i.inhparent
  WHERE (among IS NULL OR i.inhrelid = ANY (among) OR i.inhparent = ANY (among))
    AND NOT EXISTS (SELECT FROM :"schema".tenant_tables AS t WHERE t.relation = i.inhrelid)
  UNION ALL
  SELECT CASE WHEN own.relation IS NULL THEN 'reference' ELSE 'foreign key' END,
         format('%s, constraint %I', k.conrelid::regclass, k.conname),
         CASE WHEN own.relation IS NULL
              THEN format('refers to rows of %s, but has no column %I of its own', target.name, :'column')
              ELSE format('does not carry the tenant: add (%I, ...) to the key and refer to %s (%I, ...)',
                          own."column", target.name, target."column") END,
         k.oid
  FROM pg_constraint AS k
  JOIN tenant AS target ON target.relation = k.confrelid
  LEFT JOIN tenant AS own ON own.relation = k.conrelid
  WHERE k.contype = 'f' AND k.conparentid = 0 AND (among IS NULL OR k.conrelid = ANY (among))
    AND NOT EXISTS (SELECT FROM unnest(k.conkey, k.confkey) AS pair (mine, other)
                    WHERE pair.mine = own.attnum AND pair.other = target.attnum)
  UNION ALL
  SELECT 'unique', format('%s, index %I', t.name, x.relname),
         format('without %I it tells whether another tenant has the value', t."column"), NULL
  FROM tenant AS t
  JOIN pg_index AS i ON i.indrelid = t.relation AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary
  JOIN pg_class AS x ON x.oid = i.indexrelid
  WHERE NOT t.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND t."column" = :'column'
    AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT CASE v.kind WHEN 'm' THEN 'materialized view' ELSE 'view' END, v.name,
         CASE v.kind WHEN 'm' THEN 'holds rows of all tenants, and row-level security is not for materialized views'
                     ELSE 'shows the rows that its owner sees: security_invoker is off' END, v.relation
  FROM (SELECT DISTINCT relation, kind, name, invoker FROM :"schema".tenant_views) AS v
  WHERE (v.kind = 'm' OR NOT v.invoker) AND (among IS NULL OR v.relation = ANY (among))
  UNION ALL
  SELECT 'materialized view', m.name, format('calls %s, which may read rows of tenants: row-level security is not for '
                                             'materialized views, and IMMUTABLE would say that it reads none', m.calls), m.relation
  FROM (
    WITH RECURSIVE below (relation, part) AS (
      SELECT c.oid, c.oid FROM pg_class AS c WHERE c.relkind = 'm' AND (among IS NULL OR c.oid = ANY (among))
      UNION
      SELECT b.relation, d.refobjid
      FROM below AS b
      JOIN pg_rewrite AS r ON r.ev_class = b.part
      JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
      WHERE d.refobjid >= 16384)
    SELECT DISTINCT b.relation, format('%I.%I', n.nspname, c.relname) AS name, f.oid::regprocedure AS calls
    FROM below AS b
    JOIN pg_class AS c ON c.oid = b.relation
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_rewrite AS r ON r.ev_class = b.part
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    LEFT JOIN pg_operator AS o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
    JOIN pg_proc AS f ON f.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
    JOIN pg_roles AS maker ON maker.oid = f.proowner
    WHERE NOT maker.rolsuper AND (f.provolatile <> 'i' OR f.prokind = 'a')) AS m
  UNION ALL
  SELECT 'foreign table', t.name, 'row-level security is not for foreign tables', NULL FROM tenant AS t
  WHERE t.kind = 'f' AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT 'right', t.name,
         format('%s for %s is a way around row-level security', g.privilege_type,
                CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END), t.relation
  FROM tenant AS t
  JOIN pg_class AS c ON c.oid = t.relation
  CROSS JOIN LATERAL (
    SELECT * FROM aclexplode(c.relacl)
    UNION SELECT e.* FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid) AS g
  WHERE g.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') AND g.grantee <> c.relowner
    AND (among IS NULL OR t.relation = ANY (among))
  UNION ALL
  SELECT 'function', p.oid::regprocedure::text,
         format('runs with the rights of %s, whom no policy binds', pg_get_userbyid(p.proowner)), NULL
  FROM pg_proc AS p
  JOIN pg_roles AS r ON r.oid = p.proowner AND (r.rolsuper OR r.rolbypassrls)
  WHERE among IS NULL AND p.prosecdef
    AND p.pronamespace::regnamespace::text !~ '^pg_'
    -- What pgstead made for itself lets in whom it is for.
    AND NOT (coalesce(obj_description(p.pronamespace, 'pg_namespace'), '') LIKE 'pgstead: %'
             AND p.pronamespace IN (SELECT n.oid FROM pg_namespace AS n JOIN pg_namespace AS own ON own.nspowner = n.nspowner
                                    WHERE own.nspname = :'schema')
             AND (p.proowner = (SELECT n.nspowner FROM pg_namespace AS n WHERE n.oid = p.pronamespace)
                  OR p.oid = to_regprocedure(format('%I.refers_to_none(oid)', :'schema'))))
    AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g WHERE g.grantee <> p.proowner)
    -- Of an extension's, those that came with it: anybody can give a function of his own to an extension of his.
    AND NOT (r.rolsuper AND EXISTS (SELECT FROM pg_depend AS d
                                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
  $$;
REVOKE ALL ON FUNCTION :"schema".isolation_problems(oid[]) FROM PUBLIC;

-- Tables that are nobody's in particular: are they meant to be? `declared` says yes, in the inventory's tenancy.shared.
-- `open` is what makes an answer necessary: who is bound by policies can leave there what others read.
CREATE OR REPLACE VIEW :"schema".shared_tables AS
SELECT format('%I.%I', n.nspname, c.relname) AS name, format('has no column %I', :'column') AS reason,
       format('%s.%s', n.nspname, c.relname) = ANY (:'shared'::text[]) AS declared,
       EXISTS (SELECT FROM pg_catalog.pg_roles AS r
               WHERE NOT r.rolsuper AND NOT r.rolbypassrls AND r.oid <> c.relowner AND r.rolname !~ '^pg_'
                 AND NOT pg_has_role(r.oid, c.relowner, 'MEMBER')
                 AND has_schema_privilege(r.oid, n.oid, 'USAGE')
                 AND CASE WHEN c.relkind = 'm' THEN has_table_privilege(r.oid, c.oid, 'SELECT')
                          ELSE has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE') END) AS open
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT (n.nspname = :'schema' AND c.relowner = n.nspowner)  -- pgstead's own
  AND c.oid NOT IN (SELECT relation FROM :"schema".tenant_tables)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
REVOKE ALL ON :"schema".shared_tables FROM PUBLIC;

-- ---- the guard ---------------------------------------------------------------------------------------

-- Puts one table under protection. Every statement of it fires the guard again, which calls this again: so the state
-- is read anew before each step, and whoever finds nothing left to do is done. A deploy lets the guard sleep meanwhile.
CREATE OR REPLACE FUNCTION :"schema".protect(relation oid) RETURNS void
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
  AS $$
DECLARE
  t :"schema".tenant_tables;
  v record;
  fires CONSTANT boolean := current_setting('session_replication_role') <> 'replica';
BEGIN
  FOR step IN 1..10 LOOP
    SELECT * INTO t FROM :"schema".tenant_tables AS f WHERE f.relation = protect.relation AND f.kind IN ('r', 'p');
    IF NOT FOUND THEN
      RETURN;
    END IF;
    IF NOT t.fits THEN
      RAISE EXCEPTION 'column % of % is %, but tenants are told apart by %', t."column", t.name, t.type, :'type'
        USING ERRCODE = 'invalid_object_definition';
    END IF;
    IF NOT (t.enabled AND t.forced) THEN
      EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t.name);
      CONTINUE WHEN fires;
    END IF;
    IF NOT t.armed AND t.named THEN
      EXECUTE format('DROP POLICY %I ON %s', t.policy, t.name);
      CONTINUE WHEN fires;
    END IF;
    IF NOT t.armed THEN
      EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE TO PUBLIC USING %s WITH CHECK %s',
                     t.policy, t.name, t.canon, t.canon);
      CONTINUE WHEN fires;
    END IF;
    IF t.open AND t.own THEN
      -- Rows are open to whom the application's own policies open them, and to nobody else.
      EXECUTE format('DROP POLICY tenant_access ON %s', t.name);
      CONTINUE WHEN fires;
    ELSIF NOT t.open AND NOT t.own THEN
      EXECUTE format('CREATE POLICY tenant_access ON %s TO PUBLIC USING (true) WITH CHECK (true)', t.name);
      CONTINUE WHEN fires;
    END IF;
    FOR v IN SELECT DISTINCT w.name FROM :"schema".tenant_views AS w
             WHERE w.source = t.relation AND w.kind = 'v' AND NOT w.invoker LOOP
      EXECUTE format('ALTER VIEW %s SET (security_invoker = on)', v.name);
    END LOOP;
    RETURN;
  END LOOP;
  RAISE EXCEPTION 'protection of % does not come to rest', t.name;
END $$;
REVOKE ALL ON FUNCTION :"schema".protect(oid) FROM PUBLIC;

-- ALTER TABLE checks the rows that a new foreign key finds by a query under the owner's policies, without a tenant.
-- Meanwhile tenant_id() answers NULL to the owner, so that it finds none, and the guard checks them for all tenants. What
-- says so is kept where only a superuser, and this function, can put it; see token.sql. It evaluates nothing of anybody's.
CREATE OR REPLACE FUNCTION :"schema".altering() RETURNS event_trigger
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
DECLARE
  context CONSTANT text := current_setting('backtrace_functions');
BEGIN
  IF tg_event = 'ddl_command_start' THEN
    PERFORM set_config('backtrace_functions', 'altering_' || context, true);
  ELSIF starts_with(context, 'altering_') THEN
    PERFORM set_config('backtrace_functions', substr(context, 10), true);
  END IF;
END $$;
REVOKE ALL ON FUNCTION :"schema".altering() FROM PUBLIC;

-- Whether rows of any tenant refer to none, by a foreign key. The one thing that reads tables of the owner's.
CREATE OR REPLACE FUNCTION :"schema".refers_to_none(key oid) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$
DECLARE
  question text;
  answer boolean;
BEGIN
  SELECT format('SELECT EXISTS (SELECT FROM %s AS c WHERE %s AND NOT EXISTS (SELECT FROM %s AS p WHERE %s))',
                k.conrelid::regclass, string_agg(format('c.%I IS NOT NULL', c.attname), ' AND '),
                k.confrelid::regclass, string_agg(format('p.%I OPERATOR(%I.%s) c.%I', p.attname, n.nspname, o.oprname, c.attname), ' AND '))
  INTO question
  FROM pg_constraint AS k
  CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) AS pair (mine, other, equal)
  JOIN pg_operator AS o ON o.oid = pair.equal
  JOIN pg_namespace AS n ON n.oid = o.oprnamespace
  JOIN pg_attribute AS c ON c.attrelid = k.conrelid AND c.attnum = pair.mine
  JOIN pg_attribute AS p ON p.attrelid = k.confrelid AND p.attnum = pair.other
  WHERE k.oid = key AND k.contype = 'f'
  GROUP BY k.conrelid, k.confrelid;
  EXECUTE question INTO answer;
  RETURN answer;
END $$;
REVOKE ALL ON FUNCTION :"schema".refers_to_none(oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION :"schema".refers_to_none(oid) TO :"owner";
DO $$
BEGIN
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('ALTER FUNCTION %I.refers_to_none(oid) OWNER TO %I', :'schema', :'guard_role');
  ELSE
    EXECUTE format('ALTER FUNCTION %I.refers_to_none(oid) SECURITY INVOKER', :'schema');
  END IF;
END $$;

-- Fires after every DDL statement of anybody, in its transaction: what it makes is protected, what it disarms is armed
-- again, what cannot be protected, or no longer would be, is refused (or reported, by the inventory's `guard`). With the
-- rights of whoever made the statement; where that is a superuser, it evaluates nothing that somebody else could have
-- defined. What a transaction made has its number or a later one (subtransactions); what was there before is reported by
-- pgstead verify, and is no reason to refuse another change.
CREATE OR REPLACE FUNCTION :"schema".guard() RETURNS event_trigger
  LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan
  AS $$
DECLARE
  touched oid[];
  fresh oid[];    -- tables that are tenants' by now, and were not
  heirs oid[];    -- tables that inherit by now from one without tenants, and did not
  holders oid[];  -- materialized views over what is new
  since CONSTANT integer := age(pg_current_xact_id()::xid);
  t record;
  bound CONSTANT boolean := NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user);
BEGIN
  IF tg_event = 'sql_drop' THEN
    SELECT array_agg(DISTINCT CASE d.object_type WHEN 'policy' THEN to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid
                                                 ELSE d.objid END) INTO touched
    FROM pg_event_trigger_dropped_objects() AS d
    WHERE d.object_type IN ('policy', 'table', 'table column') AND NOT d.is_temporary;
    IF EXISTS (SELECT FROM :"schema".isolated_tables AS i
               WHERE i.relation = ANY (touched) AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = i.relation)) THEN
      -- Of its type: '{}' alone would be anything, a text of a function that an owner made as well.
      PERFORM :"schema".remember('{}'::oid[]);
    END IF;
  ELSE
    SELECT array_agg(DISTINCT coalesce(p.polrelid, d.objid)) INTO touched
    FROM pg_event_trigger_ddl_commands() AS d
    LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
    WHERE (d.classid = 'pg_class'::regclass OR p.oid IS NOT NULL) AND NOT d.in_extension;
  END IF;
  IF tg_tag = 'ALTER SCHEMA' THEN  -- the tenant table is known by its schema's name
    SELECT touched || array_agg(i.relation) INTO touched FROM :"schema".isolated_tables AS i
    JOIN pg_class AS c ON c.oid = i.relation
    WHERE c.relnamespace IN (SELECT objid FROM pg_event_trigger_ddl_commands() WHERE classid = 'pg_namespace'::regclass);
  END IF;
  IF tg_tag = 'GRANT' AND bound THEN  -- it names no table; whoever grants by hand to all tables means no harm
    SELECT array_agg(i.relation) INTO touched FROM :"schema".isolated_tables AS i
    WHERE i.relation IN (
      SELECT c.oid FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS g
      WHERE age(c.xmin) <= since AND g.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') AND g.grantee <> c.relowner
      UNION ALL SELECT attrelid FROM pg_attribute WHERE attacl IS NOT NULL AND age(xmin) <= since);
  END IF;
  IF tg_tag = 'ALTER TYPE' THEN  -- tables of a composite type get its attributes
    SELECT touched || array_agg(c.oid) INTO touched FROM pg_class AS c WHERE c.reloftype <> 0;
  END IF;
  IF touched IS NULL THEN
    RETURN;
  END IF;
  -- A table attached as a partition, or made to inherit, is named nowhere in the statement's own objects.
  WITH RECURSIVE family (relation) AS (
    SELECT unnest(touched)
    UNION
    SELECT i.inhrelid FROM pg_inherits AS i JOIN family AS f ON f.relation = i.inhparent
  )
  SELECT array_agg(c.oid) INTO touched
  FROM family AS f JOIN pg_class AS c ON c.oid = f.relation AND c.relkind IN ('r', 'p', 'v', 'm', 'f');
  IF touched IS NULL THEN  -- an index, a sequence
    RETURN;
  END IF;

  SELECT array_agg(f.relation) INTO fresh FROM :"schema".tenant_tables AS f
  WHERE f.relation = ANY (touched) AND NOT EXISTS (SELECT FROM :"schema".isolated_tables AS i WHERE i.relation = f.relation);
  SELECT array_agg(i.inhrelid) INTO heirs FROM pg_inherits AS i JOIN pg_class AS p ON p.oid = i.inhparent
  -- A partition has the columns of its parent; the tenant table's key is another one's by the parent's name.
  WHERE (p.relkind <> 'p' OR to_regclass(format('%I.%I', :'namespace', :'table')) IN (i.inhrelid, i.inhparent))
    AND (i.inhrelid = ANY (fresh)
         OR age(i.xmin) <= since AND (i.inhrelid = ANY (touched) OR i.inhparent = ANY (touched)));
  WITH RECURSIVE above (relation) AS (
    SELECT r.relation FROM (
      SELECT unnest(fresh) UNION SELECT ev_class FROM pg_rewrite WHERE ev_class = ANY (touched) AND age(xmin) <= since) AS r (relation)
    UNION
    SELECT r.ev_class
    FROM above AS a
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.relation AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite AS r ON r.oid = d.objid
  )
  SELECT array_agg(c.oid) INTO holders FROM above AS a JOIN pg_class AS c ON c.oid = a.relation AND c.relkind = 'm';
  -- Asked only where the statement can have made what is refused: it takes longer than all the rest.
  IF heirs IS NOT NULL OR holders IS NOT NULL
     OR EXISTS (SELECT FROM pg_class AS c WHERE c.oid = ANY (touched) AND c.relkind = 'f')
     OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conrelid = ANY (touched) AND age(k.xmin) <= since)
     OR EXISTS (SELECT FROM :"schema".isolated_tables AS i WHERE i.relation = ANY (touched) AND NOT EXISTS (
                  SELECT FROM :"schema".tenant_tables AS f WHERE f.relation = i.relation AND f.attnum = i.attnum)) THEN
    FOR t IN
      SELECT p.kind, p.object, p.problem FROM :"schema".isolation_problems(touched || holders) AS p
      LEFT JOIN pg_constraint AS k ON k.oid = p.made_by
      WHERE (p.kind IN ('foreign key', 'reference') AND age(k.xmin) <= since)
         OR (p.kind = 'inheritance' AND p.made_by = ANY (heirs))
         OR (p.kind = 'materialized view' AND p.made_by = ANY (holders))
         OR p.kind IN ('foreign table', 'lost')
    LOOP
      IF :'guard' = 'refuse' THEN
        RAISE EXCEPTION '% % cannot be isolated by tenant: %', t.kind, t.object, t.problem
          USING ERRCODE = 'invalid_object_definition',
                HINT = CASE t.kind WHEN 'lost' THEN 'a table that is everybody''s is named in tenancy.shared in the inventory; '
                                   ELSE '' END || 'tenancy.guard: report in the inventory lets it pass with a warning';
      END IF;
      RAISE WARNING '% % cannot be isolated by tenant: %', t.kind, t.object, t.problem;
    END LOOP;
  END IF;
  IF fresh IS NOT NULL THEN
    PERFORM :"schema".remember(fresh);
  END IF;

  FOR t IN SELECT c.oid, c.relkind, c.oid::regclass AS name FROM unnest(touched) AS u JOIN pg_class AS c ON c.oid = u LOOP
    IF t.relkind IN ('r', 'p') THEN
      PERFORM :"schema".protect(t.oid);
      -- A table that lost its tenant column has lost the policy on it: then it shows nothing to anybody.
      IF EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = t.oid AND p.polname = 'tenant_access')
         AND NOT EXISTS (SELECT FROM pg_policy AS p
                         WHERE p.polrelid = t.oid AND NOT p.polpermissive
                           AND pg_get_expr(p.polqual, t.oid) LIKE '%tenant_id()%') THEN
        EXECUTE format('DROP POLICY tenant_access ON %s', t.name);
        RAISE WARNING 'table % has no column % any more and shows no rows to anybody', t.name, :'column';
      END IF;
    ELSIF t.relkind = 'v' AND EXISTS (SELECT FROM :"schema".tenant_views AS w WHERE w.relation = t.oid AND NOT w.invoker) THEN
      EXECUTE format('ALTER VIEW %s SET (security_invoker = on)', t.name);
    END IF;
  END LOOP;

  -- TRUNCATE asks no policy, and a trigger or foreign key of one's own sees all rows. By GRANT ALL, or by default.
  IF bound THEN
    FOR t IN
      SELECT DISTINCT f.name, g.grantee::regrole AS grantee FROM :"schema".tenant_tables AS f
      JOIN pg_class AS c ON c.oid = f.relation
      CROSS JOIN LATERAL (
        SELECT * FROM aclexplode(c.relacl)
        UNION SELECT e.* FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid) AS g
      WHERE f.relation = ANY (touched) AND f.kind IN ('r', 'p') AND tg_tag <> 'REVOKE'
        AND g.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') AND g.grantee <> c.relowner
        AND pg_has_role(g.grantor, 'USAGE')
    LOOP
      EXECUTE format('REVOKE TRUNCATE, REFERENCES, TRIGGER ON %s FROM %s', t.name,
                     CASE WHEN t.grantee::oid = 0 THEN 'PUBLIC' ELSE t.grantee::text END);
      RAISE WARNING 'TRUNCATE, REFERENCES and TRIGGER on % are ways around row-level security: not granted', t.name;
    END LOOP;
  END IF;

  -- Whose a row is must be said; of a table that is new that can be demanded without a long look.
  IF bound AND tg_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA') THEN
    FOR t IN SELECT f.name, f."column" FROM :"schema".tenant_tables AS f
             WHERE f.relation = ANY (touched) AND f.kind IN ('r', 'p') AND NOT f.not_null AND NOT f.partition LOOP
      BEGIN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', t.name, t."column");
      EXCEPTION WHEN not_null_violation THEN
        NULL;  -- pgstead verify says so
      END;
    END LOOP;
  END IF;

  -- The check of a foreign key that ALTER TABLE made or validated, or made anew with a key of the parent's: its own saw no
  -- rows. That of a role that no policy binds saw them all, and tenant_id() hides none from others than the owner.
  IF bound AND tg_tag = 'ALTER TABLE'
     AND has_function_privilege(format('%I.refers_to_none(oid)', :'schema'), 'EXECUTE') THEN
    FOR t IN
      SELECT k.oid AS key, k.conname AS name, k.conrelid::regclass AS child, k.confrelid::regclass AS parent
      FROM pg_constraint AS k
      WHERE k.contype = 'f' AND k.convalidated AND (k.conrelid = ANY (touched) OR k.confrelid = ANY (touched))
        AND age(k.xmin) <= since
    LOOP
      IF :"schema".refers_to_none(t.key) THEN
        RAISE EXCEPTION 'foreign key constraint % of table %: rows refer to none of table %', t.name, t.child, t.parent
          USING ERRCODE = 'foreign_key_violation';
      END IF;
    END LOOP;
  END IF;
END $$;
REVOKE ALL ON FUNCTION :"schema".guard() FROM PUBLIC;

DO $$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN
    SELECT * FROM (VALUES
      ('pgstead_guard', 'ddl_command_end', 'guard', NULL), ('pgstead_guard_drop', 'sql_drop', 'guard', NULL),
      ('pgstead_guard_alter', 'ddl_command_start', 'altering', '{ALTER TABLE}'::text[]),
      ('pgstead_guard_altered', 'ddl_command_end', 'altering', '{ALTER TABLE}')) AS w (name, event, function, tags)
  LOOP
    IF EXISTS (SELECT FROM pg_event_trigger AS e WHERE e.evtname = wanted.name
               AND (e.evtfoid IS DISTINCT FROM to_regprocedure(format('%I.%I()', :'schema', wanted.function)) OR e.evtevent <> wanted.event
                    OR e.evttags IS DISTINCT FROM wanted.tags
                    OR pg_get_userbyid(e.evtowner) <> current_user)) THEN
      EXECUTE format('DROP EVENT TRIGGER %I', wanted.name);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = wanted.name) THEN
      EXECUTE format('CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %I.%I()', wanted.name, wanted.event,
                     coalesce(' WHEN TAG IN (' || quote_literal(wanted.tags[1]) || ')', ''), :'schema', wanted.function);
    END IF;
    IF (SELECT evtenabled FROM pg_event_trigger WHERE evtname = wanted.name) <> 'O' THEN
      EXECUTE format('ALTER EVENT TRIGGER %I ENABLE', wanted.name);
    END IF;
  END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
  -- The admin of a managed server may have no right to event triggers. pgstead says so, and verify does.
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RAISE;
  END IF;
END $$;

-- Whoever can make tables runs the guard, and it does nothing that its caller may not do.
DO $$
DECLARE
  maker record;
BEGIN
  FOR maker IN
    SELECT r.rolname FROM pg_catalog.pg_roles AS r
    WHERE NOT r.rolsuper AND r.rolname !~ '^pg_'
      AND (r.rolname = :'owner' OR has_database_privilege(r.oid, current_database(), 'CREATE, TEMPORARY')
           OR EXISTS (SELECT FROM pg_catalog.pg_namespace AS n
                      WHERE n.nspname !~ '^pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE')))
  LOOP
    EXECUTE format('GRANT SELECT ON %1$I.tenant_tables, %1$I.tenant_views, %1$I.isolated_tables TO %2$I',
                   :'schema', maker.rolname);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %1$I.protect(oid), %1$I.isolation_problems(oid[]), %1$I.remember(oid[]) TO %2$I',
                   :'schema', maker.rolname);
  END LOOP;
END $$;
