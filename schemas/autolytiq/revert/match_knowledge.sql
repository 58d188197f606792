-- Revert autolytiq:match_knowledge from pg

BEGIN;

DROP FUNCTION app.match_knowledge(public.vector, integer, jsonb);

COMMIT;
