BEGIN;

SELECT 1 / (count(*) / 2) FROM pg_attribute WHERE attrelid = 'accounts'::regclass AND attname IN ('code', 'name');
SELECT 1 / count(*) FROM pg_policy WHERE polrelid = 'accounts'::regclass AND polname = 'tenant_isolation_accounts';

ROLLBACK;
