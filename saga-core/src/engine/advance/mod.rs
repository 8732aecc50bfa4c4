//! The second room of a message: its turn comes, it is decided, committed, and its caller is answered.
//!
//! Owns: the order of the items of an instance, the steps, and the effects of their outcomes. Does not own: the queue
//! (`slot`), the decision itself (the machine), or the commit (the store).

mod commit;
mod decide;
mod outcome;
mod purpose;
mod route;
mod schedule;
mod spill;

pub(in crate::engine) use commit::TAKEN_BEFORE;
pub(in crate::engine) use purpose::{Purpose, Queued};
