//! Row numbers of a store, and the address of an instance.

use crate::message::{InstanceName, Name};

/// The row number of an instance, assigned by the store. The number saves the store a look-up. The number never leaves
/// the dispatcher and the store (rule [R20](crate::rules#r20)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub i64);

/// The row number of an inbox row, assigned by the store. Rows become visible in ascending order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxId(pub i64);

/// The row number of a delivery, assigned by the store. The numbers ascend in accepted order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

/// The row number of a dead letter, assigned by the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadId(pub i64);

/// The address of an instance: saga and key.
#[derive(Clone, Debug, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The stored name of the saga. For a subscriber: the name of the subscriber.
    pub saga: Name,
    /// The key within the saga, or an alias.
    pub key: InstanceName,
}

impl Address {
    /// Returns the address of the instance `key` of `saga`.
    pub fn new(saga: impl Into<Name>, key: impl Into<InstanceName>) -> Self {
        Self { saga: saga.into(), key: key.into() }
    }

    /// Returns the partition of this address (rule [R35](crate::rules#r35)), from 0 to 255.
    pub fn partition(&self) -> u8 {
        self.key.partition()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        // Names of registered sagas are static, so mostly their pointers are equal.
        let same_saga = std::ptr::eq::<str>(&*self.saga, &*other.saga) || self.saga == other.saga;
        same_saga && self.key == other.key
    }
}

impl std::hash::Hash for Address {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Few sagas use the same key, so the text of their name need not be hashed.
        state.write_usize(self.saga.len());
        self.key.hash(state);
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alias = if self.key.is_alias() { "alias " } else { "" };
        write!(f, "{} {alias}`{}`", self.saga, self.key)
    }
}
