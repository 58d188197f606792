-- Revert autolytiq:foundation from pg

BEGIN;

DROP FUNCTION app.touch_updated_at();

COMMIT;
