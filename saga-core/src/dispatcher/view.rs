//! One instance as a caller sees it.

use std::time::Duration;

use super::error::InstanceError;
use crate::machine::{Position, Saga, owed_names, read_parked};
use crate::message::{Key, Timestamp};
use crate::store::{Snapshot, Task, TaskKind, TaskStage, TimerRow};

/// An undo that has not succeeded for so long is *overdue*; its attempts go on (rule R14).
pub(crate) const OVERDUE: Duration = Duration::from_secs(24 * 60 * 60);

/// One instance as its last committed step left it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Instance<S: Saga> {
    /// Its key.
    pub key: Key,
    /// Where it is.
    pub position: Position<S>,
    /// Its data.
    pub data: S::Data,
    /// The stored names of the undo commands it owes, oldest first.
    pub obligations: Vec<String>,
    /// Its timers, by due time.
    pub timers: Vec<SetTimer>,
    /// The aliases it has claimed (rule R35), in order of their text.
    pub aliases: Vec<String>,
    /// Its commands, undos and children that have not ended, in the order in which they were queued.
    pub open: Vec<OpenCommand>,
    /// Whether an undo has been tried for more than 24 hours.
    pub overdue: bool,
    /// The number of its last step.
    pub seq: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last step was.
    pub changed_at: Timestamp,
}

/// A timer of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetTimer {
    /// The stored name.
    pub name: String,
    /// When the timer is due.
    pub due: Timestamp,
}

/// A command, an undo or a child of an instance that has not ended, as of the last time that how far it is was written.
///
/// The first failed attempt is written when it ends, and so is each one that says something else than the one before
/// it. A quick attempt that fails like the one before is written with the next delayed one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenCommand {
    /// The stored name of the command; of a child the stored name of its saga.
    pub command: String,
    /// How many of its attempts had ended.
    pub attempts: u32,
    /// What the last failed attempt said; `None` when none has failed.
    pub error: Option<String>,
    /// When the next attempt is due; `None` when that is at once, when one may be running, and when there will be none
    /// before a person decides.
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

/// Where the instance is; when this build cannot read that, why, and over what it is parked if it is.
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
        let position = position(snapshot)?;
        let data = S::__decode_data(&record.data, record.version)
            .map_err(|error| unreadable(format!("its data {error}")))?;
        let set = |timer: &TimerRow| SetTimer { name: timer.name.to_string(), due: timer.due };
        let mut timers: Vec<SetTimer> = snapshot.timers.iter().map(set).collect();
        timers.sort_by_key(|timer| timer.due);
        let overdue = snapshot
            .tasks
            .iter()
            .any(|task| task.kind == TaskKind::Undo && now.since(task.progress.since) > OVERDUE);
        Ok(Self {
            key: record.address.key.clone(),
            position,
            data,
            obligations: owed_names(&snapshot.obligations).into_iter().map(Into::into).collect(),
            timers,
            aliases: snapshot.aliases.iter().map(|alias| alias.text().to_owned()).collect(),
            open: snapshot.tasks.iter().map(|task| OpenCommand::of(task, now)).collect(),
            overdue,
            seq: record.seq,
            created_at: record.created_at,
            changed_at: record.changed_at,
        })
    }
}
