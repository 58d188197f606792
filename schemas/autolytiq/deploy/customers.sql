-- Deploy autolytiq:customers to pg

BEGIN;

CREATE TABLE public.customers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  dealership_id uuid NOT NULL DEFAULT app.tenant_id() REFERENCES public.dealerships (id),
  first_name text NOT NULL,
  last_name text NOT NULL,
  email text CHECK (email LIKE '%_@_%'),
  phone text,
  street text,
  city text,
  state text,
  postal_code text,
  notes text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dealership_id, id)
);
CREATE UNIQUE INDEX customers_email ON public.customers (dealership_id, lower(email));
CREATE INDEX idx_customers_dealership ON public.customers (dealership_id);

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.customers
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

COMMIT;
