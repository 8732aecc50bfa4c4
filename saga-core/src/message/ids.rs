//! Identities. Everything below an instance is derived from its incarnation (rule R20).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key::{Key, KeyError};

/// A 128-bit identity, shown as a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(Uuid);

impl Id {
    /// The identity with these 128 bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    /// The 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The sixteen bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The identity with these sixteen bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 128 random bits given to an instance when it is created and never reused.
///
/// Every id, message id and idempotency key of the instance is the UUIDv5 (a hash) of these bits with the step's
/// `seq`, an ordinal and a stored name, so that a repeated attempt presents the same key and nobody who has seen one
/// key can guess another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(Uuid);

impl Incarnation {
    /// Bits from the operating system's random source.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// An incarnation with these bits: for stores, and for tests that want the same ids every time.
    pub const fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    /// The 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The id of the `ordinal`-th thing called `name` that step `seq` made.
    pub fn derive(self, seq: u64, ordinal: u32, name: &str) -> Id {
        let mut bytes = Vec::with_capacity(12 + name.len());
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&ordinal.to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        Id(Uuid::new_v5(&self.0, &bytes))
    }
}

impl fmt::Debug for Incarnation {
    /// The bits are the secret behind every idempotency key, so they are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incarnation(..)")
    }
}

/// Names one message, so that a repetition of it is recognised (rule R26). At most 256 printable bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// A caller's own id, such as a broker's message id.
    ///
    /// # Errors
    /// As for a [`Key`]: empty, too long, or with a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        Key::new(text).map(|key| Self(key.as_str().into()))
    }

    /// A new id, ordered by time within this process (UUIDv7).
    pub fn unique() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
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
