//! The body of a dead letter.

use saga_core::message::{MessageId, Payload, Timestamp, TraceContext};
use saga_core::store::{DeadLetter, DeadLetterReason, MailKind};
use saga_stored::json;
use serde::Deserialize;
use serde::de::Error;

use super::mail::{address, unknown};
use super::message;

pub(crate) fn write_letter(letter: &DeadLetter) -> String {
    let mut out = super::begin(&letter.message);
    json::count(&mut out, "hops", letter.hops);
    json::trace(&mut out, letter.trace);
    json::text(&mut out, "detail", &letter.detail);
    out.push('}');
    out
}

#[derive(Deserialize)]
struct Body {
    name: String,
    version: u32,
    #[serde(deserialize_with = "json::raw")]
    payload: Payload,
    #[serde(default)]
    hops: u32,
    #[serde(default, deserialize_with = "json::read_trace")]
    trace: Option<TraceContext>,
    detail: String,
}

/// The columns of a dead letter beside its body.
pub(crate) struct Columns<'a> {
    pub(crate) consumer: &'a str,
    pub(crate) key: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) id: Option<&'a str>,
    pub(crate) reason: &'a str,
    pub(crate) times: i64,
    pub(crate) at: i64,
}

/// Reads a dead letter.
pub(crate) fn read_letter(columns: &Columns<'_>, body: &str) -> serde_json::Result<DeadLetter> {
    let body: Body = serde_json::from_str(body)?;
    Ok(DeadLetter {
        to: address(columns.consumer, columns.key)?,
        kind: MailKind::parse(columns.kind).ok_or_else(|| unknown(columns.kind))?,
        message: message(body.name, body.version, body.payload),
        id: columns.id.map(MessageId::new).transpose().map_err(Error::custom)?,
        hops: body.hops,
        trace: body.trace,
        reason: DeadLetterReason::from_word(columns.reason.to_owned()),
        detail: body.detail,
        times: u32::try_from(columns.times).unwrap_or(u32::MAX),
        at: Timestamp::from_millis(columns.at),
    })
}
