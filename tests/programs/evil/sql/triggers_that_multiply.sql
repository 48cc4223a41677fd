-- A trigger that inserts all rows again for each row.
-- with: memory_bytes=33554432
-- with: time_ms=2500
-- fails: limit: …
CREATE TABLE t(x);
CREATE TABLE u(x);
CREATE TRIGGER more AFTER INSERT ON t BEGIN INSERT INTO u SELECT randomblob(1000) FROM t; END;
INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n
