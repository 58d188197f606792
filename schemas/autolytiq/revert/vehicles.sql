-- Revert autolytiq:vehicles from pg

BEGIN;

DROP TABLE public.vehicles;
DROP FUNCTION app.vin_check_digit(text);

COMMIT;
