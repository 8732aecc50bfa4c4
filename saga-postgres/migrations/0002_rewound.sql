-- Version 2. A sequence instead of a counter row, and the sign of a crash.

-- The number of the newest inbox row. A writer holds an advisory lock until its rows are visible. A sequence has no dead
-- versions, so an old snapshot of another session does not slow the writers.
-- Earlier processes lock these in the same order. A writer of inbox rows ends before the number is read.
SELECT 1 FROM saga_meta WHERE id = 1 FOR UPDATE;
LOCK TABLE saga_counter IN ACCESS EXCLUSIVE MODE;
CREATE SEQUENCE saga_inbox_number MINVALUE 0;
SELECT setval('saga_inbox_number', (SELECT inbox FROM saga_counter WHERE id = 1));
DROP TABLE saga_counter;

-- The epoch of the lease. The server empties this table after a crash, and a replica does not have its row.
CREATE UNLOGGED TABLE saga_alive (epoch bigint PRIMARY KEY);
