-- isolated-transaction.sql with a token in place of the tenant's id.
\set left :left - 1
\if :left < 0
\set left 99
\set number random(0, 9999)
SELECT token, deal FROM picks JOIN tokens USING (tenant) WHERE number = :number \gset
\endif
BEGIN;
SELECT app.set_tenant(:token);
SELECT * FROM deals WHERE id = :deal;
END;
