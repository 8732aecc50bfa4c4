//! The third room of a message: its commands and deliveries run, fail, wait and end (rules R13, R17–R19, R22).
//!
//! A lane belongs to one handler or subscriber. A lane limits how many attempts run at a time. A suspect is a task or
//! delivery that may have been running when an earlier process ended.
//!
//! Owns: which attempt may start, how its end counts, and when the next attempt is due. Does not own: the futures of
//! handlers (the dispatcher), or the effect of an outcome on the instance (the machine).

mod adopt;
mod deliveries;
mod end;
mod lanes;
mod lapse;
mod policy;
mod progress;
mod saved;
mod start;
mod stats;
mod suspects;
mod throttle;
mod wake;

pub(in crate::engine) use deliveries::Deliveries;
pub(in crate::engine) use lanes::{Job, Lanes};
pub(in crate::engine) use lapse::lingering;
pub use policy::Policy;
pub(in crate::engine) use progress::is_news;
pub use stats::{AttemptCounts, Durations, HandlerStatus};
