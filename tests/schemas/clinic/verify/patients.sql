BEGIN;

SELECT 1 / (count(*) / 4) FROM pg_attribute
WHERE attrelid = 'patients'::regclass AND attname IN ('practice', 'number', 'name', 'born');
SELECT 1 / (count(*) / 5) FROM pg_attribute
WHERE attrelid = 'visits'::regclass AND attname IN ('practice', 'number', 'patient', 'day', 'fee');
SELECT 1 / (count(*) / 2) FROM pg_policy WHERE polname IN ('only_own_patients', 'only_own_visits');

ROLLBACK;
