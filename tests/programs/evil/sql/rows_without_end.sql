-- More rows than a result may have.
-- with: result_bytes=1048576
-- fails: limit: …1 MiB…
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n
