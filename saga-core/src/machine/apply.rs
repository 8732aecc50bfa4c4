//! Applying one input to an instance. Each ends in a [`Decision`]: one step to commit.

use std::sync::Arc;

use super::alias::{self, Taken};
use super::child::{AllFinished, FamilyRecord, NewsRecord, all_finished, all_finished_timer, too_deep};
use super::input::{At, Begun, Decision, Disposition, EventIn, Input};
use super::instance::{Instance, guarded};
use super::join::{JOIN, set_name};
use super::live::Program;
use super::outbox::Outbox;
use super::record::{
    HeadRecord, MessageRecord, ParkReason, ReportRecord, RowRecord, Subject, TickRecord, TriggerRecord,
};
use super::row::{Decided, Performed, check, dues};
use super::saga::Cause;
use super::work::{Line, Work};
use crate::definition::{Answer, Due, End, Move, Trigger, Value, Verdict};
use crate::message::{Incarnation, Message, Name, Tick, Timestamp, is};
use crate::store::{Address, InstanceChange, Status, TaskId, TaskKind};

/// Why an event did not start an instance.
pub(crate) struct NotStarted {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

/// What triggered a row, with all a turn must keep of it.
pub(super) struct Fired<'a> {
    pub(super) trigger: Trigger,
    pub(super) value: Option<&'a Value>,
    pub(super) event: Option<&'a Message>,
    pub(super) id: Option<&'a str>,
    /// The task that is being reported on.
    pub(super) task: Option<TaskId>,
    pub(super) command: Option<Message>,
    pub(super) report: Option<&'a ReportRecord>,
    /// The undo that was dropped because the command was refused.
    pub(super) refused: Option<Name>,
    /// The child that has reported.
    pub(super) child: Option<(TaskId, &'a NewsRecord)>,
}

impl Fired<'_> {
    pub(super) const fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            value: None,
            event: None,
            id: None,
            task: None,
            command: None,
            report: None,
            refused: None,
            child: None,
        }
    }

    pub(super) fn cause(&self) -> Cause<'_> {
        Cause(self.value.map(|value| &**value))
    }

    pub(super) fn because(&self) -> Option<Name> {
        match (self.id, &self.command, self.child) {
            (_, Some(command), _) => Some(command.name.clone()),
            (Some(id), None, _) => Some(Name::Owned(id.to_owned())),
            (None, None, Some((_, news))) => Some(Name::Owned(news.key().to_owned())),
            (None, None, None) => None,
        }
    }
}

impl Instance {
    /// Starts an instance with `event`, or says why not.
    pub(crate) fn start(
        program: &Arc<dyn Program>,
        address: Address,
        incarnation: Incarnation,
        event: &EventIn,
        taken: &[Taken],
        at: At,
    ) -> Result<(Self, Decision), NotStarted> {
        let definition = program.definition();
        let name = event.message.name.clone();
        let not = |reason, detail| NotStarted { reason, detail };
        let Some(index) = definition.event(&name).filter(|&index| definition.starts(index)) else {
            let detail = format!("there is no {address}, and `{name}` does not start one");
            return Err(not("missing-instance", detail));
        };
        let decoded;
        let value = match &event.value {
            Some(value) => value,
            None => {
                decoded = (definition.events[index].decode)(&event.message)
                    .map_err(|error| not("undecodable", format!("event `{name}` {error}")))?;
                &decoded
            }
        };
        let cause = Cause(Some(&**value));
        let mut cx = super::Context::new(at.now, address.key.clone(), incarnation, 1);
        let failed = |error| not("start-failed", format!("`{name}` could not start {address}: {error}"));
        let mut row = None;
        for &candidate in definition.initially {
            let candidate_row = &definition.rows[candidate];
            if candidate_row.triggers.contains(&Trigger::Event(index))
                && (candidate_row.guard.is_none()
                    || guarded(|| Ok(program.guard_start(candidate, cause, &cx))).map_err(failed)?)
            {
                row = Some(candidate);
                break;
            }
        }
        let Some(row) = row else {
            return Err(not("missing-instance", format!("no guard let `{name}` start {address}")));
        };
        let mut out = [Outbox::default(), Outbox::default()];
        let family = event.parent.as_ref().map(FamilyRecord::child_of);
        let (live, state, payload, data, dues) = guarded(|| {
            let mut live = program.begin(row, cause, &mut cx, &mut out[0])?;
            live.enter(&mut cx, &mut out[1])?;
            let dues = dues(&*live, definition, &mut cx)?;
            let (state, payload, data) = (live.state(), live.encode_state()?, live.encode_data()?);
            check(&out, payload.as_ref(), &data, at.limits)?;
            too_deep(family.as_ref(), &out)?;
            Ok((live, state, payload, data, dues))
        })
        .map_err(failed)?;
        if let Some(taken) = alias::taken(taken, &out) {
            return Err(not("alias-taken", format!("`{name}` could not start {address}: {taken}")));
        }
        let record = InstanceChange {
            address,
            incarnation,
            created_at: at.now,
            seq: 0,
            step: at.step,
            version: definition.version,
            status: Status::Running,
            state: Name::Borrowed(definition.states[state].name),
            payload: None,
            data: data.clone(),
            visit: 0,
            turn: None,
            parked: None,
            noted: None,
            family,
            changed_at: at.now,
        };
        let mut instance = Self {
            program: Arc::clone(program),
            row: None,
            record,
            live: Ok(live),
            tasks: Vec::new(),
            timers: Vec::new(),
            obligations: Vec::new(),
            aliases: Vec::new(),
            taken: Vec::new(),
            verb: None,
        };
        let mut work = Work::new(&mut instance, at).first();
        work.enter(state, payload, data);
        let [sent, entered] = out;
        work.queue(sent);
        if work.instance.record.status == Status::Running {
            work.settle_in(state, &dues);
            work.set_deadline();
            work.note_event(index);
        }
        work.queue(entered);
        let cause = event.id.as_ref().map(|id| Name::Owned(id.to_string()));
        work.line(Line::message("started", &event.message).cause(cause));
        let decision = work.finish(Disposition::Applied);
        Ok((instance, decision))
    }

    /// Decides what `input` does. `begun` tells how far each forward task has come; it is asked only at a turn.
    pub(crate) fn apply(&mut self, input: &Input, at: At, begun: &dyn Fn(TaskId) -> Begun) -> Decision {
        if self.record.parked.is_none()
            && !self.status().is_over()
            && let Err(error) = &self.live
        {
            let detail = error.clone();
            if !matches!(input, Input::Verb(_)) {
                let subject = Subject::Head(HeadRecord::of(input));
                return self.parked_over(ParkReason::Unreadable, detail, subject, at);
            }
        }
        match input {
            Input::Event(event) => self.apply_event(event, at, begun),
            Input::Report(task, report) => self.apply_report(*task, report, at, begun),
            Input::Timer { name, visit, due } => self.apply_timer(name, *visit, *due, at, begun),
            Input::Continue => self.go_on(at),
            Input::Verb(verb) => self.apply_verb(verb.clone(), at, begun),
            Input::Skipped(task, ReportRecord::Child(news)) => self.news_skipped(*task, news, at),
            Input::Skipped(task, report) => match self.task(*task).map(|task| task.command.clone()) {
                Some(command) => self.recorded(*task, &command, report, at),
                None => Decision::nothing(Disposition::Stale),
            },
            Input::Stuck(task, reason, detail) => self.stuck(*task, *reason, detail, at),
        }
    }

    /// A step that only parks: the input that caused it stays where it is.
    pub(super) fn parked_over(
        &mut self,
        reason: ParkReason,
        detail: String,
        subject: Subject,
        at: At,
    ) -> Decision {
        let mut work = Work::new(self, at);
        work.park(reason, detail, subject);
        work.finish(Disposition::Kept)
    }

    fn apply_event(&mut self, event: &EventIn, at: At, begun: &dyn Fn(TaskId) -> Begun) -> Decision {
        if let Some(parent) = &event.parent {
            return self.started_by_another(parent, &event.message, at);
        }
        let definition = self.definition();
        let name = &event.message.name;
        let id = event.id.as_ref().map(ToString::to_string);
        let Some(index) = definition.event(name) else {
            let detail = format!("`{}` v{} does not take `{name}`", definition.name, definition.version);
            return self.dead(&event.message, id.as_deref(), "unknown-event", detail, at);
        };
        if self.status().is_over() {
            let ended = format!("{} has ended in `{}`", self.record.address, self.record.state);
            return match definition.ended_instance {
                Verdict::Reject if !definition.starts(index) => {
                    self.dead(&event.message, id.as_deref(), "ended-instance", ended, at)
                }
                _ => self.ignored(&event.message, id.as_deref(), "the instance has ended", at),
            };
        }
        let decoded;
        let value = match &event.value {
            Some(value) => value,
            None => match (definition.events[index].decode)(&event.message) {
                Ok(value) => {
                    decoded = value;
                    &decoded
                }
                Err(error) => {
                    let detail = format!("event `{name}` {error}");
                    return self.dead(&event.message, id.as_deref(), "undecodable", detail, at);
                }
            },
        };
        let fired = Fired {
            value: Some(value),
            event: Some(&event.message),
            id: id.as_deref(),
            ..Fired::new(Trigger::Event(index))
        };
        self.fire(fired, at, begun)
    }

    fn apply_timer(
        &mut self,
        name: &str,
        visit: u32,
        due: Timestamp,
        at: At,
        begun: &dyn Fn(TaskId) -> Begun,
    ) -> Decision {
        let stands = self.is_due(name, visit, due, at.now) && self.status() == Status::Running;
        if stands && name == JOIN {
            return self.apply_join(at, begun);
        }
        if stands && all_finished(name).is_some() {
            return self.apply_all_finished(name, at, begun);
        }
        let trigger = self.state().ok().and_then(|(state, _)| self.definition().timer(state, name));
        let Some(timer) = trigger.filter(|_| stands) else {
            return Decision::nothing(Disposition::Stale);
        };
        let tick = self.tick(timer).map(|tick| Box::new(tick) as Value);
        let fired = Fired { value: tick.as_ref(), ..Fired::new(Trigger::Timer(timer)) };
        self.fire(fired, at, begun)
    }

    /// A set was completed by an event that a row of its own has taken.
    fn apply_join(&mut self, at: At, begun: &dyn Fn(TaskId) -> Begun) -> Decision {
        let cx = self.context(at, None);
        match self.joined(None, &cx) {
            Ok(Some(row)) => self.go(row, Fired::new(Trigger::All(row)), at, begun),
            Ok(None) => {
                let mut work = Work::new(self, at);
                work.clear_timer(JOIN);
                work.finish(Disposition::Stale)
            }
            Err(error) => {
                let subject = Subject::Timer(JOIN.to_owned());
                self.parked_over(ParkReason::ActionFailed, error, subject, at)
            }
        }
    }

    /// Performs a row that has been decided on.
    fn go(&mut self, row: usize, fired: Fired<'_>, at: At, begun: &dyn Fn(TaskId) -> Begun) -> Decision {
        let mut cx = self.context(at, fired.command.clone());
        if self.definition().rows[row].compensate {
            return self.turn_by(row, &fired, &mut cx, at, begun);
        }
        match self.perform(row, fired.cause(), &mut cx, true, at) {
            Err(error) => self.action_failed(&fired, &error, at),
            Ok(performed) => self.move_on(row, &fired, performed, at),
        }
    }

    /// An event of a set that is not complete.
    fn noted(&mut self, fired: &Fired<'_>, at: At) -> Decision {
        let mut work = Work::new(self, at);
        work.consume(fired);
        if let Trigger::Event(event) = fired.trigger {
            work.note_event(event);
        }
        let line = match fired.event {
            Some(event) => Line::message("noted", event),
            None => Line::new("noted", work.instance.definition().describe(fired.trigger)),
        };
        work.line(line.cause(fired.because()));
        work.finish(Disposition::Applied)
    }

    /// Which firing of a repeating timer this is.
    fn tick(&self, timer: usize) -> Option<Tick> {
        let timer = &self.definition().timers[timer];
        let Due::Every { times, .. } = timer.due else { return None };
        let row = self.timers.iter().find(|row| is(&row.name, timer.name, timer.was))?;
        Some(Tick { nth: row.fired + 1, of: times, due: row.due })
    }

    /// A command or undo has ended.
    fn apply_report(
        &mut self,
        task: TaskId,
        report: &ReportRecord,
        at: At,
        begun: &dyn Fn(TaskId) -> Begun,
    ) -> Decision {
        if let ReportRecord::Child(news) = report {
            return self.apply_news(task, news, at, begun);
        }
        let Some(found) = self.task(task).filter(|task| task.kind != TaskKind::Child) else {
            return Decision::nothing(Disposition::Stale);
        };
        let command = found.command.clone();
        if found.kind == TaskKind::Undo {
            return self.undo_ended(task, &command, report.clone(), at);
        }
        if self.status() == Status::Compensating {
            return self.ended_while_compensating(task, &command, report.clone(), at);
        }
        let definition = self.definition();
        let index = definition.command(&command.name);
        let best_effort = index.is_some_and(|index| definition.commands[index].best_effort);
        let failed = matches!(report, ReportRecord::Refused { .. } | ReportRecord::Unknown { .. });
        if self.status().is_over() || (best_effort && failed) || matches!(report, ReportRecord::Replied(None))
        {
            return self.recorded(task, &command, report, at);
        }
        let superseded = found.progress.superseded && self.verb.is_none();
        let event: Option<Message>;
        let value: Value;
        let trigger = match report {
            ReportRecord::Replied(Some(reply)) => {
                let reply = Message::from(reply.clone());
                let Some(index) = definition.event(&reply.name) else {
                    let detail = format!(
                        "`{}` v{} does not take the reply `{}`",
                        definition.name, definition.version, reply.name
                    );
                    return self.held_over(task, report, ParkReason::OutcomeUnhandled, detail, at);
                };
                match (definition.events[index].decode)(&reply) {
                    Ok(decoded) => value = decoded,
                    Err(error) => {
                        let detail = format!("reply `{}` {error}", reply.name);
                        return self.held_over(task, report, ParkReason::OutcomeUnhandled, detail, at);
                    }
                }
                event = Some(reply);
                Trigger::Event(index)
            }
            ReportRecord::Refused { attempts, reason } | ReportRecord::Unknown { attempts, reason } => {
                let refused = matches!(report, ReportRecord::Refused { .. });
                let Some(index) = index else {
                    let detail = format!(
                        "`{}` v{} no longer sends `{}`",
                        definition.name, definition.version, command.name
                    );
                    return self.held_over(task, report, ParkReason::OutcomeUnhandled, detail, at);
                };
                let kind = &definition.commands[index];
                let decode = if refused { kind.failed } else { kind.unknown };
                match decode(&command, *attempts, reason.clone()) {
                    Ok(decoded) => value = decoded,
                    Err(error) => {
                        let detail = format!("command `{}` {error}", command.name);
                        return self.held_over(task, report, ParkReason::OutcomeUnhandled, detail, at);
                    }
                }
                event = None;
                if refused { Trigger::Failed(index) } else { Trigger::Unknown(index) }
            }
            ReportRecord::Replied(None) | ReportRecord::Withdrawn | ReportRecord::Child(_) => {
                return self.recorded(task, &command, report, at);
            }
        };
        let trigger = match trigger {
            Trigger::Event(event) if superseded => Trigger::Superseded(Answer::Event(event)),
            Trigger::Failed(command) if superseded => Trigger::Superseded(Answer::Failed(command)),
            Trigger::Unknown(command) if superseded => Trigger::Superseded(Answer::Unknown(command)),
            trigger => trigger,
        };
        let refused = match report {
            ReportRecord::Refused { .. } => self.obligation_of(task).map(|owed| owed.undo.clone()),
            _ => None,
        };
        let fired = Fired {
            trigger,
            value: Some(&value),
            event: event.as_ref(),
            id: None,
            task: Some(task),
            command: Some(command),
            report: Some(report),
            refused,
            child: None,
        };
        self.fire(fired, at, begun)
    }

    /// Finds and performs the row for what happened.
    pub(super) fn fire(&mut self, fired: Fired<'_>, at: At, begun: &dyn Fn(TaskId) -> Begun) -> Decision {
        let cx = self.context(at, fired.command.clone());
        let resolving = self.verb.is_some();
        let decided = match self.decide(fired.trigger, fired.cause(), &cx) {
            Ok(decided) => decided,
            Err(error) => return self.action_failed(&fired, &error, at),
        };
        match decided {
            Decided::Nobody if matches!(fired.trigger, Trigger::Timer(_)) => {
                self.consumed(&fired, "no guard let it through", at)
            }
            // A person has supplied this outcome: parking over it again would lead nowhere.
            Decided::Nobody if resolving => self.consumed(&fired, "as resolved; no row takes it", at),
            Decided::Row(row) if resolving && self.definition().rows[row].to == Move::Park => {
                self.consumed(&fired, "as resolved; its row says park", at)
            }
            Decided::Noted => self.noted(&fired, at),
            Decided::Joined(row) => self.go(row, Fired { trigger: Trigger::All(row), ..fired }, at, begun),
            Decided::Nobody if matches!(fired.trigger, Trigger::Superseded(_)) => {
                let name = fired.command.as_ref().map_or("", |command| &command.name);
                let detail = format!("`{name}` was sent again since, and this answer is to the earlier one");
                match (fired.task, fired.report) {
                    (Some(task), Some(report)) => {
                        self.held_over(task, report, ParkReason::Superseded, detail, at)
                    }
                    _ => self.action_failed(&fired, &detail, at),
                }
            }
            Decided::Nobody => {
                let detail = format!(
                    "`{}` has no row for {}",
                    self.record.state,
                    self.definition().describe(fired.trigger)
                );
                match (fired.task, fired.report) {
                    (Some(task), Some(report)) => {
                        self.held_over(task, report, ParkReason::OutcomeUnhandled, detail, at)
                    }
                    _ => self.action_failed(&fired, &detail, at),
                }
            }
            Decided::Verdict(Verdict::Ignore, why) => self.consumed(&fired, why, at),
            Decided::Verdict(Verdict::Defer, _) => Decision::nothing(Disposition::Deferred),
            Decided::Verdict(Verdict::Reject, why) => {
                let detail = format!("state `{}` of {}: {why}", self.record.state, self.record.address);
                self.consumed_dead(&fired, detail, at)
            }
            Decided::Row(row) => self.go(row, fired, at, begun),
        }
    }

    /// Writes what a row without `compensate` did.
    fn move_on(&mut self, index: usize, fired: &Fired<'_>, performed: Performed, at: At) -> Decision {
        let row = &self.definition().rows[index];
        if let Some(owed) = self.still_owed(row, fired, &performed) {
            self.restore();
            let subject = self.subject(fired);
            let detail = format!(
                "{} leads to a failure end, and {owed} is still owed",
                self.definition().describe(fired.trigger)
            );
            return self.parked_over(ParkReason::StillOwed, detail, subject, at);
        }
        if let Some(taken) = self.alias_taken(&performed.out) {
            self.restore();
            let subject = self.subject(fired);
            let detail = format!("{}: {taken}", self.definition().describe(fired.trigger));
            return self.parked_over(ParkReason::AliasTaken, detail, subject, at);
        }
        if let Some(running) = self.still_running(&performed, fired.child.map(|(task, _)| task)) {
            self.restore();
            let subject = self.subject(fired);
            let detail = format!(
                "{} leads to an end, and {running}; say `compensate` in its row to abort them",
                self.definition().describe(fired.trigger)
            );
            return self.parked_over(ParkReason::ChildrenRunning, detail, subject, at);
        }
        let mut work = Work::new(self, at);
        // A command that its row parks over may run again, so it is not consumed and what is owed for it stays.
        let held = (row.to == Move::Park).then_some(fired.task).flatten().zip(fired.report);
        if held.is_none() {
            work.consume(fired);
        }
        work.release_by(row, fired.task, fired.refused.as_deref());
        let note = work.moved(performed);
        if let Trigger::Event(event) = fired.trigger {
            work.note_event(event);
        }
        let mut line = match fired.event {
            Some(event) => Line::message("applied", event),
            None => Line::new("applied", work.instance.definition().describe(fired.trigger)),
        };
        line = line.cause(fired.because());
        line.note =
            note.or_else(|| fired.report.and_then(ReportRecord::reason).map(|r| Name::Owned(r.to_owned())));
        work.line(line);
        let what = work.instance.definition().describe(fired.trigger);
        match held {
            Some((task, report)) => work.hold_over(task, report, ParkReason::Row, what),
            None if row.to == Move::Park => work.park(ParkReason::Row, what, Subject::Nothing),
            None => {}
        }
        work.finish(Disposition::Applied)
    }

    /// What would still be owed on entering a failure end, if that is where the row goes (rule R12).
    fn still_owed(
        &self,
        row: &crate::definition::Row,
        fired: &Fired<'_>,
        performed: &Performed,
    ) -> Option<String> {
        let target = &self.definition().states[performed.entered?];
        if target.end != Some(End::Failed) {
            return None;
        }
        let released = self.released_by(row, fired.task, fired.refused.as_deref());
        let refused =
            fired.refused.as_ref().and(fired.task).and_then(|task| self.obligation_of(task)).map(|o| o.id);
        let sent = performed.out.iter().flat_map(|out| &out.sent).find_map(|sent| sent.undo);
        let definition = self.definition();
        self.obligations
            .iter()
            .find(|owed| !released.contains(&owed.id) && Some(owed.id) != refused)
            .map(|owed| format!("`{}`", owed.undo))
            .or_else(|| {
                sent.map(|undo| format!("`{}`", definition.commands[definition.undos[undo].command].name))
            })
    }

    /// An `Err` or a panic: nothing changes but that the instance is parked (rule R8).
    pub(super) fn action_failed(&mut self, fired: &Fired<'_>, error: &str, at: At) -> Decision {
        let detail = format!("{}: {error}", self.definition().describe(fired.trigger));
        let subject = self.subject(fired);
        self.parked_over(ParkReason::ActionFailed, detail, subject, at)
    }

    /// What `retry` is about when the row of `fired` could not be applied.
    fn subject(&self, fired: &Fired<'_>) -> Subject {
        match fired.trigger {
            Trigger::Timer(timer) => Subject::Timer(self.definition().timers[timer].name.to_owned()),
            Trigger::All(_) if fired.event.is_none() => Subject::Timer(JOIN.to_owned()),
            Trigger::AllFinished(child) if fired.child.is_none() => {
                Subject::Timer(all_finished_timer(self.definition().children[child].name))
            }
            _ => Subject::Head(match (fired.task.or(fired.child.map(|(task, _)| task)), fired.event) {
                (Some(task), _) => HeadRecord::Report(task.into()),
                (None, Some(event)) => HeadRecord::Event(event.content_hash()),
                (None, None) => HeadRecord::Oldest,
            }),
        }
    }

    /// Parks over the outcome of a command, which stays until a person decides.
    fn held_over(
        &mut self,
        task: TaskId,
        report: &ReportRecord,
        reason: ParkReason,
        detail: String,
        at: At,
    ) -> Decision {
        let mut work = Work::new(self, at);
        work.hold_over(task, report, reason, detail);
        work.finish(Disposition::Applied)
    }

    /// A command that was found begun after several crashes in a row (rule R19), or that this build cannot read (rule
    /// R34), waits for a person.
    fn stuck(&mut self, task: TaskId, reason: ParkReason, detail: &str, at: At) -> Decision {
        let Some(attempts) = self.task(task).map(|task| task.progress.attempts) else {
            return Decision::nothing(Disposition::Stale);
        };
        let report = ReportRecord::Unknown { attempts, reason: detail.to_owned() };
        let name = self.task(task).map(|task| format!("`{}`", task.command.name)).unwrap_or_default();
        self.held_over(task, &report, reason, name, at)
    }

    /// An outcome that is written down and has no other effect.
    pub(super) fn recorded(
        &mut self,
        task: TaskId,
        command: &Message,
        report: &ReportRecord,
        at: At,
    ) -> Decision {
        let over = self.status().is_over();
        let failed = matches!(report, ReportRecord::Refused { .. } | ReportRecord::Unknown { .. });
        let mut work = Work::new(self, at);
        work.finish_task(task);
        work.note_report(task, report);
        let reply = match report {
            ReportRecord::Replied(Some(reply)) => Some(Message::from(reply.clone())),
            _ => None,
        };
        let mut line = match &reply {
            Some(reply) => Line::message("replied", reply).cause(Some(command.name.clone())),
            None => Line::new(if failed { report.word() } else { "done" }, command.name.clone()),
        };
        line.note = report.reason().map(|reason| Name::Owned(reason.to_owned()));
        work.line(line);
        if over && failed {
            let detail = format!(
                "`{}` ended as {} after the instance: {}",
                command.name,
                report.word(),
                report.reason().unwrap_or("")
            );
            return work.finish(Disposition::Dead { reason: "outcome-after-end", detail });
        }
        work.finish(Disposition::Applied)
    }

    fn ignored(&mut self, event: &Message, id: Option<&str>, why: &'static str, at: At) -> Decision {
        let mut work = Work::new(self, at);
        work.line(Line::message("ignored", event).cause(id.map(|id| Name::Owned(id.to_owned()))).note(why));
        work.finish(Disposition::Ignored(why))
    }

    fn dead(
        &mut self,
        event: &Message,
        id: Option<&str>,
        reason: &'static str,
        detail: String,
        at: At,
    ) -> Decision {
        let mut work = Work::new(self, at);
        // The bytes are kept with the dead letter.
        let line = Line::new("rejected", event.name.clone()).cause(id.map(|id| Name::Owned(id.to_owned())));
        work.line(line.note(detail.clone()));
        work.finish(Disposition::Dead { reason, detail })
    }

    /// Takes an input off without a row.
    fn consumed(&mut self, fired: &Fired<'_>, why: &'static str, at: At) -> Decision {
        let mut work = Work::new(self, at);
        work.consume(fired);
        let line = match fired.event {
            Some(event) => Line::message("ignored", event),
            None => Line::new("ignored", work.instance.definition().describe(fired.trigger)),
        };
        work.line(line.cause(fired.because()).note(why));
        work.finish(Disposition::Ignored(why))
    }

    fn consumed_dead(&mut self, fired: &Fired<'_>, detail: String, at: At) -> Decision {
        let mut work = Work::new(self, at);
        work.consume(fired);
        let name = fired.event.map_or(Name::Borrowed(""), |event| event.name.clone());
        work.line(Line::new("rejected", name).cause(fired.because()).note(detail.clone()));
        work.finish(Disposition::Dead { reason: "unhandled", detail })
    }
}

impl Work<'_> {
    /// Uses up what fired: the timer, or the task with what became of it.
    pub(super) fn consume(&mut self, fired: &Fired<'_>) {
        match fired.trigger {
            Trigger::Timer(timer) => self.timer_fired(timer),
            Trigger::All(row) => self.set_fired(row),
            _ => {}
        }
        if let Some((task, news)) = fired.child {
            self.child_ended(task, news);
        }
        if let Trigger::AllFinished(child) = fired.trigger {
            self.all_finished_fired(self.instance.definition().children[child].name);
        }
        if let (Some(task), Some(report)) = (fired.task, fired.report) {
            self.note_report(task, report);
            self.finish_task(task);
        }
    }

    /// Writes what user code did and where it moved to; returns what the history should say about it.
    pub(super) fn moved(&mut self, performed: Performed) -> Option<Name> {
        let Performed { out: [left_out, row_out, entered_out], entered, left, payload, data, dues } =
            performed;
        let Some(state) = entered else {
            self.stay(payload, data);
            self.queue(row_out);
            return None;
        };
        self.leave(left);
        self.enter(state, payload, data);
        self.queue(left_out);
        self.queue(row_out);
        if self.instance.record.status == Status::Running {
            self.settle_in(state, &dues);
        }
        self.queue(entered_out);
        if self.instance.record.status == Status::Completed {
            let released = self.release_all();
            if !released.is_empty() {
                return Some(Name::Owned(format!("released: {}", released.join(", "))));
            }
        }
        None
    }

    /// Parks over the outcome of a command, which stays until a person decides.
    fn hold_over(&mut self, task: TaskId, report: &ReportRecord, reason: ParkReason, detail: String) {
        let said = report.reason().map(str::to_owned);
        self.hold_task(task, said.clone());
        if let ReportRecord::Replied(Some(reply)) = report {
            self.line(Line::message("held", &Message::from(reply.clone())));
        }
        let detail = match said {
            Some(said) => format!("{detail}: {said}"),
            None => detail,
        };
        self.park_with(reason, detail, Subject::Task(task.into()), Some(report.clone()));
    }
}

/// Names `row` for the record of a turn.
pub(super) fn row_record(instance: &Instance, row: usize, fired: &Fired<'_>) -> RowRecord {
    let definition = instance.definition();
    let (attempts, reason) = match fired.report {
        Some(ReportRecord::Refused { attempts, reason } | ReportRecord::Unknown { attempts, reason }) => {
            (*attempts, reason.clone())
        }
        _ => (0, String::new()),
    };
    let trigger = trigger_record(definition, fired.trigger);
    RowRecord {
        trigger,
        nth: instance.compensating_rows(fired.trigger).iter().position(|&found| found == row).unwrap_or(0),
        to: targets_of(definition, row)
            .into_iter()
            .map(|target| definition.states[target].name.to_owned())
            .collect(),
        event: fired.event.map(MessageRecord::from),
        command: fired.command.as_ref().map(MessageRecord::from),
        attempts,
        reason,
        id: fired.id.map(str::to_owned),
        tick: fired.value.and_then(|value| value.downcast_ref::<Tick>()).map(TickRecord::from),
        child: fired.child.map(|(_, news)| Box::new(news.clone())),
        counts: fired.value.and_then(|value| value.downcast_ref::<AllFinished>()).copied(),
    }
}

/// The trigger by stored names.
fn trigger_record(definition: &crate::definition::Definition, trigger: Trigger) -> TriggerRecord {
    match trigger {
        Trigger::Superseded(answer) => {
            TriggerRecord::Superseded(Box::new(trigger_record(definition, answer.trigger())))
        }
        Trigger::All(row) => TriggerRecord::All(set_name(definition, row)),
        Trigger::Finished(child) => TriggerRecord::Finished(definition.children[child].name.to_owned()),
        Trigger::AllFinished(child) => TriggerRecord::AllFinished(definition.children[child].name.to_owned()),
        Trigger::Parked(child) => TriggerRecord::Parked(definition.children[child].name.to_owned()),
        Trigger::Event(event) => TriggerRecord::Event(definition.events[event].name.to_owned()),
        Trigger::Failed(command) => TriggerRecord::Failed(definition.commands[command].name.to_owned()),
        Trigger::Unknown(command) => TriggerRecord::Unknown(definition.commands[command].name.to_owned()),
        Trigger::Timer(timer) => TriggerRecord::Timer(definition.timers[timer].name.to_owned()),
    }
}

/// The states a row leads to.
pub(super) fn targets_of(definition: &crate::definition::Definition, row: usize) -> Vec<usize> {
    match definition.rows[row].to {
        Move::To(targets) => targets.to_vec(),
        Move::Stay | Move::Reenter | Move::Park => Vec::new(),
    }
}

impl Instance {
    /// The rows of the present state with `compensate` for `trigger`, in order.
    pub(super) fn compensating_rows(&self, trigger: Trigger) -> Vec<usize> {
        let definition = self.definition();
        let Ok((_, state)) = self.state() else { return Vec::new() };
        let matches = |row: &usize| {
            let row = &definition.rows[*row];
            row.compensate && !row.all && row.triggers.contains(&trigger)
        };
        if let Trigger::All(row) = trigger {
            return vec![row];
        }
        state.rows.iter().copied().filter(matches).collect()
    }
}
