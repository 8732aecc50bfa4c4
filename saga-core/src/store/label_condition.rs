//! Conditions on labels, for lists of instances.

use std::fmt;
use std::str::FromStr;

use super::Labels;
use crate::message::{LabelValue, cut_label};

/// A condition on one label.
///
/// `FromStr` and `Display` use the form of the command line:
///
/// | text | meaning |
/// |---|---|
/// | `customer=C-7` | [`LabelTest::Equal`] |
/// | `customer^=C-` | [`LabelTest::Prefix`] |
/// | `total>=100` | [`LabelTest::AtLeast`] |
/// | `total<=200` | [`LabelTest::AtMost`] |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelCondition {
    /// The name of the label.
    pub name: String,
    /// The test of its value. An instance without the label fails every test.
    pub test: LabelTest,
}

/// A test of the value of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelTest {
    /// The value, written as text, is this text. The text `42` therefore equals the integer 42. Only this test uses the
    /// index of labels.
    Equal(String),
    /// The value, written as text, begins with this text.
    Prefix(String),
    /// The value is an integer, and not smaller.
    AtLeast(i64),
    /// The value is an integer, and not larger.
    AtMost(i64),
}

impl LabelCondition {
    /// Returns a condition.
    pub fn new(name: impl Into<String>, test: LabelTest) -> Self {
        Self { name: name.into(), test }
    }

    /// Returns a condition for equality.
    pub fn equal(name: impl Into<String>, value: impl fmt::Display) -> Self {
        Self::new(name, LabelTest::Equal(value.to_string()))
    }

    /// Returns whether the labels meet the condition.
    pub fn holds(&self, labels: &Labels) -> bool {
        match (labels.get(&self.name), &self.test) {
            (Some(value), LabelTest::Equal(_)) => {
                let (text, integer) = self.values().unwrap_or_default();
                match value {
                    LabelValue::Text(value) => value == text,
                    LabelValue::Integer(value) => Some(*value) == integer,
                }
            }
            (Some(LabelValue::Text(text)), LabelTest::Prefix(prefix)) => text.starts_with(cut_label(prefix)),
            (Some(LabelValue::Integer(number)), LabelTest::Prefix(prefix)) => {
                number.to_string().starts_with(&**prefix)
            }
            (Some(LabelValue::Integer(number)), LabelTest::AtLeast(least)) => number >= least,
            (Some(LabelValue::Integer(number)), LabelTest::AtMost(most)) => number <= most,
            (Some(LabelValue::Text(_)), LabelTest::AtLeast(_) | LabelTest::AtMost(_)) | (None, _) => false,
        }
    }

    /// Returns the text and the integer to which a value must be equal, for stores with an index. `None` for another
    /// test.
    pub fn values(&self) -> Option<(&str, Option<i64>)> {
        let LabelTest::Equal(text) = &self.test else { return None };
        // Only the form of `Display` equals an integer: `042` and `+42` are texts.
        let integer = text.parse::<i64>().ok().filter(|number| number.to_string() == *text);
        Some((cut_label(text), integer))
    }
}

impl fmt::Display for LabelCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.test {
            LabelTest::Equal(text) => write!(f, "{name}={text}"),
            LabelTest::Prefix(text) => write!(f, "{name}^={text}"),
            LabelTest::AtLeast(number) => write!(f, "{name}>={number}"),
            LabelTest::AtMost(number) => write!(f, "{name}<={number}"),
        }
    }
}

/// The text is not a condition on a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a condition on a label; write `customer=C-7`, `customer^=C-`, `total>=100` or `total<=200`"
)]
#[non_exhaustive]
pub struct LabelConditionError {
    text: String,
}

impl FromStr for LabelCondition {
    type Err = LabelConditionError;

    fn from_str(text: &str) -> Result<Self, LabelConditionError> {
        let parse = || {
            let (left, value) = text.split_once('=')?;
            let (name, test) = match left.char_indices().next_back()? {
                (at, '^') => (&left[..at], LabelTest::Prefix(value.to_owned())),
                (at, '>') => (&left[..at], LabelTest::AtLeast(value.trim().parse().ok()?)),
                (at, '<') => (&left[..at], LabelTest::AtMost(value.trim().parse().ok()?)),
                _ => (left, LabelTest::Equal(value.to_owned())),
            };
            let name = name.trim();
            (!name.is_empty()).then(|| Self::new(name, test))
        };
        parse().ok_or_else(|| LabelConditionError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let mut labels = Labels::new();
        labels.set("customer", LabelValue::text("C-7"));
        labels.set("number", LabelValue::text("42"));
        labels.set("total", LabelValue::Integer(42));
        labels.set("long", LabelValue::text("x".repeat(300)));
        labels
    }

    #[test]
    fn conditions_are_read_and_written() {
        for text in ["customer=C-7", "customer=", "a=b=c", "customer^=C-", "total>=-100", "total<=200"] {
            assert_eq!(text.parse::<LabelCondition>().unwrap().to_string(), text);
        }
        for text in ["", "customer", "=x", "^=x", "total>=many", "total<=", " =x"] {
            let error = text.parse::<LabelCondition>().unwrap_err();
            assert!(error.to_string().contains("total>=100"), "{error}");
        }
    }

    #[test]
    fn a_condition_holds_for_a_value() {
        let long = format!("long={}", "x".repeat(280));
        for (text, expected) in [
            ("customer=C-7", true),
            ("customer=C", false),
            ("customer^=C", true),
            ("customer^=D", false),
            ("customer>=1", false),
            ("number=42", true),
            ("total=42", true),
            ("total=042", false),
            ("total^=4", true),
            ("total>=42", true),
            ("total>=43", false),
            ("total<=42", true),
            ("total<=41", false),
            ("none=42", false),
            (&*long, true),
        ] {
            assert_eq!(text.parse::<LabelCondition>().unwrap().holds(&labels()), expected, "{text}");
        }
    }
}
