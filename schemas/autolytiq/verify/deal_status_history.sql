-- Verify autolytiq:deal_status_history on pg

BEGIN;

\set table deal_status_history
\ir tenant_table.psql
SELECT 'public.deal_status_history_deal'::regclass;

DO $$
BEGIN
  ASSERT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.deals'::regclass AND tgname = 'record_deal_status')
     AND EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = 'public.deal_status_history'::regclass AND tgname = 'refuse_history'),
    'the history of deals is not kept, or can be written by hand';
END $$;

ROLLBACK;
