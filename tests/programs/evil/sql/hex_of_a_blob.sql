-- A text twice as long as the limit.
-- fails: limit: The SQL made a text or blob larger than its limit of 64 MiB
SELECT hex(zeroblob(50000000))
