//! A file that an earlier version has written is brought up to date, with everything it holds.

mod support;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use saga_core::message::{Alias, MessageId};
use saga_core::store::conformance::{Driver, address, mail, next, time};
use saga_core::store::{
    Address, DeadId, DeadLetter, DeadLetterReason, DeliveryId, HistoryKind, InboxId, Inspect, InstanceFilter,
    Loaded, MailKind, Maintain, NameOf, RetiredName, Step, Store, StoreError,
};
use saga_sqlite::{SqliteReader, SqliteStore, rusqlite};

use support::filled::{addresses, fill};
use support::{Dir, application};

/// A file of schema 4 with the instances of [`fill`].
const SCHEMA_4: &str = include_str!("earlier/schema_4.sql");
/// A file of schema 3 with one instance. Its history has the words of that schema.
const SCHEMA_3_WORDS: &str = include_str!("earlier/schema_3_words.sql");

/// Makes a file of schema 1 of one of schema 4.
const UNDO_MIGRATIONS: &str = "
    ALTER TABLE saga_instance RENAME COLUMN joined TO noted;
    ALTER TABLE saga_dead RENAME COLUMN consumer TO taker;
    ALTER TABLE saga_delivery RENAME COLUMN consumer TO taker;
    ALTER TABLE saga_inbox RENAME COLUMN deduplicated TO marked;
    ALTER TABLE saga_inbox RENAME COLUMN consumer TO taker;
    DROP INDEX saga_dedup_at;
    ALTER TABLE saga_dedup RENAME COLUMN consumer TO taker;
    ALTER TABLE saga_dedup RENAME TO saga_mark;
    CREATE INDEX saga_mark_at ON saga_mark (at);
    ALTER TABLE saga_consumer RENAME COLUMN consumer TO taker;
    ALTER TABLE saga_consumer RENAME TO saga_taker;
    DROP INDEX saga_delivery_named;
    ALTER TABLE saga_delivery DROP COLUMN named;
    DROP INDEX saga_dead_message;
    ALTER TABLE saga_dead DROP COLUMN times;
    ALTER TABLE saga_delivery DROP COLUMN left_out;
    DROP TABLE saga_retired;
    ALTER TABLE saga_task DROP COLUMN left_out;
    UPDATE saga_meta SET schema_version = 1;
";

/// Creates the file of an earlier version, and changes it.
fn earlier(dir: &Dir, sql: &str, change: &str) {
    let db = application(&dir.db());
    db.execute_batch(sql).unwrap();
    db.execute_batch(change).unwrap();
}

fn version(dir: &Dir) -> i64 {
    let db = rusqlite::Connection::open(dir.db()).unwrap();
    db.query_row("SELECT schema_version FROM saga_meta", [], |row| row.get(0)).unwrap()
}

/// Everything that the traits return about the instances of [`fill`].
async fn everything(store: &SqliteStore) -> String {
    let mut all = String::new();
    for address in addresses() {
        let alias = Alias::new(format!("alias of {}", address.key.text())).unwrap();
        let alias = Address::new(address.saga.clone(), alias);
        let loaded = store.load(&[address.clone(), alias]).await.unwrap();
        all += &format!("{loaded:#?}\n{:#?}\n", store.history(&address, 100).await.unwrap());
    }
    all += &format!("{:#?}\n", store.open_tasks(None, 1_000).await.unwrap());
    all += &format!("{:#?}\n", store.timers(time(i64::MAX), None, 1_000).await.unwrap());
    all += &format!("{:#?}\n", store.compensating(None, 1_000).await.unwrap());
    all += &format!("{:#?}\n", store.inbox(InboxId(0), 1_000).await.unwrap());
    all += &format!("{:#?}\n", store.counts().await.unwrap());
    all += &format!("{:#?}\n", store.names().await.unwrap());
    all + &format!("{:#?}\n", store.instances(&InstanceFilter::default()).await.unwrap())
}

/// What a store of the present version says about the same instances.
async fn present() -> String {
    let dir = Dir::quick();
    let store = SqliteStore::open(dir.db()).unwrap();
    fill(&mut Driver::lease(Arc::new(store.clone())).await).await;
    everything(&store).await
}

#[tokio::test]
async fn r34_instances_of_earlier_schemas_are_carried_over_with_all_that_belongs_to_them() {
    let expected = present().await;
    for (schema, change) in [(4, ""), (1, UNDO_MIGRATIONS)] {
        let dir = Dir::quick();
        earlier(&dir, SCHEMA_4, change);
        assert_eq!(version(&dir), schema);
        let store = SqliteStore::open(dir.db()).unwrap();
        assert_eq!(version(&dir), 9);
        // Schema 1 had no column for the attempts that were left out.
        let expected =
            if schema == 1 { expected.replace("left_out: 1", "left_out: 0") } else { expected.clone() };
        assert!(everything(&store).await == expected, "of schema {schema}");

        // The instances go on, and a saga can be renamed.
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let before = driver.snapshot(&address("many")).await;
        let step = next(before.row, &before.instance);
        driver.committed(step.clone()).await;
        let after = driver.snapshot(&address("many")).await;
        assert_eq!((after.instance, after.tasks), (step.instance.unwrap(), before.tasks));
        let (was, name) = ("order".to_owned(), "purchase".to_owned());
        let names = [RetiredName { what: NameOf::Saga, saga: String::new(), was, name }];
        assert_eq!(store.rename(&names).await.unwrap(), [6]);
        assert_eq!(store.retired().await.unwrap(), names);
        assert_eq!(store.purge(time(i64::MAX), 10).await.unwrap().instances, 1);
    }
}

#[tokio::test]
async fn the_views_show_what_was_carried_over() {
    let dir = Dir::quick();
    earlier(&dir, SCHEMA_4, "");
    drop(SqliteStore::open(dir.db()).unwrap());
    let db = application(&dir.db());
    let count = |of: &str| {
        db.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count("saga_v_instance WHERE status IS NOT NULL AND data IS NOT NULL"), 7);
    assert_eq!(count("saga_v_instance WHERE length(data) = 10002"), 1);
    assert_eq!(count("saga_v_task WHERE stage = 'held' AND seq = 1 AND ord = 1"), 5);
    assert_eq!(count("saga_v_task WHERE key = 'many'"), 100);
    assert_eq!(count("saga_v_obligation WHERE ord = 2 AND undo_task = '[1,1]'"), 5);
    assert_eq!(count("saga_v_timer WHERE name = 'time \"out\"' || char(10) AND due_at = -5"), 5);
    assert_eq!(count("saga_v_alias WHERE alias = 'alias of ' || key"), 5);
    assert_eq!(count("saga_v_history WHERE kind = 'started' AND payload = '\"event\"'"), 7);
}

#[test]
fn the_version_of_a_file_is_read_without_a_change() {
    let dir = Dir::quick();
    earlier(&dir, SCHEMA_4, "");
    let before = std::fs::read(dir.db()).unwrap();
    let schema = SqliteReader::schema(dir.db()).unwrap();
    assert_eq!((schema.found, schema.known), (4, SqliteStore::SCHEMA));
    let missing = ["narrow_rows", "counts", "definitions", "audit", "labels_and_traces"];
    assert_eq!(schema.missing, missing);
    assert_eq!(std::fs::read(dir.db()).unwrap(), before);
    drop(SqliteStore::open(dir.db()).unwrap());
    let schema = SqliteReader::schema(dir.db()).unwrap();
    assert_eq!((schema.found, schema.missing), (SqliteStore::SCHEMA, vec![]));
    let error = SqliteReader::schema(dir.file("none.db")).unwrap_err();
    assert!(error.to_string().contains("the file does not exist"), "{error}");
    rusqlite::Connection::open(dir.file("other.db")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let error = SqliteReader::schema(dir.file("other.db")).unwrap_err();
    assert!(error.to_string().contains("no tables of a store"), "{error}");
}

#[tokio::test]
async fn damaged_rows_stay_damaged_and_keep_their_content() {
    let damage = "
        UPDATE saga_instance SET data = '\"dota\"' WHERE key = 'full' AND saga = 'order';
        UPDATE saga_instance SET data = 'no JSON' WHERE key = 'large';
        UPDATE saga_instance SET status = 'sleeping' WHERE key = 'ended';
        UPDATE saga_task SET stage = 'dancing'
            WHERE instance = (SELECT id FROM saga_instance WHERE key = 'parked');
        UPDATE saga_timer SET due_at = due_at, name = CAST(x'ff' AS TEXT)
            WHERE name = 'deadline' AND instance = (SELECT id FROM saga_instance WHERE key = 'many');
        UPDATE saga_obligation SET payload = 'no JSON either'
            WHERE instance = (SELECT id FROM saga_instance WHERE saga <> 'order');
        UPDATE saga_history SET name = 'another'
            WHERE id = (SELECT last FROM saga_instance WHERE key = 'empty')";
    let dir = Dir::quick();
    earlier(&dir, SCHEMA_4, damage);
    let store = SqliteStore::open(dir.db()).unwrap();
    for key in ["full", "large", "ended", "parked", "many"] {
        let found = store.load(&[address(key)]).await.unwrap();
        assert!(matches!(found[..], [Some(Loaded::Unreadable(_))]), "{key}: {found:?}");
    }
    let history = store.history(&address("empty"), 9).await.unwrap();
    assert_eq!((history.len(), &history[0].entry.kind), (1, &HistoryKind::Unreadable));
    let another = store.load(&[addresses().remove(6)]).await.unwrap();
    assert!(matches!(another[..], [Some(Loaded::Unreadable(_))]), "{another:?}");
    let sound = store.load(&[address("empty")]).await.unwrap();
    assert!(matches!(sound[..], [Some(Loaded::Snapshot(_))]), "{sound:?}");
    // The aliases of damaged instances stay claimed.
    for key in ["parked", "many"] {
        let alias = Address::new("order", Alias::new(format!("alias of {key}")).unwrap());
        let holder = store.load(&[alias]).await.unwrap();
        assert!(matches!(&holder[..], [Some(Loaded::Alias(of))] if of.as_str() == key), "{holder:?}");
    }

    let db = application(&dir.db());
    let text = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let of = |key: &str, column: &str| {
        text(&format!("SELECT {column} FROM saga_instance WHERE key = '{key}' AND saga = 1"))
    };
    assert_eq!(of("full", "body ->> '$.damaged.data'"), "\"dota\"");
    assert_eq!(of("large", "body ->> '$.damaged.data'"), "no JSON");
    assert_eq!(of("ended", "body ->> '$.damaged.status'"), "sleeping");
    assert!(of("parked", "pending").contains("dancing"));
    assert!(of("many", "pending ->> '$.damaged.timer'").contains('\u{fffd}'));
    assert_eq!(of("parked", "CAST(open AS TEXT)"), "1", "a start finds its tasks");
    let readable = text("SELECT CAST(count(*) AS TEXT) FROM saga_v_task");
    assert_eq!(readable, "6", "of `full` and `large`");
    let line = text("SELECT body ->> '$[1].name' FROM saga_history WHERE body LIKE '%another%'");
    assert_eq!(line, "another");
}

#[test]
fn a_file_is_not_migrated_under_a_dispatcher_of_an_earlier_version() {
    let dir = Dir::quick();
    earlier(&dir, SCHEMA_4, "");
    let mut lock = File::create(dir.file("saga.db.lock")).unwrap();
    lock.lock().unwrap();
    writeln!(lock, "the day shift (process 1)").unwrap();
    match SqliteStore::open(dir.db()) {
        Err(error @ StoreError::Owned { .. }) => {
            assert!(error.to_string().contains("the day shift"), "{error}");
        }
        other => panic!("should have been refused: {other:?}"),
    }
    assert_eq!(version(&dir), 4);
    drop(lock);
    drop(SqliteStore::open(dir.db()).unwrap());
    assert_eq!(version(&dir), 9);
}

#[tokio::test]
async fn lines_of_history_get_their_present_words_and_a_damaged_line_stays() {
    let dir = Dir::quick();
    earlier(&dir, SCHEMA_3_WORDS, "UPDATE saga_history SET name = 'another' WHERE id = 6");
    let store = SqliteStore::open(dir.db()).unwrap();
    let kinds: Vec<_> =
        store.history(&address("a"), 9).await.unwrap().into_iter().map(|row| row.entry.kind).collect();
    assert_eq!(
        kinds.iter().map(HistoryKind::as_str).collect::<Vec<_>>(),
        ["started", "compensating", "joined", "kept", "compensated", "unreadable"]
    );
}

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
        trace: None,
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
