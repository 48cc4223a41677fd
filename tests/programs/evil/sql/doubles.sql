-- A text that doubles forty times.
-- with: memory_bytes=33554432
-- fails: limit: …
WITH RECURSIVE n(x, t) AS (SELECT 1, 'x' UNION ALL SELECT x + 1, t || t FROM n WHERE x < 40) SELECT max(length(t)) FROM n
