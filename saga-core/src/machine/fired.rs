//! The trigger of a row, with the data for the row, its history and the record of a turn.

use super::family::{AllFinished, NewsRecord, all_finished_timer};
use super::instance::Instance;
use super::join::{JOIN, set_name};
use super::record::{HeadRecord, MessageRecord, ReportRecord, RowRecord, Subject, TickRecord, TriggerRecord};
use super::saga::Cause;
use crate::definition::{Definition, Move, Trigger, Value};
use crate::message::{Message, Name, Tick};
use crate::step::TaskId;

/// A trigger, with all data that a turn must keep.
pub(super) struct Fired<'a> {
    pub(super) trigger: Trigger,
    pub(super) value: Option<&'a Value>,
    pub(super) event: Option<&'a Message>,
    pub(super) id: Option<&'a str>,
    /// The task of the report.
    pub(super) task: Option<TaskId>,
    pub(super) command: Option<Message>,
    pub(super) report: Option<&'a ReportRecord>,
    /// The undo command of the obligation that is dropped, because its command was refused.
    pub(super) refused: Option<Name>,
    /// The child that sent the report.
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

/// Identifies `row` for the record of a turn.
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

/// The stored form of a trigger.
fn trigger_record(definition: &Definition, trigger: Trigger) -> TriggerRecord {
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

/// The target states of a row.
pub(super) fn targets_of(definition: &Definition, row: usize) -> Vec<usize> {
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

    /// The subject of `retry` if the row of `fired` cannot be applied.
    pub(super) fn subject(&self, fired: &Fired<'_>) -> Subject {
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
}
