-- Each generated column is twice the one before.
-- with: memory_bytes=67108864
-- fails: limit: …its limit of 64 MiB…
CREATE TABLE t(a, c1 AS (a || a), c2 AS (c1 || c1), c3 AS (c2 || c2), c4 AS (c3 || c3), c5 AS (c4 || c4), c6 AS (c5 || c5),
    c7 AS (c6 || c6), c8 AS (c7 || c7), c9 AS (c8 || c8), c10 AS (c9 || c9), c11 AS (c10 || c10), c12 AS (c11 || c11),
    c13 AS (c12 || c12), c14 AS (c13 || c13), c15 AS (c14 || c14), c16 AS (c15 || c15), c17 AS (c16 || c16),
    c18 AS (c17 || c17), c19 AS (c18 || c18), c20 AS (c19 || c19), c21 AS (c20 || c20), c22 AS (c21 || c21),
    c23 AS (c22 || c22), c24 AS (c23 || c23), c25 AS (c24 || c24), c26 AS (c25 || c25), c27 AS (c26 || c26),
    c28 AS (c27 || c27), c29 AS (c28 || c28), c30 AS (c29 || c29), c31 AS (c30 || c30), c32 AS (c31 || c31));
INSERT INTO t VALUES ('x');
SELECT length(c32) FROM t
