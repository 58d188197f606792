-- Both tables asked every question once: median latency, recall, and how many questions brought less than there is.
SELECT json_agg(a) FROM (
  SELECT side, size, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS ms, avg(recall) AS recall,
         count(*) FILTER (WHERE missing > 0) AS short
  FROM ask(:dims) GROUP BY side, size) AS a;
