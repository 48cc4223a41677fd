-- The same in a temporary table, for which SQLite would use a file.
-- with: memory_bytes=33554432
-- fails: limit: The SQL needs more memory than its limit of 32 MiB; work on fewer rows at a time
CREATE TEMP TABLE t AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT randomblob(1000) b FROM n
