-- An index that grows with its table.
-- with: memory_bytes=33554432
-- fails: limit: The SQL needs more memory than its limit of 32 MiB; work on fewer rows at a time
CREATE TABLE t(b BLOB PRIMARY KEY) WITHOUT ROWID;
INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT randomblob(1000) FROM n
