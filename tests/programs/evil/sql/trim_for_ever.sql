-- The same with trim, which looks for each character in a long list.
-- with: time_ms=250
-- fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
SELECT length(trim(printf('%.*c', 4000000, 'a'), printf('%.*c', 2000000, 'b') || 'a'))
