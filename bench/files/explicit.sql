-- isolated.sql without policies: statement by statement the same, every query says whose rows it means.
\set rows 50
\set least 1
\set number random(0, 9999)
SELECT tenant, deal, 'approved' AS status FROM picks WHERE number = :number \gset
BEGIN;
SELECT set_config('bench.tenant', :tenant, true);
SELECT * FROM deals WHERE dealership_id = :tenant AND id = :deal;
SELECT * FROM deals WHERE dealership_id = :tenant ORDER BY created_at DESC LIMIT :rows;
SELECT status, count(*) FROM deals WHERE dealership_id = :tenant GROUP BY status HAVING count(*) >= :least;
SELECT c.name, sum(d.sale_price) FROM deals AS d JOIN customers AS c ON c.id = d.customer_id WHERE d.dealership_id = :tenant AND c.dealership_id = :tenant AND d.status = :status GROUP BY c.id ORDER BY 2 DESC LIMIT 10;
END;
