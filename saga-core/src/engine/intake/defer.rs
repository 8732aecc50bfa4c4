//! Events that wait for another visit of their instance (rule R6), or for their instance to start (rule R27).
//!
//! A waiting event is durable and keeps its place in the inbox. It is taken up again, in order, at a new visit, at the
//! start of the instance, or when its wait ends. The instance stays in memory meanwhile.

use crate::definition::Missing;
use crate::engine::clock::rebased;
use crate::engine::slot::{Before, InFlight, Item, Presence};
use crate::engine::{Disposition, Rejection, Shard};
use crate::machine::{Input, NotStarted};
use crate::message::Timestamp;
use crate::store::{Address, DeadLetterReason, IgnoredReason, Mail, Status, Step};

/// How long an ended wait is postponed while the instance has a step or a read in progress.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

/// The visit number before an instance exists.
const NONE: u32 = 0;

/// An event that waits for its instance to start.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Awaited {
    /// When the wait ends.
    pub(in crate::engine) due: Timestamp,
    pub(in crate::engine) address: Address,
    /// When the event was accepted.
    pub(in crate::engine) at: Timestamp,
    /// When `due` was set.
    pub(in crate::engine) armed: Timestamp,
}

impl Shard {
    /// Leaves a deferred item in the inbox. Returns whether more work is ready at once.
    pub(in crate::engine) fn defer(&mut self, address: &Address, item: Item) -> bool {
        let most = self.limits.waiting;
        let Some(slot) = self.slots.get_mut(address) else {
            self.broken("a deferred item has a slot", Some(address));
            return false;
        };
        let waiting = slot.backlog.events();
        if waiting >= most && item.ticket.is_some() && item.inbox.is_none() {
            self.answer(address, Some(item), &Err(Rejection::Full { waiting }));
            return true;
        }
        let visit = slot.instance().map_or(NONE, |instance| instance.record.visit);
        slot.backlog.defer(visit);
        if item.inbox.is_some() {
            slot.backlog.keep(&item);
            return true;
        }
        let mut step = Step { row: slot.instance().and_then(|instance| instance.row), ..Step::default() };
        let Some(mail) = item.mail(address, self.lease.epoch) else { return true };
        self.mark_answered(address, &item, &mut step);
        self.mark(address, &item, &mut step);
        step.mail.push(Mail { deduplicated: true, ..mail });
        let in_flight = InFlight::spill(vec![item], Ok(Disposition::Deferred), Before::default());
        self.launch_step(address, in_flight, step);
        false
    }

    /// Takes up deferred events after a durable step to a new visit or to the end. A parked or compensating instance
    /// takes up its events at its release.
    pub(in crate::engine) fn undefer(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let (Some(visit), Some(instance)) = (slot.backlog.deferred_at(), slot.instance()) else { return };
        let waits = instance.holds_events_back();
        let over = !matches!(instance.status(), Status::Running | Status::Compensating);
        if !waits && (instance.record.visit != visit || over) {
            self.fetch_waiting(address);
        }
    }

    /// Handles an event that has no instance and does not start one (rule R27). Returns whether more work is ready at
    /// once.
    pub(in crate::engine) fn event_without_instance(&mut self, address: &Address, item: Item) -> bool {
        let Input::Event(event) = &item.what else { return true };
        // The parent must learn that its child did not start (rule R21).
        if event.parent.is_some() {
            let detail = format!("`{}` does not start {address}", event.message.name);
            self.dead_on_arrival(
                address,
                item,
                NotStarted { reason: DeadLetterReason::MissingInstance, detail },
            );
            return false;
        }
        let name = event.message.name.clone();
        let missing = self
            .registry
            .sagas
            .get(&*address.saga)
            .map_or(Missing::Reject, |program| program.definition().missing_instance);
        let detail = if address.key.is_alias() {
            format!("no instance of `{}` has claimed the alias `{}` of `{name}`", address.saga, address.key)
        } else {
            format!("{address} does not exist; `{name}` does not start an instance")
        };
        match missing {
            Missing::Reject => {
                self.dead_on_arrival(
                    address,
                    item,
                    NotStarted { reason: DeadLetterReason::MissingInstance, detail },
                );
                false
            }
            Missing::Ignore => {
                let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
                self.mark(address, &item, &mut step);
                let answer = Ok(Disposition::Ignored { why: IgnoredReason::NoInstance });
                if step == Step::default() {
                    self.answer(address, Some(item), &answer);
                    self.answer_waiters(address);
                    return true;
                }
                self.launch_step(address, InFlight::of(item, answer), step);
                false
            }
            Missing::Defer(millis) => {
                let wait = std::time::Duration::from_millis(millis);
                let since = self.waits_since(&address.saga, item.at);
                let due = rebased(since, since.plus(wait), self.moment.wall);
                let over = self.slots.get(address).is_some_and(|slot| slot.backlog.is_given_up(&item));
                if due <= self.moment.wall || over {
                    let detail = format!("{detail}; the event waited for {millis} ms");
                    let not = NotStarted { reason: DeadLetterReason::MissingInstance, detail };
                    self.dead_on_arrival(address, item, not);
                    return false;
                }
                self.awaited.insert(Awaited {
                    due,
                    address: address.clone(),
                    at: item.at,
                    armed: self.moment.wall,
                });
                self.defer(address, item)
            }
        }
    }

    /// The earliest end of a wait.
    pub(in crate::engine) fn next_awaited(&self) -> Option<Timestamp> {
        self.awaited.first().map(|awaited| awaited.due)
    }

    /// Takes up the events with an ended wait.
    pub(in crate::engine) fn give_up_awaiting(&mut self) {
        let mut busy = Vec::new();
        let now = self.moment.wall;
        while let Some(first) = self.awaited.first()
            && first.due <= now
            && let Some(Awaited { address, at, .. }) = self.awaited.pop_first()
        {
            let slot = self.slots.get_mut(&address);
            if !self.lease.shard.is_whole()
                && slot.as_ref().is_some_and(|slot| address.key.is_alias() && slot.is_loading())
            {
                // The alias is being read for another event. Nobody may have claimed it.
                busy.push(Awaited { due: now.plus(AGAIN), address, at, armed: now });
                continue;
            }
            let Some(slot) = slot.filter(|slot| matches!(slot.presence, Presence::Missing)) else { continue };
            if self.pauses.holds(&address.saga) {
                // The row is read again when the saga is resumed, and its wait begins again.
                continue;
            }
            slot.backlog.give_up(at);
            if slot.in_flight.is_some() || slot.backlog.is_reading() {
                // A read now could miss a row that is being written, or return a row that is being used up.
                busy.push(Awaited { due: now.plus(AGAIN), address, at, armed: now });
            } else {
                self.fetch_waiting(&address);
            }
        }
        self.awaited.extend(busy);
    }
}
