//! Outcomes of commands and undos: a row takes the outcome, the history records it, or a person decides.

use super::fired::Fired;
use super::input::{Decision, Effect, StepContext};
use super::instance::Instance;
use super::record::{ParkReason, ReportRecord, Subject};
use super::work::{Line, Work};
use crate::definition::{Answer, Trigger, Value};
use crate::message::{Message, Name};
use crate::step::{DeadLetterReason, HistoryKind};
use crate::step::{Status, TaskId, TaskKind};

impl Instance {
    /// Handles the outcome of a command or undo.
    pub(super) fn apply_report(
        &mut self,
        task: TaskId,
        report: &ReportRecord,
        at: StepContext<'_>,
    ) -> Decision {
        if let ReportRecord::Child(news) = report {
            return self.apply_news(task, news, at);
        }
        // An earlier step has ended this task. A second outcome changes nothing.
        let Some(found) = self.task(task).filter(|task| task.kind != TaskKind::Child) else {
            return Decision::nothing(Effect::Stale);
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
        let best_effort = self.is_best_effort(found);
        let failed = matches!(report, ReportRecord::Refused { .. } | ReportRecord::Unknown { .. });
        // The table has no row for these: the instance is over, the failure is harmless, or there is no reply.
        if self.status().is_over() || (best_effort && failed) || matches!(report, ReportRecord::Replied(None))
        {
            return self.recorded(task, &command, report, at);
        }
        // An outcome from `resolve` is matched as if the command were not superseded (rule R9).
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
            // A refused command has had no effect, so its undo is no longer owed.
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
        self.fire(fired, at)
    }

    /// Parks over the outcome of a command. The outcome is kept until a person decides.
    pub(super) fn held_over(
        &mut self,
        task: TaskId,
        report: &ReportRecord,
        reason: ParkReason,
        detail: String,
        at: StepContext<'_>,
    ) -> Decision {
        let mut work = Work::new(self, at);
        work.hold_over(task, report, reason, detail);
        work.finish(Effect::Applied)
    }

    /// Parks over a command that cannot continue. It was found begun after several crashes (rule R19), or this build
    /// cannot read it (rule R34).
    pub(super) fn stuck(
        &mut self,
        task: TaskId,
        reason: ParkReason,
        detail: &str,
        at: StepContext<'_>,
    ) -> Decision {
        let Some(attempts) = self.task(task).map(|task| task.progress.attempts) else {
            return Decision::nothing(Effect::Stale);
        };
        let report = ReportRecord::Unknown { attempts, reason: detail.to_owned() };
        let name = self.task(task).map(|task| format!("`{}`", task.command.name)).unwrap_or_default();
        self.held_over(task, &report, reason, name, at)
    }

    /// Records an outcome that has no other effect.
    pub(super) fn recorded(
        &mut self,
        task: TaskId,
        command: &Message,
        report: &ReportRecord,
        at: StepContext<'_>,
    ) -> Decision {
        let over = self.status().is_over();
        let failed = matches!(report, ReportRecord::Refused { .. } | ReportRecord::Unknown { .. });
        let mut work = Work::new(self, at);
        work.finish_task(task);
        work.record_report(task, report);
        let reply = match report {
            ReportRecord::Replied(Some(reply)) => Some(Message::from(reply.clone())),
            _ => None,
        };
        let mut line = match &reply {
            Some(reply) => Line::message(HistoryKind::Replied, reply).cause(Some(command.name.clone())),
            None => Line::new(
                if failed { report.history_kind() } else { HistoryKind::Done },
                command.name.clone(),
            ),
        };
        line.note = report.reason().map(|reason| Name::Owned(reason.to_owned()));
        work.line(line);
        // A failure after the end also becomes a dead letter (rule R3).
        if over && failed {
            let detail = format!(
                "`{}` ended as {} after the end of the instance: {}",
                command.name,
                report.history_kind(),
                report.reason().unwrap_or("")
            );
            return work.finish(Effect::Dead { reason: DeadLetterReason::OutcomeAfterEnd, detail });
        }
        work.finish(Effect::Applied)
    }
}

impl Work<'_> {
    /// Parks over the outcome of a command. The outcome is kept until a person decides.
    pub(super) fn hold_over(
        &mut self,
        task: TaskId,
        report: &ReportRecord,
        reason: ParkReason,
        detail: String,
    ) {
        let said = report.reason().map(str::to_owned);
        self.hold_task(task, said.clone());
        // The history keeps the reply, whatever the person decides.
        if let ReportRecord::Replied(Some(reply)) = report {
            self.line(Line::message(HistoryKind::Kept, &Message::from(reply.clone())));
        }
        let detail = match said {
            Some(said) => format!("{detail}: {said}"),
            None => detail,
        };
        self.park_with(reason, detail, Subject::Task(task.into()), Some(report.clone()));
    }
}
