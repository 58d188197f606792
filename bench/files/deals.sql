-- 200 tenants with 1,000 customers and 5,000 deals each, as the reference application keys and indexes them. Tenants take
-- turns in the rows, as they would have come over time.
SET ROLE bench_owner;
CREATE TABLE dealerships (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (
  id uuid PRIMARY KEY,
  dealership_id uuid NOT NULL REFERENCES dealerships (id),
  name text NOT NULL,
  UNIQUE (dealership_id, id)
);
CREATE TABLE deals (
  id uuid PRIMARY KEY,
  dealership_id uuid NOT NULL REFERENCES dealerships (id),
  customer_id uuid NOT NULL,
  status text NOT NULL,
  sale_price numeric(12, 2) NOT NULL,
  created_at timestamptz NOT NULL,
  note text NOT NULL,
  UNIQUE (dealership_id, id),
  FOREIGN KEY (dealership_id, customer_id) REFERENCES customers (dealership_id, id)
);
-- What a client asks for next; of no tenant, so that both sides read it alike.
CREATE TABLE picks (number integer PRIMARY KEY, tenant uuid NOT NULL, deal uuid NOT NULL);
RESET ROLE;  -- what follows is for all tenants

SET session_replication_role = replica;  -- rows are made to refer to each other
INSERT INTO dealerships SELECT md5('tenant' || t)::uuid, 'Dealership ' || t FROM generate_series(0, 199) AS t;
INSERT INTO customers
SELECT md5('customer' || n)::uuid, md5('tenant' || n % 200)::uuid, 'Customer ' || n FROM generate_series(0, 199999) AS n;
INSERT INTO deals
SELECT md5('deal' || n)::uuid, md5('tenant' || n % 200)::uuid,
       md5('customer' || n % 200 + 200 * (n / 200 * 7 % 1000))::uuid,
       (ARRAY['draft', 'quoted', 'financing', 'approved', 'delivered', 'cancelled'])[1 + n / 200 % 6],
       (n * 37 % 9000000) / 100.0, timestamptz '2026-01-01' + n * interval '20 s', repeat('note ', 20)
FROM generate_series(0, 999999) AS n;
INSERT INTO picks
SELECT p, md5('tenant' || n % 200)::uuid, md5('deal' || n)::uuid
FROM generate_series(0, 9999) AS p, LATERAL (SELECT p * 104729 % 1000000) AS d (n);
RESET session_replication_role;

CREATE INDEX ON deals (customer_id);
CREATE INDEX ON deals (status);
CREATE INDEX ON deals (dealership_id, status);
CREATE INDEX ON deals (dealership_id, created_at DESC);
VACUUM ANALYZE;
