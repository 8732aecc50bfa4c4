BEGIN TRANSACTION;
CREATE TABLE saga_alias (
    saga     TEXT NOT NULL,
    alias    TEXT NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (saga, alias)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_dead (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    taker   TEXT NOT NULL,
    key     TEXT NOT NULL,
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    payload TEXT NOT NULL,
    message TEXT,
    hops    INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    detail  TEXT NOT NULL,
    at      INTEGER NOT NULL
, times INTEGER NOT NULL DEFAULT 1) STRICT;
CREATE TABLE saga_delivery (
    id         INTEGER PRIMARY KEY,
    taker      TEXT NOT NULL,
    key        TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    payload    TEXT NOT NULL,
    message    TEXT NOT NULL,
    hops       INTEGER NOT NULL,
    stage      TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    recoveries INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    spent_ms   INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    armed_at   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    error      TEXT,
    saved      TEXT
, left_out INTEGER NOT NULL DEFAULT 0, named INTEGER NOT NULL DEFAULT 1) STRICT;
CREATE TABLE saga_history (
    id         INTEGER PRIMARY KEY,
    instance   INTEGER NOT NULL,
    prev       INTEGER,
    seq        INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    name       TEXT NOT NULL,
    payload    TEXT,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    cause      TEXT,
    note       TEXT,
    checksum   INTEGER NOT NULL
) STRICT;
INSERT INTO "saga_history" VALUES(1,1,NULL,1,'started',1000,'order.placed','"event"','','started','m-1',NULL,-608688622216905573);
INSERT INTO "saga_history" VALUES(2,1,1,1,'turned',1000,'order.placed','"event"','','started','m-1',NULL,-5111574571324798952);
INSERT INTO "saga_history" VALUES(3,1,2,1,'noted',1000,'order.placed','"event"','','started','m-1',NULL,-3067418127122926739);
INSERT INTO "saga_history" VALUES(4,1,3,1,'held',1000,'order.placed','"event"','','started','m-1',NULL,3897858441832974775);
INSERT INTO "saga_history" VALUES(5,1,4,1,'arrived',1000,'order.placed','"event"','','started','m-1',NULL,-728036015576296603);
INSERT INTO "saga_history" VALUES(6,1,5,1,'turned',1000,'order.placed','"event"','','started','m-1',NULL,-5111574571324798952);
CREATE TABLE saga_inbox (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    taker    TEXT NOT NULL,
    key      TEXT NOT NULL,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    payload  TEXT NOT NULL,
    message  TEXT,
    marked   INTEGER NOT NULL,
    task_seq INTEGER,
    task_ord INTEGER,
    hops     INTEGER NOT NULL,
    cause    TEXT,
    at       INTEGER NOT NULL,
    epoch    INTEGER NOT NULL
) STRICT;
CREATE TABLE saga_instance (
    id          INTEGER PRIMARY KEY,
    saga        TEXT NOT NULL,
    key         TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    incarnation BLOB NOT NULL,
    status      TEXT NOT NULL,
    state       TEXT NOT NULL,
    payload     TEXT,
    data        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    visit       INTEGER NOT NULL,
    turn        TEXT,
    parked      TEXT,
    noted       TEXT,
    family      TEXT,                 -- its parent, and what has become of its children
    seq         INTEGER NOT NULL,
    step        BLOB NOT NULL,
    last        INTEGER,              -- the newest line of its history
    created_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    over_at     INTEGER,              -- as changed_at, once it has ended
    checksum    INTEGER NOT NULL
) STRICT;
INSERT INTO "saga_instance" VALUES(1,'order','a',237,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFE','running','started','"of the state"','"data"',3,1,NULL,NULL,'"joined"','"family"',1,X'00000010000000000000000000000000',6,1000,1000,NULL,2437208319505367750);
CREATE TABLE "saga_mark" (
    taker   TEXT NOT NULL,
    key     TEXT NOT NULL,
    message TEXT NOT NULL,
    content INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (taker, key, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_meta (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    epoch          INTEGER NOT NULL,  -- of the lease; checked in every commit
    batch          INTEGER NOT NULL,  -- the last one committed under it
    holder         TEXT,              -- the lease's own secret name
    owner          TEXT,              -- who holds it, for people
    clean          INTEGER NOT NULL,  -- whether it was released
    unclean        INTEGER NOT NULL   -- the last epoch that ended without
) STRICT;
INSERT INTO "saga_meta" VALUES(1,3,1,1,'604df496-ce35-46bd-bca0-0f6e5ef3dd66',NULL,1,0);
CREATE TABLE saga_obligation (
    instance INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    ord      INTEGER NOT NULL,
    undo     TEXT NOT NULL,
    of       TEXT NOT NULL,           -- 'command' or 'state'
    of_seq   INTEGER,                 -- command: its task
    of_ord   INTEGER,
    name     TEXT NOT NULL,           -- of the command or the state
    version  INTEGER NOT NULL,        -- of the payload
    visit    INTEGER,                 -- state
    payload  TEXT,
    report   TEXT,
    task_seq INTEGER,                 -- the task that pays it
    task_ord INTEGER,
    PRIMARY KEY (instance, seq, ord)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_retired (
    what TEXT NOT NULL,               -- 'saga', 'state', 'event' or 'command'
    saga TEXT NOT NULL,               -- whose it is; empty for a saga
    was  TEXT NOT NULL,
    name TEXT NOT NULL,               -- the present one
    PRIMARY KEY (what, saga, was)
) STRICT, WITHOUT ROWID;
CREATE TABLE "saga_taker" (
    event      TEXT NOT NULL,
    taker      TEXT NOT NULL,
    subscriber INTEGER NOT NULL,
    PRIMARY KEY (event, taker, subscriber)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_task (
    instance   INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    ord        INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    payload    TEXT NOT NULL,
    visit      INTEGER NOT NULL,
    stage      TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    recoveries INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    spent_ms   INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    armed_at   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    error      TEXT,
    saved      TEXT, left_out INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (instance, seq, ord)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_timer (
    instance INTEGER NOT NULL,
    name     TEXT NOT NULL,
    visit    INTEGER NOT NULL,
    armed_at INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    fired    INTEGER NOT NULL,
    PRIMARY KEY (instance, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX saga_instance_address ON saga_instance (saga, key);
CREATE INDEX saga_instance_status ON saga_instance (saga, status);
CREATE INDEX saga_instance_compensating ON saga_instance (status) WHERE status = 'compensating';
CREATE INDEX saga_instance_parked ON saga_instance (id) WHERE parked IS NOT NULL;
CREATE INDEX saga_instance_over ON saga_instance (over_at) WHERE over_at IS NOT NULL;
CREATE INDEX saga_alias_instance ON saga_alias (instance, alias);
CREATE INDEX saga_timer_due ON saga_timer (due_at, instance, name);
CREATE INDEX saga_inbox_to ON saga_inbox (taker, key);
CREATE INDEX saga_dead_message ON saga_dead (taker, key, message) WHERE message IS NOT NULL;
CREATE INDEX saga_delivery_named ON saga_delivery (taker, key, message) WHERE named = 1;
CREATE INDEX saga_mark_at ON saga_mark (at);
DELETE FROM "sqlite_sequence";
COMMIT;
