//! Suspects: tasks and deliveries that may have been running when an earlier process ended (rule R19).
//!
//! Owns: which suspect may run beside which others, when it may run, and after how many crashes it is given up. Does not
//! own: the effect of giving up, which differs for tasks and deliveries.

use crate::message::Map;
use std::collections::VecDeque;
use std::time::Duration;

use super::lanes::Job;
use crate::engine::{Limits, Moment};
use crate::message::Timestamp;
use crate::store::TaskProgress;

/// A suspect runs alone after it was found begun this many times. Before that, another task may have caused the crashes.
const RUN_ALONE_AFTER: u32 = 3;
/// The first wait of such a suspect, counted from the start. The wait doubles with each further time. Repeated kills
/// from outside must not count against a task that happens to run.
const RUN_ALONE_BACKOFF: Duration = Duration::from_millis(100);

/// The suspects of the present process.
#[derive(Debug, Default)]
pub(in crate::engine) struct Suspects {
    /// Suspects that run or have a start record that is being committed. `true`: the suspect runs alone, because it was
    /// found begun several times. If the process crashes now, this suspect is the cause.
    recovering: Map<Job, bool>,
    /// Suspects that wait until a recovering job ends, with their lanes.
    waiting: VecDeque<(usize, Job)>,
    /// Monotonic time of the start of the engine.
    started: Duration,
}

/// The decision on a suspect before it runs again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The suspect waits until this time.
    Delayed(Timestamp),
    /// The suspect waits until a recovering job ends.
    Waiting,
    /// The suspect was found begun this many times in a row, which is too often.
    GivenUp(u32),
    /// The suspect may run. Its progress counts the lost attempt.
    Admitted,
}

impl Suspects {
    /// Records the start of the engine.
    pub(in crate::engine) fn start(&mut self, now: Duration) {
        self.started = now;
    }

    /// Number of suspects that wait for another one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Decides on a suspect. The count comes before the run, and the attempt that may have been running counts as
    /// indeterminate. `quick` is the number of quick attempts of its policy.
    pub(super) fn admit(
        &mut self,
        lane: usize,
        job: &Job,
        progress: &mut TaskProgress,
        quick: u32,
        limits: &Limits,
        now: Moment,
    ) -> Admission {
        if let Some(due) = self.not_before(progress.recoveries, now) {
            return Admission::Delayed(due);
        }
        if !self.recover(job, progress.recoveries, limits.recovering) {
            self.waiting.push_back((lane, job.clone()));
            return Admission::Waiting;
        }
        count_lost(progress, quick);
        progress.recoveries += 1;
        if progress.recoveries > limits.recoveries {
            return Admission::GivenUp(progress.recoveries);
        }
        Admission::Admitted
    }

    /// A suspect has ended, was withdrawn or was given up. `false` for another job.
    pub(super) fn recovered(&mut self, job: &Job) -> bool {
        self.recovering.remove(job).is_some()
    }

    /// Takes the suspect that has waited longest.
    pub(super) fn next(&mut self) -> Option<(usize, Job)> {
        self.waiting.pop_front()
    }

    /// Admits a suspect with this recovery count, if the limits allow.
    fn recover(&mut self, job: &Job, recoveries: u32, most: usize) -> bool {
        let alone = recoveries >= RUN_ALONE_AFTER;
        let crowd = self.recovering.len();
        if crowd >= most || alone && crowd > 0 || self.recovering.values().any(|alone| *alone) {
            return false;
        }
        self.recovering.insert(job.clone(), alone);
        true
    }

    /// The earliest start of a suspect with this recovery count. `None` for no wait. By then the process has shown that
    /// it does not crash without this suspect.
    fn not_before(&self, recoveries: u32, now: Moment) -> Option<Timestamp> {
        let times = recoveries.checked_sub(RUN_ALONE_AFTER)?;
        let until = self.started.saturating_add(RUN_ALONE_BACKOFF.saturating_mul(1 << times.min(16)));
        let rest = until.checked_sub(now.mono).filter(|rest| !rest.is_zero())?;
        // Rounded up, so that `until` has passed at the due time.
        Some(now.wall.plus(rest).plus(Duration::from_millis(1)))
    }
}

/// Counts the attempt that may have been running when the process ended. The quick attempts before it were not written.
/// Their numbers are left out, so that no number is given twice (rule R19).
fn count_lost(progress: &mut TaskProgress, quick: u32) {
    progress.attempts = progress.attempts.saturating_add(1);
    progress.left_out = progress.left_out.saturating_add(quick.saturating_sub(progress.attempts));
}
