-- Verify autolytiq:foundation on pg

BEGIN;

SELECT 'app.touch_updated_at()'::regprocedure, 'app.tenant_id()'::regprocedure;

ROLLBACK;
