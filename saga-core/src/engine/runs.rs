//! The runs of one instance: what each of its tasks is doing.

use std::collections::HashMap;

use super::slot::Run;
use crate::store::TaskId;

#[derive(Debug, Default)]
pub(super) struct Runs {
    all: HashMap<TaskId, Run>,
    /// The number of runs other than `Run::Delayed`.
    awake: usize,
}

impl Runs {
    /// The size of the table in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<(TaskId, Run)>() * 8 / 7
    }

    pub(super) fn get(&self, task: TaskId) -> Option<Run> {
        self.all.get(&task).copied()
    }

    pub(super) fn set(&mut self, task: TaskId, run: Run) {
        self.awake += usize::from(run != Run::Delayed);
        let before = self.all.insert(task, run);
        self.awake -= usize::from(before.is_some_and(|before| before != Run::Delayed));
    }

    pub(super) fn remove(&mut self, task: TaskId) {
        let before = self.all.remove(&task);
        self.awake -= usize::from(before.is_some_and(|before| before != Run::Delayed));
        self.free_empty();
    }

    pub(super) fn remove_unless_running(&mut self, task: TaskId) {
        if !matches!(self.get(task), Some(Run::Running { .. })) {
            self.remove(task);
        }
    }

    /// True if every run waits for its time. Then nothing goes on that only memory knows.
    pub(super) fn are_asleep(&self) -> bool {
        self.awake == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TaskId, Run)> {
        self.all.iter().map(|(task, run)| (*task, *run))
    }

    pub(super) fn retain(&mut self, keep: impl Fn(TaskId, Run) -> bool) {
        self.all.retain(|task, run| keep(*task, *run));
        self.awake = self.all.values().filter(|run| **run != Run::Delayed).count();
        self.free_empty();
    }

    /// Frees an empty table. Most instances have no task most of the time.
    fn free_empty(&mut self) {
        if self.all.is_empty() {
            self.all = HashMap::new();
        }
    }
}
