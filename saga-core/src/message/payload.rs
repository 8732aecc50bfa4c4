//! The stored form of user values: JSON text, bounded in size and nesting.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::command::Command;
use super::event::Event;
use super::strict::{Refused, to_json};

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
    /// [`PayloadError::Encode`] when serde refuses, or when JSON cannot hold a number: infinity, or no number at all. The
    /// field is named. [`PayloadError::TooLarge`] over [`PayloadLimits::CEILING`]; a dispatcher's own limits are checked by
    /// [`check`](Self::check), where the message enters or leaves.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        Self::encode_within(value, PayloadLimits::CEILING.bytes)
    }

    /// As [`encode`](Self::encode), of so many bytes at most. A longer value is refused while it is being written, so that
    /// no more than that is ever in memory.
    pub(crate) fn encode_within<T: Serialize + ?Sized>(
        value: &T,
        limit: usize,
    ) -> Result<Self, PayloadError> {
        to_json(value, limit).map(Self::from).map_err(|refused| match refused {
            Refused::TooLong => PayloadError::TooLarge { limit },
            Refused::Because(why) => PayloadError::Encode(why),
        })
    }

    /// Encodes `value`, reads it back by `decode`, and answers both: the value as everybody will see it from here on.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode), and [`PayloadError::NotReadBack`] when it would not be read back as it was written.
    pub(crate) fn read_back<T: Serialize>(
        value: &T,
        limit: usize,
        decode: impl FnOnce(&Self) -> Result<T, PayloadError>,
    ) -> Result<(Self, T), PayloadError> {
        let written = Self::encode_within(value, limit)?;
        let read = decode(&written).map_err(PayloadError::not_read_back)?;
        written.same_as(Some(&Self::encode_within(&read, limit)?))?;
        Ok((written, read))
    }

    /// Holds what was written to what is written of it once it has been read.
    pub(crate) fn same_as(&self, again: Option<&Self>) -> Result<(), PayloadError> {
        let why = match again {
            Some(again) => difference(self, again),
            None => Some("nothing comes back".to_owned()),
        };
        why.map_or(Ok(()), |why| Err(PayloadError::NotReadBack(why)))
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// [`PayloadError::Decode`] when the text is not JSON of this shape; the field is named.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(&self.0).map_err(|error| PayloadError::Decode(self.located::<T>(&error)))
    }

    /// The error with the path of the field, which only a second run knows.
    fn located<T: DeserializeOwned>(&self, error: &serde_json::Error) -> String {
        let mut json = serde_json::Deserializer::from_str(&self.0);
        match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(found) if found.path().iter().next().is_some() => format!("`{}`: {error}", found.path()),
            _ => error.to_string(),
        }
    }

    /// Holds the text to `limits`, without parsing it: serde_json's own nesting limit does not cover raw values.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`] or [`PayloadError::TooDeep`].
    pub fn check(&self, limits: PayloadLimits) -> Result<(), PayloadError> {
        if self.0.len() > limits.bytes {
            return Err(PayloadError::TooLarge { limit: limits.bytes });
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

/// Where two writings of one value differ; `None` when they say the same. The order of maps and of sets is nobody's to
/// keep.
fn difference(written: &Payload, again: &Payload) -> Option<String> {
    if written == again {
        return None;
    }
    let (written, again) = match (ordered(written), ordered(again)) {
        (Ok(written), Ok(again)) => (written, again),
        (Err(error), _) | (_, Err(error)) => return Some(error),
    };
    let mut path = String::new();
    let (here, there) = first_difference(&written, &again, &mut path)?;
    let place = if path.is_empty() { String::new() } else { format!("`{}`: ", path.trim_start_matches('.')) };
    Some(format!("{place}{here} comes back as {there}"))
}

/// The JSON with its arrays in an order that does not depend on how a set was iterated.
fn ordered(payload: &Payload) -> Result<Value, String> {
    let mut value = serde_json::from_str(payload.as_str()).map_err(|error| error.to_string())?;
    sort(&mut value);
    Ok(value)
}

fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            items.sort_by_cached_key(ToString::to_string);
        }
        Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}

/// The first place where two values differ, with its path.
fn first_difference<'a>(
    one: &'a Value,
    other: &'a Value,
    path: &mut String,
) -> Option<(&'a Value, &'a Value)> {
    let missing = &Value::Null;
    match (one, other) {
        _ if one == other => None,
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            let differs = names.into_iter().find(|name| left.get(*name) != right.get(*name))?;
            path.push('.');
            path.push_str(differs);
            let (left, right) = (left.get(differs).unwrap_or(missing), right.get(differs).unwrap_or(missing));
            first_difference(left, right, path).or(Some((left, right)))
        }
        _ => Some((one, other)),
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
    /// The value would not be read back as it was written, so it is not stored.
    #[error("would not be read back as it was written: {0}")]
    NotReadBack(String),
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
        "has more than {limit} bytes of JSON, which is the limit; send a reference instead of the content"
    )]
    TooLarge {
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

impl PayloadError {
    /// What was just written cannot be read.
    pub(crate) fn not_read_back(error: Self) -> Self {
        match error {
            Self::Decode(why) => Self::NotReadBack(why),
            error => Self::NotReadBack(error.to_string()),
        }
    }
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
    /// The stored form of `event`, within `limits`.
    ///
    /// # Errors
    /// When serde refuses, when it would not be read back as it was written, or when it is over the limits.
    pub fn published<E: Event>(event: &E, limits: PayloadLimits) -> Result<Self, PayloadError> {
        let (message, _) = Self::read_event(event, limits.bytes)?;
        message.payload.check(limits)?;
        Ok(message)
    }

    /// The stored form of `event`.
    ///
    /// # Errors
    /// When serde refuses, or it would not be read back as it was written.
    pub(crate) fn of_event<E: Event>(event: &E) -> Result<Self, PayloadError> {
        Self::read_event(event, PayloadLimits::CEILING.bytes).map(|(message, _)| message)
    }

    /// The stored form of `event`, of so many bytes at most, and the event as it will be read from there.
    pub(crate) fn read_event<E: Event>(event: &E, limit: usize) -> Result<(Self, E), PayloadError> {
        let (payload, event) = Payload::read_back(event, limit, |json| E::__decode(json, E::VERSION))?;
        Ok((Self { name: Name::Borrowed(E::NAME), version: E::VERSION, payload }, event))
    }

    /// The stored form of `command`.
    ///
    /// # Errors
    /// When serde refuses, or it would not be read back as it was written.
    pub(crate) fn of_command<C: Command>(command: &C) -> Result<Self, PayloadError> {
        let limit = PayloadLimits::CEILING.bytes;
        let (payload, _) = Payload::read_back(command, limit, |json| C::__decode(json, C::VERSION))?;
        Ok(Self { name: Name::Borrowed(C::NAME), version: C::VERSION, payload })
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
        assert_eq!(long.check(limits), Err(PayloadError::TooLarge { limit: 10 }));
    }
}
