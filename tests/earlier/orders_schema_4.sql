BEGIN TRANSACTION;
CREATE TABLE saga_alias (
    saga     TEXT NOT NULL,
    alias    TEXT NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (saga, alias)
) STRICT, WITHOUT ROWID;
CREATE TABLE "saga_consumer" (
    event      TEXT NOT NULL,
    consumer      TEXT NOT NULL,
    subscriber INTEGER NOT NULL,
    PRIMARY KEY (event, consumer, subscriber)
) STRICT, WITHOUT ROWID;
INSERT INTO "saga_consumer" VALUES('order.cancel-requested','order',0);
INSERT INTO "saga_consumer" VALUES('order.cancelled','cancelled-mail',1);
INSERT INTO "saga_consumer" VALUES('order.completed','completed-mail',1);
INSERT INTO "saga_consumer" VALUES('order.placed','order',0);
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
INSERT INTO "saga_dedup" VALUES('order','gen-000001','gen-000001',736024737828497994,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000002','gen-000002',-3918649963259253044,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000003','gen-000003',1146276340941013428,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000004','gen-000004',8966984047796752464,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000005','gen-000005',-409408472406308345,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000006','gen-000006',5201963744454743169,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000007','gen-000007',-3403876535631277003,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000008','gen-000008',396917958612644744,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000009','gen-000009',-1074960334497355407,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000010','gen-000010',-8207961471534145218,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000011','gen-000011',-5295407504210968752,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000012','gen-000012',-1659251717681691544,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000013','gen-000013',3286713883267105975,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000014','gen-000014',8030021909142950699,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000015','gen-000015',5875669736350833191,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000016','gen-000016',1729206018153691863,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000017','gen-000017',-7695356880813761199,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000018','gen-000018',-8067164400414934278,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000019','gen-000019',1937755213620678310,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000020','gen-000020',3393723944441763166,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000021','gen-000021',-2186975161977318990,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000022','gen-000022',-4704866163454213525,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000023','gen-000023',5099154083267367108,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000024','gen-000024',3229269408210690931,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000025','gen-000025',-1136930941981094902,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000026','gen-000026',-4703028072204528337,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000027','gen-000027',2070593887466536527,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000028','gen-000028',-4305847177991412215,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000029','gen-000029',-2037019525795336313,1795734587689);
INSERT INTO "saga_dedup" VALUES('order','gen-000030','gen-000030',7088632867026658918,1795734587689);
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
INSERT INTO "saga_delivery" VALUES(1,'completed-mail','gen-000030','order.completed',1,'{"order":"gen-000030","payment":"pay-gen-000030"}','8c3a3ef1-1194-5a59-811e-615711857921',1,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(2,'completed-mail','gen-000029','order.completed',1,'{"order":"gen-000029","payment":"pay-gen-000029"}','b28d9c8d-7739-5508-a833-8b78d2765a2f',1,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(3,'completed-mail','gen-000025','order.completed',1,'{"order":"gen-000025","payment":"pay-gen-000025"}','f3dec8d1-c2c6-5b74-ae8e-75c37142963f',1,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(4,'completed-mail','gen-000018','order.completed',1,'{"order":"gen-000018","payment":"pay-gen-000018"}','9c202911-e0bb-510e-8428-d46c45e2f895',1,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0,0);
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
INSERT INTO "saga_history" VALUES(1,1,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}','','awaiting-payment','gen-000001',NULL,1915632987138943949);
INSERT INTO "saga_history" VALUES(2,2,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}','','awaiting-payment','gen-000002',NULL,5249058545650276391);
INSERT INTO "saga_history" VALUES(3,3,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}','','awaiting-payment','gen-000003',NULL,5881306381906454508);
INSERT INTO "saga_history" VALUES(4,4,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}','','awaiting-payment','gen-000004',NULL,1932855848390618516);
INSERT INTO "saga_history" VALUES(5,5,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}','','awaiting-payment','gen-000005',NULL,3510404444592753986);
INSERT INTO "saga_history" VALUES(6,6,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}','','awaiting-payment','gen-000006',NULL,-6606039949229987692);
INSERT INTO "saga_history" VALUES(7,7,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}','','awaiting-payment','gen-000007',NULL,7852664607647449682);
INSERT INTO "saga_history" VALUES(8,8,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}','','awaiting-payment','gen-000008',NULL,3876929302336817723);
INSERT INTO "saga_history" VALUES(9,9,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}','','awaiting-payment','gen-000009',NULL,-8462354170497030618);
INSERT INTO "saga_history" VALUES(10,10,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}','','awaiting-payment','gen-000010',NULL,905266668075034060);
INSERT INTO "saga_history" VALUES(11,11,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}','','awaiting-payment','gen-000011',NULL,-5729096578375755753);
INSERT INTO "saga_history" VALUES(12,12,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}','','awaiting-payment','gen-000012',NULL,-7204757552160071046);
INSERT INTO "saga_history" VALUES(13,13,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}','','awaiting-payment','gen-000013',NULL,-7215347256149287452);
INSERT INTO "saga_history" VALUES(14,14,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}','','awaiting-payment','gen-000014',NULL,8475569704623007729);
INSERT INTO "saga_history" VALUES(15,15,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}','','awaiting-payment','gen-000015',NULL,-2869968209590517970);
INSERT INTO "saga_history" VALUES(16,16,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}','','awaiting-payment','gen-000016',NULL,-3902109368789210);
INSERT INTO "saga_history" VALUES(17,17,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}','','awaiting-payment','gen-000017',NULL,7219864465291149431);
INSERT INTO "saga_history" VALUES(18,18,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}','','awaiting-payment','gen-000018',NULL,7907194577286685751);
INSERT INTO "saga_history" VALUES(19,19,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}','','awaiting-payment','gen-000019',NULL,-3693484817716356170);
INSERT INTO "saga_history" VALUES(20,20,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}','','awaiting-payment','gen-000020',NULL,6631241015757451953);
INSERT INTO "saga_history" VALUES(21,21,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}','','awaiting-payment','gen-000021',NULL,-123846730401768715);
INSERT INTO "saga_history" VALUES(22,22,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}','','awaiting-payment','gen-000022',NULL,5189118794225403956);
INSERT INTO "saga_history" VALUES(23,23,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}','','awaiting-payment','gen-000023',NULL,-873949544876916261);
INSERT INTO "saga_history" VALUES(24,24,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}','','awaiting-payment','gen-000024',NULL,6812651370647210201);
INSERT INTO "saga_history" VALUES(25,25,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}','','awaiting-payment','gen-000025',NULL,4952239900753313984);
INSERT INTO "saga_history" VALUES(26,26,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}','','awaiting-payment','gen-000026',NULL,-4365750143261963157);
INSERT INTO "saga_history" VALUES(27,27,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}','','awaiting-payment','gen-000027',NULL,-7679081668226021064);
INSERT INTO "saga_history" VALUES(28,28,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}','','awaiting-payment','gen-000028',NULL,-5152334869729402403);
INSERT INTO "saga_history" VALUES(29,29,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}','','awaiting-payment','gen-000029',NULL,-1531476493169102195);
INSERT INTO "saga_history" VALUES(30,30,NULL,1,'started',1795734587689,'order.placed','{"order":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}','','awaiting-payment','gen-000030',NULL,344413584831571635);
INSERT INTO "saga_history" VALUES(31,4,4,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000004"}','awaiting-payment','awaiting-shipment','payment.make',NULL,4657148950002256733);
INSERT INTO "saga_history" VALUES(32,7,7,2,'applied',1795734587691,'payment.declined','{"why":"the bank declined"}','awaiting-payment','payment-failed','payment.make',NULL,9032474599176338768);
INSERT INTO "saga_history" VALUES(33,10,10,2,'applied',1795734587691,'payment.declined','{"why":"the bank declined"}','awaiting-payment','payment-failed','payment.make',NULL,-4917363888668187344);
INSERT INTO "saga_history" VALUES(34,12,12,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000012"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-9034203120476885455);
INSERT INTO "saga_history" VALUES(35,17,17,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000017"}','awaiting-payment','awaiting-shipment','payment.make',NULL,7890206886876503524);
INSERT INTO "saga_history" VALUES(36,18,18,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000018"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-7877710652502477679);
INSERT INTO "saga_history" VALUES(37,23,23,2,'applied',1795734587691,'payment.declined','{"why":"the bank declined"}','awaiting-payment','payment-failed','payment.make',NULL,-4501180297055468642);
INSERT INTO "saga_history" VALUES(38,25,25,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000025"}','awaiting-payment','awaiting-shipment','payment.make',NULL,1418084435070482952);
INSERT INTO "saga_history" VALUES(39,26,26,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000026"}','awaiting-payment','awaiting-shipment','payment.make',NULL,6425283476441241451);
INSERT INTO "saga_history" VALUES(40,30,30,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000030"}','awaiting-payment','awaiting-shipment','payment.make',NULL,8814574095701359126);
INSERT INTO "saga_history" VALUES(41,29,29,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000029"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-4473275132730600711);
INSERT INTO "saga_history" VALUES(42,1,1,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000001"}','awaiting-payment','awaiting-shipment','payment.make',NULL,3071108553386686629);
INSERT INTO "saga_history" VALUES(43,2,2,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000002"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-3237519068481482802);
INSERT INTO "saga_history" VALUES(44,3,3,2,'applied',1795734587691,'payment.completed','{"payment":"pay-gen-000003"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-3807703694017798087);
INSERT INTO "saga_history" VALUES(45,5,5,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000005"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-140711629276457886);
INSERT INTO "saga_history" VALUES(46,6,6,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000006"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-6178902040039417473);
INSERT INTO "saga_history" VALUES(47,8,8,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000008"}','awaiting-payment','awaiting-shipment','payment.make',NULL,2935949276835524265);
INSERT INTO "saga_history" VALUES(48,9,9,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000009"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-8620839323867004301);
INSERT INTO "saga_history" VALUES(49,11,11,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000011"}','awaiting-payment','awaiting-shipment','payment.make',NULL,647895549624211266);
INSERT INTO "saga_history" VALUES(50,13,13,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000013"}','awaiting-payment','awaiting-shipment','payment.make',NULL,3869374781596287047);
INSERT INTO "saga_history" VALUES(51,14,14,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000014"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-8190334452237574309);
INSERT INTO "saga_history" VALUES(52,15,15,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000015"}','awaiting-payment','awaiting-shipment','payment.make',NULL,1029722810278022167);
INSERT INTO "saga_history" VALUES(53,20,20,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000020"}','awaiting-payment','awaiting-shipment','payment.make',NULL,1703712900824258061);
INSERT INTO "saga_history" VALUES(54,21,21,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000021"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-5541864805612039179);
INSERT INTO "saga_history" VALUES(55,22,22,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000022"}','awaiting-payment','awaiting-shipment','payment.make',NULL,6617226626375018714);
INSERT INTO "saga_history" VALUES(56,24,24,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000024"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-315105479650028640);
INSERT INTO "saga_history" VALUES(57,27,27,2,'applied',1795734587693,'payment.completed','{"payment":"pay-gen-000027"}','awaiting-payment','awaiting-shipment','payment.make',NULL,4616924609577322878);
INSERT INTO "saga_history" VALUES(58,26,39,3,'compensating',1795734587693,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,-6220150533992974180);
INSERT INTO "saga_history" VALUES(59,26,58,3,'undoing',1795734587693,'payment.refund','{"order":"gen-000026","payment":"pay-gen-000026","cents":5994}','awaiting-shipment','awaiting-shipment',NULL,NULL,307556545749015452);
INSERT INTO "saga_history" VALUES(60,30,40,3,'applied',1795734587693,'label.created','{"label":"label-gen-000030"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',2076589567123185669);
INSERT INTO "saga_history" VALUES(61,29,41,3,'applied',1795734587693,'label.created','{"label":"label-gen-000029"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',-2735173963444041019);
INSERT INTO "saga_history" VALUES(62,3,44,3,'compensating',1795734587693,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,-6355440846357847619);
INSERT INTO "saga_history" VALUES(63,3,62,3,'undoing',1795734587693,'payment.refund','{"order":"gen-000003","payment":"pay-gen-000003","cents":23857}','awaiting-shipment','awaiting-shipment',NULL,NULL,-5193800037132969140);
INSERT INTO "saga_history" VALUES(64,25,38,3,'applied',1795734587693,'label.created','{"label":"label-gen-000025"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',2494035836936537363);
INSERT INTO "saga_history" VALUES(65,18,36,3,'applied',1795734587693,'label.created','{"label":"label-gen-000018"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',7827347492530949959);
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
INSERT INTO "saga_instance" VALUES(1,'order','gen-000001',176,X'522ABD8B44C84256BF5BEF775B9042A2','running','awaiting-shipment','{"payment":"pay-gen-000001"}','{"id":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'0000000000000001000000000000002A',42,1795734587689,1795734587691,NULL,-481855398479783240);
INSERT INTO "saga_instance" VALUES(2,'order','gen-000002',153,X'EBB33B18282444299083D412D35040E0','running','awaiting-shipment','{"payment":"pay-gen-000002"}','{"id":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'0000000000000001000000000000002B',43,1795734587689,1795734587691,NULL,-306658568929760576);
INSERT INTO "saga_instance" VALUES(3,'order','gen-000003',90,X'BAB25506CA0D4BBD8FA2B6B72B3C8E8A','compensating','awaiting-shipment','{"payment":"pay-gen-000003"}','{"id":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000003"}},"attempts":0}}}',NULL,NULL,NULL,3,X'0000000000000001000000000000003D',63,1795734587689,1795734587693,NULL,2191643026343847428);
INSERT INTO "saga_instance" VALUES(4,'order','gen-000004',53,X'B51E840DF6A04A168BB3213483508E0C','running','awaiting-shipment','{"payment":"pay-gen-000004"}','{"id":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'0000000000000001000000000000001F',31,1795734587689,1795734587691,NULL,-8111616839938167120);
INSERT INTO "saga_instance" VALUES(5,'order','gen-000005',49,X'40F727D8859F44B983FD90A0B7912A1C','running','awaiting-shipment','{"payment":"pay-gen-000005"}','{"id":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'0000000000000001000000000000002D',45,1795734587689,1795734587693,NULL,-4878855670181528766);
INSERT INTO "saga_instance" VALUES(6,'order','gen-000006',248,X'11E9780DCEFF437991EF20A99846D3DC','running','awaiting-shipment','{"payment":"pay-gen-000006"}','{"id":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'0000000000000001000000000000002E',46,1795734587689,1795734587693,NULL,6221457293607597647);
INSERT INTO "saga_instance" VALUES(7,'order','gen-000007',91,X'0896F0F380FC4AA58DFF325B2B95D345','failed','payment-failed',NULL,'{"id":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000020',32,1795734587689,1795734587691,1795734587691,-4995829089926124199);
INSERT INTO "saga_instance" VALUES(8,'order','gen-000008',194,X'AFE22854B9C845318D41E9F2C5CA8D64','running','awaiting-shipment','{"payment":"pay-gen-000008"}','{"id":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'0000000000000001000000000000002F',47,1795734587689,1795734587693,NULL,3716270840616952242);
INSERT INTO "saga_instance" VALUES(9,'order','gen-000009',16,X'D3C3B47896934FE9AD0844239E519A27','running','awaiting-shipment','{"payment":"pay-gen-000009"}','{"id":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000030',48,1795734587689,1795734587693,NULL,4603378599872413461);
INSERT INTO "saga_instance" VALUES(10,'order','gen-000010',84,X'E8CCF84D954841FD8AB6B75B76137CAE','failed','payment-failed',NULL,'{"id":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000021',33,1795734587689,1795734587691,1795734587691,-7709110152573685281);
INSERT INTO "saga_instance" VALUES(11,'order','gen-000011',112,X'F63A2BB4681542CAB19BAFB015D16423','running','awaiting-shipment','{"payment":"pay-gen-000011"}','{"id":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000031',49,1795734587689,1795734587693,NULL,-3109255695748678994);
INSERT INTO "saga_instance" VALUES(12,'order','gen-000012',245,X'A19890B8C4314AD4BF0ACD01113DEC2D','running','awaiting-shipment','{"payment":"pay-gen-000012"}','{"id":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000022',34,1795734587689,1795734587691,NULL,4885227568171859903);
INSERT INTO "saga_instance" VALUES(13,'order','gen-000013',55,X'3F0589835F07446C95A541BC65D0C5D4','running','awaiting-shipment','{"payment":"pay-gen-000013"}','{"id":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000032',50,1795734587689,1795734587693,NULL,1244920776694754232);
INSERT INTO "saga_instance" VALUES(14,'order','gen-000014',114,X'1E2C5A669B7647039A188386DE9FD41A','running','awaiting-shipment','{"payment":"pay-gen-000014"}','{"id":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000033',51,1795734587689,1795734587693,NULL,-7496291276384574462);
INSERT INTO "saga_instance" VALUES(15,'order','gen-000015',240,X'F469F845FEA446869AC8011AC09C6474','running','awaiting-shipment','{"payment":"pay-gen-000015"}','{"id":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000034',52,1795734587689,1795734587693,NULL,1875643368001719972);
INSERT INTO "saga_instance" VALUES(16,'order','gen-000016',132,X'DCFEF44049EE4957A1222A4997ED15DC','running','awaiting-payment',NULL,'{"id":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}',1,1,NULL,NULL,NULL,NULL,1,X'00000000000000010000000000000010',16,1795734587689,1795734587689,NULL,-2509778649113593286);
INSERT INTO "saga_instance" VALUES(17,'order','gen-000017',91,X'3DF78045B0CE46D48DC06AD96C6FA44F','running','awaiting-shipment','{"payment":"pay-gen-000017"}','{"id":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000023',35,1795734587689,1795734587691,NULL,7766014755381580186);
INSERT INTO "saga_instance" VALUES(18,'order','gen-000018',99,X'48C61B3D471B46B9BCDE9F8908322854','completed','completed',NULL,'{"id":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003F',65,1795734587689,1795734587693,1795734587693,-1634836108817818467);
INSERT INTO "saga_instance" VALUES(19,'order','gen-000019',187,X'872CC21C74DF47AAB8082B5172F1DE91','running','awaiting-payment',NULL,'{"id":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}',1,1,NULL,NULL,NULL,NULL,1,X'00000000000000010000000000000013',19,1795734587689,1795734587689,NULL,-6833771237379266923);
INSERT INTO "saga_instance" VALUES(20,'order','gen-000020',185,X'4D085E7BB70E4EBD8F7553F9FF1D42F3','running','awaiting-shipment','{"payment":"pay-gen-000020"}','{"id":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000035',53,1795734587689,1795734587693,NULL,5951076669975433396);
INSERT INTO "saga_instance" VALUES(21,'order','gen-000021',80,X'2455FA2A92984ED3870036EA3AC035B7','running','awaiting-shipment','{"payment":"pay-gen-000021"}','{"id":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000036',54,1795734587689,1795734587693,NULL,-2217640959217725591);
INSERT INTO "saga_instance" VALUES(22,'order','gen-000022',174,X'DB07B66E4037443CB902E2588F888CBB','running','awaiting-shipment','{"payment":"pay-gen-000022"}','{"id":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000037',55,1795734587689,1795734587693,NULL,-391965486799558922);
INSERT INTO "saga_instance" VALUES(23,'order','gen-000023',6,X'55712096E7DB4512B497E3AF7F17AFD9','failed','payment-failed',NULL,'{"id":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000025',37,1795734587689,1795734587691,1795734587691,-4003616832812239390);
INSERT INTO "saga_instance" VALUES(24,'order','gen-000024',179,X'C4831BD54E8940F389631BDEC4FD1F47','running','awaiting-shipment','{"payment":"pay-gen-000024"}','{"id":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000038',56,1795734587689,1795734587693,NULL,-3836112967281262663);
INSERT INTO "saga_instance" VALUES(25,'order','gen-000025',123,X'B05440CCDFB946CA80309C0F00A7AE83','completed','completed',NULL,'{"id":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003E',64,1795734587689,1795734587693,1795734587693,5377230911433293079);
INSERT INTO "saga_instance" VALUES(26,'order','gen-000026',149,X'70F4DB0775F44C20907985AB86F60D2A','compensating','awaiting-shipment','{"payment":"pay-gen-000026"}','{"id":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000026"}},"attempts":0}}}',NULL,NULL,NULL,3,X'0000000000000001000000000000003A',59,1795734587689,1795734587693,NULL,3789826649228928117);
INSERT INTO "saga_instance" VALUES(27,'order','gen-000027',42,X'927CA1A5F72A4E83984352693FDE98C5','running','awaiting-shipment','{"payment":"pay-gen-000027"}','{"id":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000039',57,1795734587689,1795734587693,NULL,5881894927695155718);
INSERT INTO "saga_instance" VALUES(28,'order','gen-000028',89,X'E0F5F95C02374900918F0DE34C5490D4','running','awaiting-payment',NULL,'{"id":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}',1,1,NULL,NULL,NULL,NULL,1,X'0000000000000001000000000000001C',28,1795734587689,1795734587689,NULL,-895993965924007625);
INSERT INTO "saga_instance" VALUES(29,'order','gen-000029',48,X'47F5768871234EEAB64F5BC59132ADBA','completed','completed',NULL,'{"id":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003C',61,1795734587689,1795734587693,1795734587693,-6509572049038950947);
INSERT INTO "saga_instance" VALUES(30,'order','gen-000030',162,X'493CD687448A44C8B7494BE5BD26531E','completed','completed',NULL,'{"id":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003B',60,1795734587689,1795734587693,1795734587693,-2463508038216370858);
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
INSERT INTO "saga_meta" VALUES(1,4,1,4,'e396825f-024b-46be-a4b3-6d7ca47ff55f','process 20782',0,0);
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
INSERT INTO "saga_obligation" VALUES(1,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000001"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(1,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(2,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000002"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(2,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(3,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000003"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',NULL,NULL);
INSERT INTO "saga_obligation" VALUES(3,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,'{"payment":"pay-gen-000003"}',NULL,3,0);
INSERT INTO "saga_obligation" VALUES(4,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000004"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(4,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(5,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000005"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(5,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(6,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000006"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(6,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(8,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000008"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(8,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(9,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000009"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(9,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(11,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000011"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(11,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(12,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000012"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(12,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(13,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000013"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(13,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(14,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000014"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(14,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(15,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000015"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(15,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(16,1,0,'payment.void','command',1,0,'payment.make',1,NULL,'{"order":"gen-000016","cents":26804}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(17,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000017"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(17,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(19,1,0,'payment.void','command',1,0,'payment.make',1,NULL,'{"order":"gen-000019","cents":561}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(20,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000020"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(20,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(21,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000021"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(21,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(22,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000022"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(22,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(24,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000024"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(24,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(26,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000026"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',NULL,NULL);
INSERT INTO "saga_obligation" VALUES(26,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,'{"payment":"pay-gen-000026"}',NULL,3,0);
INSERT INTO "saga_obligation" VALUES(27,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000027"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(27,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(28,1,0,'payment.void','command',1,0,'payment.make',1,NULL,'{"order":"gen-000028","cents":21832}',NULL,NULL,NULL);
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
INSERT INTO "saga_task" VALUES(1,2,0,'command','label.create',1,'{"order":"gen-000001"}',2,'ready',1,0,1795734587691,1,1,1795734587691,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(2,2,0,'command','label.create',1,'{"order":"gen-000002"}',2,'ready',1,0,1795734587691,1,1,1795734587691,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(3,3,0,'undo','payment.refund',1,'{"order":"gen-000003","payment":"pay-gen-000003","cents":23857}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(4,2,0,'command','label.create',1,'{"order":"gen-000004"}',2,'ready',1,0,1795734587691,1,1,1795734587691,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(5,2,0,'command','label.create',1,'{"order":"gen-000005"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(6,2,0,'command','label.create',1,'{"order":"gen-000006"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(8,2,0,'command','label.create',1,'{"order":"gen-000008"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(9,2,0,'command','label.create',1,'{"order":"gen-000009"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(11,2,0,'command','label.create',1,'{"order":"gen-000011"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(12,2,0,'command','label.create',1,'{"order":"gen-000012"}',2,'ready',1,0,1795734587691,1,1,1795734587691,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(13,2,0,'command','label.create',1,'{"order":"gen-000013"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(14,2,0,'command','label.create',1,'{"order":"gen-000014"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(15,2,0,'command','label.create',1,'{"order":"gen-000015"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(16,1,0,'command','payment.make',1,'{"order":"gen-000016","cents":26804}',1,'ready',1,0,1795734587689,0,1,1795734587689,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(17,2,0,'command','label.create',1,'{"order":"gen-000017"}',2,'ready',1,0,1795734587691,1,1,1795734587691,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(19,1,0,'command','payment.make',1,'{"order":"gen-000019","cents":561}',1,'ready',1,0,1795734587689,0,1,1795734587689,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(20,2,0,'command','label.create',1,'{"order":"gen-000020"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(21,2,0,'command','label.create',1,'{"order":"gen-000021"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(22,2,0,'command','label.create',1,'{"order":"gen-000022"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(24,2,0,'command','label.create',1,'{"order":"gen-000024"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(26,3,0,'undo','payment.refund',1,'{"order":"gen-000026","payment":"pay-gen-000026","cents":5994}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(27,2,0,'command','label.create',1,'{"order":"gen-000027"}',2,'ready',0,0,1795734587693,0,1,1795734587693,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(28,1,0,'command','payment.make',1,'{"order":"gen-000028","cents":21832}',1,'ready',1,0,1795734587689,0,1,1795734587689,0,0,'no answer',NULL,0);
CREATE TABLE saga_timer (
    instance INTEGER NOT NULL,
    name     TEXT NOT NULL,
    visit    INTEGER NOT NULL,
    armed_at INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    fired    INTEGER NOT NULL,
    PRIMARY KEY (instance, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "saga_timer" VALUES(16,'15m',1,1795734587689,1795735487689,0);
INSERT INTO "saga_timer" VALUES(19,'15m',1,1795734587689,1795735487689,0);
INSERT INTO "saga_timer" VALUES(28,'15m',1,1795734587689,1795735487689,0);
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
COMMIT;
