//! What travels: events, commands, replies and their stored form.
//!
//! Owns: the traits a user derives, keys, ids, the clock's [`Timestamp`], payload encoding and its limits.
//! Does not own: who receives what (the `definition`), or where anything is kept (the `store`).

mod command;
mod error;
mod event;
mod ids;
mod key;
mod name;
mod payload;
mod strict;
mod timestamp;

pub use command::{Command, Done, Failed, NoReply, Outcome, Reply, ReplyTo, Report, Tick, Unknown};
pub(crate) use error::panic_text;
pub use error::{ActionError, BoxError, HandlerError, HandlerErrorKind, Result};
pub use event::{ByAlias, Correlated, Event};
pub use ids::{Id, Incarnation, MessageId};
#[doc(hidden)]
pub use key::join_key;
pub use key::{Key, KeyError, MAX_KEY_BYTES};
#[doc(hidden)]
pub use name::among;
pub(crate) use name::is;
pub(crate) use payload::not_newer;
pub use payload::{Message, Name, Payload, PayloadError, PayloadLimits};
pub use timestamp::Timestamp;
