BEGIN;

CREATE TABLE patients (
  practice bigint NOT NULL DEFAULT isolation.tenant_id() REFERENCES practices (number),
  number bigint GENERATED ALWAYS AS IDENTITY,
  name text NOT NULL,
  born date,
  PRIMARY KEY (practice, number)
);

CREATE TABLE visits (
  practice bigint NOT NULL DEFAULT isolation.tenant_id() REFERENCES practices (number),
  number bigint GENERATED ALWAYS AS IDENTITY,
  patient bigint NOT NULL,
  day date NOT NULL DEFAULT current_date,
  fee numeric(10, 2) NOT NULL CHECK (fee >= 0),
  PRIMARY KEY (practice, number),
  FOREIGN KEY (practice, patient) REFERENCES patients (practice, number) ON DELETE CASCADE
);

COMMIT;
