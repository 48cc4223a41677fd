-- A table whose name is SQL.
-- gives: [{"x":1}]
CREATE TABLE "a""; ATTACH 'x' AS y; --"(x);
INSERT INTO "a""; ATTACH 'x' AS y; --" VALUES (1);
SELECT * FROM "a""; ATTACH 'x' AS y; --"
