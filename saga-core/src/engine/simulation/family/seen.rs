//! What was seen of children over all seeds.

use crate::store::Status;

#[derive(Debug, Default)]
pub(in super::super) struct SeenChildren {
    pub(in super::super) started: u64,
    pub(in super::super) completed: u64,
    pub(in super::super) failed: u64,
    pub(in super::super) aborted: u64,
    pub(in super::super) parked: u64,
    /// Aborts of parents that have turned a child.
    pub(in super::super) aborted_by_parent: u64,
    /// Aborts of parents that found no child to turn.
    pub(in super::super) abort_came_late: u64,
    pub(in super::super) withdrawn: u64,
    pub(in super::super) not_started: u64,
    pub(in super::super) detached: u64,
    /// Times as many parcels were under way as may be.
    pub(in super::super) full: u64,
    pub(in super::super) heard: u64,
    pub(in super::super) sums: u64,
    pub(in super::super) worries: u64,
    /// Ends that no row took.
    pub(in super::super) skipped: u64,
    /// Parents that waited for a person.
    pub(in super::super) held: u64,
    pub(in super::super) within: u64,
    pub(in super::super) begun_anew: u64,
    /// Parents that a crash caught with children, and those that were awaiting them to undo.
    pub(in super::super) cut: u64,
    pub(in super::super) cut_unwinding: u64,
}

impl SeenChildren {
    /// A child has made a step.
    pub(in super::super) fn child(
        &mut self,
        before: Option<(Status, bool)>,
        (status, parked): (Status, bool),
    ) {
        self.started += u64::from(before.is_none());
        self.parked += u64::from(parked && !before.is_some_and(|(_, parked)| parked));
        let ended = status.is_over() && !before.is_some_and(|(status, _)| status.is_over());
        match status {
            _ if !ended => {}
            Status::Completed => self.completed += 1,
            Status::Failed => self.failed += 1,
            Status::Aborted => self.aborted += 1,
            Status::Running | Status::Compensating => {}
        }
    }

    pub(in super::super) fn times(&self) -> [(&'static str, u64); 20] {
        [
            ("children started", self.started),
            ("children completed", self.completed),
            ("children failed", self.failed),
            ("children aborted", self.aborted),
            ("children parked", self.parked),
            ("children aborted by a turn of their parent", self.aborted_by_parent),
            ("children that had ended when they were to be aborted", self.abort_came_late),
            ("children that never had their turn", self.withdrawn),
            ("children that could not be started", self.not_started),
            ("children whose parent hears nothing of them", self.detached),
            ("batches with as many parcels under way as may be", self.full),
            ("children heard of by themselves", self.heard),
            ("children heard of together", self.sums),
            ("notices of parked children", self.worries),
            ("ends of children that no row took", self.skipped),
            ("parents that waited for a person", self.held),
            ("batches within batches", self.within),
            ("batches that began anew after a turn", self.begun_anew),
            ("crashes with children under way", self.cut),
            ("crashes while children were awaited before an undo", self.cut_unwinding),
        ]
    }
}
