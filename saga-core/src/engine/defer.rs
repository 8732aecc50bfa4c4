//! Events that wait for another visit of their instance (rule R6), or for their instance to start (rule R27).
//!
//! A waiting event is durable and keeps its place in the inbox. It is taken up again, in order, at a new visit, at the
//! start of the instance, or when its wait ends. The instance stays in memory meanwhile.

use super::Shard;
use super::clock::rebased;
use super::io::{ConsumerAnswer, NO_INSTANCE};
use super::slot::{GivenUp, InFlight, Item, Place, Token};
use crate::definition::Missing;
use crate::machine::{Input, NotStarted};
use crate::message::Timestamp;
use crate::store::{Address, Mail, Status, Step};

/// How long an ended wait is postponed while the instance has a step or a read in progress.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

/// The visit number before an instance exists.
const NONE: u32 = 0;

/// An event that waits for its instance to start.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Awaited {
    /// When the wait ends.
    pub(super) due: Timestamp,
    pub(super) address: Address,
    /// When the event was accepted.
    pub(super) at: Timestamp,
    /// When `due` was set.
    pub(super) armed: Timestamp,
}

impl Shard {
    /// Leaves a deferred item in the inbox. Returns whether more work is ready at once.
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

    /// Takes up deferred events after a durable step to a new visit or to the end. A parked or compensating instance
    /// takes up its events at its release.
    pub(super) fn undefer(&mut self, address: &Address) {
        let Some(slot) = self.slots.get_mut(address) else { return };
        let (Some(visit), Some(instance)) = (slot.deferred, slot.instance()) else { return };
        let waits = instance.holds_events_back();
        let over = !matches!(instance.status(), Status::Running | Status::Compensating);
        if !waits && (instance.record.visit != visit || over) {
            self.fetch_waiting(address);
        }
    }

    /// Handles an event that has no instance and does not start one (rule R27). Returns whether more work is ready at
    /// once.
    pub(super) fn event_without_instance(&mut self, address: &Address, item: Item) -> bool {
        let Input::Event(event) = &item.what else { return true };
        // The parent must learn that its child did not start (rule R21).
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

    /// The earliest end of a wait.
    pub(super) fn next_awaited(&self) -> Option<Timestamp> {
        self.awaited.first().map(|awaited| awaited.due)
    }

    /// Takes up the events with an ended wait.
    pub(super) fn give_up_awaiting(&mut self) {
        let mut busy = Vec::new();
        let now = self.moment.wall;
        while let Some(first) = self.awaited.first()
            && first.due <= now
            && let Some(Awaited { address, at, .. }) = self.awaited.pop_first()
        {
            let slot = self.slots.get_mut(&address);
            let Some(slot) = slot.filter(|slot| matches!(slot.place, Place::Missing)) else { continue };
            // The wait is over, even if a corrected clock puts the timestamp of the event in the future.
            let at = slot.given_up.filter(|up| up.last.is_none()).map_or(at, |up| up.at.max(at));
            slot.given_up = Some(GivenUp { at, last: None });
            if slot.in_flight.is_some() || slot.fetching {
                // A read now could miss a row that is being written, or return a row that is being used up.
                busy.push(Awaited { due: now.plus(AGAIN), address, at, armed: now });
            } else {
                self.fetch_waiting(&address);
            }
        }
        self.awaited.extend(busy);
    }
}
