-- What the pooler holds comes over the socket, also while idle between rounds; direct clients come over TCP.
SELECT count(*) FILTER (WHERE client_addr IS NULL) AS pooled, count(*) FILTER (WHERE client_addr IS NOT NULL) AS direct
FROM pg_stat_activity
WHERE usename = 'bench_app';
