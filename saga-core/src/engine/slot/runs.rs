//! The runs of one instance: the activity of each of its tasks, and what memory knows of them before the store.
//!
//! Owns: the activity of each task, and the rule that an instance may leave memory only if no task is active and the
//! store holds all progress. Does not own: lanes and attempts (`attempts`), or the progress itself (the machine).

use crate::engine::io::{AttemptEnd, Ticket};
use crate::message::Map;
use crate::message::Payload;
use crate::store::{TaskId, TaskProgress};

/// The activity of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Run {
    /// The task waits in its lane for a free place.
    Waiting,
    /// The start record is being committed. The task starts when the record is durable.
    Starting,
    Running {
        attempt: u64,
    },
    /// The progress is being committed, and the next attempt waits for this commit. Otherwise a crash could give one
    /// attempt number twice.
    Recording,
    /// The task waits until its next attempt is due.
    Delayed,
    /// The task has ended. Its report is in the queue.
    Reported,
}

/// A notification about a task that arrived while the instance was loading.
#[derive(Debug)]
pub(in crate::engine) enum Late {
    /// The attempt has ended.
    Ended(u64, AttemptEnd),
    /// The store has answered for the start record of the task. The fields are task, lane, and whether the record is
    /// durable.
    StartRecorded(TaskId, usize, bool),
    /// The attempt saved data. The caller waits for the answer.
    Saved(u64, Payload, Ticket),
}

/// The runs by task. Nearly all instances have at most one, which needs no memory of its own.
#[derive(Debug)]
enum ByTask {
    One(Option<(TaskId, Run)>),
    /// Several runs. The table is freed with its last run.
    Many(Map<TaskId, Run>),
}

impl Default for ByTask {
    fn default() -> Self {
        Self::One(None)
    }
}

impl ByTask {
    fn get(&self, task: TaskId) -> Option<Run> {
        match self {
            Self::One(one) => one.filter(|(of, _)| *of == task).map(|(_, run)| run),
            Self::Many(all) => all.get(&task).copied(),
        }
    }

    fn insert(&mut self, task: TaskId, run: Run) -> Option<Run> {
        match self {
            Self::One(one) => match one {
                Some((of, before)) if *of == task => Some(std::mem::replace(before, run)),
                None => {
                    *one = Some((task, run));
                    None
                }
                Some(other) => {
                    *self = Self::Many([*other, (task, run)].into_iter().collect());
                    None
                }
            },
            Self::Many(all) => all.insert(task, run),
        }
    }

    fn remove(&mut self, task: TaskId) -> Option<Run> {
        match self {
            Self::One(one) => one.take_if(|(of, _)| *of == task).map(|(_, run)| run),
            Self::Many(all) => {
                let before = all.remove(&task);
                if all.is_empty() {
                    *self = Self::default();
                }
                before
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (TaskId, Run)> {
        let (one, many) = match self {
            Self::One(one) => (*one, None),
            Self::Many(all) => (None, Some(all)),
        };
        one.into_iter().chain(many.into_iter().flatten().map(|(task, run)| (*task, *run)))
    }
}

#[derive(Debug, Default)]
pub(in crate::engine) struct Runs {
    all: ByTask,
    /// The number of runs other than `Run::Delayed`.
    awake: usize,
    /// Number of steps in progress that write only progress. Until they are durable, memory is ahead of the store.
    progress_writes: usize,
    /// Notifications that arrived while the instance was loading.
    late: Vec<Late>,
    /// Task progress from before a reload. The store may hold older progress, because not every change is written.
    unstored: Vec<(TaskId, TaskProgress)>,
    /// Tasks that became due while the instance was not in memory.
    due: Vec<TaskId>,
}

impl Runs {
    /// The size of the tables in bytes.
    pub(in crate::engine) fn bytes(&self) -> usize {
        match &self.all {
            ByTask::One(_) => 0,
            ByTask::Many(all) => all.capacity() * size_of::<(TaskId, Run)>() * 8 / 7,
        }
    }

    pub(in crate::engine) fn get(&self, task: TaskId) -> Option<Run> {
        self.all.get(task)
    }

    pub(in crate::engine) fn set(&mut self, task: TaskId, run: Run) {
        self.awake += usize::from(run != Run::Delayed);
        let before = self.all.insert(task, run);
        self.awake -= usize::from(before.is_some_and(|before| before != Run::Delayed));
    }

    pub(in crate::engine) fn remove(&mut self, task: TaskId) {
        let before = self.all.remove(task);
        self.awake -= usize::from(before.is_some_and(|before| before != Run::Delayed));
    }

    pub(in crate::engine) fn remove_unless_running(&mut self, task: TaskId) {
        if !matches!(self.get(task), Some(Run::Running { .. })) {
            self.remove(task);
        }
    }

    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (TaskId, Run)> {
        self.all.iter()
    }

    pub(in crate::engine) fn retain(&mut self, keep: impl Fn(TaskId, Run) -> bool) {
        let dropped: Vec<TaskId> =
            self.iter().filter(|(task, run)| !keep(*task, *run)).map(|(task, _)| task).collect();
        dropped.into_iter().for_each(|task| self.remove(task));
    }

    /// True if the store holds all progress, and every run waits for its time. Then the instance may leave memory.
    pub(in crate::engine) fn are_settled(&self) -> bool {
        self.awake == 0 && self.progress_writes == 0
    }

    /// A step that writes only progress has been queued.
    pub(in crate::engine) fn begin_progress_write(&mut self) {
        self.progress_writes += 1;
    }

    /// Such a step is durable. A refused step never ends its write, so its instance stays in memory.
    pub(in crate::engine) fn end_progress_write(&mut self) {
        self.progress_writes -= 1;
    }

    /// Keeps a notification until the load has ended.
    pub(in crate::engine) fn keep_late(&mut self, late: Late) {
        self.late.push(late);
    }

    pub(in crate::engine) fn take_late(&mut self) -> Vec<Late> {
        std::mem::take(&mut self.late)
    }

    /// Keeps progress over a reload. Later progress of a task overrides earlier progress.
    pub(in crate::engine) fn keep_unstored(
        &mut self,
        progress: impl IntoIterator<Item = (TaskId, TaskProgress)>,
    ) {
        self.unstored.extend(progress);
    }

    pub(in crate::engine) fn take_unstored(&mut self) -> Vec<(TaskId, TaskProgress)> {
        std::mem::take(&mut self.unstored)
    }

    pub(in crate::engine) fn has_unstored(&self) -> bool {
        !self.unstored.is_empty()
    }

    /// Records a task that became due while the instance is not in memory.
    pub(in crate::engine) fn became_due(&mut self, task: TaskId) {
        self.due.push(task);
    }

    pub(in crate::engine) fn take_due(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.due)
    }

    /// Frees the buffers of empty lists.
    pub(in crate::engine) fn free_empty(&mut self) {
        if self.late.is_empty() {
            self.late = Vec::new();
        }
        if self.unstored.is_empty() {
            self.unstored = Vec::new();
        }
        if self.due.is_empty() {
            self.due = Vec::new();
        }
    }
}
