//! The body of an inbox row.

use saga_core::message::{InstanceName, MessageId, Payload, Timestamp, TraceContext};
use saga_core::store::{Address, Mail, MailKind, TaskId};
use saga_stored::json;
use serde::Deserialize;
use serde::de::Error;

use super::message;

pub(crate) fn write_mail(mail: &Mail) -> String {
    let mut out = super::begin(&mail.message);
    json::number(&mut out, "at", mail.at.as_millis());
    json::count(&mut out, "epoch", mail.epoch);
    json::count(&mut out, "hops", mail.hops);
    json::count(&mut out, "deduplicated", u8::from(mail.deduplicated));
    if let Some(task) = mail.task {
        json::number(&mut out, "task_seq", task.seq);
        json::number(&mut out, "task_ord", task.ord);
    }
    json::maybe_text(&mut out, "cause", mail.cause.as_deref());
    json::trace(&mut out, mail.trace);
    out.push('}');
    out
}

#[derive(Deserialize)]
struct Body {
    name: String,
    version: u32,
    #[serde(deserialize_with = "json::raw")]
    payload: Payload,
    at: i64,
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    hops: u32,
    #[serde(default)]
    deduplicated: u8,
    #[serde(default)]
    task_seq: Option<u64>,
    #[serde(default)]
    task_ord: u32,
    #[serde(default)]
    cause: Option<String>,
    #[serde(default, deserialize_with = "json::read_trace")]
    trace: Option<TraceContext>,
}

/// Reads an inbox row from its columns.
pub(crate) fn read_mail(
    (consumer, key): (&str, &str),
    kind: &str,
    id: Option<&str>,
    body: &str,
) -> serde_json::Result<Mail> {
    let body: Body = serde_json::from_str(body)?;
    Ok(Mail {
        to: address(consumer, key)?,
        kind: MailKind::parse(kind).ok_or_else(|| unknown(kind))?,
        message: message(body.name, body.version, body.payload),
        id: id.map(MessageId::new).transpose().map_err(Error::custom)?,
        deduplicated: body.deduplicated != 0,
        task: body.task_seq.map(|seq| TaskId { seq, ord: body.task_ord }),
        hops: body.hops,
        epoch: body.epoch,
        cause: body.cause.map(Into::into),
        trace: body.trace,
        at: Timestamp::from_millis(body.at),
    })
}

pub(super) fn unknown(word: &str) -> serde_json::Error {
    Error::custom(format!("this version does not know the stored word `{word}`"))
}

pub(super) fn address(consumer: &str, key: &str) -> serde_json::Result<Address> {
    Ok(Address::new(consumer.to_owned(), InstanceName::from_stored(key).map_err(Error::custom)?))
}
