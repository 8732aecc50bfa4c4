//! What a store answers to a step.

use super::{DeliveryId, InboxId, RowId};
use crate::message::Key;

/// What became of one step of a batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is durable.
    Committed(Committed),
    /// The very same step (instance, `seq` and step id) was durable already; nothing was written again.
    Repeated,
    /// Nothing was written: the row is at another `seq` than the one before the step's, or has gone, or there already
    /// is an instance with this address. The engine reloads.
    Conflict,
    /// Nothing was written: a deduplication record was there already, with the same content, or something that the step uses up
    /// ([`Step::consumed`](super::Step::consumed)) has been used up before.
    Duplicate,
    /// Nothing was written: a deduplication record was there already, with other content.
    IdConflict,
    /// Nothing was written: another instance of the saga holds an alias that the step claims.
    AliasTaken {
        /// The alias.
        alias: Key,
        /// The key of the instance that holds it.
        by: Key,
    },
    /// Nothing was written: the store refuses this step and would refuse it again (rule R31).
    Refused(String),
}

/// The numbers a store gave to what a step added, in the order of the step's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The row of the instance, when the step created it.
    pub row: Option<RowId>,
    /// One for each of [`Step::mail`](super::Step::mail).
    pub mail: Vec<InboxId>,
    /// One for each [`DeliveryChange::Add`](super::DeliveryChange::Add).
    pub deliveries: Vec<DeliveryId>,
}
