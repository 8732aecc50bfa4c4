//! Deliveries of events to subscribers (rule R22): in accepted order per event key, parallel between keys.

use crate::message::Map;
use std::collections::{BTreeSet, VecDeque};

use super::lanes::Job;
use super::suspects::Admission;
use crate::engine::Shard;
use crate::engine::advance::Purpose;
use crate::engine::clock::progress_due;
use crate::engine::io::{Attempt, AttemptEnd, AttemptKey, Out};
use crate::message::Timestamp;
use crate::store::{
    Address, DeadLetter, DeadLetterReason, Delivery, DeliveryChange, DeliveryId, MailKind, Step,
};

/// The open deliveries in memory, and how far the store has been read.
#[derive(Debug, Default)]
pub(in crate::engine) struct Deliveries {
    pub(in crate::engine) open: Map<DeliveryId, Delivery>,
    /// Older deliveries are still being read. The same read finds newer deliveries.
    behind: bool,
    reading: bool,
    /// A delivery was added while older deliveries were being read.
    missed: bool,
    /// The newest delivery that is or was in memory.
    last: DeliveryId,
    /// The deliveries are to be read again from the beginning.
    restart: bool,
    /// Deliveries that have ended while all deliveries are read again. A page may still bring them.
    ended: Option<BTreeSet<DeliveryId>>,
    /// Deliveries per subscriber and key, in order. Only the first one is in its lane.
    order: Map<Address, VecDeque<DeliveryId>>,
}

impl Shard {
    /// Takes up a durable delivery.
    pub(in crate::engine) fn add_delivery(&mut self, id: DeliveryId, delivery: Delivery) {
        if self.deliveries.behind {
            self.deliveries.missed = true;
            return;
        }
        if self.deliveries.open.len() >= self.limits.taken_up {
            // The delivery is read when there is room again.
            self.deliveries.behind = true;
            return;
        }
        self.deliveries.last = self.deliveries.last.max(id);
        self.take_delivery(id, delivery);
    }

    fn take_delivery(&mut self, id: DeliveryId, delivery: Delivery) {
        let ended = self.deliveries.ended.as_ref().is_some_and(|ended| ended.contains(&id));
        if ended || self.deliveries.open.contains_key(&id) {
            return;
        }
        let Some(&(lane, _)) = self.registry.subscribers.get(&*delivery.to.saga) else {
            // The delivery stays in the store for a build that has the subscriber (rule R28).
            self.will_bury(&delivery.to.saga);
            return;
        };
        // The deliveries of a paused subscriber stay in the store (rule R37).
        if self.lanes.is_held(lane) {
            return;
        }
        let to = delivery.to.clone();
        self.deliveries.open.insert(id, delivery);
        if self.lanes.policy(lane).unordered {
            self.enlist_delivery(id);
            return;
        }
        let order = self.deliveries.order.entry(to).or_default();
        order.push_back(id);
        if order.len() == 1 {
            self.enlist_delivery(id);
        }
    }

    /// Puts a delivery into its lane. A delivery that is not due yet waits first.
    pub(in crate::engine) fn enlist_delivery(&mut self, id: DeliveryId) {
        let now = self.moment.wall;
        let Some(delivery) = self.deliveries.open.get_mut(&id) else {
            return self.broken("a waiting delivery is open", None);
        };
        let Some(&(lane, _)) = self.registry.subscribers.get(&*delivery.to.saga) else {
            return self.broken("an open delivery has a subscriber", None);
        };
        let due = progress_due(&delivery.progress, now);
        if due != delivery.progress.due {
            // The new due time is set once. Later corrections start from it.
            (delivery.progress.armed, delivery.progress.due) = (now, due);
        }
        if due > now {
            self.lanes.delay(now, due, Job::Delivery(id));
            return;
        }
        self.lanes.push(lane, Job::Delivery(id));
        self.run_lane(lane);
    }

    /// Starts a delivery. A suspect is counted first, and becomes a dead letter after too many times (rule R19).
    pub(in crate::engine) fn permit_delivery(&mut self, lane: usize, id: DeliveryId) {
        let (epoch, now) = (self.lease.epoch, self.moment.wall);
        let Some(delivery) = self.deliveries.open.get_mut(&id) else {
            return self.broken("a queued delivery is open", None);
        };
        if !self.lease.is_suspect(delivery.progress.epoch) {
            self.take_place(lane);
            self.begin_delivery(lane, id);
            return;
        }
        let job = Job::Delivery(id);
        let quick = self.lanes.policy(lane).quick;
        let suspects = &mut self.lanes.suspects;
        match suspects.admit(lane, &job, &mut delivery.progress, quick, &self.limits, self.moment) {
            Admission::Delayed(due) => return self.lanes.delay(now, due, job),
            Admission::Waiting => return,
            Admission::GivenUp(times) => {
                let why = format!("the delivery was found begun after {times} crashes in a row");
                self.give_up_delivery(id, DeadLetterReason::CrashLoop, why);
                self.recovered(&job);
                return;
            }
            Admission::Admitted => {}
        }
        delivery.progress.epoch = epoch;
        delivery.progress.armed = now;
        let change = DeliveryChange::Progress(id, delivery.progress.clone());
        self.take_place(lane);
        self.queue_step(Purpose::DeliveryStart(id), Step { deliveries: vec![change], ..Step::default() });
    }

    /// The start record of a delivery is durable, or was not written. In the second case the next start finds the
    /// delivery again.
    pub(in crate::engine) fn delivery_start_recorded(&mut self, id: DeliveryId, durable: bool) {
        let Some(delivery) = self.deliveries.open.get(&id) else {
            return self.broken("a delivery stays open while its start is recorded", None);
        };
        let Some(&(lane, _)) = self.registry.subscribers.get(&*delivery.to.saga) else {
            return self.broken("an open delivery has a subscriber", None);
        };
        if self.stopping || !durable {
            self.recovered(&Job::Delivery(id));
            self.free_place(lane);
        } else if self.lanes.is_held(lane) {
            // Paused while the start record was written. The delivery has not begun.
            self.recovered(&Job::Delivery(id));
            self.lanes.push(lane, Job::Delivery(id));
            self.free_place(lane);
        } else {
            self.begin_delivery(lane, id);
            // The start time of this attempt determines when the rate permits the next start. So the lane is checked
            // here.
            self.run_lane(lane);
        }
    }

    fn begin_delivery(&mut self, lane: usize, id: DeliveryId) {
        let Some(delivery) = self.deliveries.open.get(&id) else {
            return self.broken("a starting delivery is open", None);
        };
        let (event, key) = (delivery.event.clone(), AttemptKey::Message(delivery.id.clone()));
        let (number, of) = (delivery.progress.next_attempt(), delivery.to.clone());
        let (saved, trace) = (delivery.progress.saved.clone(), delivery.trace);
        self.launch(
            Job::Delivery(id),
            Attempt { id: 0, lane, message: event, key, number, of, saved, trace },
        );
    }

    pub(in crate::engine) fn delivery_ended(&mut self, id: DeliveryId, how: AttemptEnd) {
        let (now, epoch, jitter) = (self.moment.wall, self.lease.epoch, self.jitter());
        let Some(delivery) = self.deliveries.open.get_mut(&id) else {
            return self.broken("a running delivery is open", None);
        };
        let Some(&(lane, _)) = self.registry.subscribers.get(&*delivery.to.saga) else {
            return self.broken("an open delivery has a subscriber", None);
        };
        let policy = self.lanes.policy(lane).clone();
        let progress = &mut delivery.progress;
        if matches!(how, AttemptEnd::NotBegun) {
            // An attempt that never reached its subscriber does not count. At a stop, the attempts before it must be in
            // the store.
            if self.stopping {
                self.write_delivery(id);
            } else {
                self.lanes.push(lane, Job::Delivery(id));
            }
            return;
        }
        // The end of an attempt resets the count (rule R19).
        progress.recoveries = 0;
        let error = match how {
            AttemptEnd::Replied(_) => {
                let finish = vec![DeliveryChange::Finish(id)];
                self.queue_step(Purpose::DeliveryEnd(id), Step { deliveries: finish, ..Step::default() });
                return;
            }
            AttemptEnd::Refused(reason)
            | AttemptEnd::RefusedForGood(reason)
            | AttemptEnd::Unreadable(reason) => {
                self.give_up_delivery(id, DeadLetterReason::Refused, reason);
                return;
            }
            AttemptEnd::Indeterminate(reason) | AttemptEnd::BadReply(reason) => reason,
            // The dispatcher stopped. The dropped attempt counts as indeterminate.
            AttemptEnd::Dropped | AttemptEnd::NotBegun => {
                progress.attempts += 1;
                progress.epoch = epoch;
                let change = DeliveryChange::Progress(id, progress.clone());
                let step = Step { deliveries: vec![change], ..Step::default() };
                self.queue_step(Purpose::DeliveryDelay(id), step);
                return;
            }
        };
        progress.attempts += 1;
        progress.epoch = epoch;
        progress.error = Some(error.clone());
        let delay = policy.delay(progress.attempts, false, jitter);
        let spent = std::time::Duration::from_millis(progress.spent_ms);
        if progress.attempts >= policy.quick && spent >= policy.total {
            let why = format!("{} attempts failed; last error: {error}", progress.attempts);
            self.give_up_delivery(id, DeadLetterReason::DeliveryFailed, why);
        } else if delay.is_zero() && !self.stopping {
            progress.due = Timestamp::EPOCH;
            self.enlist_delivery(id);
        } else {
            progress.spent_ms += u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            progress.due = now.plus(delay);
            progress.armed = now;
            let change = DeliveryChange::Progress(id, progress.clone());
            // The next attempt also waits until this progress is durable.
            let step = Step { deliveries: vec![change], ..Step::default() };
            self.queue_step(Purpose::DeliveryDelay(id), step);
        }
    }

    /// Writes the progress of waiting deliveries, so that a clean start continues from there.
    pub(in crate::engine) fn write_deliveries(&mut self) {
        let ids: Vec<DeliveryId> = self.deliveries.open.keys().copied().collect();
        for id in ids {
            self.write_delivery(id);
        }
    }

    /// Writes the progress of one delivery. A delivery that this process did not try has no new progress. A suspect
    /// stays a suspect.
    fn write_delivery(&mut self, id: DeliveryId) {
        let Some(delivery) = self.deliveries.open.get_mut(&id) else { return };
        let progress = &mut delivery.progress;
        if progress.attempts == 0 || self.lease.is_suspect(progress.epoch) {
            return;
        }
        progress.epoch = self.lease.epoch;
        let change = DeliveryChange::Progress(id, progress.clone());
        self.queue_step(Purpose::Housekeeping, Step { deliveries: vec![change], ..Step::default() });
    }

    /// Turns a delivery into a dead letter, so that the delivery no longer holds back its key.
    fn give_up_delivery(&mut self, id: DeliveryId, reason: DeadLetterReason, detail: String) {
        let Some(delivery) = self.deliveries.open.get(&id) else {
            return self.broken("a failed delivery is open", None);
        };
        let (to, event) = (delivery.to.clone(), delivery.event.clone());
        let letter = DeadLetter {
            id: Some(delivery.id.clone()),
            hops: delivery.hops,
            trace: delivery.trace,
            detail,
            ..DeadLetter::new(to, MailKind::Delivery, event, reason, self.moment.wall)
        };
        self.tally.dead_letters += 1;
        let deliveries = vec![DeliveryChange::Finish(id)];
        self.queue_step(Purpose::DeliveryEnd(id), Step { deliveries, dead: vec![letter], ..Step::default() });
    }

    /// Removes a finished delivery. The next delivery of its key may run.
    pub(in crate::engine) fn delivered(&mut self, id: DeliveryId) {
        let Some(delivery) = self.deliveries.open.remove(&id) else {
            return self.broken("an ended delivery is open", None);
        };
        if let Some(ended) = &mut self.deliveries.ended {
            ended.insert(id);
        }
        let Some(order) = self.deliveries.order.get_mut(&delivery.to) else { return };
        // Only the first delivery of a key is in its lane, so the first one has ended.
        if order.front() == Some(&id) {
            order.pop_front();
        }
        match order.front().copied() {
            Some(next) => self.enlist_delivery(next),
            None => drop(self.deliveries.order.remove(&delivery.to)),
        }
    }

    pub(in crate::engine) fn fetch_deliveries(&mut self, after: DeliveryId) {
        self.deliveries.behind = true;
        self.deliveries.reading = true;
        self.out.push(Out::FetchDeliveries(after));
    }

    pub(in crate::engine) fn fetched_deliveries(&mut self, rows: Vec<(DeliveryId, Delivery)>, more: bool) {
        self.deliveries.reading = false;
        if std::mem::take(&mut self.deliveries.restart) {
            return self.fetch_deliveries(DeliveryId::default());
        }
        self.deliveries.last = rows.last().map_or(self.deliveries.last, |(id, _)| *id);
        for (id, delivery) in rows {
            self.take_delivery(id, delivery);
        }
        if more {
            self.read_deliveries_on();
        } else if self.deliveries.missed {
            // Deliveries were added while the last page was being read.
            self.deliveries.missed = false;
            self.fetch_deliveries(self.deliveries.last);
        } else {
            self.deliveries.behind = false;
            self.deliveries.ended = None;
        }
    }

    /// Reads all deliveries again, because a subscriber was resumed.
    pub(in crate::engine) fn read_deliveries_again(&mut self) {
        self.deliveries.ended.get_or_insert_default();
        if self.deliveries.reading {
            self.deliveries.restart = true;
        } else {
            self.fetch_deliveries(DeliveryId::default());
        }
    }

    /// Leaves the deliveries of a paused subscriber to the store, except those with attempts that the store may not know.
    pub(in crate::engine) fn put_deliveries_aside(&mut self, subscriber: &str) {
        let Some(&(lane, _)) = self.registry.subscribers.get(subscriber) else { return };
        let Deliveries { open, order, .. } = &mut self.deliveries;
        let is_new = |id: &DeliveryId| open.get(id).is_some_and(|delivery| delivery.progress.attempts == 0);
        for job in self.lanes.leave(lane, |job| matches!(job, Job::Delivery(id) if is_new(id))) {
            if let Job::Delivery(id) = job {
                open.remove(&id);
            }
        }
        order.retain(|to, order| {
            if to.saga != *subscriber {
                return true;
            }
            // Only the first delivery of a key has begun or is in its lane.
            let first = order.pop_front().filter(|first| open.contains_key(first));
            order.drain(..).for_each(|id| drop(open.remove(&id)));
            order.extend(first);
            !order.is_empty()
        });
    }

    /// Continues to read when there is room.
    pub(in crate::engine) fn read_deliveries_on(&mut self) {
        let room = self.deliveries.open.len() < self.limits.taken_up;
        if self.deliveries.behind && !self.deliveries.reading && room {
            self.fetch_deliveries(self.deliveries.last);
        }
    }
}
