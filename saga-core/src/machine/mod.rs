//! The pure machine: decides the effect of one input on one instance.
//!
//! Owns: the rules for decisions, obligations, undos and operators' verbs.
//! Does not own: queues, attempts of handlers, stores, clocks. It uses no tokio, no SQL and no I/O. The `engine` calls
//! it, and the test kit calls it with a virtual clock.

mod alias;
mod apply;
mod child;
mod context;
mod declined;
mod family;
mod fired;
#[doc(hidden)]
pub mod generated;
mod input;
mod instance;
mod join;
mod live;
mod open_work;
mod operator;
mod outbox;
mod position;
mod preview;
mod record;
mod report;
mod row;
mod saga;
mod start;
mod task_set;
mod unwind;
mod verbs;
mod work;

pub use crate::step::{ParkReason, Parked, ParkedOver};
pub use context::Context;
pub use declined::DeclinedReason;
pub use family::{AllFinished, Child, ChildEnd, ChildParked, Finished};
pub use operator::{Operator, OperatorVerb, Resolved};
pub use outbox::{Outbox, encode_command};
pub use position::Position;
pub use preview::Preview;
pub(crate) use preview::preview;
pub use saga::{Cause, EventOf, Saga, Undone, Wait};

pub(crate) use alias::RejectedClaim;
#[cfg(any(test, feature = "testing"))]
pub(crate) use family::{ChildNews, all_finished};
pub(crate) use family::{Outgoing, REPORT, StartRecord};
pub(crate) use work::PURGED;

impl crate::step::TimerRow {
    /// Returns whether the machine has set the timer for itself: for a complete set of `when_all`, or for the end of all
    /// children. No table has such a timer, and no operator moves it.
    pub fn is_internal(&self) -> bool {
        is_own_timer(&self.name)
    }
}

/// True for a timer of the machine itself, which no table mentions.
pub(crate) fn is_own_timer(name: &str) -> bool {
    name == join::JOIN || family::all_finished(name).is_some()
}

#[cfg(any(test, feature = "testing"))]
pub(crate) use input::Resolution;
pub(crate) use input::{
    AfterCommit, AttemptState, Decision, Effect, EventIn, Input, StepContext, Verb, VerbRecord,
};
pub(crate) use instance::Instance;
#[cfg(any(test, feature = "testing"))]
pub(crate) use join::JOIN;
#[cfg(any(test, feature = "testing"))]
pub(crate) use live::TypedLive;
pub(crate) use live::{Program, Typed, decode_data};
pub(crate) use outbox::Published;
pub(crate) use position::{owed_names, read_parked, turn_targets};
pub(crate) use record::write;
pub(crate) use record::{MessageRecord, ReportRecord};
pub(crate) use start::NotStarted;
