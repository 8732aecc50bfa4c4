//! The first room of a message: it is accepted, addressed, queued at its instance, and read from the inbox.
//!
//! Owns: the way of an event, a verb or a stored row into the queue of an instance, the verbs on other objects than an
//! instance, and the reading of stored work.
//! Does not own: the decision on an item (`advance`), or the start of a handler (`attempts`).

mod accept;
mod alias;
mod claim;
mod defer;
mod elsewhere;
mod inbox;
mod load;
mod mail;
mod operate;
mod recovery;
mod take_up;

pub(crate) use claim::{Claim, Withdrawal};
pub(in crate::engine) use defer::Awaited;
pub(in crate::engine) use inbox::Intake;
pub(in crate::engine) use operate::Operated;
pub(crate) use take_up::TakeUp;
pub(in crate::engine) use take_up::{TakeUps, Watch};
