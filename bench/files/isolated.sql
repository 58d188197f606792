-- As an application under row-level security: it says whose rows it means once, and no query says it again.
-- Every query has a parameter: without one its prepared statement would keep its first plan, on one side alone.
\set rows 50
\set least 1
\set number random(0, 9999)
SELECT tenant, deal, 'approved' AS status FROM picks WHERE number = :number \gset
BEGIN;
SELECT app.set_tenant(:tenant);
SELECT * FROM deals WHERE id = :deal;
SELECT * FROM deals ORDER BY created_at DESC LIMIT :rows;
SELECT status, count(*) FROM deals GROUP BY status HAVING count(*) >= :least;
SELECT c.name, sum(d.sale_price) FROM deals AS d JOIN customers AS c ON c.id = d.customer_id WHERE d.status = :status GROUP BY c.id ORDER BY 2 DESC LIMIT 10;
END;
