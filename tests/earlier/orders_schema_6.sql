BEGIN TRANSACTION;
CREATE TABLE saga_alias (
    saga     INTEGER NOT NULL,
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
CREATE TABLE saga_count (
    id        INTEGER PRIMARY KEY,
    saga      INTEGER NOT NULL,       -- saga_name.id
    state     TEXT NOT NULL,          -- empty for a damaged body
    status    INTEGER NOT NULL,
    parked    INTEGER NOT NULL,       -- 0 or 1
    instances INTEGER NOT NULL,
    UNIQUE (saga, state, status, parked)
) STRICT;
INSERT INTO "saga_count" VALUES(1,1,'awaiting-payment',1,0,0);
INSERT INTO "saga_count" VALUES(2,1,'awaiting-shipment',1,0,0);
INSERT INTO "saga_count" VALUES(3,1,'payment-failed',4,0,0);
INSERT INTO "saga_count" VALUES(4,1,'completed',3,0,0);
INSERT INTO "saga_count" VALUES(5,1,'awaiting-shipment',2,0,0);
CREATE TABLE saga_data (
    instance INTEGER PRIMARY KEY,
    data     TEXT NOT NULL
) STRICT;
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
INSERT INTO "saga_dedup" VALUES('order','gen-000001','gen-000001',736024737828497994,1795760919911);
INSERT INTO "saga_dedup" VALUES('order','gen-000002','gen-000002',-3918649963259253044,1795760919911);
INSERT INTO "saga_dedup" VALUES('order','gen-000003','gen-000003',1146276340941013428,1795760919911);
INSERT INTO "saga_dedup" VALUES('order','gen-000004','gen-000004',8966984047796752464,1795760919911);
INSERT INTO "saga_dedup" VALUES('order','gen-000005','gen-000005',-409408472406308345,1795760919911);
INSERT INTO "saga_dedup" VALUES('order','gen-000006','gen-000006',5201963744454743169,1795760919911);
INSERT INTO "saga_dedup" VALUES('order','gen-000007','gen-000007',-3403876535631277003,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000008','gen-000008',396917958612644744,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000009','gen-000009',-1074960334497355407,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000010','gen-000010',-8207961471534145218,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000011','gen-000011',-5295407504210968752,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000012','gen-000012',-1659251717681691544,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000013','gen-000013',3286713883267105975,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000014','gen-000014',8030021909142950699,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000015','gen-000015',5875669736350833191,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000016','gen-000016',1729206018153691863,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000017','gen-000017',-7695356880813761199,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000018','gen-000018',-8067164400414934278,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000019','gen-000019',1937755213620678310,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000020','gen-000020',3393723944441763166,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000021','gen-000021',-2186975161977318990,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000022','gen-000022',-4704866163454213525,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000023','gen-000023',5099154083267367108,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000024','gen-000024',3229269408210690931,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000025','gen-000025',-1136930941981094902,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000026','gen-000026',-4703028072204528337,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000027','gen-000027',2070593887466536527,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000028','gen-000028',-4305847177991412215,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000029','gen-000029',-2037019525795336313,1795760919913);
INSERT INTO "saga_dedup" VALUES('order','gen-000030','gen-000030',7088632867026658918,1795760919913);
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
    id       INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    prev     INTEGER,
    checksum INTEGER NOT NULL,
    body     TEXT NOT NULL
, moved INTEGER) STRICT;
INSERT INTO "saga_history" VALUES(1,1,NULL,2118899783852310431,'[1,"started",1795760919911,"order.placed","","awaiting-payment","gen-000001",null,{"order":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(2,2,NULL,-5880048433755349073,'[1,"started",1795760919911,"order.placed","","awaiting-payment","gen-000002",null,{"order":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(3,3,NULL,-516586224481800514,'[1,"started",1795760919911,"order.placed","","awaiting-payment","gen-000003",null,{"order":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(4,4,NULL,7633365347810266998,'[1,"started",1795760919911,"order.placed","","awaiting-payment","gen-000004",null,{"order":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(5,5,NULL,-8726997240850413097,'[1,"started",1795760919911,"order.placed","","awaiting-payment","gen-000005",null,{"order":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(6,6,NULL,-703557564122060124,'[1,"started",1795760919911,"order.placed","","awaiting-payment","gen-000006",null,{"order":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(7,7,NULL,-5982779749009974321,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000020",null,{"order":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(8,8,NULL,-1132055591795495991,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000007",null,{"order":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(9,9,NULL,-2796336646859341219,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000021",null,{"order":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(10,10,NULL,-5729378462955682390,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000022",null,{"order":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(11,11,NULL,-6295505440956189637,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000008",null,{"order":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(12,12,NULL,-903735364507834321,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000023",null,{"order":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(13,13,NULL,3254044724564450186,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000009",null,{"order":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(14,14,NULL,-4310568919631792163,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000024",null,{"order":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(15,15,NULL,8288059712121348915,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000010",null,{"order":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(16,16,NULL,7186701325885731736,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000025",null,{"order":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(17,17,NULL,6269831965305340878,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000026",null,{"order":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(18,18,NULL,7140929454110651426,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000011",null,{"order":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(19,19,NULL,-5923098448908552276,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000027",null,{"order":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(20,20,NULL,8757273570305753886,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000012",null,{"order":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(21,21,NULL,-182616885998215835,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000028",null,{"order":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(22,22,NULL,5428605287645518618,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000029",null,{"order":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(23,23,NULL,2651069747794784878,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000013",null,{"order":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(24,24,NULL,3500755108984460142,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000030",null,{"order":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(25,25,NULL,-1098604360999669307,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000017",null,{"order":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(26,26,NULL,1288453894495719319,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000014",null,{"order":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(27,27,NULL,3707605435976946441,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000015",null,{"order":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(28,28,NULL,9025491743953774241,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000016",null,{"order":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(29,29,NULL,7739884346075916374,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000018",null,{"order":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(30,30,NULL,-6752225414478592003,'[1,"started",1795760919913,"order.placed","","awaiting-payment","gen-000019",null,{"order":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(31,4,4,707047241432804843,'[2,"applied",1795760919957,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000004"}]',65538);
INSERT INTO "saga_history" VALUES(32,15,15,6852077129525721221,'[2,"applied",1795760919961,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(33,8,8,2328788002265354828,'[2,"applied",1795760919961,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(34,20,20,6575193337941660940,'[2,"applied",1795760919961,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000012"}]',65538);
INSERT INTO "saga_history" VALUES(35,12,12,6643809747977851584,'[2,"applied",1795760919961,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(36,22,22,-6566249976329431942,'[2,"applied",1795760919961,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000029"}]',65538);
INSERT INTO "saga_history" VALUES(37,25,25,-7547563081245230411,'[2,"applied",1795760919961,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000017"}]',65538);
INSERT INTO "saga_history" VALUES(38,24,24,3999381452711709326,'[2,"applied",1795760919961,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000030"}]',65538);
INSERT INTO "saga_history" VALUES(39,17,17,-4892907058188041937,'[2,"applied",1795760919961,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000026"}]',65538);
INSERT INTO "saga_history" VALUES(40,29,29,-1127123442212111298,'[2,"applied",1795760919961,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000018"}]',65538);
INSERT INTO "saga_history" VALUES(41,16,16,-4873173410302719763,'[2,"applied",1795760919961,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000025"}]',65538);
INSERT INTO "saga_history" VALUES(42,2,2,1780841625221903044,'[2,"applied",1795760920000,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000002"}]',65538);
INSERT INTO "saga_history" VALUES(43,1,1,7066517644352619389,'[2,"applied",1795760920000,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000001"}]',65538);
INSERT INTO "saga_history" VALUES(44,3,3,4316173013847426402,'[2,"applied",1795760920000,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000003"}]',65538);
INSERT INTO "saga_history" VALUES(45,6,6,5165274787696971995,'[2,"applied",1795760920000,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000006"}]',65538);
INSERT INTO "saga_history" VALUES(46,5,5,3613559159060111242,'[2,"applied",1795760920000,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000005"}]',65538);
INSERT INTO "saga_history" VALUES(47,9,9,-3264380780710110121,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000021"}]',65538);
INSERT INTO "saga_history" VALUES(48,14,14,3848743180200122977,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000024"}]',65538);
INSERT INTO "saga_history" VALUES(49,7,7,-1861732990774738974,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000020"}]',65538);
INSERT INTO "saga_history" VALUES(50,19,19,-3757000327972736675,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000027"}]',65538);
INSERT INTO "saga_history" VALUES(51,23,23,-6881308549997515202,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000013"}]',65538);
INSERT INTO "saga_history" VALUES(52,10,10,-3093583958817619986,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000022"}]',65538);
INSERT INTO "saga_history" VALUES(53,11,11,-5618056369352547450,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000008"}]',65538);
INSERT INTO "saga_history" VALUES(54,18,18,-2192741221323919222,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000011"}]',65538);
INSERT INTO "saga_history" VALUES(55,26,26,8550343056035627900,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000014"}]',65538);
INSERT INTO "saga_history" VALUES(56,13,13,-91761291846691367,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000009"}]',65538);
INSERT INTO "saga_history" VALUES(57,27,27,916135879776386282,'[2,"applied",1795760920004,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000015"}]',65538);
INSERT INTO "saga_history" VALUES(58,29,40,731092098818727540,'[3,"applied",1795760920007,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000018"}]',131076);
INSERT INTO "saga_history" VALUES(59,16,41,5869273253706529977,'[3,"applied",1795760920007,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000025"}]',131076);
INSERT INTO "saga_history" VALUES(60,22,36,5149883985947299364,'[3,"applied",1795760920007,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000029"}]',131076);
INSERT INTO "saga_history" VALUES(61,24,38,3104858490391849354,'[3,"applied",1795760920007,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000030"}]',131076);
INSERT INTO "saga_history" VALUES(62,17,39,8649999999928166276,'[3,"compensating",1795760920007,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(63,17,62,592641656363121259,'[3,"undoing",1795760920007,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000026","payment":"pay-gen-000026","cents":5994}]',NULL);
INSERT INTO "saga_history" VALUES(64,4,31,-75936747548877026,'[3,"applied",1795760920043,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000004"}]',131076);
INSERT INTO "saga_history" VALUES(65,3,44,-888329806648222153,'[3,"compensating",1795760920043,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(66,3,65,-4404537568297364625,'[3,"undoing",1795760920043,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000003","payment":"pay-gen-000003","cents":23857}]',NULL);
INSERT INTO "saga_history" VALUES(67,5,46,4161028915024102628,'[3,"applied",1795760920043,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000005"}]',131076);
INSERT INTO "saga_history" VALUES(68,30,30,3074447853478659090,'[2,"applied",1795760920047,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000019"}]',65538);
INSERT INTO "saga_history" VALUES(69,21,21,2616654925837896500,'[2,"applied",1795760920047,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000028"}]',65538);
INSERT INTO "saga_history" VALUES(70,28,28,-7920284556681633981,'[2,"applied",1795760920047,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000016"}]',65538);
INSERT INTO "saga_history" VALUES(71,19,50,-1348639311982494470,'[3,"applied",1795760920049,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000027"}]',131076);
INSERT INTO "saga_history" VALUES(72,23,51,-5426405315111480491,'[3,"applied",1795760920049,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000013"}]',131076);
INSERT INTO "saga_history" VALUES(73,11,53,991458375686400649,'[3,"compensating",1795760920049,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(74,11,73,8063800743155899532,'[3,"undoing",1795760920049,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000008","payment":"pay-gen-000008","cents":13452}]',NULL);
INSERT INTO "saga_history" VALUES(75,26,55,5475203269402215290,'[3,"compensating",1795760920049,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(76,26,75,701954229718540026,'[3,"undoing",1795760920049,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000014","payment":"pay-gen-000014","cents":10966}]',NULL);
INSERT INTO "saga_history" VALUES(77,20,34,-8415407702130131704,'[3,"applied",1795760920049,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000012"}]',131076);
INSERT INTO "saga_history" VALUES(78,25,37,-4138722063273838961,'[3,"compensating",1795760920049,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(79,25,78,1558090746976994875,'[3,"undoing",1795760920049,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000017","payment":"pay-gen-000017","cents":34723}]',NULL);
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
INSERT INTO "saga_instance" VALUES(1,1,'gen-000001',1,NULL,1,NULL,2,43,5504585018199170835,'{"incarnation":"03e091c9-6c7a-4d38-8d5a-7f677837e6c5","step":"00000000-0000-0001-0000-00000000002b","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919911,"changed_at":1795760920000,"payload":{"payment":"pay-gen-000001"},"data":{"id":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000001"},"visit":2,
"progress":{"stage":"ready","since":1795760920000,"epoch":1,"armed":1795760920000,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000001"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(2,1,'gen-000002',1,NULL,1,NULL,2,42,-329608515838746091,'{"incarnation":"6f7a917b-8723-4e17-852e-fe08498b508e","step":"00000000-0000-0001-0000-00000000002a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919911,"changed_at":1795760920000,"payload":{"payment":"pay-gen-000002"},"data":{"id":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000002"},"visit":2,
"progress":{"stage":"ready","since":1795760920000,"epoch":1,"armed":1795760920000,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000002"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(3,1,'gen-000003',2,NULL,1,NULL,3,66,-5508622610800259822,'{"incarnation":"20f62e03-055b-4ba8-800f-db6317789e27","step":"00000000-0000-0001-0000-000000000040","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919911,"changed_at":1795760920043,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000003"}},"attempts":0}}},"payload":{"payment":"pay-gen-000003"},"data":{"id":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000003","payment":"pay-gen-000003","cents":23857},"visit":2,
"progress":{"stage":"ready","since":1795760920043,"epoch":1,"armed":1795760920043}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000003"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000003"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(4,1,'gen-000004',3,NULL,NULL,1795760920043,3,64,-2132943882812574358,'{"incarnation":"bc96a708-58a2-4cec-857f-199858639825","step":"00000000-0000-0001-0000-00000000003f","state":"completed","version":1,"visit":3,"created_at":1795760919911,"changed_at":1795760920043,"data":{"id":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(5,1,'gen-000005',3,NULL,NULL,1795760920043,3,67,727092787629099669,'{"incarnation":"d10ab07f-fe68-4b8e-bdde-b9ad08765b56","step":"00000000-0000-0001-0000-000000000041","state":"completed","version":1,"visit":3,"created_at":1795760919911,"changed_at":1795760920043,"data":{"id":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(6,1,'gen-000006',1,NULL,1,NULL,2,45,2817376915761115688,'{"incarnation":"a7bb6e7e-e76c-43a4-a891-d40e3cdf2b86","step":"00000000-0000-0001-0000-00000000002d","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919911,"changed_at":1795760920000,"payload":{"payment":"pay-gen-000006"},"data":{"id":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000006"},"visit":2,
"progress":{"stage":"ready","since":1795760920000,"epoch":1,"armed":1795760920000,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000006"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(7,1,'gen-000020',1,NULL,1,NULL,2,49,-4000828575497253175,'{"incarnation":"73d0ba62-8609-4767-9b79-6b86c44c9bff","step":"00000000-0000-0001-0000-000000000031","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920004,"payload":{"payment":"pay-gen-000020"},"data":{"id":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000020"},"visit":2,
"progress":{"stage":"ready","since":1795760920004,"epoch":1,"armed":1795760920004,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000020"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(8,1,'gen-000007',4,NULL,NULL,1795760919961,2,33,-2903307574132751629,'{"incarnation":"f2dcfb34-41d0-43fc-a4b3-88982364729c","step":"00000000-0000-0001-0000-000000000021","state":"payment-failed","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760919961,"data":{"id":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(9,1,'gen-000021',1,NULL,1,NULL,2,47,631104606926827133,'{"incarnation":"d84fc330-8f26-4972-907d-f2679707097e","step":"00000000-0000-0001-0000-00000000002f","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920004,"payload":{"payment":"pay-gen-000021"},"data":{"id":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000021"},"visit":2,
"progress":{"stage":"ready","since":1795760920004,"epoch":1,"armed":1795760920004,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000021"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(10,1,'gen-000022',1,NULL,1,NULL,2,52,7294115299175554997,'{"incarnation":"01beb50e-4d09-4c98-b41c-d0b33f6b1663","step":"00000000-0000-0001-0000-000000000034","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920004,"payload":{"payment":"pay-gen-000022"},"data":{"id":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000022"},"visit":2,
"progress":{"stage":"ready","since":1795760920004,"epoch":1,"armed":1795760920004,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000022"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(11,1,'gen-000008',2,NULL,1,NULL,3,74,333672110699909847,'{"incarnation":"67eb5447-1112-4db2-9d9a-857531e79635","step":"00000000-0000-0001-0000-000000000047","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920049,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000008"}},"attempts":0}}},"payload":{"payment":"pay-gen-000008"},"data":{"id":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000008","payment":"pay-gen-000008","cents":13452},"visit":2,
"progress":{"stage":"ready","since":1795760920049,"epoch":1,"armed":1795760920049}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000008"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000008"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(12,1,'gen-000023',4,NULL,NULL,1795760919961,2,35,-3053086756361865853,'{"incarnation":"4eb1505c-4d32-4106-a4a4-65a3c7c9c0e4","step":"00000000-0000-0001-0000-000000000023","state":"payment-failed","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760919961,"data":{"id":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(13,1,'gen-000009',1,NULL,1,NULL,2,56,-6754885199414573170,'{"incarnation":"ee5e7f68-d1ef-4acc-a6fa-90d3fddfe078","step":"00000000-0000-0001-0000-000000000038","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920004,"payload":{"payment":"pay-gen-000009"},"data":{"id":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000009"},"visit":2,
"progress":{"stage":"ready","since":1795760920004,"epoch":1,"armed":1795760920004,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000009"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(14,1,'gen-000024',1,NULL,1,NULL,2,48,-3775463513652984857,'{"incarnation":"ab1cb7bc-6a71-450e-8393-b5f366ea9156","step":"00000000-0000-0001-0000-000000000030","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920004,"payload":{"payment":"pay-gen-000024"},"data":{"id":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000024"},"visit":2,
"progress":{"stage":"ready","since":1795760920004,"epoch":1,"armed":1795760920004,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000024"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(15,1,'gen-000010',4,NULL,NULL,1795760919961,2,32,5490065234801318811,'{"incarnation":"767b55c0-7319-4b22-8d16-aefa9f3ed345","step":"00000000-0000-0001-0000-000000000020","state":"payment-failed","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760919961,"data":{"id":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(16,1,'gen-000025',3,NULL,NULL,1795760920007,3,59,7557689896448615715,'{"incarnation":"3d69ab15-4217-4eb9-baac-5d27894c183a","step":"00000000-0000-0001-0000-00000000003b","state":"completed","version":1,"visit":3,"created_at":1795760919913,"changed_at":1795760920007,"data":{"id":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(17,1,'gen-000026',2,NULL,1,NULL,3,63,-6813489457118626762,'{"incarnation":"b77a994c-c7d4-4380-a57f-c8b18c957d74","step":"00000000-0000-0001-0000-00000000003e","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920007,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000026"}},"attempts":0}}},"payload":{"payment":"pay-gen-000026"},"data":{"id":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000026","payment":"pay-gen-000026","cents":5994},"visit":2,
"progress":{"stage":"ready","since":1795760920007,"epoch":1,"armed":1795760920007,"attempts":1,"spent_ms":40,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000026"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000026"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(18,1,'gen-000011',1,NULL,1,NULL,2,54,1270140991415926617,'{"incarnation":"6712ff56-f0e5-44aa-b507-10d79e470b27","step":"00000000-0000-0001-0000-000000000036","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920004,"payload":{"payment":"pay-gen-000011"},"data":{"id":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000011"},"visit":2,
"progress":{"stage":"ready","since":1795760920004,"epoch":1,"armed":1795760920004,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000011"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(19,1,'gen-000027',3,NULL,NULL,1795760920049,3,71,524383459395380957,'{"incarnation":"b45ddb5f-1e20-4358-8b35-3807146b1b94","step":"00000000-0000-0001-0000-000000000045","state":"completed","version":1,"visit":3,"created_at":1795760919913,"changed_at":1795760920049,"data":{"id":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(20,1,'gen-000012',3,NULL,NULL,1795760920049,3,77,710074673249835149,'{"incarnation":"6985246d-d2a5-4743-b8f2-be827a6015ab","step":"00000000-0000-0001-0000-000000000049","state":"completed","version":1,"visit":3,"created_at":1795760919913,"changed_at":1795760920049,"data":{"id":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(21,1,'gen-000028',1,NULL,1,NULL,2,69,-8505860359169916758,'{"incarnation":"ce0caa76-ca90-489d-bd4b-ba62e95241a9","step":"00000000-0000-0001-0000-000000000043","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920047,"payload":{"payment":"pay-gen-000028"},"data":{"id":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000028"},"visit":2,
"progress":{"stage":"ready","since":1795760920047,"epoch":1,"armed":1795760920047}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000028"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(22,1,'gen-000029',3,NULL,NULL,1795760920007,3,60,4645999409152506774,'{"incarnation":"d560cc9e-707f-49ca-981f-5ebce442e234","step":"00000000-0000-0001-0000-00000000003c","state":"completed","version":1,"visit":3,"created_at":1795760919913,"changed_at":1795760920007,"data":{"id":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(23,1,'gen-000013',3,NULL,NULL,1795760920049,3,72,-4802755079160149112,'{"incarnation":"6b3c91c1-32ca-4e3d-bb87-a50c1e9f21be","step":"00000000-0000-0001-0000-000000000046","state":"completed","version":1,"visit":3,"created_at":1795760919913,"changed_at":1795760920049,"data":{"id":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(24,1,'gen-000030',3,NULL,NULL,1795760920007,3,61,-2117826642550238348,'{"incarnation":"30828a43-342d-4cca-9745-65b052c1b154","step":"00000000-0000-0001-0000-00000000003d","state":"completed","version":1,"visit":3,"created_at":1795760919913,"changed_at":1795760920007,"data":{"id":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(25,1,'gen-000017',2,NULL,1,NULL,3,79,6471350913029423944,'{"incarnation":"a2344f0b-c03c-46b6-9b30-6443044fd9dd","step":"00000000-0000-0001-0000-00000000004a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920049,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000017"}},"attempts":0}}},"payload":{"payment":"pay-gen-000017"},"data":{"id":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000017","payment":"pay-gen-000017","cents":34723},"visit":2,
"progress":{"stage":"ready","since":1795760920049,"epoch":1,"armed":1795760920049}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000017"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000017"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(26,1,'gen-000014',2,NULL,1,NULL,3,76,7958059860446530763,'{"incarnation":"833b945a-47e7-47dc-b1d6-3bfef64d3ec2","step":"00000000-0000-0001-0000-000000000048","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920049,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000014"}},"attempts":0}}},"payload":{"payment":"pay-gen-000014"},"data":{"id":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000014","payment":"pay-gen-000014","cents":10966},"visit":2,
"progress":{"stage":"ready","since":1795760920049,"epoch":1,"armed":1795760920049}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000014"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000014"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(27,1,'gen-000015',1,NULL,1,NULL,2,57,8750611662879896836,'{"incarnation":"b38a64f5-998a-46f8-b7bb-bd07d1cbe88e","step":"00000000-0000-0001-0000-000000000039","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920004,"payload":{"payment":"pay-gen-000015"},"data":{"id":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000015"},"visit":2,
"progress":{"stage":"ready","since":1795760920004,"epoch":1,"armed":1795760920004,"attempts":1,"spent_ms":42,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000015"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(28,1,'gen-000016',1,NULL,1,NULL,2,70,8798568675516251762,'{"incarnation":"6ed99b6f-2bbe-48eb-9508-bb70d42c27b4","step":"00000000-0000-0001-0000-000000000044","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920047,"payload":{"payment":"pay-gen-000016"},"data":{"id":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000016"},"visit":2,
"progress":{"stage":"ready","since":1795760920047,"epoch":1,"armed":1795760920047}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000016"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(29,1,'gen-000018',3,NULL,NULL,1795760920007,3,58,-1448551185652347198,'{"incarnation":"97631000-63c2-4fdb-8d95-6a7e6b246e58","step":"00000000-0000-0001-0000-00000000003a","state":"completed","version":1,"visit":3,"created_at":1795760919913,"changed_at":1795760920007,"data":{"id":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(30,1,'gen-000019',1,NULL,1,NULL,2,68,6827772489189253210,'{"incarnation":"f9c77906-79c4-4cb1-bb94-0a05466972d9","step":"00000000-0000-0001-0000-000000000042","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795760919913,"changed_at":1795760920047,"payload":{"payment":"pay-gen-000019"},"data":{"id":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000019"},"visit":2,
"progress":{"stage":"ready","since":1795760920047,"epoch":1,"armed":1795760920047}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000019"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
CREATE TABLE saga_item (
    instance INTEGER NOT NULL,
    item     TEXT NOT NULL,
    body     TEXT NOT NULL,
    progress TEXT,                    -- of a task
    checksum INTEGER NOT NULL,
    PRIMARY KEY (instance, item)
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
, counted INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "saga_meta" VALUES(1,6,1,14,'6e1471fa-5a29-4705-8a71-37af1643a13c','process 16133',0,0,0);
CREATE TABLE saga_name (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE         -- of a saga
) STRICT;
INSERT INTO "saga_name" VALUES(1,'order');
CREATE TABLE saga_retired (
    what TEXT NOT NULL,               -- 'saga', 'state', 'event' or 'command'
    saga TEXT NOT NULL,               -- whose it is; empty for a saga
    was  TEXT NOT NULL,
    name TEXT NOT NULL,               -- the present one
    PRIMARY KEY (what, saga, was)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_timer (
    due_at   INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (due_at, instance, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX saga_inbox_to ON saga_inbox (consumer, key);
CREATE INDEX saga_dead_message ON saga_dead (consumer, key, message) WHERE message IS NOT NULL;
CREATE INDEX saga_delivery_named ON saga_delivery (consumer, key, message) WHERE named = 1;
CREATE INDEX saga_dedup_at ON saga_dedup (at);
CREATE UNIQUE INDEX saga_instance_address ON saga_instance (saga, key);
CREATE INDEX saga_instance_compensating ON saga_instance (id) WHERE status = 2;
CREATE INDEX saga_instance_parked ON saga_instance (id) WHERE parked = 1;
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
CREATE INDEX saga_instance_live ON saga_instance (open, id, saga) WHERE over_at IS NULL OR open = 1;
CREATE INDEX saga_instance_failed ON saga_instance (status, id, saga) WHERE status >= 4;
DELETE FROM "sqlite_sequence";
COMMIT;
