//! The trace context of a message: the `traceparent` of W3C Trace Context, level 1.

use std::fmt;
use std::str::FromStr;

/// The place of a message in a distributed trace.
///
/// `FromStr` and `Display` use the form of the HTTP header `traceparent`:
/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. A later version of the header is read as far as version 00
/// knows it, as [W3C Trace Context](https://www.w3.org/TR/trace-context/) asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Returns a context. `None` if the id of the trace or of the span is zero, which W3C forbids.
    pub fn new(trace_id: u128, span_id: u64, flags: u8) -> Option<Self> {
        let context = Self { trace: trace_id.to_be_bytes(), span: span_id.to_be_bytes(), flags };
        (trace_id != 0 && span_id != 0).then_some(context)
    }

    /// Returns the id of the trace.
    pub const fn trace_id(&self) -> u128 {
        u128::from_be_bytes(self.trace)
    }

    /// Returns the id of the span that caused the message.
    pub const fn span_id(&self) -> u64 {
        u64::from_be_bytes(self.span)
    }

    /// Returns the flags. The lowest bit says whether the trace is sampled.
    pub const fn flags(&self) -> u8 {
        self.flags
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A step writes this text into several rows, and three formatted numbers cost ten times as much.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        hex(&mut text[3..35], &self.trace);
        hex(&mut text[36..52], &self.span);
        hex(&mut text[53..], &[self.flags]);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes two digits for each byte.
fn hex(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

/// The text is not a `traceparent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error(
    "the text is not a `traceparent` of W3C Trace Context, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)]
#[non_exhaustive]
pub struct TraceContextError;

impl FromStr for TraceContext {
    type Err = TraceContextError;

    fn from_str(text: &str) -> Result<Self, TraceContextError> {
        parse(text).ok_or(TraceContextError)
    }
}

fn parse(text: &str) -> Option<TraceContext> {
    let (known, rest) = text.split_at_checked(55)?;
    let mut parts = known.split('-');
    let mut part = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| u128::from_str_radix(part, 16).ok()).flatten()
    };
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    // Version 255 is invalid. Version 0 ends here, and a later version goes on behind a dash.
    if version == 255 || !(rest.is_empty() || version > 0 && rest.starts_with('-')) || parts.next().is_some()
    {
        return None;
    }
    TraceContext::new(trace, u64::try_from(span).ok()?, u8::try_from(flags).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let context: TraceContext = TEXT.parse().unwrap();
        assert_eq!(context.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span_id(), context.flags()), (0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(context.to_string(), TEXT);
        let later = TEXT.replacen("00", "7f", 1);
        assert_eq!(later.parse(), Ok(context));
        assert_eq!(format!("{later}-more").parse(), Ok(context));
    }

    #[test]
    fn no_other_text_is_a_traceparent() {
        let zero = TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        for text in [
            "",
            "00",
            &TEXT[1..],
            &format!("{TEXT}-more"),
            &format!("{TEXT}0"),
            &TEXT.to_uppercase(),
            &TEXT.replacen("00", "ff", 1),
            &TEXT.replace('-', "_"),
            &TEXT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &zero,
            &"é".repeat(40),
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(TraceContextError), "{text}");
        }
    }
}
