//! The event and command types a definition mentions, with the code that reads their stored form.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use super::child_end::EndRecord;
use crate::message::{Command, Event, Failed, Message, PayloadError, Unknown, panic_text};
use crate::shape::{Redacting, Shape, UpcastFrom};

/// A decoded value whose type the table knows.
pub(crate) type Value = Box<dyn Any + Send + Sync>;

/// A type that is stored with an instance: its data, or what a state carries.
#[derive(Clone, Copy)]
pub struct PayloadType {
    /// The type, as written in the table.
    pub type_name: &'static str,
    /// The places that are never shown.
    pub redact: &'static [&'static str],
    pub(crate) shape: fn() -> Shape,
}

impl PayloadType {
    #[doc(hidden)]
    pub const fn of<T: DeserializeOwned>(type_name: &'static str) -> Self {
        Self { type_name, redact: &[], shape: Shape::of::<T> }
    }

    pub(crate) fn redacting_places(&self) -> Redacting {
        Redacting { redact: self.redact, shape: self.shape }
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn redacting(self, redact: &'static [&'static str]) -> Self {
        Self { redact, ..self }
    }
}

impl fmt::Debug for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name)
    }
}

/// An event type of a table.
#[derive(Clone, Copy)]
pub struct EventType {
    /// The stored name.
    pub name: &'static str,
    /// Names under which it was stored before.
    pub was: &'static [&'static str],
    /// The type, as written in the table.
    pub type_name: &'static str,
    /// The version of its payload.
    pub version: u32,
    /// Whether it has a key.
    pub keyed: bool,
    /// The earlier versions from which there is an upcast.
    pub upcasts: &'static [UpcastFrom],
    /// The places that are never shown.
    pub redact: &'static [&'static str],
    pub(crate) shape: fn() -> Shape,
    pub(crate) decode: fn(&Message) -> Result<Value, PayloadError>,
}

/// A command type of a table.
#[derive(Clone, Copy)]
pub struct CommandType {
    /// The stored name.
    pub name: &'static str,
    /// Names under which it was stored before.
    pub was: &'static [&'static str],
    /// The type, as written in the table.
    pub type_name: &'static str,
    /// The version of its payload.
    pub version: u32,
    /// The stored names of its replies.
    pub replies: &'static [&'static str],
    /// Whether it is called at most once.
    pub at_most_once: bool,
    /// Whether its failures are only recorded.
    pub best_effort: bool,
    /// The earlier versions from which there is an upcast.
    pub upcasts: &'static [UpcastFrom],
    /// The places that are never shown.
    pub redact: &'static [&'static str],
    pub(crate) shape: fn() -> Shape,
    pub(crate) failed: fn(&Message, u32, String) -> Result<Value, PayloadError>,
    pub(crate) unknown: fn(&Message, u32, String) -> Result<Value, PayloadError>,
}

/// A saga that a table starts as a child.
#[derive(Clone, Copy)]
pub struct ChildType {
    /// The stored name.
    pub name: &'static str,
    /// Names under which it was stored before.
    pub was: &'static [&'static str],
    /// The type, as written in the table.
    pub type_name: &'static str,
    pub(crate) ended: fn(&EndRecord) -> Result<Value, String>,
}

impl fmt::Debug for ChildType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildType").field("name", &self.name).field("type_name", &self.type_name).finish()
    }
}

impl EventType {
    #[doc(hidden)]
    pub const fn of<E: Event>(type_name: &'static str) -> Self {
        Self {
            name: E::NAME,
            was: E::WAS,
            type_name,
            version: E::VERSION,
            keyed: E::KEYED,
            upcasts: E::UPCASTS,
            redact: E::REDACT,
            shape: Shape::of::<E>,
            decode: |message| {
                let read = catch_unwind(AssertUnwindSafe(|| message.event::<E>()));
                let read = read.unwrap_or_else(|panic| {
                    Err(PayloadError::Decode(format!("panicked: {}", panic_text(&*panic))))
                });
                Ok(Box::new(read?))
            },
        }
    }
}

impl CommandType {
    #[doc(hidden)]
    pub const fn of<C: Command>(type_name: &'static str) -> Self {
        Self {
            name: C::NAME,
            was: C::WAS,
            type_name,
            version: C::VERSION,
            replies: C::REPLIES,
            at_most_once: C::AT_MOST_ONCE,
            best_effort: C::BEST_EFFORT,
            upcasts: C::UPCASTS,
            redact: C::REDACT,
            shape: Shape::of::<C>,
            failed: |message, attempts, reason| {
                Ok(Box::new(Failed::__new(message.command::<C>()?, attempts, reason)))
            },
            unknown: |message, attempts, reason| {
                Ok(Box::new(Unknown::__new(message.command::<C>()?, attempts, reason)))
            },
        }
    }
}

impl PartialEq for EventType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for EventType {}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventType")
            .field("name", &self.name)
            .field("type_name", &self.type_name)
            .field("version", &self.version)
            .field("keyed", &self.keyed)
            .finish()
    }
}

impl fmt::Debug for CommandType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandType")
            .field("name", &self.name)
            .field("type_name", &self.type_name)
            .field("version", &self.version)
            .field("replies", &self.replies)
            .field("at_most_once", &self.at_most_once)
            .field("best_effort", &self.best_effort)
            .finish()
    }
}
