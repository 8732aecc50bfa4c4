//! Waiting for an instance: until it settles, or until a caller can read an answer from it.

use crate::store::IgnoredReason;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::{AskError, InstanceError};
use super::mailbox::{Mailbox, Request};
use super::receipt::ConsumerReceipt;
use super::{Dispatcher, Instance, PublishOptions};
use crate::engine::Disposition;
use crate::engine::{Answer, In, Until, Waiter};
use crate::machine::{EventOf, Position, Saga};
use crate::message::{Correlated, InstanceName, Key};
use crate::store::{Address, Loaded, Snapshot};

/// The reason why an ignored event has no answer.
const IGNORED: &str = "the instance does not exist; the saga ignores events without an instance; publish the \
                       starting event first, or defer such events with `#[missing_instance(defer(..))]`";
/// The reason why a saga outside the consumers gives no answer.
const NOT_HERE: &str = "this dispatcher does not run the saga; register the saga with `.saga::<..>()`";

/// The last number given to a waiting caller.
static WAITERS: AtomicU64 = AtomicU64::new(0);

/// Cancels the wait in the engine when the caller stops waiting.
struct Waiting<'a> {
    mailbox: &'a Mailbox,
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
        // A stopped dispatcher holds no waiters.
        let _ = self.mailbox.send(Request::Tell(Box::new(input)));
    }
}

/// Returns the key of the instance that may answer `event`, by the result at the asked saga.
fn who_answers(
    event: &'static str,
    saga: &'static str,
    consumer: ConsumerReceipt,
) -> Result<InstanceName, AskError> {
    match consumer.disposition {
        Disposition::Dead { reason } => Err(AskError::Dead { event, saga, reason }),
        Disposition::Ignored { why: IgnoredReason::NoInstance } => {
            Err(AskError::NoInstance { event, saga, key: consumer.key.to_string(), why: IGNORED })
        }
        // The instance exists, or its starting event also waits. An event received earlier is answered by the instance
        // that received it. For a resolved alias, the receipt holds the key of the instance.
        Disposition::Ignored { .. }
        | Disposition::Applied
        | Disposition::Queued
        | Disposition::Deferred
        | Disposition::Duplicate
        // Only later receipts hold these results.
        | Disposition::Taken
        | Disposition::Conflict
        | Disposition::NotKnown => Ok(consumer.key),
    }
}

impl Dispatcher {
    /// Waits until the instance has ended or is parked, and returns its position.
    ///
    /// # Errors
    /// [`InstanceError::Missing`] when the instance does not exist and no waiting event starts it.
    /// [`InstanceError::Unreadable`] when this build cannot read the instance.
    ///
    /// # Cancellation
    /// Dropping the future only ends the wait.
    pub async fn settled<S: Saga>(&self, key: impl AsRef<str>) -> Result<Position<S>, InstanceError> {
        let address = Address::new(S::NAME, Key::new(key)?);
        let snapshot = self.found::<S>(&address, Until::Rest).await?;
        super::view::position(&snapshot)
    }

    /// Publishes `event` and waits for an answer from its instance of `S`. The closure `wait_for` reads the answer from
    /// the instance. The answer can be a typed result, or only the fact that a state is reached. The dispatcher calls
    /// `wait_for` once per durable step. The first call happens as soon as the instance exists.
    ///
    /// The chapter on embedding of the manual has an example.
    ///
    /// # Errors
    /// [`AskError::Late`] when no answer arrives within `within`. Nothing is lost: the event is durable, and
    /// [`wait_for`](Self::wait_for) can wait again.
    ///
    /// [`PublishError::NotStored`](super::PublishError::NotStored) when the event could not be stored within `within`.
    /// [`PublishError::Unknown`](super::PublishError::Unknown) when the outcome is not known.
    ///
    /// [`AskError::Dead`] when the event became a dead letter. [`AskError::NoInstance`] when the event was ignored
    /// because no instance exists. Both are returned as soon as the receipt is available.
    ///
    /// All other errors are those of [`publish`](Self::publish) and [`instance`](Self::instance).
    ///
    /// # Cancellation
    /// Dropping the future withdraws the event. If the event is being stored at that moment, it may or may not be
    /// accepted.
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

    /// Waits for an answer like [`ask`](Self::ask), from an instance that exists or will exist.
    ///
    /// # Errors
    /// [`AskError::Late`] when no answer arrives within `within`. All other errors are those of
    /// [`instance`](Self::instance).
    ///
    /// # Cancellation
    /// Dropping the future only ends the wait.
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
        key: impl Into<InstanceName>,
        mut answer: impl FnMut(&Instance<S>) -> Option<T> + Send,
    ) -> Result<T, AskError> {
        let mut address = Address::new(S::NAME, key);
        let mut seen = 0;
        loop {
            let snapshot = self.found::<S>(&address, Until::Step(seen)).await?;
            seen = snapshot.instance.seq;
            // Keep to the instance that was found, also when its alias changes later.
            address.key = snapshot.instance.address.key.clone();
            if let Some(found) = answer(&Instance::read(&snapshot, self.clock.now().wall)?) {
                return Ok(found);
            }
        }
    }

    async fn found<S: Saga>(&self, address: &Address, until: Until) -> Result<Box<Snapshot>, InstanceError> {
        let found = match self.line.of(address).filter(|_| !self.is_away(address)) {
            Some(mailbox) => self.found_here(&mailbox, address, until).await,
            None => None,
        };
        let (saga, key) = (S::NAME, address.key.to_string());
        let found = match (found, self.line.sharing()) {
            // An event that starts the instance can be mail that the engine has not taken up yet.
            (Some(None), Some(sharing)) if matches!(until, Until::Rest) => {
                self.found_away(sharing, address, until).await?
            }
            (Some(found), _) => found,
            // Another process has the instance, perhaps since a moment ago.
            (None, Some(sharing)) => self.found_away(sharing, address, until).await?,
            (None, None) => return Err(InstanceError::Stopped),
        };
        match found {
            Some(Loaded::Snapshot(snapshot)) => Ok(snapshot),
            Some(Loaded::Unreadable(why)) => Err(InstanceError::Unreadable { saga, key, why }),
            _ => Err(InstanceError::Missing { saga, key }),
        }
    }

    /// Waits at the engine that runs the instance. `None` if it has stopped.
    async fn found_here(&self, mailbox: &Mailbox, address: &Address, until: Until) -> Option<Option<Loaded>> {
        let id = WAITERS.fetch_add(1, Ordering::Relaxed);
        let (to, waiter) = (address.clone(), Waiter { id, until });
        let place = mailbox.place().await.ok()?;
        // From here on a dropped call withdraws its wait. A call that still waits for a place has nothing to withdraw.
        let mut waiting = Waiting { mailbox, address: address.clone(), id, answered: false };
        let question = move |ticket| In::Wait { address: to, waiter, ticket };
        let found = mailbox.ask(place, &*self.clock, question).ok()?.await;
        waiting.answered = true;
        match found {
            Ok(Answer::Found(found)) => Some(found),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DeadLetterReason;

    fn asked(disposition: Disposition) -> Result<InstanceName, AskError> {
        let key = Key::new("7").expect("a good key");
        who_answers(
            "quote.asked",
            "quote",
            ConsumerReceipt { consumer: "quote".to_owned(), key: key.into(), disposition },
        )
    }

    #[test]
    fn whoever_has_the_event_or_had_it_before_answers() {
        for disposition in [
            Disposition::Applied,
            Disposition::Queued,
            Disposition::Deferred,
            Disposition::Duplicate,
            Disposition::Ignored { why: IgnoredReason::AlreadyStarted },
            Disposition::Ignored { why: IgnoredReason::Ended },
        ] {
            let said = format!("{disposition:?}");
            assert_eq!(asked(disposition).expect(&said).text(), "7");
        }
    }

    #[test]
    fn nobody_answers_what_reached_nobody() {
        let dead = asked(Disposition::Dead { reason: DeadLetterReason::Unhandled });
        assert!(matches!(dead, Err(AskError::Dead { .. })), "{dead:?}");
        let ignored = asked(Disposition::Ignored { why: IgnoredReason::NoInstance });
        assert!(matches!(ignored, Err(AskError::NoInstance { why: IGNORED, .. })), "{ignored:?}");
    }
}
