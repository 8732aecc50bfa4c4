//! The body of a delivery.

use saga_core::message::{MessageId, Payload, TraceContext};
use saga_core::store::Delivery;
use saga_stored::{item, json};
use serde::Deserialize;
use serde::de::Error;

use super::mail::address;
use super::message;

pub(crate) fn write_delivery(delivery: &Delivery) -> String {
    let mut out = super::begin(&delivery.event);
    json::count(&mut out, "hops", delivery.hops);
    json::trace(&mut out, delivery.trace);
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
}

/// Reads a delivery from its columns.
pub(crate) fn read_delivery(
    (consumer, key): (&str, &str),
    id: &str,
    named: bool,
    body: &str,
    progress: &str,
) -> serde_json::Result<Delivery> {
    let body: Body = serde_json::from_str(body)?;
    Ok(Delivery {
        to: address(consumer, key)?,
        event: message(body.name, body.version, body.payload),
        id: MessageId::new(id).map_err(Error::custom)?,
        named,
        hops: body.hops,
        trace: body.trace,
        progress: item::read_progress(progress)?,
    })
}
