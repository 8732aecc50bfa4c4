//! Facts delivered to instances and subscribers.

use crate::shape::UpcastFrom;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::key::{Key, KeyError};
use super::name::among;
use super::payload::{Payload, PayloadError};

/// A fact delivered to instances. Derive it: `#[derive(Event)] #[event(name = "order.placed", key(order))]`.
///
/// An event without a `key(..)` can only be a reply to a command: its instance is the one that sent the command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "derive it: `#[derive(Event, Serialize, Deserialize)] #[event(name = \"..\", key(..))]`"
)]
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stored name, such as `order.placed`. Renaming the Rust type does not change it.
    const NAME: &'static str;
    /// Names under which it was stored before, which are still read (rule R34).
    const WAS: &'static [&'static str] = &[];
    /// The version of the payload's shape.
    const VERSION: u32 = 1;
    /// Whether the event names its instance by itself, that is, has a `key(..)` or an `alias(..)`.
    const KEYED: bool;
    /// For which sagas it names its instance by an alias.
    const BY_ALIAS: ByAlias = ByAlias::NEVER;

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

/// An event that names the instance it is for; written by `#[derive(Event)]` when there is a `key(..)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key, so it can only be the reply to a command",
    label = "no key says which instance this is for",
    note = "name the field that identifies the instance: `#[event(name = \"..\", key(field))]`, or `alias(field)`"
)]
pub trait Correlated: Event {
    /// The key of the instance of `saga` that this event is for, or an alias it has claimed; not yet checked.
    fn key(&self, saga: &str) -> String;

    /// The same, checked.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a control character.
    fn correlation(&self, saga: &str) -> Result<Key, KeyError> {
        let text = Correlated::key(self, saga);
        if Self::BY_ALIAS.holds(saga) { Key::alias(text) } else { Key::new(text) }
    }
}

/// For which sagas an event names its instance by an alias (rule R35): `alias(field)` and `alias_for(Saga, field)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByAlias {
    others: bool,
    /// By their present and earlier names: a store that has not seen this build yet calls them by an earlier one.
    except: &'static [&'static [&'static str]],
}

impl ByAlias {
    /// For none: it has a `key(..)`.
    pub const NEVER: Self = Self { others: false, except: &[] };

    #[doc(hidden)]
    pub const fn new(others: bool, except: &'static [&'static [&'static str]]) -> Self {
        Self { others, except }
    }

    /// Whether it does for `saga`. A subscriber has no aliases: its key is only an order.
    pub const fn holds(self, saga: &str) -> bool {
        !saga.is_empty() && self.others != among(saga, self.except)
    }
}
