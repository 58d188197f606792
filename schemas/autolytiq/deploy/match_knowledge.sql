-- Deploy autolytiq:match_knowledge to pg

BEGIN;

-- The k texts of the tenant nearest in meaning, whose metadata contains the filter. With the caller's rights, in SQL
-- and without SET: so the planner puts the query in place of the call, sees the tenant and the vector in it, and uses
-- whichever index fits.
CREATE FUNCTION app.match_knowledge(query_embedding public.vector(1536), k integer DEFAULT 5, filter jsonb DEFAULT '{}')
  RETURNS TABLE (id uuid, content text, metadata jsonb, similarity double precision)
  LANGUAGE sql STABLE PARALLEL SAFE
  AS $$
    SELECT b.id, b.content, b.metadata, 1 - (b.embedding OPERATOR(public.<=>) query_embedding)
    FROM public.knowledge_base AS b
    WHERE b.embedding IS NOT NULL AND b.metadata OPERATOR(pg_catalog.@>) match_knowledge.filter
    ORDER BY b.embedding OPERATOR(public.<=>) query_embedding
    LIMIT k
  $$;
REVOKE ALL ON FUNCTION app.match_knowledge(public.vector, integer, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.match_knowledge(public.vector, integer, jsonb) TO authenticated;

COMMIT;
