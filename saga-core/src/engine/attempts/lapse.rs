//! Leases that end although their holder lives (rule R36): the holder that may have lost its lease starts nothing, and the
//! next holder waits until the attempts of the last one have ended.
//!
//! Owns: both waits. Does not own: the check right before a handler is called (the dispatcher), or the fence of a commit
//! (the store).

use std::time::Duration;

use super::adopt::ends_unknown;
use crate::engine::Shard;
use crate::engine::io::Out;
use crate::message::Timestamp;
use crate::store::{Address, Status, Task, TaskId};

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
        for lane in 0..self.lanes.lanes.len() {
            self.run_lane(lane);
        }
    }

    /// The time until which an attempt of this task may still run in the process that had the lease before, if it may.
    pub(super) fn lingers_until(&self, task: &Task) -> Option<Timestamp> {
        if self.lease.linger.is_zero() || !self.lease.is_suspect(task.progress.epoch) {
            return None;
        }
        let lane = self.registry.handlers.get(&*task.command.name);
        let timeout = lane.map_or(Duration::ZERO, |lane| self.lanes.policy(*lane).timeout);
        let until = self.began.saturating_add(self.lease.linger.max(timeout));
        let left = until.saturating_sub(self.moment.mono);
        (!left.is_zero()).then(|| self.moment.wall.plus(left))
    }

    /// Returns whether a delayed task has waited for the attempts of an earlier process. Its outcome is unknown then.
    pub(super) fn has_lingered(&self, address: &Address, task: TaskId) -> bool {
        let Some(instance) = self.slots.get(address).and_then(|slot| slot.instance()) else { return false };
        let compensating = instance.status() == Status::Compensating;
        !self.lease.linger.is_zero()
            && instance.task(task).is_some_and(|task| {
                self.lease.is_suspect(task.progress.epoch) && ends_unknown(task, compensating)
            })
    }
}
