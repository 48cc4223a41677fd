-- A gigabyte of zeros.
-- fails: limit: The SQL made a text or blob larger than its limit of 64 MiB
SELECT zeroblob(1000000000)
