//! The data that parents and children share: the events of a table, and the stored records of the machine.
//!
//! The records are part of the stored format. Fields are only added, with a default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::live::{decode_data, decode_state};
use super::outbox::Outbox;
use super::record::{self, MessageRecord, ParkReason, ReportRecord, TaskRecord};
use super::saga::Saga;
pub(crate) use crate::definition::EndRecord;
pub use crate::definition::child_end::ChildEnd;
use crate::definition::{ChildType, Value};
use crate::message::{
    ActionError, Correlated, Id, InstanceName, Key, Message, MessageId, Name, Payload, not_newer,
};
use crate::step::{Address, InstanceChange, MailKind, Status, TaskId};

/// The deepest nesting of children (rule R21).
const DEPTH: u32 = 16;
/// The message name of reports in the inbox.
pub(crate) const REPORT: &str = "report";
/// The name prefix of the timer that fires `all_finished(..)`.
const ALL_FINISHED: &str = "all_finished ";

/// A saga that another saga can start. It has exactly one starting event. `#[derive(Saga)]` implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be started as a child",
    label = "this type has several starting events, or is not a saga",
    note = "a child has exactly one event in its `#[initially(..)]`"
)]
pub trait Child: Saga {
    /// The event that starts the child.
    type Start: Correlated;
}

/// The event of `finished(Child)`: a child has ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finished<S: Saga> {
    /// The key of the child.
    pub key: Key,
    /// How the child ended.
    pub end: ChildEnd,
    /// The state in which the child ended. After an abort without `on_abort(..)` it is the last state of the child.
    pub state: S,
    /// The data of the child.
    pub data: S::Data,
}

/// The event of `all_finished(Child)`: all started children of a saga have ended. The counts start after the previous
/// `all_finished`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AllFinished {
    /// Children that ended in a `#[terminal]` state.
    pub completed: u32,
    /// Children that ended in a `#[terminal(failure)]` state. A child that did not start and was skipped by an operator
    /// counts as well.
    pub failed: u32,
    /// Children that were aborted.
    pub aborted: u32,
}

/// The event of `parked(Child)`: a child waits for a person. The child has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildParked {
    /// The key of the child.
    pub key: Key,
    /// Why the child is parked.
    pub reason: ParkReason,
    /// A description for the person.
    pub detail: String,
}

/// The parent of an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ParentRecord {
    pub(super) saga: String,
    pub(super) key: String,
    /// Identifies the parent among instances with the same key, as [`Instance::mark`] returns it.
    pub(super) of: Id,
    pub(super) task: TaskRecord,
    pub(super) depth: u32,
}

/// The parent, the depth and the child counts of an instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FamilyRecord {
    /// The parent, until the instance has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<ParentRecord>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) depth: u32,
    /// How the children have ended since the last `all_finished`, by saga. An entry exists after the first `start`
    /// clause, even if the clause started no child.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) children: BTreeMap<String, AllFinished>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The shape serde asks for.
fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

/// An open child, as stored in the message of its task.
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

/// The report of a child to its parent.
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

/// An inbox row that a step adds for another instance.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: Address,
    pub(crate) kind: MailKind,
    pub(crate) message: Message,
    pub(crate) task: Option<TaskId>,
    pub(crate) id: Option<MessageId>,
}

impl AllFinished {
    /// The number of all ended children.
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

    /// Decodes the end of the child into its typed value.
    pub(crate) fn finished<S: Saga>(&self) -> Result<Finished<S>, String> {
        let definition = S::definition();
        let index = definition.state(&self.state).ok_or_else(|| {
            format!("the child ended in `{}`; `{}` does not have this state", self.state, definition.name)
        })?;
        let payload = self.payload.as_ref().map(|payload| Payload::from(payload.get()));
        let wrong = |what: &str, error| format!("the child's {what} {error}");
        not_newer(self.version, S::VERSION).map_err(|error| wrong("state", error))?;
        let data = Payload::from(self.data.get());
        Ok(Finished {
            key: Key::new(&self.key).map_err(|error| error.to_string())?,
            end: self.end,
            state: decode_state::<S>(index, payload.as_ref(), self.version)
                .map_err(|error| wrong("state", error))?,
            data: decode_data::<S>(&data, self.version).map_err(|error| wrong("data", error))?,
        })
    }
}

impl ParentRecord {
    pub(super) fn report(&self, key: &InstanceName, news: News) -> Option<Outgoing> {
        let record = NewsRecord { of: self.of, key: key.to_string(), news };
        let payload = record::write(&ReportRecord::Child(Box::new(record)));
        Some(Outgoing {
            // The key is the key of an existing instance, so it is valid.
            to: Address::new(self.saga.clone(), Key::new(&self.key).ok()?),
            kind: MailKind::Report,
            message: Message { name: Name::Borrowed(REPORT), version: 1, payload },
            task: Some(self.task.into()),
            id: None,
        })
    }

    /// Builds the report that the child `key` did not start.
    pub(crate) fn not_started(&self, key: &InstanceName, reason: String) -> Option<Outgoing> {
        self.report(key, News::NotStarted { reason })
    }
}

impl FamilyRecord {
    /// The family record of an instance that `parent` starts.
    pub(crate) fn child_of(parent: &ParentRecord) -> Payload {
        record::write(&Self { parent: Some(parent.clone()), depth: parent.depth, children: BTreeMap::new() })
    }
}

impl NewsRecord {
    /// The value of `finished(..)` or `parked(..)`. `None` if the child did not start.
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

/// The child of the `all_finished` timer `name`. `None` for any other timer.
pub(crate) fn all_finished(name: &str) -> Option<&str> {
    name.strip_prefix(ALL_FINISHED)
}

/// Returns an error if new children of this family would be nested too deep (rule R21).
pub(super) fn too_deep(family: Option<&Payload>, out: &[Outbox]) -> Result<(), ActionError> {
    if out.iter().all(|out| out.started.is_empty()) {
        return Ok(());
    }
    let family = family.and_then(|family| record::read::<FamilyRecord>("family", family).ok());
    if family.is_none_or(|family| family.depth < DEPTH) {
        return Ok(());
    }
    Err(format!("children may be nested at most {DEPTH} levels deep").into())
}

/// The report of a child in a test.
#[cfg(any(test, feature = "testing"))]
pub(crate) enum ChildNews {
    Ended { end: ChildEnd, state: Name, payload: Option<Payload>, data: Payload, version: u32 },
    Parked(String),
    NotStarted(String),
}
