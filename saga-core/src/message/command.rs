//! Commands: requests to the outside world, and their outcomes.

use crate::shape::UpcastFrom;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::HandlerError;
use super::event::Event;
use super::name::name_matches;
use super::payload::{Message, Payload, PayloadError};
use super::timestamp::Timestamp;

/// A request to the outside world. Exactly one handler runs each command.
///
/// Derive this trait:
/// `#[derive(Command)] #[command(name = "payment.make", replies(PaymentCompleted, PaymentDeclined))]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "derive it: `#[derive(Command, Serialize, Deserialize)] #[command(name = \"..\", replies(..))]`"
)]
pub trait Command: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stored name, such as `payment.make`.
    const NAME: &'static str;
    /// Earlier stored names. Commands stored under these names can still be read (rule [R34](crate::rules#r34)). A
    /// command keeps the name under which it was sent. Its idempotency key therefore stays the same.
    const WAS: &'static [&'static str] = &[];
    /// The version of the shape of the payload.
    const VERSION: u32 = 1;
    /// The stored names of the events that a handler may answer with. Empty if the handler answers [`Done`].
    const REPLIES: &'static [&'static str];
    /// Whether the command is called at most once. A call with a lost outcome is `unknown` and is never repeated (rule
    /// [R18](crate::rules#r18)).
    const AT_MOST_ONCE: bool = false;
    /// Whether failures are only recorded and counted. They reach no row and never park the instance (rule
    /// [R3](crate::rules#r3)).
    const BEST_EFFORT: bool = false;

    /// The earlier versions with an upcast, in order.
    #[doc(hidden)]
    const UPCASTS: &'static [UpcastFrom] = &[];

    /// The places of the payload that are never shown.
    #[doc(hidden)]
    const REDACT: &'static [&'static str] = &[];

    /// Decodes a payload written by version `version`, at most [`VERSION`](Self::VERSION).
    #[doc(hidden)]
    fn __decode(payload: &Payload, version: u32) -> Result<Self, PayloadError> {
        let _ = version;
        payload.decode()
    }
}

/// A reply declared in the `replies(..)` of `C`. `#[derive(Command)]` implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a reply of `{C}`",
    label = "not declared in `replies(..)`",
    note = "add it to the command: `#[command(name = \"..\", replies({Self}))]`"
)]
pub trait ReplyTo<C: Command>: Event {}

/// A command without replies. Its handler answers [`Done`]. `#[derive(Command)]` implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has replies and cannot be answered with `Done`",
    note = "answer with one of the events in its `replies(..)`"
)]
pub trait NoReply: Command {}

/// The answer to a command without replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done;

/// The result of a handler for `C`.
pub type HandlerResult<C> = Result<Reply<C>, HandlerError>;

/// The answer of a handler to `C`: one of the replies (`PaymentCompleted { .. }.into()`), or `Done.into()`.
pub struct Reply<C> {
    message: Result<Option<Message>, PayloadError>,
    command: PhantomData<fn() -> C>,
}

impl<C: Command> Reply<C> {
    /// Returns the stored form. [`Done`] gives `None`.
    pub(crate) fn into_message(self) -> Result<Option<Message>, PayloadError> {
        self.message
    }
}

impl<C: Command, E: Event + ReplyTo<C>> From<E> for Reply<C> {
    fn from(event: E) -> Self {
        Self { message: Message::of_event(&event).map(Some), command: PhantomData }
    }
}

impl<C: NoReply> From<Done> for Reply<C> {
    fn from(_: Done) -> Self {
        Self { message: Ok(None), command: PhantomData }
    }
}

impl<C> fmt::Debug for Reply<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Ok(Some(message)) => write!(f, "Reply({})", message.name),
            Ok(None) => f.write_str("Reply(done)"),
            Err(error) => write!(f, "Reply({error})"),
        }
    }
}

/// The event of `every(..)`: one firing of the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// The number of the firing, counted from 1 in each visit. Missed periods are not repeated and not counted.
    pub nth: u32,
    /// The value of `times = ..` in the table.
    pub of: Option<u32>,
    /// The due time. An engine that was stopped at that time fires later.
    pub due: Timestamp,
}

/// The event of `failed(C)`. The command surely had no effect and is not tried again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failed<C> {
    /// The command as it was sent.
    pub command: C,
    /// The number of attempts known to have ended. After a kill, one attempt counts that may not have begun. Unrecorded
    /// quick attempts do not count.
    pub attempts: u32,
    /// The error text of the handler.
    pub reason: String,
}

/// The event of `unknown(C)`. The effect of the command is unknown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Unknown<C> {
    /// The command as it was sent.
    pub command: C,
    /// The number of attempts known to have ended. After a kill, one attempt counts that may not have begun. Unrecorded
    /// quick attempts do not count.
    pub attempts: u32,
    /// The reason for the unknown outcome.
    pub reason: String,
}

impl<C> Failed<C> {
    #[doc(hidden)]
    pub fn __new(command: C, attempts: u32, reason: String) -> Self {
        Self { command, attempts, reason }
    }
}

impl<C> Unknown<C> {
    #[doc(hidden)]
    pub fn __new(command: C, attempts: u32, reason: String) -> Self {
        Self { command, attempts, reason }
    }
}

/// The outcome of a command, for the action that builds its undo (rule [R14](crate::rules#r14)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// The handler answered with this event. `None` means [`Done`].
    Replied(Option<Message>),
    /// The command surely had no effect.
    Refused {
        /// The error text of the handler.
        reason: String,
    },
    /// The outcome is unknown.
    Unknown {
        /// The reason for the unknown outcome.
        reason: String,
    },
    /// The command was withdrawn before its first attempt. It surely had no effect.
    Withdrawn,
}

impl Report {
    /// Returns the reply as an event of type `E`. Returns `None` without a readable reply of that type.
    pub fn reply<E: Event>(&self) -> Option<E> {
        match self {
            Self::Replied(Some(message)) if name_matches(&message.name, E::NAME, E::WAS) => {
                message.event().ok()
            }
            _ => None,
        }
    }
}
