//! The steps that write an existing instance into another store, one by one, because a store counts steps.
//!
//! Owns: the lines of history of each step, and what only the last step has. Does not own: the commits.

use std::collections::VecDeque;

use super::{
    AliasChange, HistoryRow, InstanceChange, Labels, ObligationChange, RowId, Snapshot, Step, TaskChange,
    TimerChange,
};

/// An instance with the steps that are not written yet.
pub(super) struct Replay {
    snapshot: Snapshot,
    /// The lines of history that are not written.
    history: VecDeque<HistoryRow>,
    /// The next step.
    next: u64,
}

impl Replay {
    /// Goes on behind the step `written`. 0 begins with the first step.
    pub(super) fn behind(written: u64, snapshot: Snapshot, history: Vec<HistoryRow>) -> Self {
        let history = history.into_iter().filter(|line| line.seq > written).collect();
        Self { snapshot, history, next: written + 1 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.next > self.snapshot.instance.seq
    }

    /// Returns the next step, for the instance in the row `row`. The last step has everything that is open.
    pub(super) fn step(&mut self, row: Option<RowId>) -> Step {
        let Snapshot { instance, tasks, timers, obligations, aliases, .. } = &self.snapshot;
        let (seq, is_last) = (self.next, self.next == instance.seq);
        self.next += 1;
        let change = if is_last {
            instance.clone()
        } else {
            InstanceChange {
                seq,
                step: instance.incarnation.derive(seq, 0, "import"),
                labels: Labels::new(),
                data: "null".into(),
                payload: None,
                turn: None,
                parked: None,
                joined: None,
                family: None,
                ..instance.clone()
            }
        };
        let mut step = Step { row, instance: Some(change), ..Step::default() };
        if is_last {
            step.labels = instance.labels.changes(&Labels::new());
            step.tasks = tasks.iter().cloned().map(TaskChange::Add).collect();
            step.timers = timers.iter().cloned().map(TimerChange::Set).collect();
            step.obligations = obligations.iter().cloned().map(ObligationChange::Put).collect();
            step.aliases = aliases.iter().cloned().map(AliasChange::Claim).collect();
        }
        // A line of a step that was trimmed is not in the history. A damaged line may have any step.
        while self.history.front().is_some_and(|line| line.seq <= seq || is_last)
            && let Some(line) = self.history.pop_front()
        {
            step.history.push(line.entry);
        }
        step
    }
}
