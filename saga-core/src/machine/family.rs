//! What parents and children know of each other: the events a table sees, and the machine's own stored forms.
//!
//! Part of the stored format: fields are only ever added, with a default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outbox::Outbox;
use super::record::{self, MessageRecord, ParkReason, ReportRecord, TaskRecord};
use super::saga::Saga;
pub use crate::definition::ChildEnd;
pub(crate) use crate::definition::EndRecord;
use crate::definition::{ChildType, Value};
use crate::message::{ActionError, Correlated, Id, Key, Message, MessageId, Name, Payload, not_newer};
use crate::step::{Address, InstanceChange, MailKind, Status, TaskId};

/// How deep children of children may nest.
const DEPTH: u32 = 16;
/// The name under which reports stand in the inbox.
pub(crate) const REPORT: &str = "report";
/// The beginning of the name of the timer that fires `all_finished(..)`.
const ALL_FINISHED: &str = "all_finished ";

/// A saga that another one can start: it has one starting event. Written by `#[derive(Saga)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be started as a child",
    label = "it has several starting events, or is not a saga",
    note = "a child has exactly one event in its `#[initially(..)]`"
)]
pub trait Child: Saga {
    /// The event that starts it.
    type Start: Correlated;
}

/// A child has ended: the event of `finished(Child)`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finished<S: Saga> {
    /// The child's key.
    pub key: Key,
    /// How it ended.
    pub end: ChildEnd,
    /// The state it ended in; for one that was aborted without `on_abort(..)` the state it had come to.
    pub state: S,
    /// Its data.
    pub data: S::Data,
}

/// All children of a saga that were started have ended: the event of `all_finished(Child)`. Counts those that have ended
/// since the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AllFinished {
    /// Those that ended in a `#[terminal]` state.
    pub completed: u32,
    /// Those that ended in a `#[terminal(failure)]` state, and those that did not start and were skipped by a person.
    pub failed: u32,
    /// Those that were aborted.
    pub aborted: u32,
}

/// A child waits for a person: the event of `parked(Child)`. It is not its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildParked {
    /// The child's key.
    pub key: Key,
    /// What kind of thing happened.
    pub reason: ParkReason,
    /// What happened, for the person.
    pub detail: String,
}

/// Whose child an instance is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ParentRecord {
    pub(super) saga: String,
    pub(super) key: String,
    /// Which instance of that key, as [`Instance::mark`] says.
    pub(super) of: Id,
    pub(super) task: TaskRecord,
    pub(super) depth: u32,
}

/// What an instance remembers of its family.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FamilyRecord {
    /// Until the instance has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<ParentRecord>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) depth: u32,
    /// How its children have ended, by saga, since `all_finished` was last fired. There is an entry from the moment
    /// when some were to be started, also when there were none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) children: BTreeMap<String, AllFinished>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The shape serde asks for.
fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

/// An open child, as the message of its task.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChildRecord {
    pub(super) key: String,
    pub(super) event: MessageRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<u32>,
}

/// The message that starts a child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    pub(crate) parent: ParentRecord,
    pub(crate) event: MessageRecord,
}

/// What a child reports to its parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewsRecord {
    pub(super) of: Id,
    pub(super) key: String,
    pub(super) news: News,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum News {
    Ended(EndRecord),
    Parked { reason: ParkReason, detail: String },
    NotStarted { reason: String },
}

/// Something a step puts into another instance's inbox.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: Address,
    pub(crate) kind: MailKind,
    pub(crate) message: Message,
    pub(crate) task: Option<TaskId>,
    pub(crate) id: Option<MessageId>,
}

impl AllFinished {
    /// How many there were.
    pub fn total(&self) -> u32 {
        self.completed + self.failed + self.aborted
    }

    pub(super) fn count(&mut self, end: ChildEnd) {
        match end {
            ChildEnd::Completed => self.completed += 1,
            ChildEnd::Failed => self.failed += 1,
            ChildEnd::Aborted => self.aborted += 1,
        }
    }
}

impl ChildType {
    #[doc(hidden)]
    pub const fn of<S: Saga>(type_name: &'static str) -> Self {
        Self { name: S::NAME, was: S::WAS, type_name, ended: |record| Ok(Box::new(record.finished::<S>()?)) }
    }
}

impl EndRecord {
    pub(super) fn of(record: &InstanceChange) -> Option<Self> {
        let end = match record.status {
            Status::Completed => ChildEnd::Completed,
            Status::Failed => ChildEnd::Failed,
            Status::Aborted => ChildEnd::Aborted,
            Status::Running | Status::Compensating => return None,
        };
        Some(Self {
            key: record.address.key.to_string(),
            end,
            state: record.state.to_string(),
            payload: record.payload.as_ref().map(record::raw),
            data: record::raw(&record.data),
            version: record.version,
        })
    }

    /// As a typed value.
    pub(crate) fn finished<S: Saga>(&self) -> Result<Finished<S>, String> {
        let definition = S::definition();
        let index = definition.state(&self.state).ok_or_else(|| {
            format!("the child ended in `{}`, which `{}` does not have", self.state, definition.name)
        })?;
        let payload = self.payload.as_ref().map(|payload| Payload::from(payload.get()));
        let wrong = |what: &str, error| format!("the child's {what} {error}");
        not_newer(self.version, S::VERSION).map_err(|error| wrong("state", error))?;
        let data = Payload::from(self.data.get());
        Ok(Finished {
            key: Key::new(&self.key).map_err(|error| error.to_string())?,
            end: self.end,
            state: S::__decode(index, payload.as_ref(), self.version)
                .map_err(|error| wrong("state", error))?,
            data: S::__decode_data(&data, self.version).map_err(|error| wrong("data", error))?,
        })
    }
}

impl ParentRecord {
    pub(super) fn report(&self, key: &Key, news: News) -> Option<Outgoing> {
        let record = NewsRecord { of: self.of, key: key.to_string(), news };
        let payload = record::write(&ReportRecord::Child(Box::new(record)));
        Some(Outgoing {
            // It was the address of an instance, so its key is good.
            to: Address::new(self.saga.clone(), Key::new(&self.key).ok()?),
            kind: MailKind::Report,
            message: Message { name: Name::Borrowed(REPORT), version: 1, payload },
            task: Some(self.task.into()),
            id: None,
        })
    }

    /// Tells the parent that the child `key` did not start.
    pub(crate) fn not_started(&self, key: &Key, reason: String) -> Option<Outgoing> {
        self.report(key, News::NotStarted { reason })
    }
}

impl FamilyRecord {
    /// The family of an instance that `parent` starts.
    pub(crate) fn child_of(parent: &ParentRecord) -> Payload {
        record::write(&Self { parent: Some(parent.clone()), depth: parent.depth, children: BTreeMap::new() })
    }
}

impl NewsRecord {
    /// The value of `finished(..)` or `parked(..)`, for a row that turned by it.
    pub(super) fn value(
        &self,
        ended: fn(&EndRecord) -> Result<Value, String>,
    ) -> Result<Option<Value>, String> {
        Ok(match &self.news {
            News::Ended(end) => Some(ended(end)?),
            News::Parked { reason, detail } => Some(Box::new(ChildParked {
                key: Key::new(&self.key).map_err(|error| error.to_string())?,
                reason: *reason,
                detail: detail.clone(),
            })),
            News::NotStarted { .. } => None,
        })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// The name of the timer that fires `all_finished` for the child `name`.
pub(super) fn all_finished_timer(name: &str) -> String {
    format!("{ALL_FINISHED}{name}")
}

/// The child whose `all_finished` the timer `name` fires.
pub(crate) fn all_finished(name: &str) -> Option<&str> {
    name.strip_prefix(ALL_FINISHED)
}

/// Refuses children of an instance of this family that would be too deep.
pub(super) fn too_deep(family: Option<&Payload>, out: &[Outbox]) -> Result<(), ActionError> {
    if out.iter().all(|out| out.started.is_empty()) {
        return Ok(());
    }
    let family = family.and_then(|family| record::read::<FamilyRecord>("family", family).ok());
    if family.is_none_or(|family| family.depth < DEPTH) {
        return Ok(());
    }
    Err(format!("children of children nest {DEPTH} deep at most").into())
}

/// What a test says of a child.
#[cfg(any(test, feature = "testing"))]
pub(crate) enum ChildNews {
    Ended { end: ChildEnd, state: Name, payload: Option<Payload>, data: Payload, version: u32 },
    Parked(String),
    NotStarted(String),
}
