//! The commits of a move, each with the next number.

use std::sync::Arc;

use super::RelocationError;
use crate::store::{Batch, Committed, Lease, Step, StepOutcome, Store};

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
        let outcomes = self.commit(vec![step]).await?;
        match outcomes.into_iter().next() {
            Some(StepOutcome::Committed(_)) => Ok(()),
            other => Err(refused(what, other.as_ref())),
        }
    }

    /// Writes the steps of several instances. Returns what was committed, in order.
    pub(super) async fn write_all(&mut self, steps: Vec<Step>) -> Result<Vec<Committed>, RelocationError> {
        let names: Vec<String> = steps
            .iter()
            .map(|step| step.instance.as_ref().map(|change| change.address.to_string()).unwrap_or_default())
            .collect();
        let outcomes = self.commit(steps).await?;
        let committed = |(outcome, name): (StepOutcome, &String)| match outcome {
            StepOutcome::Committed(committed) => Ok(committed),
            other => Err(refused(name, Some(&other))),
        };
        outcomes.into_iter().zip(&names).map(committed).collect()
    }

    async fn commit(&mut self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, RelocationError> {
        self.batches += 1;
        let batch = Arc::new(Batch { number: self.batches, steps });
        Ok(self.store.commit(self.lease, batch).await?)
    }
}

fn refused(what: &str, outcome: Option<&StepOutcome>) -> RelocationError {
    let why = match outcome {
        Some(StepOutcome::Refused(why)) => why.clone(),
        other => format!("{other:?}"),
    };
    RelocationError::Refused { what: what.to_owned(), why }
}
