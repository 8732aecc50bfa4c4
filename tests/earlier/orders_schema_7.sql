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
INSERT INTO "saga_count" VALUES(4,1,'awaiting-shipment',2,0,0);
INSERT INTO "saga_count" VALUES(5,1,'completed',3,0,0);
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
INSERT INTO "saga_dedup" VALUES('order','gen-000001','gen-000001',736024737828497994,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000002','gen-000002',-3918649963259253044,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000003','gen-000003',1146276340941013428,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000004','gen-000004',8966984047796752464,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000005','gen-000005',-409408472406308345,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000006','gen-000006',5201963744454743169,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000007','gen-000007',-3403876535631277003,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000008','gen-000008',396917958612644744,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000009','gen-000009',-1074960334497355407,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000010','gen-000010',-8207961471534145218,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000011','gen-000011',-5295407504210968752,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000012','gen-000012',-1659251717681691544,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000013','gen-000013',3286713883267105975,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000014','gen-000014',8030021909142950699,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000015','gen-000015',5875669736350833191,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000016','gen-000016',1729206018153691863,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000017','gen-000017',-7695356880813761199,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000018','gen-000018',-8067164400414934278,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000019','gen-000019',1937755213620678310,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000020','gen-000020',3393723944441763166,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000021','gen-000021',-2186975161977318990,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000022','gen-000022',-4704866163454213525,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000023','gen-000023',5099154083267367108,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000024','gen-000024',3229269408210690931,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000025','gen-000025',-1136930941981094902,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000026','gen-000026',-4703028072204528337,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000027','gen-000027',2070593887466536527,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000028','gen-000028',-4305847177991412215,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000029','gen-000029',-2037019525795336313,1795770996189);
INSERT INTO "saga_dedup" VALUES('order','gen-000030','gen-000030',7088632867026658918,1795770996189);
CREATE TABLE saga_definition (
    saga    TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,            -- JSON, see docs/json.md
    PRIMARY KEY (saga, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "saga_definition" VALUES('order',1,'{"saga":"order","was":[],"version":1,"doc":"Where an order is.","data":{"type_name":"Order","shape":{"":"object","cents":"u64","id":"string","items":"list","items[]":"object","items[].count":"u32","items[].sku":"string"}},"states":[{"name":"awaiting-payment","variant":"AwaitingPayment","doc":"The bank has been asked for the money.","payload":null,"end":null,"rows":[1,2,3,4,8],"unhandled":"reject","timers":[{"name":"15m","millis":900000,"method":null,"periodic":false}],"owes":[],"on_enter":[],"on_leave":[]},{"name":"awaiting-shipment","variant":"AwaitingShipment","doc":"Paid; the carrier has been asked for a label.","payload":{"type_name":"Paid","shape":{"":"object","payment":"string"}},"end":null,"rows":[5,6,7,8],"unhandled":"reject","timers":[],"owes":["payment.refund"],"on_enter":[],"on_leave":[]},{"name":"completed","variant":"Completed","doc":"Paid and on its way.","payload":null,"end":"completed","rows":[],"unhandled":"reject","timers":[],"owes":[],"on_enter":[],"on_leave":[]},{"name":"payment-failed","variant":"PaymentFailed","doc":"Nothing was charged, or what was charged has been given back.","payload":null,"end":"failed","rows":[],"unhandled":"reject","timers":[],"owes":[],"on_enter":[],"on_leave":[]},{"name":"cancelled","variant":"Cancelled","doc":"Everything has been undone.","payload":null,"end":"failed","rows":[],"unhandled":"reject","timers":[],"owes":[],"on_enter":[{"do":"publish","name":"order.cancelled","type_name":"OrderCancelled","method":"order_cancelled","each":false,"undo":null}],"on_leave":[]}],"initially":[0],"rows":[{"triggers":[{"on":"event","name":"order.placed","label":"OrderPlaced"}],"all":false,"verdict":null,"guard":null,"compensate":false,"not_owed":[],"waives":[],"clauses":[{"do":"run","name":"","type_name":"","method":"place","each":false,"undo":null},{"do":"send","name":"payment.make","type_name":"MakePayment","method":"make_payment","each":false,"undo":"payment.void"}],"to":{"to":["awaiting-payment"]},"doc":""},{"triggers":[{"on":"event","name":"payment.completed","label":"PaymentCompleted"}],"all":false,"verdict":null,"guard":null,"compensate":false,"not_owed":["payment.void"],"waives":[],"clauses":[{"do":"run","name":"","type_name":"","method":"keep_receipt","each":false,"undo":null},{"do":"send","name":"label.create","type_name":"CreateShippingLabel","method":"create_shipping_label","each":false,"undo":"label.void"}],"to":{"to":["awaiting-shipment"]},"doc":""},{"triggers":[{"on":"event","name":"payment.declined","label":"PaymentDeclined"},{"on":"failed","name":"payment.make","label":"failed(MakePayment)"}],"all":false,"verdict":null,"guard":null,"compensate":false,"not_owed":["payment.void"],"waives":[],"clauses":[],"to":{"to":["payment-failed"]},"doc":""},{"triggers":[{"on":"unknown","name":"payment.make","label":"unknown(MakePayment)"}],"all":false,"verdict":null,"guard":null,"compensate":true,"not_owed":[],"waives":[],"clauses":[],"to":{"to":["payment-failed"]},"doc":""},{"triggers":[{"on":"timer","name":"15m","label":"timeout 15m"}],"all":false,"verdict":null,"guard":null,"compensate":true,"not_owed":[],"waives":[],"clauses":[],"to":{"to":["cancelled"]},"doc":""},{"triggers":[{"on":"event","name":"label.created","label":"LabelCreated"}],"all":false,"verdict":null,"guard":null,"compensate":false,"not_owed":[],"waives":[],"clauses":[{"do":"publish","name":"order.completed","type_name":"OrderCompleted","method":"order_completed","each":false,"undo":null}],"to":{"to":["completed"]},"doc":""},{"triggers":[{"on":"event","name":"label.refused","label":"LabelRefused"},{"on":"failed","name":"label.create","label":"failed(CreateShippingLabel)"}],"all":false,"verdict":null,"guard":null,"compensate":true,"not_owed":[],"waives":[],"clauses":[],"to":{"to":["cancelled"]},"doc":""},{"triggers":[{"on":"unknown","name":"label.create","label":"unknown(CreateShippingLabel)"}],"all":false,"verdict":null,"guard":null,"compensate":false,"not_owed":[],"waives":[],"clauses":[],"to":"park","doc":""},{"triggers":[{"on":"event","name":"order.cancel-requested","label":"CancelRequested"}],"all":false,"verdict":null,"guard":null,"compensate":true,"not_owed":[],"waives":[],"clauses":[],"to":{"to":["cancelled"]},"doc":""}],"events":[{"name":"order.placed","version":1,"keyed":true,"type_name":"OrderPlaced","shape":{"":"object","cents":"u64","items":"list","items[]":"object","items[].count":"u32","items[].sku":"string","order":"string"}},{"name":"payment.completed","version":1,"keyed":false,"type_name":"PaymentCompleted","shape":{"":"object","payment":"string"}},{"name":"payment.declined","version":1,"keyed":false,"type_name":"PaymentDeclined","shape":{"":"object","why":"string"}},{"name":"label.created","version":1,"keyed":false,"type_name":"LabelCreated","shape":{"":"object","label":"string"}},{"name":"label.refused","version":1,"keyed":false,"type_name":"LabelRefused","shape":{"":"object","why":"string"}},{"name":"order.cancel-requested","version":1,"keyed":true,"type_name":"CancelRequested","shape":{"":"object","order":"string"}}],"commands":[{"name":"payment.make","version":1,"replies":["payment.completed","payment.declined"],"at_most_once":false,"best_effort":false,"undo":false,"type_name":"MakePayment","shape":{"":"object","cents":"u64","order":"string"}},{"name":"payment.void","version":1,"replies":[],"at_most_once":false,"best_effort":false,"undo":true,"type_name":"VoidPayment","shape":{"":"object","cents":"u64","order":"string"}},{"name":"label.create","version":1,"replies":["label.created","label.refused"],"at_most_once":false,"best_effort":false,"undo":false,"type_name":"CreateShippingLabel","shape":{"":"object","order":"string"}},{"name":"label.void","version":1,"replies":[],"at_most_once":false,"best_effort":false,"undo":true,"type_name":"VoidLabel","shape":{"":"object","order":"string"}},{"name":"payment.refund","version":1,"replies":[],"at_most_once":false,"best_effort":false,"undo":true,"type_name":"RefundPayment","shape":{"":"object","cents":"u64","order":"string","payment":"string"}}],"children":[],"deadline":null,"on_abort":null,"ended_instance":"ignore","missing_instance":"reject"}');
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
INSERT INTO "saga_delivery" VALUES(1,'completed-mail','gen-000029','order.completed',1,'{"order":"gen-000029","payment":"pay-gen-000029"}','d6c27841-03d0-52dd-8964-712bb3b16fcd',1,'ready',0,0,1795770996199,0,1,1795770996199,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(2,'completed-mail','gen-000018','order.completed',1,'{"order":"gen-000018","payment":"pay-gen-000018"}','6027e183-0c84-58b5-b593-2002b5a6ab38',1,'ready',0,0,1795770996199,0,1,1795770996199,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(3,'completed-mail','gen-000030','order.completed',1,'{"order":"gen-000030","payment":"pay-gen-000030"}','89bd292b-bb5d-57ed-866a-2b33837a857e',1,'ready',0,0,1795770996199,0,1,1795770996199,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(4,'completed-mail','gen-000025','order.completed',1,'{"order":"gen-000025","payment":"pay-gen-000025"}','8478c400-ab4a-59ab-8450-c65fb624e085',1,'ready',0,0,1795770996199,0,1,1795770996199,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(5,'completed-mail','gen-000004','order.completed',1,'{"order":"gen-000004","payment":"pay-gen-000004"}','3f6338c9-36a5-5a9d-9067-b31a6c58ebb7',1,'ready',0,0,1795770996199,0,1,1795770996199,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(6,'completed-mail','gen-000012','order.completed',1,'{"order":"gen-000012","payment":"pay-gen-000012"}','94878583-ea26-54e0-ab21-293a41e93be7',1,'ready',0,0,1795770996199,0,1,1795770996199,0,0,NULL,NULL,0,0);
CREATE TABLE saga_history (
    id       INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    prev     INTEGER,
    checksum INTEGER NOT NULL,
    body     TEXT NOT NULL
, moved INTEGER) STRICT;
INSERT INTO "saga_history" VALUES(1,1,NULL,6461525867419187537,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000001",null,{"order":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(2,2,NULL,-1925347661391550917,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000002",null,{"order":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(3,3,NULL,4973751870352745296,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000003",null,{"order":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(4,4,NULL,2905035305382627536,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000004",null,{"order":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(5,5,NULL,-377845277021135532,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000005",null,{"order":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(6,6,NULL,5397575149293540480,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000006",null,{"order":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(7,7,NULL,7651731793604175354,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000007",null,{"order":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(8,8,NULL,1652978445677485589,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000008",null,{"order":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(9,9,NULL,752799293690446479,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000009",null,{"order":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(10,10,NULL,-3140680475074376160,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000010",null,{"order":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(11,11,NULL,2020944018121153165,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000011",null,{"order":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(12,12,NULL,1311824109442549605,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000012",null,{"order":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(13,13,NULL,1226886893001762096,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000013",null,{"order":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(14,14,NULL,-7624977806341215810,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000014",null,{"order":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(15,15,NULL,986542833984164915,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000015",null,{"order":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(16,16,NULL,3955079952755177814,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000016",null,{"order":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(17,17,NULL,6760970326803507006,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000017",null,{"order":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(18,18,NULL,738751571253639192,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000018",null,{"order":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(19,19,NULL,430523716195569902,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000019",null,{"order":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(20,20,NULL,6855644498517690317,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000020",null,{"order":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(21,21,NULL,-6868597273063496880,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000021",null,{"order":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(22,22,NULL,3291893444993695488,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000022",null,{"order":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(23,23,NULL,-4925213096791829044,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000023",null,{"order":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(24,24,NULL,-2613324145931651252,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000024",null,{"order":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(25,25,NULL,1803368496310877552,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000025",null,{"order":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(26,26,NULL,976516480368348063,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000026",null,{"order":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(27,27,NULL,3742357733785615798,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000027",null,{"order":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(28,28,NULL,6030660872335027193,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000028",null,{"order":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(29,29,NULL,6875436113303820524,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000029",null,{"order":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(30,30,NULL,-4405044367657652977,'[1,"started",1795770996189,"order.placed","","awaiting-payment","gen-000030",null,{"order":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(31,17,17,-7566195290973884351,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000017"}]',65538);
INSERT INTO "saga_history" VALUES(32,4,4,-3296204298860219525,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000004"}]',65538);
INSERT INTO "saga_history" VALUES(33,18,18,5876876756588139910,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000018"}]',65538);
INSERT INTO "saga_history" VALUES(34,23,23,2127283202511799507,'[2,"applied",1795770996194,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(35,25,25,-1518553150651258687,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000025"}]',65538);
INSERT INTO "saga_history" VALUES(36,26,26,5261650883296175219,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000026"}]',65538);
INSERT INTO "saga_history" VALUES(37,29,29,-15596421701294192,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000029"}]',65538);
INSERT INTO "saga_history" VALUES(38,30,30,5044083491411831062,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000030"}]',65538);
INSERT INTO "saga_history" VALUES(39,10,10,38669057429276911,'[2,"applied",1795770996194,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(40,12,12,-8983549892270156742,'[2,"applied",1795770996194,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000012"}]',65538);
INSERT INTO "saga_history" VALUES(41,1,1,9220300108502613185,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000001"}]',65538);
INSERT INTO "saga_history" VALUES(42,2,2,-6750248415822998245,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000002"}]',65538);
INSERT INTO "saga_history" VALUES(43,3,3,8128396712137563282,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000003"}]',65538);
INSERT INTO "saga_history" VALUES(44,5,5,-309952445692598533,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000005"}]',65538);
INSERT INTO "saga_history" VALUES(45,21,21,972350412014630540,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000021"}]',65538);
INSERT INTO "saga_history" VALUES(46,22,22,-7895757389147913398,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000022"}]',65538);
INSERT INTO "saga_history" VALUES(47,6,6,-6558532667926336537,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000006"}]',65538);
INSERT INTO "saga_history" VALUES(48,20,20,889857693794322921,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000020"}]',65538);
INSERT INTO "saga_history" VALUES(49,24,24,-3432634727138766681,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000024"}]',65538);
INSERT INTO "saga_history" VALUES(50,27,27,7736859167857958787,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000027"}]',65538);
INSERT INTO "saga_history" VALUES(51,8,8,-5396514241872840629,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000008"}]',65538);
INSERT INTO "saga_history" VALUES(52,9,9,930875727650395234,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000009"}]',65538);
INSERT INTO "saga_history" VALUES(53,11,11,4631657274680125682,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000011"}]',65538);
INSERT INTO "saga_history" VALUES(54,14,14,2094553857801552534,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000014"}]',65538);
INSERT INTO "saga_history" VALUES(55,13,13,-6389288509012618715,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000013"}]',65538);
INSERT INTO "saga_history" VALUES(56,15,15,-7288925156896001049,'[2,"applied",1795770996196,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000015"}]',65538);
INSERT INTO "saga_history" VALUES(57,7,7,-5236465604741195155,'[2,"applied",1795770996196,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(58,19,19,8619862057967067061,'[2,"applied",1795770996198,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000019"}]',65538);
INSERT INTO "saga_history" VALUES(59,28,28,6159076796015301876,'[2,"applied",1795770996198,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000028"}]',65538);
INSERT INTO "saga_history" VALUES(60,16,16,4851549217773633102,'[2,"applied",1795770996198,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000016"}]',65538);
INSERT INTO "saga_history" VALUES(61,26,36,-5384154949216542727,'[3,"compensating",1795770996199,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131076);
INSERT INTO "saga_history" VALUES(62,26,61,-2387577419785715747,'[3,"undoing",1795770996199,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000026","payment":"pay-gen-000026","cents":5994}]',NULL);
INSERT INTO "saga_history" VALUES(63,29,37,3274448469035635538,'[3,"applied",1795770996199,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000029"}]',131077);
INSERT INTO "saga_history" VALUES(64,18,33,6017810951956123733,'[3,"applied",1795770996199,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000018"}]',131077);
INSERT INTO "saga_history" VALUES(65,30,38,5048583233574480832,'[3,"applied",1795770996199,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000030"}]',131077);
INSERT INTO "saga_history" VALUES(66,25,35,4175011811753854243,'[3,"applied",1795770996199,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000025"}]',131077);
INSERT INTO "saga_history" VALUES(67,17,31,1797080059997462985,'[3,"compensating",1795770996199,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131076);
INSERT INTO "saga_history" VALUES(68,17,67,128734266984380058,'[3,"undoing",1795770996199,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000017","payment":"pay-gen-000017","cents":34723}]',NULL);
INSERT INTO "saga_history" VALUES(69,4,32,-4567464388888265058,'[3,"applied",1795770996199,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000004"}]',131077);
INSERT INTO "saga_history" VALUES(70,12,40,-6683753497378980713,'[3,"applied",1795770996199,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000012"}]',131077);
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
INSERT INTO "saga_instance" VALUES(1,1,'gen-000001',1,NULL,1,NULL,2,41,-289905878695587758,'{"incarnation":"ac17be3d-e8ac-42ae-8820-33185c06fee7","step":"00000000-0000-0001-0000-000000000029","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000001"},"data":{"id":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000001"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000001"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(2,1,'gen-000002',1,NULL,1,NULL,2,42,6376655779641264939,'{"incarnation":"2da121d1-aa95-4483-afd9-589dcb46bf10","step":"00000000-0000-0001-0000-00000000002a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000002"},"data":{"id":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000002"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000002"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(3,1,'gen-000003',1,NULL,1,NULL,2,43,2191508692556277491,'{"incarnation":"5e1faf9c-d062-4369-94ed-522e067dcf99","step":"00000000-0000-0001-0000-00000000002b","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000003"},"data":{"id":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000003"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000003"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(4,1,'gen-000004',3,NULL,NULL,1795770996199,3,69,125989351860286826,'{"incarnation":"70c90513-af8f-43eb-9236-6b17e81fd1a9","step":"00000000-0000-0001-0000-000000000043","state":"completed","version":1,"visit":3,"created_at":1795770996189,"changed_at":1795770996199,"data":{"id":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(5,1,'gen-000005',1,NULL,1,NULL,2,44,-4977578333826677948,'{"incarnation":"26c38ae7-71aa-4dfd-b753-1dd06e53a748","step":"00000000-0000-0001-0000-00000000002c","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000005"},"data":{"id":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000005"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000005"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(6,1,'gen-000006',1,NULL,1,NULL,2,47,-519272256923382797,'{"incarnation":"bcd78a31-0f99-4753-8480-f1f463c2298b","step":"00000000-0000-0001-0000-00000000002f","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000006"},"data":{"id":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000006"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000006"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(7,1,'gen-000007',4,NULL,NULL,1795770996196,2,57,-9133819470454842349,'{"incarnation":"faa8669e-9d25-4747-96d3-99c13865a631","step":"00000000-0000-0001-0000-000000000039","state":"payment-failed","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"data":{"id":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(8,1,'gen-000008',1,NULL,1,NULL,2,51,7175192705522188522,'{"incarnation":"d5309b89-b645-4ced-b4b8-b6426460a51f","step":"00000000-0000-0001-0000-000000000033","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000008"},"data":{"id":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000008"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000008"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(9,1,'gen-000009',1,NULL,1,NULL,2,52,597279842231404078,'{"incarnation":"94061055-5622-4d7e-9830-12d2312e7287","step":"00000000-0000-0001-0000-000000000034","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000009"},"data":{"id":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000009"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000009"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(10,1,'gen-000010',4,NULL,NULL,1795770996194,2,39,-6497979564265831810,'{"incarnation":"6c05f001-b497-464c-b4a6-c4dde07cf85c","step":"00000000-0000-0001-0000-000000000027","state":"payment-failed","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996194,"data":{"id":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(11,1,'gen-000011',1,NULL,1,NULL,2,53,7939692852928431853,'{"incarnation":"b9e7954f-6788-4cd3-bc00-975bbf3f9721","step":"00000000-0000-0001-0000-000000000035","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000011"},"data":{"id":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000011"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000011"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(12,1,'gen-000012',3,NULL,NULL,1795770996199,3,70,-8831894029687196285,'{"incarnation":"55e04ed2-e7ed-45f2-8d8c-c714d99ecbf2","step":"00000000-0000-0001-0000-000000000044","state":"completed","version":1,"visit":3,"created_at":1795770996189,"changed_at":1795770996199,"data":{"id":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(13,1,'gen-000013',1,NULL,1,NULL,2,55,-5569744395001456241,'{"incarnation":"f3c51ec9-e157-4961-9d8d-35396adba19b","step":"00000000-0000-0001-0000-000000000037","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000013"},"data":{"id":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000013"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000013"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(14,1,'gen-000014',1,NULL,1,NULL,2,54,-5938347169755021516,'{"incarnation":"ad4e36b1-9efc-43ed-8b9f-051629200f51","step":"00000000-0000-0001-0000-000000000036","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000014"},"data":{"id":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000014"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000014"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(15,1,'gen-000015',1,NULL,1,NULL,2,56,-2853494649714604565,'{"incarnation":"5ef75c68-cd9d-4b77-aa28-ab212a8e6b09","step":"00000000-0000-0001-0000-000000000038","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000015"},"data":{"id":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000015"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000015"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(16,1,'gen-000016',1,NULL,1,NULL,2,60,-830390235841217907,'{"incarnation":"75ed296c-eaf8-472b-98e5-f96623ac73e5","step":"00000000-0000-0001-0000-00000000003c","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996198,"payload":{"payment":"pay-gen-000016"},"data":{"id":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000016"},"visit":2,
"progress":{"stage":"ready","since":1795770996198,"epoch":1,"armed":1795770996198}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000016"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(17,1,'gen-000017',2,NULL,1,NULL,3,68,4100488103487034274,'{"incarnation":"aa4709ae-b3ce-45e3-a095-94845018198a","step":"00000000-0000-0001-0000-000000000042","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996199,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000017"}},"attempts":0}}},"payload":{"payment":"pay-gen-000017"},"data":{"id":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000017","payment":"pay-gen-000017","cents":34723},"visit":2,
"progress":{"stage":"ready","since":1795770996199,"epoch":1,"armed":1795770996199}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000017"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000017"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(18,1,'gen-000018',3,NULL,NULL,1795770996199,3,64,-362399790013963121,'{"incarnation":"5ffe0640-f0d3-4873-9628-7cbc57d0c4de","step":"00000000-0000-0001-0000-00000000003f","state":"completed","version":1,"visit":3,"created_at":1795770996189,"changed_at":1795770996199,"data":{"id":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(19,1,'gen-000019',1,NULL,1,NULL,2,58,-7945776391474052782,'{"incarnation":"453b0567-0820-43ce-832f-f857e04db2d6","step":"00000000-0000-0001-0000-00000000003a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996198,"payload":{"payment":"pay-gen-000019"},"data":{"id":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000019"},"visit":2,
"progress":{"stage":"ready","since":1795770996198,"epoch":1,"armed":1795770996198}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000019"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(20,1,'gen-000020',1,NULL,1,NULL,2,48,-6106893354993033479,'{"incarnation":"75cf8d12-335c-498f-a842-89183c86a645","step":"00000000-0000-0001-0000-000000000030","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000020"},"data":{"id":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000020"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000020"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(21,1,'gen-000021',1,NULL,1,NULL,2,45,-4520698815357839768,'{"incarnation":"2dc5c313-c686-4252-9c3a-58577396cf2f","step":"00000000-0000-0001-0000-00000000002d","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000021"},"data":{"id":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000021"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000021"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(22,1,'gen-000022',1,NULL,1,NULL,2,46,-5956069648674288168,'{"incarnation":"f794e173-95d1-473c-bddd-4da07228b112","step":"00000000-0000-0001-0000-00000000002e","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000022"},"data":{"id":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000022"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000022"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(23,1,'gen-000023',4,NULL,NULL,1795770996194,2,34,-8320382952996025464,'{"incarnation":"ee55ab9c-c3c2-403f-863b-0234bfb0df42","step":"00000000-0000-0001-0000-000000000022","state":"payment-failed","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996194,"data":{"id":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(24,1,'gen-000024',1,NULL,1,NULL,2,49,2857332089637497296,'{"incarnation":"f9da53ad-b2ad-4c94-af34-f5fb3c046acf","step":"00000000-0000-0001-0000-000000000031","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000024"},"data":{"id":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000024"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000024"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(25,1,'gen-000025',3,NULL,NULL,1795770996199,3,66,-2112033165624450023,'{"incarnation":"8ca18772-2a84-4390-bebf-d5bafd1ceee1","step":"00000000-0000-0001-0000-000000000041","state":"completed","version":1,"visit":3,"created_at":1795770996189,"changed_at":1795770996199,"data":{"id":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(26,1,'gen-000026',2,NULL,1,NULL,3,62,-1023035611805380816,'{"incarnation":"f7cb73c1-c636-4b85-a874-e8ebf9ac861b","step":"00000000-0000-0001-0000-00000000003d","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996199,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000026"}},"attempts":0}}},"payload":{"payment":"pay-gen-000026"},"data":{"id":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000026","payment":"pay-gen-000026","cents":5994},"visit":2,
"progress":{"stage":"ready","since":1795770996199,"epoch":1,"armed":1795770996199}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000026"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000026"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(27,1,'gen-000027',1,NULL,1,NULL,2,50,6767350783925290915,'{"incarnation":"08a88e4f-5c61-4ff4-ba16-7a39de4f06ad","step":"00000000-0000-0001-0000-000000000032","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996196,"payload":{"payment":"pay-gen-000027"},"data":{"id":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000027"},"visit":2,
"progress":{"stage":"ready","since":1795770996196,"epoch":1,"armed":1795770996196}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000027"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(28,1,'gen-000028',1,NULL,1,NULL,2,59,7364270060713204178,'{"incarnation":"3281b22a-c981-48fc-94c5-4c7a04224fb8","step":"00000000-0000-0001-0000-00000000003b","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795770996189,"changed_at":1795770996198,"payload":{"payment":"pay-gen-000028"},"data":{"id":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000028"},"visit":2,
"progress":{"stage":"ready","since":1795770996198,"epoch":1,"armed":1795770996198}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000028"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(29,1,'gen-000029',3,NULL,NULL,1795770996199,3,63,-8446336371618443582,'{"incarnation":"774ab328-5484-4c12-9e6d-ce52fe3f5a1d","step":"00000000-0000-0001-0000-00000000003e","state":"completed","version":1,"visit":3,"created_at":1795770996189,"changed_at":1795770996199,"data":{"id":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(30,1,'gen-000030',3,NULL,NULL,1795770996199,3,65,-1982179913079385765,'{"incarnation":"3e1be990-acbb-4cf2-9250-15c85b5728c6","step":"00000000-0000-0001-0000-000000000040","state":"completed","version":1,"visit":3,"created_at":1795770996189,"changed_at":1795770996199,"data":{"id":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}}','{}');
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
INSERT INTO "saga_meta" VALUES(1,7,1,0,'50f235c2-e7c7-4011-b483-f6cc5bedddd2','process 7675',0,0,0);
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
