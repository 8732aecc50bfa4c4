//! The stored form of user values: JSON text, bounded in size and nesting.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command::Command;
use super::event::Event;

/// A stored name: borrowed from a definition, or owned when it was read from a store.
pub type Name = Cow<'static, str>;

/// JSON text of one value. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload(Arc<str>);

/// The bounds every payload is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLimits {
    /// The longest payload, in bytes of JSON. Default 1 MiB, at most 16 MiB.
    pub bytes: usize,
    /// The deepest nesting of arrays and objects. Default 64, at most 128.
    pub depth: usize,
}

impl PayloadLimits {
    /// The limits that hold unless a dispatcher is given others: 1 MiB and 64 levels.
    pub const DEFAULT: Self = Self { bytes: 1 << 20, depth: 64 };
    /// The ceilings: 16 MiB and 128 levels.
    pub const CEILING: Self = Self { bytes: 16 << 20, depth: 128 };
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Payload {
    /// Encodes `value` as JSON.
    ///
    /// # Errors
    /// [`PayloadError::Encode`] when serde refuses. Limits are checked by [`check`](Self::check), where the message
    /// enters or leaves.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        serde_json::to_string(value).map(Self::from).map_err(|e| PayloadError::Encode(e.to_string()))
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// [`PayloadError::Decode`] when the text is not JSON of this shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(&self.0).map_err(|e| PayloadError::Decode(e.to_string()))
    }

    /// Holds the text to `limits`, without parsing it: serde_json's own nesting limit does not cover raw values.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`] or [`PayloadError::TooDeep`].
    pub fn check(&self, limits: PayloadLimits) -> Result<(), PayloadError> {
        if self.0.len() > limits.bytes {
            return Err(PayloadError::TooLarge { bytes: self.0.len(), limit: limits.bytes });
        }
        if depth(self.0.as_bytes(), limits.depth) > limits.depth {
            return Err(PayloadError::TooDeep { limit: limits.depth });
        }
        Ok(())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all, which no encoder produces.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The deepest nesting of `json`; stops counting just past `enough`.
fn depth(json: &[u8], enough: usize) -> usize {
    let (mut now, mut deepest) = (0_usize, 0_usize);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                now += 1;
                deepest = deepest.max(now);
                if deepest > enough {
                    break;
                }
            }
            b']' | b'}' => now = now.saturating_sub(1),
            b'"' => {
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a value could not become a payload, or a payload a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// serde could not write the value.
    #[error("cannot be written as JSON: {0}")]
    Encode(String),
    /// The text is not JSON of the expected shape.
    #[error("cannot be read: {0}")]
    Decode(String),
    /// A later build wrote it, in a shape that this one does not know.
    #[error("cannot be read: version {stored} wrote it, and this build has version {present}")]
    Newer {
        /// The version that wrote it.
        stored: u32,
        /// The version of this build.
        present: u32,
    },
    /// The JSON is longer than the limit.
    #[error(
        "has {bytes} bytes of JSON, more than the limit of {limit}; send a reference instead of the content"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The JSON nests deeper than the limit.
    #[error("nests deeper than the limit of {limit} levels")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
}

/// A stored message: its name, the version of its shape and its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The stored name of the event or command.
    pub name: Name,
    /// The version of the payload's shape.
    pub version: u32,
    /// The value as JSON.
    pub payload: Payload,
}

impl Message {
    /// The stored form of `event`.
    ///
    /// # Errors
    /// When serde refuses.
    pub(crate) fn of_event<E: Event>(event: &E) -> Result<Self, PayloadError> {
        Ok(Self { name: Name::Borrowed(E::NAME), version: E::VERSION, payload: Payload::encode(event)? })
    }

    /// The stored form of `command`.
    ///
    /// # Errors
    /// When serde refuses.
    pub(crate) fn of_command<C: Command>(command: &C) -> Result<Self, PayloadError> {
        Ok(Self { name: Name::Borrowed(C::NAME), version: C::VERSION, payload: Payload::encode(command)? })
    }

    /// The event, in its present shape.
    ///
    /// # Errors
    /// When it is no such event, or a later build wrote it.
    pub(crate) fn event<E: Event>(&self) -> Result<E, PayloadError> {
        not_newer(self.version, E::VERSION)?;
        E::__decode(&self.payload, self.version)
    }

    /// The command, in its present shape.
    ///
    /// # Errors
    /// When it is no such command, or a later build wrote it.
    pub(crate) fn command<C: Command>(&self) -> Result<C, PayloadError> {
        not_newer(self.version, C::VERSION)?;
        C::__decode(&self.payload, self.version)
    }

    /// Tells contents apart: XXH3-64 of the name, a zero byte and the JSON.
    pub(crate) fn content_hash(&self) -> u64 {
        twox_hash::XxHash3_64::oneshot(
            &[self.name.as_bytes(), &[0], self.payload.as_str().as_bytes()].concat(),
        )
    }
}

/// Refuses what a later build wrote: fields that this one does not know would be lost with the next step (rule R34).
pub(crate) const fn not_newer(stored: u32, present: u32) -> Result<(), PayloadError> {
    if stored > present { Err(PayloadError::Newer { stored, present }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_ignores_brackets_in_strings() {
        assert_eq!(depth(br#"{"a":["[[[\"[["]}"#, 100), 2);
        assert_eq!(depth(&b"[".repeat(100_000), 64), 65);
    }

    #[test]
    fn limits_are_named_in_the_error() {
        let limits = PayloadLimits { bytes: 10, depth: 2 };
        assert_eq!(Payload::from("[[]]").check(limits), Ok(()));
        assert_eq!(Payload::from("[[[]]]").check(limits), Err(PayloadError::TooDeep { limit: 2 }));
        let long = Payload::from("\"0123456789\"");
        assert_eq!(long.check(limits), Err(PayloadError::TooLarge { bytes: 12, limit: 10 }));
    }
}
