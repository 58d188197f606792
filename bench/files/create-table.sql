-- CREATE TABLE :times times in one session, as a migration's: with the guard (:mode is origin) or without (replica: event
-- triggers do not fire there). Ends with the milliseconds of each; the first fills the session's caches.
SET session_replication_role = :mode;
CREATE TEMP TABLE took (ms double precision);
SET bench.times = :times;
DO $$
DECLARE
  started timestamptz;
BEGIN
  FOR number IN 1..current_setting('bench.times')::integer LOOP
    SET ROLE bench_owner;
    started := clock_timestamp();
    CREATE TABLE one_more (id uuid PRIMARY KEY, dealership_id uuid NOT NULL, body text);
    COMMIT;
    RESET ROLE;
    INSERT INTO took VALUES (extract(epoch FROM clock_timestamp() - started) * 1000);
    ASSERT (SELECT armed = (current_setting('session_replication_role') = 'origin')
            FROM app.tenant_tables WHERE name = 'public.one_more'), 'a guard where there should be none, or none';
    DROP TABLE one_more;
    COMMIT;
  END LOOP;
END $$;
SELECT json_agg(ms) FROM took;
