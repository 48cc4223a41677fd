CREATE TABLE threshold (amount INTEGER);
INSERT INTO threshold VALUES (100);
SELECT name, spent FROM spending WHERE spent >= (SELECT amount FROM threshold);
