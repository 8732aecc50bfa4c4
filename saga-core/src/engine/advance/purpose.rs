//! The purpose of each step in a batch: who is told when the store has answered.

use crate::engine::intake::{Claim, Operated};
use crate::engine::io::Ticket;
use crate::machine::DeclinedReason;
use crate::store::{Address, AuditEntry, DeliveryId, Step, TaskId};

/// The purpose of a step in a batch.
#[derive(Debug)]
pub(in crate::engine) enum Purpose {
    /// The step in flight of the instance.
    Instance(Address),
    /// An event that is recorded for its consumers instead of being applied at once.
    Recorded { ticket: Option<Ticket>, consumers: Vec<Address>, _claim: Option<Claim> },
    /// The start record of a task, with its lane. The task starts when the record is durable.
    TaskStart(Address, TaskId, usize),
    /// The start record of a delivery.
    DeliveryStart(DeliveryId),
    /// Task progress of the instance. No attempt waits for the commit.
    Progress(Address),
    /// Progress of a task. The next attempt waits for the commit.
    TaskDelay(Address, TaskId),
    /// Progress of a delivery. The next attempt waits for the commit.
    DeliveryDelay(DeliveryId),
    /// Data that a running attempt saved. `address` is `None` for a delivery.
    Saved { ticket: Ticket, address: Option<Address> },
    /// Changes that need no follow-up after the commit.
    Housekeeping,
    /// A row of a retired consumer becomes a dead letter.
    Buried,
    /// The end of a delivery.
    DeliveryEnd(DeliveryId),
    /// A verb on a dead letter, a saga or a handler. `entry` is its entry in the audit, as if it were applied.
    Operated { operated: Box<Operated>, entry: Box<AuditEntry>, declined: Option<DeclinedReason> },
    /// The entry in the audit of a declined verb on an instance.
    Declined { ticket: Ticket, why: DeclinedReason },
}

/// One step that waits for the next batch.
pub(in crate::engine) struct Queued {
    pub(in crate::engine) purpose: Purpose,
    pub(in crate::engine) step: Box<Step>,
}
