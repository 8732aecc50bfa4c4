//! Laws of the lease.

use super::Subject;
use super::fixtures::{Driver, address, change, create, next, ok, time};
use crate::store::StoreError;

/// An empty store has never had a running handler.
pub async fn the_first_lease_is_clean<S: Subject>(subject: &S) {
    assert_eq!(Driver::start(subject).await.lease.unclean, 0);
}

/// `release` records that no handler was running.
pub async fn a_release_makes_the_next_lease_clean<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    ok(driver.store.release(&driver.lease).await);
    assert_eq!(Driver::lease(driver.store).await.lease.unclean, 0);
}

/// Without a release, handlers may have been running. A further lease does not change this.
pub async fn a_lease_that_was_not_released_is_unclean<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    for _ in 0..2 {
        let next = ok(driver.store.lease("the next one").await);
        assert_eq!(next.unclean, driver.lease.epoch);
        driver.lease = next;
    }
}

/// A task of an unclean epoch stays suspect until its next write. Later releases do not change this.
pub async fn a_release_does_not_clear_what_was_unclean_before<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    let crashed = driver.lease.epoch;
    for _ in 0..2 {
        let next = ok(driver.store.lease("the next one").await);
        assert_eq!(next.unclean, crashed);
        assert!(next.is_suspect(crashed) && !next.is_suspect(next.epoch));
        ok(driver.store.release(&next).await);
    }
}

/// Every lease has a higher epoch, with or without a release before it.
pub async fn epochs_rise<S: Subject>(subject: &S) {
    let store = subject.open();
    let mut last = ok(store.lease("a").await);
    for release in [true, false, true] {
        if release {
            ok(store.release(&last).await);
        }
        let lease = ok(store.lease("b").await);
        assert!(lease.epoch > last.epoch);
        last = lease;
    }
}

/// A holder of an older epoch can neither commit nor release.
pub async fn a_newer_epoch_fences_the_older_one<S: Subject>(subject: &S) {
    let mut old = Driver::start(subject).await;
    let address = address("a");
    let first = create(&address);
    let row = old.created(first.clone()).await;
    let mut new = Driver::lease(old.store.clone()).await;
    let second = next(row, &change(&first));
    let error = old.try_commit(vec![second.clone()]).await;
    assert!(matches!(error, Err(StoreError::Fenced { epoch }) if epoch == old.lease.epoch), "{error:?}");
    assert!(matches!(old.store.release(&old.lease).await, Err(StoreError::Fenced { .. })));
    assert_eq!(new.snapshot(&address).await.instance.seq, 1);
    new.committed(second).await;
}

/// A release ends the lease.
pub async fn a_released_lease_commits_nothing<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    ok(driver.store.release(&driver.lease).await);
    let error = driver.try_commit(vec![create(&address("a"))]).await;
    assert!(matches!(error, Err(StoreError::Fenced { .. })), "{error:?}");
}

/// Maintenance needs the lease.
pub async fn purging_needs_the_lease<S: Subject>(subject: &S) {
    let store = subject.open();
    assert!(matches!(store.purge(time(0), 1).await, Err(StoreError::Fenced { .. })));
}

/// The next lease holder sees every answered commit.
pub async fn a_takeover_sees_every_commit<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let address = address("a");
    let mut step = create(&address);
    let row = driver.created(step.clone()).await;
    for _ in 0..5 {
        step = next(row, &change(&step));
        driver.committed(step.clone()).await;
    }
    drop(driver);
    let driver = Driver::start(subject).await;
    assert!(driver.lease.is_suspect(1));
    assert_eq!(driver.snapshot(&address).await.instance, change(&step));
}
