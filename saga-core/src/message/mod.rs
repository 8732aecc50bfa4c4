//! Messages: events, commands, replies and their stored form.
//!
//! Owns: the traits that users derive, keys, ids, [`Timestamp`], payload encoding and its limits.
//! Does not own: the consumers of a message (`definition`), or the storage (`store`).

mod command;
mod error;
mod event;
mod ids;
mod key;
mod label;
mod map;
mod name;
mod payload;
mod strict;
mod timestamp;
mod trace;
mod visible;

pub use crate::shape::{MASK, Sensitive};
pub use command::{Command, Done, Failed, HandlerResult, NoReply, Reply, ReplyTo, Report, Tick, Unknown};
pub(crate) use error::panic_text;
pub use error::{ActionError, ActionResult, BoxError, Chain, HandlerError, HandlerErrorKind, chain};
pub use event::{ByAlias, Correlated, Event};
pub use ids::{Id, Incarnation, MessageId};
#[doc(hidden)]
pub use key::join_key;
pub use key::{Alias, InstanceName, Key, KeyError, MAX_KEY_BYTES};
pub(crate) use label::cut as cut_label;
pub use label::{Label, LabelValue};
pub(crate) use map::Map;
#[doc(hidden)]
pub use name::name_in;
pub(crate) use name::name_matches;
pub(crate) use payload::not_newer;
pub use payload::{Message, Name, Payload, PayloadError, PayloadLimits};
pub use timestamp::{Timestamp, TimestampError};
pub use trace::{TraceContext, TraceContextError};
pub use visible::{is_control, visible};
