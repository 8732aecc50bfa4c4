//! Writing and reading of single JSON values. Values are appended to one text, without intermediate strings.

use std::borrow::Cow;
use std::fmt::Write;

use saga_core::message::{LabelValue, Payload, TraceContext};
use saga_core::store::Labels;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Appends `,"name":` and the number.
pub fn number(out: &mut String, name: &str, value: impl itoa::Integer) {
    field(out, name);
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends the field if the number is not zero. A missing field is read as zero.
pub fn count(out: &mut String, name: &str, value: impl itoa::Integer + Default + PartialEq + Copy) {
    if value != Default::default() {
        number(out, name, value);
    }
}

/// Appends `,"name":` and the string.
pub fn text(out: &mut String, name: &str, value: &str) {
    field(out, name);
    string(out, value);
}

/// Appends the field if there is a string.
pub fn maybe_text(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        text(out, name, value);
    }
}

/// Appends the trace context, if there is one.
pub fn trace(out: &mut String, trace: Option<TraceContext>) {
    if let Some(trace) = trace {
        field(out, "trace");
        // The text has no character to escape, and a `String` takes every text.
        let _ = write!(out, "\"{trace}\"");
    }
}

/// Reads a trace context. A damaged one is as none: it decides nothing.
///
/// # Errors
/// The JSON is of another type.
pub fn read_trace<'t, D: Deserializer<'t>>(json: D) -> Result<Option<TraceContext>, D::Error> {
    Ok(Option::<Cow<'t, str>>::deserialize(json)?.and_then(|text| text.parse().ok()))
}

/// Appends the labels, if there are any.
pub fn labels(out: &mut String, labels: &Labels) {
    if labels.is_empty() {
        return;
    }
    field(out, "labels");
    for (at, (name, value)) in labels.iter().enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        string(out, name);
        out.push(':');
        match value {
            LabelValue::Integer(number) => out.push_str(itoa::Buffer::new().format(*number)),
            LabelValue::Text(text) => string(out, text),
        }
    }
    out.push('}');
}

/// Appends `,"name":` and the JSON of the payload.
pub fn payload(out: &mut String, name: &str, value: &Payload) {
    field(out, name);
    out.push_str(value.as_str());
}

/// Appends the field if there is a payload.
pub fn maybe_payload(out: &mut String, name: &str, value: Option<&Payload>) {
    if let Some(value) = value {
        payload(out, name, value);
    }
}

/// Appends the name of the next field. `name` needs no escapes.
pub fn field(out: &mut String, name: &str) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
}

/// Appends a JSON string.
pub fn string(out: &mut String, value: &str) {
    out.push('"');
    escaped(out, value);
    out.push('"');
}

/// Appends the content of a JSON string. Nearly all texts need no escapes.
pub fn escaped(out: &mut String, value: &str) {
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        // Each of these bytes is a character of its own. Both ends are therefore ends of characters.
        out.push_str(&value[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&value[plain..]);
}

/// A JSON string, borrowed from the text if it has no escapes.
#[derive(Debug, Deserialize)]
pub struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

impl Text<'_> {
    /// Returns the string as a name.
    pub fn into_name(self) -> saga_core::message::Name {
        Cow::Owned(self.0.into_owned())
    }

    /// Returns the string.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Reads the JSON of a payload as it was written.
///
/// # Errors
/// The JSON is of another type.
pub fn raw<'t, D: Deserializer<'t>>(json: D) -> Result<Payload, D::Error> {
    <&RawValue>::deserialize(json).map(|value| Payload::from(value.get()))
}

/// Reads the JSON of a present payload. The payload `null` is not a missing payload.
///
/// # Errors
/// The JSON is of another type.
pub fn present<'t, D: Deserializer<'t>>(json: D) -> Result<Option<Payload>, D::Error> {
    raw(json).map(Some)
}

/// Reads a word with the function `parse`. An unknown word is an error.
///
/// # Errors
/// The JSON is of another type.
pub fn word<'t, T, D: Deserializer<'t>>(json: D, parse: fn(&str) -> Option<T>) -> Result<T, D::Error> {
    let text = Text::deserialize(json)?;
    parse(&text)
        .ok_or_else(|| D::Error::custom(format!("this version does not know the stored word `{}`", &*text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_back_as_they_were_written() {
        let all: String = (0..0x250).filter_map(char::from_u32).chain("名前 🚂".chars()).collect();
        for text in ["", "plain", "\"", "\\", "a\nb\u{1}", &all] {
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            assert!(!out.contains('\n'), "a line end separates pending items");
        }
    }
}
