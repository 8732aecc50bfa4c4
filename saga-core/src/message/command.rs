//! Requests to the outside world and what became of them.

use crate::shape::UpcastFrom;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::HandlerError;
use super::event::Event;
use super::name::is;
use super::payload::{Message, Payload, PayloadError};
use super::timestamp::Timestamp;

/// A request to the outside world, run by exactly one handler.
///
/// Derive it: `#[derive(Command)] #[command(name = "payment.make", replies(PaymentCompleted, PaymentDeclined))]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "derive it: `#[derive(Command, Serialize, Deserialize)] #[command(name = \"..\", replies(..))]`"
)]
pub trait Command: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stored name, such as `payment.make`.
    const NAME: &'static str;
    /// Names under which it was stored before, which are still read (rule R34). A command that was sent under an earlier
    /// name keeps it, and with it its idempotency key.
    const WAS: &'static [&'static str] = &[];
    /// The version of the payload's shape.
    const VERSION: u32 = 1;
    /// The stored names of the events a handler may answer with; empty when it answers [`Done`].
    const REPLIES: &'static [&'static str];
    /// Called at most once: a call whose outcome got lost is `unknown`, never repeated (rule R18).
    const AT_MOST_ONCE: bool = false;
    /// Its failures are recorded and counted, but never delivered and never park (rule R3).
    const BEST_EFFORT: bool = false;

    /// The earlier versions from which there is an upcast, in order.
    #[doc(hidden)]
    const UPCASTS: &'static [UpcastFrom] = &[];

    /// Reads what version `version` of it wrote, which is not later than [`VERSION`](Self::VERSION).
    #[doc(hidden)]
    fn __decode(payload: &Payload, version: u32) -> Result<Self, PayloadError> {
        let _ = version;
        payload.decode()
    }
}

/// `E` is declared in the `replies(..)` of `C`; written by `#[derive(Command)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a reply of `{C}`",
    label = "not declared in `replies(..)`",
    note = "add it to the command: `#[command(name = \"..\", replies({Self}))]`"
)]
pub trait ReplyTo<C: Command>: Event {}

/// The command declares no replies, so its handler answers [`Done`]; written by `#[derive(Command)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has replies, so `Done` does not answer it",
    note = "answer with one of the events in its `replies(..)`"
)]
pub trait NoReply: Command {}

/// The answer of a handler whose command declares no replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done;

/// What a handler of `C` returns.
pub type Outcome<C> = Result<Reply<C>, HandlerError>;

/// A handler's answer to `C`: one of its replies (`PaymentCompleted { .. }.into()`), or `Done.into()`.
pub struct Reply<C> {
    message: Result<Option<Message>, PayloadError>,
    command: PhantomData<fn() -> C>,
}

impl<C: Command> Reply<C> {
    /// The stored form, `None` for [`Done`].
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

/// The event of `every(..)`: which firing this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Counted from 1 in each visit. Periods that were missed are not made up for, and not counted.
    pub nth: u32,
    /// `times = ..` of the table.
    pub of: Option<u32>,
    /// When it was due; an engine that was down fires it later.
    pub due: Timestamp,
}

/// The event of `failed(C)`: the command surely had no effect and will not be tried again.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failed<C> {
    /// The command as it was sent.
    pub command: C,
    /// How many attempts are known to have ended. After a kill one counts that may not have begun, and quick ones that were
    /// not written down do not.
    pub attempts: u32,
    /// What the handler said.
    pub reason: String,
}

/// The event of `unknown(C)`: nobody knows whether the command had its effect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Unknown<C> {
    /// The command as it was sent.
    pub command: C,
    /// How many attempts are known to have ended. After a kill one counts that may not have begun, and quick ones that were
    /// not written down do not.
    pub attempts: u32,
    /// Why the outcome is not known.
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

/// What became of a command, for the action that builds its undo (rule R14).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// It was answered by this event, or by [`Done`] when there is none.
    Replied(Option<Message>),
    /// It surely had no effect.
    Refused {
        /// What the handler said.
        reason: String,
    },
    /// Nobody knows.
    Unknown {
        /// Why not.
        reason: String,
    },
    /// It was withdrawn before its first attempt, so it surely had no effect.
    Withdrawn,
}

impl Report {
    /// The reply as an event of type `E`, when it was answered by one and that can be read.
    pub fn reply<E: Event>(&self) -> Option<E> {
        match self {
            Self::Replied(Some(message)) if is(&message.name, E::NAME, E::WAS) => message.event().ok(),
            _ => None,
        }
    }
}
