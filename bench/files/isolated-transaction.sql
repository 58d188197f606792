-- A tenant-scoped transaction as an application sends it. Each client works for one tenant 100 times, then for another.
\set left :left - 1
\if :left < 0
\set left 99
\set number random(0, 9999)
SELECT tenant, deal FROM picks WHERE number = :number \gset
\endif
BEGIN;
SELECT app.set_tenant(:tenant);
SELECT * FROM deals WHERE id = :deal;
END;
