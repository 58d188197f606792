-- :tables tables with the tenant column that the guard has not seen: event triggers do not fire in a replica's session.
SET session_replication_role = replica;
SELECT format('DROP TABLE %s', name) FROM app.tenant_tables WHERE name ~ 'many_'
\gexec
SET ROLE bench_owner;
SELECT format('CREATE TABLE many_%s (id uuid PRIMARY KEY, dealership_id uuid NOT NULL, body text)', n),
       format('CREATE INDEX ON many_%s (dealership_id)', n)
FROM generate_series(1, :tables) AS n
\gexec
RESET ROLE;
VACUUM ANALYZE;
