BEGIN;

CREATE TABLE accounts (
  code text PRIMARY KEY,
  name text NOT NULL
);

COMMIT;
