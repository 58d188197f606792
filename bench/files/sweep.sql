-- What a deploy does with tables that are there, each step a transaction of its own: protect them, those that are `bare`
-- or (:which is true) all of them, then ask for problems. Ends with the seconds that took.
SET session_replication_role = replica;
SELECT clock_timestamp() AS begin \gset
\o /dev/null
SELECT format('SELECT app.protect(%s)', relation)
FROM (SELECT *, NOT (enabled AND forced AND armed AND (open <> own)) AS bare FROM app.tenant_tables) AS t
WHERE :which ORDER BY name
\gexec
SELECT * FROM app.isolation_problems() ORDER BY kind, object;
\o
SELECT extract(epoch FROM clock_timestamp() - :'begin');
