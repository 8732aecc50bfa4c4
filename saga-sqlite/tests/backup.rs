//! Copies of a file while its owner commits.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use saga_core::store::conformance::{Driver, address, create};
use saga_core::store::{Inspect, Loaded, Store, StoreError};
use saga_sqlite::{SqliteReader, SqliteStore};

use support::Dir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_has_everything_that_was_answered_and_can_be_owned() {
    let dir = Dir::quick();
    let store = SqliteStore::open(dir.db()).unwrap();
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    for n in 0..50 {
        driver.created(create(&address(&format!("before-{n}")))).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (begun, began) = tokio::sync::oneshot::channel();
    let busy = tokio::spawn(async move {
        driver.created(create(&address("during"))).await;
        begun.send(()).unwrap();
        let mut n = 0;
        while !stopped.load(Ordering::SeqCst) {
            driver.created(create(&address(&format!("during-{n}")))).await;
            n += 1;
        }
    });
    began.await.unwrap();
    let (reader, to) = (store.reader(), dir.file("copy.db"));
    let copied = to.clone();
    tokio::task::spawn_blocking(move || reader.backup(copied)).await.unwrap().unwrap();
    stop.store(true, Ordering::SeqCst);
    busy.await.unwrap();

    let names = dir.names();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("copy.db-")), "{names:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let copy = SqliteStore::open(&to).unwrap();
    let mut owner = Driver::lease(Arc::new(copy.clone())).await;
    for n in 0..50 {
        let found = copy.load(&[address(&format!("before-{n}"))]).await.unwrap().remove(0);
        assert!(matches!(found, Some(Loaded::Snapshot(_))), "{n}");
    }
    let instances: u64 = copy.counts().await.unwrap().iter().map(|count| count.instances).sum();
    assert!(instances >= 51);
    owner.created(create(&address("after"))).await;
}

#[tokio::test]
async fn rows_of_the_application_are_copied_and_not_judged() {
    let dir = Dir::quick();
    let store = SqliteStore::open(dir.db()).unwrap();
    let db = support::application(&dir.db());
    db.execute_batch(
        "CREATE TABLE customer (name TEXT CHECK (length(name) > 3)); PRAGMA ignore_check_constraints = ON;
         INSERT INTO customer VALUES ('Ada'), ('Zoe');",
    )
    .unwrap();
    store.reader().backup(dir.file("copy.db")).unwrap();
    let copy = support::application(&dir.file("copy.db"));
    let names: i64 = copy.query_row("SELECT count(*) FROM customer", [], |row| row.get(0)).unwrap();
    assert_eq!(names, 2);
}

#[tokio::test]
async fn an_existing_file_is_not_overwritten_and_no_file_remains_after_an_error() {
    let dir = Dir::quick();
    let store = SqliteStore::open(dir.db()).unwrap();
    let reader = SqliteReader::open(dir.db()).unwrap();
    std::fs::write(dir.file("mine.txt"), "mine").unwrap();
    for (to, says) in [
        (dir.file("mine.txt"), "the file exists"),
        (dir.db(), "the file exists"),
        (dir.file("none").join("copy.db"), "create it first"),
        (":memory:".into(), "a store is a file"),
    ] {
        let error = reader.backup(&to).unwrap_err();
        assert!(matches!(error, StoreError::Open { .. }) && error.to_string().contains(says), "{error}");
    }
    assert_eq!(std::fs::read_to_string(dir.file("mine.txt")).unwrap(), "mine");
    drop(store);
    std::fs::remove_file(dir.db()).unwrap();
    reader.backup(dir.file("copy.db")).unwrap_err();
    let left: Vec<_> =
        dir.names().into_iter().filter(|name| name.to_string_lossy().contains("copy")).collect();
    assert!(left.is_empty(), "nothing remains of a copy that failed: {left:?}");
}
