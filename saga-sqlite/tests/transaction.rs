//! The application's own transaction.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::Duration;

use saga_core::message::{BoxError, Correlated, Event, MessageId, Timestamp, chain};
use saga_core::store::{
    Batch, ConsumerRow, InboxId, Mail, MailKind, Maintain, NameOf, Pause, PauseChange, PauseOf, RetiredName,
    Step, Store,
};
use saga_sqlite::{SqliteStore, TransactionError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: String,
}

impl Event for OrderPlaced {
    const NAME: &'static str = "order.placed";
    const VERSION: u32 = 3;
    const KEYED: bool = true;
}

impl Correlated for OrderPlaced {
    fn key(&self, saga: &str) -> String {
        match saga {
            "customer" => format!("customer of {}", self.order),
            _ => self.order.clone(),
        }
    }
}

fn placed(order: &str) -> OrderPlaced {
    OrderPlaced { order: order.to_owned() }
}

struct Shop {
    dir: tempfile::TempDir,
    store: SqliteStore,
}

impl Shop {
    async fn new() -> Self {
        Self::with_limit(Duration::from_secs(600)).await
    }

    async fn with_limit(limit: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteStore::options().busy_timeout(Duration::ZERO).transaction_limit(limit);
        let store = options.open(dir.path().join("shop.db")).unwrap();
        let consumer = |consumer: &str, subscriber| ConsumerRow {
            event: "order.placed".to_owned(),
            consumer: consumer.to_owned(),
            subscriber,
        };
        store
            .register(&[consumer("order", false), consumer("customer", false), consumer("mailer", true)])
            .await
            .unwrap();
        let shop = Self { dir, store };
        let db = saga_sqlite::rusqlite::Connection::open(shop.dir.path().join("shop.db")).unwrap();
        db.execute_batch("CREATE TABLE cart (item TEXT NOT NULL)").unwrap();
        shop
    }

    fn carts(&self) -> i64 {
        let db = saga_sqlite::rusqlite::Connection::open(self.dir.path().join("shop.db")).unwrap();
        db.query_row("SELECT count(*) FROM cart", [], |row| row.get(0)).unwrap()
    }

    async fn inbox(&self) -> Vec<Mail> {
        self.store.inbox(InboxId(0), 100).await.unwrap().into_iter().map(|(_, mail)| mail).collect()
    }

    async fn woken(&self) -> bool {
        let mut woken = self.store.woken();
        poll_fn(|cx| Poll::Ready(woken.as_mut().poll(cx).is_ready())).await
    }

    async fn assert_untouched(&self) {
        assert_eq!((self.carts(), self.inbox().await.len()), (0, 0));
        assert!(!self.woken().await);
        // And the next one works.
        self.store.transaction(|tx| tx.publish(&placed("next"))).unwrap();
    }
}

fn fill(tx: &saga_sqlite::Transaction<'_>) -> Result<(), TransactionError> {
    tx.connection()?.execute("INSERT INTO cart VALUES ('book')", [])?;
    tx.publish(&placed("o-1"))?;
    Ok(())
}

#[tokio::test]
async fn rows_and_events_become_durable_together_for_every_consumer() {
    let shop = Shop::new().await;
    let id = MessageId::new("broker-7").unwrap();
    shop.store
        .transaction(|tx| {
            tx.connection()?.execute("INSERT INTO cart VALUES ('book')", [])?;
            tx.publish_as(&id, &placed("o-1"))
        })
        .unwrap();
    assert_eq!(shop.carts(), 1);
    let inbox = shop.inbox().await;
    let seen: Vec<_> = inbox.iter().map(|mail| (&*mail.to.saga, mail.to.key.text(), mail.kind)).collect();
    assert_eq!(
        seen,
        [
            ("customer", "customer of o-1", MailKind::Event),
            ("mailer", "o-1", MailKind::Delivery),
            ("order", "o-1", MailKind::Event),
        ]
    );
    for mail in &inbox {
        assert_eq!((mail.id.as_ref(), mail.deduplicated, mail.epoch), (Some(&id), false, 0));
        assert_eq!((&*mail.message.name, mail.message.version), ("order.placed", 3));
        assert_eq!(mail.message.payload.as_str(), r#"{"order":"o-1"}"#);
    }
    assert!(shop.woken().await);
}

#[tokio::test]
async fn r28_an_event_is_not_recorded_for_a_retired_consumer() {
    let shop = Shop::new().await;
    let lease = shop.store.lease("the dispatcher").await.unwrap();
    let pause = |consumer: &str| {
        let (of, at) = (PauseOf::Consumer(consumer.to_owned()), Timestamp::now());
        PauseChange::Pause(Pause { of, who: "ada".to_owned(), why: String::new(), at })
    };
    let step = Step { pauses: vec![pause("mailer"), pause("customer")], ..Step::default() };
    shop.store.commit(&lease, Arc::new(Batch { number: 1, steps: vec![step] })).await.unwrap();
    shop.store.transaction(|tx| tx.publish(&placed("o-1"))).unwrap();
    let inbox = shop.inbox().await;
    assert_eq!(inbox.iter().map(|mail| &*mail.to.saga).collect::<Vec<_>>(), ["order"]);
    let step = Step { pauses: vec![pause("order")], ..Step::default() };
    shop.store.commit(&lease, Arc::new(Batch { number: 2, steps: vec![step] })).await.unwrap();
    let nobody = shop.store.transaction(|tx| tx.publish(&placed("o-2"))).unwrap_err();
    assert!(matches!(nobody, TransactionError::NoConsumer { .. }), "{nobody}");
}

#[tokio::test]
async fn r34_a_build_that_knows_a_saga_by_its_earlier_name_publishes_by_the_key_it_has_there() {
    let shop = Shop::new().await;
    shop.store.lease("a build that has renamed both").await.unwrap();
    let renamed = |was: &str, name: &str| RetiredName {
        what: NameOf::Saga,
        saga: String::new(),
        was: was.to_owned(),
        name: name.to_owned(),
    };
    shop.store.rename(&[renamed("customer", "client"), renamed("order", "purchase")]).await.unwrap();
    shop.store.transaction(|tx| tx.publish(&placed("o-1"))).unwrap();
    let inbox = shop.inbox().await;
    let seen: Vec<_> = inbox.iter().map(|mail| (&*mail.to.saga, mail.to.key.text())).collect();
    assert_eq!(seen, [("client", "customer of o-1"), ("mailer", "o-1"), ("purchase", "o-1")]);
}

#[tokio::test]
async fn another_process_sees_the_wake_file() {
    let shop = Shop::new().await;
    let dispatcher = SqliteStore::open(shop.dir.path().join("shop.db")).unwrap();
    dispatcher.lease("a dispatcher elsewhere").await.unwrap();
    for _ in 0..2 {
        assert!(!dispatcher.pulse().await.unwrap());
        shop.store.transaction(|tx| tx.publish(&placed("o-1"))).unwrap();
        assert!(dispatcher.pulse().await.unwrap());
    }
    let mail = shop.inbox().await.remove(0);
    shop.store.deliver(vec![mail]).await.unwrap();
    assert!(dispatcher.pulse().await.unwrap());
    assert!(!dispatcher.pulse().await.unwrap());
}

#[tokio::test]
async fn an_error_rolls_everything_back() {
    let shop = Shop::new().await;
    let result = shop.store.transaction(|tx| {
        fill(tx)?;
        Err::<(), _>(BoxError::from("sold out").into())
    });
    assert_eq!(result.unwrap_err().to_string(), "sold out");
    shop.assert_untouched().await;
}

#[tokio::test]
async fn a_failing_statement_rolls_everything_back() {
    let shop = Shop::new().await;
    let result = shop.store.transaction(|tx| {
        fill(tx)?;
        tx.connection()?.execute("INSERT INTO cart VALUES (NULL)", [])?;
        Ok(())
    });
    assert!(matches!(result, Err(TransactionError::Sqlite(_))), "{result:?}");
    shop.assert_untouched().await;
}

#[tokio::test]
async fn a_panic_rolls_everything_back() {
    let shop = Shop::new().await;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        shop.store.transaction::<()>(|tx| {
            fill(tx)?;
            panic!("asked for by the test")
        })
    }));
    assert!(panicked.is_err());
    shop.assert_untouched().await;
}

#[tokio::test]
async fn the_limit_rolls_back_what_has_ended_too_late() {
    let shop = Shop::with_limit(Duration::ZERO).await;
    let result = shop.store.transaction(fill);
    assert!(matches!(result, Err(TransactionError::TooLong { .. })), "{result:?}");
    assert_eq!((shop.carts(), shop.inbox().await.len()), (0, 0));
}

#[tokio::test]
async fn the_limit_interrupts_a_statement_that_does_not_end() {
    let shop = Shop::with_limit(Duration::from_millis(1)).await;
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
    let result = shop.store.transaction(|tx| Ok(tx.connection()?.query_row(endless, [], |_| Ok(()))?));
    assert!(matches!(result, Err(TransactionError::TooLong { .. })), "{result:?}");
    assert_eq!((shop.carts(), shop.inbox().await.len()), (0, 0));
}

/// What ends a transaction from within, and what is then tried on the connection that is still kept.
const ENDERS: [&str; 5] =
    ["ROLLBACK", "COMMIT", "END", "INSERT OR ROLLBACK INTO once VALUES (1)", "INSERT INTO once VALUES (-1)"];

#[tokio::test]
async fn after_a_statement_that_ends_the_transaction_nothing_is_written() {
    for ender in ENDERS {
        let shop = Shop::new().await;
        let prepare = "CREATE TABLE once (n INTEGER PRIMARY KEY);
            INSERT INTO once VALUES (1);
            CREATE TRIGGER no_debts BEFORE INSERT ON once WHEN NEW.n < 0
            BEGIN SELECT RAISE(ROLLBACK, 'a debt'); END;";
        shop.store.transaction(|tx| Ok(tx.connection()?.execute_batch(prepare)?)).unwrap();
        assert!(!shop.woken().await);
        let result = shop.store.transaction(|tx| {
            fill(tx)?;
            {
                let db = tx.connection()?;
                // A careless program passes over the error, and goes on with the connection it has.
                let _ = db.execute_batch(ender);
                assert!(db.is_autocommit(), "`{ender}` ended the transaction");
                let alone = db.execute("INSERT INTO cart VALUES ('alone')", []);
                assert!(alone.is_err(), "after `{ender}` a statement is durable alone");
            }
            assert!(matches!(tx.connection(), Err(TransactionError::Ended)), "{ender}");
            assert!(matches!(tx.publish(&placed("alone")), Err(TransactionError::Ended)), "{ender}");
            Ok(())
        });
        assert!(matches!(result, Err(TransactionError::Ended)), "{ender}: {result:?}");
        shop.assert_untouched().await;
    }
}

#[tokio::test]
async fn a_statement_that_is_interrupted_takes_what_comes_after_it_along() {
    let shop = Shop::with_limit(Duration::from_millis(1)).await;
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
        INSERT INTO cart SELECT x FROM n";
    let result = shop.store.transaction(|tx| {
        let db = tx.connection()?;
        assert!(db.execute(endless, []).is_err());
        assert!(db.is_autocommit(), "SQLite has rolled back by itself");
        let _ = db.execute("INSERT INTO cart VALUES ('alone')", []);
        let _ = db.execute_batch("BEGIN; INSERT INTO cart VALUES ('together'); COMMIT");
        drop(db);
        let _ = tx.publish(&placed("alone"));
        Ok(())
    });
    assert!(matches!(result, Err(TransactionError::TooLong { .. })), "{result:?}");
    assert_eq!((shop.carts(), shop.inbox().await.len()), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_published_is_named() {
    #[derive(Serialize, Deserialize)]
    struct Stray;
    impl Event for Stray {
        const NAME: &'static str = "stray";
        const KEYED: bool = true;
    }
    impl Correlated for Stray {
        fn key(&self, _: &str) -> String {
            "k".to_owned()
        }
    }
    let shop = Shop::new().await;
    let text = |result: Result<MessageId, TransactionError>| chain(&result.unwrap_err()).to_string();
    let stray = text(shop.store.transaction(|tx| tx.publish(&Stray)));
    assert!(stray.starts_with("event `stray` has no consumer"), "{stray}");
    let key = text(shop.store.transaction(|tx| tx.publish(&placed(""))));
    assert!(key.starts_with("event `order.placed` has no usable key: the key is empty"), "{key}");
    let large = text(shop.store.transaction(|tx| tx.publish(&placed(&"x".repeat(2 << 20)))));
    assert!(large.contains("longer than the limit of 1048576 bytes of JSON"), "{large}");
    shop.assert_untouched().await;
}

#[tokio::test]
async fn a_transaction_within_another_one_fails_instead_of_waiting_for_itself() {
    let shop = Shop::new().await;
    let result = shop.store.transaction(|_| shop.store.transaction(|_| Ok(())));
    assert!(matches!(result, Err(TransactionError::Nested)), "{result:?}");
    shop.assert_untouched().await;
}

#[tokio::test]
async fn the_limit_counts_also_while_no_sql_is_running() {
    let shop = Shop::with_limit(Duration::from_millis(20)).await;
    let ((begun, has_begun), (written, has_written)) = (channel::<()>(), channel::<()>());
    let store = shop.store.clone();
    let long = std::thread::spawn(move || {
        store.transaction(|tx| {
            begun.send(()).expect("somebody waits");
            // On a busy machine the limit may have passed already.
            let _ = fill(tx);
            // It does something else until somebody else has written.
            has_written.recv().expect("somebody else writes");
            tx.connection()?.execute("INSERT INTO cart VALUES ('late')", [])?;
            Ok(())
        })
    });
    has_begun.recv().unwrap();
    // A write of somebody else waits until the limit has passed, and no longer.
    let other = rusqlite::Connection::open(shop.store.path()).unwrap();
    other.busy_timeout(Duration::from_secs(30)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
    written.send(()).unwrap();
    let result = long.join().unwrap();
    assert!(matches!(result, Err(TransactionError::TooLong { .. })), "{result:?}");
    assert_eq!((shop.carts(), shop.inbox().await.len()), (0, 0), "all of it, also what came after the limit");
    SqliteStore::open(shop.store.path()).unwrap().transaction(fill).unwrap();
    assert_eq!((shop.carts(), shop.inbox().await.len()), (1, 3), "the store goes on");
}

#[tokio::test]
async fn a_second_handle_on_the_same_file_is_the_same_store_inside_a_transaction() {
    let shop = Shop::new().await;
    let other = SqliteStore::open(shop.store.path()).unwrap();
    let result = shop.store.transaction(|_| {
        assert!(shop.store.is_held_here() && other.is_held_here());
        other.transaction(|_| Ok(()))
    });
    assert!(matches!(result, Err(TransactionError::Nested)), "{result:?}");
    assert!(!shop.store.is_held_here() && !other.is_held_here());
    shop.assert_untouched().await;
}

#[tokio::test]
async fn after_the_limit_nothing_more_can_be_published() {
    let shop = Shop::with_limit(Duration::from_millis(20)).await;
    let ((begun, has_begun), (written, has_written)) = (channel::<()>(), channel::<()>());
    let store = shop.store.clone();
    let long = std::thread::spawn(move || {
        let mut late = None;
        let result = store.transaction(|tx| {
            begun.send(()).expect("somebody waits");
            has_written.recv().expect("somebody else writes");
            late = tx.publish(&placed("o-1")).err();
            Ok(())
        });
        (result, late)
    });
    has_begun.recv().unwrap();
    // A write of somebody else waits until the limit has passed, and no longer.
    let other = rusqlite::Connection::open(shop.store.path()).unwrap();
    other.busy_timeout(Duration::from_secs(30)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
    written.send(()).unwrap();
    let (result, late) = long.join().unwrap();
    assert!(matches!(late, Some(TransactionError::TooLong { .. })), "{late:?}");
    assert!(matches!(result, Err(TransactionError::TooLong { .. })), "{result:?}");
    assert_eq!((shop.carts(), shop.inbox().await.len()), (0, 0));
}
