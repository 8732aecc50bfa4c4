-- The number of instances of each saga, state, status and park, without reading the instances. A change of state, status
-- or park is recorded in the history line of its step (`moved`), which costs no page. Every thousand lines or so, the
-- numbers take in these changes: `saga_meta.counted` is the last line that they contain.

CREATE TABLE saga_count (
    id        INTEGER PRIMARY KEY,
    saga      INTEGER NOT NULL,       -- saga_name.id
    state     TEXT NOT NULL,          -- empty for a damaged body
    status    INTEGER NOT NULL,
    parked    INTEGER NOT NULL,       -- 0 or 1
    instances INTEGER NOT NULL,
    UNIQUE (saga, state, status, parked)
) STRICT;
INSERT INTO saga_count (saga, state, status, parked, instances)
SELECT saga, coalesce(iif(json_valid(body), body ->> '$.state', NULL), '') AS state, status, parked IS NOT NULL AS park,
    count(*)
FROM saga_instance GROUP BY saga, state, status, park;

ALTER TABLE saga_meta ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
UPDATE saga_meta SET counted = coalesce((SELECT max(id) FROM saga_history), 0);
ALTER TABLE saga_history ADD COLUMN moved INTEGER; -- 65,536 times the saga_count.id before, plus the one after

-- An index on the status of all instances was a page in each step that begins or ends one.
DROP INDEX saga_instance_status;
DROP INDEX saga_instance_open;
CREATE INDEX saga_instance_live ON saga_instance (open, id, saga) WHERE over_at IS NULL OR open = 1;
CREATE INDEX saga_instance_failed ON saga_instance (status, id, saga) WHERE status >= 4;
