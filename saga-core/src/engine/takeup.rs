//! Callers who wait until what lay in the inbox when they came has been taken up, so that they read their own writes.
//!
//! ```text
//!  the inbox is read to its end ──▶ nothing in memory has the id ──▶ what was queued is durable, twice ──▶ answer
//!                                       ▲            │
//!                                       └── Watch ◀──┘ dropped with the last item that had it
//! ```
//!
//! Twice, because what a step turns out to be a duplicate of is noted in a step of its own. Owns: that way. Does not own:
//! what became of the event, which the caller reads off the store afterwards.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Shard;
use super::claim::Claim;
use super::io::{Answer, Out, Ticket};
use super::slot::Place;
use crate::message::MessageId;
use crate::store::Address;

/// Somebody who waits for an event to be taken up.
#[derive(Debug)]
pub(crate) struct TakeUp {
    /// Who takes the event.
    pub(crate) consumers: Vec<Address>,
    pub(crate) id: MessageId,
    pub(crate) ticket: Ticket,
    /// Its place among the requests that the dispatcher keeps. Nothing is done for it that could not be withdrawn.
    pub(crate) _claim: Claim,
}

/// Those who wait, each in one of three places.
#[derive(Debug, Default)]
pub(super) struct TakeUps {
    /// For this reading of the inbox to come to the end, or a later one.
    unread: Vec<(u64, TakeUp)>,
    /// How many are held by watches, or have come back from them.
    watching: usize,
    /// Come back from their watches.
    seen: Arc<Mutex<Vec<TakeUp>>>,
    /// For so many steps to be durable, and whether once more for what has been queued by then.
    unwritten: VecDeque<(u64, bool, TakeUp)>,
    /// Steps queued since the start.
    pub(super) queued: u64,
    /// Steps whose outcomes have been handled.
    pub(super) done: u64,
}

/// Shared by the items that somebody waits for. The last one gives back who waits.
#[derive(Debug)]
pub(super) struct Watch {
    of: Option<TakeUp>,
    seen: Arc<Mutex<Vec<TakeUp>>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(of) = self.of.take() {
            lock(&self.seen).push(of);
        }
    }
}

impl Shard {
    /// Somebody comes who waits. A page of the inbox that is being read may have been read before.
    pub(super) fn take_up_for(&mut self, of: TakeUp) {
        if self.stopping {
            return self.out.push(Out::Answer(of.ticket, Answer::Stopped));
        }
        self.take_ups.unread.push((self.inbox.next_scan(), of));
        self.woken();
    }

    /// This reading of the inbox has come to the end.
    pub(super) fn inbox_was_read(&mut self, scan: u64) {
        let read: Vec<_> = self.take_ups.unread.extract_if(.., |(until, _)| *until <= scan).collect();
        for (_, of) in read {
            self.look_for(of);
        }
    }

    /// Lets somebody wait for what has the id and is in memory; for the steps that are queued when nothing has it.
    fn look_for(&mut self, of: TakeUp) {
        let (consumers, id) = (of.consumers.clone(), of.id.clone());
        let watch = Arc::new(Watch { of: Some(of), seen: Arc::clone(&self.take_ups.seen) });
        for consumer in consumers {
            let address = self.address(&consumer.saga, consumer.key);
            let holder = match self.slots.get(&address).map(|slot| &slot.place) {
                Some(Place::Alias(key)) => Some(self.address(&address.saga, key.clone())),
                _ => None,
            };
            for address in [Some(address), holder].into_iter().flatten() {
                if let Some(slot) = self.slots.get_mut(&address) {
                    slot.watch(&id, &watch);
                }
            }
        }
        match Arc::into_inner(watch) {
            Some(mut watch) => {
                if let Some(of) = watch.of.take() {
                    self.wait_for_steps(of, true);
                }
            }
            None => self.take_ups.watching += 1,
        }
    }

    /// Looks again for those whose watches have ended: what they wait for may have been handed on, or put back.
    pub(super) fn look_again(&mut self) {
        if self.take_ups.watching == 0 {
            return;
        }
        let seen = std::mem::take(&mut *lock(&self.take_ups.seen));
        self.take_ups.watching -= seen.len();
        for of in seen {
            self.look_for(of);
        }
    }

    fn wait_for_steps(&mut self, of: TakeUp, again: bool) {
        if self.take_ups.done == self.take_ups.queued {
            self.out.push(Out::Answer(of.ticket, Answer::TakenUp));
        } else {
            self.take_ups.unwritten.push_back((self.take_ups.queued, again, of));
        }
    }

    /// Goes on with those whose steps are durable.
    pub(super) fn steps_are_durable(&mut self) {
        while let Some((until, ..)) = self.take_ups.unwritten.front()
            && *until <= self.take_ups.done
            && let Some((_, again, of)) = self.take_ups.unwritten.pop_front()
        {
            if again {
                self.wait_for_steps(of, false);
            } else {
                self.out.push(Out::Answer(of.ticket, Answer::TakenUp));
            }
        }
    }

    /// The engine stops: the inbox is not read any more for those who wait for that.
    pub(super) fn stop_taking_up(&mut self) {
        for (_, of) in std::mem::take(&mut self.take_ups.unread) {
            self.out.push(Out::Answer(of.ticket, Answer::Stopped));
        }
    }
}

fn lock(seen: &Mutex<Vec<TakeUp>>) -> MutexGuard<'_, Vec<TakeUp>> {
    // Nothing panics while it is held.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
