//! Tests of the writer with injected COMMIT errors and panics (rules R30 and R32).

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::Connection;
use saga_core::store::conformance::{Driver, address, create, mail, next};
use saga_core::store::{
    InboxId, Inspect, Lease, Maintain, NameOf, RetiredName, Step, StepOutcome, Store, StoreError,
};

use crate::{Durability, SqliteStore};

/// The faults of the next commits.
#[derive(Default)]
pub(crate) struct Faults {
    commits: VecDeque<CommitFault>,
    panic: bool,
    fired: usize,
}

/// A COMMIT that returns an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum CommitFault {
    /// The COMMIT was not run.
    Before,
    /// The COMMIT was run.
    After,
    /// The COMMIT was run and succeeded. The check of the file after it fails.
    Check,
}

impl Faults {
    pub(super) fn next_commit(&mut self) -> Option<CommitFault> {
        let fault = self.commits.pop_front();
        self.fired += usize::from(fault.is_some());
        fault
    }

    pub(super) fn panic_if_asked(&mut self) {
        if std::mem::take(&mut self.panic) {
            self.fired += 1;
            panic!("asked for by the test");
        }
    }
}

pub(super) fn around(
    fault: Option<CommitFault>,
    commit: impl FnOnce() -> rusqlite::Result<usize>,
) -> rusqlite::Result<usize> {
    let error = || {
        let code = rusqlite::ffi::SQLITE_IOERR_FSYNC;
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    };
    match fault {
        None | Some(CommitFault::Check) => commit(),
        Some(CommitFault::Before) => error(),
        Some(CommitFault::After) => commit().and_then(|_| error()),
    }
}

pub(super) fn checked(fault: Option<CommitFault>, checked: Result<(), StoreError>) -> Result<(), StoreError> {
    match fault {
        Some(CommitFault::Check) => Err(crate::error::unavailable("saga.db", "asked for by the test")),
        _ => checked,
    }
}

struct Bench {
    store: SqliteStore,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteStore::options().durability(Durability::Relaxed);
        Self { store: options.open(dir.path().join("saga.db")).unwrap(), dir }
    }

    async fn driver(&self) -> Driver {
        Driver::lease(Arc::new(self.store.clone())).await
    }

    async fn arm(&self, change: impl FnOnce(&mut Faults) + Send + 'static) {
        self.store
            .shared
            .writer
            .call(|writer| {
                change(&mut writer.faults);
                Ok(())
            })
            .await
            .unwrap();
    }

    async fn fired(&self) -> usize {
        self.store.shared.writer.call(|writer| Ok(writer.faults.fired)).await.unwrap()
    }

    /// Returns the epoch in the file.
    fn epoch(&self) -> u64 {
        self.outside().query_row("SELECT epoch FROM saga_meta", [], |row| row.get(0)).unwrap()
    }

    fn outside(&self) -> Connection {
        Connection::open(self.dir.path().join("saga.db")).unwrap()
    }
}

async fn everything(store: &dyn Store) -> (usize, usize) {
    let inbox = store.inbox(InboxId(0), 100).await.unwrap().len();
    (inbox, store.history(&address("a"), 100).await.unwrap().len())
}

/// Returns the number of instances according to the counts.
async fn counted(store: &SqliteStore) -> u64 {
    store.counts().await.unwrap().iter().map(|count| count.instances).sum()
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
}

/// Sends a batch with a failed COMMIT again until its answer, with these faults in order.
async fn in_doubt(faults: &[CommitFault]) -> (Bench, Driver) {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    let before = bench.epoch();
    let mut step = create(&address("a"));
    step.mail = vec![mail(&address("a"), "m")];
    let queue = faults.iter().copied().collect();
    bench.arm(|of| of.commits = queue).await;
    unavailable(driver.try_commit(vec![step.clone()]).await);
    for _ in 1..faults.len() {
        unavailable(driver.again(vec![step.clone()]).await);
    }
    let outcomes = driver.again(vec![step.clone()]).await.unwrap();
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
    assert_eq!(bench.fired().await, faults.len());
    assert!(bench.epoch() > before, "a new epoch was committed before anything was believed");
    assert_eq!(everything(&bench.store).await, (1, 1));
    assert_eq!(counted(&bench.store).await, 1);
    assert_eq!(driver.again(vec![step.clone()]).await.unwrap(), outcomes);

    // The presented lease continues, and the answered numbers are valid.
    let StepOutcome::Committed(committed) = &outcomes[0] else { unreachable!("asserted above") };
    driver.committed(next(committed.row.unwrap(), &step.instance.unwrap())).await;
    assert_eq!(everything(&bench.store).await, (1, 2));
    assert_eq!(bench.store.inbox(InboxId(0), 1).await.unwrap()[0].0, committed.mail[0]);
    (bench, driver)
}

#[tokio::test]
async fn r30_a_batch_whose_commit_failed_and_did_not_land_is_written_when_sent_again() {
    in_doubt(&[CommitFault::Before]).await;
}

#[tokio::test]
async fn r30_a_batch_whose_commit_failed_but_landed_is_answered_and_not_written_again() {
    in_doubt(&[CommitFault::After]).await;
}

#[tokio::test]
async fn r30_a_batch_is_not_written_again_when_only_the_check_of_the_file_failed() {
    in_doubt(&[CommitFault::Check]).await;
}

#[tokio::test]
async fn r30_a_batch_that_changes_no_instance_is_decided_by_its_number() {
    use CommitFault::{After, Before, Check};
    for faults in [vec![Before], vec![After], vec![Check], vec![After, Before], vec![Before, After]] {
        let bench = Bench::new();
        let mut driver = bench.driver().await;
        driver.created(create(&address("a"))).await;
        let step = Step { mail: vec![mail(&address("a"), "m")], ..Step::default() };
        let (count, first) = (faults.len(), faults.clone());
        bench.arm(|of| of.commits = first.into()).await;
        unavailable(driver.try_commit(vec![step.clone()]).await);
        for _ in 1..count {
            unavailable(driver.again(vec![step.clone()]).await);
        }
        let outcomes = driver.again(vec![step.clone()]).await.unwrap();
        assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
        assert_eq!(bench.fired().await, count);
        assert_eq!(everything(&bench.store).await, (1, 1), "{faults:?}");
    }
}

#[tokio::test]
async fn r30_the_renewal_of_the_epoch_may_fail_as_well() {
    use CommitFault::{After, Before};
    for faults in [[After, After], [After, Before], [Before, After], [Before, Before]] {
        in_doubt(&faults).await;
    }
}

#[tokio::test]
async fn r30_a_takeover_while_in_doubt_fences() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    bench.arm(|faults| faults.commits.push_back(CommitFault::Before)).await;
    unavailable(driver.try_commit(vec![create(&address("a"))]).await);
    bench.outside().execute("UPDATE saga_meta SET epoch = epoch + 1, holder = 'somebody'", []).unwrap();
    for _ in 0..2 {
        let result = driver.again(vec![create(&address("a"))]).await;
        assert!(
            matches!(result, Err(StoreError::Fenced { epoch }) if epoch == driver.lease.epoch),
            "{result:?}"
        );
    }
    assert_eq!(bench.fired().await, 1);
    assert_eq!(everything(&bench.store).await, (0, 0));
}

#[tokio::test]
async fn a_takeover_behind_our_back_fences_the_batch_under_way() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    bench.outside().execute("UPDATE saga_meta SET epoch = epoch + 1, holder = 'somebody'", []).unwrap();
    let result = driver.try_commit(vec![create(&address("a"))]).await;
    assert!(matches!(result, Err(StoreError::Fenced { .. })), "{result:?}");
    assert!(matches!(bench.store.release(&driver.lease).await, Err(StoreError::Fenced { .. })));
    assert_eq!(everything(&bench.store).await, (0, 0));
}

#[tokio::test]
async fn a_panic_of_the_writer_loses_the_batch_and_nothing_else() {
    let bench = Bench::new();
    let mut driver = bench.driver().await;
    bench.arm(|faults| faults.panic = true).await;
    unavailable(driver.try_commit(vec![create(&address("a"))]).await);
    assert_eq!(bench.fired().await, 1);
    assert_eq!(everything(&bench.store).await, (0, 0));
    let outcomes = driver.again(vec![create(&address("a"))]).await.unwrap();
    assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
    assert_eq!(everything(&bench.store).await, (0, 1));
}

#[tokio::test]
async fn the_commit_of_a_lease_a_delivery_or_a_release_may_fail() {
    let bench = Bench::new();
    for fault in [CommitFault::Before, CommitFault::After] {
        let before = bench.fired().await;
        let arm = || bench.arm(move |faults| faults.commits.push_back(fault));
        arm().await;
        unavailable(bench.store.lease("first").await);
        let lease: Lease = bench.store.lease("second").await.unwrap();
        arm().await;
        unavailable(bench.store.deliver(vec![mail(&address("a"), "m")]).await);
        bench.store.deliver(vec![mail(&address("a"), "m")]).await.unwrap();
        arm().await;
        unavailable(bench.store.release(&lease).await);
        bench.store.release(&lease).await.unwrap();
        assert_eq!(bench.fired().await, before + 3);
        let last = bench.store.lease("third").await.unwrap();
        assert!(!last.is_suspect(lease.epoch) && last.epoch > lease.epoch);
        bench.store.release(&last).await.unwrap();
    }
    // Without the first COMMIT, the repeated delivery gives one row. With the first COMMIT, there are two rows.
    assert_eq!(bench.store.inbox(InboxId(0), 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn r34_a_name_is_retired_in_the_commit_that_renames() {
    for (fault, landed) in [(CommitFault::Before, 0), (CommitFault::After, 1)] {
        let bench = Bench::new();
        let mut driver = bench.driver().await;
        driver.created(create(&address("a"))).await;
        let (was, name) = ("order".to_owned(), "purchase".to_owned());
        let names = [RetiredName { what: NameOf::Saga, saga: String::new(), was, name }];
        let there = || {
            let sql = "SELECT (SELECT count(*) FROM saga_v_instance WHERE saga = 'purchase'),
                (SELECT count(*) FROM saga_retired)";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, usize>(0)?, row.get::<_, usize>(1)?));
            bench.outside().query_row(sql, [], read).unwrap()
        };
        bench.arm(move |faults| faults.commits.push_back(fault)).await;
        unavailable(bench.store.rename(&names).await);
        assert_eq!(bench.fired().await, 1);
        assert_eq!(there(), (landed, landed));
        assert_eq!(bench.store.rename(&names).await.unwrap(), [1 - landed], "what is left of it");
        assert_eq!(there(), (1, 1));
    }
}
