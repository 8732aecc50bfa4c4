//! The body of an instance: all values of its last step that no index needs.

use std::borrow::Cow;

use saga_core::message::{Id, Incarnation, Payload, Timestamp, TraceContext};
use saga_core::store::{Address, InstanceChange, Labels, Status};
use serde::Deserialize;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::json::{self, Text};

/// Data above this length is stored in a row of its own. SQLite writes a row as a whole. A step that leaves large data
/// unchanged would write the data again.
pub const LARGE_DATA: usize = 2_048;

const INCARNATION: &str = "{\"incarnation\":\"";
const STEP: &str = "\",\"step\":\"";
const STATE: &str = "\",\"state\":\"";
/// The begin of the labels. A body without this text has no labels.
const LABELS: &str = "\"labels\":{";
/// The end of a body with its data in a row of its own. No other body ends like this, because a value cannot.
const LARGE: &str = ",\"large\":true}";

/// Returns whether the data is stored in a row of its own.
pub fn is_large(data: &Payload) -> bool {
    data.len() > LARGE_DATA
}

/// Returns whether the data of this body is stored in a row of its own.
pub fn has_large_data(body: &str) -> bool {
    body.ends_with(LARGE)
}

/// Appends the body.
pub fn write(out: &mut String, change: &InstanceChange) {
    let mut id = Uuid::encode_buffer();
    out.push_str(INCARNATION);
    out.push_str(Uuid::from_u128(change.incarnation.as_u128()).hyphenated().encode_lower(&mut id));
    out.push_str(STEP);
    out.push_str(Uuid::from_bytes(change.step.to_bytes()).hyphenated().encode_lower(&mut id));
    out.push('"');
    json::text(out, "state", &change.state);
    json::number(out, "version", change.version);
    json::number(out, "visit", change.visit);
    json::number(out, "created_at", change.created_at.as_millis());
    json::number(out, "changed_at", change.changed_at.as_millis());
    json::maybe_payload(out, "parked", change.parked.as_ref());
    json::maybe_payload(out, "turn", change.turn.as_ref());
    json::maybe_payload(out, "joined", change.joined.as_ref());
    json::maybe_payload(out, "family", change.family.as_ref());
    json::trace(out, change.trace);
    json::labels(out, &change.labels);
    json::maybe_payload(out, "payload", change.payload.as_ref());
    if is_large(&change.data) {
        out.push_str(LARGE);
    } else {
        json::payload(out, "data", &change.data);
        out.push('}');
    }
}

/// Returns the incarnation and the id of the step in a body, without a parse of the body. `None` for a damaged body.
pub fn identities(body: &str) -> Option<(u128, u128)> {
    let rest = body.strip_prefix(INCARNATION)?;
    let (incarnation, rest) = rest.split_at_checked(Hyphenated::LENGTH)?;
    let step = rest.strip_prefix(STEP)?.get(..Hyphenated::LENGTH)?;
    let bits = |text| Uuid::try_parse(text).ok().map(|id| id.as_u128());
    Some((bits(incarnation)?, bits(step)?))
}

/// Returns the state in a body, without a parse of the body. Empty for a damaged body.
pub fn state(body: &str) -> Cow<'_, str> {
    let text = body.get(INCARNATION.len() + STEP.len() + 2 * Hyphenated::LENGTH..);
    let Some(text) = text.and_then(|rest| rest.strip_prefix(STATE)) else { return Cow::Borrowed("") };
    match text.find(['"', '\\']) {
        Some(end) if text.as_bytes()[end] == b'"' => Cow::Borrowed(&text[..end]),
        _ => outline(body).map_or(Cow::Borrowed(""), |outline| outline.state),
    }
}

/// Returns the labels in a body. `None` for a damaged body. Most bodies have no labels, and are not parsed.
pub fn labels(body: &str) -> Option<Labels> {
    if identities(body).is_some() && !body.contains(LABELS) {
        return Some(Labels::new());
    }
    outline(body).ok().map(|outline| outline.labels)
}

#[derive(Deserialize)]
struct Body<'t> {
    incarnation: Uuid,
    step: Uuid,
    #[serde(borrow)]
    state: Text<'t>,
    version: u32,
    visit: u32,
    created_at: i64,
    changed_at: i64,
    #[serde(default, deserialize_with = "json::present")]
    parked: Option<Payload>,
    #[serde(default, deserialize_with = "json::present")]
    turn: Option<Payload>,
    #[serde(default, deserialize_with = "json::present")]
    joined: Option<Payload>,
    #[serde(default, deserialize_with = "json::present")]
    family: Option<Payload>,
    #[serde(default, deserialize_with = "json::read_trace")]
    trace: Option<TraceContext>,
    #[serde(default)]
    labels: Labels,
    #[serde(default, deserialize_with = "json::present")]
    payload: Option<Payload>,
    #[serde(default, deserialize_with = "json::present")]
    data: Option<Payload>,
}

/// Reads the body of an instance. `large` is the data from its own row.
///
/// # Errors
/// The text is not a body, or the data is missing.
pub fn read(
    address: Address,
    status: Status,
    seq: u64,
    body: &str,
    large: Option<Payload>,
) -> serde_json::Result<InstanceChange> {
    let body: Body<'_> = serde_json::from_str(body)?;
    let data = body.data.or(large).ok_or_else(|| serde::de::Error::missing_field("data"))?;
    Ok(InstanceChange {
        address,
        incarnation: Incarnation::from_u128(body.incarnation.as_u128()),
        created_at: Timestamp::from_millis(body.created_at),
        seq,
        step: Id::from_u128(body.step.as_u128()),
        version: body.version,
        status,
        state: body.state.into_name(),
        payload: body.payload,
        data,
        labels: body.labels,
        trace: body.trace,
        visit: body.visit,
        turn: body.turn,
        parked: body.parked,
        joined: body.joined,
        family: body.family,
        changed_at: Timestamp::from_millis(body.changed_at),
    })
}

/// The part of a body for lists.
#[derive(Debug, Default, Deserialize)]
pub struct Outline<'t> {
    /// The stored name of the state.
    #[serde(borrow)]
    pub state: Cow<'t, str>,
    /// The version that wrote the row.
    pub version: u32,
    /// The time of the first step.
    #[serde(default)]
    pub created_at: i64,
    /// The time of the last step.
    pub changed_at: i64,
    /// The reason of the park.
    #[serde(default, deserialize_with = "json::present")]
    pub parked: Option<Payload>,
    /// The labels.
    #[serde(default)]
    pub labels: Labels,
}

/// Reads the part of a body for lists.
///
/// # Errors
/// The text is not a body.
pub fn outline(body: &str) -> serde_json::Result<Outline<'_>> {
    serde_json::from_str(body)
}

/// Returns the number of a status in the tables.
pub const fn status_number(status: Status) -> i16 {
    match status {
        Status::Running => 1,
        Status::Compensating => 2,
        Status::Completed => 3,
        Status::Failed => 4,
        Status::Aborted => 5,
    }
}

/// Returns the status with the number. `None` for a damaged number.
pub fn known_status(number: i64) -> Option<Status> {
    let all = [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Aborted];
    all.into_iter().find(|status| i64::from(status_number(*status)) == number)
}

#[cfg(test)]
mod tests {
    use saga_core::message::LabelValue;
    use saga_core::store::conformance::{address, create, payload};

    use super::*;

    fn change() -> InstanceChange {
        create(&address("a")).instance.unwrap()
    }

    #[test]
    fn a_body_is_read_back() {
        let mut other = change();
        other.labels.set("a \"label\"", LabelValue::text("C-7\n"));
        other.labels.set("total", LabelValue::Integer(-3));
        other.payload = Some(Payload::from("null"));
        other.turn = Some(payload("turn"));
        other.data = Payload::from("{ \"a\":\n[1] }");
        other.state = "a \"state\"\n".into();
        for change in [change(), other] {
            let mut body = String::new();
            write(&mut body, &change);
            let (incarnation, step) = identities(&body).unwrap();
            assert_eq!((incarnation, step), (change.incarnation.as_u128(), change.step.as_u128()));
            assert!(!has_large_data(&body));
            assert_eq!(read(change.address.clone(), change.status, change.seq, &body, None).unwrap(), change);
            assert_eq!(outline(&body).unwrap().state, change.state);
            assert_eq!(outline(&body).unwrap().labels, change.labels);
            assert_eq!(labels(&body), Some(change.labels.clone()));
            assert_eq!(state(&body), change.state);
        }
    }

    #[test]
    fn a_damaged_body_has_no_state() {
        let mut body = String::new();
        write(&mut body, &change());
        for length in 0..body.len() {
            let found = state(&body[..length]).into_owned();
            assert!(found.is_empty() || found == change().state, "{found}");
        }
        assert_eq!(state("{\"state\":\"running\"}"), "");
    }

    #[test]
    fn large_data_is_not_in_the_body() {
        let data = payload(&"x".repeat(LARGE_DATA));
        let change = InstanceChange { data: data.clone(), ..change() };
        let mut body = String::new();
        write(&mut body, &change);
        assert!(has_large_data(&body) && body.len() < 500);
        let read = |large| read(change.address.clone(), change.status, change.seq, &body, large);
        assert!(read(None).is_err());
        assert_eq!(read(Some(data)).unwrap(), change);
    }

    #[test]
    fn no_data_looks_like_the_mark_of_large_data() {
        for data in ["{\"large\":true}", "[{\"a\":1,\"large\":true}]", "\",\\\"large\\\":true\""] {
            let mut body = String::new();
            write(&mut body, &InstanceChange { data: Payload::from(data), ..change() });
            assert!(!has_large_data(&body), "{body}");
        }
    }
}
