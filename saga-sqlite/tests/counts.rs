//! The counts of instances are those of the rows, whatever happened to the rows.

mod support;

use std::sync::Arc;

use saga_core::message::Key;
use saga_core::store::conformance::{Driver, create, next, payload, time};
use saga_core::store::{
    Address, Inspect, InstanceChange, InstanceCount, Maintain, NameOf, RetiredName, RowId, Status,
};
use saga_sqlite::{SqliteStore, rusqlite};

use support::Dir;

const SAGAS: [&str; 2] = ["order", "invoice"];
const STATES: [&str; 3] = ["paying", "a \"quoted\" state", "done"];

fn address(saga: &str, key: usize) -> Address {
    Address::new(saga.to_owned(), Key::new(format!("{saga}-{key}")).unwrap())
}

fn rename(was: &str, name: &str) -> [RetiredName; 1] {
    [RetiredName { what: NameOf::Saga, saga: String::new(), was: was.to_owned(), name: name.to_owned() }]
}

/// Counts the rows themselves.
fn by_row(dir: &Dir) -> Vec<InstanceCount> {
    let db = rusqlite::Connection::open(dir.db()).unwrap();
    let sql =
        "SELECT saga, state, status, parked IS NOT NULL, count(*) FROM saga_v_instance GROUP BY 1, 2, 3, 4";
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let status: Option<String> = row.get(2)?;
        Ok(InstanceCount {
            saga: row.get(0)?,
            state: row.get(1)?,
            status: status.as_deref().and_then(Status::parse),
            parked: row.get(3)?,
            instances: row.get(4)?,
        })
    });
    let mut counts: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
    counts.sort();
    counts
}

/// A store that is filled, with the instances that have not ended.
struct Shop {
    dir: Dir,
    store: SqliteStore,
    driver: Driver,
    live: Vec<(RowId, InstanceChange)>,
    steps: usize,
}

impl Shop {
    async fn open() -> Self {
        let dir = Dir::quick();
        let store = SqliteStore::open(dir.db()).unwrap();
        let driver = Driver::lease(Arc::new(store.clone())).await;
        Self { dir, store, driver, live: Vec::new(), steps: 0 }
    }

    /// Commits so many steps. Every third one starts an instance. The others move one on, park it or end it.
    async fn work(&mut self, steps: usize) {
        for _ in 0..steps {
            self.steps += 1;
            let n = self.steps;
            let mut step = if n % 3 == 1 {
                create(&address(SAGAS[n % 2], n))
            } else {
                let at = (n * 7) % self.live.len();
                let (row, before) = self.live.swap_remove(at);
                next(row, &before)
            };
            let change = step.instance.as_mut().unwrap();
            change.state = STATES[n % 2].into();
            change.parked = n.is_multiple_of(5).then(|| payload("why"));
            if n.is_multiple_of(6) {
                (change.state, change.status, change.parked) = (STATES[2].into(), Status::Completed, None);
            }
            // Some steps write no line of history, and some write several.
            step.history = vec![step.history[0].clone(); n % 4];
            let (change, row) = (change.clone(), step.row);
            let committed = self.driver.committed(step).await;
            if !change.status.is_over() {
                self.live.push((row.or(committed.row).unwrap(), change));
            }
        }
    }

    async fn check(&self, after: &str) {
        let counts = self.store.counts().await.unwrap();
        assert!(!counts.is_empty());
        assert_eq!(counts, by_row(&self.dir), "after {after}");
    }
}

#[tokio::test]
async fn counts_are_those_of_the_rows_through_thousands_of_lines_purges_renames_and_leases() {
    let mut shop = Shop::open().await;
    for round in 0..3 {
        shop.work(500).await;
        shop.check("steps").await;
        assert!(shop.store.purge(time(i64::MAX), 40).await.unwrap().instances > 0);
        shop.check("a purge").await;
        shop.work(10).await;
        shop.check("steps after a purge").await;
        shop.driver = Driver::lease(Arc::new(shop.store.clone())).await;
        shop.check("a lease").await;
        shop.work(10).await;
        shop.check("steps of a lease").await;
        if round == 1 {
            shop.work(6).await;
            assert!(shop.store.rename(&rename("invoice", "order")).await.unwrap()[0] > 0);
            for (_, change) in &mut shop.live {
                change.address.saga = "order".into();
            }
            shop.check("a rename to a saga with instances").await;
        }
    }
    let db = rusqlite::Connection::open(shop.dir.db()).unwrap();
    let counted: i64 = db.query_row("SELECT counted FROM saga_meta", [], |row| row.get(0)).unwrap();
    assert!(counted > 2_000, "lines were taken in: {counted}");
}

#[tokio::test]
async fn a_count_reads_no_instance_and_few_lines() {
    let mut shop = Shop::open().await;
    shop.work(3_000).await;
    let db = rusqlite::Connection::open(shop.dir.db()).unwrap();
    let newest: i64 = db
        .query_row("SELECT max(id) - (SELECT counted FROM saga_meta) FROM saga_history", [], |row| row.get(0))
        .unwrap();
    assert!((0..1_010).contains(&newest), "{newest} lines");
}

#[tokio::test]
async fn large_lines_are_taken_in_early() {
    let mut shop = Shop::open().await;
    for n in 0..8 {
        let mut step = create(&address("order", n));
        step.history[0].payload = Some(payload(&"x".repeat(300_000)));
        shop.driver.created(step).await;
    }
    let db = rusqlite::Connection::open(shop.dir.db()).unwrap();
    let counted: i64 = db.query_row("SELECT counted FROM saga_meta", [], |row| row.get(0)).unwrap();
    assert_eq!(counted, 8, "two megabytes in eight lines");
    shop.check("large lines").await;
}

#[tokio::test]
async fn damaged_counts_stop_nothing() {
    let mut shop = Shop::open().await;
    shop.work(30).await;
    drop(shop.driver);
    drop(shop.store);
    let db = support::application(&shop.dir.db());
    db.execute_batch(
        "UPDATE saga_count SET state = CAST(x'ff' AS TEXT), instances = -7 WHERE id = 1;
         UPDATE saga_count SET instances = 9223372036854775807 WHERE id = 2;
         UPDATE saga_meta SET counted = 9223372036854775807;
         UPDATE saga_history SET moved = -1 WHERE id = 5; UPDATE saga_history SET moved = 1 << 62 WHERE id = 9;",
    )
    .unwrap();
    let store = SqliteStore::open(shop.dir.db()).unwrap();
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let (row, before) = shop.live.pop().unwrap();
    driver.committed(next(row, &before)).await;
    assert!(store.purge(time(i64::MAX), 40).await.unwrap().instances > 0);
    assert!(!store.counts().await.unwrap().is_empty());
}
