//! Numbers that a store gives to rows, and the address of an instance.

use crate::message::{Key, Name};

/// A store's own number for an instance: handed out by the store, handed back to save it a look-up, never shown to
/// anybody else (rule R20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub i64);

/// A store's own number for an inbox row. Ascending in the order the rows became visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxId(pub i64);

/// A store's own number for a delivery. Ascending in accepted order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

/// A store's own number for a dead letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadId(pub i64);

/// Which instance, by its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The saga's stored name.
    pub saga: Name,
    /// The key within the saga.
    pub key: Key,
}

impl Address {
    /// The instance `key` of `saga`.
    pub fn new(saga: impl Into<Name>, key: Key) -> Self {
        Self { saga: saga.into(), key }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alias = if self.key.is_alias() { "alias " } else { "" };
        write!(f, "{} {alias}`{}`", self.saga, self.key)
    }
}
