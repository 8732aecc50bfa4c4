-- The decisions of operators, chained by hash. Paused sagas and handlers.

CREATE TABLE saga_audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    why      TEXT NOT NULL,
    verb     TEXT NOT NULL,
    consumer TEXT,
    key      TEXT,
    object   TEXT NOT NULL,
    payload  TEXT,
    declined TEXT,                    -- NULL when the decision was applied
    request  TEXT,
    link     BLOB NOT NULL            -- SHA-256 of the link before and of this row
) STRICT;

CREATE INDEX saga_audit_instance ON saga_audit (consumer, key, id) WHERE consumer IS NOT NULL;
CREATE INDEX saga_audit_request ON saga_audit (request) WHERE request IS NOT NULL;

CREATE TRIGGER saga_audit_no_update BEFORE UPDATE ON saga_audit
BEGIN SELECT RAISE(ABORT, 'rows of saga_audit are never changed'); END;
CREATE TRIGGER saga_audit_no_delete BEFORE DELETE ON saga_audit
BEGIN SELECT RAISE(ABORT, 'rows of saga_audit are never removed'); END;

CREATE TABLE saga_pause (
    kind TEXT NOT NULL,               -- 'saga' or 'handler'
    name TEXT NOT NULL,
    who  TEXT NOT NULL,
    why  TEXT NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
