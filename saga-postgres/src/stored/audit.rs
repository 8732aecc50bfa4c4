//! The body of an audit row.

use saga_core::message::{InstanceName, MessageId, Payload, Timestamp};
use saga_core::store::{Address, AuditEntry};
use serde::de::Error;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Body {
    at: i64,
    who: String,
    why: String,
    verb: String,
    /// The saga or the subscriber, and the stored text of the key.
    to: Option<(String, String)>,
    object: String,
    /// The JSON text of the payload.
    payload: Option<String>,
    declined: Option<String>,
    request: Option<String>,
}

pub(crate) fn write_audit(entry: &AuditEntry) -> serde_json::Result<String> {
    serde_json::to_string(&Body {
        at: entry.at.as_millis(),
        who: entry.who.clone(),
        why: entry.why.clone(),
        verb: entry.verb.to_string(),
        to: entry.to.as_ref().map(|to| (to.saga.to_string(), to.key.stored().to_owned())),
        object: entry.object.clone(),
        payload: entry.payload.as_ref().map(|payload| payload.as_str().to_owned()),
        declined: entry.declined.clone(),
        request: entry.request.as_ref().map(|request| request.as_str().to_owned()),
    })
}

pub(crate) fn read_audit(body: &str) -> serde_json::Result<AuditEntry> {
    let body: Body = serde_json::from_str(body)?;
    let to = |(saga, key): (String, String)| {
        Ok(Address::new(saga, InstanceName::from_stored(&key).map_err(serde_json::Error::custom)?))
    };
    Ok(AuditEntry {
        at: Timestamp::from_millis(body.at),
        who: body.who,
        why: body.why,
        verb: body.verb.into(),
        to: body.to.map(to).transpose()?,
        object: body.object,
        payload: body.payload.map(Payload::from),
        declined: body.declined,
        request: body.request.map(MessageId::new).transpose().map_err(serde_json::Error::custom)?,
    })
}
