-- One narrow row per instance. Tasks, obligations, timers and aliases are items in the column `pending`, and everything
-- else of a step is in `body`. Both are JSON, which the views at the end show as columns. `carry_over.rs` copies the rows
-- of the earlier tables, whose names end in `_4` here, and drops these tables.

ALTER TABLE saga_instance RENAME TO saga_instance_4;
ALTER TABLE saga_history RENAME TO saga_history_4;
ALTER TABLE saga_alias RENAME TO saga_alias_4;
ALTER TABLE saga_task RENAME TO saga_task_4;
ALTER TABLE saga_obligation RENAME TO saga_obligation_4;
ALTER TABLE saga_timer RENAME TO saga_timer_4;
DROP INDEX saga_instance_address;
DROP INDEX saga_instance_status;
DROP INDEX saga_instance_compensating;
DROP INDEX saga_instance_parked;
DROP INDEX saga_instance_over;

CREATE TABLE saga_name (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE         -- of a saga
) STRICT;

CREATE TABLE saga_instance (
    id       INTEGER PRIMARY KEY,
    saga     INTEGER NOT NULL,        -- saga_name.id
    key      TEXT NOT NULL,
    status   INTEGER NOT NULL,        -- 1 running, 2 compensating, 3 completed, 4 failed, 5 aborted
    parked   INTEGER,                 -- 1 while the body has a parked record
    open     INTEGER,                 -- 1 while a task is pending
    over_at  INTEGER,
    seq      INTEGER NOT NULL,
    last     INTEGER,                 -- the newest line of its history
    checksum INTEGER NOT NULL,
    body     TEXT NOT NULL,
    pending  TEXT                     -- NULL while the items are rows of saga_item
) STRICT;
CREATE UNIQUE INDEX saga_instance_address ON saga_instance (saga, key);
CREATE INDEX saga_instance_status ON saga_instance (saga, status);
CREATE INDEX saga_instance_compensating ON saga_instance (id) WHERE status = 2;
CREATE INDEX saga_instance_parked ON saga_instance (id) WHERE parked = 1;
CREATE INDEX saga_instance_open ON saga_instance (id) WHERE open = 1;
CREATE INDEX saga_instance_over ON saga_instance (over_at) WHERE over_at IS NOT NULL;

-- Large data, apart from the row, because SQLite writes a row as a whole.
CREATE TABLE saga_data (
    instance INTEGER PRIMARY KEY,
    data     TEXT NOT NULL
) STRICT;

-- The items of instances with many or large items.
CREATE TABLE saga_item (
    instance INTEGER NOT NULL,
    item     TEXT NOT NULL,
    body     TEXT NOT NULL,
    progress TEXT,                    -- of a task
    checksum INTEGER NOT NULL,
    PRIMARY KEY (instance, item)
) STRICT, WITHOUT ROWID;

-- When timers are due. Everything else about a timer is in its item.
CREATE TABLE saga_timer (
    due_at   INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (due_at, instance, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE saga_alias (
    saga     INTEGER NOT NULL,
    alias    TEXT NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (saga, alias)
) STRICT, WITHOUT ROWID;

CREATE TABLE saga_history (
    id       INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    prev     INTEGER,
    checksum INTEGER NOT NULL,
    body     TEXT NOT NULL
) STRICT;

-- A damaged text is no JSON, and would end a query for all rows. The views show NULL instead.
CREATE VIEW saga_v_instance AS
SELECT i.id, n.name AS saga, i.key,
    CASE i.status WHEN 1 THEN 'running' WHEN 2 THEN 'compensating' WHEN 3 THEN 'completed' WHEN 4 THEN 'failed'
        WHEN 5 THEN 'aborted' END AS status,
    i.body ->> '$.state' AS state, i.body -> '$.payload' AS payload,
    coalesce(i.body -> '$.data', (SELECT data FROM saga_data WHERE instance = i.id)) AS data,
    i.body -> '$.parked' AS parked, i.seq, i.body ->> '$.version' AS version, i.body ->> '$.visit' AS visit,
    i.body -> '$.turn' AS turn, i.body -> '$.joined' AS joined, i.body -> '$.family' AS family,
    i.body ->> '$.incarnation' AS incarnation, i.body ->> '$.step' AS step,
    i.body ->> '$.created_at' AS created_at, i.body ->> '$.changed_at' AS changed_at, i.over_at, i.last
FROM (SELECT id, saga, key, status, seq, last, over_at, iif(json_valid(body), body, NULL) AS body FROM saga_instance) AS i
    JOIN saga_name AS n ON n.id = i.saga;

-- The item of each pending task, obligation, timer and alias.
CREATE VIEW saga_v_item AS
SELECT i.id AS instance, n.name AS saga, i.key, item.key AS item, item.value AS value
FROM saga_instance AS i JOIN saga_name AS n ON n.id = i.saga, json_each(iif(json_valid(i.pending), i.pending, NULL)) AS item
UNION ALL
SELECT i.id, n.name, i.key, ('"' || item.item || '"') ->> '$',
    iif(item.progress IS NULL, item.body, json_set(item.body, '$.progress', json(item.progress)))
FROM saga_item AS item JOIN saga_instance AS i ON i.id = item.instance JOIN saga_name AS n ON n.id = i.saga
WHERE json_valid(item.body) AND (item.progress IS NULL OR json_valid(item.progress));

CREATE VIEW saga_v_task AS
SELECT instance, saga, key, CAST(substr(item, 6) AS INTEGER) AS seq,
    CAST(substr(item, 6 + instr(substr(item, 6), '.')) AS INTEGER) AS ord,
    value ->> '$.kind' AS kind, value ->> '$.name' AS name, value ->> '$.version' AS version,
    value -> '$.payload' AS payload, value ->> '$.visit' AS visit,
    value ->> '$.progress.stage' AS stage, coalesce(value ->> '$.progress.attempts', 0) AS attempts,
    value ->> '$.progress.since' AS since, value ->> '$.progress.epoch' AS epoch,
    coalesce(value ->> '$.progress.due', 0) AS due_at, value ->> '$.progress.error' AS error
FROM saga_v_item WHERE item GLOB 'task.*';

CREATE VIEW saga_v_obligation AS
SELECT instance, saga, key, CAST(substr(item, 12) AS INTEGER) AS seq,
    CAST(substr(item, 12 + instr(substr(item, 12), '.')) AS INTEGER) AS ord,
    value ->> '$.undo' AS undo, value ->> '$.of' AS of, value ->> '$.name' AS name,
    value ->> '$.version' AS version, value ->> '$.visit' AS visit, value -> '$.payload' AS payload,
    value -> '$.report' AS report, value -> '$.task' AS task, value -> '$.undo_task' AS undo_task
FROM saga_v_item WHERE item GLOB 'obligation.*';

CREATE VIEW saga_v_timer AS
SELECT instance, saga, key, substr(item, 7) AS name, value ->> '$.due' AS due_at, value ->> '$.armed' AS armed_at,
    value ->> '$.visit' AS visit, coalesce(value ->> '$.fired', 0) AS fired
FROM saga_v_item WHERE item GLOB 'timer.*';

CREATE VIEW saga_v_alias AS
SELECT instance, saga, key, substr(item, 7) AS alias FROM saga_v_item WHERE item GLOB 'alias.*';

CREATE VIEW saga_v_history AS
SELECT h.id, h.instance, n.name AS saga, i.key, h.prev, h.body ->> '$[0]' AS seq, h.body ->> '$[1]' AS kind,
    h.body ->> '$[2]' AS at, h.body ->> '$[3]' AS name, h.body -> '$[8]' AS payload,
    h.body ->> '$[4]' AS from_state, h.body ->> '$[5]' AS to_state, h.body ->> '$[6]' AS cause,
    h.body ->> '$[7]' AS note
FROM (SELECT id, instance, prev, iif(json_valid(body), body, NULL) AS body FROM saga_history) AS h
    JOIN saga_instance AS i ON i.id = h.instance JOIN saga_name AS n ON n.id = i.saga;
