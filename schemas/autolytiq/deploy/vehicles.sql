-- Deploy autolytiq:vehicles to pg

BEGIN;

-- Check digit of a vehicle identification number, 49 CFR 565.15(c): every character's value times the weight of its
-- position, summed, modulo 11; ten is written X. The ninth character is the check digit, so its weight is 0.
-- NULL for what is no VIN: that is another constraint's to say.
CREATE FUNCTION app.vin_check_digit(vin text) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$
    SELECT CASE WHEN vin ~ '^[A-HJ-NPR-Z0-9]{17}$' THEN
      (SELECT CASE sum(w.weight * substr(v.digits, w.position::int, 1)::int) % 11
                WHEN 10 THEN 'X'
                ELSE (sum(w.weight * substr(v.digits, w.position::int, 1)::int) % 11)::text
              END
       FROM translate(vin, 'ABCDEFGHJKLMNPRSTUVWXYZ', '12345678123457923456789') AS v (digits),
            unnest('{8,7,6,5,4,3,2,10,0,9,8,7,6,5,4,3,2}'::int[]) WITH ORDINALITY AS w (weight, position))
    END
  $$;
REVOKE ALL ON FUNCTION app.vin_check_digit(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.vin_check_digit(text) TO authenticated;  -- whoever inserts evaluates the constraint

CREATE TABLE public.vehicles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  dealership_id uuid NOT NULL DEFAULT app.tenant_id() REFERENCES public.dealerships (id),
  vin text NOT NULL
    CONSTRAINT vehicles_vin_form CHECK (vin ~ '^[A-HJ-NPR-Z0-9]{17}$')
    CONSTRAINT vehicles_vin_check_digit CHECK (substr(vin, 9, 1) = app.vin_check_digit(vin)),
  stock_number text,
  model_year smallint NOT NULL CHECK (model_year BETWEEN 1981 AND 2100),  -- VINs have 17 characters since 1981
  make text NOT NULL,
  model text NOT NULL,
  color text,
  mileage integer NOT NULL DEFAULT 0 CHECK (mileage >= 0),
  condition text NOT NULL DEFAULT 'used' CHECK (condition IN ('new', 'used', 'certified')),
  status text NOT NULL DEFAULT 'available' CHECK (status IN ('available', 'reserved', 'sold', 'withdrawn')),
  cost numeric(12, 2) CHECK (cost >= 0),
  price numeric(12, 2) CHECK (price >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dealership_id, id),
  UNIQUE (dealership_id, vin),
  UNIQUE (dealership_id, stock_number)
);
CREATE INDEX idx_vehicles_dealership ON public.vehicles (dealership_id);
CREATE INDEX idx_vehicles_vin ON public.vehicles (vin);

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.vehicles
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

COMMIT;
