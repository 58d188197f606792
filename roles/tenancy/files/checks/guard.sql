-- name: guard
-- What keeps the guard from firing.
WITH wrong (text) AS (
  SELECT string_agg(
           CASE WHEN e.oid IS NULL THEN format('%s is missing', w.name)
                WHEN e.evtenabled <> 'O' THEN format('%s is disabled', w.name)
                WHEN e.evtowner <> (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = :'schema')
                  THEN format('%s belongs to %s', w.name, r.rolname)
                WHEN e.evtfoid IS DISTINCT FROM to_regprocedure(format('%I.%I()', :'schema', w.function))
                  OR e.evttags IS DISTINCT FROM w.tags THEN format('%s is not as deployed', w.name) END, '; ')
  FROM (VALUES ('pgstead_guard', 'guard', NULL), ('pgstead_guard_drop', 'guard', NULL),
               ('pgstead_guard_alter', 'altering', '{ALTER TABLE}'::text[]),
               ('pgstead_guard_altered', 'altering', '{ALTER TABLE}')) AS w (name, function, tags)
  LEFT JOIN pg_catalog.pg_event_trigger AS e ON e.evtname = w.name
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = e.evtowner
)
SELECT 'has its DDL guard armed' AS title, wrong.text IS NULL AS ok,
       coalesce(wrong.text || CASE WHEN NOT me.rolsuper THEN format(' (%s may not create event triggers here)', me.rolname)
                                   ELSE '' END, 'fires after every DDL') AS found,
       CASE WHEN me.rolsuper THEN 'pgstead deploy'
            ELSE 'pgstead deploy after each migration isolates what came; or have the provider make the triggers' END AS fix
FROM wrong, pg_catalog.pg_roles AS me
WHERE me.rolname = current_user;
