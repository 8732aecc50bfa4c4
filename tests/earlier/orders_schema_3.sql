BEGIN TRANSACTION;
CREATE TABLE saga_alias (
    saga     TEXT NOT NULL,
    alias    TEXT NOT NULL,
    instance INTEGER NOT NULL,
    PRIMARY KEY (saga, alias)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_dead (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    taker   TEXT NOT NULL,
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
CREATE TABLE saga_delivery (
    id         INTEGER PRIMARY KEY,
    taker      TEXT NOT NULL,
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
INSERT INTO "saga_history" VALUES(1,1,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}','','awaiting-payment','gen-000001',NULL,3414231234030353514);
INSERT INTO "saga_history" VALUES(2,2,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}','','awaiting-payment','gen-000002',NULL,8288631075462331250);
INSERT INTO "saga_history" VALUES(3,3,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}','','awaiting-payment','gen-000003',NULL,-5044984616768884715);
INSERT INTO "saga_history" VALUES(4,4,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}','','awaiting-payment','gen-000004',NULL,4027390753395871564);
INSERT INTO "saga_history" VALUES(5,5,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}','','awaiting-payment','gen-000005',NULL,422155426633947153);
INSERT INTO "saga_history" VALUES(6,6,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}','','awaiting-payment','gen-000006',NULL,5719008690116933147);
INSERT INTO "saga_history" VALUES(7,7,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}','','awaiting-payment','gen-000007',NULL,-2736133125037613427);
INSERT INTO "saga_history" VALUES(8,8,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}','','awaiting-payment','gen-000008',NULL,-5400221951141604005);
INSERT INTO "saga_history" VALUES(9,9,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}','','awaiting-payment','gen-000009',NULL,813324099569025131);
INSERT INTO "saga_history" VALUES(10,10,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}','','awaiting-payment','gen-000010',NULL,-2448265115012787051);
INSERT INTO "saga_history" VALUES(11,11,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}','','awaiting-payment','gen-000011',NULL,1131538768867262705);
INSERT INTO "saga_history" VALUES(12,12,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}','','awaiting-payment','gen-000012',NULL,-2718933241946791222);
INSERT INTO "saga_history" VALUES(13,13,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}','','awaiting-payment','gen-000013',NULL,6149153302573862029);
INSERT INTO "saga_history" VALUES(14,14,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}','','awaiting-payment','gen-000014',NULL,-6957507354314964979);
INSERT INTO "saga_history" VALUES(15,15,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}','','awaiting-payment','gen-000015',NULL,6343401343958317006);
INSERT INTO "saga_history" VALUES(16,16,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}','','awaiting-payment','gen-000016',NULL,5175515695033537009);
INSERT INTO "saga_history" VALUES(17,17,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}','','awaiting-payment','gen-000017',NULL,-8799053449717679132);
INSERT INTO "saga_history" VALUES(18,18,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}','','awaiting-payment','gen-000018',NULL,6656971437708901615);
INSERT INTO "saga_history" VALUES(19,19,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}','','awaiting-payment','gen-000019',NULL,8490663040416738293);
INSERT INTO "saga_history" VALUES(20,20,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}','','awaiting-payment','gen-000020',NULL,6525251916138544648);
INSERT INTO "saga_history" VALUES(21,21,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}','','awaiting-payment','gen-000021',NULL,6236924954228840);
INSERT INTO "saga_history" VALUES(22,22,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}','','awaiting-payment','gen-000022',NULL,4981742972787236191);
INSERT INTO "saga_history" VALUES(23,23,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}','','awaiting-payment','gen-000023',NULL,6845238131410029750);
INSERT INTO "saga_history" VALUES(24,24,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}','','awaiting-payment','gen-000024',NULL,5589189797673719233);
INSERT INTO "saga_history" VALUES(25,25,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}','','awaiting-payment','gen-000025',NULL,-1816978142436811020);
INSERT INTO "saga_history" VALUES(26,26,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}','','awaiting-payment','gen-000026',NULL,-4615909532277004127);
INSERT INTO "saga_history" VALUES(27,27,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}','','awaiting-payment','gen-000027',NULL,-4932261836754489440);
INSERT INTO "saga_history" VALUES(28,28,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}','','awaiting-payment','gen-000028',NULL,7064755561514213468);
INSERT INTO "saga_history" VALUES(29,29,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}','','awaiting-payment','gen-000029',NULL,3636254840977716122);
INSERT INTO "saga_history" VALUES(30,30,NULL,1,'started',1795718369362,'order.placed','{"order":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}','','awaiting-payment','gen-000030',NULL,2962487727121574864);
INSERT INTO "saga_history" VALUES(31,25,25,2,'applied',1795718369491,'payment.completed','{"payment":"pay-gen-000025"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-8332162470036159484);
INSERT INTO "saga_history" VALUES(32,10,10,2,'applied',1795718369491,'payment.declined','{"why":"the bank declined"}','awaiting-payment','payment-failed','payment.make',NULL,6823701536537158179);
INSERT INTO "saga_history" VALUES(33,4,4,2,'applied',1795718369491,'payment.completed','{"payment":"pay-gen-000004"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-8745058747936822670);
INSERT INTO "saga_history" VALUES(34,7,7,2,'applied',1795718369491,'payment.declined','{"why":"the bank declined"}','awaiting-payment','payment-failed','payment.make',NULL,2582610907842016338);
INSERT INTO "saga_history" VALUES(35,12,12,2,'applied',1795718369491,'payment.completed','{"payment":"pay-gen-000012"}','awaiting-payment','awaiting-shipment','payment.make',NULL,1706616970813494574);
INSERT INTO "saga_history" VALUES(36,23,23,2,'applied',1795718369491,'payment.declined','{"why":"the bank declined"}','awaiting-payment','payment-failed','payment.make',NULL,2232526310003396805);
INSERT INTO "saga_history" VALUES(37,26,26,2,'applied',1795718369492,'payment.completed','{"payment":"pay-gen-000026"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-3415755848935827561);
INSERT INTO "saga_history" VALUES(38,29,29,2,'applied',1795718369492,'payment.completed','{"payment":"pay-gen-000029"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-4684607991852082227);
INSERT INTO "saga_history" VALUES(39,30,30,2,'applied',1795718369492,'payment.completed','{"payment":"pay-gen-000030"}','awaiting-payment','awaiting-shipment','payment.make',NULL,4979350179222698960);
INSERT INTO "saga_history" VALUES(40,17,17,2,'applied',1795718369492,'payment.completed','{"payment":"pay-gen-000017"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-4983273564617643447);
INSERT INTO "saga_history" VALUES(41,18,18,2,'applied',1795718369492,'payment.completed','{"payment":"pay-gen-000018"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-8504416034985714584);
INSERT INTO "saga_history" VALUES(42,1,1,2,'applied',1795718369612,'payment.completed','{"payment":"pay-gen-000001"}','awaiting-payment','awaiting-shipment','payment.make',NULL,1996145270691801234);
INSERT INTO "saga_history" VALUES(43,11,11,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000011"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-6440236907946352240);
INSERT INTO "saga_history" VALUES(44,8,8,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000008"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-786200639503500560);
INSERT INTO "saga_history" VALUES(45,9,9,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000009"}','awaiting-payment','awaiting-shipment','payment.make',NULL,4629982331907159436);
INSERT INTO "saga_history" VALUES(46,2,2,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000002"}','awaiting-payment','awaiting-shipment','payment.make',NULL,9011289657506019037);
INSERT INTO "saga_history" VALUES(47,3,3,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000003"}','awaiting-payment','awaiting-shipment','payment.make',NULL,8889119864400838171);
INSERT INTO "saga_history" VALUES(48,5,5,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000005"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-3962368378644781687);
INSERT INTO "saga_history" VALUES(49,6,6,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000006"}','awaiting-payment','awaiting-shipment','payment.make',NULL,6519555314630375550);
INSERT INTO "saga_history" VALUES(50,22,22,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000022"}','awaiting-payment','awaiting-shipment','payment.make',NULL,3668621788797645867);
INSERT INTO "saga_history" VALUES(51,24,24,2,'applied',1795718369613,'payment.completed','{"payment":"pay-gen-000024"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-3822060987841784041);
INSERT INTO "saga_history" VALUES(52,21,21,2,'applied',1795718369615,'payment.completed','{"payment":"pay-gen-000021"}','awaiting-payment','awaiting-shipment','payment.make',NULL,3151683998031896304);
INSERT INTO "saga_history" VALUES(53,27,27,2,'applied',1795718369615,'payment.completed','{"payment":"pay-gen-000027"}','awaiting-payment','awaiting-shipment','payment.make',NULL,6676940905756889387);
INSERT INTO "saga_history" VALUES(54,14,14,2,'applied',1795718369615,'payment.completed','{"payment":"pay-gen-000014"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-1544499697589848508);
INSERT INTO "saga_history" VALUES(55,15,15,2,'applied',1795718369615,'payment.completed','{"payment":"pay-gen-000015"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-5292315741273297948);
INSERT INTO "saga_history" VALUES(56,13,13,2,'applied',1795718369615,'payment.completed','{"payment":"pay-gen-000013"}','awaiting-payment','awaiting-shipment','payment.make',NULL,5357326280983367185);
INSERT INTO "saga_history" VALUES(57,25,31,3,'applied',1795718369615,'label.created','{"label":"label-gen-000025"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',2511605960759393579);
INSERT INTO "saga_history" VALUES(58,20,20,2,'applied',1795718369615,'payment.completed','{"payment":"pay-gen-000020"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-4412963444202494504);
INSERT INTO "saga_history" VALUES(59,18,41,3,'applied',1795718369616,'label.created','{"label":"label-gen-000018"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',543167876047614276);
INSERT INTO "saga_history" VALUES(60,26,37,3,'turned',1795718369616,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,491623353936714006);
INSERT INTO "saga_history" VALUES(61,26,60,3,'undoing',1795718369616,'payment.refund','{"order":"gen-000026","payment":"pay-gen-000026","cents":5994}','awaiting-shipment','awaiting-shipment',NULL,NULL,-5151175270839710188);
INSERT INTO "saga_history" VALUES(62,29,38,3,'applied',1795718369616,'label.created','{"label":"label-gen-000029"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',-4232221237486925246);
INSERT INTO "saga_history" VALUES(63,30,39,3,'applied',1795718369616,'label.created','{"label":"label-gen-000030"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',4793904978053600750);
INSERT INTO "saga_history" VALUES(64,4,33,3,'applied',1795718369737,'label.created','{"label":"label-gen-000004"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',-3080998205248188147);
INSERT INTO "saga_history" VALUES(65,28,28,2,'applied',1795718369737,'payment.completed','{"payment":"pay-gen-000028"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-4729569737104342517);
INSERT INTO "saga_history" VALUES(66,12,35,3,'applied',1795718369737,'label.created','{"label":"label-gen-000012"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',4388954410046282840);
INSERT INTO "saga_history" VALUES(67,16,16,2,'applied',1795718369737,'payment.completed','{"payment":"pay-gen-000016"}','awaiting-payment','awaiting-shipment','payment.make',NULL,8857460868416133542);
INSERT INTO "saga_history" VALUES(68,19,19,2,'applied',1795718369737,'payment.completed','{"payment":"pay-gen-000019"}','awaiting-payment','awaiting-shipment','payment.make',NULL,-946523214938801173);
INSERT INTO "saga_history" VALUES(69,17,40,3,'turned',1795718369740,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,-4825550005224084677);
INSERT INTO "saga_history" VALUES(70,17,69,3,'undoing',1795718369740,'payment.refund','{"order":"gen-000017","payment":"pay-gen-000017","cents":34723}','awaiting-shipment','awaiting-shipment',NULL,NULL,-3558524910892065970);
INSERT INTO "saga_history" VALUES(71,5,48,3,'applied',1795718369740,'label.created','{"label":"label-gen-000005"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',6313203887938911963);
INSERT INTO "saga_history" VALUES(72,3,47,3,'turned',1795718369740,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,-7873053853427566126);
INSERT INTO "saga_history" VALUES(73,3,72,3,'undoing',1795718369740,'payment.refund','{"order":"gen-000003","payment":"pay-gen-000003","cents":23857}','awaiting-shipment','awaiting-shipment',NULL,NULL,1462913393650837070);
INSERT INTO "saga_history" VALUES(74,27,53,3,'applied',1795718369740,'label.created','{"label":"label-gen-000027"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',4322190386511778711);
INSERT INTO "saga_history" VALUES(75,14,54,3,'turned',1795718369740,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,5794063260496552470);
INSERT INTO "saga_history" VALUES(76,14,75,3,'undoing',1795718369740,'payment.refund','{"order":"gen-000014","payment":"pay-gen-000014","cents":10966}','awaiting-shipment','awaiting-shipment',NULL,NULL,6912571112166322020);
INSERT INTO "saga_history" VALUES(77,13,56,3,'applied',1795718369740,'label.created','{"label":"label-gen-000013"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',-7860492746644857468);
INSERT INTO "saga_history" VALUES(78,8,44,3,'turned',1795718369740,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,-7519074990730635453);
INSERT INTO "saga_history" VALUES(79,8,78,3,'undoing',1795718369740,'payment.refund','{"order":"gen-000008","payment":"pay-gen-000008","cents":13452}','awaiting-shipment','awaiting-shipment',NULL,NULL,-4242852927998581706);
INSERT INTO "saga_history" VALUES(80,1,42,3,'applied',1795718369858,'label.created','{"label":"label-gen-000001"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',-7282819677839541324);
INSERT INTO "saga_history" VALUES(81,22,50,3,'applied',1795718369863,'label.created','{"label":"label-gen-000022"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',3218716274000896387);
INSERT INTO "saga_history" VALUES(82,19,68,3,'turned',1795718369863,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,6858732059423180862);
INSERT INTO "saga_history" VALUES(83,19,82,3,'undoing',1795718369863,'payment.refund','{"order":"gen-000019","payment":"pay-gen-000019","cents":561}','awaiting-shipment','awaiting-shipment',NULL,NULL,-4470900818897004406);
INSERT INTO "saga_history" VALUES(84,20,58,3,'applied',1795718369863,'label.created','{"label":"label-gen-000020"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',-5260702313433945691);
INSERT INTO "saga_history" VALUES(85,24,51,3,'applied',1795718369863,'label.created','{"label":"label-gen-000024"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',2165693911897624533);
INSERT INTO "saga_history" VALUES(86,6,49,3,'applied',1795718369863,'label.created','{"label":"label-gen-000006"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',4220405146567749548);
INSERT INTO "saga_history" VALUES(87,2,46,3,'applied',1795718369863,'label.created','{"label":"label-gen-000002"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',6586237023750027590);
INSERT INTO "saga_history" VALUES(88,21,52,3,'applied',1795718369863,'label.created','{"label":"label-gen-000021"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',4734114825400831078);
INSERT INTO "saga_history" VALUES(89,9,45,3,'applied',1795718369863,'label.created','{"label":"label-gen-000009"}','awaiting-shipment','completed','label.create','released: payment.refund, label.void',-4122715332983576918);
INSERT INTO "saga_history" VALUES(90,26,61,4,'undone',1795718369863,'payment.refund',NULL,'awaiting-shipment','awaiting-shipment',NULL,NULL,3154541479069760674);
INSERT INTO "saga_history" VALUES(91,26,90,4,'undoing',1795718369863,'label.void','{"order":"gen-000026"}','awaiting-shipment','awaiting-shipment',NULL,NULL,2997068190362945568);
INSERT INTO "saga_history" VALUES(92,28,65,3,'turned',1795718369863,'label.refused','{"why":"the carrier does not go there"}','awaiting-shipment','awaiting-shipment','label.create',NULL,2795131542163961429);
INSERT INTO "saga_history" VALUES(93,28,92,3,'undoing',1795718369863,'payment.refund','{"order":"gen-000028","payment":"pay-gen-000028","cents":21832}','awaiting-shipment','awaiting-shipment',NULL,NULL,-3565247512030970331);
INSERT INTO "saga_history" VALUES(94,8,79,4,'undone',1795718369866,'payment.refund',NULL,'awaiting-shipment','awaiting-shipment',NULL,NULL,2473890827383056543);
INSERT INTO "saga_history" VALUES(95,8,94,4,'undoing',1795718369866,'label.void','{"order":"gen-000008"}','awaiting-shipment','awaiting-shipment',NULL,NULL,8862137649904675264);
INSERT INTO "saga_history" VALUES(96,17,70,4,'undone',1795718369866,'payment.refund',NULL,'awaiting-shipment','awaiting-shipment',NULL,NULL,-4570661804087924319);
INSERT INTO "saga_history" VALUES(97,17,96,4,'undoing',1795718369866,'label.void','{"order":"gen-000017"}','awaiting-shipment','awaiting-shipment',NULL,NULL,-4693225444404140378);
CREATE TABLE saga_inbox (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    taker    TEXT NOT NULL,
    key      TEXT NOT NULL,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    payload  TEXT NOT NULL,
    message  TEXT,
    marked   INTEGER NOT NULL,
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
    noted       TEXT,
    family      TEXT,                 -- its parent, and what has become of its children
    seq         INTEGER NOT NULL,
    step        BLOB NOT NULL,
    last        INTEGER,              -- the newest line of its history
    created_at  INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    over_at     INTEGER,              -- as changed_at, once it has ended
    checksum    INTEGER NOT NULL
) STRICT;
INSERT INTO "saga_instance" VALUES(1,'order','gen-000001',176,X'FC7956D3304748FAA10A7BC64E86224F','completed','completed',NULL,'{"id":"gen-000001","cents":8019,"items":[{"sku":"sku-7","count":1},{"sku":"sku-20","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000004B',80,1795718369362,1795718369858,1795718369858,7492924511898728953);
INSERT INTO "saga_instance" VALUES(2,'order','gen-000002',153,X'BF9DFD5D6FD54533A9E175E3BE9D6075','completed','completed',NULL,'{"id":"gen-000002","cents":15938,"items":[{"sku":"sku-14","count":1},{"sku":"sku-27","count":1},{"sku":"sku-40","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000051',87,1795718369362,1795718369863,1795718369863,-4215556539116214708);
INSERT INTO "saga_instance" VALUES(3,'order','gen-000003',90,X'B43BE83ED29C44609E521FCB378144E7','compensating','awaiting-shipment','{"payment":"pay-gen-000003"}','{"id":"gen-000003","cents":23857,"items":[{"sku":"sku-21","count":1},{"sku":"sku-34","count":1},{"sku":"sku-47","count":1},{"sku":"sku-60","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000003"}},"attempts":0}}}',NULL,NULL,NULL,3,X'00000000000000010000000000000046',73,1795718369362,1795718369740,NULL,-7528096898305091745);
INSERT INTO "saga_instance" VALUES(4,'order','gen-000004',53,X'C2AAED458C924B77A1CE5DB067D54B7C','completed','completed',NULL,'{"id":"gen-000004","cents":31776,"items":[{"sku":"sku-28","count":1},{"sku":"sku-41","count":1},{"sku":"sku-54","count":1},{"sku":"sku-67","count":1},{"sku":"sku-80","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003F',64,1795718369362,1795718369737,1795718369737,-3484324700290752684);
INSERT INTO "saga_instance" VALUES(5,'order','gen-000005',49,X'4672FC1C8C714C1BBDF8D6147DAF60DA','completed','completed',NULL,'{"id":"gen-000005","cents":39695,"items":[{"sku":"sku-35","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000045',71,1795718369362,1795718369740,1795718369740,5553624826584117764);
INSERT INTO "saga_instance" VALUES(6,'order','gen-000006',248,X'6F0B5A89010B43B18568384B179A9B19','completed','completed',NULL,'{"id":"gen-000006","cents":47614,"items":[{"sku":"sku-42","count":1},{"sku":"sku-55","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000050',86,1795718369362,1795718369863,1795718369863,6436519484338137706);
INSERT INTO "saga_instance" VALUES(7,'order','gen-000007',91,X'D842D2C54E384408A1A6B4FA6B7C7E35','failed','payment-failed',NULL,'{"id":"gen-000007","cents":5533,"items":[{"sku":"sku-49","count":1},{"sku":"sku-62","count":1},{"sku":"sku-75","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000022',34,1795718369362,1795718369491,1795718369491,-6141964807623552467);
INSERT INTO "saga_instance" VALUES(8,'order','gen-000008',194,X'E51599FCA486498A9EE2711AFA4CE3CC','compensating','awaiting-shipment','{"payment":"pay-gen-000008"}','{"id":"gen-000008","cents":13452,"items":[{"sku":"sku-56","count":1},{"sku":"sku-69","count":1},{"sku":"sku-82","count":1},{"sku":"sku-95","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000008"}},"attempts":0}}}',NULL,NULL,NULL,4,X'00000000000000010000000000000056',95,1795718369362,1795718369866,NULL,-3530854229181198916);
INSERT INTO "saga_instance" VALUES(9,'order','gen-000009',16,X'BFCD6D8A7B954464B78E8FC33FC4DE34','completed','completed',NULL,'{"id":"gen-000009","cents":21371,"items":[{"sku":"sku-63","count":1},{"sku":"sku-76","count":1},{"sku":"sku-89","count":1},{"sku":"sku-102","count":1},{"sku":"sku-115","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000053',89,1795718369362,1795718369863,1795718369863,-7433142186045196228);
INSERT INTO "saga_instance" VALUES(10,'order','gen-000010',84,X'B445993476BF4F448EA97A64F1245E7F','failed','payment-failed',NULL,'{"id":"gen-000010","cents":29290,"items":[{"sku":"sku-70","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000020',32,1795718369362,1795718369491,1795718369491,-4734697018020326359);
INSERT INTO "saga_instance" VALUES(11,'order','gen-000011',112,X'412FEB6706314B3593A16310B95E6A46','running','awaiting-shipment','{"payment":"pay-gen-000011"}','{"id":"gen-000011","cents":37209,"items":[{"sku":"sku-77","count":1},{"sku":"sku-90","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'0000000000000001000000000000002B',43,1795718369362,1795718369613,NULL,-5629774077900215063);
INSERT INTO "saga_instance" VALUES(12,'order','gen-000012',245,X'374637D6A4A84CF28B5FDF0CDC5DA8A6','completed','completed',NULL,'{"id":"gen-000012","cents":45128,"items":[{"sku":"sku-84","count":1},{"sku":"sku-97","count":1},{"sku":"sku-110","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000041',66,1795718369362,1795718369737,1795718369737,3163470840629705445);
INSERT INTO "saga_instance" VALUES(13,'order','gen-000013',55,X'716CAF94AACC45D285FA208C8ADE4761','completed','completed',NULL,'{"id":"gen-000013","cents":3047,"items":[{"sku":"sku-91","count":1},{"sku":"sku-104","count":1},{"sku":"sku-117","count":1},{"sku":"sku-130","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000049',77,1795718369362,1795718369740,1795718369740,-626810145547383690);
INSERT INTO "saga_instance" VALUES(14,'order','gen-000014',114,X'F20E879563674E7AB487D01986BCCE44','compensating','awaiting-shipment','{"payment":"pay-gen-000014"}','{"id":"gen-000014","cents":10966,"items":[{"sku":"sku-98","count":1},{"sku":"sku-111","count":1},{"sku":"sku-124","count":1},{"sku":"sku-137","count":1},{"sku":"sku-150","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000014"}},"attempts":0}}}',NULL,NULL,NULL,3,X'00000000000000010000000000000048',76,1795718369362,1795718369740,NULL,-6802535706847933106);
INSERT INTO "saga_instance" VALUES(15,'order','gen-000015',240,X'993C44356B094D18BD04A34E16974890','running','awaiting-shipment','{"payment":"pay-gen-000015"}','{"id":"gen-000015","cents":18885,"items":[{"sku":"sku-105","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000037',55,1795718369362,1795718369615,NULL,2051224228189998464);
INSERT INTO "saga_instance" VALUES(16,'order','gen-000016',132,X'32AD875901194EA5840D68965911A1DF','running','awaiting-shipment','{"payment":"pay-gen-000016"}','{"id":"gen-000016","cents":26804,"items":[{"sku":"sku-112","count":1},{"sku":"sku-125","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000042',67,1795718369362,1795718369737,NULL,-8493320748527180751);
INSERT INTO "saga_instance" VALUES(17,'order','gen-000017',91,X'D592450FC2824F15B25C68AF0230D80D','compensating','awaiting-shipment','{"payment":"pay-gen-000017"}','{"id":"gen-000017","cents":34723,"items":[{"sku":"sku-119","count":1},{"sku":"sku-132","count":1},{"sku":"sku-145","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000017"}},"attempts":0}}}',NULL,NULL,NULL,4,X'00000000000000010000000000000057',97,1795718369362,1795718369866,NULL,-3879831855289435741);
INSERT INTO "saga_instance" VALUES(18,'order','gen-000018',99,X'2E2F637023C74B0494FCF76948A22893','completed','completed',NULL,'{"id":"gen-000018","cents":42642,"items":[{"sku":"sku-126","count":1},{"sku":"sku-139","count":1},{"sku":"sku-152","count":1},{"sku":"sku-165","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003B',59,1795718369362,1795718369616,1795718369616,-1903067117728004507);
INSERT INTO "saga_instance" VALUES(19,'order','gen-000019',187,X'0E1B6913340A424D93105F7BEA86D87F','compensating','awaiting-shipment','{"payment":"pay-gen-000019"}','{"id":"gen-000019","cents":561,"items":[{"sku":"sku-133","count":1},{"sku":"sku-146","count":1},{"sku":"sku-159","count":1},{"sku":"sku-172","count":1},{"sku":"sku-185","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000019"}},"attempts":0}}}',NULL,NULL,NULL,3,X'0000000000000001000000000000004D',83,1795718369362,1795718369863,NULL,-8816417435954457248);
INSERT INTO "saga_instance" VALUES(20,'order','gen-000020',185,X'73E13E33810040CEBF4075F5DF1DEBB1','completed','completed',NULL,'{"id":"gen-000020","cents":8480,"items":[{"sku":"sku-140","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000004E',84,1795718369362,1795718369863,1795718369863,8928133669345220001);
INSERT INTO "saga_instance" VALUES(21,'order','gen-000021',80,X'40C47DFE3B2F4CC89F9DA1869E86467D','completed','completed',NULL,'{"id":"gen-000021","cents":16399,"items":[{"sku":"sku-147","count":1},{"sku":"sku-160","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000052',88,1795718369362,1795718369863,1795718369863,-6267520322358481530);
INSERT INTO "saga_instance" VALUES(22,'order','gen-000022',174,X'C7BD45E5904D45FA9CFD91D69CFDD92E','completed','completed',NULL,'{"id":"gen-000022","cents":24318,"items":[{"sku":"sku-154","count":1},{"sku":"sku-167","count":1},{"sku":"sku-180","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000004C',81,1795718369362,1795718369863,1795718369863,-6941278393862359194);
INSERT INTO "saga_instance" VALUES(23,'order','gen-000023',6,X'5D9B06BF65CA40AF80D554F968B93BE7','failed','payment-failed',NULL,'{"id":"gen-000023","cents":32237,"items":[{"sku":"sku-161","count":1},{"sku":"sku-174","count":1},{"sku":"sku-187","count":1},{"sku":"sku-200","count":1}]}',1,2,NULL,NULL,NULL,NULL,2,X'00000000000000010000000000000024',36,1795718369362,1795718369491,1795718369491,1002477379755361867);
INSERT INTO "saga_instance" VALUES(24,'order','gen-000024',179,X'4A1416884EF34BD89A250B4ADB3C65C4','completed','completed',NULL,'{"id":"gen-000024","cents":40156,"items":[{"sku":"sku-168","count":1},{"sku":"sku-181","count":1},{"sku":"sku-194","count":1},{"sku":"sku-207","count":1},{"sku":"sku-220","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000004F',85,1795718369362,1795718369863,1795718369863,-8668164944579141224);
INSERT INTO "saga_instance" VALUES(25,'order','gen-000025',123,X'647BA1CFCD5A4A51B584E5F129BBD5BF','completed','completed',NULL,'{"id":"gen-000025","cents":48075,"items":[{"sku":"sku-175","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000039',57,1795718369362,1795718369615,1795718369615,4538154231034908648);
INSERT INTO "saga_instance" VALUES(26,'order','gen-000026',149,X'DF7D33A7CFA3430DA4F4C10A72EC42D0','compensating','awaiting-shipment','{"payment":"pay-gen-000026"}','{"id":"gen-000026","cents":5994,"items":[{"sku":"sku-182","count":1},{"sku":"sku-195","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000026"}},"attempts":0}}}',NULL,NULL,NULL,4,X'00000000000000010000000000000054',91,1795718369362,1795718369863,NULL,-5764630057859533828);
INSERT INTO "saga_instance" VALUES(27,'order','gen-000027',42,X'83CD8821270F42368312B197BD274E4E','completed','completed',NULL,'{"id":"gen-000027","cents":13913,"items":[{"sku":"sku-189","count":1},{"sku":"sku-202","count":1},{"sku":"sku-215","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'00000000000000010000000000000047',74,1795718369362,1795718369740,1795718369740,-7698462077102015690);
INSERT INTO "saga_instance" VALUES(28,'order','gen-000028',89,X'DFB92623A54E422C8F4EF69968FAA16D','compensating','awaiting-shipment','{"payment":"pay-gen-000028"}','{"id":"gen-000028","cents":21832,"items":[{"sku":"sku-196","count":1},{"sku":"sku-209","count":1},{"sku":"sku-222","count":1},{"sku":"sku-235","count":1}]}',1,2,'{"cause":{"row":{"trigger":{"event":"label.refused"},"nth":0,"to":["cancelled"],"event":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}},"command":{"name":"label.create","version":1,"payload":{"order":"gen-000028"}},"attempts":0}}}',NULL,NULL,NULL,3,X'00000000000000010000000000000055',93,1795718369362,1795718369863,NULL,-2563009102062472888);
INSERT INTO "saga_instance" VALUES(29,'order','gen-000029',48,X'5BC132430F8B4146B8B0E504AA777A07','completed','completed',NULL,'{"id":"gen-000029","cents":29751,"items":[{"sku":"sku-203","count":1},{"sku":"sku-216","count":1},{"sku":"sku-229","count":1},{"sku":"sku-242","count":1},{"sku":"sku-255","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003D',62,1795718369362,1795718369616,1795718369616,-7424751970320873120);
INSERT INTO "saga_instance" VALUES(30,'order','gen-000030',162,X'9085FDCFC5C542CCB855A03B3C2C6D57','completed','completed',NULL,'{"id":"gen-000030","cents":37670,"items":[{"sku":"sku-210","count":1}]}',1,3,NULL,NULL,NULL,NULL,3,X'0000000000000001000000000000003E',63,1795718369362,1795718369616,1795718369616,-2418470543942515019);
CREATE TABLE saga_mark (
    taker   TEXT NOT NULL,
    key     TEXT NOT NULL,
    message TEXT NOT NULL,
    content INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (taker, key, message)
) STRICT, WITHOUT ROWID;
INSERT INTO "saga_mark" VALUES('order','gen-000001','gen-000001',736024737828497994,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000002','gen-000002',-3918649963259253044,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000003','gen-000003',1146276340941013428,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000004','gen-000004',8966984047796752464,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000005','gen-000005',-409408472406308345,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000006','gen-000006',5201963744454743169,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000007','gen-000007',-3403876535631277003,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000008','gen-000008',396917958612644744,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000009','gen-000009',-1074960334497355407,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000010','gen-000010',-8207961471534145218,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000011','gen-000011',-5295407504210968752,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000012','gen-000012',-1659251717681691544,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000013','gen-000013',3286713883267105975,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000014','gen-000014',8030021909142950699,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000015','gen-000015',5875669736350833191,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000016','gen-000016',1729206018153691863,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000017','gen-000017',-7695356880813761199,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000018','gen-000018',-8067164400414934278,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000019','gen-000019',1937755213620678310,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000020','gen-000020',3393723944441763166,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000021','gen-000021',-2186975161977318990,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000022','gen-000022',-4704866163454213525,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000023','gen-000023',5099154083267367108,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000024','gen-000024',3229269408210690931,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000025','gen-000025',-1136930941981094902,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000026','gen-000026',-4703028072204528337,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000027','gen-000027',2070593887466536527,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000028','gen-000028',-4305847177991412215,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000029','gen-000029',-2037019525795336313,1795718369362);
INSERT INTO "saga_mark" VALUES('order','gen-000030','gen-000030',7088632867026658918,1795718369362);
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
INSERT INTO "saga_meta" VALUES(1,3,1,19,'9b2f5646-22b9-45b1-8a72-0938d035e6a7','process 19358',0,0);
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
INSERT INTO "saga_obligation" VALUES(3,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000003"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',NULL,NULL);
INSERT INTO "saga_obligation" VALUES(3,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,'{"payment":"pay-gen-000003"}',NULL,3,0);
INSERT INTO "saga_obligation" VALUES(8,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000008"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',4,0);
INSERT INTO "saga_obligation" VALUES(11,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000011"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(11,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(14,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000014"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',NULL,NULL);
INSERT INTO "saga_obligation" VALUES(14,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,'{"payment":"pay-gen-000014"}',NULL,3,0);
INSERT INTO "saga_obligation" VALUES(15,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000015"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(15,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(16,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000016"}',NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(16,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,NULL,NULL,NULL,NULL);
INSERT INTO "saga_obligation" VALUES(17,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000017"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',4,0);
INSERT INTO "saga_obligation" VALUES(19,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000019"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',NULL,NULL);
INSERT INTO "saga_obligation" VALUES(19,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,'{"payment":"pay-gen-000019"}',NULL,3,0);
INSERT INTO "saga_obligation" VALUES(26,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000026"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',4,0);
INSERT INTO "saga_obligation" VALUES(28,2,0,'label.void','command',2,0,'label.create',1,NULL,'{"order":"gen-000028"}','{"replied":{"name":"label.refused","version":1,"payload":{"why":"the carrier does not go there"}}}',NULL,NULL);
INSERT INTO "saga_obligation" VALUES(28,2,1,'payment.refund','state',NULL,NULL,'awaiting-shipment',1,2,'{"payment":"pay-gen-000028"}',NULL,3,0);
CREATE TABLE saga_retired (
    what TEXT NOT NULL,               -- 'saga', 'state', 'event' or 'command'
    saga TEXT NOT NULL,               -- whose it is; empty for a saga
    was  TEXT NOT NULL,
    name TEXT NOT NULL,               -- the present one
    PRIMARY KEY (what, saga, was)
) STRICT, WITHOUT ROWID;
CREATE TABLE saga_taker (
    event      TEXT NOT NULL,
    taker      TEXT NOT NULL,
    subscriber INTEGER NOT NULL,
    PRIMARY KEY (event, taker, subscriber)
) STRICT, WITHOUT ROWID;
INSERT INTO "saga_taker" VALUES('order.cancel-requested','order',0);
INSERT INTO "saga_taker" VALUES('order.cancelled','cancelled-mail',1);
INSERT INTO "saga_taker" VALUES('order.completed','completed-mail',1);
INSERT INTO "saga_taker" VALUES('order.placed','order',0);
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
INSERT INTO "saga_task" VALUES(3,3,0,'undo','payment.refund',1,'{"order":"gen-000003","payment":"pay-gen-000003","cents":23857}',2,'ready',1,0,1795718369740,121,1,1795718369740,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(8,4,0,'undo','label.void',1,'{"order":"gen-000008"}',2,'ready',0,0,1795718369866,0,1,1795718369866,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(11,2,0,'command','label.create',1,'{"order":"gen-000011"}',2,'ready',1,0,1795718369613,122,1,1795718369613,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(14,3,0,'undo','payment.refund',1,'{"order":"gen-000014","payment":"pay-gen-000014","cents":10966}',2,'ready',1,0,1795718369740,121,1,1795718369740,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(15,2,0,'command','label.create',1,'{"order":"gen-000015"}',2,'ready',1,0,1795718369615,121,1,1795718369615,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(16,2,0,'command','label.create',1,'{"order":"gen-000016"}',2,'ready',1,0,1795718369737,123,1,1795718369737,0,0,'no answer',NULL,0);
INSERT INTO "saga_task" VALUES(17,4,0,'undo','label.void',1,'{"order":"gen-000017"}',2,'ready',0,0,1795718369866,0,1,1795718369866,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(19,3,0,'undo','payment.refund',1,'{"order":"gen-000019","payment":"pay-gen-000019","cents":561}',2,'ready',0,0,1795718369863,0,1,1795718369863,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(26,4,0,'undo','label.void',1,'{"order":"gen-000026"}',2,'ready',0,0,1795718369863,0,1,1795718369863,0,0,NULL,NULL,0);
INSERT INTO "saga_task" VALUES(28,3,0,'undo','payment.refund',1,'{"order":"gen-000028","payment":"pay-gen-000028","cents":21832}',2,'ready',0,0,1795718369863,0,1,1795718369863,0,0,NULL,NULL,0);
CREATE TABLE saga_timer (
    instance INTEGER NOT NULL,
    name     TEXT NOT NULL,
    visit    INTEGER NOT NULL,
    armed_at INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    fired    INTEGER NOT NULL,
    PRIMARY KEY (instance, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX saga_instance_address ON saga_instance (saga, key);
CREATE INDEX saga_instance_status ON saga_instance (saga, status);
CREATE INDEX saga_instance_compensating ON saga_instance (status) WHERE status = 'compensating';
CREATE INDEX saga_instance_parked ON saga_instance (id) WHERE parked IS NOT NULL;
CREATE INDEX saga_instance_over ON saga_instance (over_at) WHERE over_at IS NOT NULL;
CREATE INDEX saga_alias_instance ON saga_alias (instance, alias);
CREATE INDEX saga_timer_due ON saga_timer (due_at, instance, name);
CREATE INDEX saga_inbox_to ON saga_inbox (taker, key);
CREATE INDEX saga_mark_at ON saga_mark (at);
CREATE INDEX saga_dead_message ON saga_dead (taker, key, message) WHERE message IS NOT NULL;
CREATE INDEX saga_delivery_named ON saga_delivery (taker, key, message) WHERE named = 1;
DELETE FROM "sqlite_sequence";
COMMIT;