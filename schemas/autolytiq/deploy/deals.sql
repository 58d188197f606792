-- Deploy autolytiq:deals to pg

BEGIN;

-- A status is a text and no enum: comparing enums is not leakproof, so under row-level security no index would help.
-- Who or what is part of a deal cannot be deleted; users are deactivated.
CREATE TABLE public.deals (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  dealership_id uuid NOT NULL DEFAULT app.tenant_id() REFERENCES public.dealerships (id),
  customer_id uuid NOT NULL,
  vehicle_id uuid,      -- not chosen yet
  salesperson_id uuid,
  status text NOT NULL DEFAULT 'draft'
    CHECK (status IN ('draft', 'quoted', 'financing', 'approved', 'delivered', 'cancelled')),
  sale_price numeric(12, 2) NOT NULL DEFAULT 0 CHECK (sale_price >= 0),
  trade_in_value numeric(12, 2) NOT NULL DEFAULT 0 CHECK (trade_in_value >= 0),
  down_payment numeric(12, 2) NOT NULL DEFAULT 0 CHECK (down_payment >= 0),
  tax numeric(12, 2) NOT NULL DEFAULT 0 CHECK (tax >= 0),
  fees numeric(12, 2) NOT NULL DEFAULT 0 CHECK (fees >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dealership_id, id),
  FOREIGN KEY (dealership_id, customer_id) REFERENCES public.customers (dealership_id, id),
  FOREIGN KEY (dealership_id, vehicle_id) REFERENCES public.vehicles (dealership_id, id),
  FOREIGN KEY (dealership_id, salesperson_id) REFERENCES public.users (dealership_id, id)
);
CREATE INDEX idx_deals_customer ON public.deals (customer_id);
CREATE INDEX idx_deals_dealership ON public.deals (dealership_id);
CREATE INDEX idx_deals_status ON public.deals (status);
CREATE INDEX idx_deals_dealership_status ON public.deals (dealership_id, status);
CREATE INDEX idx_deals_dealership_created ON public.deals (dealership_id, created_at DESC);

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.deals
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

COMMIT;
