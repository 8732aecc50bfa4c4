//! The machine's own stored forms: the kept cause of a turn, why an instance is parked, what became of a command.
//!
//! Part of the stored format: fields are only ever added, with a default.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::family::{AllFinished, NewsRecord};
use super::input::Input;
use crate::message::{Message, Name, Payload, Report, Tick, Timestamp};
pub(crate) use crate::step::ParkReason;
use crate::step::TaskId;

/// Writes a record. The types below always can be: they hold no maps with odd keys and no failing serialisers. They may be
/// larger than any payload, because they hold several.
pub(crate) fn write<T: Serialize>(record: &T) -> Payload {
    Payload::encode_within(record, usize::MAX).unwrap_or_else(|_| Payload::from("null"))
}

/// Reads a record, or says why not.
pub(crate) fn read<T: DeserializeOwned>(what: &str, payload: &Payload) -> Result<T, String> {
    payload.decode().map_err(|error| format!("the {what} {error}"))
}

/// A payload embedded as JSON, which it is.
pub(super) fn raw(payload: &Payload) -> Box<RawValue> {
    RawValue::from_string(payload.as_str().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A message inside a record, its payload embedded as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    name: String,
    version: u32,
    payload: Box<RawValue>,
}

impl From<&Message> for MessageRecord {
    fn from(message: &Message) -> Self {
        Self { name: message.name.to_string(), version: message.version, payload: raw(&message.payload) }
    }
}

impl From<MessageRecord> for Message {
    fn from(record: MessageRecord) -> Self {
        Self {
            name: Name::Owned(record.name),
            version: record.version,
            payload: Payload::from(record.payload.get()),
        }
    }
}

/// Names a task inside a record.
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

/// What ended a command, over all its attempts (rule R17).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportRecord {
    /// Answered, by an event or by `Done`.
    Replied(Option<MessageRecord>),
    /// Surely without effect.
    Refused { attempts: u32, reason: String },
    /// Nobody knows.
    Unknown { attempts: u32, reason: String },
    /// Never begun.
    Withdrawn,
    /// From a child.
    Child(Box<NewsRecord>),
}

impl ReportRecord {
    /// One word for the history.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Replied(_) => "replied",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
            Self::Withdrawn => "withdrawn",
            Self::Child(_) => "child",
        }
    }

    /// What the handler or the engine said.
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
            // What a child reports is not about a command.
            Self::Withdrawn | Self::Child(_) => Report::Withdrawn,
        }
    }
}

/// What a turn remembers until the arrival.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TurnRecord {
    pub(crate) cause: TurnCause,
    /// What became of the commands that were open, by stored name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reports: Vec<(String, ReportRecord)>,
    /// What `on_leave` sent: nothing but undos runs before the arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<HeldRecord>,
}

impl TurnRecord {
    /// Notes what became of a command. Of several with one name the newest counts, so that the record does not grow with
    /// what was open.
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

/// Why an instance turned, which is also where it arrives.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TurnCause {
    /// A row that says `compensate`.
    Row(Box<RowRecord>),
    /// `abort`.
    Abort { by: String, why: String },
}

/// Names a row so that it is found again by another build of the same table, with what triggered it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RowRecord {
    pub(crate) trigger: TriggerRecord,
    /// Its place among the state's rows with `compensate` for this trigger.
    pub(crate) nth: usize,
    /// The stored names of its targets, so that an edited table is noticed.
    pub(crate) to: Vec<String>,
    /// The event, when the trigger is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<MessageRecord>,
    /// The command that was answered, or that failed or became unknown.
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
    /// What a child has reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) child: Option<Box<NewsRecord>>,
    /// How all children have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<AllFinished>,
}

/// [`Tick`] as it is stored.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct TickRecord {
    nth: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<u32>,
    /// In milliseconds since 1970.
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

/// A trigger by its stored names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TriggerRecord {
    Event(String),
    Failed(String),
    Unknown(String),
    Timer(String),
    Superseded(Box<TriggerRecord>),
    /// The set of a `when_all`, by name.
    All(String),
    Finished(String),
    AllFinished(String),
    Parked(String),
}

/// Why an instance waits for a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ParkedRecord {
    pub(crate) reason: ParkReason,
    /// For a person.
    pub(crate) detail: String,
    /// When, in milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) subject: Subject,
    /// How the command ended that it waits over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<ReportRecord>,
}

/// Which input a parked instance waits over, so that it is found again among those that wait with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeadRecord {
    /// An event, by the hash of its content: of two that are alike, either will do.
    Event(u64),
    /// The report on a task.
    Report(TaskRecord),
    /// Whichever is the oldest.
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

/// What a parked instance waits over, and so what `retry`, `resolve` and `skip` are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// An input that stays in its queue, and is applied again on `retry`.
    Head(HeadRecord),
    /// A due timer, by name, which fires again on `retry`.
    Timer(String),
    /// A command or undo, which runs again on `retry`.
    Task(TaskRecord),
    /// The next undo could not be built, or the arrival failed; done again on `retry`.
    Unwinding,
    /// Nothing failed: a row said `park`.
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
            "an action failed: no card; it has waited since 2026-03-01T09:30:00Z for `retry` or `skip`"
        );
        let arrival = parked(ParkReason::ArrivalFailed, Subject::Unwinding).to_string();
        assert!(arrival.ends_with("for `retry` or `abort`"), "{arrival}");
        let undo = parked(ParkReason::UndoFailed, Subject::Unwinding).to_string();
        assert!(undo.ends_with("for `retry` or `skip`"), "{undo}");
    }

    #[test]
    fn a_reason_that_cannot_be_read_is_one_too() {
        for stored in ["{\"reason\":\"struck-by-lightning\"}", "\"why\"", "not JSON"] {
            let parked = Parked::from_stored(&Payload::from(stored), Timestamp::EPOCH);
            assert_eq!((parked.reason, &parked.what), (ParkReason::Unreadable, &ParkedOver::Unreadable));
            assert_eq!(parked.since, Timestamp::EPOCH);
            let said = parked.to_string();
            assert!(said.starts_with("cannot be read by this build: the reason "), "{said}");
        }
    }
}
