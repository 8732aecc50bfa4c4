//! The pure machine: decides what one input does to one instance. No tokio, no store, no clock, no I/O.

mod context;
mod outbox;
mod saga;

pub use context::Context;
pub use outbox::{Outbox, encode_command};
pub use saga::{Cause, EventOf, Saga, Undone};
