//! Callers that wait until the present contents of the inbox have been taken up, so that they read their own writes.
//!
//! ```text
//!  the inbox is read to its end ──▶ nothing in memory has the id ──▶ queued steps are durable, twice ──▶ answer
//!                                       ▲            │
//!                                       └── Watch ◀──┘ dropped with the last item that had it
//! ```
//!
//! The wait for durable steps happens twice, because a duplicate is noted in a step of its own. Owns: the progress of
//! each wait. Does not own: the result of the event. The caller reads the result from the store afterwards.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::Shard;
use crate::engine::intake::Claim;
use crate::engine::io::{Answer, Out, Ticket};
use crate::engine::slot::Presence;
use crate::message::MessageId;
use crate::store::Address;

/// A caller that waits until an event has been taken up.
#[derive(Debug)]
pub(crate) struct TakeUp {
    pub(crate) consumers: Vec<Address>,
    pub(crate) id: MessageId,
    pub(crate) ticket: Ticket,
    /// The caller's place in the request limit of the dispatcher. The wait changes nothing, so it may be withdrawn at
    /// any time.
    pub(crate) _claim: Claim,
}

/// The waiting callers. Each caller is in one of three places.
#[derive(Debug, Default)]
pub(in crate::engine) struct TakeUps {
    /// Callers that wait for the end of a scan of the inbox, with the number of the first scan that counts.
    unread: Vec<(u64, TakeUp)>,
    /// The number of callers that are held by watches, or have come back from their watches.
    watching: usize,
    /// Callers that have come back from their watches.
    seen: Arc<Mutex<Vec<TakeUp>>>,
    /// Callers that wait for durable steps. The number is the count of steps, and the flag asks for a second wait.
    unwritten: VecDeque<(u64, bool, TakeUp)>,
    /// Steps queued since the start of the engine.
    pub(in crate::engine) queued: u64,
    /// Steps with handled outcomes.
    pub(in crate::engine) done: u64,
}

/// Shared by the items that a caller waits for. The last item gives the caller back.
#[derive(Debug)]
pub(in crate::engine) struct Watch {
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
    /// Adds a caller. A page that is being read may have been read before, so only the next scan counts.
    pub(in crate::engine) fn take_up_for(&mut self, of: TakeUp) {
        if self.stopping {
            return self.out.push(Out::Answer(of.ticket, Answer::Stopped));
        }
        self.take_ups.unread.push((self.intake.next_scan(), of));
        self.woken();
    }

    /// A scan of the inbox has reached the end.
    pub(in crate::engine) fn inbox_was_read(&mut self, scan: u64) {
        let read: Vec<_> = self.take_ups.unread.extract_if(.., |(until, _)| *until <= scan).collect();
        for (_, of) in read {
            self.look_for(of);
        }
    }

    /// Makes a caller wait for all items in memory with its message id. If there are none, the caller waits for the
    /// queued steps.
    fn look_for(&mut self, of: TakeUp) {
        let (consumers, id) = (of.consumers.clone(), of.id.clone());
        let watch = Arc::new(Watch { of: Some(of), seen: Arc::clone(&self.take_ups.seen) });
        for consumer in consumers {
            let address = self.address(&consumer.saga, consumer.key);
            let holder = match self.slots.get(&address).map(|slot| &slot.presence) {
                Some(Presence::Alias(key)) => Some(self.address(&address.saga, key.clone())),
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

    /// Looks again for each caller that has come back. The items may have been handed on or put back.
    pub(in crate::engine) fn look_again(&mut self) {
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

    /// Continues each caller when its steps are durable.
    pub(in crate::engine) fn steps_are_durable(&mut self) {
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

    /// Answers the callers that wait for a scan, because a stopping engine no longer reads the inbox.
    pub(in crate::engine) fn stop_taking_up(&mut self) {
        for (_, of) in std::mem::take(&mut self.take_ups.unread) {
            self.out.push(Out::Answer(of.ticket, Answer::Stopped));
        }
    }
}

fn lock(seen: &Mutex<Vec<TakeUp>>) -> MutexGuard<'_, Vec<TakeUp>> {
    // No code panics while it holds the lock.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
