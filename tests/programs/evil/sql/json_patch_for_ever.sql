-- The same with json_patch, which looks for each key among all keys.
-- with: time_ms=250
-- fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 400000),
     j(o) AS (SELECT json_group_object('key' || x, x) FROM n)
SELECT length(json_patch(o, o)) FROM j
