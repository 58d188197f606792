BEGIN;

SELECT 1 / (count(*) / 2) FROM pg_attribute WHERE attrelid = 'practices'::regclass AND attname IN ('number', 'name');
SELECT 1 / count(*) FROM pg_policy WHERE polrelid = 'practices'::regclass AND polname = 'only_own_practices';

ROLLBACK;
