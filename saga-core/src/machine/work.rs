//! The bookkeeping of one step: turns the results of user code into changes of the instance and of the store.

use crate::step::HistoryKind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::family::Outgoing;
use super::input::{AfterCommit, Decision, Effect, StepContext};
use super::instance::{Instance, state_name};
use super::live::Kept;
use super::outbox::{Outbox, Published};
use super::record::{self, ParkReason, ParkedRecord, ReportRecord, Subject};
use crate::definition::{CommandType, Due, End, Row, UndoOf, Waive};
use crate::message::{Message, Name, Payload, Timestamp, name_matches};
use crate::step::{
    Changes, Contents, HistoryEntry, InstanceChange, Obligation, ObligationChange, ObligationOf, OutKind,
    Status, Step, Task, TaskChange, TaskId, TaskKind, TaskProgress, TaskStage, TimerChange, TimerRow,
};

/// The visit number of the deadline, which belongs to the whole instance. Visits are counted from 1.
pub(super) const WHOLE: u32 = 0;

/// The time of the last change of an instance that an operator has purged. It is older than every retention, so the next
/// purge removes the instance. The year is 1.
pub(crate) const PURGED: Timestamp = Timestamp::from_millis(-62_135_596_800_000);

/// One step under construction. Each change goes to the instance and to the step at once, so that both always agree.
pub(super) struct Work<'a> {
    pub(super) instance: &'a mut Instance,
    pub(super) at: StepContext<'a>,
    /// Boxed, because a decision is moved several times on its way to the batch.
    pub(super) step: Box<Step>,
    published: Vec<Published>,
    pub(super) outgoing: Vec<Outgoing>,
    after: AfterCommit,
    before: Vec<Task>,
    /// For each task that this step queues, its position among the task changes of the step.
    added: Vec<usize>,
    tasks: u32,
    owed: u32,
    /// For each obligation that this step writes, its position among the obligation changes of the step.
    put_obligations: Vec<(TaskId, usize)>,
    /// The state before the step.
    from: Name,
    /// The data and the payload of the state before the step, if the saga keeps their changes.
    was: Option<Contents>,
}

/// A history line to write.
pub(super) struct Line {
    pub(super) kind: HistoryKind,
    pub(super) name: Name,
    pub(super) payload: Option<Payload>,
    pub(super) cause: Option<Name>,
    pub(super) note: Option<Name>,
}

impl Line {
    pub(super) fn new(kind: HistoryKind, name: impl Into<Name>) -> Self {
        Self { kind, name: name.into(), payload: None, cause: None, note: None }
    }

    pub(super) fn message(kind: HistoryKind, message: &Message) -> Self {
        Self { payload: Some(message.payload.clone()), ..Self::new(kind, message.name.clone()) }
    }

    pub(super) fn cause(self, cause: Option<Name>) -> Self {
        Self { cause, ..self }
    }

    pub(super) fn note(self, note: impl Into<Name>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(instance: &'a mut Instance, at: StepContext<'a>) -> Self {
        let from = instance.record.state.clone();
        let was = instance.definition().keeps_changes.then(|| contents(&instance.record));
        instance.record.seq += 1;
        instance.record.step = at.step;
        if instance.record.changed_at != PURGED {
            instance.record.changed_at = at.now;
        }
        instance.record.trace = at.trace.or(instance.record.trace);
        let step = Box::new(Step { row: instance.row, ..Step::default() });
        let verb = instance.verb.take();
        let mut work = Self {
            instance,
            at,
            step,
            published: Vec::new(),
            outgoing: Vec::new(),
            after: AfterCommit::default(),
            before: Vec::new(),
            added: Vec::new(),
            tasks: 0,
            owed: 0,
            put_obligations: Vec::new(),
            from,
            was,
        };
        if let Some(verb) = verb {
            let line = Line::new(HistoryKind::Verb, verb.verb.word()).cause(Some(Name::Owned(verb.by)));
            work.line(Line { payload: verb.verb.details(), ..line.note(verb.why) });
        }
        work
    }

    /// Marks the first step of an instance, which has no previous state.
    pub(super) fn first(mut self) -> Self {
        self.from = Name::Borrowed("");
        self.was = self.was.map(|_| Contents::default());
        self
    }

    pub(super) fn line(&mut self, line: Line) {
        small(&mut self.step.history, 1).push(HistoryEntry {
            kind: line.kind,
            at: self.at.now,
            name: line.name,
            payload: line.payload,
            from: self.from.clone(),
            to: self.instance.record.state.clone(),
            cause: line.cause,
            note: line.note,
        });
    }

    pub(super) fn continue_after(&mut self) {
        self.after.again = true;
    }

    /// Marks the instance for the next purge.
    pub(super) fn purge(&mut self) {
        self.instance.record.changed_at = PURGED;
        self.after.purge = true;
    }

    pub(super) fn stop(&mut self, task: TaskId) {
        self.after.stop.push(task);
    }

    pub(super) fn finish(mut self, effect: Effect) -> Decision {
        self.launch_children();
        self.arm_all_finished();
        self.report_end_to_parent();
        self.keep_changes();
        let Self { instance, mut step, published, outgoing, after, before, .. } = self;
        if instance.record.labels != instance.indexed {
            step.labels = instance.record.labels.changes(&instance.indexed);
            instance.indexed = instance.record.labels.clone();
        }
        step.instance = Some(instance.record.clone());
        Decision { step, effect, published, outgoing, after, skipped: false, before }
    }

    fn keep_changes(&mut self) {
        let Some(was) = self.was.take() else { return };
        let seq = self.instance.record.seq;
        let tasks = self.step.tasks.iter().filter_map(|change| match change {
            TaskChange::Add(task) => Some((
                match task.kind {
                    TaskKind::Command => OutKind::Command,
                    TaskKind::Undo => OutKind::Undo,
                    TaskKind::Child => OutKind::Child,
                },
                &*task.command.name,
            )),
            TaskChange::Progress(..) | TaskChange::Finish(_) => None,
        });
        let events = self.published.iter().map(|event| (OutKind::Event, &*event.message.name));
        // An obligation of an earlier step is written again with the report of its command.
        let owed = self.step.obligations.iter().filter_map(|change| match change {
            ObligationChange::Put(owed) if owed.id.seq == seq => Some((OutKind::Owed, &*owed.undo)),
            _ => None,
        });
        let timers = self.step.timers.iter().filter_map(|change| match change {
            TimerChange::Set(timer) => Some((OutKind::Timer, &*timer.name)),
            TimerChange::Clear(_) => None,
        });
        let out = tasks.chain(events).chain(owed).chain(timers);
        if let Some(changes) = Changes::between(&was, &contents(&self.instance.record), out) {
            self.line(Line { payload: Some(changes), ..Line::new(HistoryKind::Changed, "") });
        }
    }

    // Tasks.

    /// Queues the contents of an outbox for the present visit, and adds the obligations of its commands.
    pub(super) fn queue(&mut self, out: Outbox) {
        let definition = self.instance.definition();
        for sent in out.sent {
            let task = self.add_task(TaskKind::Command, sent.message.clone());
            if let Some(undo) = sent.undo {
                let undo = Name::Borrowed(definition.commands[definition.undos[undo].command].name);
                self.owe(undo, ObligationOf::Command { task, command: sent.message });
            }
        }
        self.change_aliases(out.aliases);
        self.published.extend(out.published);
        self.queue_children(out.starting, out.started);
    }

    pub(super) fn add_task(&mut self, kind: TaskKind, command: Message) -> TaskId {
        let id = TaskId { seq: self.instance.record.seq, ord: self.tasks };
        self.tasks += 1;
        let (visit, trace) = (self.instance.record.visit, self.instance.record.trace);
        if kind == TaskKind::Command {
            self.supersede(&command.name, visit);
        }
        let task = Task {
            id,
            kind,
            command,
            visit,
            trace,
            progress: TaskProgress::queued(self.at.now, self.at.epoch),
        };
        self.instance.tasks.insert(task.clone());
        self.added.push(self.step.tasks.len());
        small(&mut self.step.tasks, 1).push(TaskChange::Add(task));
        id
    }

    /// The task `id`, if this step queues it.
    pub(super) fn added(&mut self, id: TaskId) -> Option<&mut Task> {
        let at = *self.added.get(usize::try_from(id.ord).ok()?)?;
        match self.step.tasks.get_mut(at) {
            Some(TaskChange::Add(task)) if task.id == id => Some(task),
            _ => None,
        }
    }

    /// Marks the same command of an earlier visit as superseded (rule R9).
    fn supersede(&mut self, command: &str, visit: u32) {
        for name in self.instance.names_of_command(command) {
            for id in self.instance.tasks.take_earlier(name, visit) {
                let Some(task) = self.instance.tasks.get_mut(id) else { continue };
                self.before.push(task.clone());
                task.progress.superseded = true;
                self.step.tasks.push(TaskChange::Progress(id, task.progress.clone()));
            }
        }
    }

    /// Removes a task after its report.
    pub(super) fn finish_task(&mut self, id: TaskId) {
        if let Some(task) = self.instance.tasks.remove(id) {
            small(&mut self.before, 1).push(task);
        }
        // A step that ends a task usually queues the next one.
        small(&mut self.step.tasks, 2).push(TaskChange::Finish(id));
    }

    /// Removes a task that will get no report.
    pub(super) fn end_task(&mut self, id: TaskId) {
        self.finish_task(id);
        self.after.ended.push(id);
    }

    /// Holds a task until a person decides.
    pub(super) fn hold_task(&mut self, id: TaskId, error: Option<String>) {
        if let Some(task) = self.instance.task_mut(id) {
            self.before.push(task.clone());
            task.progress.stage = TaskStage::Held;
            task.progress.error = error;
            let progress = task.progress.clone();
            self.step.tasks.push(TaskChange::Progress(id, progress));
        }
    }

    /// Lets a held task run again with the same key, as if it had just been queued.
    pub(super) fn rerun_task(&mut self, id: TaskId) {
        let StepContext { now, epoch, .. } = self.at;
        if let Some(task) = self.instance.task_mut(id) {
            self.before.push(task.clone());
            let TaskProgress { attempts, left_out, superseded, .. } = task.progress;
            let saved = task.progress.saved.take();
            // Earlier attempts still count, because their effect is still indeterminate (rule R17).
            task.progress =
                TaskProgress { attempts, left_out, superseded, saved, ..TaskProgress::queued(now, epoch) };
            let progress = task.progress.clone();
            self.step.tasks.push(TaskChange::Progress(id, progress));
            // The lane starts the task only after the commit.
            self.after.rerun.push(id);
        }
    }

    // Obligations.

    fn owe(&mut self, undo: Name, of: ObligationOf) {
        let id = TaskId { seq: self.instance.record.seq, ord: self.owed };
        self.owed += 1;
        let obligation = Obligation { id, undo, of, report: None, task: None };
        self.instance.obligations.insert(obligation.clone());
        self.put_obligation(obligation);
    }

    /// Adds the obligations of the entered state.
    fn owe_for_state(&mut self, state: usize) {
        let definition = self.instance.definition();
        let visit = self.instance.record.visit;
        for &undo in definition.states[state].compensations {
            let name = Name::Borrowed(definition.commands[definition.undos[undo].command].name);
            let state = state_name(&definition.states[state]);
            let version = definition.version;
            self.owe(name, ObligationOf::State { state, visit, version, payload: None });
        }
    }

    pub(super) fn drop_obligation(&mut self, id: TaskId) {
        self.instance.obligations.remove(id);
        // A change of an obligation that this step drops need not be written.
        if let Some(at) = self.put_obligations.iter().position(|(put, _)| *put == id) {
            let (_, written) = self.put_obligations.swap_remove(at);
            self.step.obligations.swap_remove(written);
            let moved = self.put_obligations.iter_mut().find(|(_, at)| *at == self.step.obligations.len());
            if let Some((_, at)) = moved {
                *at = written;
            }
        }
        // An obligation that this step added is not in the store.
        if id.seq != self.instance.record.seq {
            self.step.obligations.push(ObligationChange::Drop(id));
        }
    }

    /// Writes an obligation with this step, instead of an earlier change of this step.
    fn put_obligation(&mut self, obligation: Obligation) {
        let id = obligation.id;
        let change = ObligationChange::Put(obligation);
        match self.put_obligations.iter().find(|(put, _)| *put == id) {
            Some(&(_, at)) => self.step.obligations[at] = change,
            None => {
                self.put_obligations.push((id, self.step.obligations.len()));
                small(&mut self.step.obligations, 2).push(change);
            }
        }
    }

    pub(super) fn change_obligation(&mut self, id: TaskId, change: impl FnOnce(&mut Obligation)) {
        if let Some(obligation) = self.instance.obligations.change(id, change).cloned() {
            self.put_obligation(obligation);
        }
    }

    /// Drops the obligations in `not_owed` and `waive` of the row. `answered` is the command of the report. Its own
    /// obligation comes first, even if the refusal has already dropped it (rule R10).
    pub(super) fn release_by(&mut self, row: &Row, answered: Option<TaskId>, refused: Option<&str>) {
        let waived = self.instance.waived_by(row);
        for id in self.instance.released_by(row, answered, refused) {
            // A waiver is deliberate, so the history names it (rule R10).
            if let Some(undo) = waived.get(&id) {
                self.line(Line::new(HistoryKind::Waived, undo.clone()));
            }
            self.drop_obligation(id);
        }
    }

    /// Drops all remaining obligations. Returns their undo commands, which will not run.
    pub(super) fn release_all(&mut self) -> Vec<String> {
        let mut released = Vec::new();
        while let Some(obligation) = self.instance.obligations.newest() {
            released.push(obligation.undo.to_string());
            let id = obligation.id;
            self.drop_obligation(id);
        }
        released
    }

    /// Writes the outcome of a command into its obligation. If the command had no effect, the obligation is dropped.
    /// Returns the undo command of a dropped obligation.
    pub(super) fn record_report(&mut self, task: TaskId, report: &ReportRecord) -> Option<Name> {
        let obligation = self.instance.obligation_of(task)?;
        let (id, undo) = (obligation.id, obligation.undo.clone());
        match report {
            ReportRecord::Refused { .. } | ReportRecord::Withdrawn => {
                self.drop_obligation(id);
                Some(undo)
            }
            ReportRecord::Replied(_) | ReportRecord::Unknown { .. } | ReportRecord::Child(_) => {
                let report = record::write(report);
                self.change_obligation(id, |obligation| obligation.report = Some(report));
                None
            }
        }
    }

    // Visits.

    /// Ends the present visit: stores the payload in the obligations of its state, and cancels its timers.
    pub(super) fn leave(&mut self, left: Option<Payload>) {
        if let Some(left) = left {
            let (visit, written) = (self.instance.record.visit, self.instance.record.version);
            for id in self.instance.obligations.of_visit(visit) {
                let left = left.clone();
                self.change_obligation(id, |obligation| {
                    if let ObligationOf::State { payload, version, .. } = &mut obligation.of {
                        (*payload, *version) = (Some(left), written);
                    }
                });
            }
        }
        self.clear_timers(|timer| timer.visit != WHOLE);
    }

    /// Cancels the timers that `which` selects.
    pub(super) fn clear_timers(&mut self, which: impl Fn(&TimerRow) -> bool) {
        for timer in std::mem::take(&mut self.instance.timers) {
            if which(&timer) {
                self.clear_in_store(timer.name);
            } else {
                self.instance.timers.push(timer);
            }
        }
    }

    /// Cancels all timers including the deadline, at a turn and at the end.
    pub(super) fn clear_all_timers(&mut self) {
        self.clear_timers(|_| true);
    }

    fn clear_in_store(&mut self, name: Name) {
        // A timer that this step sets is not in the store yet. The store may hold an earlier timer of the same name.
        self.step.timers.retain(|change| !matches!(change, TimerChange::Set(set) if set.name == name));
        self.step.timers.push(TimerChange::Clear(name));
    }

    pub(super) fn clear_timer(&mut self, name: &str) {
        self.instance.timers.retain(|timer| timer.name != name);
        self.clear_in_store(Name::Owned(name.to_owned()));
    }

    /// Uses up a timer that has fired. A repeating timer is set again for its next period that is not over.
    pub(super) fn timer_fired(&mut self, timer: usize) {
        let timer = &self.instance.definition().timers[timer];
        let found =
            self.instance.timers.iter().find(|row| name_matches(&row.name, timer.name, timer.was)).cloned();
        let name = found.as_ref().map_or(Name::Borrowed(timer.name), |row| row.name.clone());
        self.clear_timer(&name);
        if let (Due::Every { millis, times }, Some(row)) = (timer.due, found)
            && times.is_none_or(|times| row.fired + 1 < times)
        {
            let period = Duration::from_millis(millis.max(1));
            // Periods that passed while no process was running are skipped, and one firing stands for all of them.
            let late = self.at.now.since(row.due).as_millis() / period.as_millis();
            let periods = u32::try_from(late).unwrap_or(u32::MAX).saturating_add(1);
            let due = row.due.plus(period.saturating_mul(periods));
            let name = Name::Borrowed(timer.name);
            self.set_timer(TimerRow { name, armed: self.at.now, due, fired: row.fired + 1, ..row });
        }
    }

    /// Begins a visit of `state`. [`settle_in`](Self::settle_in) follows after the row's own commands are queued.
    pub(super) fn enter(&mut self, state: usize, payload: Option<Payload>, data: Kept) {
        let found = &self.instance.definition().states[state];
        let record = &mut self.instance.record;
        record.state = state_name(found);
        record.payload = payload;
        (record.data, record.labels) = (data.data, data.labels);
        record.visit += 1;
        record.turn = None;
        record.status = match found.end {
            None => Status::Running,
            Some(End::Completed) => Status::Completed,
            Some(End::Failed) => Status::Failed,
        };
        self.keep_sets();
        if found.end.is_some() {
            self.clear_all_timers();
        }
    }

    /// Adds the obligations of the entered state, and sets its timers.
    pub(super) fn settle_in(&mut self, state: usize, dues: &[Timestamp]) {
        let definition = self.instance.definition();
        // After the commands of the row, so that the undo of the state runs before theirs.
        self.owe_for_state(state);
        let visit = self.instance.record.visit;
        for (&timer, &due) in definition.states[state].timers.iter().zip(dues) {
            let name = Name::Borrowed(definition.timers[timer].name);
            self.set_timer(TimerRow { name, visit, armed: self.at.now, due, fired: 0 });
        }
    }

    /// Sets the deadline of the instance.
    pub(super) fn set_deadline(&mut self) {
        let definition = self.instance.definition();
        if let Some(timer) = definition.deadline.map(|timer| &definition.timers[timer])
            && let Due::After(millis) = timer.due
        {
            let (name, armed) = (Name::Borrowed(timer.name), self.at.now);
            let due = armed.plus(Duration::from_millis(millis));
            self.set_timer(TimerRow { name, visit: WHOLE, armed, due, fired: 0 });
        }
    }

    pub(super) fn set_timer(&mut self, timer: TimerRow) {
        // The end of a visit may have cleared a timer of this name in this step. The new timer replaces it.
        let name = timer.name.clone();
        self.step.timers.retain(|change| !matches!(change, TimerChange::Clear(cleared) if *cleared == name));
        self.instance.timers.push(timer.clone());
        self.step.timers.push(TimerChange::Set(timer));
    }

    /// Stays in the visit, with the payload and data that `run` left.
    pub(super) fn stay(&mut self, payload: Option<Payload>, data: Kept) {
        let record = &mut self.instance.record;
        record.payload = payload;
        (record.data, record.labels) = (data.data, data.labels);
    }

    // Waiting for a person.

    pub(super) fn park(&mut self, reason: ParkReason, detail: String, subject: Subject) {
        self.park_with(reason, detail, subject, None);
    }

    /// Parks, and stores the outcome of the command over which the instance is parked.
    pub(super) fn park_with(
        &mut self,
        reason: ParkReason,
        detail: String,
        subject: Subject,
        report: Option<ReportRecord>,
    ) {
        let at = self.at.now.as_millis();
        self.report_park_to_parent(reason, &detail);
        self.line(Line::new(HistoryKind::Parked, "").note(format!("{reason}: {detail}")));
        self.instance.record.parked =
            Some(record::write(&ParkedRecord { reason, detail, at, subject, report }));
    }

    pub(super) fn unpark(&mut self) {
        self.instance.record.parked = None;
    }
}

impl Instance {
    /// The obligation to undo the command `task`.
    pub(super) fn obligation_of(&self, task: TaskId) -> Option<&Obligation> {
        let owed = self.obligations.of_task(task)?;
        matches!(&owed.of, ObligationOf::Command { task: of, .. } if *of == task).then_some(owed)
    }

    /// The obligations that `row` drops by `not_owed` and `waive`.
    pub(super) fn released_by(
        &self,
        row: &Row,
        answered: Option<TaskId>,
        refused: Option<&str>,
    ) -> BTreeSet<TaskId> {
        let definition = self.definition();
        let mut released = BTreeSet::new();
        for &undo in row.not_owed {
            if refused.is_some_and(|refused| definition.command(refused) == Some(undo)) {
                continue;
            }
            let is_for = |owed: &&Obligation| definition.command(&owed.undo) == Some(undo);
            let own = answered.and_then(|task| self.obligation_of(task)).filter(is_for);
            let newest = || self.owed_as(undo).find(|owed| !released.contains(&owed.id));
            let id = own.or_else(newest).map(|owed| owed.id);
            released.extend(id);
        }
        released.extend(self.waived_by(row).into_keys());
        released
    }

    /// The obligations that `row` drops by `waive`, with their undo commands.
    fn waived_by(&self, row: &Row) -> BTreeMap<TaskId, Name> {
        let of = |owed: &Obligation| (owed.id, owed.undo.clone());
        match row.waive {
            Waive::Nothing => BTreeMap::new(),
            Waive::All => self.obligations.iter().map(of).collect(),
            Waive::Named(undos) => undos.iter().flat_map(|&undo| self.owed_as(undo)).map(of).collect(),
        }
    }

    /// The obligations of the undo command with this index, newest first.
    fn owed_as(&self, undo: usize) -> impl Iterator<Item = &Obligation> {
        self.obligations.named(names(&self.definition().commands[undo]))
    }

    /// The stored names of a command: its present name and its earlier names.
    fn names_of_command(&self, name: &str) -> impl Iterator<Item = &'static str> + use<> {
        let definition = self.definition();
        definition.command(name).into_iter().flat_map(|index| names(&definition.commands[index]))
    }

    /// The undo of the definition that builds the undo command of this obligation.
    pub(super) fn undo_for(&self, obligation: &Obligation) -> Option<usize> {
        let definition = self.definition();
        definition.undos.iter().position(|undo| {
            definition.command(&obligation.undo) == Some(undo.command)
                && match (&undo.of, &obligation.of) {
                    (UndoOf::State(of), ObligationOf::State { state, .. }) => {
                        definition.state(state) == Some(*of)
                    }
                    (UndoOf::Command(of), ObligationOf::Command { command, .. }) => {
                        definition.command(&command.name) == Some(*of)
                    }
                    _ => false,
                }
        })
    }
}

fn contents(record: &InstanceChange) -> Contents {
    Contents { data: Some(record.data.clone()), state: record.payload.clone() }
}

/// Makes room for the usual number of entries. The first `push` to an empty list makes room for four large ones.
fn small<T>(list: &mut Vec<T>, usual: usize) -> &mut Vec<T> {
    if list.is_empty() {
        list.reserve_exact(usual);
    }
    list
}

fn names(command: &'static CommandType) -> impl Iterator<Item = &'static str> {
    std::iter::once(command.name).chain(command.was.iter().copied())
}
