//! Leases that end although their holder lives (rule R36): the holder that may have lost its lease starts nothing, and the
//! next holder waits until the attempts of the last one have ended.
//!
//! Owns: both waits. Does not own: the check right before a handler is called (the dispatcher), or the fence of a commit
//! (the store).

use std::time::Duration;

use super::adopt::{ends_unknown, unknown_reason};
use super::lanes::{Job, Lanes};
use crate::engine::io::Out;
use crate::engine::slot::{Item, Run};
use crate::engine::{Registry, Shard};
use crate::machine::{Input, ReportRecord};
use crate::message::Timestamp;
use crate::store::{Address, Lease, Status, Task, TaskId};

/// More than the rounding of two clocks to milliseconds.
const ROUNDED: Duration = Duration::from_millis(2);

impl Shard {
    /// Another process may have ended the lease, or the lease stands after all.
    ///
    /// Running attempts are asked to stop, and end at their timeout at the latest. Their outcomes count if the lease stands:
    /// the fence decides, not the clock.
    pub(in crate::engine) fn set_lapsed(&mut self, lapsed: bool) {
        if std::mem::replace(&mut self.lapsed, lapsed) == lapsed {
            return;
        }
        if lapsed {
            self.out.extend(self.lanes.attempts.keys().map(|attempt| Out::Cancel(*attempt)));
            return;
        }
        self.run_lanes();
    }

    /// The shard is about to go to another process, or stays after all. Running attempts go on.
    pub(in crate::engine) fn set_closing(&mut self, closing: bool) {
        self.closing = closing;
        if !closing {
            self.run_lanes();
        }
    }

    fn run_lanes(&mut self) {
        for lane in 0..self.lanes.lanes.len() {
            self.run_lane(lane);
        }
    }

    /// The time until which an attempt of this task may still run in the process that had the lease before, if it may.
    pub(super) fn lingers_until(&self, task: &Task) -> Option<Timestamp> {
        let left = lingering(
            &self.lanes,
            &self.registry,
            &self.lease,
            self.moment.mono.saturating_sub(self.began),
            task,
        )?;
        // Rounded up, so that nothing is left at that time.
        Some(self.moment.wall.plus(left.saturating_add(ROUNDED)))
    }

    /// Returns whether the outcome of a task is unknown as soon as no earlier attempt can run any more.
    pub(in crate::engine) fn waits_to_be_unknown(&self, address: &Address, task: TaskId) -> bool {
        if self.lease.linger.is_zero() {
            return false;
        }
        let Some(instance) = self.slots.get(address).and_then(|slot| slot.instance()) else { return false };
        let compensating = instance.status() == Status::Compensating;
        instance.task(task).is_some_and(|task| {
            self.lease.is_suspect(task.progress.epoch) && ends_unknown(task, compensating)
        })
    }

    /// Reports such a task as unknown, or waits on. The other tasks of the instance are left alone, because a step may be in
    /// flight.
    pub(in crate::engine) fn report_unknown_in_time(&mut self, address: &Address, task: TaskId) {
        let now = self.moment.wall;
        let found = self.slots.get(address).and_then(|slot| slot.instance()?.task(task));
        let Some(found) = found else { return };
        let (attempts, until) = (found.progress.attempts, self.lingers_until(found));
        let reason = unknown_reason(found.progress.stage);
        let Some(slot) = self.slots.get_mut(address) else { return };
        if let Some(until) = until {
            slot.set_run(task, Run::Delayed);
            return self.lanes.delay(now, until, Job::Task(address.clone(), task));
        }
        slot.set_run(task, Run::Reported);
        let report = ReportRecord::Unknown { attempts, reason: reason.to_owned() };
        slot.queue.push_back(Item::own(Input::Report(task, report), now));
        self.schedule(address);
    }
}

/// How long an attempt of this task may still run in the process that had the lease before. `running` is the time since the
/// start of this process.
pub(in crate::engine) fn lingering(
    lanes: &Lanes,
    registry: &Registry,
    lease: &Lease,
    running: Duration,
    task: &Task,
) -> Option<Duration> {
    if lease.linger.is_zero() || !lease.is_suspect(task.progress.epoch) {
        return None;
    }
    let lane = registry.handlers.get(&*task.command.name);
    let timeout = lane.map_or(Duration::ZERO, |lane| lanes.policy(*lane).timeout);
    let left = lease.linger.max(timeout).saturating_sub(running);
    (!left.is_zero()).then_some(left)
}
