-- A cross join of six tables.
-- with: time_ms=250
-- fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000)
SELECT count(*) FROM n a, n b, n c, n d, n e, n f WHERE a.x + b.x + c.x + d.x + e.x + f.x < 0
