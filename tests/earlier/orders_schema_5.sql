BEGIN TRANSACTION;
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
INSERT INTO saga_meta VALUES(1,5,1,0,'b1758443-9535-4d70-92e3-af4604f08eed','process 6883',0,0);
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
INSERT INTO saga_delivery VALUES(1,'completed-mail','gen-000018','order.completed',1,'{"order":"gen-000018","payment":"pay-gen-000018"}','807f0226-df12-5fa0-93dd-21eba79caab0',1,'ready',0,0,1795745603830,0,1,1795745603830,0,0,NULL,NULL,0,0);
INSERT INTO saga_delivery VALUES(2,'completed-mail','gen-000025','order.completed',1,'{"order":"gen-000025","payment":"pay-gen-000025"}','61914502-853d-55c2-9c8b-c9378ca849c2',1,'ready',0,0,1795745603830,0,1,1795745603830,0,0,NULL,NULL,0,0);
INSERT INTO saga_delivery VALUES(3,'completed-mail','gen-000029','order.completed',1,'{"order":"gen-000029","payment":"pay-gen-000029"}','e02d15d0-7f02-5e01-93be-fac58bbf0bf2',1,'ready',0,0,1795745603830,0,1,1795745603830,0,0,NULL,NULL,0,0);
INSERT INTO saga_delivery VALUES(4,'completed-mail','gen-000030','order.completed',1,'{"order":"gen-000030","payment":"pay-gen-000030"}','e59114bc-d98b-5918-af6f-2291233aec43',1,'ready',0,0,1795745603830,0,1,1795745603830,0,0,NULL,NULL,0,0);
INSERT INTO saga_delivery VALUES(5,'completed-mail','gen-000004','order.completed',1,'{"order":"gen-000004","payment":"pay-gen-000004"}','bcfecf58-4243-5a70-bb4b-a85cb2290113',1,'ready',0,0,1795745603831,0,1,1795745603831,0,0,NULL,NULL,0,0);
INSERT INTO saga_delivery VALUES(6,'completed-mail','gen-000012','order.completed',1,'{"order":"gen-000012","payment":"pay-gen-000012"}','a5df5067-c31a-57b6-8d92-e11cf88b119b',1,'ready',0,0,1795745603831,0,1,1795745603831,0,0,NULL,NULL,0,0);
CREATE TABLE IF NOT EXISTS "saga_dedup" (
    consumer   TEXT NOT NULL,
    key     TEXT NOT NULL,
    message TEXT NOT NULL,
    content INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (consumer, key, message)
) STRICT, WITHOUT ROWID;
INSERT INTO saga_dedup VALUES('order','gen-000001','gen-000001',736024737828497994,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000002','gen-000002',-3918649963259253044,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000003','gen-000003',1146276340941013428,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000004','gen-000004',8966984047796752464,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000005','gen-000005',-409408472406308345,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000006','gen-000006',5201963744454743169,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000007','gen-000007',-3403876535631277003,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000008','gen-000008',396917958612644744,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000009','gen-000009',-1074960334497355407,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000010','gen-000010',-8207961471534145218,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000011','gen-000011',-5295407504210968752,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000012','gen-000012',-1659251717681691544,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000013','gen-000013',3286713883267105975,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000014','gen-000014',8030021909142950699,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000015','gen-000015',5875669736350833191,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000016','gen-000016',1729206018153691863,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000017','gen-000017',-7695356880813761199,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000018','gen-000018',-8067164400414934278,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000019','gen-000019',1937755213620678310,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000020','gen-000020',3393723944441763166,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000021','gen-000021',-2186975161977318990,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000022','gen-000022',-4704866163454213525,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000023','gen-000023',5099154083267367108,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000024','gen-000024',3229269408210690931,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000025','gen-000025',-1136930941981094902,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000026','gen-000026',-4703028072204528337,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000027','gen-000027',2070593887466536527,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000028','gen-000028',-4305847177991412215,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000029','gen-000029',-2037019525795336313,1795745603816);
INSERT INTO saga_dedup VALUES('order','gen-000030','gen-000030',7088632867026658918,1795745603816);
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
CREATE TABLE IF NOT EXISTS "saga_consumer" (
    event      TEXT NOT NULL,
    consumer      TEXT NOT NULL,
    subscriber INTEGER NOT NULL,
    PRIMARY KEY (event, consumer, subscriber)
) STRICT, WITHOUT ROWID;
INSERT INTO saga_consumer VALUES('order.cancel-requested','order',0);
INSERT INTO saga_consumer VALUES('order.cancelled','cancelled-mail',1);
INSERT INTO saga_consumer VALUES('order.completed','completed-mail',1);
INSERT INTO saga_consumer VALUES('order.placed','order',0);
CREATE TABLE saga_retired (
    what TEXT NOT NULL,               -- 'saga', 'state', 'event' or 'command'
    saga TEXT NOT NULL,               -- whose it is; empty for a saga
    was  TEXT NOT NULL,
    name TEXT NOT NULL,               -- the present one
    PRIMARY KEY (what, saga, was)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_name (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE         -- of a saga
) STRICT;
INSERT INTO saga_name VALUES(1,'order');
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
INSERT INTO saga_instance VALUES(1,1,'gen-000001',1,NULL,1,NULL,2,57,-6534866866137088860,'{"incarnation":"3cf3846d-10eb-4184-8fb8-d8ecc9d5db44","step":"00000000-0000-0001-0000-000000000039","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000001"},"data":{"id":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000001"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000001"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(2,1,'gen-000002',1,NULL,1,NULL,2,52,4344027011203476253,'{"incarnation":"0491d7df-7fb0-400e-98ca-bd4e12b55472","step":"00000000-0000-0001-0000-000000000034","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000002"},"data":{"id":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000002"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000002"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(3,1,'gen-000003',1,NULL,1,NULL,2,53,-5073803615230574461,'{"incarnation":"54d44e18-84b3-4c62-a5f8-2197b7083ec3","step":"00000000-0000-0001-0000-000000000035","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000003"},"data":{"id":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000003"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000003"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(4,1,'gen-000004',3,NULL,NULL,1795745603831,3,67,153156622030288234,'{"incarnation":"840ac712-1bfe-4c6e-b698-291fb77f04ca","step":"00000000-0000-0001-0000-000000000042","state":"completed","version":1,"visit":3,"created_at":1795745603816,"changed_at":1795745603831,"data":{"id":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(5,1,'gen-000005',1,NULL,1,NULL,2,51,961193209348229577,'{"incarnation":"e9bb804c-76d9-4ca3-8b8c-fa37d20fcfac","step":"00000000-0000-0001-0000-000000000033","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000005"},"data":{"id":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000005"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000005"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(6,1,'gen-000006',1,NULL,1,NULL,2,54,6622145986668911572,'{"incarnation":"c61d20f6-a2ee-4361-a65d-4285d8d7f27c","step":"00000000-0000-0001-0000-000000000036","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000006"},"data":{"id":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000006"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000006"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(7,1,'gen-000007',4,NULL,NULL,1795745603822,2,32,-436818275842778093,'{"incarnation":"724cb1c9-736c-4434-b8e5-a1a5d08c95f1","step":"00000000-0000-0001-0000-000000000020","state":"payment-failed","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603822,"data":{"id":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(8,1,'gen-000008',1,NULL,1,NULL,2,55,-3314832687475729085,'{"incarnation":"ba8a639a-42cd-445c-8665-38b6dc6b8675","step":"00000000-0000-0001-0000-000000000037","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000008"},"data":{"id":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000008"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000008"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(9,1,'gen-000009',1,NULL,1,NULL,2,42,-9101643177245185000,'{"incarnation":"9c6c58d9-8c5a-4066-a967-442e57b7166c","step":"00000000-0000-0001-0000-00000000002a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000009"},"data":{"id":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000009"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000009"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(10,1,'gen-000010',4,NULL,NULL,1795745603822,2,33,1510931658657759870,'{"incarnation":"afcce302-2f70-4802-9080-d90a2e7aba40","step":"00000000-0000-0001-0000-000000000021","state":"payment-failed","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603822,"data":{"id":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(11,1,'gen-000011',1,NULL,1,NULL,2,43,-1176823169304848324,'{"incarnation":"b4e5b178-1339-4982-bd3e-143ab1338e14","step":"00000000-0000-0001-0000-00000000002b","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000011"},"data":{"id":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000011"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000011"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(12,1,'gen-000012',3,NULL,NULL,1795745603831,3,68,6062661740881638787,'{"incarnation":"695216d9-bc3c-4e3b-93a3-5942314de386","step":"00000000-0000-0001-0000-000000000043","state":"completed","version":1,"visit":3,"created_at":1795745603816,"changed_at":1795745603831,"data":{"id":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(13,1,'gen-000013',1,NULL,1,NULL,2,44,4929857951171154425,'{"incarnation":"bcdad808-4701-4d44-903e-a7632c494d94","step":"00000000-0000-0001-0000-00000000002c","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000013"},"data":{"id":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000013"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000013"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(14,1,'gen-000014',1,NULL,1,NULL,2,45,-5817496958831763634,'{"incarnation":"c31cfcbc-06d5-4340-ad2a-8447a5321492","step":"00000000-0000-0001-0000-00000000002d","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000014"},"data":{"id":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000014"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000014"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(15,1,'gen-000015',1,NULL,1,NULL,2,46,4240752410644576798,'{"incarnation":"11ca09db-ea56-415d-9720-e4394489f110","step":"00000000-0000-0001-0000-00000000002e","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000015"},"data":{"id":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000015"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000015"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(16,1,'gen-000016',1,NULL,1,NULL,2,60,-1571768868161474852,'{"incarnation":"32071e5b-8671-400d-a751-a31e4db3ae34","step":"00000000-0000-0001-0000-00000000003c","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603829,"payload":{"payment":"pay-gen-000016"},"data":{"id":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000016"},"visit":2,\n"progress":{"stage":"ready","since":1795745603829,"epoch":1,"armed":1795745603829}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000016"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(17,1,'gen-000017',2,NULL,1,NULL,3,70,-2144625431645234061,'{"incarnation":"1e82f9b8-5632-4fd9-b867-a0c7f9cd45c2","step":"00000000-0000-0001-0000-000000000044","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603831,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000017"}},"attempts":0}}},"payload":{"payment":"pay-gen-000017"},"data":{"id":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}}',replace('{\n"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000017","payment":"pay-gen-000017","cents":34723},"visit":2,\n"progress":{"stage":"ready","since":1795745603831,"epoch":1,"armed":1795745603831}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000017"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000017"},"undo_task":[3,0]}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(18,1,'gen-000018',3,NULL,NULL,1795745603830,3,61,2927054523132978319,'{"incarnation":"f4f22311-de17-426b-8575-08a4cb51fe78","step":"00000000-0000-0001-0000-00000000003d","state":"completed","version":1,"visit":3,"created_at":1795745603816,"changed_at":1795745603830,"data":{"id":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(19,1,'gen-000019',1,NULL,1,NULL,2,59,-1952806238824987546,'{"incarnation":"634241d0-3b05-46d9-9028-dcff567464e3","step":"00000000-0000-0001-0000-00000000003b","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603827,"payload":{"payment":"pay-gen-000019"},"data":{"id":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000019"},"visit":2,\n"progress":{"stage":"ready","since":1795745603827,"epoch":1,"armed":1795745603827}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000019"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(20,1,'gen-000020',1,NULL,1,NULL,2,47,8047887159656338513,'{"incarnation":"d957f9c4-e4b2-48fc-8d97-40b1e128aa2d","step":"00000000-0000-0001-0000-00000000002f","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000020"},"data":{"id":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000020"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000020"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(21,1,'gen-000021',1,NULL,1,NULL,2,48,7013593774875215611,'{"incarnation":"f1f216c9-2985-4ed9-b35c-f8fc175d8126","step":"00000000-0000-0001-0000-000000000030","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000021"},"data":{"id":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000021"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000021"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(22,1,'gen-000022',1,NULL,1,NULL,2,49,2359667428405133672,'{"incarnation":"00ed5613-dba4-4fb2-8796-5c56238f41a4","step":"00000000-0000-0001-0000-000000000031","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000022"},"data":{"id":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000022"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000022"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(23,1,'gen-000023',4,NULL,NULL,1795745603822,2,37,-3035181625161495672,'{"incarnation":"d6aaacc4-ad12-4d30-86fa-9ef107d16d49","step":"00000000-0000-0001-0000-000000000025","state":"payment-failed","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603822,"data":{"id":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(24,1,'gen-000024',1,NULL,1,NULL,2,50,8508564965407488083,'{"incarnation":"85aa09df-f815-49c7-a475-03db229be0a9","step":"00000000-0000-0001-0000-000000000032","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000024"},"data":{"id":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000024"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000024"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(25,1,'gen-000025',3,NULL,NULL,1795745603830,3,62,9177425385663259673,'{"incarnation":"ed5b6daa-067c-415b-a163-8ad79e00cfd2","step":"00000000-0000-0001-0000-00000000003e","state":"completed","version":1,"visit":3,"created_at":1795745603816,"changed_at":1795745603830,"data":{"id":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(26,1,'gen-000026',2,NULL,1,NULL,3,64,3101407941728937141,'{"incarnation":"48ad7470-5fd2-45f1-aeb9-3cf74ca1d9f8","step":"00000000-0000-0001-0000-00000000003f","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603830,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000026"}},"attempts":0}}},"payload":{"payment":"pay-gen-000026"},"data":{"id":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}}',replace('{\n"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000026","payment":"pay-gen-000026","cents":5994},"visit":2,\n"progress":{"stage":"ready","since":1795745603830,"epoch":1,"armed":1795745603830}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000026"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000026"},"undo_task":[3,0]}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(27,1,'gen-000027',1,NULL,1,NULL,2,56,4707794251177192200,'{"incarnation":"4a7deaa7-645a-4e75-81a6-4aed25abf872","step":"00000000-0000-0001-0000-000000000038","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603825,"payload":{"payment":"pay-gen-000027"},"data":{"id":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000027"},"visit":2,\n"progress":{"stage":"ready","since":1795745603825,"epoch":1,"armed":1795745603825}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000027"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(28,1,'gen-000028',1,NULL,1,NULL,2,58,5122183395688580803,'{"incarnation":"eaff1a18-8366-4d3d-b991-38a896d0ee4a","step":"00000000-0000-0001-0000-00000000003a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795745603816,"changed_at":1795745603827,"payload":{"payment":"pay-gen-000028"},"data":{"id":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}}',replace('{\n"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000028"},"visit":2,\n"progress":{"stage":"ready","since":1795745603827,"epoch":1,"armed":1795745603827}},\n"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000028"}},\n"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}\n}','\n',char(10)));
INSERT INTO saga_instance VALUES(29,1,'gen-000029',3,NULL,NULL,1795745603830,3,65,1076095625331248834,'{"incarnation":"8ed0d3e7-b5e0-4191-957b-69da74c437b0","step":"00000000-0000-0001-0000-000000000040","state":"completed","version":1,"visit":3,"created_at":1795745603816,"changed_at":1795745603830,"data":{"id":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}}','{}');
INSERT INTO saga_instance VALUES(30,1,'gen-000030',3,NULL,NULL,1795745603830,3,66,-5839796491828522661,'{"incarnation":"890f090a-31aa-4c9d-bc12-216458436f66","step":"00000000-0000-0001-0000-000000000041","state":"completed","version":1,"visit":3,"created_at":1795745603816,"changed_at":1795745603830,"data":{"id":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}}','{}');
CREATE TABLE saga_data (
    instance INTEGER PRIMARY KEY,
    data     TEXT NOT NULL
) STRICT;
CREATE TABLE saga_item (
    instance INTEGER NOT NULL,
    item     TEXT NOT NULL,
    body     TEXT NOT NULL,
    progress TEXT,                    -- of a task
    checksum INTEGER NOT NULL,
    PRIMARY KEY (instance, item)
) STRICT, WITHOUT ROWID;
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
INSERT INTO saga_history VALUES(1,1,NULL,5428133953790103958,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000001",null,{"order":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}]');
INSERT INTO saga_history VALUES(2,2,NULL,3076838020728934153,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000002",null,{"order":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}]');
INSERT INTO saga_history VALUES(3,3,NULL,-94148417187766617,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000003",null,{"order":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}]');
INSERT INTO saga_history VALUES(4,4,NULL,7915288922396445937,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000004",null,{"order":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}]');
INSERT INTO saga_history VALUES(5,5,NULL,2565248148315845138,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000005",null,{"order":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}]');
INSERT INTO saga_history VALUES(6,6,NULL,-2695230787667180712,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000006",null,{"order":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}]');
INSERT INTO saga_history VALUES(7,7,NULL,-5020755553571732100,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000007",null,{"order":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}]');
INSERT INTO saga_history VALUES(8,8,NULL,-5340761497134565954,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000008",null,{"order":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}]');
INSERT INTO saga_history VALUES(9,9,NULL,-3550028980061675714,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000009",null,{"order":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}]');
INSERT INTO saga_history VALUES(10,10,NULL,-4545132802282802905,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000010",null,{"order":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}]');
INSERT INTO saga_history VALUES(11,11,NULL,-3383975588728717484,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000011",null,{"order":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}]');
INSERT INTO saga_history VALUES(12,12,NULL,8248373679293486263,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000012",null,{"order":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}]');
INSERT INTO saga_history VALUES(13,13,NULL,8105365447887273083,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000013",null,{"order":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}]');
INSERT INTO saga_history VALUES(14,14,NULL,-501603727850222246,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000014",null,{"order":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}]');
INSERT INTO saga_history VALUES(15,15,NULL,2819461812850306757,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000015",null,{"order":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}]');
INSERT INTO saga_history VALUES(16,16,NULL,-4231822608214717067,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000016",null,{"order":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}]');
INSERT INTO saga_history VALUES(17,17,NULL,2309837751250838519,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000017",null,{"order":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}]');
INSERT INTO saga_history VALUES(18,18,NULL,-8152146958584251191,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000018",null,{"order":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}]');
INSERT INTO saga_history VALUES(19,19,NULL,-233892959274998094,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000019",null,{"order":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}]');
INSERT INTO saga_history VALUES(20,20,NULL,500340514785348670,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000020",null,{"order":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}]');
INSERT INTO saga_history VALUES(21,21,NULL,-175554493126751183,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000021",null,{"order":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}]');
INSERT INTO saga_history VALUES(22,22,NULL,7871617826512750606,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000022",null,{"order":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}]');
INSERT INTO saga_history VALUES(23,23,NULL,-7471382985632897787,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000023",null,{"order":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}]');
INSERT INTO saga_history VALUES(24,24,NULL,-3203183508200818153,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000024",null,{"order":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}]');
INSERT INTO saga_history VALUES(25,25,NULL,-3832190079855206315,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000025",null,{"order":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}]');
INSERT INTO saga_history VALUES(26,26,NULL,-4505104379286347146,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000026",null,{"order":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}]');
INSERT INTO saga_history VALUES(27,27,NULL,9085326895147666916,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000027",null,{"order":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}]');
INSERT INTO saga_history VALUES(28,28,NULL,-3188408352988935761,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000028",null,{"order":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}]');
INSERT INTO saga_history VALUES(29,29,NULL,-5355155148697792943,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000029",null,{"order":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}]');
INSERT INTO saga_history VALUES(30,30,NULL,-6751968383206841507,'[1,"started",1795745603816,"order.placed","","awaiting-payment","gen-000030",null,{"order":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}]');
INSERT INTO saga_history VALUES(31,4,4,-8958533474559963637,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000004"}]');
INSERT INTO saga_history VALUES(32,7,7,3633373459671256981,'[2,"applied",1795745603822,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]');
INSERT INTO saga_history VALUES(33,10,10,5515151128618563517,'[2,"applied",1795745603822,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]');
INSERT INTO saga_history VALUES(34,12,12,2837493368111753132,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000012"}]');
INSERT INTO saga_history VALUES(35,17,17,-2183172718236796261,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000017"}]');
INSERT INTO saga_history VALUES(36,18,18,6888481239523097192,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000018"}]');
INSERT INTO saga_history VALUES(37,23,23,-5597211909565251140,'[2,"applied",1795745603822,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]');
INSERT INTO saga_history VALUES(38,25,25,-619260205834551898,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000025"}]');
INSERT INTO saga_history VALUES(39,26,26,7057451061180784439,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000026"}]');
INSERT INTO saga_history VALUES(40,29,29,4835970138757883964,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000029"}]');
INSERT INTO saga_history VALUES(41,30,30,8299653508267589299,'[2,"applied",1795745603822,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000030"}]');
INSERT INTO saga_history VALUES(42,9,9,-8252588695083428199,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000009"}]');
INSERT INTO saga_history VALUES(43,11,11,6057974458640982669,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000011"}]');
INSERT INTO saga_history VALUES(44,13,13,-4088824184681639423,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000013"}]');
INSERT INTO saga_history VALUES(45,14,14,-7323988485818425062,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000014"}]');
INSERT INTO saga_history VALUES(46,15,15,8206136169511136955,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000015"}]');
INSERT INTO saga_history VALUES(47,20,20,7510896695402850647,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000020"}]');
INSERT INTO saga_history VALUES(48,21,21,7289511914633054831,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000021"}]');
INSERT INTO saga_history VALUES(49,22,22,2910619536783069226,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000022"}]');
INSERT INTO saga_history VALUES(50,24,24,-8499432546679633506,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000024"}]');
INSERT INTO saga_history VALUES(51,5,5,-718809307799979588,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000005"}]');
INSERT INTO saga_history VALUES(52,2,2,-6261012926135303382,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000002"}]');
INSERT INTO saga_history VALUES(53,3,3,-5314994181704894631,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000003"}]');
INSERT INTO saga_history VALUES(54,6,6,-3238829686080556776,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000006"}]');
INSERT INTO saga_history VALUES(55,8,8,-801860817792389702,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000008"}]');
INSERT INTO saga_history VALUES(56,27,27,4030087393026063868,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000027"}]');
INSERT INTO saga_history VALUES(57,1,1,6896692596734203023,'[2,"applied",1795745603825,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000001"}]');
INSERT INTO saga_history VALUES(58,28,28,7064889426859160085,'[2,"applied",1795745603827,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000028"}]');
INSERT INTO saga_history VALUES(59,19,19,-2054933007588271510,'[2,"applied",1795745603827,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000019"}]');
INSERT INTO saga_history VALUES(60,16,16,-7656010381768404299,'[2,"applied",1795745603829,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000016"}]');
INSERT INTO saga_history VALUES(61,18,36,2924281946627137227,'[3,"applied",1795745603830,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000018"}]');
INSERT INTO saga_history VALUES(62,25,38,-7941271694236941306,'[3,"applied",1795745603830,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000025"}]');
INSERT INTO saga_history VALUES(63,26,39,269826118442984055,'[3,"compensating",1795745603830,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]');
INSERT INTO saga_history VALUES(64,26,63,9123839841436120668,'[3,"undoing",1795745603830,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000026","payment":"pay-gen-000026","cents":5994}]');
INSERT INTO saga_history VALUES(65,29,40,4576689845465668193,'[3,"applied",1795745603830,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000029"}]');
INSERT INTO saga_history VALUES(66,30,41,-3901509997545986075,'[3,"applied",1795745603830,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000030"}]');
INSERT INTO saga_history VALUES(67,4,31,6469033463448333895,'[3,"applied",1795745603831,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000004"}]');
INSERT INTO saga_history VALUES(68,12,34,-7004463216223800313,'[3,"applied",1795745603831,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000012"}]');
INSERT INTO saga_history VALUES(69,17,35,1072016713173761525,'[3,"compensating",1795745603831,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]');
INSERT INTO saga_history VALUES(70,17,69,779789812983461233,'[3,"undoing",1795745603831,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000017","payment":"pay-gen-000017","cents":34723}]');
DELETE FROM sqlite_sequence;
CREATE INDEX saga_inbox_to ON saga_inbox (consumer, key);
CREATE INDEX saga_dead_message ON saga_dead (consumer, key, message) WHERE message IS NOT NULL;
CREATE INDEX saga_delivery_named ON saga_delivery (consumer, key, message) WHERE named = 1;
CREATE INDEX saga_dedup_at ON saga_dedup (at);
CREATE UNIQUE INDEX saga_instance_address ON saga_instance (saga, key);
CREATE INDEX saga_instance_status ON saga_instance (saga, status);
CREATE INDEX saga_instance_compensating ON saga_instance (id) WHERE status = 2;
CREATE INDEX saga_instance_parked ON saga_instance (id) WHERE parked = 1;
CREATE INDEX saga_instance_open ON saga_instance (id) WHERE open = 1;
CREATE INDEX saga_instance_over ON saga_instance (over_at) WHERE over_at IS NOT NULL;
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
COMMIT;
