//! Events that must wait: for another visit of their instance (rule R6), or for an instance that does not exist yet
//! (rule R27).
//!
//! What waits is durable: it lies in the inbox, in its place, and is taken up again in order when the instance has
//! entered another visit, has started, or when nobody has started it in time. Its instance stays in memory meanwhile.

use super::Shard;
use super::clock::rebased;
use super::io::{ConsumerAnswer, NO_INSTANCE};
use super::slot::{GivenUp, InFlight, Item, Place, Token};
use crate::definition::Missing;
use crate::machine::{Input, NotStarted};
use crate::message::Timestamp;
use crate::store::{Address, Mail, Status, Step};

/// How long until an instance is looked at again that a step is on its way for.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

/// The visit that is none: before there is an instance.
const NONE: u32 = 0;

/// An event that waits for an instance that does not exist yet.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Awaited {
    /// When it gives up.
    pub(super) due: Timestamp,
    pub(super) address: Address,
    /// When the event was accepted.
    pub(super) at: Timestamp,
    /// When `due` was set: by which clock.
    pub(super) armed: Timestamp,
}

impl Shard {
    /// Leaves an item that its state defers to the inbox. Returns whether there is more to do at once.
    pub(super) fn defer(&mut self, address: &Address, item: Item) -> bool {
        let most = self.limits.waiting;
        let Some(slot) = self.slots.get_mut(address) else { return false };
        let waiting = slot.held;
        if waiting >= most && item.ticket.is_some() && item.inbox.is_none() {
            self.answer(address, Some(item), &ConsumerAnswer::Full { waiting });
            return true;
        }
        slot.deferred = Some(slot.instance().map_or(NONE, |instance| instance.record.visit));
        if item.inbox.is_some() {
            slot.spilled = true;
            slot.held += usize::from(item.is_event());
            return true;
        }
        let mut step = Step { row: slot.instance().and_then(|instance| instance.row), ..Step::default() };
        let Some(mail) = item.mail(address, self.lease.epoch) else { return true };
        self.mark_answered(address, &item, &mut step);
        self.mark(address, &item, &mut step);
        step.mail.push(Mail { deduplicated: true, ..mail });
        let mut in_flight = InFlight::nothing();
        in_flight.answer = ConsumerAnswer::Deferred;
        in_flight.spilled_events = usize::from(item.is_event());
        in_flight.spilled = vec![item];
        if let Some(slot) = self.slots.get_mut(address) {
            slot.in_flight = Some(in_flight);
        }
        self.queue_step(Token::Instance(address.clone()), step);
        false
    }

    /// Takes up what was deferred once a durable step has led to another visit, or to the end. What a parked or
    /// compensating instance holds back follows when it is released.
    pub(super) fn undefer(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let (Some(visit), Some(instance)) = (slot.deferred, slot.instance()) else { return };
        let waits = instance.holds_events_back();
        let over = !matches!(instance.status(), Status::Running | Status::Compensating);
        if !waits && (instance.record.visit != visit || over) {
            self.fetch_waiting(address);
        }
    }

    /// There is no instance for the event at the head of the queue, and it does not start one. Returns whether there is
    /// more to do at once.
    pub(super) fn event_without_instance(&mut self, address: &Address, item: Item) -> bool {
        let Input::Event(event) = &item.what else { return true };
        if event.parent.is_some() {
            let detail = format!("`{}` does not start {address}", event.message.name);
            self.dead_on_arrival(address, item, NotStarted { reason: "missing-instance", detail });
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
            format!("there is no {address}, and `{name}` does not start one")
        };
        match missing {
            Missing::Reject => {
                self.dead_on_arrival(address, item, NotStarted { reason: "missing-instance", detail });
                false
            }
            Missing::Ignore => {
                let mut step = Step { consumed: item.inbox.into_iter().collect(), ..Step::default() };
                self.mark(address, &item, &mut step);
                let answer = ConsumerAnswer::Ignored(NO_INSTANCE);
                if step == Step::default() {
                    self.answer(address, Some(item), &answer);
                    self.answer_waiters(address);
                    return true;
                }
                if let Some(slot) = self.slots.get_mut(address) {
                    slot.in_flight = Some(InFlight::of(item, answer));
                }
                self.queue_step(Token::Instance(address.clone()), step);
                false
            }
            Missing::Defer(millis) => {
                let wait = std::time::Duration::from_millis(millis);
                let due = rebased(item.at, item.at.plus(wait), self.moment.wall);
                let given_up = self.slots.get(address).and_then(|slot| slot.given_up);
                let over = given_up
                    .is_some_and(|up| item.at <= up.at && item.inbox.is_some_and(|row| Some(row) <= up.last));
                if due <= self.moment.wall || over {
                    let detail = format!("{detail}; it has waited for {millis} ms");
                    let not = NotStarted { reason: "missing-instance", detail };
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

    /// When the first event gives up waiting for its instance.
    pub(super) fn next_awaited(&self) -> Option<Timestamp> {
        self.awaited.first().map(|awaited| awaited.due)
    }

    /// Looks again at events that have waited long enough for their instance.
    pub(super) fn give_up_awaiting(&mut self) {
        let mut busy = Vec::new();
        let now = self.moment.wall;
        while let Some(first) = self.awaited.first()
            && first.due <= now
            && let Some(Awaited { address, at, .. }) = self.awaited.pop_first()
        {
            let slot = self.slots.get_mut(&address);
            let Some(slot) = slot.filter(|slot| matches!(slot.place, Place::Missing)) else { continue };
            // Its time is over, also when its stamp lies in the future because the clock went back.
            let at = slot.given_up.filter(|up| up.last.is_none()).map_or(at, |up| up.at.max(at));
            slot.given_up = Some(GivenUp { at, last: None });
            if slot.in_flight.is_some() || slot.fetching {
                // What is on its way to the disk would be missed by a read now, or read although it is used up.
                busy.push(Awaited { due: now.plus(AGAIN), address, at, armed: now });
            } else {
                self.fetch_waiting(&address);
            }
        }
        self.awaited.extend(busy);
    }
}
