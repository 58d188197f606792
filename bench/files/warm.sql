-- All configurations start a round alike: no bloat, everything that fits in memory.
TRUNCATE pgbench_history;
VACUUM pgbench_branches, pgbench_tellers;
CREATE EXTENSION IF NOT EXISTS pg_prewarm;
SELECT sum(pg_prewarm(oid)) FROM pg_class WHERE relname ~ '^pgbench_' AND relkind IN ('r', 'i');
