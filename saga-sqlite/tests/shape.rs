//! What a step writes: the cost of a step is the cost of what it touches.

mod support;

use std::fs;
use std::sync::Arc;

use saga_core::message::Payload;
use saga_core::store::conformance::{Driver, address, create, next, obligation, payload, task, timer};
use saga_core::store::{
    InstanceChange, ObligationChange, RowId, Snapshot, Step, Store, TaskChange, TaskProgress, TimerChange,
};
use saga_sqlite::SqliteStore;

use support::Dir;

struct Bench {
    dir: Dir,
    store: SqliteStore,
    driver: Driver,
}

impl Bench {
    async fn new() -> Self {
        let dir = Dir::quick();
        let store = SqliteStore::open(dir.db()).unwrap();
        let driver = Driver::lease(Arc::new(store.clone())).await;
        Self { dir, store, driver }
    }

    /// Returns the bytes that a step adds to the log.
    async fn written(&mut self, step: Step) -> u64 {
        let log = self.dir.file("saga.db-wal");
        let before = fs::metadata(&log).unwrap().len();
        self.driver.committed(step).await;
        fs::metadata(&log).unwrap().len() - before
    }

    /// Creates an instance with so many items of each kind.
    async fn instance(&mut self, key: &str, items: u32) -> (RowId, InstanceChange) {
        let mut step = create(&address(key));
        step.tasks = (0..items).map(|ord| TaskChange::Add(task(1, ord))).collect();
        step.obligations = (0..items).map(|ord| ObligationChange::Put(obligation(1, ord))).collect();
        step.timers = (0..items).map(|n| TimerChange::Set(timer(&format!("timer-{n}"), n.into()))).collect();
        let row = self.driver.created(step.clone()).await;
        (row, step.instance.unwrap())
    }

    async fn snapshot(&mut self, key: &str) -> Snapshot {
        self.driver.snapshot(&address(key)).await
    }
}

/// A step that ends one item of each kind and begins another one.
fn one_of_each(row: RowId, before: &InstanceChange) -> Step {
    let mut step = next(row, before);
    let seq = before.seq + 1;
    step.tasks = vec![
        TaskChange::Finish(task(1, 3).id),
        TaskChange::Add(task(seq, 0)),
        TaskChange::Progress(task(1, 4).id, TaskProgress { attempts: 7, ..task(1, 4).progress }),
    ];
    step.obligations =
        vec![ObligationChange::Drop(obligation(1, 3).id), ObligationChange::Put(obligation(seq, 0))];
    step.timers = vec![TimerChange::Clear("timer-3".into()), TimerChange::Set(timer("another", 5))];
    step
}

#[tokio::test]
async fn a_step_writes_as_much_for_ten_thousand_items_as_for_a_hundred() {
    let mut bench = Bench::new().await;
    let mut written = Vec::new();
    for (key, items) in [("few", 5), ("hundred", 100), ("many", 10_000)] {
        let (row, instance) = bench.instance(key, items).await;
        written.push(bench.written(one_of_each(row, &instance)).await);
        let after = bench.snapshot(key).await;
        let count = items as usize;
        assert_eq!(
            [after.tasks.len(), after.obligations.len(), after.timers.len()],
            [count, count, count],
            "{key}"
        );
        assert_eq!(after.tasks[3].progress.attempts, 7);
    }
    let pages: Vec<u64> = written.iter().map(|bytes| bytes / 4_120).collect();
    assert!(pages[0] <= 4, "in one row: {pages:?} pages");
    assert!(pages[2] <= pages[1] + 6, "deeper trees, and nothing else: {pages:?} pages");
}

#[tokio::test]
async fn items_return_to_the_row_when_the_last_one_is_removed() {
    let mut bench = Bench::new().await;
    let (row, instance) = bench.instance("a", 100).await;
    assert_eq!(bench.driver.snapshot(&address("a")).await.tasks.len(), 100);
    let in_rows = |bench: &Bench| {
        let db = support::application(&bench.dir.db());
        db.query_row("SELECT count(*) FROM saga_item", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(in_rows(&bench), 300);
    let mut step = next(row, &instance);
    step.tasks = (0..100).map(|ord| TaskChange::Finish(task(1, ord).id)).collect();
    step.obligations = (0..100).map(|ord| ObligationChange::Drop(obligation(1, ord).id)).collect();
    step.timers = (0..100).map(|n| TimerChange::Clear(format!("timer-{n}").into())).collect();
    bench.driver.committed(step.clone()).await;
    assert_eq!(in_rows(&bench), 0);
    assert!(bench.store.open_tasks(None, 10).await.unwrap().is_empty());
    let mut step = next(row, step.instance.as_ref().unwrap());
    step.tasks = vec![TaskChange::Add(task(3, 0))];
    bench.driver.committed(step).await;
    assert_eq!((in_rows(&bench), bench.snapshot("a").await.tasks), (0, vec![task(3, 0)]));
    assert_eq!(bench.store.open_tasks(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn large_data_is_written_only_when_it_changes() {
    let mut bench = Bench::new().await;
    let mut step = create(&address("a"));
    step.instance.as_mut().unwrap().data = payload(&"x".repeat(500_000));
    let row = bench.driver.created(step.clone()).await;
    let mut same = next(row, step.instance.as_ref().unwrap());
    same.instance.as_mut().unwrap().data = payload(&"x".repeat(500_000));
    assert!(bench.written(same.clone()).await < 20_000);
    let mut other = next(row, same.instance.as_ref().unwrap());
    other.instance.as_mut().unwrap().data = payload(&"y".repeat(500_000));
    assert!(bench.written(other.clone()).await > 400_000);
    assert_eq!(bench.snapshot("a").await.instance, *other.instance.as_ref().unwrap());
    let small = next(row, other.instance.as_ref().unwrap());
    bench.driver.committed(small.clone()).await;
    assert_eq!(bench.snapshot("a").await.instance, small.instance.unwrap());
    let db = support::application(&bench.dir.db());
    let left = db.query_row("SELECT count(*) FROM saga_data", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_line_end_in_a_payload_makes_rows_of_the_items() {
    let mut bench = Bench::new().await;
    let (row, _) = bench.instance("a", 2).await;
    let lines = || Payload::from("[1,\n\"progress\":\n2]".replace("\"progress\":", "3,").as_str());
    let progress = TaskProgress { saved: Some(lines()), ..task(1, 0).progress };
    let step = Step {
        row: Some(row),
        tasks: vec![TaskChange::Progress(task(1, 0).id, progress.clone())],
        ..Step::default()
    };
    bench.driver.committed(step).await;
    let mut added = task(1, 9);
    added.command.payload = lines();
    let step = Step { row: Some(row), tasks: vec![TaskChange::Add(added.clone())], ..Step::default() };
    bench.driver.committed(step).await;
    let after = bench.snapshot("a").await;
    assert_eq!(after.tasks[0].progress, progress);
    assert_eq!(after.tasks[2], added);
    assert_eq!((after.timers.len(), after.obligations.len()), (2, 2));
    assert_eq!(bench.store.open_tasks(None, 10).await.unwrap().len(), 3);
}
