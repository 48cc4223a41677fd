-- Concatenates endless rows.
-- with: memory_bytes=33554432
-- fails: limit: …
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT length(group_concat(randomblob(1000))) FROM n
