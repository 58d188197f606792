-- isolated-transaction.sql without policies: as many statements, the second of them sets a setting as well.
\set left :left - 1
\if :left < 0
\set left 99
\set number random(0, 9999)
SELECT tenant, deal FROM picks WHERE number = :number \gset
\endif
BEGIN;
SELECT set_config('bench.tenant', :tenant, true);
SELECT * FROM deals WHERE dealership_id = :tenant AND id = :deal;
END;
