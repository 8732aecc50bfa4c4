//! Fault injection for tests of the layers above a store.
//!
//! Owns: the faults, and the counts for assertions. Does not own: the effect of a commit (`model`).

use std::sync::PoisonError;
use std::time::Duration;

use super::MemoryStore;
use super::model::Model;
use crate::store::{Address, Batch, ShardId, StepOutcome, StoreError};

/// A fault injected into a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer is [`StoreError::Unavailable`], and nothing was written.
    BeforeCommit,
    /// The answer is [`StoreError::Unavailable`], although everything was written.
    AfterCommit,
    /// The answer is [`StoreError::Full`], and nothing was written.
    Full,
    /// The first step of the batch is [`StepOutcome::Refused`]. The other steps are committed.
    RefuseStep,
}

#[derive(Default)]
pub(super) struct Faults {
    next: Option<(usize, Fault)>,
    fired: usize,
    pub(super) lapsed: bool,
    pub(super) linger: Duration,
}

impl Fault {
    pub(super) fn strike(
        self,
        model: &mut Model,
        batch: &Batch,
        shard: ShardId,
    ) -> Result<Vec<StepOutcome>, StoreError> {
        let store = || "the memory store".to_owned();
        match self {
            Self::BeforeCommit => {
                Err(StoreError::Unavailable { store: store(), source: "failed before the commit".into() })
            }
            Self::AfterCommit => {
                model.commit(batch, shard);
                Err(StoreError::Unavailable { store: store(), source: "failed after the commit".into() })
            }
            Self::Full => Err(StoreError::Full { store: store(), source: "no room left".into() }),
            Self::RefuseStep => {
                let Some((_, rest)) = batch.steps.split_first() else { return Ok(Vec::new()) };
                let mut outcomes = vec![StepOutcome::Refused("refused by the test".to_owned())];
                outcomes.extend(model.commit(&Batch { number: batch.number, steps: rest.to_vec() }, shard));
                model.tenure(shard).last_batch = Some((batch.number, outcomes.clone()));
                Ok(outcomes)
            }
        }
    }
}

impl MemoryStore {
    /// Makes the next `n` commits fail with `fault`. The call replaces an earlier request.
    pub fn fail_next_commits(&self, n: usize, fault: Fault) {
        self.with_faults(|faults| faults.next = Some((n, fault)));
    }

    /// Makes the store answer that its lease may have been ended by another process, until the next call.
    pub fn set_lapsed(&self, lapsed: bool) {
        self.with_faults(|faults| faults.lapsed = lapsed);
    }

    /// Sets how long attempts of an unclean epoch may still run, for the leases from now on.
    pub fn set_linger(&self, linger: Duration) {
        self.with_faults(|faults| faults.linger = linger);
    }

    /// Returns the number of injected faults so far. A fault test uses this number to assert that its fault occurred.
    pub fn faults_fired(&self) -> usize {
        self.with_faults(|faults| faults.fired)
    }

    /// Returns the number of calls so far, except [`pulse`](crate::store::Store::pulse). An idle dispatcher makes no
    /// other calls.
    pub fn uses(&self) -> u64 {
        self.shared.uses.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Makes an instance unreadable, like a flipped bit in its row. Returns whether the instance exists.
    pub fn damage(&self, address: &Address) -> bool {
        let mut model = self.model();
        let there = model.find(address).is_some();
        if there {
            model.damaged.insert(address.clone());
        }
        there
    }

    pub(super) fn next_fault(&self) -> Option<Fault> {
        self.with_faults(|faults| {
            let (n, fault) = faults.next.filter(|(n, _)| *n > 0)?;
            faults.next = Some((n - 1, fault));
            faults.fired += 1;
            Some(fault)
        })
    }

    pub(super) fn with_faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::conformance::{Driver, address, check, create};

    async fn struck(fault: Fault) -> (Driver, Result<Vec<StepOutcome>, StoreError>, Vec<StepOutcome>) {
        let store = MemoryStore::new();
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        store.fail_next_commits(1, fault);
        let steps = vec![create(&address("a")), create(&address("b"))];
        let first = driver.try_commit(steps.clone()).await;
        assert_eq!(store.faults_fired(), 1);
        let second = driver.again(steps).await.unwrap();
        assert_eq!(store.faults_fired(), 1);
        (driver, first, second)
    }

    #[test]
    fn a_commit_that_failed_is_written_once_when_sent_again() {
        check(MemoryStore::new(), async |_| {
            for fault in [Fault::BeforeCommit, Fault::AfterCommit, Fault::Full] {
                let (driver, first, second) = struck(fault).await;
                assert!(first.is_err_and(|error| error.is_temporary()));
                assert!(
                    matches!(second[..], [StepOutcome::Committed(_), StepOutcome::Committed(_)]),
                    "{second:?}"
                );
                assert_eq!(driver.store.history(&address("a"), 9).await.unwrap().len(), 1);
            }
        });
    }

    #[test]
    fn a_refused_step_leaves_the_others() {
        check(MemoryStore::new(), async |_| {
            let (driver, first, second) = struck(Fault::RefuseStep).await;
            assert!(matches!(second[..], [StepOutcome::Refused(_), StepOutcome::Committed(_)]), "{second:?}");
            assert_eq!(first.unwrap(), second);
            let found = driver.store.load(&[address("a"), address("b")]).await.unwrap();
            assert!(found[0].is_none() && found[1].is_some());
        });
    }
}
