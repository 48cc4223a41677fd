-- A single call of a function that compares for hours.
-- with: time_ms=250
-- fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
WITH t(x) AS (SELECT printf('%.*c', 4000000, 'a')) SELECT instr(x, substr(x, 1, 2000000) || 'b') FROM t
