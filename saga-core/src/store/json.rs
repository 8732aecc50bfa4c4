//! The JSON of the reads for people, for pages and tools. `docs/json.md` describes the fields.
//!
//! Owns: names and forms of the fields. A field is never renamed or removed, and new fields may be added. Does not own: the
//! stored form of any value.

/// Serializes a type by a struct with its fields.
macro_rules! json {
    ($type:ty, $value:ident => $json:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                $json.serialize(serializer)
            }
        }
    };
}

mod audit;

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    Address, ConsumerRow, DeadLetterRow, Delivery, DeliveryRow, HistoryRow, InstanceCount, InstancePage,
    InstanceView, Problem, Problems, ScheduleLine, Snapshot, TaskLine, TimerLine,
};
use crate::message::{Message, Payload, Timestamp};
use crate::step::{Labels, Obligation, ObligationOf, ParkReason, Parked, ParkedOver, Task, TaskId, TimerRow};

/// A time in RFC 3339, in UTC.
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A payload as JSON in one line. A damaged payload is a string.
pub(crate) struct Json<'a>(pub(crate) &'a Payload);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(&dense(self.0.as_str())) {
            Ok(json) => json.serialize(serializer),
            Err(_) => serializer.serialize_str(self.0.as_str()),
        }
    }
}

/// Returns JSON without the space between its tokens. Such space can come from raw JSON of the application, and would
/// break a line in two. Numbers keep their digits.
pub(super) fn dense(json: &str) -> Cow<'_, str> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    if !json.contains(is_space) {
        return Cow::Borrowed(json);
    }
    let (mut dense, mut in_text, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if in_text || !is_space(c) {
            dense.push(c);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_text,
            '"' => in_text = !in_text,
            _ => {}
        }
    }
    Cow::Owned(dense)
}

/// The id of a task or an obligation, such as `3.0`.
struct Id(TaskId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}.{}", self.0.seq, self.0.ord))
    }
}

/// `saga`, and `key` or `alias`.
#[derive(Serialize)]
struct AddressJson<'a> {
    saga: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
}

impl<'a> From<&'a Address> for AddressJson<'a> {
    fn from(address: &'a Address) -> Self {
        let text = address.key.text();
        let (key, alias) = if address.key.is_alias() { (None, Some(text)) } else { (Some(text), None) };
        Self { saga: &address.saga, key, alias }
    }
}

/// An address that the JSON owns.
struct OwnedAddressJson(Address);

impl Serialize for OwnedAddressJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AddressJson::from(&self.0).serialize(serializer)
    }
}

#[derive(Serialize)]
pub(crate) struct MessageJson<'a> {
    name: &'a str,
    version: u32,
    payload: Json<'a>,
}

impl<'a> From<&'a Message> for MessageJson<'a> {
    fn from(message: &'a Message) -> Self {
        Self { name: &message.name, version: message.version, payload: Json(&message.payload) }
    }
}

#[derive(Serialize)]
struct CountJson<'a> {
    saga: &'a str,
    state: &'a str,
    status: Option<&'static str>,
    parked: bool,
    instances: u64,
}

json!(InstanceCount, count => CountJson {
    saga: &count.saga,
    state: &count.state,
    status: count.status.map(|status| status.as_str()),
    parked: count.parked,
    instances: count.instances,
});

#[derive(Serialize)]
struct PageJson<'a> {
    instances: &'a [InstanceView],
    more: Option<String>,
}

json!(InstancePage, page => PageJson {
    instances: &page.instances,
    more: page.more.as_ref().map(ToString::to_string),
});

#[derive(Serialize)]
struct ViewJson<'a> {
    #[serde(flatten)]
    address: AddressJson<'a>,
    status: &'static str,
    state: &'a str,
    parked: Option<&'a Parked>,
    seq: u64,
    created_at: Time,
    changed_at: Time,
    due: Option<Time>,
    labels: &'a Labels,
    waiting_for: Vec<&'a str>,
    errors: &'a [String],
    owed: usize,
    undo_since: Option<Time>,
    position: String,
}

json!(InstanceView, view => ViewJson {
    address: (&view.address).into(),
    status: view.status.as_str(),
    state: &view.state,
    parked: view.parked.as_ref(),
    seq: view.seq,
    created_at: Time(view.created_at),
    changed_at: Time(view.changed_at),
    due: view.due.map(Time),
    labels: &view.labels,
    waiting_for: view.waiting_for.iter().map(|name| &**name).collect(),
    errors: &view.errors,
    owed: view.owed,
    undo_since: view.undo_since.map(Time),
    position: view.position.to_string(),
});

#[derive(Serialize)]
struct ParkedJson<'a> {
    reason: ParkReason,
    detail: &'a str,
    since: Time,
    over: &'static str,
    timer: Option<&'a str>,
}

json!(Parked, parked => {
    let (over, timer) = match &parked.what {
        ParkedOver::Input => ("input", None),
        ParkedOver::Timer(name) => ("timer", Some(&**name)),
        ParkedOver::Command => ("command", None),
        ParkedOver::Unwinding => ("unwinding", None),
        ParkedOver::Nothing => ("nothing", None),
        ParkedOver::Unreadable => ("unreadable", None),
    };
    let Parked { reason, detail, since, .. } = parked;
    ParkedJson { reason: *reason, detail, since: Time(*since), over, timer }
});

#[derive(Serialize)]
struct SnapshotJson<'a> {
    #[serde(flatten)]
    address: AddressJson<'a>,
    status: &'static str,
    state: &'a str,
    payload: Option<Json<'a>>,
    data: Json<'a>,
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    version: u32,
    waiting: String,
    parked: Option<Parked>,
    seq: u64,
    visit: u32,
    created_at: Time,
    changed_at: Time,
    tasks: Vec<TaskJson<'a>>,
    obligations: Vec<ObligationJson<'a>>,
    timers: Vec<TimerJson<'a>>,
    aliases: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<OwnedAddressJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<OwnedAddressJson>,
}

json!(Snapshot, snapshot => {
    let record = &snapshot.instance;
    SnapshotJson {
        address: (&record.address).into(),
        status: record.status.as_str(),
        state: &record.state,
        payload: record.payload.as_ref().map(Json),
        data: Json(&record.data),
        labels: &record.labels,
        trace: record.trace.map(|trace| trace.to_string()),
        version: record.version,
        waiting: snapshot.waiting(),
        parked: record.parked.as_ref().map(|parked| Parked::from_stored(parked, record.changed_at)),
        seq: record.seq,
        visit: record.visit,
        created_at: Time(record.created_at),
        changed_at: Time(record.changed_at),
        tasks: snapshot.tasks.iter().map(Into::into).collect(),
        obligations: snapshot.obligations.iter().map(Into::into).collect(),
        timers: snapshot.timers.iter().map(Into::into).collect(),
        aliases: snapshot.aliases.iter().map(|alias| alias.as_str()).collect(),
        parent: snapshot.parent().map(OwnedAddressJson),
        children: snapshot.children().map(OwnedAddressJson).collect(),
    }
});

#[derive(Serialize)]
struct TaskJson<'a> {
    id: Id,
    kind: &'static str,
    #[serde(flatten)]
    command: MessageJson<'a>,
    stage: &'static str,
    attempts: u32,
    since: Time,
    due: Option<Time>,
    error: Option<&'a str>,
    superseded: bool,
}

impl<'a> From<&'a Task> for TaskJson<'a> {
    fn from(task: &'a Task) -> Self {
        let progress = &task.progress;
        Self {
            id: Id(task.id),
            kind: task.kind.as_str(),
            command: (&task.command).into(),
            stage: progress.stage.as_str(),
            attempts: progress.attempts,
            since: Time(progress.since),
            due: (progress.due != Timestamp::EPOCH).then_some(Time(progress.due)),
            error: progress.error.as_deref(),
            superseded: progress.superseded,
        }
    }
}

#[derive(Serialize)]
struct TaskLineJson<'a> {
    #[serde(flatten)]
    address: AddressJson<'a>,
    #[serde(flatten)]
    task: TaskJson<'a>,
}

json!(TaskLine, line => TaskLineJson { address: (&line.address).into(), task: (&line.task).into() });

#[derive(Serialize)]
struct TimerLineJson<'a> {
    #[serde(flatten)]
    address: AddressJson<'a>,
    timer: TimerJson<'a>,
}

json!(TimerLine, line => TimerLineJson { address: (&line.address).into(), timer: (&line.timer).into() });

#[derive(Serialize)]
struct ScheduleJson<'a> {
    name: &'a str,
    cron: &'a str,
    state: &'a str,
    parked: bool,
    due: Option<Time>,
    runs: u64,
    skipped: u64,
    why_skipped: Option<&'a str>,
    last: Vec<AddressJson<'a>>,
}

json!(ScheduleLine, line => ScheduleJson {
    name: line.address.key.text(),
    cron: &line.cron,
    state: &line.state,
    parked: line.parked,
    due: line.due.map(Time),
    runs: line.runs,
    skipped: line.skipped,
    why_skipped: line.why_skipped.as_deref(),
    last: line.last.iter().map(Into::into).collect(),
});

#[derive(Serialize)]
struct ObligationJson<'a> {
    id: Id,
    undo: &'a str,
    of: &'static str,
    name: &'a str,
    task: Option<Id>,
}

impl<'a> From<&'a Obligation> for ObligationJson<'a> {
    fn from(owed: &'a Obligation) -> Self {
        let (of, name) = match &owed.of {
            ObligationOf::Command { command, .. } => ("command", &command.name),
            ObligationOf::State { state, .. } => ("state", state),
        };
        Self { id: Id(owed.id), undo: &owed.undo, of, name, task: owed.task.map(Id) }
    }
}

#[derive(Serialize)]
struct TimerJson<'a> {
    name: &'a str,
    due: Time,
    fired: u32,
}

impl<'a> From<&'a TimerRow> for TimerJson<'a> {
    fn from(timer: &'a TimerRow) -> Self {
        Self { name: &timer.name, due: Time(timer.due), fired: timer.fired }
    }
}

#[derive(Serialize)]
struct LineJson<'a> {
    seq: u64,
    at: Time,
    kind: &'a str,
    name: &'a str,
    from: &'a str,
    to: &'a str,
    cause: Option<&'a str>,
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Json<'a>>,
}

json!(HistoryRow, row => {
    let entry = &row.entry;
    LineJson {
        seq: row.seq,
        at: Time(entry.at),
        kind: entry.kind.as_str(),
        name: &entry.name,
        from: &entry.from,
        to: &entry.to,
        cause: entry.cause.as_deref(),
        note: entry.note.as_deref(),
        payload: entry.payload.as_ref().map(Json),
    }
});

#[derive(Serialize)]
struct LetterJson<'a> {
    id: i64,
    #[serde(flatten)]
    address: AddressJson<'a>,
    kind: &'static str,
    #[serde(flatten)]
    message: MessageJson<'a>,
    message_id: Option<&'a str>,
    reason: &'a str,
    detail: &'a str,
    times: u32,
    at: Time,
}

json!(DeadLetterRow, row => {
    let letter = &row.letter;
    LetterJson {
        id: row.id.0,
        address: (&letter.to).into(),
        kind: letter.kind.as_str(),
        message: (&letter.message).into(),
        message_id: letter.id.as_ref().map(|id| id.as_str()),
        reason: letter.reason.as_str(),
        detail: &letter.detail,
        times: letter.times,
        at: Time(letter.at),
    }
});

#[derive(Serialize)]
struct DeliveryJson<'a> {
    id: i64,
    #[serde(flatten)]
    address: AddressJson<'a>,
    #[serde(flatten)]
    message: MessageJson<'a>,
    message_id: &'a str,
    attempts: u32,
    since: Time,
    due: Option<Time>,
    error: Option<&'a str>,
}

json!(DeliveryRow, row => {
    let Delivery { to, event, id, progress, .. } = &row.delivery;
    DeliveryJson {
        id: row.id.0,
        address: to.into(),
        message: event.into(),
        message_id: id.as_str(),
        attempts: progress.attempts,
        since: Time(progress.since),
        due: (progress.due != Timestamp::EPOCH).then_some(Time(progress.due)),
        error: progress.error.as_deref(),
    }
});

#[derive(Serialize)]
struct ProblemJson<'a> {
    kind: &'static str,
    consumer: &'a str,
    reason: &'a str,
    error: &'a str,
    count: usize,
    oldest: Time,
    newest: Time,
    example: AddressJson<'a>,
}

json!(Problem, problem => ProblemJson {
    kind: problem.kind.as_str(),
    consumer: &problem.consumer,
    reason: &problem.reason,
    error: &problem.error,
    count: problem.count,
    oldest: Time(problem.oldest),
    newest: Time(problem.newest),
    example: (&problem.example).into(),
});

#[derive(Serialize)]
struct ProblemsJson<'a> {
    groups: &'a [Problem],
    complete: bool,
}

json!(Problems, problems => ProblemsJson { groups: &problems.groups, complete: problems.complete });

#[derive(Serialize)]
struct ConsumerJson<'a> {
    event: &'a str,
    consumer: &'a str,
    subscriber: bool,
}

json!(ConsumerRow, row => ConsumerJson {
    event: &row.event,
    consumer: &row.consumer,
    subscriber: row.subscriber,
});

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::message::{Alias, Key, LabelValue, MessageId, TraceContext};
    use crate::step::DeliveryId;
    use crate::store::conformance::{address, create, delivery, obligation, payload, task, time, timer};
    use crate::store::{
        DeadId, DeadLetter, DeadLetterReason, HistoryEntry, HistoryKind, MailKind, Position, ProblemKind,
        RowId, Status,
    };

    fn json(value: &impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    fn pretty(value: &impl Serialize) -> String {
        serde_json::to_string_pretty(value).unwrap()
    }

    fn view() -> InstanceView {
        InstanceView {
            address: address("a"),
            status: Status::Compensating,
            state: "shipping".into(),
            parked: Some(Parked {
                reason: ParkReason::UndoRefused,
                detail: "no".to_owned(),
                since: time(5),
                what: ParkedOver::Timer("timeout".to_owned()),
            }),
            seq: 3,
            created_at: time(1),
            changed_at: time(2),
            due: Some(time(3)),
            labels: {
                let mut labels = Labels::new();
                labels.set("customer", LabelValue::text("C-7"));
                labels.set("total", LabelValue::Integer(4_200));
                labels
            },
            waiting_for: vec!["payment.make".into()],
            errors: vec!["connection reset".to_owned()],
            owed: 1,
            undo_since: None,
            position: Position::Row(RowId(7)),
        }
    }

    fn snapshot() -> Snapshot {
        let mut instance = create(&address("a")).instance.unwrap();
        instance.trace = TraceContext::new(7, 8, 1);
        instance.family = Some(Payload::from(r#"{"parent":{"saga":"batch","key":"b-1"}}"#));
        instance.data = Payload::from("{\"cents\":12345678901234567890.10}");
        let (mut one, owed) = (task(1, 0), obligation(1, 0));
        (one.progress.error, one.progress.due) = (Some("reset".to_owned()), time(9));
        let aliases = vec![Alias::new("x").unwrap()];
        let (tasks, timers, obligations) = (vec![one], vec![timer("timeout", 4)], vec![owed]);
        Snapshot { row: RowId(1), instance, tasks, timers, obligations, aliases }
    }

    fn letter(to: Address) -> DeadLetterRow {
        let message = Message { name: "paid".into(), version: 1, payload: payload("p") };
        let letter = DeadLetter::new(to, MailKind::Event, message, DeadLetterReason::Unhandled, time(8));
        let id = Some(MessageId::new("m-1").unwrap());
        DeadLetterRow { id: DeadId(4), letter: DeadLetter { id, ..letter } }
    }

    fn problems() -> Problems {
        let problem = Problem {
            kind: ProblemKind::Parked,
            consumer: "order".to_owned(),
            reason: ParkReason::UndoRefused.to_string(),
            park_reason: Some(ParkReason::UndoRefused),
            error: "payment # is gone".to_owned(),
            count: 2,
            oldest: time(5),
            newest: time(9),
            example: address("a"),
        };
        Problems { groups: vec![problem], complete: true }
    }

    fn line() -> HistoryRow {
        let entry = HistoryEntry {
            kind: HistoryKind::Applied,
            at: time(6),
            name: "paid".into(),
            payload: Some(payload("p")),
            from: "paying".into(),
            to: "shipping".into(),
            cause: Some("m-1".into()),
            note: None,
        };
        HistoryRow { seq: 2, entry }
    }

    fn schedule() -> ScheduleLine {
        ScheduleLine {
            address: Address::new("saga.recurring", Key::new("nightly").unwrap()),
            cron: "0 3 * * * Europe/Berlin".to_owned(),
            state: "waiting".to_owned(),
            parked: false,
            due: Some(time(9)),
            runs: 4,
            skipped: 1,
            why_skipped: Some("the last run still goes on".to_owned()),
            last: vec![address("a")],
        }
    }

    #[test]
    fn the_fields_are_those_of_the_documentation() {
        let count = InstanceCount {
            saga: "order".to_owned(),
            state: "paying".to_owned(),
            status: Some(Status::Running),
            parked: false,
            instances: 3,
        };
        let list = InstancePage::of_walk(&Default::default(), vec![view()], Some(Position::Row(RowId(7))));
        let consumer = ConsumerRow { event: "paid".into(), consumer: "mailer".into(), subscriber: true };
        let all = [pretty(&count), pretty(&list), pretty(&snapshot()), pretty(&line())];
        let all =
            all.into_iter().chain([pretty(&letter(address("a"))), pretty(&consumer), pretty(&problems())]);
        let (task, timer) = (snapshot().tasks.remove(0), snapshot().timers.remove(0));
        let task = pretty(&TaskLine { address: address("a"), task });
        let timer = pretty(&TimerLine { address: address("a"), timer });
        let delivery = pretty(&DeliveryRow { id: DeliveryId(5), delivery: delivery("a") });
        let all = all.chain([task, timer, delivery, pretty(&schedule())]);
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
        let documented = std::fs::read_to_string(page).unwrap();
        let missing: Vec<String> = all
            .map(|json| format!("```json\n{json}\n```"))
            .filter(|example| !documented.contains(example))
            .collect();
        assert!(missing.is_empty(), "docs/json.md lacks\n{}", missing.join("\n"));
    }

    #[test]
    fn the_documented_definition_can_be_read() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, section) = page.split_once("## A definition").unwrap();
        let example = section.split("```").nth(1).unwrap().trim_start_matches("json");
        let read: crate::definition::StoredDefinition = serde_json::from_str(example).unwrap();
        assert_eq!(read.moves().len(), 2);
        // A misspelt field would be ignored like a later one.
        fn within(part: &Value, whole: &Value) -> bool {
            match (part, whole) {
                (Value::Object(part), Value::Object(whole)) => {
                    part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| within(part, whole)))
                }
                (Value::Array(part), Value::Array(whole)) => {
                    part.len() == whole.len()
                        && part.iter().zip(whole).all(|(part, whole)| within(part, whole))
                }
                (part, whole) => part == whole,
            }
        }
        assert!(within(&serde_json::from_str(example).unwrap(), &json(&read)));
    }

    #[test]
    fn numbers_of_a_payload_keep_their_digits() {
        let text = serde_json::to_string(&snapshot()).unwrap();
        assert!(text.contains("{\"cents\":12345678901234567890.10}"), "{text}");
    }

    #[test]
    fn a_payload_is_one_line() {
        for (text, expected) in [
            ("{ \"a\" :\r\n\t[1, 2.50 ] }", "{\"a\":[1,2.50]}"),
            ("\"a  b\\n \\\" c\"", "\"a  b\\n \\\" c\""),
            ("[\"x\\\\\", \"y z\"]", "[\"x\\\\\",\"y z\"]"),
            (" null ", "null"),
        ] {
            assert_eq!(serde_json::to_string(&Json(&Payload::from(text))).unwrap(), expected);
        }
    }

    #[test]
    fn a_damaged_payload_is_a_string() {
        let mut damaged = snapshot();
        damaged.instance.data = Payload::from("{\"a\":");
        assert_eq!(json(&damaged)["data"], "{\"a\":");
    }

    #[test]
    fn an_alias_is_no_key() {
        let alias = letter(Address::new("order", Alias::new("x").unwrap()));
        assert_eq!((&json(&alias)["alias"], json(&alias).get("key")), (&Value::from("x"), None));
        let key = letter(Address::new("order", Key::new("x").unwrap()));
        assert_eq!((&json(&key)["key"], json(&key).get("alias")), (&Value::from("x"), None));
    }
}
