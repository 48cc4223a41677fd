-- A LIKE pattern with exponential backtracking.
-- with: time_ms=250
-- fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n WHERE printf('%.*c', 30000 + x % 2, 'a') LIKE '%a%a%a%a%a%b'
