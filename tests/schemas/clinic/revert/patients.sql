BEGIN;

DROP TABLE visits, patients;

COMMIT;
