-- Version 1. The tables are in the schema of the store. docs/postgres.md describes them.
-- Times are milliseconds since 1970-01-01 UTC. Names and keys compare as bytes.

CREATE TABLE saga_meta (
    id      integer PRIMARY KEY CHECK (id = 1),
    version integer NOT NULL,
    unclean bigint  NOT NULL
);
INSERT INTO saga_meta VALUES (1, 0, 0);

-- The number of the newest inbox row. A writer locks the row until its rows are visible.
CREATE TABLE saga_counter (
    id    integer PRIMARY KEY CHECK (id = 1),
    inbox bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO saga_counter VALUES (1, 0);

-- Epochs of leases. Blocks of row numbers, which the lease holder gives out.
CREATE SEQUENCE saga_epoch;
CREATE SEQUENCE saga_number INCREMENT 65536;

-- At most one row: the lease. `holder` is the handle that took it, and `gen` rises with each new connection of the holder.
CREATE TABLE saga_lease (
    epoch  bigint  PRIMARY KEY,
    gen    integer NOT NULL,
    ttl    bigint  NOT NULL,
    holder uuid    NOT NULL,
    owner  text    NOT NULL,
    since  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE saga_beat (
    epoch bigint PRIMARY KEY,
    beats bigint NOT NULL
) WITH (fillfactor = 10);
-- The newest statements of the lease holder, with the part of their answers that is not known beforehand.
CREATE TABLE saga_batch (
    epoch  bigint NOT NULL,
    number bigint NOT NULL,
    inbox  bigint,
    bad    text,
    PRIMARY KEY (epoch, number)
);

CREATE TABLE saga_name (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE saga_instance (
    id          bigint   PRIMARY KEY,
    saga        integer  NOT NULL,
    key         text COLLATE "C" NOT NULL,
    incarnation uuid     NOT NULL,
    status      smallint NOT NULL,
    parked      boolean  NOT NULL,
    state       text COLLATE "C" NOT NULL,
    seq         bigint   NOT NULL,
    last        bigint,
    over_at     bigint,
    checksum    bigint   NOT NULL,
    body        text     NOT NULL,
    data        text
) WITH (fillfactor = 75);
CREATE UNIQUE INDEX saga_instance_address ON saga_instance (saga, key);
CREATE INDEX saga_instance_live ON saga_instance (id) WHERE over_at IS NULL;
CREATE INDEX saga_instance_compensating ON saga_instance (id) WHERE status = 2;
CREATE INDEX saga_instance_failed ON saga_instance (status, id) WHERE status >= 4;
CREATE INDEX saga_instance_parked ON saga_instance (id) WHERE parked;
CREATE INDEX saga_instance_over ON saga_instance (over_at) WHERE over_at IS NOT NULL;

CREATE TABLE saga_item (
    instance bigint NOT NULL,
    item     text COLLATE "C" NOT NULL,
    seq      bigint,
    ord      bigint,
    due_at   bigint,
    body     text   NOT NULL,
    progress text,
    checksum bigint NOT NULL,
    PRIMARY KEY (instance, item)
) WITH (fillfactor = 90);
CREATE INDEX saga_item_task ON saga_item (instance, seq, ord) WHERE seq IS NOT NULL;
CREATE INDEX saga_item_due ON saga_item (due_at, instance, item) WHERE due_at IS NOT NULL;

CREATE TABLE saga_alias (
    saga     integer NOT NULL,
    alias    text COLLATE "C" NOT NULL,
    instance bigint  NOT NULL,
    PRIMARY KEY (saga, alias)
);

CREATE TABLE saga_label (
    name     text COLLATE "C" NOT NULL,
    value    text COLLATE "C" NOT NULL,
    instance bigint NOT NULL,
    PRIMARY KEY (name, value, instance)
);

CREATE TABLE saga_count (
    saga      integer  NOT NULL,
    state     text COLLATE "C" NOT NULL,
    status    smallint NOT NULL,
    parked    boolean  NOT NULL,
    instances bigint   NOT NULL,
    PRIMARY KEY (saga, state, status, parked)
) WITH (fillfactor = 25);

CREATE TABLE saga_history (
    id       bigint PRIMARY KEY,
    instance bigint NOT NULL,
    prev     bigint,
    checksum bigint NOT NULL,
    body     text   NOT NULL
);

CREATE TABLE saga_inbox (
    id       bigint PRIMARY KEY,
    consumer text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    kind     text NOT NULL,
    message  text COLLATE "C",
    body     text NOT NULL
);
CREATE INDEX saga_inbox_address ON saga_inbox (consumer, key, id);

-- Rows of transactions of the application, in no order. The lease holder moves them into the inbox.
CREATE TABLE saga_arrival (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    kind     text NOT NULL,
    message  text COLLATE "C",
    body     text NOT NULL
);

CREATE TABLE saga_delivery (
    id       bigint PRIMARY KEY,
    consumer text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    message  text COLLATE "C" NOT NULL,
    named    boolean NOT NULL,
    body     text    NOT NULL,
    progress text    NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX saga_delivery_named ON saga_delivery (consumer, key, message) WHERE named;

CREATE TABLE saga_dedup (
    consumer text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    message  text COLLATE "C" NOT NULL,
    content  bigint NOT NULL,
    at       bigint NOT NULL,
    PRIMARY KEY (consumer, key, message)
);
CREATE INDEX saga_dedup_at ON saga_dedup (at);

CREATE TABLE saga_dead (
    id       bigint PRIMARY KEY,
    consumer text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    kind     text   NOT NULL,
    message  text COLLATE "C",
    reason   text   NOT NULL,
    times    bigint NOT NULL,
    at       bigint NOT NULL,
    body     text   NOT NULL
);
CREATE INDEX saga_dead_message ON saga_dead (consumer, key, message);

CREATE TABLE saga_consumer (
    event      text COLLATE "C" NOT NULL,
    consumer   text COLLATE "C" NOT NULL,
    subscriber boolean NOT NULL,
    PRIMARY KEY (event, consumer, subscriber)
);

CREATE TABLE saga_definition (
    saga    text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    body    text   NOT NULL,
    PRIMARY KEY (saga, version)
);

CREATE TABLE saga_retired (
    what text NOT NULL,
    saga text COLLATE "C" NOT NULL,
    was  text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (what, saga, was)
);

CREATE TABLE saga_pause (
    kind text NOT NULL,
    name text COLLATE "C" NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE saga_audit (
    id       bigint PRIMARY KEY,
    consumer text COLLATE "C",
    key      text COLLATE "C",
    request  text COLLATE "C",
    body     text  NOT NULL,
    link     bytea NOT NULL
);
CREATE INDEX saga_audit_address ON saga_audit (consumer, key, id);
CREATE INDEX saga_audit_request ON saga_audit (request) WHERE request IS NOT NULL;

-- Work that comes and goes leaves dead rows. The server removes them before an index becomes long.
ALTER TABLE saga_item SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE saga_inbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE saga_arrival SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE saga_delivery SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE saga_batch SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE saga_count SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE saga_instance SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE saga_history SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE saga_dedup SET (autovacuum_vacuum_insert_scale_factor = 0.05);

-- For people: times as timestamps, JSON as JSON. The JSON functions of the server refuse U+0000.
CREATE VIEW saga_v_instance AS
SELECT i.id, n.name AS saga, i.key,
       (ARRAY['running', 'compensating', 'completed', 'failed', 'aborted'])[i.status] AS status,
       i.state, i.parked, i.seq,
       to_timestamp(((replace(i.body, '\u0000', '\ufffd')::json)->>'created_at')::numeric / 1000) AS created_at,
       to_timestamp(((replace(i.body, '\u0000', '\ufffd')::json)->>'changed_at')::numeric / 1000) AS changed_at,
       replace(i.body, '\u0000', '\ufffd')::json AS body, coalesce(replace(i.data, '\u0000', '\ufffd')::json, (replace(i.body, '\u0000', '\ufffd')::json)->'data') AS data
FROM saga_instance i JOIN saga_name n ON n.id = i.saga;

CREATE VIEW saga_v_item AS
SELECT n.name AS saga, i.key, t.item, to_timestamp(t.due_at::numeric / 1000) AS due_at,
       replace(t.body, '\u0000', '\ufffd')::json AS body, replace(t.progress, '\u0000', '\ufffd')::json AS progress
FROM saga_item t JOIN saga_instance i ON i.id = t.instance JOIN saga_name n ON n.id = i.saga;

CREATE VIEW saga_v_history AS
SELECT n.name AS saga, i.key, h.id, ((replace(h.body, '\u0000', '\ufffd')::json)->>0)::bigint AS seq, (replace(h.body, '\u0000', '\ufffd')::json)->>1 AS kind,
       to_timestamp(((replace(h.body, '\u0000', '\ufffd')::json)->>2)::numeric / 1000) AS at, (replace(h.body, '\u0000', '\ufffd')::json)->>3 AS name,
       (replace(h.body, '\u0000', '\ufffd')::json)->>4 AS "from", (replace(h.body, '\u0000', '\ufffd')::json)->>5 AS "to", (replace(h.body, '\u0000', '\ufffd')::json)->>6 AS cause,
       (replace(h.body, '\u0000', '\ufffd')::json)->>7 AS note, (replace(h.body, '\u0000', '\ufffd')::json)->8 AS payload
FROM saga_history h JOIN saga_instance i ON i.id = h.instance JOIN saga_name n ON n.id = i.saga;
