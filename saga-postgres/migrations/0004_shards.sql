-- Version 4. Shards: equal parts of the partitions, each with a lease of its own. A store that exists has one shard.
--
-- In a store with several shards, the row numbers of instances, lines, deliveries, dead letters and audit rows have the shard
-- in their lowest 8 bits, below the time. The numbers of inbox rows have it in bits 48 to 55, above a sequence of each shard.

CREATE TABLE saga_shard (
    id      smallint PRIMARY KEY,
    unclean bigint   NOT NULL,
    -- The last statement of the shard with its changes in `saga_count`.
    epoch   bigint   NOT NULL,
    number  bigint   NOT NULL,
    -- A row number that the shard has given out. Later numbers are higher.
    row_number bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO saga_shard (id, unclean, epoch, number)
SELECT 0, m.unclean, c.epoch, c.number FROM saga_meta m, saga_counted c WHERE m.id = 1 AND c.id = 1;
DROP TABLE saga_counted;
ALTER TABLE saga_meta DROP COLUMN unclean, ADD COLUMN shards smallint NOT NULL DEFAULT 1;

ALTER TABLE saga_lease ADD COLUMN shard smallint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX saga_lease_shard ON saga_lease (shard);

-- The processes that share the shards, with their signs of life.
CREATE TABLE saga_node (
    name      text COLLATE "C" PRIMARY KEY,
    build     bigint NOT NULL,
    consumers bigint NOT NULL,
    beats     bigint NOT NULL,
    since     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 20);

-- Mail for another shard than the one of its writer lies here too.
ALTER TABLE saga_arrival ADD COLUMN shard smallint NOT NULL DEFAULT 0;
CREATE INDEX saga_arrival_shard ON saga_arrival (shard, id);
CREATE INDEX saga_arrival_address ON saga_arrival (consumer, key);

-- A purge removes the records of its shard.
ALTER TABLE saga_dedup ADD COLUMN shard smallint NOT NULL DEFAULT 0;
DROP INDEX saga_dedup_at;
CREATE INDEX saga_dedup_at ON saga_dedup (shard, at);

-- An engine reads the rows of its shard by these expressions.
CREATE STATISTICS saga_item_shard ON ((instance & 255)) FROM saga_item;
CREATE STATISTICS saga_instance_shard ON ((id & 255)) FROM saga_instance;
CREATE STATISTICS saga_delivery_shard ON ((id & 255)) FROM saga_delivery;

ALTER TABLE saga_count_change ADD COLUMN shard smallint NOT NULL DEFAULT 0;
DROP INDEX saga_count_change_statement;
CREATE INDEX saga_count_change_statement ON saga_count_change (shard, epoch, number);
