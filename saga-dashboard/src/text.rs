//! Texts for pages: ages, numbers, addresses and JSON.

use std::fmt::Write;
use std::time::Duration;

use saga_core::message::Timestamp;
use saga_core::store::Address;

/// The most bytes of a payload on a page.
const SHOWN: usize = 64 * 1024;

/// Returns the length of a time in one unit, or in two if `both` is set.
pub(crate) fn length(time: Duration, both: bool) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = time.as_secs();
    let Some(at) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return format!("{}\u{a0}ms", time.as_millis());
    };
    let (unit, name) = UNITS[at];
    let mut text = format!("{}\u{a0}{name}", seconds / unit);
    if let (true, Some((next, name))) = (both, UNITS.get(at + 1)) {
        let rest = seconds % unit / next;
        if rest > 0 {
            // Writing to a string does not fail.
            let _ = write!(text, " {rest}\u{a0}{name}");
        }
    }
    text
}

/// Returns a number with a comma after each three digits.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a count with its noun.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", number(n), if n == 1 { one } else { many })
}

/// Returns the text as a part of an address: each byte except letters, digits, `_`, `-` and `.` is `%` and two digits.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'_' | b'-' | b'.' => encoded.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            // Writing to a string does not fail.
            byte => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

/// Returns a query of these fields. Empty values are left out.
pub(crate) fn query(fields: &[(&str, &str)]) -> String {
    let set = fields.iter().filter(|(_, value)| !value.is_empty());
    let parts: Vec<String> = set.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// Returns the address of the page of an instance, below the dashboard, with more fields.
pub(crate) fn instance_address(of: &Address, more: &[(&str, &str)]) -> String {
    let name = if of.key.is_alias() { "alias" } else { "key" };
    let mut fields = vec![("saga", &*of.saga), (name, of.key.text())];
    fields.extend(more);
    format!("/instance{}", query(&fields))
}

/// The value of a ticked instance: what the person has seen.
pub(crate) fn pick(to: &Address, seq: u64, created: Timestamp) -> String {
    format!("{}\n{seq}\n{}\n{}", to.saga, created.as_millis(), to.key.text())
}

/// Returns JSON with a line for each field and element. Numbers keep their digits. A text that is not JSON comes back
/// unchanged.
pub(crate) fn pretty(json: &str) -> String {
    if json.len() > SHOWN {
        let end = (0..=SHOWN).rev().find(|end| json.is_char_boundary(*end)).unwrap_or_default();
        return format!(
            "{}…\n({} bytes; `saga show -o json` prints all of them)",
            &json[..end],
            number(json.len() as u64)
        );
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
        return json.to_owned();
    }
    let (mut out, mut depth, mut in_text, mut escaped) =
        (String::with_capacity(json.len() * 2), 0, false, false);
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if out.len() > 4 * SHOWN {
            out.push('…');
            break;
        }
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.peek().is_some_and(|c| c.is_whitespace()) {
                    chars.next();
                }
                if let Some(end) = chars.next_if(|end| matches!(end, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_one_unit_in_tables_and_two_in_sentences() {
        let cases =
            [(0, "0\u{a0}ms", "0\u{a0}ms"), (59, "59\u{a0}s", "59\u{a0}s"), (60, "1\u{a0}min", "1\u{a0}min")];
        let more = [
            (3_725, "1\u{a0}h", "1\u{a0}h 2\u{a0}min"),
            (90_000, "1\u{a0}d", "1\u{a0}d 1\u{a0}h"),
            (86_400 * 40, "40\u{a0}d", "40\u{a0}d"),
        ];
        for (seconds, one, two) in cases.into_iter().chain(more) {
            let time = Duration::from_secs(seconds);
            assert_eq!((&*length(time, false), &*length(time, true)), (one, two));
        }
        assert_eq!(length(Duration::from_millis(999), true), "999\u{a0}ms");
    }

    #[test]
    fn numbers_have_commas() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_048_212, "1,048,212")] {
            assert_eq!(number(n), text);
        }
    }

    #[test]
    fn an_address_has_only_safe_characters() {
        assert_eq!(query(&[("saga", "a&b=\"c"), ("state", ""), ("q", "ä")]), "?saga=a%26b%3D%22c&q=%C3%A4");
        assert_eq!(query(&[("saga", "")]), "");
    }

    #[test]
    fn json_is_broken_into_lines_and_keeps_its_digits() {
        let json = r#"{"a":1.10,"b":[],"c":{"d":"x, \"y\": {","e":[1,{ }]}}"#;
        let lines = "{\n  \"a\": 1.10,\n  \"b\": [],\n  \"c\": {\n    \"d\": \"x, \\\"y\\\": {\",\n    \"e\": [\n      1,\n      {}\n    ]\n  }\n}";
        assert_eq!(pretty(json), lines);
        assert_eq!(pretty("{\"a\":"), "{\"a\":");
        assert!(pretty(&format!("\"{}\"", "ä".repeat(SHOWN))).len() < SHOWN + 100);
    }
}
