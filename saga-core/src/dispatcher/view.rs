//! The view of one instance for a caller.

use super::error::InstanceError;
use crate::machine::decode_data;
use crate::machine::{Position, Saga, owed_names, read_parked};
use crate::message::{Alias, Key, Timestamp};
use crate::step::OVERDUE;
use crate::store::{Snapshot, Task, TaskKind, TaskStage, TimerRow};

/// One instance, in the state after its last committed step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Instance<S: Saga> {
    /// The key of the instance.
    pub key: Key,
    /// The current position.
    pub position: Position<S>,
    /// The saga data.
    pub data: S::Data,
    /// The stored names of the open obligations (undo commands), oldest first.
    pub obligations: Vec<String>,
    /// The timers that are set, by due time.
    pub timers: Vec<SetTimer>,
    /// The aliases that the instance has claimed (rule [R35](crate::rules#r35)), in text order.
    pub aliases: Vec<Alias>,
    /// The commands, undos and children that have not ended, in queue order.
    pub open: Vec<OpenCommand>,
    /// Whether an undo has been tried for more than 24 hours.
    pub overdue: bool,
    /// The number of the last step.
    pub seq: u64,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last step.
    pub changed_at: Timestamp,
}

/// A timer of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetTimer {
    /// The stored name of the timer.
    pub name: String,
    /// The due time.
    pub due: Timestamp,
}

/// A command, an undo or a child of an instance that has not ended, at its last stored progress.
///
/// The store records the first failed attempt at its end. It also records every attempt with an error other than the
/// error before. A quick attempt with the same error is recorded together with the next delayed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenCommand {
    /// The stored name of the command. For a child, the stored name of its saga.
    pub command: String,
    /// The number of its attempts that had ended.
    pub attempts: u32,
    /// The error of the last failed attempt. `None` when no attempt has failed.
    pub error: Option<String>,
    /// The due time of the next attempt. `None` when the next attempt is due at once or may be running. Also `None`
    /// when an operator must decide first.
    pub next_attempt: Option<Timestamp>,
    /// Whether it is an undo.
    pub undo: bool,
}

impl OpenCommand {
    fn of(task: &Task, now: Timestamp) -> Self {
        let progress = &task.progress;
        let waits = progress.stage == TaskStage::Ready && progress.due > now;
        Self {
            command: task.command.name.to_string(),
            attempts: progress.attempts,
            error: progress.error.clone(),
            next_attempt: waits.then_some(progress.due),
            undo: task.kind == TaskKind::Undo,
        }
    }
}

/// Reads the position of the instance. The error gives the reason, and the parking reason of a parked instance.
pub(super) fn position<S: Saga>(snapshot: &Snapshot) -> Result<Position<S>, InstanceError> {
    let record = &snapshot.instance;
    let parked = read_parked(record);
    Position::read(record, &snapshot.tasks, parked.clone()).map_err(|error| {
        let parked =
            parked.map_or_else(String::new, |(reason, detail)| format!("; parked: {reason}: {detail}"));
        InstanceError::Unreadable {
            saga: S::NAME,
            key: record.address.key.to_string(),
            why: format!("state `{}` {error}{parked}", record.state),
        }
    })
}

impl<S: Saga> Instance<S> {
    pub(crate) fn read(snapshot: &Snapshot, now: Timestamp) -> Result<Self, InstanceError> {
        let record = &snapshot.instance;
        let unreadable = |why: String| InstanceError::Unreadable {
            saga: S::NAME,
            key: record.address.key.to_string(),
            why,
        };
        let key = record.address.key.as_key();
        let key = key.ok_or_else(|| unreadable("the store returned it under an alias".to_owned()))?;
        let position = position(snapshot)?;
        let data = decode_data::<S>(&record.data, record.version)
            .map_err(|error| unreadable(format!("the data {error}")))?;
        let set = |timer: &TimerRow| SetTimer { name: timer.name.to_string(), due: timer.due };
        let mut timers: Vec<SetTimer> = snapshot.timers.iter().map(set).collect();
        timers.sort_by_key(|timer| timer.due);
        let overdue = snapshot
            .tasks
            .iter()
            .any(|task| task.kind == TaskKind::Undo && now.since(task.progress.since) > OVERDUE);
        Ok(Self {
            key,
            position,
            data,
            obligations: owed_names(&snapshot.obligations).into_iter().map(Into::into).collect(),
            timers,
            aliases: snapshot.aliases.clone(),
            open: snapshot.tasks.iter().map(|task| OpenCommand::of(task, now)).collect(),
            overdue,
            seq: record.seq,
            created_at: record.created_at,
            changed_at: record.changed_at,
        })
    }
}
