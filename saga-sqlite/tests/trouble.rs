//! Trouble with the file while it is in use: never a lost answer, never a guess, and work goes on afterwards.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use saga_core::message::{Alias, Key, Payload};
use saga_core::store::conformance::{
    Driver, address, create, dedup_record, mail, next, obligation, task, time, timer,
};
use saga_core::store::{
    Address, AliasChange, Inspect, Loaded, Maintain, ObligationChange, Status, Step, StepOutcome, Store,
    StoreError, TaskChange, TimerChange,
};
use saga_sqlite::{Durability, SqliteOptions, SqliteStore, rusqlite};

struct Bench {
    dir: tempfile::TempDir,
    store: SqliteStore,
}

impl Bench {
    fn new() -> Self {
        Self::with(|options| options)
    }

    fn with(change: impl FnOnce(SqliteOptions) -> SqliteOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteStore::options().durability(Durability::Relaxed).busy_timeout(Duration::ZERO);
        let store = change(options).open(dir.path().join("saga.db")).unwrap();
        Self { dir, store }
    }

    fn db(&self) -> PathBuf {
        self.dir.path().join("saga.db")
    }

    async fn driver(&self) -> Driver {
        Driver::lease(Arc::new(self.store.clone())).await
    }

    fn outside(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.db()).unwrap();
        db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        db
    }
}

fn large(key: &str, status: Status, bytes: usize) -> Step {
    let mut step = create(&address(key));
    if let Some(change) = &mut step.instance {
        change.status = status;
        change.data = Payload::from(format!("\"{}\"", "x".repeat(bytes)));
    }
    step
}

#[tokio::test]
async fn a_foreign_write_transaction_makes_it_unavailable_until_it_ends() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    let foreign = bench.outside();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let step = create(&address("a"));
    let error = driver.try_commit(vec![step.clone()]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }) && error.is_temporary(), "{error:?}");
    let mail = vec![mail(&address("a"), "m")];
    assert!(matches!(bench.store.deliver(mail).await, Err(StoreError::Unavailable { .. })));
    assert_eq!(bench.store.load(&[address("a")]).await.unwrap(), [None], "reading goes on");
    foreign.execute_batch("ROLLBACK").unwrap();
    let outcomes = driver.again(vec![step]).await.unwrap();
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
}

#[tokio::test]
async fn a_full_store_says_so_writes_nothing_and_recovers() {
    let bench = Bench::with(|options| options.max_pages(100));
    let mut driver = bench.driver().await;
    let mut full = None;
    for n in 0..100 {
        let steps = vec![large(&format!("k{n}"), Status::Completed, 20_000)];
        match driver.try_commit(steps.clone()).await {
            Ok(outcomes) => assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}"),
            Err(error) => {
                assert!(matches!(error, StoreError::Full { .. }) && error.is_temporary(), "{error:?}");
                full = Some((format!("k{n}"), steps));
                break;
            }
        }
    }
    let (key, steps) = full.expect("the quota is reached");
    assert_eq!(bench.store.load(&[address(&key)]).await.unwrap(), [None]);
    assert!(matches!(driver.again(steps.clone()).await, Err(StoreError::Full { .. })));
    assert!(bench.store.purge(time(2_000), 3).await.unwrap().instances > 0);
    let outcomes = driver.again(steps).await.unwrap();
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
    assert_eq!(driver.snapshot(&address(&key)).await.instance.seq, 1);
}

#[tokio::test]
async fn a_start_that_finds_no_space_for_its_items_leaves_no_deduplication_record() {
    let bench = Bench::with(|options| options.max_pages(100));
    let mut driver = bench.driver().await;
    for n in 0..6 {
        driver.created(large(&format!("k{n}"), Status::Completed, 20_000)).await;
    }
    let mut step = create(&address("a"));
    step.dedup = vec![dedup_record(&address("a"), "message", 1, 0)];
    step.tasks = (0..3_000).map(|ord| TaskChange::Add(task(1, ord))).collect();
    let full = driver.try_commit(vec![step.clone()]).await;
    assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    let kept = rusqlite::Connection::open(bench.db()).unwrap();
    let records = kept.query_row("SELECT count(*) FROM saga_dedup", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(records, 0);
    // The step fits with fewer items. It is no duplicate of itself.
    step.tasks.truncate(100);
    let outcomes = driver.again(vec![step]).await.unwrap();
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
}

#[tokio::test]
async fn a_deleted_file_is_noticed_by_the_next_pulse() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    driver.created(create(&address("a"))).await;
    assert!(!bench.store.pulse().await.unwrap());
    fs::rename(bench.db(), bench.dir.path().join("elsewhere.db")).unwrap();
    let error = bench.store.pulse().await.unwrap_err();
    assert!(matches!(error, StoreError::Moved { .. }) && !error.is_temporary(), "{error:?}");
    fs::rename(bench.dir.path().join("elsewhere.db"), bench.db()).unwrap();
    assert!(!bench.store.pulse().await.unwrap(), "it is back");
}

#[tokio::test]
async fn a_replaced_file_is_noticed_by_the_next_pulse() {
    let bench = Bench::new();
    let copy = bench.dir.path().join("copy.db");
    fs::write(&copy, b"from yesterday's backup").unwrap();
    fs::rename(&copy, bench.db()).unwrap();
    assert!(matches!(bench.store.pulse().await, Err(StoreError::Moved { .. })));
    let result = bench.store.transaction(|_| Ok(()));
    assert!(result.is_err(), "nothing more is written: {result:?}");
}

#[tokio::test]
async fn a_flipped_byte_in_any_column_makes_only_its_instance_unreadable() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    let columns = [
        "saga = saga + 1",
        "status = 4",
        "status = 9",
        "parked = 1",
        "open = 1",
        "seq = seq + 1",
        "last = last + 1",
        "checksum = checksum + 1",
        "checksum = checksum + (1 << 40)",
        "body = replace(body, 'started', 'stbrted')",
        "body = replace(body, '\"payload\":', '\"pbyload\":')",
        "body = CAST(replace(body, 'data', x'ff') AS TEXT)",
        "body = ''",
        "pending = ''",
        "pending = NULL",
    ];
    for n in 0..columns.len() {
        driver.created(create(&address(&format!("k{n}")))).await;
    }
    driver.created(create(&address("sound"))).await;
    let outside = bench.outside();
    for (n, column) in columns.iter().enumerate() {
        let changed = outside
            .execute(&format!("UPDATE saga_instance SET {column} WHERE key = ?1"), (format!("k{n}"),))
            .unwrap();
        assert_eq!(changed, 1);
        if *column == "saga = saga + 1" {
            // The row is under another saga now. A load at its former address does not find it.
            let name =
                "INSERT INTO saga_name (id, name) SELECT saga, 'other' FROM saga_instance WHERE key = 'k0'";
            outside.execute(name, []).unwrap();
        }
        let saga = if n == 0 { "other" } else { "order" };
        let damaged = Address::new(saga, Key::new(format!("k{n}")).unwrap());
        let found = bench.store.load(&[damaged.clone(), address("sound")]).await.unwrap();
        let Some(Loaded::Unreadable(why)) = &found[0] else { panic!("{column} went unnoticed") };
        assert!(why.starts_with(&format!("{saga} `k{n}`: ")), "{why}");
        assert!(matches!(found[1], Some(Loaded::Snapshot(_))));
        assert!(matches!(bench.store.instance(&damaged).await, Err(StoreError::Corrupt { .. })));
    }
}

#[tokio::test]
async fn a_purge_of_a_damaged_instance_leaves_nothing_of_it() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    for (key, items) in [("few", 2), ("many", 200)] {
        let mut step = create(&address(key));
        step.instance.as_mut().unwrap().status = Status::Failed;
        step.obligations = (0..items).map(|ord| ObligationChange::Put(obligation(1, ord))).collect();
        step.timers = vec![TimerChange::Set(timer("deadline", 5))];
        step.aliases = vec![AliasChange::Claim(Alias::new(format!("alias of {key}")).unwrap())];
        driver.created(step).await;
    }
    let outside = bench.outside();
    let left = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        outside.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let tables = ["saga_instance", "saga_item", "saga_timer", "saga_alias", "saga_history"];
    assert_eq!(tables.map(left), [2, 202, 2, 2, 2]);
    assert_eq!(outside.execute("UPDATE saga_instance SET checksum = checksum + 1", []).unwrap(), 2);
    assert_eq!(bench.store.purge(time(i64::MAX), 10).await.unwrap().instances, 2);
    assert_eq!(tables.map(left), [0; 5]);
}

#[tokio::test]
async fn a_damaged_line_of_history_hides_no_other() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    let mut step = create(&address("a"));
    let row = driver.created(step.clone()).await;
    for _ in 0..3 {
        step = next(row, &step.instance.unwrap());
        driver.committed(step.clone()).await;
    }
    let flip = "UPDATE saga_history SET body = replace(body, 'event', 'evont') WHERE id = 2";
    assert_eq!(bench.outside().execute(flip, []).unwrap(), 1);
    let lines = bench.store.history(&address("a"), 10).await.unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| (line.seq, line.entry.kind.as_str())).collect();
    assert_eq!(kinds, [(1, "started"), (2, "unreadable"), (3, "applied"), (4, "applied")]);
}

#[tokio::test]
async fn an_unreadable_task_hides_no_other() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    for key in ["a", "b", "c"] {
        let mut step = create(&address(key));
        step.tasks = vec![TaskChange::Add(task(1, 0))];
        driver.created(step).await;
    }
    let flip = "UPDATE saga_instance SET pending = replace(pending, 'ready', 'dance') WHERE id = 2";
    assert_eq!(bench.outside().execute(flip, []).unwrap(), 1);
    let open = bench.store.open_tasks(None, 2).await.unwrap();
    assert_eq!(open.iter().map(|open| open.address.key.text()).collect::<Vec<_>>(), ["a", "c"]);
    let found = bench.store.load(&[address("b")]).await.unwrap();
    assert!(matches!(found[..], [Some(Loaded::Unreadable(_))]), "{found:?}");
}

#[tokio::test]
async fn missing_tables_are_damage_of_the_store_and_no_steps_fault() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    bench.outside().execute_batch("DROP TABLE saga_data").unwrap();
    let error = driver.try_commit(vec![large("a", Status::Running, 4_000)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }) && !error.is_temporary(), "{error:?}");
    let error = bench.store.load(&[address("a")]).await.unwrap_err();
    assert!(error.to_string().contains("saga_data"), "{error}");
}

#[tokio::test]
async fn the_log_stays_bounded_and_is_emptied_by_a_release() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    let wal = bench.dir.path().join("saga.db-wal");
    for n in 0..24 {
        driver.created(large(&format!("k{n}"), Status::Running, 8 << 20)).await;
        assert!(fs::metadata(&wal).unwrap().len() < 128 << 20);
    }
    let stats = bench.store.checkpoints();
    assert!(stats.done > 0 && stats.failed == 0, "{stats:?}");
    bench.store.release(&driver.lease).await.unwrap();
    assert_eq!(fs::metadata(&wal).unwrap().len(), 0);
}

#[tokio::test]
async fn a_release_does_not_wait_for_a_reader() {
    // The connection would wait for an hour.
    let bench = Bench::with(|options| options.busy_timeout(std::time::Duration::from_secs(3_600)));
    let mut driver = bench.driver().await;
    driver.created(large("before", Status::Running, 100)).await;
    let reader = bench.outside();
    reader.execute_batch("BEGIN").unwrap();
    let rows =
        || reader.query_row("SELECT count(*) FROM saga_instance", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(rows(), 1);
    driver.created(large("after", Status::Running, 100)).await;
    bench.store.release(&driver.lease).await.unwrap();
    assert_eq!(rows(), 1, "the reader held the log all the time");
    assert_ne!(fs::metadata(bench.dir.path().join("saga.db-wal")).unwrap().len(), 0);
}
