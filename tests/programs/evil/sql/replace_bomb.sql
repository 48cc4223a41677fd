-- A text in which each letter becomes a megabyte.
-- fails: limit: The SQL made a text or blob larger than its limit of 64 MiB
SELECT length(replace(printf('%.*c', 1000000, 'a'), 'a', printf('%.*c', 1000000, 'b')))
