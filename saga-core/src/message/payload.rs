//! The stored form of user values: JSON text with limits for size and nesting.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::command::Command;
use super::event::Event;
use super::strict::{Refused, has_json, to_json};
use crate::shape::{INVALID, Redacting, Shape, mask, masking, met};

/// A stored name: borrowed from a definition, or owned after a read from a store.
pub type Name = Cow<'static, str>;

/// The JSON text of one value. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload(Arc<str>);

/// The limits of every payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLimits {
    /// The maximum length of a payload, in bytes of JSON. The default is 1 MiB, and the ceiling is 16 MiB.
    pub bytes: usize,
    /// The maximum nesting of arrays and objects. The default is 64, and the ceiling is 128.
    pub depth: usize,
}

impl PayloadLimits {
    /// The limits of a dispatcher without its own limits: 1 MiB and 64 levels.
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
    /// [`PayloadError::Encode`] if serde fails, or if a number is infinite or NaN. The error names the field.
    /// [`PayloadError::TooLarge`] above [`PayloadLimits::CEILING`]. The limits of a dispatcher are checked separately
    /// by [`check`](Self::check).
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, PayloadError> {
        Self::encode_within(value, PayloadLimits::CEILING.bytes)
    }

    /// Encodes like [`encode`](Self::encode), with at most `limit` bytes. A longer value is refused during writing. No
    /// more than `limit` bytes are therefore in memory.
    pub(crate) fn encode_within<T: Serialize + ?Sized>(
        value: &T,
        limit: usize,
    ) -> Result<Self, PayloadError> {
        to_json(value, limit).map(Self).map_err(|refused| match refused {
            Refused::TooLong => PayloadError::TooLarge { limit },
            Refused::Because(why) => PayloadError::Encode(why),
        })
    }

    /// Encodes `value`, decodes the JSON again with `decode`, and returns both results.
    ///
    /// Users see the decoded value from this point on. Decisions therefore do not depend on a restart.
    ///
    /// # Errors
    /// The errors of [`encode`](Self::encode). [`PayloadError::NotReadBack`] if the decoded value differs from `value`.
    pub(crate) fn read_back<T: Serialize>(
        value: &T,
        limit: usize,
        of: Redacting,
        decode: impl FnOnce(&Self) -> Result<T, PayloadError>,
    ) -> Result<(Self, T), PayloadError> {
        let written = Self::hiding(of, || Self::encode_within(value, limit).map(Some))?;
        let written = written.ok_or_else(|| PayloadError::Encode("there is no value".to_owned()))?;
        let read = decode(&written).map_err(PayloadError::not_read_back)?;
        // Nearly every value is read back unchanged. Only another one needs a second text.
        if !has_json(&read, &written.0) {
            written.same_as(Some(&Self::encode_within(&read, limit)?))?;
        }
        Ok((written, read))
    }

    /// Encodes a value by `write`. If it has sensitive values, tools must be able to hide each of them by its place.
    ///
    /// # Errors
    /// Those of `write`. [`PayloadError::Exposed`] for a sensitive value at another place.
    pub(crate) fn hiding(
        of: Redacting,
        write: impl Fn() -> Result<Option<Self>, PayloadError>,
    ) -> Result<Option<Self>, PayloadError> {
        let before = met();
        let written = write()?;
        let Some(payload) = written.as_ref().filter(|_| met() != before) else { return Ok(written) };
        let places = of.places();
        let masked = masking(&write)?;
        let shown = |payload: &Self| mask(&places, payload.as_str()).map(Self::from);
        let (one, other) = (shown(payload), masked.as_ref().and_then(shown));
        if one == other {
            return Ok(written);
        }
        let place = one.zip(other).and_then(|(one, other)| difference(&one, &other)).unwrap_or_default();
        // The rest of the path can be a key of a map.
        let place =
            place.strip_prefix('`').and_then(|place| place.split(['`', '.']).next()).unwrap_or_default();
        Err(PayloadError::Exposed { place: place.to_owned() })
    }

    /// Compares the written payload with `again`: the payload of the decoded value.
    pub(crate) fn same_as(&self, again: Option<&Self>) -> Result<(), PayloadError> {
        let why = match again {
            Some(again) => difference(self, again),
            None => Some("no value is read back".to_owned()),
        };
        why.map_or(Ok(()), |why| Err(PayloadError::NotReadBack(why)))
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// [`PayloadError::Decode`] if the text is not JSON of the type `T`. The error names the field.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(&self.0).map_err(|error| PayloadError::Decode(self.located::<T>(&error)))
    }

    /// Adds the path of the field to the error. Only a second run finds the path.
    fn located<T: DeserializeOwned>(&self, error: &serde_json::Error) -> String {
        let mut json = serde_json::Deserializer::from_str(&self.0);
        match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(found) if found.path().iter().next().is_some() => {
                let path = found.path().to_string();
                // A part of the path within a sensitive value can be a key of a map.
                let within = error.to_string().starts_with(INVALID);
                let path = if within { path.split(['.', '[']).next().unwrap_or_default() } else { &path };
                format!("`{path}`: {error}")
            }
            _ => error.to_string(),
        }
    }

    /// Checks the text against `limits` without parsing. The nesting limit of serde_json does not cover raw values.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`] or [`PayloadError::TooDeep`].
    pub fn check(&self, limits: PayloadLimits) -> Result<(), PayloadError> {
        if self.0.len() > limits.bytes {
            return Err(PayloadError::TooLarge { limit: limits.bytes });
        }
        // A text with few opening brackets cannot be deep. Counting them is much cheaper than reading the nesting.
        let opening = memchr::memchr2_iter(b'[', b'{', self.0.as_bytes()).take(limits.depth + 1).count();
        if opening > limits.depth && depth(self.0.as_bytes(), limits.depth) > limits.depth {
            return Err(PayloadError::TooDeep { limit: limits.depth });
        }
        Ok(())
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the text is empty. No encoder produces an empty text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the first difference between two JSON texts of one value. The order of maps and sets is ignored, because
/// iteration gives no fixed order.
fn difference(written: &Payload, again: &Payload) -> Option<String> {
    if written == again {
        return None;
    }
    let (written, again) = match (ordered(written), ordered(again)) {
        (Ok(written), Ok(again)) => (written, again),
        (Err(error), _) | (_, Err(error)) => return Some(error),
    };
    let mut path = String::new();
    first_difference(&written, &again, &mut path)?;
    let place = if path.is_empty() { String::new() } else { format!("`{}`: ", path.trim_start_matches('.')) };
    // The values are not part of the text, because the error goes into logs and pages.
    Some(format!("{place}another value is read back"))
}

/// Returns the JSON with sorted arrays. The order of a set depends on its iteration.
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

/// Returns the first place with different values. Adds its path to `path`.
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

/// Returns the deepest nesting of `json`. The count stops just above `enough`.
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

/// For stores: the text must be the JSON text of one value, as [`Payload::as_str`] returned it. A store may put the text
/// into a larger JSON text.
impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// For stores, as the conversion from a `String`.
impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The JSON itself, also its sensitive values. Do not log it.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason why a conversion between value and payload failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// serde could not write the value.
    #[error("cannot be written as JSON: {0}")]
    Encode(String),
    /// The text is not JSON of the expected shape.
    #[error("cannot be read: {0}")]
    Decode(String),
    /// The decoded value would differ from the written value. The value is not stored.
    #[error("is not read back unchanged: {0}")]
    NotReadBack(String),
    /// The value has a sensitive value where the tools cannot find it. Nothing is stored.
    #[error(
        "has a sensitive value in `{place}`, at a place that the shape of the type does not show; name `{place}` in \
         `redact(..)` of the derive"
    )]
    Exposed {
        /// The field around the value. Empty for the value as a whole.
        place: String,
    },
    /// A later version wrote the payload. This build does not know the shape.
    #[error("cannot be read: the stored version is {stored}; this build has version {present}")]
    Newer {
        /// The version that wrote the payload.
        stored: u32,
        /// The version of this build.
        present: u32,
    },
    /// The JSON is longer than the limit.
    #[error("is longer than the limit of {limit} bytes of JSON; send a reference instead of the content")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The JSON nests deeper than the limit.
    #[error("nests deeper than the limit of {limit} levels")]
    TooDeep {
        /// The limit in levels.
        limit: usize,
    },
}

impl PayloadError {
    /// Removes the text of serde, which can quote a value, from the error of a type with redacted places.
    pub(crate) fn without_values(self, redact: &[&str]) -> Self {
        let shorter = |why: String| {
            let (place, text) = match why.strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
                // The rest of the path can be a key of a map.
                Some((place, text)) => {
                    (format!("`{}`: ", place.split(['.', '[']).next().unwrap_or_default()), text)
                }
                None => (String::new(), &*why),
            };
            match text {
                text if text.starts_with("missing field") => why,
                text if text.starts_with("another value") => format!("{place}{text}"),
                _ => format!("{place}the value is not valid"),
            }
        };
        match self {
            Self::Decode(why) if !redact.is_empty() => Self::Decode(shorter(why)),
            Self::NotReadBack(why) if !redact.is_empty() => Self::NotReadBack(shorter(why)),
            error => error,
        }
    }

    /// Converts the error of reading a payload just written.
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
    /// The version of the shape of the payload.
    pub version: u32,
    /// The value as JSON.
    pub payload: Payload,
}

impl Message {
    /// Encodes `event` within `limits`.
    ///
    /// # Errors
    /// If serde fails, if the decoded value would differ, or if a limit is exceeded.
    pub fn published<E: Event>(event: &E, limits: PayloadLimits) -> Result<Self, PayloadError> {
        let (message, _) = Self::read_event(event, limits.bytes)?;
        message.payload.check(limits)?;
        Ok(message)
    }

    /// Encodes `event`.
    ///
    /// # Errors
    /// If serde fails, or if the decoded value would differ.
    pub(crate) fn of_event<E: Event>(event: &E) -> Result<Self, PayloadError> {
        Self::read_event(event, PayloadLimits::CEILING.bytes).map(|(message, _)| message)
    }

    /// Encodes `event` with at most `limit` bytes. Returns the message and the decoded event.
    pub(crate) fn read_event<E: Event>(event: &E, limit: usize) -> Result<(Self, E), PayloadError> {
        let of = Redacting { redact: E::REDACT, shape: Shape::of::<E> };
        let (payload, event) = Payload::read_back(event, limit, of, |json| E::__decode(json, E::VERSION))
            .map_err(|error| error.without_values(E::REDACT))?;
        Ok((Self { name: Name::Borrowed(E::NAME), version: E::VERSION, payload }, event))
    }

    /// Encodes `command`.
    ///
    /// # Errors
    /// If serde fails, or if the decoded value would differ.
    pub(crate) fn of_command<C: Command>(command: &C) -> Result<Self, PayloadError> {
        let limit = PayloadLimits::CEILING.bytes;
        let of = Redacting { redact: C::REDACT, shape: Shape::of::<C> };
        let (payload, _) = Payload::read_back(command, limit, of, |json| C::__decode(json, C::VERSION))
            .map_err(|error| error.without_values(C::REDACT))?;
        Ok(Self { name: Name::Borrowed(C::NAME), version: C::VERSION, payload })
    }

    /// Decodes the event in its present shape.
    ///
    /// # Errors
    /// If the payload is not a value of type `E`, or if a later version wrote the payload.
    pub(crate) fn event<E: Event>(&self) -> Result<E, PayloadError> {
        not_newer(self.version, E::VERSION)?;
        E::__decode(&self.payload, self.version).map_err(|error| error.without_values(E::REDACT))
    }

    /// Decodes the command in its present shape.
    ///
    /// # Errors
    /// If the payload is not a value of type `C`, or if a later version wrote the payload.
    pub(crate) fn command<C: Command>(&self) -> Result<C, PayloadError> {
        not_newer(self.version, C::VERSION)?;
        C::__decode(&self.payload, self.version).map_err(|error| error.without_values(C::REDACT))
    }

    /// Returns a hash of the content: XXH3-64 of the name, a zero byte and the JSON.
    pub(crate) fn content_hash(&self) -> u64 {
        twox_hash::XxHash3_64::oneshot(
            &[self.name.as_bytes(), &[0], self.payload.as_str().as_bytes()].concat(),
        )
    }
}

/// Refuses payloads of later versions. The next step would lose fields unknown to this build (rule R34).
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
