BEGIN TRANSACTION;
CREATE TABLE saga_alias (
    saga     TEXT NOT NULL,
    alias    TEXT NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (saga, alias)
) STRICT, WITHOUT ROWID;
INSERT INTO "saga_alias" VALUES('order','alias of full',1);
INSERT INTO "saga_alias" VALUES('order','alias of parked',3);
INSERT INTO "saga_alias" VALUES('order','alias of large',4);
INSERT INTO "saga_alias" VALUES('order','alias of many',5);
INSERT INTO "saga_alias" VALUES('another "saga"
','alias of full',7);
CREATE TABLE "saga_consumer" (
    event      TEXT NOT NULL,
    consumer      TEXT NOT NULL,
    subscriber INTEGER NOT NULL,
    PRIMARY KEY (event, consumer, subscriber)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_dead (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer   TEXT NOT NULL,
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
CREATE TABLE "saga_dedup" (
    consumer   TEXT NOT NULL,
    key     TEXT NOT NULL,
    message TEXT NOT NULL,
    content INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (consumer, key, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_delivery (
    id         INTEGER PRIMARY KEY,
    consumer      TEXT NOT NULL,
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
INSERT INTO "saga_history" VALUES(2,1,1,2,'applied',1010,'order.placed','"event"','','started','m-1',NULL,-6218998392569795420);
INSERT INTO "saga_history" VALUES(3,2,NULL,1,'started',1000,'order.placed','"event"','','started','m-1',NULL,-6971501468072660770);
INSERT INTO "saga_history" VALUES(4,2,3,2,'applied',1010,'order.placed','"event"','','started','m-1',NULL,100300451639089798);
INSERT INTO "saga_history" VALUES(5,3,NULL,1,'started',1000,'order.placed','"event"','','started','m-1',NULL,220621204638479251);
INSERT INTO "saga_history" VALUES(6,3,5,2,'applied',1010,'order.placed','"event"','','started','m-1',NULL,-5153983658082323051);
INSERT INTO "saga_history" VALUES(7,4,NULL,1,'started',1000,'order.placed','"event"','','started','m-1',NULL,641032719314357459);
INSERT INTO "saga_history" VALUES(8,4,7,2,'applied',1010,'order.placed','"event"','','started','m-1',NULL,6646569946878571486);
INSERT INTO "saga_history" VALUES(9,5,NULL,1,'started',1000,'order.placed','"event"','','started','m-1',NULL,6455787071697067602);
INSERT INTO "saga_history" VALUES(10,5,9,2,'applied',1010,'order.placed','"event"','','started','m-1',NULL,-3055146649221022548);
INSERT INTO "saga_history" VALUES(11,6,NULL,1,'started',1000,'order.placed','"event"','','started','m-1',NULL,6711502032129127397);
INSERT INTO "saga_history" VALUES(12,7,NULL,1,'started',1000,'order.placed','"event"','','started','m-1',NULL,8043371486368348091);
INSERT INTO "saga_history" VALUES(13,7,12,2,'applied',1010,'order.placed','"event"','','started','m-1',NULL,3441931007928499471);
CREATE TABLE saga_inbox (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer    TEXT NOT NULL,
    key      TEXT NOT NULL,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    payload  TEXT NOT NULL,
    message  TEXT,
    deduplicated   INTEGER NOT NULL,
    task_seq INTEGER,
    task_ord INTEGER,
    hops     INTEGER NOT NULL,
    cause    TEXT,
    at       INTEGER NOT NULL,
    epoch    INTEGER NOT NULL
) STRICT;
INSERT INTO "saga_inbox" VALUES(1,'order','full','event','mail to full',2,'"mail to full"','id of mail to full',0,NULL,NULL,1,NULL,7,0);
INSERT INTO "saga_inbox" VALUES(2,'order','ended','event','mail to ended',2,'"mail to ended"','id of mail to ended',0,NULL,NULL,1,NULL,7,0);
INSERT INTO "saga_inbox" VALUES(3,'order','parked','event','mail to parked',2,'"mail to parked"','id of mail to parked',0,NULL,NULL,1,NULL,7,0);
INSERT INTO "saga_inbox" VALUES(4,'order','large','event','mail to large',2,'"mail to large"','id of mail to large',0,NULL,NULL,1,NULL,7,0);
INSERT INTO "saga_inbox" VALUES(5,'order','many','event','mail to many',2,'"mail to many"','id of mail to many',0,NULL,NULL,1,NULL,7,0);
INSERT INTO "saga_inbox" VALUES(6,'another "saga"
','full','event','mail to full',2,'"mail to full"','id of mail to full',0,NULL,NULL,1,NULL,7,0);
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
    joined       TEXT,
    family      TEXT,                 -- its parent, and what has become of its children
    seq         INTEGER NOT NULL,
    step        BLOB NOT NULL,
    last        INTEGER,              -- the newest line of its history
    created_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    over_at     INTEGER,              -- as changed_at, once it has ended
    checksum    INTEGER NOT NULL
) STRICT;
INSERT INTO "saga_instance" VALUES(1,'order','full',95,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFB','running','started','null','"data of step 2"',3,1,NULL,NULL,'"joined"','"family"',2,X'00000010000000000000000000000001',2,1000,1010,NULL,2942328075566784243);
INSERT INTO "saga_instance" VALUES(2,'order','ended',165,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA','failed','started','null','"data of step 2"',3,1,NULL,NULL,'"joined"','"family"',2,X'00000010000000000000000000000001',4,1000,1010,1010,5312745273595115404);
INSERT INTO "saga_instance" VALUES(3,'order','parked',237,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF9','compensating','started','null','"data of step 2"',3,1,'"turn"','"parked"',NULL,NULL,2,X'00000010000000000000000000000001',6,1000,1010,NULL,-4079669736746404351);
INSERT INTO "saga_instance" VALUES(4,'order','large',72,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA','running','started','null','"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"',3,1,NULL,NULL,'"joined"','"family"',2,X'00000010000000000000000000000001',8,1000,1010,NULL,258918404863897842);
INSERT INTO "saga_instance" VALUES(5,'order','many',177,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFB','running','started','null','"data of step 2"',3,1,NULL,NULL,'"joined"','"family"',2,X'00000010000000000000000000000001',10,1000,1010,NULL,-7829280980758770574);
INSERT INTO "saga_instance" VALUES(6,'order','empty',160,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA','running','started','"of the state"','"data"',3,1,NULL,NULL,'"joined"','"family"',1,X'00000010000000000000000000000000',11,1000,1000,NULL,1495693359780481557);
INSERT INTO "saga_instance" VALUES(7,'another "saga"
','full',246,X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFB','running','started','null','"data of step 2"',3,1,NULL,NULL,'"joined"','"family"',2,X'00000010000000000000000000000001',13,1000,1010,NULL,-774714045601636497);
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
INSERT INTO "saga_meta" VALUES(1,4,1,13,'0de8647d-204f-4646-955c-01ffc22c7ac0',NULL,1,0);
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
INSERT INTO "saga_obligation" VALUES(1,1,0,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(1,1,1,'payment.void','state',NULL,NULL,'paid',4,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(1,1,2,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"','"report"',1,1);
INSERT INTO "saga_obligation" VALUES(3,1,0,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(3,1,1,'payment.void','state',NULL,NULL,'paid',4,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(3,1,2,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"','"report"',1,1);
INSERT INTO "saga_obligation" VALUES(4,1,0,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(4,1,1,'payment.void','state',NULL,NULL,'paid',4,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(4,1,2,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"','"report"',1,1);
INSERT INTO "saga_obligation" VALUES(5,1,0,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(5,1,1,'payment.void','state',NULL,NULL,'paid',4,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(5,1,2,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"','"report"',1,1);
INSERT INTO "saga_obligation" VALUES(7,1,0,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(7,1,1,'payment.void','state',NULL,NULL,'paid',4,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(7,1,2,'payment.void','command',1,0,'payment.make',2,NULL,'"payment.make"','"report"',1,1);
CREATE TABLE saga_retired (
    what TEXT NOT NULL,               -- 'saga', 'state', 'event' or 'command'
    saga TEXT NOT NULL,               -- whose it is; empty for a saga
    was  TEXT NOT NULL,
    name TEXT NOT NULL,               -- the present one
    PRIMARY KEY (what, saga, was)
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
INSERT INTO "saga_task" VALUES(1,1,1,'undo','payment.make',2,'"payment.make"',1,'held',3,2,1000,44,1,1000,-7,1,'no "answer"
','"saved"',1);
INSERT INTO "saga_task" VALUES(1,1,2,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(1,2,0,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(3,1,1,'undo','payment.make',2,'"payment.make"',1,'held',3,2,1000,44,1,1000,-7,1,'no "answer"
','"saved"',1);
INSERT INTO "saga_task" VALUES(3,1,2,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(3,2,0,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(4,1,1,'undo','payment.make',2,'"payment.make"',1,'held',3,2,1000,44,1,1000,-7,1,'no "answer"
','"saved"',1);
INSERT INTO "saga_task" VALUES(4,1,2,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(4,2,0,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,1,'undo','payment.make',2,'"payment.make"',1,'held',3,2,1000,44,1,1000,-7,1,'no "answer"
','"saved"',1);
INSERT INTO "saga_task" VALUES(5,1,2,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,3,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,4,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,5,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,6,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,7,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,8,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,9,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,10,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,11,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,12,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,13,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,14,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,15,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,16,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,17,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,18,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,19,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,20,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,21,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,22,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,23,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,24,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,25,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,26,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,27,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,28,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,29,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,30,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,31,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,32,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,33,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,34,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,35,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,36,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,37,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,38,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,39,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,40,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,41,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,42,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,43,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,44,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,45,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,46,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,47,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,48,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,49,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,50,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,51,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,52,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,53,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,54,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,55,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,56,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,57,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,58,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,59,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,60,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,61,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,62,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,63,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,64,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,65,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,66,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,67,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,68,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,69,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,70,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,71,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,72,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,73,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,74,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,75,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,76,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,77,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,78,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,79,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,80,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,81,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,82,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,83,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,84,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,85,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,86,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,87,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,88,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,89,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,90,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,91,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,92,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,93,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,94,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,95,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,96,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,97,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,98,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,1,99,'undo','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(5,2,0,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(7,1,1,'undo','payment.make',2,'"payment.make"',1,'held',3,2,1000,44,1,1000,-7,1,'no "answer"
','"saved"',1);
INSERT INTO "saga_task" VALUES(7,1,2,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(7,2,0,'command','payment.make',2,'"payment.make"',1,'ready',0,0,1000,0,1,1000,0,0,NULL,NULL,0);
CREATE TABLE saga_timer (
    instance INTEGER NOT NULL,
    name     TEXT NOT NULL,
    visit    INTEGER NOT NULL,
    armed_at INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    fired    INTEGER NOT NULL,
    PRIMARY KEY (instance, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "saga_timer" VALUES(1,'deadline',1,5,9000,2);
INSERT INTO "saga_timer" VALUES(1,'time "out"
',1,5,-5,2);
INSERT INTO "saga_timer" VALUES(3,'deadline',1,5,9000,2);
INSERT INTO "saga_timer" VALUES(3,'time "out"
',1,5,-5,2);
INSERT INTO "saga_timer" VALUES(4,'deadline',1,5,9000,2);
INSERT INTO "saga_timer" VALUES(4,'time "out"
',1,5,-5,2);
INSERT INTO "saga_timer" VALUES(5,'deadline',1,5,9000,2);
INSERT INTO "saga_timer" VALUES(5,'time "out"
',1,5,-5,2);
INSERT INTO "saga_timer" VALUES(7,'deadline',1,5,9000,2);
INSERT INTO "saga_timer" VALUES(7,'time "out"
',1,5,-5,2);
CREATE UNIQUE INDEX saga_instance_address ON saga_instance (saga, key);
CREATE INDEX saga_instance_status ON saga_instance (saga, status);
CREATE INDEX saga_instance_compensating ON saga_instance (status) WHERE status = 'compensating';
CREATE INDEX saga_instance_parked ON saga_instance (id) WHERE parked IS NOT NULL;
CREATE INDEX saga_instance_over ON saga_instance (over_at) WHERE over_at IS NOT NULL;
CREATE INDEX saga_alias_instance ON saga_alias (instance, alias);
CREATE INDEX saga_timer_due ON saga_timer (due_at, instance, name);
CREATE INDEX saga_inbox_to ON saga_inbox (consumer, key);
CREATE INDEX saga_dead_message ON saga_dead (consumer, key, message) WHERE message IS NOT NULL;
CREATE INDEX saga_delivery_named ON saga_delivery (consumer, key, message) WHERE named = 1;
CREATE INDEX saga_dedup_at ON saga_dedup (at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('saga_inbox',6);
COMMIT;
