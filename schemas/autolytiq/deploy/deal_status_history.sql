-- Deploy autolytiq:deal_status_history to pg

BEGIN;

CREATE TABLE public.deal_status_history (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  dealership_id uuid NOT NULL DEFAULT app.tenant_id() REFERENCES public.dealerships (id),
  deal_id uuid NOT NULL,
  from_status text,  -- none: the deal was made
  to_status text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- several changes of one transaction keep their order
  UNIQUE (dealership_id, id),
  FOREIGN KEY (dealership_id, deal_id) REFERENCES public.deals (dealership_id, id) ON DELETE CASCADE
);
CREATE INDEX deal_status_history_deal ON public.deal_status_history (dealership_id, deal_id, changed_at);

CREATE FUNCTION app.record_deal_status() RETURNS trigger
  LANGUAGE plpgsql
  AS $$
BEGIN
  IF OLD.status IS DISTINCT FROM NEW.status THEN  -- there is no OLD where a deal is made
    INSERT INTO public.deal_status_history (dealership_id, deal_id, from_status, to_status)
    VALUES (NEW.dealership_id, NEW.id, OLD.status, NEW.status);
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION app.record_deal_status() FROM PUBLIC;
CREATE TRIGGER record_deal_status AFTER INSERT OR UPDATE OF status ON public.deals
  FOR EACH ROW EXECUTE FUNCTION app.record_deal_status();

-- A history that can be written by hand proves nothing. What a trigger writes, and what goes with a deal that is
-- deleted, comes from deeper down.
CREATE FUNCTION app.refuse_history() RETURNS trigger
  LANGUAGE plpgsql
  AS $$
BEGIN
  RAISE EXCEPTION 'deal_status_history is written by changing the status of a deal, and by nothing else'
    USING ERRCODE = 'insufficient_privilege';
END $$;
REVOKE ALL ON FUNCTION app.refuse_history() FROM PUBLIC;
CREATE TRIGGER refuse_history BEFORE INSERT OR UPDATE OR DELETE ON public.deal_status_history
  FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION app.refuse_history();

COMMIT;
