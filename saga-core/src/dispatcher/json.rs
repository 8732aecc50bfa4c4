//! The JSON of what a dispatcher returns and no store has: previews, and the condition of a handler. `docs/json.md` describes
//! the fields.
//!
//! Owns: names and forms of the fields, which are never renamed or removed. Does not own: the reads of a store (`store/json`).

use serde::{Serialize, Serializer};

use crate::engine::HandlerStatus;
use crate::machine::Preview;
use crate::store::json::{Json, MessageJson, Time};

#[derive(Serialize)]
struct PreviewJson<'a> {
    declined: Option<&'a str>,
    ignored: Option<&'a str>,
    state: &'a str,
    status: &'static str,
    data: Json<'a>,
    payload: Option<Json<'a>>,
    parked: Option<&'a str>,
    commands: Vec<MessageJson<'a>>,
    again: &'a [String],
    undos: Vec<MessageJson<'a>>,
    published: Vec<MessageJson<'a>>,
    owed: &'a [String],
    timers: Vec<TimerJson<'a>>,
    dead: Vec<DeadJson<'a>>,
    removed: bool,
    cut_off: bool,
}

#[derive(Serialize)]
struct TimerJson<'a> {
    name: &'a str,
    due: Time,
}

#[derive(Serialize)]
struct DeadJson<'a> {
    reason: &'a str,
    detail: &'a str,
}

impl Serialize for Preview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = PreviewJson {
            declined: self.declined.as_deref(),
            ignored: self.ignored.as_deref(),
            state: &self.state,
            status: self.status.as_str(),
            data: Json(&self.data),
            payload: self.payload.as_ref().map(Json),
            parked: self.parked.as_deref(),
            commands: self.commands.iter().map(MessageJson::from).collect(),
            again: &self.again,
            undos: self.undos.iter().map(MessageJson::from).collect(),
            published: self.published.iter().map(MessageJson::from).collect(),
            owed: &self.owed,
            timers: self.timers.iter().map(|(name, due)| TimerJson { name, due: Time(*due) }).collect(),
            dead: self
                .dead
                .iter()
                .map(|(reason, detail)| DeadJson { reason: reason.as_str(), detail })
                .collect(),
            removed: self.removed,
            cut_off: self.cut_off,
        };
        json.serialize(serializer)
    }
}

#[derive(Serialize)]
struct HandlerJson<'a> {
    name: &'a str,
    subscriber: bool,
    paused: bool,
    breaker_open: Option<bool>,
    concurrency: usize,
    running: usize,
    waiting: usize,
    rate: Option<RateJson>,
    ended: EndedJson,
    retries: u64,
    half_within_ms: Option<u128>,
    most_within_ms: Option<u128>,
    last_error: Option<ErrorJson<'a>>,
}

#[derive(Serialize)]
struct RateJson {
    attempts: u32,
    per_ms: u128,
}

#[derive(Serialize)]
struct EndedJson {
    replied: u64,
    refused: u64,
    indeterminate: u64,
    unreadable: u64,
    dropped: u64,
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    at: Time,
    error: &'a str,
}

impl Serialize for HandlerStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let within = |share| self.durations.at_most(share).map(|limit| limit.as_millis());
        let ended = &self.ended;
        let json = HandlerJson {
            name: &self.name,
            subscriber: self.subscriber,
            paused: self.paused,
            breaker_open: self.breaker_open,
            concurrency: self.concurrency,
            running: self.running,
            waiting: self.waiting,
            rate: self.rate.map(|(attempts, per)| RateJson { attempts, per_ms: per.as_millis() }),
            ended: EndedJson {
                replied: ended.replied,
                refused: ended.refused,
                indeterminate: ended.indeterminate,
                unreadable: ended.unreadable,
                dropped: ended.dropped,
            },
            retries: self.retries,
            half_within_ms: within(0.5),
            most_within_ms: within(0.99),
            last_error: self.last_error.as_ref().map(|(at, error)| ErrorJson { at: Time(*at), error }),
        };
        json.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{AttemptCounts, Durations};
    use crate::message::{Message, Payload, Timestamp};
    use crate::step::{DeadLetterReason, Status};

    /// The example is in the documentation.
    fn assert_documented(value: &impl Serialize) {
        let json = serde_json::to_string_pretty(value).unwrap();
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
        let documented = std::fs::read_to_string(page).unwrap();
        assert!(documented.contains(&format!("```json\n{json}\n```")), "docs/json.md lacks\n{json}");
    }

    #[test]
    fn the_condition_of_a_handler_has_the_documented_fields() {
        let mut ended = AttemptCounts::default();
        (ended.replied, ended.indeterminate) = (1_200, 3);
        assert_documented(&HandlerStatus {
            name: "payment.take".to_owned(),
            subscriber: false,
            concurrency: 64,
            running: 2,
            waiting: 5,
            rate: Some((100, Duration::from_secs(1))),
            breaker_open: Some(false),
            paused: false,
            ended,
            retries: 3,
            last_error: Some((Timestamp::from_millis(8), "connection reset".to_owned())),
            durations: Durations::default(),
        });
    }

    #[test]
    fn a_preview_has_the_documented_fields() {
        let message = |name: &'static str| Message {
            name: name.into(),
            version: 1,
            payload: Payload::from("{\"cents\":1290}"),
        };
        let preview = Preview {
            declined: None,
            ignored: None,
            state: "cancelled".to_owned(),
            status: Status::Failed,
            data: Payload::from("{\"note\":\"for ann\"}"),
            payload: None,
            parked: None,
            commands: Vec::new(),
            again: Vec::new(),
            undos: vec![message("payment.refund")],
            published: vec![message("order.cancelled")],
            owed: vec!["payment.refund".to_owned()],
            timers: vec![("1d".to_owned(), Timestamp::from_millis(9))],
            dead: vec![(DeadLetterReason::Unhandled, "the state has no row for it".to_owned())],
            removed: false,
            cut_off: false,
        };
        assert_documented(&preview);
    }
}
