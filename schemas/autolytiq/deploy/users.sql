-- Deploy autolytiq:users to pg

BEGIN;

-- Passwords are the identity service's.
CREATE TABLE public.users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  dealership_id uuid NOT NULL DEFAULT app.tenant_id() REFERENCES public.dealerships (id),
  email text NOT NULL CHECK (email LIKE '%_@_%'),
  full_name text NOT NULL,
  role text NOT NULL DEFAULT 'sales' CHECK (role IN ('admin', 'manager', 'sales', 'finance', 'service')),
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dealership_id, id)  -- what foreign keys refer to, so that they carry the tenant
);
CREATE UNIQUE INDEX users_email ON public.users (dealership_id, lower(email));

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.users
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

COMMIT;
