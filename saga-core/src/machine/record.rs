//! The stored records of the machine: the cause of a turn, the reason for parking, and the outcome of a command.
//!
//! The records are part of the stored format. Fields are only added, with a default.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::family::{AllFinished, NewsRecord};
use super::input::Input;
use crate::message::{Message, Name, Payload, Report, Tick, Timestamp};
use crate::step::HistoryKind;
pub(crate) use crate::step::ParkReason;
use crate::step::TaskId;

/// Encodes a record. Encoding cannot fail for the types below: they hold no maps with unusual keys and no serializers
/// that fail. A record may be larger than any payload, because it holds several payloads.
pub(crate) fn write<T: Serialize>(record: &T) -> Payload {
    Payload::encode_within(record, usize::MAX).unwrap_or_else(|_| Payload::from("null"))
}

/// Decodes a record. `Err` holds the reason for a failure.
pub(crate) fn read<T: DeserializeOwned>(what: &str, payload: &Payload) -> Result<T, String> {
    payload.decode().map_err(|error| format!("the {what} {error}"))
}

/// Embeds a payload as JSON. A payload is always JSON.
pub(super) fn raw(payload: &Payload) -> Box<RawValue> {
    RawValue::from_string(payload.as_str().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A message inside a record. Its payload is embedded as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    name: Name,
    version: u32,
    #[serde(with = "embedded")]
    payload: Payload,
}

/// A payload as JSON within JSON.
mod embedded {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;

    use crate::message::Payload;

    pub(super) fn serialize<S: Serializer>(payload: &Payload, json: S) -> Result<S::Ok, S::Error> {
        // A payload is always JSON.
        serde_json::from_str::<&RawValue>(payload.as_str()).unwrap_or(RawValue::NULL).serialize(json)
    }

    pub(super) fn deserialize<'t, D: Deserializer<'t>>(json: D) -> Result<Payload, D::Error> {
        // Owned, because a record can also be read from a value of serde_json.
        Box::<RawValue>::deserialize(json).map(|raw| Payload::from(String::from(Box::<str>::from(raw))))
    }
}

impl From<&Message> for MessageRecord {
    fn from(message: &Message) -> Self {
        Self { name: message.name.clone(), version: message.version, payload: message.payload.clone() }
    }
}

impl From<MessageRecord> for Message {
    fn from(record: MessageRecord) -> Self {
        Self { name: record.name, version: record.version, payload: record.payload }
    }
}

/// The id of a task inside a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskRecord {
    pub(crate) seq: u64,
    pub(crate) ord: u32,
}

impl From<TaskId> for TaskRecord {
    fn from(id: TaskId) -> Self {
        Self { seq: id.seq, ord: id.ord }
    }
}

impl From<TaskRecord> for TaskId {
    fn from(record: TaskRecord) -> Self {
        Self { seq: record.seq, ord: record.ord }
    }
}

/// The outcome of a command over all its attempts (rule R17), or the report of a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportRecord {
    /// The command was answered, by an event or by `Done`.
    Replied(Option<MessageRecord>),
    /// The command surely had no effect.
    Refused { attempts: u32, reason: String },
    /// It is unknown whether the command had its effect.
    Unknown { attempts: u32, reason: String },
    /// No attempt has begun.
    Withdrawn,
    /// The report of a child.
    Child(Box<NewsRecord>),
}

impl ReportRecord {
    /// The kind of the history line for the report of a command.
    pub(crate) fn history_kind(&self) -> HistoryKind {
        match self {
            Self::Replied(_) => HistoryKind::Replied,
            Self::Refused { .. } => HistoryKind::Refused,
            Self::Unknown { .. } => HistoryKind::Unknown,
            Self::Withdrawn => HistoryKind::Withdrawn,
            Self::Child(_) => HistoryKind::ChildEnded,
        }
    }

    /// The text from the handler or the engine.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } | Self::Unknown { reason, .. } => Some(reason),
            Self::Replied(_) | Self::Withdrawn | Self::Child(_) => None,
        }
    }

    pub(crate) fn into_report(self) -> Report {
        match self {
            Self::Replied(message) => Report::Replied(message.map(Message::from)),
            Self::Refused { reason, .. } => Report::Refused { reason },
            Self::Unknown { reason, .. } => Report::Unknown { reason },
            // The report of a child does not concern a command.
            Self::Withdrawn | Self::Child(_) => Report::Withdrawn,
        }
    }
}

/// The data that a turn keeps until the arrival.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TurnRecord {
    pub(crate) cause: TurnCause,
    /// The outcomes of the commands that were open at the turn, by stored name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reports: Vec<(String, ReportRecord)>,
    /// The commands that `on_leave` sent. They wait, because only undos run before the arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<HeldRecord>,
}

impl TurnRecord {
    /// Notes the outcome of a command. The newest outcome of a name replaces earlier ones, so that the record stays
    /// small.
    pub(super) fn note(&mut self, name: String, report: ReportRecord) {
        self.reports.retain(|(known, _)| *known != name);
        self.reports.push((name, report));
    }
}

/// A command that waits for the arrival, with the stored name of its undo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HeldRecord {
    pub(crate) command: MessageRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<String>,
}

/// The cause of a turn. It also determines the arrival.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TurnCause {
    /// A row with `compensate`.
    Row(Box<RowRecord>),
    /// An abort by an operator or a parent.
    Abort { by: String, why: String },
}

/// Identifies a row and its trigger, so that another build of the same table finds the row again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RowRecord {
    pub(crate) trigger: TriggerRecord,
    /// The position of the row among the state's rows with `compensate` for this trigger.
    pub(crate) nth: usize,
    /// The stored names of the target states, so that a changed table is detected.
    pub(crate) to: Vec<String>,
    /// The event, if the trigger is an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<MessageRecord>,
    /// The command that was answered, failed or became unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<MessageRecord>,
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// The message id of the event, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The firing of a repeating timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tick: Option<TickRecord>,
    /// The report of a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) child: Option<Box<NewsRecord>>,
    /// The counts of `all_finished(..)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<AllFinished>,
}

/// The stored form of [`Tick`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct TickRecord {
    nth: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<u32>,
    /// Milliseconds since 1970.
    due: i64,
}

impl From<&Tick> for TickRecord {
    fn from(tick: &Tick) -> Self {
        Self { nth: tick.nth, of: tick.of, due: tick.due.as_millis() }
    }
}

impl From<TickRecord> for Tick {
    fn from(tick: TickRecord) -> Self {
        Self { nth: tick.nth, of: tick.of, due: Timestamp::from_millis(tick.due) }
    }
}

/// The stored form of a trigger, by stored names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TriggerRecord {
    Event(String),
    Failed(String),
    Unknown(String),
    Timer(String),
    Superseded(Box<TriggerRecord>),
    /// The name of a `when_all` set.
    All(String),
    Finished(String),
    AllFinished(String),
    Parked(String),
}

/// Why an instance is parked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ParkedRecord {
    pub(crate) reason: ParkReason,
    /// A description for the person.
    pub(crate) detail: String,
    /// The time of parking, in milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) subject: Subject,
    /// The outcome of the command over which the instance is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<ReportRecord>,
}

/// Identifies the input over which an instance is parked, among the other waiting inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeadRecord {
    /// An event, by the hash of its content. Of two events with the same content, either one will do.
    Event(u64),
    /// The report on a task.
    Report(TaskRecord),
    /// The oldest waiting input.
    Oldest,
}

impl HeadRecord {
    pub(crate) fn of(input: &Input) -> Self {
        match input {
            Input::Event(event) => Self::Event(event.message.content_hash()),
            Input::Report(task, _) => Self::Report((*task).into()),
            _ => Self::Oldest,
        }
    }

    pub(crate) fn is(&self, input: &Input) -> bool {
        match (self, input) {
            (Self::Oldest, Input::Event(_) | Input::Report(..)) => true,
            (Self::Event(_), Input::Event(_)) | (Self::Report(_), Input::Report(..)) => {
                *self == Self::of(input)
            }
            _ => false,
        }
    }
}

/// The subject of `retry`, `resolve` and `skip` at a parked instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// An input that stays in its queue. `retry` applies it again.
    Head(HeadRecord),
    /// A due timer, by name. `retry` fires it again.
    Timer(String),
    /// A command or undo. `retry` runs it again.
    Task(TaskRecord),
    /// The next undo could not be built, or the arrival failed. `retry` repeats this work.
    Unwinding,
    /// Nothing failed. The row declares `park`.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::PayloadLimits;
    use crate::step::{Parked, ParkedOver};

    #[test]
    fn a_record_may_be_larger_than_any_payload() {
        let large = "x".repeat(PayloadLimits::CEILING.bytes - 2);
        let message = Message { name: "large".into(), version: 1, payload: Payload::encode(&large).unwrap() };
        let both = [MessageRecord::from(&message), MessageRecord::from(&message)];
        let read: Vec<MessageRecord> = read("record", &write(&both)).unwrap();
        assert!(read.into_iter().all(|record| Message::from(record).payload == message.payload));
    }

    #[test]
    fn a_reason_is_a_sentence_that_names_the_verbs() {
        let at = Timestamp::from_millis(1_772_357_400_000);
        let parked = |reason, subject| {
            let detail = "no card".to_owned();
            let record = ParkedRecord { reason, detail, at: at.as_millis(), subject, report: None };
            Parked::from_stored(&write(&record), Timestamp::EPOCH)
        };
        let timer = parked(ParkReason::ActionFailed, Subject::Timer("15m".to_owned()));
        assert_eq!(timer.what, ParkedOver::Timer("15m".to_owned()));
        assert_eq!(
            timer.to_string(),
            "an action failed: no card; parked since 2026-03-01T09:30:00Z; release the instance with `retry` or `skip`"
        );
        let arrival = parked(ParkReason::ArrivalFailed, Subject::Unwinding).to_string();
        assert!(arrival.ends_with("with `retry` or `abort`"), "{arrival}");
        let undo = parked(ParkReason::UndoFailed, Subject::Unwinding).to_string();
        assert!(undo.ends_with("with `retry` or `skip`"), "{undo}");
    }

    #[test]
    fn a_reason_that_cannot_be_read_is_one_too() {
        for stored in ["{\"reason\":\"struck-by-lightning\"}", "\"why\"", "not JSON"] {
            let parked = Parked::from_stored(&Payload::from(stored), Timestamp::EPOCH);
            assert_eq!((parked.reason, &parked.what), (ParkReason::Unreadable, &ParkedOver::Unreadable));
            assert_eq!(parked.since, Timestamp::EPOCH);
            let said = parked.to_string();
            assert!(said.starts_with("this build cannot read a stored value: the parking record "), "{said}");
        }
    }
}
