//! One instance in memory: its stored record, and its typed state and data.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::alias::RejectedClaim;
use super::context::Context;
use super::input::{Input, StepContext, VerbRecord};
use super::live::{Live, Program};
use super::open_work::{Obligations, Tasks};
use super::record::{self, HeadRecord, ParkedRecord, ReportRecord, Subject, TurnRecord};
use crate::definition::{Definition, State};
use crate::message::{ActionError, Alias, Message, Name, Payload, Timestamp, not_newer, panic_text};
use crate::step::{
    InstanceChange, Labels, Obligation, RowId, Snapshot, Status, Task, TaskId, TaskKind, TimerRow,
};

/// One instance, as its last decision left it.
pub(crate) struct Instance {
    pub(super) program: Arc<dyn Program>,
    /// The row in the store, once the instance has a row.
    pub(crate) row: Option<RowId>,
    /// The record that is stored or about to be stored.
    pub(crate) record: InstanceChange,
    /// The typed state and data, or the reason why they cannot be read.
    pub(super) live: Result<Box<dyn Live>, String>,
    pub(crate) tasks: Tasks,
    pub(crate) timers: Vec<TimerRow>,
    pub(crate) obligations: Obligations,
    pub(crate) aliases: BTreeSet<Alias>,
    /// The labels in the index of the store, after the last step.
    pub(super) indexed: Labels,
    /// Claimed aliases that another instance holds, as the store reported for the next step.
    pub(crate) rejected_claims: Vec<RejectedClaim>,
    /// The input over which the instance is parked. The engine sets it for a verb that skips the input, and takes it
    /// back afterwards.
    pub(crate) head: Option<Input>,
    /// The operator's verb of the next step. It becomes the first history line of that step.
    pub(super) verb: Option<VerbRecord>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("record", &self.record).finish_non_exhaustive()
    }
}

impl Instance {
    /// Creates an instance from its stored form.
    pub(crate) fn load(program: Arc<dyn Program>, snapshot: Snapshot) -> Self {
        let Snapshot { row, instance: mut record, tasks, timers, obligations, aliases } = snapshot;
        let indexed = record.labels.clone();
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
            indexed,
            rejected_claims: Vec::new(),
            head: None,
            verb: None,
        };
        instance.name_children();
        instance
    }

    /// The stored form of the instance, once it has a row.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let (instance, tasks) = (self.record.clone(), self.tasks.iter().cloned().collect());
        let (timers, obligations) = (self.timers.clone(), self.obligations.iter().cloned().collect());
        let aliases = self.aliases.iter().cloned().collect();
        Some(Snapshot { row: self.row?, instance, tasks, timers, obligations, aliases })
    }

    pub(crate) fn definition(&self) -> &'static Definition {
        self.program.definition()
    }

    /// The present state. `Err` if this build does not know the state.
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

    /// True if events must wait, because the instance is parked or compensating.
    pub(crate) fn holds_events_back(&self) -> bool {
        self.is_parked() || self.status() == Status::Compensating
    }

    /// Why the instance is parked. `Err` if the record cannot be read.
    pub(crate) fn parked(&self) -> Option<Result<ParkedRecord, String>> {
        self.record.parked.as_ref().map(|parked| record::read("parking record", parked))
    }

    /// The input over which the instance is parked, if that input waits in the queue.
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

    /// The typed state and data, if they can be read.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn live(&self) -> Option<&dyn Live> {
        self.live.as_deref().ok()
    }

    /// True if failures of this task are only recorded (rule R3).
    pub(crate) fn is_best_effort(&self, task: &Task) -> bool {
        let definition = self.definition();
        let command = definition.command(&task.command.name);
        task.kind == TaskKind::Command && command.is_some_and(|at| definition.commands[at].best_effort)
    }

    /// True for the outcome of a best-effort command that has failed or is unknown.
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

    /// Estimates the size in memory in bytes. Payloads count twice, because their typed form is in memory as well.
    pub(crate) fn weight(&self) -> usize {
        let payload = self.record.payload.as_ref().map_or(0, Payload::len);
        // The smallest block of an allocator, with its overhead.
        const BLOCK: usize = 32;
        // An index stores values beside its keys, in blocks that are partly empty.
        const INDEXED: usize = 2 * BLOCK;
        size_of::<Self>()
            + 8 * BLOCK
            + 2 * (self.record.data.len() + payload)
            + self.tasks.bytes()
            + (2 * size_of::<Task>() + INDEXED) * self.tasks.len()
            + (2 * size_of::<Obligation>() + INDEXED + 4 * BLOCK) * self.obligations.len()
            + (size_of::<TimerRow>() + BLOCK) * self.timers.capacity()
            + (2 * size_of::<Alias>() + BLOCK) * self.aliases.len()
            + self.record.labels.bytes()
            + self.indexed.bytes()
    }

    /// The context of the actions of the next step.
    pub(super) fn context(&self, at: StepContext<'_>, command: Option<Message>) -> Context {
        let InstanceChange { address, incarnation, seq, .. } = &self.record;
        Context::new(at.now, address.key.clone(), *incarnation, seq + 1).with_command(command)
    }

    /// Discards all changes that user code made to state and data since the last decision.
    pub(super) fn restore(&mut self) {
        self.live = read(&*self.program, &mut self.record);
    }

    /// Reads state and data back from their stored form.
    pub(crate) fn reread(&mut self) {
        self.restore();
    }

    /// True if the timer `name` of this visit exists and is due. A timer with exactly this `due` counts as well,
    /// because the clock may have gone back.
    pub(crate) fn is_due(&self, name: &str, visit: u32, due: Timestamp, now: Timestamp) -> bool {
        let found = self.timers.iter().find(|timer| timer.name == name && timer.visit == visit);
        found.is_some_and(|timer| timer.due == due || timer.due <= now)
    }
}

/// Decodes state and data. A record of an earlier version is converted to the present version. The next step stores the
/// result (rule R34).
fn read(program: &dyn Program, record: &mut InstanceChange) -> Result<Box<dyn Live>, String> {
    let Definition { name, version, .. } = *program.definition();
    let state = program
        .definition()
        .state(&record.state)
        .ok_or_else(|| format!("state `{}` is not in `{name}` v{version}", record.state))?;
    let (live, present, labels) = guarded(|| {
        not_newer(record.version, version)?;
        let mut live = program.decode(state, record.payload.as_ref(), &record.data, record.version)?;
        let present = match record.version == version {
            true => None,
            false => Some((live.keep_state()?, live.keep_data()?)),
        };
        let labels = live.labels();
        Ok((live, present, labels))
    })
    .map_err(|error| format!("state `{}` or its data {error}", record.state))?;
    if let Some((payload, data)) = present {
        (record.payload, record.data, record.version) = (payload, data.data, version);
    }
    // The table may have other labels than the build that wrote the record.
    record.labels = labels;
    Ok(live)
}

/// Runs user code. An error or a panic is returned as text.
pub(super) fn guarded<T>(user: impl FnOnce() -> Result<T, ActionError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(user)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_text(&*panic))),
    }
}

/// The stored name of a state.
pub(super) fn state_name(state: &State) -> Name {
    Name::Borrowed(state.name)
}
