-- Verify autolytiq:match_knowledge on pg

BEGIN;

DO $$
DECLARE
  f regprocedure := 'app.match_knowledge(public.vector, integer, jsonb)';
BEGIN
  ASSERT (SELECT NOT prosecdef AND provolatile = 's' AND proconfig IS NULL FROM pg_proc WHERE oid = f),
    'app.match_knowledge is not one that the planner can put its query in place of';
  ASSERT has_function_privilege('authenticated', f, 'EXECUTE'), 'authenticated may not call app.match_knowledge';
END $$;

ROLLBACK;
