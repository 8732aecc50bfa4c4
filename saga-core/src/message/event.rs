//! Facts delivered to instances and subscribers.

use serde::Serialize;
use serde::de::DeserializeOwned;

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
    /// Whether the event names its instance by itself, that is, has a `key(..)`.
    const KEYED: bool;
}

/// An event that names the instance it is for; written by `#[derive(Event)]` when there is a `key(..)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key, so it can only be the reply to a command",
    label = "no key says which instance this is for",
    note = "name the field that identifies the instance: `#[event(name = \"..\", key(field))]`"
)]
pub trait Correlated: Event {
    /// The key of the instance of `saga` that this event is for, not yet checked.
    fn key(&self, saga: &str) -> String;
}
