-- Comes before questions to what a deploy made: what an owner made under these names would run with the rights of who asks.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p
                 WHERE p.oid = to_regprocedure(quote_ident(:'schema') || '.isolation_problems(oid[])')
                   AND pg_get_userbyid(p.proowner) = current_user) THEN
    RAISE EXCEPTION USING MESSAGE = 'no schema ' || :'schema';
  END IF;
END $$;

