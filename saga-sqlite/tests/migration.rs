//! A file that an earlier version has written is brought up to date, with everything it holds.

mod support;

use saga_core::store::DeadLetterReason;
use std::sync::Arc;

use saga_core::message::MessageId;
use saga_core::store::conformance::{Driver, address, mail};
use saga_core::store::{DeadId, DeadLetter, DeliveryId, Inspect, MailKind, Step, Store};
use saga_sqlite::SqliteStore;

use support::{Dir, application};

/// As the first version has written them.
const ROWS: &str = "
    INSERT INTO saga_delivery (id, taker, key, name, version, payload, message, hops, stage, attempts, recoveries, since,
        spent_ms, epoch, armed_at, due_at, superseded)
    VALUES (1, 'mailer', 'a', 'sent', 1, '{}', 'm-1', 0, 'ready', 2, 0, 1, 0, 1, 1, 0, 0);
    INSERT INTO saga_dead (taker, key, kind, name, version, payload, message, hops, reason, detail, at)
    VALUES ('order', 'a', 'event', 'first', 1, '{}', 'm-2', 0, 'id-conflict', '', 5),
           ('order', 'a', 'event', 'second', 1, '{}', 'm-2', 0, 'id-conflict', '', 6);
    UPDATE saga_meta SET epoch = 1;";

#[tokio::test]
async fn a_file_of_the_first_version_keeps_its_deliveries_and_dead_letters() {
    let dir = Dir::new();
    let db = application(&dir.db());
    db.execute_batch(include_str!("../migrations/0001_initial.sql")).unwrap();
    db.execute_batch(ROWS).unwrap();
    drop(db);

    let store = SqliteStore::open(dir.db()).unwrap();
    let deliveries = store.deliveries(DeliveryId(0), 10).await.unwrap();
    let progress = &deliveries[0].1.progress;
    assert_eq!(
        (deliveries.len(), progress.attempts, progress.left_out, progress.next_attempt()),
        (1, 2, 0, 3)
    );

    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let conflict = DeadLetter {
        to: address("a"),
        kind: MailKind::Event,
        message: mail(&address("a"), "third").message,
        id: Some(MessageId::new("m-2").unwrap()),
        hops: 0,
        reason: DeadLetterReason::IdConflict,
        detail: String::new(),
        times: 1,
        at: mail(&address("a"), "third").at,
    };
    driver.committed(Step { dead: vec![conflict], ..Step::default() }).await;
    let letters = store.dead_letters(DeadId(0), 10).await.unwrap();
    let kept: Vec<_> = letters.iter().map(|row| (&*row.letter.message.name, row.letter.times)).collect();
    assert_eq!(kept, [("first", 2), ("second", 1)], "what was there stays, and the oldest counts on");
}
