-- Vectors of 100 tenants whose sizes follow Zipf's law with exponent 1.3, about 100 topics that all tenants share. Two
-- tables hold the same rows: `ours_...` with what pgstead makes, `theirs_...` with the index of the document, made first.
-- :rows rows of :dims dimensions, up to :questions questions for each of three tenants.
SELECT setseed(0.42);
SET max_parallel_workers_per_gather = 0;  -- random() comes in one order
SET maintenance_work_mem = '768MB';

CREATE TEMP TABLE topics AS
SELECT t AS topic, array_agg(random_normal())::vector(:dims) AS center
FROM generate_series(0, 99) AS t, generate_series(1, :dims) GROUP BY t;
CREATE TEMP TABLE shares AS
SELECT t AS tenant, sum(t ^ -1.3) OVER (ORDER BY t) / sum(t ^ -1.3) OVER () AS upto FROM generate_series(1, 100) AS t;

SET ROLE bench_owner;
CREATE TABLE IF NOT EXISTS dealerships (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE ours_:dims (id bigint PRIMARY KEY, dealership_id uuid NOT NULL, embedding vector(:dims) NOT NULL);
CREATE TABLE theirs_:dims (LIKE ours_:dims INCLUDING ALL);
CREATE TABLE questions_:dims (
  number integer PRIMARY KEY, size text, tenant uuid, embedding vector(:dims), truth bigint[]
);
RESET ROLE;
CREATE INDEX ON theirs_:dims USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);

INSERT INTO ours_:dims
SELECT n, md5('tenant' || (SELECT min(tenant) FROM shares WHERE upto > (n - 0.5) / :rows))::uuid, t.center + noise.vector
FROM generate_series(1, :rows::bigint) AS n
JOIN topics AS t ON t.topic = n * 7919 % 100
CROSS JOIN LATERAL (SELECT array_agg(random_normal() * 0.7)::vector(:dims) AS vector
                    FROM generate_series(1, :dims) AS d WHERE n > 0) AS noise
ORDER BY n * 104729 % :rows;
INSERT INTO theirs_:dims SELECT * FROM ours_:dims;
CREATE INDEX ON ours_:dims (dealership_id);
CREATE INDEX ON ours_:dims USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
VACUUM ANALYZE ours_:dims;
VACUUM ANALYZE theirs_:dims;

-- What is asked: something near a row that the tenant has.
INSERT INTO questions_:dims
SELECT row_number() OVER (), s.size, q.dealership_id, q.embedding + noise.vector
FROM (VALUES ('largest', 1), ('median', 50), ('smallest', 100)) AS s (size, tenant)
CROSS JOIN LATERAL (SELECT * FROM ours_:dims WHERE dealership_id = md5('tenant' || s.tenant)::uuid
                    ORDER BY id * 7 % 1009 LIMIT :questions) AS q
CROSS JOIN LATERAL (SELECT array_agg(random_normal() * 0.5)::vector(:dims) AS vector
                    FROM generate_series(1, :dims) AS d WHERE q.id > 0) AS noise;
SET enable_indexscan = off;  -- the truth: all of the tenant's rows compared
UPDATE questions_:dims AS q
SET truth = ARRAY(SELECT o.id FROM ours_:dims AS o WHERE o.dealership_id = q.tenant
                  ORDER BY o.embedding <=> q.embedding, o.id LIMIT 5);
ANALYZE questions_:dims;

-- Every question to one table after the other, by turns first; runs with the rights and settings of its caller.
CREATE OR REPLACE FUNCTION ask(dims integer)
  RETURNS TABLE (side text, size text, ms double precision, recall double precision, missing integer)
  LANGUAGE plpgsql
  AS $$
DECLARE
  q record;
  found bigint[];
  started timestamptz;
BEGIN
  FOR q IN EXECUTE format('SELECT * FROM questions_%s ORDER BY number', dims) LOOP
    PERFORM app.set_tenant(q.tenant);
    FOREACH side IN ARRAY CASE q.number % 2 WHEN 0 THEN ARRAY['ours', 'theirs'] ELSE ARRAY['theirs', 'ours'] END LOOP
      started := clock_timestamp();
      EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM %s_%s ORDER BY embedding <=> $1 LIMIT 5) AS hits', side, dims)
        INTO found USING q.embedding;
      ms := extract(epoch FROM clock_timestamp() - started) * 1000;
      size := q.size;
      missing := cardinality(q.truth) - coalesce(cardinality(found), 0);
      recall := (SELECT count(*) FROM unnest(q.truth) AS t WHERE t = ANY (found)) / cardinality(q.truth)::float;
      RETURN NEXT;
    END LOOP;
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION ask(integer) TO bench_app;
