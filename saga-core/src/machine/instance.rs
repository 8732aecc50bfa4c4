//! One instance in memory: what is stored of it, and its typed state and data.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::alias::Taken;
use super::belongings::{Obligations, Tasks};
use super::context::Context;
use super::input::{At, Input, VerbRecord};
use super::live::{Live, Program};
use super::record::{self, HeadRecord, ParkedRecord, ReportRecord, Subject, TurnRecord};
use crate::definition::{Definition, State};
use crate::message::{ActionError, Key, Message, Name, Payload, Timestamp, not_newer, panic_text};
use crate::step::{InstanceChange, Obligation, RowId, Snapshot, Status, Task, TaskId, TaskKind, TimerRow};

/// One instance, as its last decision left it.
pub(crate) struct Instance {
    pub(super) program: Arc<dyn Program>,
    /// Its row, once it has one.
    pub(crate) row: Option<RowId>,
    /// What is, or is about to be, stored.
    pub(crate) record: InstanceChange,
    /// State and data, or why they cannot be read.
    pub(super) live: Result<Box<dyn Live>, String>,
    pub(crate) tasks: Tasks,
    pub(crate) timers: Vec<TimerRow>,
    pub(crate) obligations: Obligations,
    pub(crate) aliases: BTreeSet<Key>,
    /// What the store has said about aliases that the next step claims.
    pub(crate) taken: Vec<Taken>,
    /// What it is parked over, as it waits in the inbox: given to the verb that skips it, and there again afterwards.
    pub(crate) head: Option<Input>,
    /// The operator's verb under which the next step is decided; it becomes the step's first line of history.
    pub(super) verb: Option<VerbRecord>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Instance {
    /// The instance a store returned.
    pub(crate) fn load(program: Arc<dyn Program>, snapshot: Snapshot) -> Self {
        let Snapshot { row, instance: mut record, tasks, timers, obligations, aliases } = snapshot;
        let live = read(&*program, &mut record);
        let mut instance = Self {
            program,
            row: Some(row),
            record,
            live,
            tasks: tasks.into_iter().collect(),
            timers,
            obligations: obligations.into_iter().collect(),
            aliases: aliases.into_iter().collect(),
            taken: Vec::new(),
            head: None,
            verb: None,
        };
        instance.name_children();
        instance
    }

    /// As it is stored, once it is.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let (instance, tasks) = (self.record.clone(), self.tasks.iter().cloned().collect());
        let (timers, obligations) = (self.timers.clone(), self.obligations.iter().cloned().collect());
        let aliases = self.aliases.iter().cloned().collect();
        Some(Snapshot { row: self.row?, instance, tasks, timers, obligations, aliases })
    }

    pub(crate) fn definition(&self) -> &'static Definition {
        self.program.definition()
    }

    /// The state it is in, when this build knows it.
    pub(super) fn state(&self) -> Result<(usize, &'static State), String> {
        let definition = self.definition();
        let index = definition.state(&self.record.state).ok_or_else(|| {
            format!("state `{}` is not in `{}` v{}", self.record.state, definition.name, definition.version)
        })?;
        Ok((index, &definition.states[index]))
    }

    pub(crate) fn status(&self) -> Status {
        self.record.status
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.record.parked.is_some()
    }

    /// Whether events must wait until a person or the unwinding is done.
    pub(crate) fn holds_events_back(&self) -> bool {
        self.is_parked() || self.status() == Status::Compensating
    }

    /// Why it is parked. An unreadable record is reported as such.
    pub(crate) fn parked(&self) -> Option<Result<ParkedRecord, String>> {
        self.record.parked.as_ref().map(|parked| record::read("record of why it is parked", parked))
    }

    /// What it is parked over, when that waits in its queue.
    pub(crate) fn parked_head(&self) -> Option<HeadRecord> {
        match self.parked()?.ok()?.subject {
            Subject::Head(head) => Some(head),
            _ => None,
        }
    }

    pub(super) fn turn(&self) -> Result<TurnRecord, String> {
        match &self.record.turn {
            Some(turn) => record::read("record of the turn", turn),
            None => Err("the record of the turn is missing".to_owned()),
        }
    }

    /// Its typed part, when it can be read.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn live(&self) -> Option<&dyn Live> {
        self.live.as_deref().ok()
    }

    /// Whether the failures of this task are only recorded.
    pub(crate) fn is_best_effort(&self, task: &Task) -> bool {
        let definition = self.definition();
        let command = definition.command(&task.command.name);
        task.kind == TaskKind::Command && command.is_some_and(|at| definition.commands[at].best_effort)
    }

    /// Whether this is the outcome of a best-effort command that has failed or is unknown.
    pub(crate) fn is_best_effort_failure(&self, input: &Input) -> bool {
        match input {
            Input::Report(id, ReportRecord::Refused { .. } | ReportRecord::Unknown { .. }) => {
                self.task(*id).is_some_and(|task| self.is_best_effort(task))
            }
            _ => false,
        }
    }

    pub(crate) fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(id)
    }

    pub(crate) fn task_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        self.tasks.get_mut(id)
    }

    /// Roughly how many bytes it takes in memory: the payloads twice, for the typed form beside them.
    pub(crate) fn weight(&self) -> usize {
        let payload = self.record.payload.as_ref().map_or(0, Payload::len);
        // The smallest block of an allocator, with what it keeps beside it.
        const BLOCK: usize = 32;
        // An index keeps what it holds beside its keys, in blocks that are not full.
        const INDEXED: usize = 2 * BLOCK;
        size_of::<Self>()
            + 8 * BLOCK
            + 2 * (self.record.data.len() + payload)
            + self.tasks.bytes()
            + (2 * size_of::<Task>() + INDEXED) * self.tasks.len()
            + (2 * size_of::<Obligation>() + INDEXED + 4 * BLOCK) * self.obligations.len()
            + (size_of::<TimerRow>() + BLOCK) * self.timers.capacity()
            + (2 * size_of::<Key>() + BLOCK) * self.aliases.len()
    }

    /// What an action may know, for the step about to be decided.
    pub(super) fn context(&self, at: At, command: Option<Message>) -> Context {
        let InstanceChange { address, incarnation, seq, .. } = &self.record;
        Context::new(at.now, address.key.clone(), *incarnation, seq + 1).with_command(command)
    }

    /// Undoes whatever user code did to state and data since the last decision.
    pub(super) fn restore(&mut self) {
        self.live = read(&*self.program, &mut self.record);
    }

    /// Reads state and data back from what is stored of them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn reread(&mut self) {
        self.restore();
    }

    /// Whether its timer `name` of this visit stands, and is due: now, or for this very moment, should the clock have
    /// gone back since.
    pub(crate) fn is_due(&self, name: &str, visit: u32, due: Timestamp, now: Timestamp) -> bool {
        let found = self.timers.iter().find(|timer| timer.name == name && timer.visit == visit);
        found.is_some_and(|timer| timer.due == due || timer.due <= now)
    }
}

/// State and data. What an earlier version wrote is from here on in memory as the present one writes it, and stored so by
/// the next step (rule R34).
fn read(program: &dyn Program, record: &mut InstanceChange) -> Result<Box<dyn Live>, String> {
    let Definition { name, version, .. } = *program.definition();
    let state = program
        .definition()
        .state(&record.state)
        .ok_or_else(|| format!("state `{}` is not in `{name}` v{version}", record.state))?;
    let (live, present) = guarded(|| {
        not_newer(record.version, version)?;
        let mut live = program.decode(state, record.payload.as_ref(), &record.data, record.version)?;
        let present = match record.version == version {
            true => None,
            false => Some((live.keep_state()?, live.keep_data()?)),
        };
        Ok((live, present))
    })
    .map_err(|error| format!("state `{}` or its data {error}", record.state))?;
    if let Some((payload, data)) = present {
        (record.payload, record.data, record.version) = (payload, data, version);
    }
    Ok(live)
}

/// Runs user code. An error or a panic comes back as text.
pub(super) fn guarded<T>(user: impl FnOnce() -> Result<T, ActionError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(user)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_text(&*panic))),
    }
}

/// A stored name of a state as a history writes it.
pub(super) fn state_name(state: &State) -> Name {
    Name::Borrowed(state.name)
}
