BEGIN TRANSACTION;
CREATE TABLE saga_alias (
    saga     INTEGER NOT NULL,
    alias    TEXT NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (saga, alias)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "saga_dedup" VALUES('order','gen-000001','gen-000001',736024737828497994,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000002','gen-000002',-3918649963259253044,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000003','gen-000003',1146276340941013428,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000004','gen-000004',8966984047796752464,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000005','gen-000005',-409408472406308345,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000006','gen-000006',5201963744454743169,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000007','gen-000007',-3403876535631277003,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000008','gen-000008',396917958612644744,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000009','gen-000009',-1074960334497355407,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000010','gen-000010',-8207961471534145218,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000011','gen-000011',-5295407504210968752,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000012','gen-000012',-1659251717681691544,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000013','gen-000013',3286713883267105975,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000014','gen-000014',8030021909142950699,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000015','gen-000015',5875669736350833191,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000016','gen-000016',1729206018153691863,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000017','gen-000017',-7695356880813761199,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000018','gen-000018',-8067164400414934278,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000019','gen-000019',1937755213620678310,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000020','gen-000020',3393723944441763166,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000021','gen-000021',-2186975161977318990,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000022','gen-000022',-4704866163454213525,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000023','gen-000023',5099154083267367108,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000024','gen-000024',3229269408210690931,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000025','gen-000025',-1136930941981094902,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000026','gen-000026',-4703028072204528337,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000027','gen-000027',2070593887466536527,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000028','gen-000028',-4305847177991412215,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000029','gen-000029',-2037019525795336313,1795776485310);
INSERT INTO "saga_dedup" VALUES('order','gen-000030','gen-000030',7088632867026658918,1795776485310);
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
INSERT INTO "saga_delivery" VALUES(1,'completed-mail','gen-000029','order.completed',1,'{"order":"gen-000029","payment":"pay-gen-000029"}','4ba75c70-d751-5b56-a841-ed8d0d34e424',1,'ready',0,0,1795776485321,0,1,1795776485321,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(2,'completed-mail','gen-000018','order.completed',1,'{"order":"gen-000018","payment":"pay-gen-000018"}','0d6c6996-fb41-53de-8935-e5c670f7dac0',1,'ready',0,0,1795776485321,0,1,1795776485321,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(3,'completed-mail','gen-000030','order.completed',1,'{"order":"gen-000030","payment":"pay-gen-000030"}','9839d518-3d27-52cd-8673-e048303b78c8',1,'ready',0,0,1795776485321,0,1,1795776485321,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(4,'completed-mail','gen-000025','order.completed',1,'{"order":"gen-000025","payment":"pay-gen-000025"}','ed9bb789-bc59-54b8-a84e-13d1f40a8c23',1,'ready',0,0,1795776485321,0,1,1795776485321,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(5,'completed-mail','gen-000012','order.completed',1,'{"order":"gen-000012","payment":"pay-gen-000012"}','29f6ae4b-6672-586d-9302-aca30dd26cee',1,'ready',0,0,1795776485323,0,1,1795776485323,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(6,'completed-mail','gen-000027','order.completed',1,'{"order":"gen-000027","payment":"pay-gen-000027"}','341b4b01-5bb1-501b-9414-0ec677eef154',1,'ready',0,0,1795776485323,0,1,1795776485323,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(7,'completed-mail','gen-000005','order.completed',1,'{"order":"gen-000005","payment":"pay-gen-000005"}','79579a09-5429-5545-943b-3566e59a4a74',1,'ready',0,0,1795776485323,0,1,1795776485323,0,0,NULL,NULL,0,0);
INSERT INTO "saga_delivery" VALUES(8,'completed-mail','gen-000013','order.completed',1,'{"order":"gen-000013","payment":"pay-gen-000013"}','60362777-e766-5def-afda-041ad28b59ba',1,'ready',0,0,1795776485323,0,1,1795776485323,0,0,NULL,NULL,0,0);
CREATE TABLE saga_history (
    id       INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    prev     INTEGER,
    checksum INTEGER NOT NULL,
    body     TEXT NOT NULL
, moved INTEGER) STRICT;
INSERT INTO "saga_history" VALUES(1,1,NULL,2192675752094305858,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000001",null,{"order":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(2,2,NULL,-6922124315696770392,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000002",null,{"order":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(3,3,NULL,-4774753452001266168,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000003",null,{"order":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(4,4,NULL,2339434751835845788,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000004",null,{"order":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(5,5,NULL,-9200926890791395035,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000005",null,{"order":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(6,6,NULL,-219740869700849613,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000006",null,{"order":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(7,7,NULL,5980534577475225060,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000007",null,{"order":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(8,8,NULL,6319707991931977789,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000008",null,{"order":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(9,9,NULL,292875647777441067,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000009",null,{"order":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(10,10,NULL,-954760079865820461,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000010",null,{"order":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(11,11,NULL,112730109831039417,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000011",null,{"order":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(12,12,NULL,835348679082557710,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000012",null,{"order":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(13,13,NULL,-5653658567416201415,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000013",null,{"order":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(14,14,NULL,-2544600994744883041,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000014",null,{"order":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(15,15,NULL,-3517886988663406195,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000015",null,{"order":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(16,16,NULL,6988783809781882941,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000016",null,{"order":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(17,17,NULL,-8633844553812586399,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000017",null,{"order":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(18,18,NULL,-5346462098510244838,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000018",null,{"order":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(19,19,NULL,6845577531476972651,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000019",null,{"order":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(20,20,NULL,452317683221897418,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000020",null,{"order":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(21,21,NULL,6737543301826645574,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000021",null,{"order":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(22,22,NULL,4875376027051585568,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000022",null,{"order":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(23,23,NULL,-5047787826518869882,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000023",null,{"order":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(24,24,NULL,-4563351905376558279,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000024",null,{"order":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(25,25,NULL,-5339712864147286105,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000025",null,{"order":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(26,26,NULL,3768240746085924859,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000026",null,{"order":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(27,27,NULL,1025862371267956196,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000027",null,{"order":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(28,28,NULL,-4135451819975793807,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000028",null,{"order":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(29,29,NULL,-3774330768627484240,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000029",null,{"order":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(30,30,NULL,-3167712892836022550,'[1,"started",1795776485310,"order.placed","","awaiting-payment","gen-000030",null,{"order":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}]',1);
INSERT INTO "saga_history" VALUES(31,17,17,-9180532259124819844,'[2,"applied",1795776485316,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000017"}]',65538);
INSERT INTO "saga_history" VALUES(32,18,18,-6337904147616237542,'[2,"applied",1795776485316,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000018"}]',65538);
INSERT INTO "saga_history" VALUES(33,23,23,4604495635848857939,'[2,"applied",1795776485316,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(34,25,25,-493424152768041406,'[2,"applied",1795776485316,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000025"}]',65538);
INSERT INTO "saga_history" VALUES(35,26,26,3262666669951809934,'[2,"applied",1795776485316,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000026"}]',65538);
INSERT INTO "saga_history" VALUES(36,29,29,2949664708891320381,'[2,"applied",1795776485316,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000029"}]',65538);
INSERT INTO "saga_history" VALUES(37,30,30,1559237477694149301,'[2,"applied",1795776485316,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000030"}]',65538);
INSERT INTO "saga_history" VALUES(38,7,7,-8603697255381337039,'[2,"applied",1795776485316,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(39,10,10,-5076739180863996499,'[2,"applied",1795776485316,"payment.declined","awaiting-payment","payment-failed","payment.make",null,{"why":"the bank declined"}]',65539);
INSERT INTO "saga_history" VALUES(40,12,12,5223968851301472972,'[2,"applied",1795776485316,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000012"}]',65538);
INSERT INTO "saga_history" VALUES(41,1,1,1645839112484077164,'[2,"applied",1795776485317,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000001"}]',65538);
INSERT INTO "saga_history" VALUES(42,4,4,-3971281342010755438,'[2,"applied",1795776485317,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000004"}]',65538);
INSERT INTO "saga_history" VALUES(43,3,3,-2061998386229264300,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000003"}]',65538);
INSERT INTO "saga_history" VALUES(44,2,2,6558586444085759915,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000002"}]',65538);
INSERT INTO "saga_history" VALUES(45,20,20,7565331157512106289,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000020"}]',65538);
INSERT INTO "saga_history" VALUES(46,21,21,5289815343737567344,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000021"}]',65538);
INSERT INTO "saga_history" VALUES(47,22,22,-7335058551196952692,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000022"}]',65538);
INSERT INTO "saga_history" VALUES(48,24,24,-4633301749764021270,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000024"}]',65538);
INSERT INTO "saga_history" VALUES(49,27,27,3262531212554865999,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000027"}]',65538);
INSERT INTO "saga_history" VALUES(50,5,5,-7092477198363586581,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000005"}]',65538);
INSERT INTO "saga_history" VALUES(51,6,6,-3967034727152092748,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000006"}]',65538);
INSERT INTO "saga_history" VALUES(52,8,8,-7859583047461936953,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000008"}]',65538);
INSERT INTO "saga_history" VALUES(53,9,9,3398030450604704510,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000009"}]',65538);
INSERT INTO "saga_history" VALUES(54,11,11,-2407206758250976628,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000011"}]',65538);
INSERT INTO "saga_history" VALUES(55,13,13,-1852660703676624455,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000013"}]',65538);
INSERT INTO "saga_history" VALUES(56,15,15,4378018157960355861,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000015"}]',65538);
INSERT INTO "saga_history" VALUES(57,14,14,-805474451280588214,'[2,"applied",1795776485318,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000014"}]',65538);
INSERT INTO "saga_history" VALUES(58,19,19,8693513278921684067,'[2,"applied",1795776485320,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000019"}]',65538);
INSERT INTO "saga_history" VALUES(59,28,28,-3086703877663270947,'[2,"applied",1795776485321,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000028"}]',65538);
INSERT INTO "saga_history" VALUES(60,16,16,3816135428490590459,'[2,"applied",1795776485321,"payment.completed","awaiting-payment","awaiting-shipment","payment.make",null,{"payment":"pay-gen-000016"}]',65538);
INSERT INTO "saga_history" VALUES(61,29,36,-5201970462314009036,'[3,"applied",1795776485321,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000029"}]',131076);
INSERT INTO "saga_history" VALUES(62,18,32,6498621559084119764,'[3,"applied",1795776485321,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000018"}]',131076);
INSERT INTO "saga_history" VALUES(63,30,37,7422915921246355154,'[3,"applied",1795776485321,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000030"}]',131076);
INSERT INTO "saga_history" VALUES(64,25,34,-2691573888560830590,'[3,"applied",1795776485321,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000025"}]',131076);
INSERT INTO "saga_history" VALUES(65,26,35,-7070742641048068993,'[3,"compensating",1795776485321,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(66,26,65,-9137982281788162415,'[3,"undoing",1795776485321,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000026","payment":"pay-gen-000026","cents":5994}]',NULL);
INSERT INTO "saga_history" VALUES(67,17,31,-1379832196929715133,'[3,"compensating",1795776485323,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(68,17,67,-3586998030466486766,'[3,"undoing",1795776485323,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000017","payment":"pay-gen-000017","cents":34723}]',NULL);
INSERT INTO "saga_history" VALUES(69,12,40,-4501199358338172158,'[3,"applied",1795776485323,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000012"}]',131076);
INSERT INTO "saga_history" VALUES(70,27,49,-9145679793303583010,'[3,"applied",1795776485323,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000027"}]',131076);
INSERT INTO "saga_history" VALUES(71,3,43,-7311593976251507112,'[3,"compensating",1795776485323,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(72,3,71,3173963203670753250,'[3,"undoing",1795776485323,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000003","payment":"pay-gen-000003","cents":23857}]',NULL);
INSERT INTO "saga_history" VALUES(73,5,50,1489985813572420925,'[3,"applied",1795776485323,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000005"}]',131076);
INSERT INTO "saga_history" VALUES(74,8,52,-5666182246230465439,'[3,"compensating",1795776485323,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(75,8,74,2570735731678152364,'[3,"undoing",1795776485323,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000008","payment":"pay-gen-000008","cents":13452}]',NULL);
INSERT INTO "saga_history" VALUES(76,13,55,878752124687268968,'[3,"applied",1795776485323,"label.created","awaiting-shipment","completed","label.create","released: payment.refund, label.void",{"label":"label-gen-000013"}]',131076);
INSERT INTO "saga_history" VALUES(77,14,57,-8480594160884373526,'[3,"compensating",1795776485323,"label.refused","awaiting-shipment","awaiting-shipment","label.create",null,{"why":"the carrier does not go there"}]',131077);
INSERT INTO "saga_history" VALUES(78,14,77,-7040786020616262276,'[3,"undoing",1795776485323,"payment.refund","awaiting-shipment","awaiting-shipment",null,null,{"order":"gen-000014","payment":"pay-gen-000014","cents":10966}]',NULL);
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
INSERT INTO "saga_instance" VALUES(1,1,'gen-000001',1,NULL,1,NULL,2,41,-7751545219059103063,'{"incarnation":"987ba0be-5e7a-48cd-9fe5-e787fedec861","step":"00000000-0000-0001-0000-000000000029","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485317,"payload":{"payment":"pay-gen-000001"},"data":{"id":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000001"},"visit":2,
"progress":{"stage":"ready","since":1795776485317,"epoch":1,"armed":1795776485317,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000001"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(2,1,'gen-000002',1,NULL,1,NULL,2,44,-1448533491959474769,'{"incarnation":"a56b81e9-7ab2-4fa8-aee7-384d6b2d708d","step":"00000000-0000-0001-0000-00000000002c","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000002"},"data":{"id":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000002"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000002"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(3,1,'gen-000003',2,NULL,1,NULL,3,72,2325212150501903888,'{"incarnation":"a3d56cd7-a6b9-4da8-960c-19636f9059e8","step":"00000000-0000-0001-0000-000000000045","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485323,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000003"}},"attempts":0}}},"payload":{"payment":"pay-gen-000003"},"data":{"id":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000003","payment":"pay-gen-000003","cents":23857},"visit":2,
"progress":{"stage":"ready","since":1795776485323,"epoch":1,"armed":1795776485323}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000003"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000003"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(4,1,'gen-000004',1,NULL,1,NULL,2,42,4499077656339911633,'{"incarnation":"142e7530-2609-4e63-ad10-81cd8bdd491c","step":"00000000-0000-0001-0000-00000000002a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485317,"payload":{"payment":"pay-gen-000004"},"data":{"id":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000004"},"visit":2,
"progress":{"stage":"ready","since":1795776485317,"epoch":1,"armed":1795776485317,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000004"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(5,1,'gen-000005',3,NULL,NULL,1795776485323,3,73,1703424207894973077,'{"incarnation":"9aec769f-d3c5-4e07-abd6-e0ca62e89f07","step":"00000000-0000-0001-0000-000000000046","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485323,"data":{"id":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(6,1,'gen-000006',1,NULL,1,NULL,2,51,5439512297967451429,'{"incarnation":"1009c597-80f1-4229-9ed7-ad9873018180","step":"00000000-0000-0001-0000-000000000033","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000006"},"data":{"id":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000006"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000006"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(7,1,'gen-000007',4,NULL,NULL,1795776485316,2,38,-4359149815490274285,'{"incarnation":"0ac00bb7-cf64-4f8d-96eb-5145882614a3","step":"00000000-0000-0001-0000-000000000026","state":"payment-failed","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485316,"data":{"id":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(8,1,'gen-000008',2,NULL,1,NULL,3,75,-2003588931815003329,'{"incarnation":"1256c4bf-7835-4311-bde6-b7bf776e4245","step":"00000000-0000-0001-0000-000000000047","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485323,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000008"}},"attempts":0}}},"payload":{"payment":"pay-gen-000008"},"data":{"id":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000008","payment":"pay-gen-000008","cents":13452},"visit":2,
"progress":{"stage":"ready","since":1795776485323,"epoch":1,"armed":1795776485323}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000008"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000008"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(9,1,'gen-000009',1,NULL,1,NULL,2,53,383723459706034628,'{"incarnation":"9b6f00a9-21cb-4430-b53c-3fbf55cec734","step":"00000000-0000-0001-0000-000000000035","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000009"},"data":{"id":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000009"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000009"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(10,1,'gen-000010',4,NULL,NULL,1795776485316,2,39,-2971455009273675138,'{"incarnation":"2f659174-a888-4e74-8308-5ca43882a403","step":"00000000-0000-0001-0000-000000000027","state":"payment-failed","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485316,"data":{"id":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(11,1,'gen-000011',1,NULL,1,NULL,2,54,5443405969116162410,'{"incarnation":"fd267755-cf72-4a0d-8506-54b94f91bfd9","step":"00000000-0000-0001-0000-000000000036","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000011"},"data":{"id":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000011"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000011"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(12,1,'gen-000012',3,NULL,NULL,1795776485323,3,69,-222845652103989885,'{"incarnation":"2da7bf2f-9c74-468b-8696-cb02e90484d2","step":"00000000-0000-0001-0000-000000000043","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485323,"data":{"id":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(13,1,'gen-000013',3,NULL,NULL,1795776485323,3,76,6640730937032012825,'{"incarnation":"9c9c716b-4ff7-49ce-83a6-ce439ed29718","step":"00000000-0000-0001-0000-000000000048","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485323,"data":{"id":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(14,1,'gen-000014',2,NULL,1,NULL,3,78,5727321817542004771,'{"incarnation":"42117442-c159-4433-bf75-dde608b4e614","step":"00000000-0000-0001-0000-000000000049","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485323,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000014"}},"attempts":0}}},"payload":{"payment":"pay-gen-000014"},"data":{"id":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000014","payment":"pay-gen-000014","cents":10966},"visit":2,
"progress":{"stage":"ready","since":1795776485323,"epoch":1,"armed":1795776485323}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000014"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000014"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(15,1,'gen-000015',1,NULL,1,NULL,2,56,2829695889100350083,'{"incarnation":"cf6085a4-2ba9-4dae-8f42-0c94939acef7","step":"00000000-0000-0001-0000-000000000038","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000015"},"data":{"id":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000015"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000015"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(16,1,'gen-000016',1,NULL,1,NULL,2,60,3384260461210052774,'{"incarnation":"b4945af6-b5be-4ca1-8fe3-7df03f5d37bd","step":"00000000-0000-0001-0000-00000000003c","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485321,"payload":{"payment":"pay-gen-000016"},"data":{"id":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000016"},"visit":2,
"progress":{"stage":"ready","since":1795776485321,"epoch":1,"armed":1795776485321}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000016"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(17,1,'gen-000017',2,NULL,1,NULL,3,68,4605027280533739492,'{"incarnation":"aa527bd3-727b-4ebc-8a7d-56903d68c5ab","step":"00000000-0000-0001-0000-000000000042","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485323,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000017"}},"attempts":0}}},"payload":{"payment":"pay-gen-000017"},"data":{"id":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000017","payment":"pay-gen-000017","cents":34723},"visit":2,
"progress":{"stage":"ready","since":1795776485323,"epoch":1,"armed":1795776485323}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000017"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000017"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(18,1,'gen-000018',3,NULL,NULL,1795776485321,3,62,7956784680736040079,'{"incarnation":"e6066dc3-e7fb-4c4e-9c0d-ad59e67574db","step":"00000000-0000-0001-0000-00000000003e","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485321,"data":{"id":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(19,1,'gen-000019',1,NULL,1,NULL,2,58,-9035700962215298116,'{"incarnation":"69a8a94e-ba24-4391-8201-c26f44c59583","step":"00000000-0000-0001-0000-00000000003a","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485320,"payload":{"payment":"pay-gen-000019"},"data":{"id":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000019"},"visit":2,
"progress":{"stage":"ready","since":1795776485320,"epoch":1,"armed":1795776485320}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000019"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(20,1,'gen-000020',1,NULL,1,NULL,2,45,-6633989242201718325,'{"incarnation":"61ca14fd-e255-42de-85c7-b996d7c185ba","step":"00000000-0000-0001-0000-00000000002d","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000020"},"data":{"id":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000020"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000020"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(21,1,'gen-000021',1,NULL,1,NULL,2,46,-8644940189931100233,'{"incarnation":"fc9cdd86-ca9a-47f3-9454-0b6c55a4000e","step":"00000000-0000-0001-0000-00000000002e","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000021"},"data":{"id":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000021"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000021"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(22,1,'gen-000022',1,NULL,1,NULL,2,47,1071775777690630857,'{"incarnation":"58b61e29-a215-4c5a-b5f5-0159b1f5f70d","step":"00000000-0000-0001-0000-00000000002f","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000022"},"data":{"id":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000022"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000022"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(23,1,'gen-000023',4,NULL,NULL,1795776485316,2,33,7048251878935939976,'{"incarnation":"8ad443f6-2702-4ca2-b675-68db42c40e8f","step":"00000000-0000-0001-0000-000000000021","state":"payment-failed","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485316,"data":{"id":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(24,1,'gen-000024',1,NULL,1,NULL,2,48,-1104922249072151004,'{"incarnation":"58742511-5636-48e8-8cd3-52425071d7f8","step":"00000000-0000-0001-0000-000000000030","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485318,"payload":{"payment":"pay-gen-000024"},"data":{"id":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000024"},"visit":2,
"progress":{"stage":"ready","since":1795776485318,"epoch":1,"armed":1795776485318,"attempts":1,"spent_ms":1,"error":"no answer"}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000024"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(25,1,'gen-000025',3,NULL,NULL,1795776485321,3,64,7560291970184930329,'{"incarnation":"aeb81523-b99d-4f99-bd0d-ca1d9f7b20c0","step":"00000000-0000-0001-0000-000000000040","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485321,"data":{"id":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(26,1,'gen-000026',2,NULL,1,NULL,3,66,3839170132955460422,'{"incarnation":"281ea3bc-4fec-4a5c-967c-bebced3e4e52","step":"00000000-0000-0001-0000-000000000041","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485321,"turn":{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000026"}},"attempts":0}}},"payload":{"payment":"pay-gen-000026"},"data":{"id":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}}','{
"task.3.0":{"kind":"undo","name":"payment.refund","version":1,"payload":{"order":"gen-000026","payment":"pay-gen-000026","cents":5994},"visit":2,
"progress":{"stage":"ready","since":1795776485321,"epoch":1,"armed":1795776485321}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000026"},"report":{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2,"payload":{"payment":"pay-gen-000026"},"undo_task":[3,0]}
}');
INSERT INTO "saga_instance" VALUES(27,1,'gen-000027',3,NULL,NULL,1795776485323,3,70,4133293385398862687,'{"incarnation":"ade4e1f6-2dd4-4020-ba3d-34dd152ee7a2","step":"00000000-0000-0001-0000-000000000044","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485323,"data":{"id":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(28,1,'gen-000028',1,NULL,1,NULL,2,59,6904562870068760226,'{"incarnation":"65c614c9-9aed-4db5-97ee-da6502032466","step":"00000000-0000-0001-0000-00000000003b","state":"awaiting-shipment","version":1,"visit":2,"created_at":1795776485310,"changed_at":1795776485321,"payload":{"payment":"pay-gen-000028"},"data":{"id":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}}','{
"task.2.0":{"kind":"command","name":"label.create","version":1,"payload":{"order":"gen-000028"},"visit":2,
"progress":{"stage":"ready","since":1795776485321,"epoch":1,"armed":1795776485321}},
"obligation.2.0":{"undo":"label.void","of":"command","task":[2,0],"name":"label.create","version":1,"payload":{"order":"gen-000028"}},
"obligation.2.1":{"undo":"payment.refund","of":"state","name":"awaiting-shipment","version":1,"visit":2}
}');
INSERT INTO "saga_instance" VALUES(29,1,'gen-000029',3,NULL,NULL,1795776485321,3,61,4932250875817660098,'{"incarnation":"09d82fde-56e2-4665-8afa-b9695b2b6de8","step":"00000000-0000-0001-0000-00000000003d","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485321,"data":{"id":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}}','{}');
INSERT INTO "saga_instance" VALUES(30,1,'gen-000030',3,NULL,NULL,1795776485321,3,63,5755159033069506907,'{"incarnation":"d91f2104-92ac-43f7-bb25-34b0e1742164","step":"00000000-0000-0001-0000-00000000003f","state":"completed","version":1,"visit":3,"created_at":1795776485310,"changed_at":1795776485321,"data":{"id":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}}','{}');
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
INSERT INTO "saga_meta" VALUES(1,8,1,0,'47ddc5da-4a9c-4891-ad49-27e3256bfeac','process 10351',0,0,0);
CREATE TABLE saga_name (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE         -- of a saga
) STRICT;
INSERT INTO "saga_name" VALUES(1,'order');
CREATE TABLE saga_pause (
    kind TEXT NOT NULL,               -- 'saga' or 'handler'
    name TEXT NOT NULL,
    who  TEXT NOT NULL,
    why  TEXT NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
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
CREATE INDEX saga_audit_instance ON saga_audit (consumer, key, id) WHERE consumer IS NOT NULL;
CREATE INDEX saga_audit_request ON saga_audit (request) WHERE request IS NOT NULL;
CREATE TRIGGER saga_audit_no_update BEFORE UPDATE ON saga_audit
BEGIN SELECT RAISE(ABORT, 'rows of saga_audit are never changed'); END;
CREATE TRIGGER saga_audit_no_delete BEFORE DELETE ON saga_audit
BEGIN SELECT RAISE(ABORT, 'rows of saga_audit are never removed'); END;
DELETE FROM "sqlite_sequence";
COMMIT;
