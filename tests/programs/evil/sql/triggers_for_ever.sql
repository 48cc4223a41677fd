-- A trigger that fires itself.
-- fails: …
CREATE TABLE t(x);
PRAGMA recursive_triggers = ON;
CREATE TRIGGER again AFTER INSERT ON t BEGIN INSERT INTO t VALUES (new.x + 1); END;
INSERT INTO t VALUES (1)
