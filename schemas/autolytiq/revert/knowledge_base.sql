-- Revert autolytiq:knowledge_base from pg

BEGIN;

DROP TABLE public.knowledge_base;

COMMIT;
