//! Events: facts delivered to instances and subscribers.

use crate::message::{Alias, InstanceName};
use crate::shape::UpcastFrom;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::key::{Key, KeyError};
use super::name::name_in;
use super::payload::{Payload, PayloadError};

/// A fact delivered to instances and subscribers.
///
/// Derive this trait: `#[derive(Event)] #[event(name = "order.placed", key(order))]`. An event without a key and
/// without an alias can only be a reply to a command. The reply goes to the instance that sent the command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "derive it: `#[derive(Event, Serialize, Deserialize)] #[event(name = \"..\", key(..))]`"
)]
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stored name, such as `order.placed`. Renaming the Rust type does not change the stored name.
    const NAME: &'static str;
    /// Earlier stored names. Events stored under these names can still be read (rule [R34](crate::rules#r34)).
    const WAS: &'static [&'static str] = &[];
    /// The version of the shape of the payload.
    const VERSION: u32 = 1;
    /// Whether the event has a `key(..)` or an `alias(..)`. Such an event identifies its instance.
    const KEYED: bool;
    /// The sagas for which the event has an alias instead of a key.
    const BY_ALIAS: ByAlias = ByAlias::NEVER;

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

/// An event that identifies its instance. `#[derive(Event)]` implements this trait for events with a key or an alias.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key and can only be the reply to a command",
    label = "this event has no key of an instance",
    note = "name the field that identifies the instance: `#[event(name = \"..\", key(field))]`, or `alias(field)`"
)]
pub trait Correlated: Event {
    /// Returns the key or alias of the instance of `saga`. The text is not checked yet.
    fn key(&self, saga: &str) -> String;

    /// Returns the checked key or alias of the instance of `saga`.
    ///
    /// # Errors
    /// If the text is empty, too long, or contains a control character.
    fn correlation(&self, saga: &str) -> Result<InstanceName, KeyError> {
        let text = Correlated::key(self, saga);
        if Self::BY_ALIAS.holds(saga) { Ok(Alias::new(text)?.into()) } else { Ok(Key::new(text)?.into()) }
    }
}

/// The sagas for which an event has an alias (rule [R35](crate::rules#r35)): `alias(field)` and `alias_for(Saga,
/// field)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByAlias {
    others: bool,
    /// Present and earlier names of sagas. A store not yet used by this build has the earlier names.
    except: &'static [&'static [&'static str]],
}

impl ByAlias {
    /// No saga: the event has a `key(..)`.
    pub const NEVER: Self = Self { others: false, except: &[] };

    #[doc(hidden)]
    pub const fn new(others: bool, except: &'static [&'static [&'static str]]) -> Self {
        Self { others, except }
    }

    /// Returns whether the event has an alias for `saga`. A subscriber has no aliases. Its key only gives an order.
    pub const fn holds(self, saga: &str) -> bool {
        !saga.is_empty() && self.others != name_in(saga, self.except)
    }
}
