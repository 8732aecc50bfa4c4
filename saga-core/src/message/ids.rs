//! Ids. Every id of an instance is derived from its incarnation (rule R20).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key::{Key, KeyError};

/// A 128-bit id, shown as a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(Uuid);

impl Id {
    /// Creates the id from 128 bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    /// Returns the 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// Returns the sixteen bytes, most significant byte first.
    pub const fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// Creates the id from sixteen bytes, most significant byte first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 128 random bits of an instance. An instance gets its incarnation at creation. Incarnations are never reused.
///
/// Ids, message ids and idempotency keys of the instance are UUIDv5 hashes of these bits. The hash includes the `seq`
/// of the step, an ordinal and a stored name. A repeated attempt therefore has the same key. A known key does not
/// reveal other keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(Uuid);

impl Incarnation {
    /// Creates an incarnation from the random source of the operating system.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Creates an incarnation from 128 bits: for stores, and for tests with fixed ids.
    pub const fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    /// Returns the 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// Derives the id of the item `name` with number `ordinal` in step `seq`.
    pub fn derive(self, seq: u64, ordinal: u32, name: &str) -> Id {
        let mut bytes = Vec::with_capacity(12 + name.len());
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&ordinal.to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        Id(Uuid::new_v5(&self.0, &bytes))
    }
}

impl fmt::Debug for Incarnation {
    /// Hides the bits, because they are the secret behind every idempotency key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incarnation(..)")
    }
}

/// The id of a message, for the recognition of repetitions (rule [R26](crate::rules#r26)). At most 256 printable bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// Creates an id from the text of the caller, such as the message id of a broker.
    ///
    /// # Errors
    /// The same as for a [`Key`]: the text is empty, too long, or contains a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        Key::new(text).map(|key| Self(key.as_str().into()))
    }

    /// Creates a new id (UUIDv7). The ids of one process are ordered by time.
    pub fn unique() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MessageId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<String> for MessageId {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<Id> for MessageId {
    fn from(id: Id) -> Self {
        Self(id.to_string().into())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r20_ids_derive_from_incarnation_seq_ordinal_and_name() {
        let one = Incarnation::from_u128(1);
        let id = one.derive(7, 0, "payment.make");
        assert_eq!(id, one.derive(7, 0, "payment.make"));
        for other in [
            one.derive(8, 0, "payment.make"),
            one.derive(7, 1, "payment.make"),
            one.derive(7, 0, "payment.void"),
            Incarnation::from_u128(2).derive(7, 0, "payment.make"),
        ] {
            assert_ne!(id, other);
        }
        assert_eq!(id.to_string().len(), 36);
        assert_eq!(format!("{one:?}"), "Incarnation(..)");
    }
}
