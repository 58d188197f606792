-- Revert autolytiq:deal_status_history from pg

BEGIN;

DROP TRIGGER record_deal_status ON public.deals;
DROP FUNCTION app.record_deal_status();
DROP TABLE public.deal_status_history;
DROP FUNCTION app.refuse_history();

COMMIT;
