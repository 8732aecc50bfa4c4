//! The stored progress of tasks: written before an attempt that must not repeat a number, and at a stop.

use crate::engine::Shard;
use crate::engine::advance::Purpose;
use crate::engine::slot::Run;
use crate::message::Timestamp;
use crate::store::{Address, Step, Task, TaskChange, TaskId, TaskProgress};

impl Shard {
    /// Writes the failure of a task that is tried again at once. Operators read the store, and the next attempts may
    /// take long or wait for a breaker.
    pub(in crate::engine) fn write_failure(&mut self, address: &Address, task: TaskId, epoch: u64) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its task runs", Some(address));
        };
        let Some(instance) = slot.instance_mut() else { return };
        let row = instance.row;
        let Some(found) = instance.task_mut(task) else { return };
        found.progress.epoch = epoch;
        let change = TaskChange::Progress(task, found.progress.clone());
        slot.runs.begin_progress_write();
        self.queue_step(
            Purpose::Progress(address.clone()),
            Step { row, tasks: vec![change], ..Step::default() },
        );
    }

    /// Writes the progress of a task and delays the task until `due`. The next attempt also waits until this progress
    /// is durable.
    pub(in crate::engine) fn delay_task(
        &mut self,
        address: &Address,
        task: TaskId,
        due: Timestamp,
        epoch: u64,
    ) {
        let now = self.moment.wall;
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its task runs", Some(address));
        };
        let Some(instance) = slot.instance_mut() else { return };
        let row = instance.row;
        let Some(found) = instance.task_mut(task) else { return };
        found.progress.due = due;
        found.progress.armed = now;
        found.progress.epoch = epoch;
        let change = TaskChange::Progress(task, found.progress.clone());
        slot.set_run(task, Run::Recording);
        slot.runs.begin_progress_write();
        let step = Step { row, tasks: vec![change], ..Step::default() };
        self.queue_step(Purpose::TaskDelay(address.clone(), task), step);
    }

    /// The progress of a delayed task is durable. Without this commit the task waits for the next start. Otherwise one
    /// attempt number could be given twice.
    pub(in crate::engine) fn delayed(&mut self, address: &Address, task: TaskId) {
        let Some(slot) = self.slots.get_mut(address) else {
            return self.broken("an instance stays in memory while its progress is written", Some(address));
        };
        if slot.run(task) == Some(Run::Recording) {
            slot.set_run(task, Run::Delayed);
            // If the instance is loading, the load enlists the task.
            self.enlist(address, task);
        }
    }

    /// Writes the progress of waiting attempts, so that a clean start continues from there.
    pub(in crate::engine) fn write_attempts(&mut self) {
        let addresses: Vec<Address> = self.slots.keys().cloned().collect();
        for address in addresses {
            self.write_attempts_of(&address);
        }
    }

    pub(in crate::engine) fn write_attempts_of(&mut self, address: &Address) {
        let epoch = self.lease.epoch;
        let Some(slot) = self.slots.get_mut(address) else { return };
        let waiting: Vec<TaskId> =
            slot.runs.iter().filter(|(_, run)| *run == Run::Waiting).map(|(task, _)| task).collect();
        let Some(instance) = slot.instance_mut() else { return };
        let row = instance.row;
        let mut tasks = Vec::new();
        for task in waiting {
            // A task that this process did not try has no new progress. A suspect stays a suspect.
            let tried =
                |task: &&mut Task| task.progress.attempts > 0 && !self.lease.is_suspect(task.progress.epoch);
            if let Some(found) = instance.task_mut(task).filter(tried) {
                found.progress.epoch = epoch;
                tasks.push(TaskChange::Progress(task, found.progress.clone()));
            }
        }
        if !tasks.is_empty() {
            slot.runs.begin_progress_write();
            self.queue_step(Purpose::Progress(address.clone()), Step { row, tasks, ..Step::default() });
        }
    }
}

/// True for an error that is new: the previous attempt had another error, or ended under an earlier lease.
pub(in crate::engine) fn is_news(progress: &TaskProgress, error: &str, epoch: u64) -> bool {
    progress.epoch != epoch || progress.error.as_deref() != Some(error)
}
