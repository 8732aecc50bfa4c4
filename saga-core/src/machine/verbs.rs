//! Operators' verbs (rules R7, R15, R16): abort an instance, release a parked instance, or move a timer.

use super::declined::DeclinedReason;
use super::family::{Outgoing, REPORT, all_finished};
use super::input::{Decision, Effect, Input, Resolution, StepContext, Verb, VerbRecord};
use super::instance::Instance;
use super::is_own_timer;
use super::join::JOIN;
use super::record::{self, HeadRecord, ParkReason, ParkedRecord, ReportRecord, Subject, TurnCause};
use super::work::{Line, Work};
use crate::message::{Message, Name, Timestamp};
use crate::step::{DeadLetterReason, HistoryKind};
use crate::step::{MailKind, Status, TaskId, TaskKind, TimerRow};

impl Instance {
    pub(super) fn apply_verb(&mut self, record: VerbRecord, at: StepContext<'_>) -> Decision {
        let decline = |why| Decision::nothing(Effect::Declined(why));
        let instance = || self.record.address.clone();
        if let Some(seq) = record.seq.filter(|&seq| seq != self.record.seq) {
            let now = self.record.seq;
            return decline(DeclinedReason::MovedOn { instance: instance(), now, seen: seq });
        }
        if record.created.is_some_and(|created| created != self.record.created_at.as_millis()) {
            return decline(DeclinedReason::Replaced { instance: instance() });
        }
        if let Some(parent) = record.parent
            && self.family().parent.is_none_or(|own| own.of != parent)
        {
            return decline(DeclinedReason::OtherParent { instance: instance() });
        }
        if let Verb::Purge = record.verb {
            return self.purge(record, at);
        }
        let over = self.status().is_over();
        if over && (!self.is_parked() || matches!(record.verb, Verb::Abort)) {
            return decline(DeclinedReason::Ended { instance: instance(), status: self.record.status });
        }
        if let Verb::Abort = record.verb {
            return self.abort(record, at);
        }
        match &record.verb {
            Verb::Fire { timer } => return self.move_timer(timer.clone(), at.now, record, at),
            Verb::Postpone { timer, until } => {
                return self.move_timer(timer.clone(), Timestamp::from_millis(*until), record, at);
            }
            _ => {}
        }
        let parked = match self.parked() {
            None => {
                return decline(DeclinedReason::NotParked { instance: instance(), verb: record.verb.word() });
            }
            Some(Err(why)) => return decline(DeclinedReason::UnreadableRecord { why }),
            Some(Ok(parked)) => parked,
        };
        if self.live.is_err() {
            self.restore();
        }
        // A compensating instance needs no readable state, because undos are built from readable data (rule R15).
        let undoing = self.status() == Status::Compensating;
        if let (Err(error), false) = (&self.live, undoing) {
            let (instance, why) = (self.record.address.clone(), error.clone());
            return decline(DeclinedReason::Unreadable { instance, why });
        }
        self.verb = Some(record.clone());
        let decision = match record.verb {
            Verb::Retry => self.retry(parked, at),
            Verb::Skip => self.skip(parked, at),
            Verb::Resolve(resolution) => self.resolve(parked, resolution, at),
            // Decided above, without a park.
            Verb::Abort | Verb::Fire { .. } | Verb::Postpone { .. } | Verb::Purge => {
                Decision::nothing(Effect::Stale)
            }
        };
        self.verb = None;
        decision
    }

    /// Builds the step that answers a declined verb of another process. The step only adds a history line with the
    /// reason.
    pub(crate) fn declined(
        &mut self,
        verb: &VerbRecord,
        why: &DeclinedReason,
        at: StepContext<'_>,
    ) -> Decision {
        let mut work = Work::new(self, at);
        let line =
            Line::new(HistoryKind::Declined, verb.verb.word()).cause(Some(Name::Owned(verb.by.clone())));
        work.line(line.note(why.to_string()));
        work.finish(Effect::Applied)
    }

    /// Marks an ended instance for the next purge, which follows at once. The mark is durable, so a crash loses nothing.
    fn purge(&mut self, record: VerbRecord, at: StepContext<'_>) -> Decision {
        let why = if self.is_parked() {
            Some("it is parked; release it first")
        } else if !self.status().is_over() {
            Some("it has not ended; abort it first")
        } else if self.tasks.iter().next().is_some() {
            Some("it has open commands or children; wait for their end")
        } else {
            None
        };
        if let Some(why) = why {
            let instance = self.record.address.clone();
            return Decision::nothing(Effect::Declined(DeclinedReason::NotOver { instance, why }));
        }
        self.verb = Some(record);
        let mut work = Work::new(self, at);
        work.purge();
        work.finish(Effect::Applied)
    }

    fn abort(&mut self, record: VerbRecord, at: StepContext<'_>) -> Decision {
        let VerbRecord { by, why, .. } = record.clone();
        self.verb = Some(record);
        if self.status() != Status::Compensating {
            return self.turn_by_abort(by, why, at);
        }
        // Only the target of the arrival changes. An instance is released if it is parked over its arrival, or over an
        // undo that cannot be built. The arrival is now another one, and the older undos need not wait (rules R14,
        // R15).
        let stuck = matches!(
            self.parked(),
            Some(Ok(ParkedRecord {
                reason: ParkReason::ArrivalFailed | ParkReason::AliasTaken | ParkReason::UndoFailed,
                ..
            }))
        );
        let turn = self.turn();
        let mut work = Work::new(self, at);
        if let Ok(mut turn) = turn {
            turn.cause = TurnCause::Abort { by, why };
            work.instance.record.turn = Some(record::write(&turn));
        }
        if stuck {
            work.unpark();
            work.continue_after();
        }
        work.finish(Effect::Applied)
    }

    /// Gives a set timer another due time. A periodic timer counts its next periods from that time.
    fn move_timer(
        &mut self,
        name: String,
        due: Timestamp,
        record: VerbRecord,
        at: StepContext<'_>,
    ) -> Decision {
        let found =
            self.timers.iter().find(|timer| timer.name == name && !is_own_timer(&timer.name)).cloned();
        let Some(timer) = found else {
            let set = self.timers.iter().map(|timer| timer.name.to_string());
            let why = DeclinedReason::NoTimer {
                instance: self.record.address.clone(),
                timer: name,
                set: set.filter(|name| !is_own_timer(name)).collect(),
            };
            return Decision::nothing(Effect::Declined(why));
        };
        self.verb = Some(record);
        let mut work = Work::new(self, at);
        work.clear_timer(&timer.name);
        // A due time in the past would count as missed periods of a periodic timer.
        work.set_timer(TimerRow { armed: at.now, due: due.max(at.now), ..timer });
        work.finish(Effect::Applied)
    }

    /// Repeats exactly the work that failed.
    fn retry(&mut self, parked: ParkedRecord, at: StepContext<'_>) -> Decision {
        let task = match parked.subject {
            Subject::Task(task) => Some(TaskId::from(task)),
            _ => None,
        };
        if let Some(found) = task.and_then(|task| self.task(task)) {
            let name = found.command.name.clone();
            let definition = self.definition();
            let once = definition.command(&name).is_some_and(|index| definition.commands[index].at_most_once);
            // A command that could not be read was not called. A command with a reply that could not be stored was
            // called.
            if once && (parked.reason != ParkReason::Unreadable || found.progress.attempts > 0) {
                let why = DeclinedReason::AtMostOnce { command: name.into_owned() };
                return Decision::nothing(Effect::Declined(why));
            }
        }
        let unwinding = matches!(parked.subject, Subject::Unwinding);
        let mut work = Work::new(self, at);
        work.unpark();
        if let Some(task) = task {
            work.rerun_task(task);
        }
        if unwinding {
            work.continue_after();
        }
        work.finish(Effect::Applied)
    }

    /// Continues without the work that failed.
    fn skip(&mut self, parked: ParkedRecord, at: StepContext<'_>) -> Decision {
        match parked.subject {
            Subject::Task(task) => self.skip_task(task.into(), parked.report, at),
            Subject::Unwinding if parked.reason == ParkReason::UndoFailed => {
                let mut work = Work::new(self, at);
                work.unpark();
                work.give_up_newest();
                work.unwind();
                work.finish(Effect::Applied)
            }
            Subject::Unwinding => {
                let (instance, why) = (self.record.address.clone(), parked.detail);
                let why = DeclinedReason::WaitsForArrival { instance, why };
                Decision::nothing(Effect::Declined(why))
            }
            Subject::Head(head) => self.skip_head(&head, at),
            Subject::Timer(name) => {
                let mut work = Work::new(self, at);
                work.unpark();
                let timer = work
                    .instance
                    .state()
                    .ok()
                    .and_then(|(state, _)| work.instance.definition().timer(state, &name));
                match timer {
                    None if name == JOIN => work.skip_joined(),
                    None if let Some(child) = all_finished(&name) => work.all_finished_fired(child),
                    Some(timer) => work.timer_fired(timer),
                    None => work.clear_timer(&name),
                }
                work.finish(Effect::Applied)
            }
            Subject::Nothing => {
                let mut work = Work::new(self, at);
                work.unpark();
                work.finish(Effect::Applied)
            }
        }
    }

    /// Drops the input over which the instance is parked, in the step that releases the instance. So the input is never
    /// applied.
    fn skip_head(&mut self, record: &HeadRecord, at: StepContext<'_>) -> Decision {
        let Some(head) = self.head.take_if(|head| record.is(head)) else {
            let why = DeclinedReason::InputGone { instance: self.record.address.clone() };
            return Decision::nothing(Effect::Declined(why));
        };
        let detail = match &self.verb {
            Some(verb) => format!("skipped by {}: {}", verb.by, verb.why),
            None => "skipped".to_owned(),
        };
        self.record.parked = None;
        let command = match &head {
            Input::Report(task, _) => self.task(*task).map(|task| task.command.clone()),
            _ => None,
        };
        let mut decision = match (&head, command) {
            (Input::Event(event), _) => {
                let mut work = Work::new(self, at);
                let id = event.id.as_ref().map(|id| Name::Owned(id.to_string()));
                work.line(Line::message(HistoryKind::Skipped, &event.message).cause(id));
                work.finish(Effect::Dead { reason: DeadLetterReason::Skipped, detail })
            }
            (Input::Report(task, ReportRecord::Child(news)), Some(command)) => {
                self.news_recorded(*task, &command.name, news, at)
            }
            (Input::Report(task, report), Some(command)) => self.recorded(*task, &command, report, at),
            // The task of the report no longer exists, so the step only releases the instance.
            _ => Work::new(self, at).finish(Effect::Applied),
        };
        decision.skipped = true;
        self.head = Some(head);
        decision
    }

    fn skip_task(&mut self, task: TaskId, report: Option<ReportRecord>, at: StepContext<'_>) -> Decision {
        let found = self.task(task).map(|found| (found.kind, found.command.clone()));
        self.record.parked = None;
        match found {
            Some((TaskKind::Command, command)) => {
                let reason = "skipped by an operator".to_owned();
                let report = report.unwrap_or(ReportRecord::Unknown { attempts: 0, reason });
                self.recorded(task, &command, &report, at)
            }
            Some((TaskKind::Undo, _)) => {
                let mut work = Work::new(self, at);
                work.finish_task(task);
                work.give_up_newest();
                work.unwind();
                work.finish(Effect::Applied)
            }
            // A parent is never parked over the task of a child, only over the report of a child.
            Some((TaskKind::Child, _)) | None => Work::new(self, at).finish(Effect::Applied),
        }
    }

    /// Applies the outcome that a person supplies.
    fn resolve(&mut self, parked: ParkedRecord, resolution: Resolution, at: StepContext<'_>) -> Decision {
        let decline = |why| Decision::nothing(Effect::Declined(why));
        let instance = || self.record.address.clone();
        let Subject::Task(task) = parked.subject else {
            return decline(DeclinedReason::NoCommand { instance: instance() });
        };
        let task = TaskId::from(task);
        let Some(found) = self.task(task) else {
            return decline(DeclinedReason::CommandGone { instance: instance() });
        };
        let (kind, attempts) = (found.kind, found.progress.attempts);
        let name = found.command.name.clone();
        let definition = self.definition();
        let replies =
            definition.command(&name).map_or(&[] as &[_], |index| definition.commands[index].replies);
        let report = match resolution {
            Resolution::Refused if kind == TaskKind::Undo => {
                return decline(DeclinedReason::UndoCannotBeRefused { undo: name.into_owned() });
            }
            Resolution::Refused => {
                ReportRecord::Refused { attempts, reason: "resolved by an operator".to_owned() }
            }
            Resolution::Done if kind == TaskKind::Command && !replies.is_empty() => {
                return decline(DeclinedReason::NeedsReply {
                    command: name.into_owned(),
                    replies: replies.iter().map(|&reply| reply.to_owned()).collect(),
                });
            }
            Resolution::Done => ReportRecord::Replied(None),
            Resolution::Replied(reply) => {
                let reply_name = Message::from(reply.clone()).name;
                if !replies.contains(&&*reply_name) {
                    let (reply, command) = (reply_name.into_owned(), name.into_owned());
                    return decline(DeclinedReason::NotAReply { reply, command });
                }
                ReportRecord::Replied(Some(reply))
            }
        };
        self.record.parked = None;
        let supplied = record::write(&report);
        let mut decision = self.apply(&Input::Report(task, report), at);
        // Either the row of the outcome failed and parked the instance, or the state defers the reply. The outcome
        // stays in the queue like any report. It is applied again on `retry` or in another visit.
        if decision.effect == Effect::Deferred {
            decision = Work::new(self, at).finish(Effect::Kept);
        }
        if decision.effect == Effect::Kept {
            decision.effect = Effect::Applied;
            decision.outgoing.push(Outgoing {
                to: self.record.address.clone(),
                kind: MailKind::Report,
                message: Message { name: Name::Borrowed(REPORT), version: 1, payload: supplied },
                task: Some(task),
                id: None,
            });
        }
        decision
    }
}

impl Work<'_> {
    /// Gives up the newest obligation, as a person decided.
    fn give_up_newest(&mut self) {
        if let Some(owed) = self.instance.obligations.newest() {
            let (id, undo) = (owed.id, owed.undo.clone());
            self.drop_obligation(id);
            self.line(Line::new(HistoryKind::GivenUp, Name::Owned(undo.into_owned())));
        }
    }
}
