//! Everything that is due: timers, delayed jobs, paused lanes, suspects and attempts past their timeout.

use super::lanes::Job;
use crate::engine::io::{AttemptEnd, Out};
use crate::engine::slot::{Presence, Run};
use crate::engine::{Moment, Shard};
use crate::message::Timestamp;
use crate::store::{Address, TaskId};

impl Shard {
    /// Handles everything that is due: timers, delayed jobs, paused lanes and attempts past their timeout.
    pub(in crate::engine) fn wake(&mut self) {
        self.fire_timers();
        self.give_up_awaiting();
        let Moment { wall, mono } = self.moment;
        while let Some(entry) = self.lanes.delayed.first_entry() {
            if entry.key().0 > wall || self.stopping {
                break;
            }
            match entry.remove().1 {
                Job::Task(address, task) => self.resume(&address, task),
                Job::Delivery(delivery) => self.enlist_delivery(delivery),
            }
        }
        while let Some((until, lane)) = self.lanes.paused.first().copied()
            && until <= mono
        {
            self.lanes.paused.remove(&(until, lane));
            self.run_lane(lane);
        }
        while let Some(entry) = self.lanes.deadlines.first_entry() {
            if entry.key().0 > mono {
                break;
            }
            let (_, attempt) = *entry.key();
            entry.remove();
            let Some(running) = self.lanes.attempts.get_mut(&attempt) else { continue };
            running.timed_out = true;
            let (job, lane) = (running.job.clone(), running.lane);
            // Logged now, because an attempt that blocks its thread may never end.
            let logged = self.log_failure(&job, &AttemptEnd::Indeterminate(self.lanes.late(lane)));
            if let Some(running) = self.lanes.attempts.get_mut(&attempt) {
                running.logged = logged;
            }
            self.out.push(Out::Drop(attempt));
        }
    }

    /// A delayed task is due. If its instance is no longer in memory, a load finds the task again.
    fn resume(&mut self, address: &Address, task: TaskId) {
        let waited = self.waits_to_be_unknown(address, task);
        let slot = self.slot(address);
        if slot.instance().is_some() {
            if slot.run(task) == Some(Run::Delayed) && waited {
                self.report_unknown_in_time(address, task);
            } else if slot.run(task) == Some(Run::Delayed) {
                if let Some(found) = slot.instance_mut().and_then(|instance| instance.task_mut(task)) {
                    found.progress.due = Timestamp::EPOCH;
                }
                self.enlist(address, task);
            }
        } else if !matches!(slot.presence, Presence::Quarantined(_)) {
            slot.runs.became_due(task);
            self.load(address);
        }
    }

    /// A suspect has ended, was withdrawn or was given up. The waiting suspects are tried again.
    pub(in crate::engine) fn recovered(&mut self, job: &Job) {
        if !self.lanes.suspects.recovered(job) {
            return;
        }
        let mut waiting = self.lanes.suspects.waiting();
        while let Some((lane, job)) = self.lanes.suspects.next() {
            self.lanes.lanes[lane].queue.push_front(job);
            self.run_lane(lane);
            if self.lanes.suspects.waiting() >= waiting {
                return;
            }
            waiting = self.lanes.suspects.waiting();
        }
    }
}
