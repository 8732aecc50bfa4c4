//! One instance as a caller sees it.

use std::time::Duration;

use super::error::InstanceError;
use crate::machine::{Position, Saga, owed_names, read_parked};
use crate::message::{Key, Timestamp};
use crate::store::{Snapshot, TaskKind};

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
    /// Its timers: name and due time, by due time.
    pub timers: Vec<(String, Timestamp)>,
    /// The aliases it has claimed (rule R35), in order of their text.
    pub aliases: Vec<String>,
    /// The stored names of the commands and undos that have not ended, with the number of attempts that have.
    pub open: Vec<(String, u32)>,
    /// Whether an undo has been tried for more than 24 hours.
    pub overdue: bool,
    /// The number of its last step.
    pub seq: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last step was.
    pub changed_at: Timestamp,
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
        let mut timers: Vec<(String, Timestamp)> =
            snapshot.timers.iter().map(|timer| (timer.name.to_string(), timer.due)).collect();
        timers.sort_by_key(|(_, due)| *due);
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
            open: snapshot.tasks.iter().map(|t| (t.command.name.to_string(), t.progress.attempts)).collect(),
            overdue,
            seq: record.seq,
            created_at: record.created_at,
            changed_at: record.changed_at,
        })
    }
}
