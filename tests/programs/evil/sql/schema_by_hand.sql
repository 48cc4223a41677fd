-- Writes to the schema table.
-- fails: …
CREATE TABLE t(x);
UPDATE sqlite_schema SET sql = 'CREATE TABLE t(x, y)', rootpage = 1 WHERE name = 't'
