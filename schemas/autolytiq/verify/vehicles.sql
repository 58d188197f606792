-- Verify autolytiq:vehicles on pg

BEGIN;

\set table vehicles
\ir tenant_table.psql
SELECT 'public.idx_vehicles_dealership'::regclass, 'public.idx_vehicles_vin'::regclass;

DO $$
BEGIN
  ASSERT app.vin_check_digit('1M8GDM9AXKP042788') = 'X' AND app.vin_check_digit('1HGCM82633A004352') = '3'
     AND app.vin_check_digit('1M8GDM9AXKPO42788') IS NULL, 'check digits of VINs are computed wrongly';
  ASSERT EXISTS (SELECT FROM pg_constraint
                 WHERE conrelid = 'public.vehicles'::regclass AND conname = 'vehicles_vin_check_digit'),
    'the check digit of VINs is not checked';
END $$;

ROLLBACK;
