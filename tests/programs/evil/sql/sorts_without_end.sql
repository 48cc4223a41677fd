-- Sorts endless rows.
-- with: memory_bytes=33554432
-- fails: limit: The SQL needs more memory than its limit of 32 MiB; work on fewer rows at a time
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n ORDER BY randomblob(1000)
