//! A value that `Debug`, logs and tools do not show.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// The name by which the shape of a type shows its sensitive places.
pub(crate) const SENSITIVE: &str = "saga::Sensitive";
/// The error about a sensitive value.
pub(crate) const INVALID: &str = "a sensitive value is not valid";
/// The text that is shown instead of a sensitive value.
pub const MASK: &str = "***";

thread_local! {
    /// The sensitive values that this thread has written.
    static MET: Cell<u64> = const { Cell::new(0) };
    /// Whether this thread writes the mask instead of each value.
    static MASKING: Cell<bool> = const { Cell::new(false) };
}

/// Returns the number of sensitive values that this thread has written so far.
pub(crate) fn met() -> u64 {
    MET.get()
}

/// Runs `write`, in which each sensitive value is written as the mask.
pub(crate) fn masking<T>(write: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            MASKING.set(false);
        }
    }
    let _reset = Reset;
    MASKING.set(true);
    write()
}

/// A value in a message, in the data or in the payload of a state that the log and the tools must not show.
///
/// `Debug` is `***`. The command line and the dashboard show `***` at its place, also inside lists and options. An error
/// about it does not quote it. The store keeps the value as it is, so that handlers can use it: protect the file.
///
/// The place is found by the shape of the type. Some types have no places that a shape can show: tagged and untagged enums,
/// a struct with `#[serde(flatten)]`, a value behind a field with few valid values, or the key of a map. A message or data
/// with a sensitive value at such a place is refused with
/// [`PayloadError::Exposed`](crate::message::PayloadError::Exposed): name a place around it in `redact(..)` of the derive.
///
/// Write `Option<Sensitive<T>>` and not `Sensitive<Option<T>>` for a field that may be missing.
///
/// There is no `Display`, because a key could become `***`.
///
/// ```
/// use saga_core::message::Sensitive;
///
/// let iban = Sensitive::new("DE02120300000000202051".to_owned());
/// assert_eq!(format!("{iban:?}"), "***");
/// assert_eq!(iban.expose().len(), 22);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Returns the value for a change.
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }

    /// Returns the value, and ends its protection.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// The value alone.
impl<T: Serialize> Serialize for Sensitive<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MET.set(MET.get().wrapping_add(1));
        if MASKING.get() {
            serializer.serialize_str(MASK)
        } else {
            serializer.serialize_newtype_struct(SENSITIVE, &self.0)
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sensitive<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Inner<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Inner<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sensitive value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
                // The error of the type may quote the value.
                T::deserialize(deserializer).map_err(|_| D::Error::custom(INVALID))
            }
        }

        deserializer.deserialize_newtype_struct(SENSITIVE, Inner(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_that_of_the_value_and_debug_shows_nothing() {
        let value = Sensitive::new(vec![1, 2]);
        assert_eq!(serde_json::to_string(&value).unwrap(), "[1,2]");
        assert_eq!(serde_json::from_str::<Sensitive<Vec<u8>>>("[1,2]").unwrap(), value);
        assert_eq!(format!("{:?} {:#?}", value, Some(value.clone())), "*** Some(\n    ***,\n)");
    }

    #[test]
    fn an_error_does_not_quote_the_value() {
        let error = serde_json::from_str::<Sensitive<u8>>("\"4111\"").unwrap_err().to_string();
        assert!(error.contains("a sensitive value is not valid") && !error.contains("4111"), "{error}");
    }
}
