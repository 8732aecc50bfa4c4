//! Applies one input to an instance. The result is a [`Decision`] with one step to commit.

use super::family::all_finished;
use super::fired::Fired;
use super::input::{Decision, Effect, EventIn, Input, StepContext};
use super::instance::Instance;
use super::join::JOIN;
use super::record::{HeadRecord, ParkReason, ReportRecord, Subject};
use super::row::{Decided, Performed};
use super::work::{Line, Work};
use crate::definition::{Due, End, Move, Trigger, Value, Verdict};
use crate::message::{Message, Name, Tick, Timestamp, name_matches};
use crate::step::Status;
use crate::step::{DeadLetterReason, HistoryKind, IgnoredReason};

impl Instance {
    /// Decides the effect of `input`. `at` holds everything that the step needs from outside.
    pub(crate) fn apply(&mut self, input: &Input, at: StepContext<'_>) -> Decision {
        if self.record.parked.is_none()
            && !self.status().is_over()
            && let Err(error) = &self.live
        {
            let detail = error.clone();
            // A compensating instance needs no readable state. Undos and the arrival of an abort use the data that can
            // be read (rule R15).
            let undoing = self.status() == Status::Compensating;
            let subject = match input {
                Input::Verb(_) => None,
                Input::Report(..) | Input::Stuck(..) | Input::Continue if undoing => None,
                Input::Event(_) | Input::Report(..) => Some(Subject::Head(HeadRecord::of(input))),
                Input::Timer { name, .. } => Some(Subject::Timer(name.clone())),
                Input::Stuck(task, ..) => Some(Subject::Task((*task).into())),
                Input::Continue => Some(Subject::Unwinding),
            };
            if let Some(subject) = subject {
                return self.parked_over(ParkReason::Unreadable, detail, subject, at);
            }
        }
        match input {
            Input::Event(event) => self.apply_event(event, at),
            Input::Report(task, report) => self.apply_report(*task, report, at),
            Input::Timer { name, visit, due } => self.apply_timer(name, *visit, *due, at),
            Input::Continue => self.continue_unwinding(at),
            Input::Verb(verb) => self.apply_verb(verb.clone(), at),
            Input::Stuck(task, reason, detail) => self.stuck(*task, *reason, detail, at),
        }
    }

    /// Builds a step that only parks the instance. The input stays in its place.
    pub(super) fn parked_over(
        &mut self,
        reason: ParkReason,
        detail: String,
        subject: Subject,
        at: StepContext<'_>,
    ) -> Decision {
        let mut work = Work::new(self, at);
        work.park(reason, detail, subject);
        work.finish(Effect::Kept)
    }

    fn apply_event(&mut self, event: &EventIn, at: StepContext<'_>) -> Decision {
        if let Some(parent) = &event.parent {
            return self.started_by_another(parent, &event.message, at);
        }
        let definition = self.definition();
        let name = &event.message.name;
        let id = event.id.as_ref().map(ToString::to_string);
        let Some(index) = definition.event(name) else {
            let detail = format!("`{}` v{} does not take `{name}`", definition.name, definition.version);
            return self.dead(&event.message, id.as_deref(), DeadLetterReason::UnknownEvent, detail, at);
        };
        if self.status().is_over() {
            let ended = format!("{} has ended in `{}`", self.record.address, self.record.state);
            return match definition.ended_instance {
                // A starting event for an ended instance is always ignored (rule R27).
                Verdict::Reject if !definition.starts(index) => {
                    self.dead(&event.message, id.as_deref(), DeadLetterReason::EndedInstance, ended, at)
                }
                _ => self.ignored(&event.message, id.as_deref(), IgnoredReason::Ended, at),
            };
        }
        let decoded;
        let value = match &event.value {
            // A publisher in this process has handed over the typed value. The store has only the payload.
            Some(value) => value,
            None => match (definition.events[index].decode)(&event.message) {
                Ok(value) => {
                    decoded = value;
                    &decoded
                }
                Err(error) => {
                    let detail = format!("event `{name}` {error}");
                    return self.dead(
                        &event.message,
                        id.as_deref(),
                        DeadLetterReason::Undecodable,
                        detail,
                        at,
                    );
                }
            },
        };
        let fired = Fired {
            value: Some(value),
            event: Some(&event.message),
            id: id.as_deref(),
            ..Fired::new(Trigger::Event(index))
        };
        self.fire(fired, at)
    }

    fn apply_timer(&mut self, name: &str, visit: u32, due: Timestamp, at: StepContext<'_>) -> Decision {
        // A timer of an earlier visit, or an earlier due time of the same timer, is stale.
        let stands = self.is_due(name, visit, due, at.now) && self.status() == Status::Running;
        if stands && name == JOIN {
            return self.apply_join(at);
        }
        if stands && all_finished(name).is_some() {
            return self.apply_all_finished(name, at);
        }
        let trigger = self.state().ok().and_then(|(state, _)| self.definition().timer(state, name));
        let Some(timer) = trigger.filter(|_| stands) else {
            return Decision::nothing(Effect::Stale);
        };
        let tick = self.tick(timer).map(|tick| Box::new(tick) as Value);
        let fired = Fired { value: tick.as_ref(), ..Fired::new(Trigger::Timer(timer)) };
        self.fire(fired, at)
    }

    /// Performs the row that was decided on.
    pub(super) fn run_row(&mut self, row: usize, fired: Fired<'_>, at: StepContext<'_>) -> Decision {
        let mut cx = self.context(at, fired.command.clone());
        if self.definition().rows[row].compensate {
            return self.turn_by(row, &fired, &mut cx, at);
        }
        match self.perform(row, fired.cause(), &mut cx, true, at) {
            Err(error) => self.action_failed(&fired, &error, at),
            Ok(performed) => self.move_on(row, &fired, performed, at),
        }
    }

    /// Notes an event of a set that is not complete (rule R5).
    fn event_collected(&mut self, fired: &Fired<'_>, at: StepContext<'_>) -> Decision {
        let mut work = Work::new(self, at);
        work.consume(fired);
        if let Trigger::Event(event) = fired.trigger {
            work.join_event(event);
        }
        let line = match fired.event {
            Some(event) => Line::message(HistoryKind::Joined, event),
            None => Line::new(HistoryKind::Joined, work.instance.definition().describe(fired.trigger)),
        };
        work.line(line.cause(fired.because()));
        work.finish(Effect::Applied)
    }

    /// The number and due time of this firing. `None` for a timer that does not repeat.
    fn tick(&self, timer: usize) -> Option<Tick> {
        let timer = &self.definition().timers[timer];
        let Due::Every { times, .. } = timer.due else { return None };
        let row = self.timers.iter().find(|row| name_matches(&row.name, timer.name, timer.was))?;
        Some(Tick { nth: row.fired + 1, of: times, due: row.due })
    }

    /// Finds and performs the row for a trigger.
    pub(super) fn fire(&mut self, fired: Fired<'_>, at: StepContext<'_>) -> Decision {
        let cx = self.context(at, fired.command.clone());
        let resolving = self.verb.is_some();
        let decided = match self.decide(fired.trigger, fired.cause(), &cx) {
            Ok(decided) => decided,
            Err(error) => return self.action_failed(&fired, &error, at),
        };
        match decided {
            Decided::NoRow if matches!(fired.trigger, Trigger::Timer(_)) => {
                // The guards of the timer are the decision of the table, so nothing waits for a person.
                self.consumed(&fired, IgnoredReason::NoGuard, at)
            }
            // A person has supplied this outcome, so parking over it again would not help.
            Decided::NoRow if resolving => self.consumed(&fired, IgnoredReason::ResolvedWithoutRow, at),
            // The row asks for a person, and a person has just answered.
            Decided::Row(row) if resolving && self.definition().rows[row].to == Move::Park => {
                self.consumed(&fired, IgnoredReason::ResolvedOverPark, at)
            }
            Decided::Collected => self.event_collected(&fired, at),
            Decided::Joined(row) => self.run_row(row, Fired { trigger: Trigger::All(row), ..fired }, at),
            Decided::NoRow if matches!(fired.trigger, Trigger::Superseded(_)) => {
                let name = fired.command.as_ref().map_or("", |command| &command.name);
                let detail = format!("`{name}` was sent again; this answer belongs to the earlier command");
                match (fired.task, fired.report) {
                    (Some(task), Some(report)) => {
                        self.held_over(task, report, ParkReason::Superseded, detail, at)
                    }
                    _ => self.action_failed(&fired, &detail, at),
                }
            }
            Decided::NoRow => {
                let detail = format!(
                    "`{}` has no row for {}",
                    self.record.state,
                    self.definition().describe(fired.trigger)
                );
                match (fired.task, fired.report) {
                    // Money may have moved, so this outcome must not be lost. The task keeps it until a person decides.
                    (Some(task), Some(report)) => {
                        self.held_over(task, report, ParkReason::OutcomeUnhandled, detail, at)
                    }
                    _ => self.action_failed(&fired, &detail, at),
                }
            }
            Decided::Ignore(why) => self.consumed(&fired, why, at),
            Decided::Defer => Decision::nothing(Effect::Deferred),
            Decided::Reject(why) => {
                let detail = format!("state `{}` of {}: {why}", self.record.state, self.record.address);
                self.consumed_dead(&fired, detail, at)
            }
            Decided::Row(row) => self.run_row(row, fired, at),
        }
    }

    /// Writes the result of a row without `compensate`.
    fn move_on(
        &mut self,
        index: usize,
        fired: &Fired<'_>,
        performed: Performed,
        at: StepContext<'_>,
    ) -> Decision {
        let row = &self.definition().rows[index];
        // The user code has run before these checks, because only its result shows them. `restore` drops the result.
        if let Some(owed) = self.still_owed(row, fired, &performed) {
            self.restore();
            let subject = self.subject(fired);
            let detail = format!(
                "{} leads to a failure end; {owed} is still owed",
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
                "{} leads to an end; {running}; add `compensate` to the row to abort the children",
                self.definition().describe(fired.trigger)
            );
            return self.parked_over(ParkReason::ChildrenRunning, detail, subject, at);
        }
        let mut work = Work::new(self, at);
        // A command that its row parks over may run again. So it is not consumed, and its obligation stays.
        let held = (row.to == Move::Park).then_some(fired.task).flatten().zip(fired.report);
        if held.is_none() {
            work.consume(fired);
        }
        work.release_by(row, fired.task, fired.refused.as_deref());
        let note = work.moved(performed);
        if let Trigger::Event(event) = fired.trigger {
            work.join_event(event);
        }
        let mut line = match fired.event {
            Some(event) => Line::message(HistoryKind::Applied, event),
            None => Line::new(HistoryKind::Applied, work.instance.definition().describe(fired.trigger)),
        };
        line = line.cause(fired.because());
        line.note =
            note.or_else(|| fired.report.and_then(ReportRecord::reason).map(|r| Name::Owned(r.to_owned())));
        work.line(line);
        if row.to == Move::Park {
            let what = work.instance.definition().describe(fired.trigger);
            match held {
                Some((task, report)) => work.hold_over(task, report, ParkReason::Row, what),
                None => work.park(ParkReason::Row, what, Subject::Nothing),
            }
        }
        work.finish(Effect::Applied)
    }

    /// The first obligation that would be outstanding, if the row leads to a failure end (rule R12).
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

    /// Parks after an error or a panic in an action or a guard. Nothing else changes (rule R8).
    pub(super) fn action_failed(&mut self, fired: &Fired<'_>, error: &str, at: StepContext<'_>) -> Decision {
        let detail = format!("{}: {error}", self.definition().describe(fired.trigger));
        let subject = self.subject(fired);
        self.parked_over(ParkReason::ActionFailed, detail, subject, at)
    }

    fn ignored(
        &mut self,
        event: &Message,
        id: Option<&str>,
        why: IgnoredReason,
        at: StepContext<'_>,
    ) -> Decision {
        let mut work = Work::new(self, at);
        work.line(
            Line::message(HistoryKind::Ignored, event)
                .cause(id.map(|id| Name::Owned(id.to_owned())))
                .note(why.text()),
        );
        work.finish(Effect::Ignored(why))
    }

    fn dead(
        &mut self,
        event: &Message,
        id: Option<&str>,
        reason: DeadLetterReason,
        detail: String,
        at: StepContext<'_>,
    ) -> Decision {
        let mut work = Work::new(self, at);
        // The dead letter holds the payload, so the history line needs none.
        let line = Line::new(HistoryKind::Rejected, event.name.clone())
            .cause(id.map(|id| Name::Owned(id.to_owned())));
        work.line(line.note(detail.clone()));
        work.finish(Effect::Dead { reason, detail })
    }

    /// Uses up an input without a row.
    fn consumed(&mut self, fired: &Fired<'_>, why: IgnoredReason, at: StepContext<'_>) -> Decision {
        let mut work = Work::new(self, at);
        work.consume(fired);
        let line = match fired.event {
            Some(event) => Line::message(HistoryKind::Ignored, event),
            None => Line::new(HistoryKind::Ignored, work.instance.definition().describe(fired.trigger)),
        };
        work.line(line.cause(fired.because()).note(why.text()));
        work.finish(Effect::Ignored(why))
    }

    fn consumed_dead(&mut self, fired: &Fired<'_>, detail: String, at: StepContext<'_>) -> Decision {
        let mut work = Work::new(self, at);
        work.consume(fired);
        let name = fired.event.map_or(Name::Borrowed(""), |event| event.name.clone());
        work.line(Line::new(HistoryKind::Rejected, name).cause(fired.because()).note(detail.clone()));
        work.finish(Effect::Dead { reason: DeadLetterReason::Unhandled, detail })
    }
}

impl Work<'_> {
    /// Uses up the trigger: the timer, the set, or the task with its report.
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
            self.record_report(task, report);
            self.finish_task(task);
        }
    }

    /// Writes the result of user code and the move. Returns a note for the history.
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
        // After `enter`, so that the commands of `on_leave` belong to the new visit as well.
        self.queue(left_out);
        self.queue(row_out);
        // An end sets no timers and owes no undos for its state.
        if self.instance.record.status == Status::Running {
            self.settle_in(state, &dues);
        }
        self.queue(entered_out);
        // A completed instance keeps its effects, so nothing is left to undo.
        if self.instance.record.status == Status::Completed {
            let released = self.release_all();
            if !released.is_empty() {
                return Some(Name::Owned(format!("released: {}", released.join(", "))));
            }
        }
        None
    }
}
