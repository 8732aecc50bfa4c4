-- Version 3. Changes of the counts are added, and folded from time to time. A commit that updates a count in place adds a version
-- to its row, and all versions stay while another session has an old snapshot.

CREATE TABLE saga_count_change (
    epoch  bigint   NOT NULL,
    number bigint   NOT NULL,
    saga   integer  NOT NULL,
    state  text COLLATE "C" NOT NULL,
    status smallint NOT NULL,
    parked boolean  NOT NULL,
    change bigint   NOT NULL
);
CREATE INDEX saga_count_change_statement ON saga_count_change (epoch, number);
ALTER TABLE saga_count_change SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- The last statement with its changes in `saga_count`.
CREATE TABLE saga_counted (
    id     integer PRIMARY KEY CHECK (id = 1),
    epoch  bigint  NOT NULL,
    number bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO saga_counted VALUES (1, 0, 0);
