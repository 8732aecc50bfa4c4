-- Tables and columns are called as the words in the documentation. The words for lines of history change with them, in
-- `schema.rs`, because each line has a checksum.

ALTER TABLE saga_taker RENAME TO saga_consumer;
ALTER TABLE saga_consumer RENAME COLUMN taker TO consumer;

ALTER TABLE saga_mark RENAME TO saga_dedup;
ALTER TABLE saga_dedup RENAME COLUMN taker TO consumer;
DROP INDEX saga_mark_at;
CREATE INDEX saga_dedup_at ON saga_dedup (at);

ALTER TABLE saga_inbox RENAME COLUMN taker TO consumer;
ALTER TABLE saga_inbox RENAME COLUMN marked TO deduplicated;
ALTER TABLE saga_delivery RENAME COLUMN taker TO consumer;
ALTER TABLE saga_dead RENAME COLUMN taker TO consumer;
ALTER TABLE saga_instance RENAME COLUMN noted TO joined;
