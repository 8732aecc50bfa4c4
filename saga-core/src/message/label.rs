//! Labels: the fields of the data by which people search instances.
//!
//! Owns: the values of labels, and the conversion of a field. Does not own: the names of labels (the table of the saga), or
//! the index (the store).

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Alias, Key, Timestamp};

/// The longest text of a label in bytes. Longer texts are cut.
pub(crate) const MAX_LABEL_BYTES: usize = 256;

/// The value of a label: a text or an integer.
///
/// `Display` returns the value alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelValue {
    /// An integer.
    Integer(i64),
    /// A text of at most 256 bytes.
    Text(String),
}

impl LabelValue {
    /// Returns a text value. A longer text is cut behind its last whole character within 256 bytes.
    pub fn text(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(cut(&text).len());
        Self::Text(text)
    }

    /// Returns the value as a label keeps it.
    pub(crate) fn cut(self) -> Self {
        match self {
            Self::Text(text) => Self::text(text),
            number => number,
        }
    }

    /// Returns the text of a text value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) => None,
        }
    }

    /// Returns the number of an integer value.
    pub const fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for LabelValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Returns the part of a text that a label keeps.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_LABEL_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A type of field that can be a label: `#[saga(.., label(customer, total))]`.
///
/// Implemented for texts, keys, `bool`, integers up to 64 bits, [`Timestamp`] (milliseconds since 1970), references, and
/// for `Option` of these. `None` means that the instance does not have the label.
///
/// Implement it for a type of your own by its field:
///
/// ```
/// # use saga_core::message::{Label, LabelValue};
/// struct CustomerId(String);
///
/// impl Label for CustomerId {
///     fn label(&self) -> Option<LabelValue> {
///         self.0.label()
///     }
/// }
/// # assert_eq!(CustomerId("C-7".to_owned()).label(), Some(LabelValue::text("C-7")));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a label",
    label = "this field cannot be a label",
    note = "a label is a text or an integer; implement `saga::Label` for the type of the field"
)]
pub trait Label {
    /// Returns the value. It must be the same for the same field, because the store compares values for equality.
    fn label(&self) -> Option<LabelValue>;
}

macro_rules! texts {
    ($($type:ty),*) => {$(
        impl Label for $type {
            fn label(&self) -> Option<LabelValue> {
                Some(LabelValue::Text(cut(self.as_ref()).to_owned()))
            }
        }
    )*};
}

texts!(str, String, Box<str>, Rc<str>, Arc<str>, Cow<'_, str>);

impl Label for Key {
    fn label(&self) -> Option<LabelValue> {
        self.as_str().label()
    }
}

impl Label for Alias {
    fn label(&self) -> Option<LabelValue> {
        self.as_str().label()
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Label for $type {
            fn label(&self) -> Option<LabelValue> {
                Some(LabelValue::Integer(i64::from(*self)))
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32);

/// A value above `i64::MAX` is stored as `i64::MAX`.
impl Label for u64 {
    fn label(&self) -> Option<LabelValue> {
        Some(LabelValue::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
    }
}

/// A value above `i64::MAX` is stored as `i64::MAX`.
impl Label for usize {
    fn label(&self) -> Option<LabelValue> {
        Some(LabelValue::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
    }
}

/// The text `true` or `false`.
impl Label for bool {
    fn label(&self) -> Option<LabelValue> {
        if *self { "true" } else { "false" }.label()
    }
}

/// The milliseconds since 1970-01-01 UTC.
impl Label for Timestamp {
    fn label(&self) -> Option<LabelValue> {
        Some(LabelValue::Integer(self.as_millis()))
    }
}

impl<T: Label> Label for Option<T> {
    fn label(&self) -> Option<LabelValue> {
        self.as_ref().and_then(T::label)
    }
}

impl<T: Label + ?Sized> Label for &T {
    fn label(&self) -> Option<LabelValue> {
        T::label(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_texts_and_integers() {
        let integer = |number| Some(LabelValue::Integer(number));
        assert_eq!("C-7".label(), Some(LabelValue::text("C-7")));
        assert_eq!(7_u8.label(), integer(7));
        assert_eq!((-7_i64).label(), integer(-7));
        assert_eq!(u64::MAX.label(), integer(i64::MAX));
        assert_eq!(true.label(), Some(LabelValue::text("true")));
        assert_eq!(Timestamp::from_millis(5).label(), integer(5));
        assert_eq!(Some("x".to_owned()).label(), Some(LabelValue::text("x")));
        assert_eq!(None::<u32>.label(), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "x".repeat(255) + "éé";
        assert_eq!(long.label(), Some(LabelValue::Text("x".repeat(255))));
        assert_eq!(LabelValue::text(long.clone()), long.label().unwrap());
        let fits = "é".repeat(128);
        assert_eq!(fits.label(), Some(LabelValue::Text(fits.clone())));
    }

    #[test]
    fn json_keeps_the_type() {
        for value in [LabelValue::Integer(-4), LabelValue::text("42"), LabelValue::text("")] {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<LabelValue>(&json).unwrap(), value, "{json}");
        }
    }
}
