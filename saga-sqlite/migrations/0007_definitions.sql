-- The definition of each saga and version that has run on this file. Tools read it without the build that wrote it.

CREATE TABLE saga_definition (
    saga    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,            -- JSON, see docs/json.md
    PRIMARY KEY (saga, version)
) STRICT, WITHOUT ROWID;
