//! The answer of a store to a step.

use super::{DeliveryId, InboxId, RowId};
use crate::message::{Alias, Key};

/// The outcome of one step of a batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StepOutcome {
    /// The step is durable.
    Committed(Committed),
    /// The same step was durable already. Instance, `seq` and step id are equal. The store wrote nothing.
    Repeated,
    /// The step does not fit the stored row. The store wrote nothing, and the engine reloads the instance.
    ///
    /// The row has another `seq` than expected, the row is missing, or an instance with this address exists already.
    Conflict,
    /// A deduplication record with the same content exists, or an inbox row was used before
    /// ([`Step::consumed`](super::Step::consumed)). The store wrote nothing.
    Duplicate,
    /// A deduplication record with other content exists. The store wrote nothing.
    IdConflict,
    /// Another instance of the saga holds an alias that the step claims. The store wrote nothing.
    AliasTaken {
        /// The alias.
        alias: Alias,
        /// The key of the instance that holds the alias.
        by: Key,
    },
    /// The store refuses this step, and would refuse a repetition (rule [R31](crate::rules#r31)). The store wrote
    /// nothing. The text is the reason.
    Refused(String),
}

/// The row numbers that a store assigned to the new rows of a step, in the order of the lists of the step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The row of the instance, if the step created the instance.
    pub row: Option<RowId>,
    /// One number for each row in [`Step::mail`](super::Step::mail).
    pub mail: Vec<InboxId>,
    /// One number for each [`DeliveryChange::Add`](super::DeliveryChange::Add).
    pub deliveries: Vec<DeliveryId>,
}
