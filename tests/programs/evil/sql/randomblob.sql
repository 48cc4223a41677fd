-- A gigabyte of random bytes.
-- fails: limit: The SQL made a text or blob larger than its limit of 64 MiB
SELECT randomblob(1000000000)
