//! The business identity of an instance.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use twox_hash::XxHash3_64;

/// The longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 256;

/// What the stored form of an alias begins with. No key does, so that the two never meet.
const ALIAS: char = '\u{1}';

/// The business identity of an instance within its saga, such as `order-1017`, or an alias it has claimed.
///
/// One to [`MAX_KEY_BYTES`] bytes of UTF-8 without control characters. Keys compare as bytes: `A` and `a` differ,
/// and nothing is trimmed or normalised. A key and an alias of the same text are different.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Checks `text` and makes it a key.
    ///
    /// # Errors
    /// When `text` is empty, longer than [`MAX_KEY_BYTES`], or holds a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong { bytes: text.len() });
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(KeyError::Control { at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The alias `text`: a further name that at most one instance of a saga has claimed (rule R35).
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn alias(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let key = Self::new(text)?;
        Ok(Self(format!("{ALIAS}{}", key.0).into()))
    }

    /// Reads back what [`as_str`](Self::as_str) gave, for stores.
    ///
    /// # Errors
    /// When it cannot have come from there.
    pub fn from_stored(text: &str) -> Result<Self, KeyError> {
        match text.strip_prefix(ALIAS) {
            Some(alias) => Self::alias(alias),
            None => Self::new(text),
        }
    }

    /// Whether it is an alias.
    pub fn is_alias(&self) -> bool {
        self.0.starts_with(ALIAS)
    }

    /// The stored form: the key as it was written; of an alias, with a control character before it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it was written: the key, or the alias.
    pub fn text(&self) -> &str {
        self.0.strip_prefix(ALIAS).unwrap_or(&self.0)
    }

    /// The partition of this key in the saga `saga`, from 0 to 255: XXH3-64 (seed 0) of the saga's name, a zero byte
    /// and the key, modulo 256. Part of the stored format; it never changes.
    pub fn partition(&self, saga: &str) -> u8 {
        let mut bytes = [0_u8; 2 * MAX_KEY_BYTES + 1];
        let length = saga.len() + 1 + self.0.len();
        let hash = if let Some(buffer) = bytes.get_mut(..length) {
            buffer[..saga.len()].copy_from_slice(saga.as_bytes());
            buffer[saga.len() + 1..].copy_from_slice(self.0.as_bytes());
            XxHash3_64::oneshot(buffer)
        } else {
            XxHash3_64::oneshot(&[saga.as_bytes(), &[0], self.0.as_bytes()].concat())
        };
        // Modulo 256 is the low byte.
        hash.to_le_bytes()[0]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Key {
    type Error = KeyError;
    fn try_from(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

/// The key of several fields: joined with `/`, which is written `%2F` inside a part (and `%` as `%25`), so that different
/// parts never make one key. Empty when any part is, and so no key at all.
#[doc(hidden)]
pub fn join_key(parts: &[String]) -> String {
    if parts.iter().any(String::is_empty) {
        return String::new();
    }
    let escaped = parts.iter().map(|part| part.replace('%', "%25").replace('/', "%2F"));
    escaped.collect::<Vec<_>>().join("/")
}

/// Why a text cannot be a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key has no bytes at all.
    #[error("the key is empty; an event must name the instance it is for")]
    Empty,
    /// The key is longer than [`MAX_KEY_BYTES`].
    #[error("the key has {bytes} bytes, more than the limit of {MAX_KEY_BYTES}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The key holds a control character.
    #[error("the key holds a control character at byte {at}; keys are printable text")]
    Control {
        /// Where, counted in bytes from zero.
        at: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_keys_are_named() {
        assert_eq!(Key::new(""), Err(KeyError::Empty));
        assert!(Key::new("x").is_ok() && Key::new("x".repeat(256)).is_ok());
        assert_eq!(Key::new("x".repeat(257)), Err(KeyError::TooLong { bytes: 257 }));
        assert_eq!(Key::new("x".repeat(10_000)), Err(KeyError::TooLong { bytes: 10_000 }));
        assert_eq!(Key::new("a\u{0}b"), Err(KeyError::Control { at: 1 }));
        assert_eq!(Key::new("Zürich 1").map(|k| k.to_string()), Ok("Zürich 1".to_owned()));
    }

    #[test]
    fn r35_an_alias_is_no_key_and_is_read_back_as_one() {
        let (alias, key) = (Key::alias("pay-1").unwrap(), Key::new("pay-1").unwrap());
        assert_ne!(alias, key);
        assert!(alias.is_alias() && !key.is_alias());
        assert_eq!((alias.text(), alias.to_string().as_str(), key.text()), ("pay-1", "pay-1", "pay-1"));
        assert_eq!(Key::from_stored(alias.as_str()), Ok(alias.clone()));
        assert_eq!(Key::from_stored(key.as_str()), Ok(key));
        assert_eq!(Key::alias(""), Err(KeyError::Empty));
        assert_eq!(Key::new(alias.as_str()), Err(KeyError::Control { at: 0 }), "nobody can forge one");
    }

    #[test]
    fn r35_keys_of_several_fields_never_meet_and_none_of_them_is_empty() {
        let key = |a: &str, b: &str| join_key(&[a.to_owned(), b.to_owned()]);
        assert_eq!(key("bank", "account"), "bank/account");
        assert_ne!(key("a/b", "c"), key("a", "b/c"));
        assert_ne!(key("a%2Fb", "c"), key("a/b", "c"));
        assert_eq!(key("", "account"), "");
    }

    #[test]
    fn r35_partition_is_a_published_constant() {
        let partition = |saga: &str, key: &str| Key::new(key).unwrap().partition(saga);
        assert_eq!(
            partition("order", "order-1017"),
            XxHash3_64::oneshot(b"order\0order-1017").to_le_bytes()[0]
        );
        let long = "s".repeat(600);
        assert_eq!(
            partition(&long, "k"),
            XxHash3_64::oneshot([long.as_bytes(), b"\0k"].concat().as_slice()).to_le_bytes()[0]
        );
        // Written down, so that a changed hash or separator cannot pass unnoticed.
        assert_eq!(
            [partition("order", "order-1017"), partition("order", "a"), partition("", "k")],
            [54, 237, 134]
        );
    }
}
