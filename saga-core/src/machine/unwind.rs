//! Compensation: the turn, the undos one by one, and the arrival (rules R10, R11, R13, R14).

use super::context::Context;
use super::fired::{Fired, row_record, targets_of};
use super::input::{AttemptState, Decision, Effect, StepContext};
use super::instance::{Instance, guarded};
use super::live::{Kept, UndoFrom};
use super::outbox::{Outbox, Sent};
use super::record::{
    self, HeldRecord, MessageRecord, ParkReason, ParkedRecord, ReportRecord, RowRecord, Subject, TurnCause,
    TurnRecord,
};
use super::row::{Performed, check, find_trigger};
use super::saga::Cause;
use super::work::{Line, Work};
use crate::definition::{Definition, End, Move, Trigger, UndoOf, Value};
use crate::message::{ActionError, Message, Name, Payload, Tick};
use crate::step::HistoryKind;
use crate::step::{Obligation, ObligationOf, Status, TaskId, TaskKind};

/// The ids of an undo action are counted from here. The ids of `on_leave` in the same step are counted from zero.
const UNDO_IDS: u32 = 1 << 16;

/// The result of `on_leave` at a turn.
struct Left {
    out: Outbox,
    payload: Option<Payload>,
    data: Kept,
}

impl Instance {
    /// Performs the turn of a row with `compensate`.
    pub(super) fn turn_by(
        &mut self,
        row: usize,
        fired: &Fired<'_>,
        cx: &mut Context,
        at: StepContext<'_>,
    ) -> Decision {
        let definition = self.definition();
        let left = match self.leave_at_turn(
            matches!(definition.rows[row].to, Move::To(_) | Move::Reenter),
            cx,
            at,
        ) {
            Ok(left) => left,
            Err(error) => return self.action_failed(fired, &error, at),
        };
        let cause = TurnCause::Row(Box::new(row_record(self, row, fired)));
        let mut work = Work::new(self, at);
        work.consume(fired);
        // Before the turn, because a waived obligation must not be undone.
        work.release_by(&definition.rows[row], fired.task, fired.refused.as_deref());
        let line = match fired.event {
            Some(event) => Line::message(HistoryKind::Compensating, event),
            None => Line::new(HistoryKind::Compensating, definition.describe(fired.trigger)),
        };
        let line = line.cause(fired.because());
        work.turn(cause, left, line, None);
        work.finish(Effect::Applied)
    }

    /// Performs the turn of an abort. If `on_leave` fails, the failure is recorded and the abort goes on (rule R15).
    pub(super) fn turn_by_abort(&mut self, by: String, why: String, at: StepContext<'_>) -> Decision {
        let mut cx = self.context(at, None);
        let (left, note) = match self.leave_at_turn(true, &mut cx, at) {
            Ok(left) => (left, None),
            Err(error) => {
                let record = &self.record;
                let left =
                    Left { out: Outbox::default(), payload: record.payload.clone(), data: Kept::of(record) };
                (left, Some(Name::Owned(format!("`on_leave` failed and was skipped: {error}"))))
            }
        };
        let known = match self.parked() {
            // The command could not be read from the first attempt on, so it has never begun.
            Some(Ok(ParkedRecord {
                reason: ParkReason::Unreadable,
                subject: Subject::Task(task),
                report: Some(ReportRecord::Unknown { attempts: 0, .. }),
                ..
            })) => Some((task.into(), ReportRecord::Withdrawn)),
            Some(Ok(ParkedRecord { subject: Subject::Task(task), report: Some(report), .. })) => {
                Some((task.into(), report))
            }
            _ => None,
        };
        let mut work = Work::new(self, at);
        work.unpark();
        let mut line = Line::new(HistoryKind::Compensating, "abort").cause(Some(Name::Owned(by.clone())));
        line.note = note;
        work.turn(TurnCause::Abort { by, why }, left, line, known);
        work.finish(Effect::Applied)
    }

    fn leave_at_turn(&mut self, leaves: bool, cx: &mut Context, at: StepContext<'_>) -> Result<Left, String> {
        let (state, _) = self.state()?;
        let on_leave = self.definition().states[state].on_leave;
        let record = &self.record;
        // A row that stays in the state does not run `on_leave`.
        if !leaves || on_leave.is_empty() {
            return Ok(Left {
                out: Outbox::default(),
                payload: record.payload.clone(),
                data: Kept::of(record),
            });
        }
        let live = self.live.as_mut().map_err(|error| error.clone())?;
        let result = guarded(|| {
            let mut out = Outbox::default();
            live.leave(cx, &mut out)?;
            let (payload, data) = (live.keep_state()?, live.keep_data()?);
            check(std::slice::from_ref(&out), payload.as_ref(), &data.data, at.limits)?;
            Ok(Left { out, payload, data })
        });
        if result.is_err() {
            self.restore();
        }
        result
    }

    /// Handles the end of an undo.
    pub(super) fn undo_ended(
        &mut self,
        task: TaskId,
        command: &Message,
        report: ReportRecord,
        at: StepContext<'_>,
    ) -> Decision {
        let owed = self.obligations.of_task(task).map(|owed| owed.id);
        let mut work = Work::new(self, at);
        match report {
            ReportRecord::Replied(reply) => {
                work.finish_task(task);
                // The obligation goes in the step of its undo. Otherwise a restart would send the undo again.
                if let Some(owed) = owed {
                    work.drop_obligation(owed);
                }
                let mut line = Line::new(HistoryKind::Undone, command.name.clone());
                line.payload = reply.map(|reply| Message::from(reply).payload);
                work.line(line);
                work.unwind();
            }
            ReportRecord::Refused { .. }
            | ReportRecord::Unknown { .. }
            | ReportRecord::Withdrawn
            | ReportRecord::Child(_) => {
                // The undo may not have had its effect, so only a person may drop the obligation.
                let reason = match report {
                    ReportRecord::Refused { .. } => ParkReason::UndoRefused,
                    _ => ParkReason::UndoUnknown,
                };
                let said = report.reason().unwrap_or("the undo was withdrawn").to_owned();
                work.hold_task(task, Some(said.clone()));
                let detail = format!("`{}`: {said}", command.name);
                work.park_with(reason, detail, Subject::Task(task.into()), Some(report));
            }
        }
        work.finish(Effect::Applied)
    }

    /// Handles the end of a command that was running at the turn. Its outcome is only a report for the undo actions
    /// (rule R13).
    pub(super) fn ended_while_compensating(
        &mut self,
        task: TaskId,
        command: &Message,
        report: ReportRecord,
        at: StepContext<'_>,
    ) -> Decision {
        let mut work = Work::new(self, at);
        work.finish_task(task);
        work.record_report(task, &report);
        let mut line = Line::new(report.history_kind(), command.name.clone());
        line.payload = match &report {
            ReportRecord::Replied(Some(reply)) => Some(Message::from(reply.clone()).payload),
            _ => None,
        };
        line.note = report.reason().map(|reason| Name::Owned(reason.to_owned()));
        work.line(line);
        // An unreadable turn parks the instance at the next undo, which needs the reports.
        if let Ok(mut turn) = work.instance.turn() {
            turn.note(command.name.to_string(), report);
            work.instance.record.turn = Some(record::write(&turn));
        }
        work.unwind();
        work.finish(Effect::Applied)
    }

    /// Continues the unwinding with the next undo, or arrives.
    pub(super) fn continue_unwinding(&mut self, at: StepContext<'_>) -> Decision {
        // The end of an open task, or the verb of a person, continues the unwinding.
        if self.status() != Status::Compensating || self.is_parked() || !self.tasks.is_empty() {
            return Decision::nothing(Effect::Stale);
        }
        if !self.obligations.is_empty() {
            let mut work = Work::new(self, at);
            work.unwind();
            return work.finish(Effect::Applied);
        }
        match self.arrive(at) {
            Ok(decision) => decision,
            Err((reason, error)) => self.parked_over(reason, error, Subject::Unwinding, at),
        }
    }

    fn arrive(&mut self, at: StepContext<'_>) -> Result<Decision, (ParkReason, String)> {
        let turn = self.turn().map_err(|error| (ParkReason::Unreadable, error))?;
        let held = self.held(&turn).map_err(|error| (ParkReason::ArrivalFailed, error))?;
        match turn.cause {
            TurnCause::Abort { by, why } => self.arrive_aborted(by, why, held, at),
            TurnCause::Row(row) => self.arrive_by(*row, held, at),
        }
    }

    /// The commands that `on_leave` sent at the turn. `Err` if this build lacks one of their undos (rule R13).
    fn held(&self, turn: &TurnRecord) -> Result<Outbox, String> {
        let definition = self.definition();
        let mut out = Outbox::default();
        for held in &turn.held {
            let message = Message::from(held.command.clone());
            let undo = match &held.undo {
                None => None,
                Some(undo) => {
                    let command = definition.command(&message.name);
                    let found = command.and_then(|command| find_undo(definition, command, undo));
                    Some(found.ok_or_else(|| {
                        let Definition { name, version, .. } = definition;
                        format!(
                            "`on_leave` sent `{}` with the undo `{undo}` at the turn; `{name}` v{version} does not have this undo",
                            message.name
                        )
                    })?)
                }
            };
            out.sent.push(Sent { undo, message });
        }
        Ok(out)
    }

    fn arrive_by(
        &mut self,
        record: RowRecord,
        held: Outbox,
        at: StepContext<'_>,
    ) -> Result<Decision, (ParkReason, String)> {
        let failed = |error| (ParkReason::ArrivalFailed, error);
        let definition = self.definition();
        let (state, _) = self.state().map_err(failed)?;
        let changed = || {
            let Definition { name, version, .. } = definition;
            failed(format!("the row of the turn is no longer in `{name}` v{version}"))
        };
        let trigger = find_trigger(definition, state, &record.trigger).ok_or_else(changed)?;
        let row = *self.compensating_rows(trigger).get(record.nth).ok_or_else(changed)?;
        let targets: Option<Vec<usize>> = record.to.iter().map(|name| definition.state(name)).collect();
        // A later build may have given the row other targets. The turn has not decided for those.
        if targets.is_none_or(|targets| targets != targets_of(definition, row)) {
            return Err(changed());
        }
        let command = record.command.clone().map(Message::from);
        let event = record.event.clone().map(Message::from);
        let value = trigger_value(definition, trigger, &record, event.as_ref(), command.as_ref());
        let value = value.map_err(failed)?;
        let cause = Cause(value.as_deref());
        let mut cx = self.context(at, command.clone());
        // `on_leave` ran at the turn already.
        let performed = self.perform(row, cause, &mut cx, false, at).map_err(failed)?;
        self.refuse_failure_end_with_debts(&performed).map_err(failed)?;
        self.refuse_taken(&performed.out)?;
        let mut work = Work::new(self, at);
        work.instance.record.status = Status::Running;
        work.instance.record.turn = None;
        work.queue(held);
        // The commands of `on_leave` come before the commands of the row, as in a move without a turn.
        let note = work.moved(performed);
        if let Trigger::Event(event) = trigger {
            work.join_event(event);
        }
        let mut line = match &event {
            Some(event) => Line::new(HistoryKind::Compensated, event.name.clone()),
            None => Line::new(HistoryKind::Compensated, definition.describe(trigger)),
        };
        line = line.cause(record.id.map(Name::Owned));
        line.note = note;
        work.line(line);
        if definition.rows[row].to == Move::Park {
            let what = definition.describe(trigger);
            work.park(ParkReason::Row, what, Subject::Nothing);
        }
        Ok(work.finish(Effect::Applied))
    }

    /// Refuses a failure end if the arrival sends a command with an undo (rule R12). Refuses any end if children are
    /// open (rule R21).
    fn refuse_failure_end_with_debts(&mut self, performed: &Performed) -> Result<(), String> {
        let ends =
            performed.entered.is_some_and(|state| self.definition().states[state].end == Some(End::Failed));
        if ends && performed.out.iter().any(|out| out.sent.iter().any(|sent| sent.undo.is_some())) {
            self.restore();
            return Err("the arrival leads to a failure end and sends a command with an undo".to_owned());
        }
        if let Some(running) = self.still_running(performed, None) {
            self.restore();
            return Err(format!("the arrival leads to an end; {running}"));
        }
        Ok(())
    }

    fn refuse_taken(&mut self, out: &[Outbox]) -> Result<(), (ParkReason, String)> {
        let Some(taken) = self.alias_taken(out) else { return Ok(()) };
        self.restore();
        Err((ParkReason::AliasTaken, taken))
    }

    fn arrive_aborted(
        &mut self,
        by: String,
        why: String,
        held: Outbox,
        at: StepContext<'_>,
    ) -> Result<Decision, (ParkReason, String)> {
        let failed = |error| (ParkReason::ArrivalFailed, error);
        let definition = self.definition();
        let mut entered = None;
        if let Some(target) = definition.on_abort {
            let mut cx = self.context(at, None);
            if self.live.is_err() {
                // The unreadable state is left, and the target state has no payload.
                let record = &self.record;
                self.live =
                    guarded(|| Ok(self.program.decode(target, None, &record.data, record.version)?));
            }
            let live = self.live.as_mut().map_err(|error| failed(error.clone()))?;
            let result = guarded(|| {
                let mut out = Outbox::default();
                live.go(target)?;
                live.enter(&mut cx, &mut out)?;
                let (payload, data) = (live.keep_state()?, live.keep_data()?);
                check(std::slice::from_ref(&out), payload.as_ref(), &data.data, at.limits)?;
                Ok((out, payload, data))
            });
            if result.is_err() {
                self.restore();
            }
            let (out, payload, data) = result.map_err(failed)?;
            self.refuse_taken(std::slice::from_ref(&out))?;
            entered = Some((target, (out, payload, data)));
        }
        let mut work = Work::new(self, at);
        match entered {
            Some((target, (out, payload, data))) => {
                work.enter(target, payload, data);
                // The data of an unreadable state may have been of an earlier version until now.
                work.instance.record.version = definition.version;
                work.queue(held);
                work.queue(out);
            }
            None => {
                work.instance.record.status = Status::Aborted;
                work.instance.record.turn = None;
                work.queue(held);
            }
        }
        work.line(Line::new(HistoryKind::Compensated, "abort").cause(Some(Name::Owned(by))).note(why));
        Ok(work.finish(Effect::Applied))
    }

    /// Builds the undo command of the obligation `owed`.
    fn build_undo(&self, owed: &Obligation, at: StepContext<'_>) -> Result<Message, String> {
        let definition = self.definition();
        let undo = self.undo_for(owed).ok_or_else(|| {
            format!("`{}` v{} no longer builds the undo `{}`", definition.name, definition.version, owed.undo)
        })?;
        let turn = self.turn()?;
        let mut reports: Vec<_> =
            turn.reports.into_iter().map(|(name, report)| (name, report.into_report())).collect();
        if let (ObligationOf::Command { command, .. }, Some(report)) = (&owed.of, &owed.report) {
            let report: ReportRecord = record::read("report of the command to undo", report)?;
            reports.push((command.name.to_string(), report.into_report()));
        }
        let record = &self.record;
        let mut cx = Context::new(at.now, record.address.key.clone(), record.incarnation, record.seq)
            .with_ids_from(UNDO_IDS);
        cx.set_reports(reports);
        guarded(|| {
            let of = match &owed.of {
                ObligationOf::Command { command, .. } => UndoFrom::Command(command),
                ObligationOf::State { state, version, payload, .. } => {
                    let state = definition
                        .state(state)
                        .ok_or("the state of the obligation is no longer in the table")?;
                    UndoFrom::State(state, payload.as_ref(), *version)
                }
            };
            let message = match &self.live {
                Ok(live) => live.undo(undo, of, &mut cx)?,
                // An unreadable state must not keep back the undos. An undo needs only the data and its obligation.
                Err(_) => self.program.undo_unread((&record.data, record.version), undo, of, &mut cx)?,
            };
            message.payload.check(at.limits).map_err(|error| ActionError::from(error.to_string()))?;
            Ok(message)
        })
    }
}

impl Work<'_> {
    /// Turns the instance. From here on only undos run, until the arrival.
    ///
    /// `known` is the outcome over which the instance was parked, if there is one.
    fn turn(&mut self, cause: TurnCause, left: Left, line: Line, mut known: Option<(TaskId, ReportRecord)>) {
        let definition = self.instance.definition();
        let Left { out, payload, data } = left;
        // The payload of the state goes into its obligations first, because the undos are built from it.
        self.leave(payload.clone());
        self.clear_all_timers();
        self.stay(payload, data);
        self.instance.record.status = Status::Compensating;
        let undo_name = |undo: usize| definition.commands[definition.undos[undo].command].name.to_owned();
        let held = out
            .sent
            .iter()
            .map(|sent| HeldRecord {
                command: MessageRecord::from(&sent.message),
                undo: sent.undo.map(undo_name),
            })
            .collect();
        self.queue(Outbox { published: out.published, aliases: out.aliases, ..Outbox::default() });
        self.line(line);
        let mut turn = TurnRecord { cause, reports: Vec::new(), held };
        let forward: Vec<(TaskId, Name, u32, AttemptState)> = self
            .instance
            .tasks
            .iter()
            .filter(|task| task.kind == TaskKind::Command)
            .map(|task| {
                (task.id, task.command.name.clone(), task.progress.attempts, (self.at.attempts)(task))
            })
            .collect();
        // Rule R13 decides how each open command ends.
        for (id, name, attempts, state) in forward {
            let report = match state {
                AttemptState::Running => {
                    // The handler is asked to stop, but its effect may happen. The unwinding waits for its outcome.
                    self.stop(id);
                    continue;
                }
                // No attempt has begun, so the command has had no effect.
                AttemptState::NotBegun => ReportRecord::Withdrawn,
                AttemptState::Between => known.take_if(|(task, _)| *task == id).map_or_else(
                    || {
                        let reason = "the command was given up between attempts at the turn of the instance"
                            .to_owned();
                        ReportRecord::Unknown { attempts, reason }
                    },
                    |(_, report)| report,
                ),
            };
            self.record_report(id, &report);
            self.end_task(id);
            self.line(Line::new(report.history_kind(), name.clone()));
            turn.note(name.into_owned(), report);
        }
        self.abort_children();
        self.instance.record.turn = Some(record::write(&turn));
        self.unwind();
    }

    /// Queues the next undo, or asks for the arrival if no obligation is left. Waits while commands or children are
    /// open.
    pub(super) fn unwind(&mut self) {
        if !self.instance.tasks.is_empty() {
            return;
        }
        // After an abort, an undo that cannot be built does not hold back the older undos (rule R14).
        let aborted = matches!(self.instance.turn(), Ok(TurnRecord { cause: TurnCause::Abort { .. }, .. }));
        let most = if aborted { usize::MAX } else { 1 };
        if self.instance.obligations.is_empty() {
            self.continue_after();
            return;
        }
        let mut failed = Vec::new();
        let built = self.instance.obligations.iter().rev().take(most).find_map(|owed| {
            let built = self.instance.build_undo(owed, self.at);
            built
                .map_err(|error| failed.push(format!("`{}`: {error}", owed.undo)))
                .ok()
                .map(|built| (owed.id, built))
        });
        if let Some((owed, command)) = built {
            self.line(Line::message(HistoryKind::Undoing, &command));
            let task = self.add_task(TaskKind::Undo, command);
            return self.change_obligation(owed, |obligation| obligation.task = Some(task));
        }
        self.park(ParkReason::UndoFailed, failed.join("; "), Subject::Unwinding);
    }
}

/// Decodes the typed value of a stored cause.
fn trigger_value(
    definition: &Definition,
    trigger: Trigger,
    record: &RowRecord,
    event: Option<&Message>,
    command: Option<&Message>,
) -> Result<Option<Value>, String> {
    if let Trigger::Finished(child) | Trigger::Parked(child) = trigger {
        let news = record.child.as_ref().ok_or("the stored cause of the turn is missing")?;
        return news.value(definition.children[child].ended);
    }
    if let Trigger::AllFinished(_) = trigger {
        return Ok(Some(Box::new(record.counts.unwrap_or_default())));
    }
    let kept = |message: Option<&Message>| {
        message.cloned().ok_or_else(|| "the stored cause of the turn is missing".to_owned())
    };
    let trigger = match trigger {
        Trigger::Superseded(answer) => answer.trigger(),
        trigger => trigger,
    };
    let value = match trigger {
        Trigger::All(_)
        | Trigger::Superseded(_)
        | Trigger::Finished(_)
        | Trigger::AllFinished(_)
        | Trigger::Parked(_) => return Ok(None),
        Trigger::Timer(_) => return Ok(record.tick.map(|tick| Box::new(Tick::from(tick)) as Value)),
        Trigger::Event(index) => (definition.events[index].decode)(&kept(event)?),
        Trigger::Failed(index) => {
            (definition.commands[index].failed)(&kept(command)?, record.attempts, record.reason.clone())
        }
        Trigger::Unknown(index) => {
            (definition.commands[index].unknown)(&kept(command)?, record.attempts, record.reason.clone())
        }
    };
    value.map(Some).map_err(|error| format!("the stored cause of the turn {error}"))
}

fn find_undo(definition: &Definition, command: usize, undo: &str) -> Option<usize> {
    definition.undos.iter().position(|found| {
        found.of == UndoOf::Command(command) && definition.command(undo) == Some(found.command)
    })
}
