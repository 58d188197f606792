-- Deploy autolytiq:knowledge_base to pg

BEGIN;

-- No index on the embeddings: the rows of one tenant, found by the index below, are compared exactly. That is faster
-- and finds more until a tenant has some thousands; an HNSW index beside it is for later.
CREATE TABLE public.knowledge_base (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  dealership_id uuid NOT NULL DEFAULT app.tenant_id() REFERENCES public.dealerships (id),
  content text NOT NULL,
  embedding public.vector(1536),  -- null: not computed yet
  metadata jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dealership_id, id)
);
CREATE INDEX idx_knowledge_base_dealership ON public.knowledge_base (dealership_id);

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.knowledge_base
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

COMMIT;
