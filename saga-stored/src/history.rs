//! The body of a history line: a JSON array. Names of fields would be a third of the text.
//!
//! `[SEQ,KIND,AT,NAME,FROM,TO,CAUSE,NOTE,PAYLOAD]`. A missing cause or note is null. A missing payload is left out,
//! because null is also a payload.

use std::fmt;

use saga_core::message::{Payload, Timestamp};
use saga_core::store::{HistoryEntry, HistoryKind, HistoryRow};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{self, Text};

/// Appends the body.
pub fn write(out: &mut String, seq: u64, entry: &HistoryEntry) {
    let mut number = itoa::Buffer::new();
    out.push('[');
    out.push_str(number.format(seq));
    out.push(',');
    json::string(out, entry.kind.as_str());
    out.push(',');
    out.push_str(number.format(entry.at.as_millis()));
    for text in [&entry.name, &entry.from, &entry.to] {
        out.push(',');
        json::string(out, text);
    }
    for text in [&entry.cause, &entry.note] {
        out.push(',');
        match text {
            Some(text) => json::string(out, text),
            None => out.push_str("null"),
        }
    }
    if let Some(payload) = &entry.payload {
        out.push(',');
        out.push_str(payload.as_str());
    }
    out.push(']');
}

/// Reads the body of a line.
///
/// # Errors
/// The text is not a line.
pub fn read(body: &str) -> serde_json::Result<HistoryRow> {
    serde_json::from_str(body).map(|Line(row)| row)
}

/// Returns the number of the step in a damaged body, as far as it can be read.
pub fn seq(body: &str) -> u64 {
    let digits = body.strip_prefix('[').unwrap_or_default();
    digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Returns the line in place of one that cannot be read. Its note is the error, and the other lines stay visible.
pub fn unreadable(body: &str, error: impl fmt::Display) -> HistoryRow {
    let entry = HistoryEntry {
        kind: HistoryKind::Unreadable,
        at: Timestamp::EPOCH,
        name: "".into(),
        payload: None,
        from: "".into(),
        to: "".into(),
        cause: None,
        note: Some(error.to_string().into()),
    };
    HistoryRow { seq: seq(body), entry }
}

struct Line(HistoryRow);

impl<'t> Deserialize<'t> for Line {
    fn deserialize<D: Deserializer<'t>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ReadLine)
    }
}

struct ReadLine;

impl<'t> Visitor<'t> for ReadLine {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the array of a history line")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut all: A) -> Result<Line, A::Error> {
        fn next<'t, T: Deserialize<'t>, A: SeqAccess<'t>>(all: &mut A) -> Result<T, A::Error> {
            all.next_element()?.ok_or_else(|| A::Error::custom("a history line is too short"))
        }
        let seq = next(&mut all)?;
        let kind = HistoryKind::from_word(next::<Text<'_>, A>(&mut all)?.into_name());
        let at = Timestamp::from_millis(next(&mut all)?);
        let name = next::<Text<'_>, A>(&mut all)?.into_name();
        let from = next::<Text<'_>, A>(&mut all)?.into_name();
        let to = next::<Text<'_>, A>(&mut all)?.into_name();
        let cause = next::<Option<Text<'_>>, A>(&mut all)?.map(Text::into_name);
        let note = next::<Option<Text<'_>>, A>(&mut all)?.map(Text::into_name);
        let payload = all.next_element::<&RawValue>()?.map(|payload| Payload::from(payload.get()));
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Line(HistoryRow { seq, entry: HistoryEntry { kind, at, name, payload, from, to, cause, note } }))
    }
}

#[cfg(test)]
mod tests {
    use saga_core::store::conformance::{address, create};

    use super::*;

    #[test]
    fn a_line_is_read_back() {
        let full = create(&address("a")).history.remove(0);
        let bare = HistoryEntry { payload: None, cause: None, note: None, ..full.clone() };
        let unit = HistoryEntry { payload: Some(Payload::from("null")), ..full.clone() };
        for entry in [full, bare, unit] {
            let mut body = String::new();
            write(&mut body, 7, &entry);
            assert_eq!(seq(&body), 7);
            assert_eq!(read(&body).unwrap(), HistoryRow { seq: 7, entry });
        }
    }
}
