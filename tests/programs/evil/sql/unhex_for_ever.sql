-- The same with unhex and characters to ignore.
-- with: time_ms=250
-- fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
SELECT length(unhex(printf('%.*c', 4000000, 'z'), printf('%.*c', 2000000, 'y') || 'z'))
