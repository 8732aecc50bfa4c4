-- Names that are not used any more, because what was called so has another one: a build that uses one, and does not know
-- the other, is older than what is stored.

CREATE TABLE saga_retired (
    what TEXT NOT NULL,               -- 'saga', 'state', 'event' or 'command'
    saga TEXT NOT NULL,               -- whose it is; empty for a saga
    was  TEXT NOT NULL,
    name TEXT NOT NULL,               -- the present one
    PRIMARY KEY (what, saga, was)
) STRICT, WITHOUT ROWID;
