//! Messages from running attempts: data for later attempts, and heartbeats.

use crate::engine::Shard;
use crate::engine::advance::Purpose;
use crate::engine::attempts::Job;
use crate::engine::io::{Answer, Out, Ticket};
use crate::engine::slot::Late;
use crate::message::Payload;
use crate::store::{DeliveryChange, Step, TaskChange};

impl Shard {
    /// Keeps the data that a running attempt saves. The caller is answered when the data is durable.
    pub(in crate::engine) fn save(&mut self, attempt: u64, saved: Payload, ticket: Ticket) {
        let epoch = self.lease.epoch;
        if let Some(Job::Task(address, _)) = self.lanes.job(attempt)
            && let Some(slot) = self.slots.get_mut(address).filter(|slot| slot.is_loading())
        {
            slot.runs.keep_late(Late::Saved(attempt, saved, ticket));
            return;
        }
        let step = match self.lanes.job(attempt).cloned() {
            None => None,
            Some(Job::Task(address, task)) => self.slots.get_mut(&address).and_then(|slot| {
                let instance = slot.instance_mut()?;
                let row = instance.row;
                let found = instance.task_mut(task)?;
                found.progress.saved = Some(saved);
                // An attempt that saves progress resets the count (rule R19).
                found.progress.recoveries = 0;
                found.progress.epoch = epoch;
                let change = TaskChange::Progress(task, found.progress.clone());
                slot.runs.begin_progress_write();
                Some((Some(address), Step { row, tasks: vec![change], ..Step::default() }))
            }),
            Some(Job::Delivery(id)) => self.deliveries.open.get_mut(&id).map(|delivery| {
                delivery.progress.saved = Some(saved);
                delivery.progress.recoveries = 0;
                delivery.progress.epoch = epoch;
                let change = DeliveryChange::Progress(id, delivery.progress.clone());
                (None, Step { deliveries: vec![change], ..Step::default() })
            }),
        };
        match step {
            Some((address, step)) => self.queue_step(Purpose::Saved { ticket, address }, step),
            None => self.out.push(Out::Answer(ticket, Answer::Saved(false))),
        }
    }

    /// Restarts the timeout of an attempt that reports that it is alive.
    pub(in crate::engine) fn heartbeat(&mut self, attempt: u64) {
        // An attempt of a lapsed lease ends at its timeout at the latest.
        if !self.lapsed {
            self.lanes.prolong(attempt, self.moment.mono);
        }
    }
}
