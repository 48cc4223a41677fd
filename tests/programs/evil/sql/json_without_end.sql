-- An endless list, encoded as JSON.
-- with: memory_bytes=33554432
-- fails: limit: …
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT length(json_group_array(x)) FROM n
