-- A number, formatted two billion characters wide.
-- fails: limit: The SQL made a text or blob larger than its limit of 64 MiB
SELECT printf('%2147483647d', 1)
