//! Waiting for an instance: for its rest, or for an answer that can be read off it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::{AskError, InstanceError};
use super::receipt::{ConsumerReceipt, Disposition};
use super::run::Request;
use super::{Dispatcher, Instance, PublishOptions};
use crate::engine::{Answer, In, NO_INSTANCE, Until, Waiter};
use crate::machine::{EventOf, Position, Saga};
use crate::message::{Correlated, Key};
use crate::store::{Address, Loaded, Snapshot};

/// Why an event that was ignored is not answered.
const IGNORED: &str = "there is no instance, and the saga ignores such events; publish the event that starts it \
                       first, or let this one wait with `#[missing_instance(defer(..))]`";
/// Why nobody answers whose saga is none of the consumers.
const NOT_HERE: &str = "this dispatcher does not run the saga; add it with `.saga::<..>()`";

/// Numbers the callers who wait.
static WAITERS: AtomicU64 = AtomicU64::new(0);

/// Tells the engine when a caller waits no longer.
struct Waiting<'a> {
    dispatcher: &'a Dispatcher,
    address: Address,
    id: u64,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let input = In::Unwait { address: self.address.clone(), id: self.id };
        // A dispatcher that has stopped has forgotten it.
        let _ = self.dispatcher.requests.send(Request::Tell(input));
    }
}

/// The key of the instance that may answer `event`, by what became of it at the saga that was asked.
fn who_answers(event: &'static str, saga: &'static str, consumer: ConsumerReceipt) -> Result<Key, AskError> {
    match consumer.disposition {
        Disposition::Dead { reason } => Err(AskError::Dead { event, saga, reason }),
        Disposition::Ignored { why } if why == NO_INSTANCE => {
            Err(AskError::NoInstance { event, saga, key: consumer.key.to_string(), why: IGNORED })
        }
        // There is an instance; or there will be one, if what starts it waits as well. What was taken before is answered
        // by whoever took it. Of an alias that has been resolved the receipt says whose it was.
        Disposition::Ignored { .. }
        | Disposition::Applied
        | Disposition::Queued
        | Disposition::Deferred
        | Disposition::Duplicate
        // Said of receipts that are asked for later only.
        | Disposition::Taken
        | Disposition::Conflict
        | Disposition::NotKnown => Ok(consumer.key),
    }
}

impl Dispatcher {
    /// Waits until the instance has ended or is parked, and says where it is then.
    ///
    /// # Errors
    /// [`InstanceError::Missing`] when there is no such instance and nothing waits to start it;
    /// [`InstanceError::Unreadable`] when this build cannot read it.
    ///
    /// # Cancellation
    /// Dropping the future only stops waiting.
    pub async fn settled<S: Saga>(&self, key: impl AsRef<str>) -> Result<Position<S>, InstanceError> {
        let address = Address::new(S::NAME, Key::new(key)?);
        let snapshot = self.found::<S>(&address, Until::Rest).await?;
        super::view::position(&snapshot)
    }

    /// Publishes `event` and waits for the answer that `wait_for` reads off the instance of `S` it is for: a typed result,
    /// or simply that a state has been reached. `wait_for` is asked once per durable step, and first as soon as there is
    /// an instance.
    ///
    /// The chapter on embedding of the manual has an example.
    ///
    /// # Errors
    /// [`AskError::Late`] when there is no answer within `within`: nothing is lost, the event is durable, and
    /// [`wait_for`](Self::wait_for) waits on. When the event could not be stored within `within`,
    /// [`PublishError::NotStored`](super::PublishError::NotStored), or
    /// [`PublishError::Unknown`](super::PublishError::Unknown) when nobody knows. [`AskError::Dead`] when the event became a dead letter, and [`AskError::NoInstance`] when
    /// it was ignored because there is no instance: both as soon as the receipt is there. Otherwise those of
    /// [`publish`](Self::publish) and [`instance`](Self::instance).
    ///
    /// # Cancellation
    /// Dropping the future withdraws the event, unless it is being stored. Then it may or may not be accepted.
    pub async fn ask<S: Saga, E: EventOf<S> + Correlated, T>(
        &self,
        event: E,
        within: Duration,
        answer: impl FnMut(&Instance<S>) -> Option<T> + Send,
    ) -> Result<T, AskError> {
        let until = self.clock.now().mono.saturating_add(within);
        let key = Correlated::correlation(&event, S::NAME);
        let text = Correlated::key(&event, S::NAME);
        let receipt = self.publish_with(event, PublishOptions::default().deadline(within)).await?;
        let consumer = receipt.consumers.into_iter().find(|consumer| consumer.consumer == S::NAME);
        let key = match consumer {
            Some(consumer) => who_answers(E::NAME, S::NAME, consumer)?,
            None => {
                let key = key.map_err(InstanceError::from)?.to_string();
                return Err(AskError::NoInstance { event: E::NAME, saga: S::NAME, key, why: NOT_HERE });
            }
        };
        tokio::select! {
            biased;
            answer = self.answered(key, answer) => answer,
            () = self.clock.sleep_until(until) => Err(AskError::Late { saga: S::NAME, key: text, within }),
        }
    }

    /// Waits for an answer as [`ask`](Self::ask) does, of an instance that is there already or will be.
    ///
    /// # Errors
    /// [`AskError::Late`] when there is none within `within`; otherwise those of [`instance`](Self::instance).
    ///
    /// # Cancellation
    /// Dropping the future only stops waiting.
    pub async fn wait_for<S: Saga, T>(
        &self,
        key: impl AsRef<str>,
        within: Duration,
        answer: impl FnMut(&Instance<S>) -> Option<T> + Send,
    ) -> Result<T, AskError> {
        let key = Key::new(key).map_err(InstanceError::from)?;
        let late = self.clock.sleep(within);
        tokio::select! {
            biased;
            answer = self.answered(key.clone(), answer) => answer,
            () = late => Err(AskError::Late { saga: S::NAME, key: key.to_string(), within }),
        }
    }

    async fn answered<S: Saga, T>(
        &self,
        key: Key,
        mut answer: impl FnMut(&Instance<S>) -> Option<T> + Send,
    ) -> Result<T, AskError> {
        let mut address = Address::new(S::NAME, key);
        let mut seen = 0;
        loop {
            let snapshot = self.found::<S>(&address, Until::Step(seen)).await?;
            seen = snapshot.instance.seq;
            // The instance that was found, whatever becomes of the alias it was found by.
            address.key = snapshot.instance.address.key.clone();
            if let Some(found) = answer(&Instance::read(&snapshot, self.clock.now().wall)?) {
                return Ok(found);
            }
        }
    }

    async fn found<S: Saga>(&self, address: &Address, until: Until) -> Result<Box<Snapshot>, InstanceError> {
        let id = WAITERS.fetch_add(1, Ordering::Relaxed);
        let (to, waiter) = (address.clone(), Waiter { id, until });
        let mut waiting = Waiting { dispatcher: self, address: address.clone(), id, answered: false };
        let found = self.request(move |ticket| In::Wait { address: to, waiter, ticket }).await;
        waiting.answered = true;
        let (saga, key) = (S::NAME, address.key.to_string());
        match found {
            Ok(Answer::Found(Some(Loaded::Snapshot(snapshot)))) => Ok(snapshot),
            Ok(Answer::Found(Some(Loaded::Unreadable(why)))) => {
                Err(InstanceError::Unreadable { saga, key, why })
            }
            Ok(Answer::Found(None)) => Err(InstanceError::Missing { saga, key }),
            _ => Err(InstanceError::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(disposition: Disposition) -> Result<Key, AskError> {
        let key = Key::new("7").expect("a good key");
        who_answers(
            "quote.asked",
            "quote",
            ConsumerReceipt { consumer: "quote".to_owned(), key, disposition },
        )
    }

    #[test]
    fn whoever_has_the_event_or_had_it_before_answers() {
        for disposition in [
            Disposition::Applied,
            Disposition::Queued,
            Disposition::Deferred,
            Disposition::Duplicate,
            Disposition::Ignored { why: "already started" },
            Disposition::Ignored { why: "the instance has ended" },
        ] {
            let said = format!("{disposition:?}");
            assert_eq!(asked(disposition).expect(&said).as_str(), "7");
        }
    }

    #[test]
    fn nobody_answers_what_reached_nobody() {
        let dead = asked(Disposition::Dead { reason: "unhandled".to_owned() });
        assert!(matches!(dead, Err(AskError::Dead { .. })), "{dead:?}");
        let ignored = asked(Disposition::Ignored { why: NO_INSTANCE });
        assert!(matches!(ignored, Err(AskError::NoInstance { why: IGNORED, .. })), "{ignored:?}");
    }
}
