-- The index of labels. The labels themselves are in the body of their instance. And the trace context of messages.

CREATE TABLE saga_label (
    name     TEXT NOT NULL,
    value    ANY NOT NULL,            -- TEXT or INTEGER
    instance INTEGER NOT NULL,
    PRIMARY KEY (name, value, instance)
) STRICT, WITHOUT ROWID;

ALTER TABLE saga_inbox ADD COLUMN trace TEXT;
ALTER TABLE saga_delivery ADD COLUMN trace TEXT;
ALTER TABLE saga_dead ADD COLUMN trace TEXT;

DROP VIEW saga_v_instance;

CREATE VIEW saga_v_instance AS
SELECT i.id, n.name AS saga, i.key,
    CASE i.status WHEN 1 THEN 'running' WHEN 2 THEN 'compensating' WHEN 3 THEN 'completed' WHEN 4 THEN 'failed'
        WHEN 5 THEN 'aborted' END AS status,
    i.body ->> '$.state' AS state, i.body -> '$.payload' AS payload,
    coalesce(i.body -> '$.data', (SELECT data FROM saga_data WHERE instance = i.id)) AS data,
    i.body -> '$.labels' AS labels, i.body ->> '$.trace' AS trace,
    i.body -> '$.parked' AS parked, i.seq, i.body ->> '$.version' AS version, i.body ->> '$.visit' AS visit,
    i.body -> '$.turn' AS turn, i.body -> '$.joined' AS joined, i.body -> '$.family' AS family,
    i.body ->> '$.incarnation' AS incarnation, i.body ->> '$.step' AS step,
    i.body ->> '$.created_at' AS created_at, i.body ->> '$.changed_at' AS changed_at, i.over_at, i.last
FROM (SELECT id, saga, key, status, seq, last, over_at, iif(json_valid(body), body, NULL) AS body FROM saga_instance) AS i
    JOIN saga_name AS n ON n.id = i.saga;
