-- Deploy autolytiq:dealerships to pg

BEGIN;

-- The tenants. No UNIQUE but the key: it would tell one tenant what another one has.
CREATE TABLE public.dealerships (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL CHECK (name <> ''),
  license_number text,
  phone text,
  street text,
  city text,
  state text,
  postal_code text,
  time_zone text NOT NULL DEFAULT 'UTC',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.dealerships
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

COMMIT;
