//! The commits of a move, each with the next number.

use std::iter::Peekable;
use std::sync::Arc;

use super::RelocationError;
use crate::store::{Batch, Committed, Lease, Step, StepOutcome, Store};

/// The bytes of payloads after which a commit ends.
const BYTES: usize = 4 << 20;

/// Takes rows until their bytes are enough for a commit. `None` without a row.
pub(super) fn portion<T>(
    rest: &mut Peekable<impl Iterator<Item = T>>,
    bytes_of: impl Fn(&T) -> usize,
) -> Option<Vec<T>> {
    rest.peek()?;
    let (mut portion, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(row) = rest.next()
    {
        bytes += bytes_of(&row);
        portion.push(row);
    }
    Some(portion)
}

/// A store with the lease of the move.
pub(super) struct Writer<'a> {
    pub(super) store: &'a dyn Store,
    lease: &'a Lease,
    batches: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(store: &'a dyn Store, lease: &'a Lease) -> Self {
        Self { store, lease, batches: 0 }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.lease.epoch
    }

    /// The last unclean epoch of the store.
    pub(super) fn unclean(&self) -> u64 {
        self.lease.unclean
    }

    /// How long attempts of the process with the last unclean epoch may still run.
    pub(super) fn linger(&self) -> std::time::Duration {
        self.lease.linger
    }

    /// Writes one step. `what` names it in an error.
    pub(super) async fn write(&mut self, what: &str, step: Step) -> Result<(), RelocationError> {
        self.commit(vec![step], |_| what.to_owned()).await.map(drop)
    }

    /// Writes the steps of several instances. Returns what was committed, in order.
    pub(super) async fn write_all(&mut self, steps: Vec<Step>) -> Result<Vec<Committed>, RelocationError> {
        let address = |step: &Step| step.instance.as_ref().map(|change| change.address.to_string());
        self.commit(steps, |step| address(step).unwrap_or_default()).await
    }

    /// Writes a batch. `name` names a refused step.
    async fn commit(
        &mut self,
        steps: Vec<Step>,
        name: impl Fn(&Step) -> String,
    ) -> Result<Vec<Committed>, RelocationError> {
        self.batches += 1;
        let batch = Arc::new(Batch { number: self.batches, steps });
        let outcomes = self.store.commit(self.lease, Arc::clone(&batch)).await?;
        let committed = |(outcome, step): (StepOutcome, &Step)| match outcome {
            StepOutcome::Committed(committed) => Ok(committed),
            StepOutcome::Refused(why) => Err(RelocationError::Refused { what: name(step), why }),
            other => Err(RelocationError::Refused { what: name(step), why: format!("{other:?}") }),
        };
        outcomes.into_iter().zip(&batch.steps).map(committed).collect()
    }
}
