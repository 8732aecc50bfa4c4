//! Opening: what is created, what is taken over, what is no store, and who else may be there.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use saga_core::store::conformance::{address, mail};
use saga_core::store::{ConsumerRow, InboxId, Inspect, Maintain, Store, StoreError};
use saga_sqlite::{SqliteStore, TransactionError, rusqlite};

use support::{Dir, application, copy_with_hot_journal};

fn refused(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(error @ StoreError::Open { .. }) => {
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot open {}: ", path.display())), "{text}");
            text
        }
        other => panic!("should have been refused: {other:?}"),
    }
}

fn version(path: &Path) -> i64 {
    let db = rusqlite::Connection::open(path).unwrap();
    db.query_row("SELECT schema_version FROM saga_meta", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_new_file_is_its_owners_only_and_ready() {
    let dir = Dir::new();
    let store = SqliteStore::open(dir.db()).unwrap();
    store.lease("me").await.unwrap();
    assert!(store.counts().await.unwrap().is_empty());
    #[cfg(unix)]
    for name in ["saga.db", "saga.db-wal", "saga.db-shm", "saga.db.lock"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn an_empty_file_and_a_file_with_other_tables_are_migrated() {
    let dir = Dir::new();
    fs::write(dir.db(), b"").unwrap();
    drop(SqliteStore::open(dir.db()).unwrap());

    let other = dir.file("app.db");
    let app = rusqlite::Connection::open(&other).unwrap();
    app.execute_batch("CREATE TABLE customer (name TEXT); INSERT INTO customer VALUES ('Ada')").unwrap();
    drop(app);
    drop(SqliteStore::open(&other).unwrap());

    for path in [dir.db(), other.clone()] {
        assert_eq!(version(&path), 9);
    }
    let app = rusqlite::Connection::open(&other).unwrap();
    let name: String = app.query_row("SELECT name FROM customer", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "Ada");
}

#[tokio::test]
async fn a_file_that_was_migrated_meanwhile_is_not_written_to_by_an_earlier_version() {
    let dir = Dir::new();
    let early = SqliteStore::open(dir.db()).unwrap();
    let lease = early.lease("the early shift").await.unwrap();
    early.release(&lease).await.unwrap();
    application(&dir.db()).execute("UPDATE saga_meta SET schema_version = 1000", []).unwrap();

    let refused = |result: Result<(), StoreError>| {
        let error = result.expect_err("a newer version has written the file").to_string();
        assert!(error.contains("schema 1000; this version knows schema 9"), "{error}");
    };
    refused(early.lease("the early shift").await.map(drop));
    refused(early.deliver(vec![mail(&address("a"), "m")]).await.map(drop));
    let consumer = ConsumerRow { event: "a".to_owned(), consumer: "b".to_owned(), subscriber: true };
    refused(early.register(&[consumer]).await);
    let transaction = early.transaction(|_| Ok(()));
    let Err(TransactionError::Store(error)) = transaction else { panic!("{transaction:?}") };
    refused(Err(error));
    assert!(early.inbox(InboxId(0), 10).await.unwrap().is_empty());
}

#[test]
fn a_file_that_many_create_at_once_opens_for_all_of_them() {
    for _ in 0..8 {
        let dir = Dir::quick();
        let (all, path) = (Barrier::new(8), dir.db());
        std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        all.wait();
                        SqliteStore::open(&path).map(drop)
                    })
                })
                .collect();
            for opener in openers {
                opener.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn a_time_that_sqlite_cannot_count_to_is_as_long_as_it_can() {
    let dir = Dir::new();
    let options = SqliteStore::options().busy_timeout(Duration::MAX).transaction_limit(Duration::MAX);
    options.open(dir.db()).unwrap().transaction(|_| Ok(())).unwrap();
}

#[tokio::test]
async fn a_retired_name_that_cannot_be_read_is_an_error() {
    let dir = Dir::new();
    let store = SqliteStore::open(dir.db()).unwrap();
    let unreadable =
        "INSERT INTO saga_retired (what, saga, was, name) VALUES ('planet', '', 'pluto', 'dwarf')";
    application(&dir.db()).execute_batch(unreadable).unwrap();
    let error = store.retired().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_transaction_of_the_application_that_was_killed_is_rolled_back() {
    let (dir, killed) = (Dir::new(), Dir::new());
    copy_with_hot_journal(&application(&dir.db()), &dir, &killed);
    drop(SqliteStore::open(killed.db()).unwrap());
    let db = application(&killed.db());
    let sql = "SELECT count(*) FROM big WHERE bytes = zeroblob(3000)";
    assert_eq!(db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 200);
}

#[test]
fn what_is_not_a_store_is_named() {
    let dir = Dir::new();
    fs::write(dir.file("letter.txt"), "Dear Sir or Madam, ".repeat(100)).unwrap();
    assert!(refused(&dir.file("letter.txt")).contains("not an SQLite database"));
    assert!(refused(dir.path()).contains("is not a file"));
    assert!(refused(&dir.file("none/saga.db")).contains("its directory does not exist"));
    match SqliteStore::options().create(false).open(dir.db()) {
        Err(error) => assert!(error.to_string().contains("the file does not exist"), "{error}"),
        Ok(_) => panic!("there is no file to open"),
    }
    assert!(!dir.db().exists());
}

#[tokio::test]
async fn a_second_handle_fails_fast_and_is_told_by_whom() {
    let dir = Dir::new();
    let first = SqliteStore::open(dir.db()).unwrap();
    let lease = first.lease("the day shift").await.unwrap();
    let second = SqliteStore::open(dir.db()).unwrap();
    let error = second.lease("the night shift").await.unwrap_err();
    assert!(matches!(error, StoreError::Owned { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&format!("is in use by the day shift (process {})", std::process::id())), "{text}");

    first.release(&lease).await.unwrap();
    let lease = second.lease("the night shift").await.unwrap();
    assert_eq!(lease.unclean, 0);
    assert!(matches!(first.lease("the day shift").await, Err(StoreError::Owned { .. })));
    drop(second);
    assert_eq!(first.lease("the day shift").await.unwrap().unclean, lease.epoch);
}

#[tokio::test]
async fn opening_under_a_running_dispatcher_is_fine_and_takes_nothing_from_it() {
    let dir = Dir::new();
    let owner = SqliteStore::open(dir.db()).unwrap();
    let lease = owner.lease("the owner").await.unwrap();
    for _ in 0..3 {
        drop(SqliteStore::open(dir.db()).unwrap());
    }
    owner.release(&lease).await.unwrap();
}

#[test]
fn a_file_locked_by_somebody_else_is_named() {
    let dir = Dir::new();
    let other = rusqlite::Connection::open(dir.db()).unwrap();
    other.execute_batch("CREATE TABLE t (x); BEGIN EXCLUSIVE").unwrap();
    match SqliteStore::options().busy_timeout(Duration::ZERO).open(dir.db()) {
        Err(error) => assert!(error.to_string().contains("locked by another process"), "{error}"),
        Ok(_) => panic!("the file is locked"),
    }
    other.execute_batch("ROLLBACK").unwrap();
    SqliteStore::options().busy_timeout(Duration::ZERO).open(dir.db()).unwrap();
}

#[test]
fn a_file_without_room_for_the_tables_is_full_and_opens_when_there_is_room() {
    let dir = Dir::new();
    match SqliteStore::options().max_pages(5).open(dir.db()) {
        Err(error @ StoreError::Full { .. }) => {
            assert!(error.to_string().contains("saga.db is full"), "{error}");
        }
        other => panic!("should have been refused: {other:?}"),
    }
    drop(SqliteStore::open(dir.db()).unwrap());
    assert_eq!(version(&dir.db()), 9);
}
