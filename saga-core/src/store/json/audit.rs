//! The JSON of the audit and of pauses.

use serde::{Serialize, Serializer};

use super::{AddressJson, Json, Time};
use crate::step::Pause;
use crate::store::AuditRow;

#[derive(Serialize)]
struct RowJson<'a> {
    id: i64,
    at: Time,
    who: &'a str,
    why: &'a str,
    verb: &'a str,
    /// The instance, or the subscriber with its key.
    to: Option<AddressJson<'a>>,
    object: &'a str,
    payload: Option<Json<'a>>,
    declined: Option<&'a str>,
    request: Option<&'a str>,
    link: String,
}

json!(AuditRow, row => RowJson {
    id: row.id.0,
    at: Time(row.entry.at),
    who: &row.entry.who,
    why: &row.entry.why,
    verb: &row.entry.verb,
    to: row.entry.to.as_ref().map(AddressJson::from),
    object: &row.entry.object,
    payload: row.entry.payload.as_ref().map(Json),
    declined: row.entry.declined.as_deref(),
    request: row.entry.request.as_ref().map(|request| request.as_str()),
    link: row.link.to_string(),
});

#[derive(Serialize)]
struct PauseJson<'a> {
    kind: &'static str,
    name: &'a str,
    who: &'a str,
    why: &'a str,
    at: Time,
}

json!(Pause, pause => PauseJson {
    kind: pause.of.kind(),
    name: pause.of.name(),
    who: &pause.who,
    why: &pause.why,
    at: Time(pause.at),
});
