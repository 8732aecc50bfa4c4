//! The tasks of an instance after a load: which of them run again, and which have an unknown outcome (rules R13, R18).

use std::collections::BTreeSet;

use super::lanes::Job;
use crate::engine::Shard;
use crate::engine::slot::{Item, Late, Presence, Run};
use crate::machine::Input;
use crate::store::{Address, Status, Task, TaskId, TaskKind, TaskProgress, TaskStage};

impl Shard {
    /// Takes up the tasks of an instance after a load.
    pub(in crate::engine) fn adopt(&mut self, address: &Address) {
        self.adopt_tasks(address);
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory after its load", Some(address));
        };
        for late in slot.runs.take_late() {
            match late {
                Late::Ended(attempt, how) => self.ended(attempt, how),
                Late::StartRecorded(task, lane, durable) => self.start_recorded(address, task, lane, durable),
                Late::Saved(attempt, saved, ticket) => self.save(attempt, saved, ticket),
            }
        }
    }

    /// Restores the task progress from before the load. This progress is newer than the stored progress.
    pub(in crate::engine) fn remember_progress(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory after its load", Some(address));
        };
        let progress = slot.runs.take_unstored();
        self.unrecorded_attempts |= matches!(slot.presence, Presence::Quarantined(_)) && !progress.is_empty();
        let Some(instance) = slot.instance_mut() else { return };
        for (task, known) in progress {
            if let Some(found) = instance.task_mut(task) {
                // Steps decide the stage and the superseded flag, and the store holds all durable steps. The unwritten
                // step may have decided otherwise. Only a start record may still be on its way to the store.
                let stage = match (found.progress.stage, known.stage) {
                    (TaskStage::Ready, TaskStage::Started) => TaskStage::Started,
                    (stage, _) => stage,
                };
                let superseded = found.progress.superseded;
                found.progress = TaskProgress { stage, superseded, ..known };
            }
        }
    }

    fn adopt_tasks(&mut self, address: &Address) {
        let now = self.moment.wall;
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory after its load", Some(address));
        };
        let runs = &slot.runs;
        let Presence::Present(instance) = &mut slot.presence else { return };
        for task in instance.tasks.iter_mut() {
            let progress = &mut task.progress;
            let begun = |run: Run| matches!(run, Run::Starting | Run::Running { .. } | Run::Reported);
            let begun = runs.get(task.id).is_some_and(begun);
            let child = task.kind == TaskKind::Child;
            if progress.stage == TaskStage::Started
                && !child
                && !begun
                && !self.lease.is_suspect(progress.epoch)
            {
                // The process that wrote the start record ended cleanly, or is this process. If the task had begun, it
                // would be running or have an outcome.
                progress.stage = TaskStage::Ready;
            }
        }
        let Some(slot) = self.slots.get(address) else { return };
        let Some(instance) = slot.instance() else { return };
        let (parked, status) = (instance.is_parked(), instance.status());
        let compensating = status == Status::Compensating;
        let unwinding_stopped = compensating && !parked && instance.tasks.is_empty();
        let mut enlisted = Vec::new();
        let mut reports = Vec::new();
        let mut lingering = Vec::new();
        for task in instance.tasks.iter().filter(|task| task.kind != TaskKind::Child) {
            let run = slot.runs.get(task.id);
            if run.is_some_and(|run| run != Run::Delayed) {
                continue;
            }
            if ends_unknown(task, compensating) {
                let stage = task.progress.stage;
                match self.lingers_until(task) {
                    Some(until) => lingering.push((task.id, until)),
                    None => reports.push((task.id, task.progress.attempts, unknown_reason(stage))),
                }
            } else if task.progress.stage == TaskStage::Ready {
                enlisted.push(task.id);
            }
        }
        let there: BTreeSet<TaskId> = instance.tasks.iter().map(|task| task.id).collect();
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its tasks are adopted", Some(address));
        };
        slot.runs.retain(|id, run| there.contains(&id) || matches!(run, Run::Running { .. }));
        for (task, attempts, reason) in reports {
            slot.set_run(task, Run::Reported);
            let report = crate::machine::ReportRecord::Unknown { attempts, reason: reason.to_owned() };
            slot.queue.push_back(Item::own(Input::Report(task, report), now));
        }
        for (task, until) in lingering {
            slot.set_run(task, Run::Delayed);
            self.lanes.delay(now, until, Job::Task(address.clone(), task));
        }
        // No open task will report, so the unwinding continues from here.
        if unwinding_stopped {
            slot.queue.push_front(Item::own(Input::Continue, now));
        }
        for task in enlisted {
            self.enlist(address, task);
        }
        // `stop` wrote only the attempts of instances that were in memory.
        if self.stopping {
            self.write_attempts_of(address);
        }
    }
}

/// The reason for the unknown outcome of a task that was found at a start.
pub(super) const fn unknown_reason(stage: TaskStage) -> &'static str {
    match stage {
        TaskStage::Ready => {
            "the command may have been running when the process ended; the instance has turned"
        }
        TaskStage::Started | TaskStage::Held | TaskStage::Answered => {
            "the process ended while the command may have been running"
        }
    }
}

/// Returns whether a task that was found at a start is reported as unknown instead of being tried again. A started command may
/// have been called (rule R18). A forward command of a compensating instance never runs after a start (rule R13).
pub(super) fn ends_unknown(task: &Task, compensating: bool) -> bool {
    match task.progress.stage {
        TaskStage::Started => true,
        TaskStage::Ready => compensating && task.kind == TaskKind::Command,
        TaskStage::Held | TaskStage::Answered => false,
    }
}
