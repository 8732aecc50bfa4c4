//! Standing by: a process that publishes through the inbox while another one runs the sagas, and takes over at its end.
//!
//! Owns: the wait for the lease, and the calls meanwhile. Does not own: the consumers of an event (`route`), or the start itself
//! (`builder`).

mod route;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::builder::DispatcherBuilder;
use super::calling::IN_TRANSACTION;
use super::clock::Clock;
use super::error::{PublishError, StartError};
use super::performing::RETRY;
use super::receipt::{ConsumerReceipt, Receipt};
use super::starting::{Leased, Leasing, Patient};
use super::{Dispatcher, Health};
use crate::engine::Disposition;
use crate::message::{Correlated, Message, MessageId, PayloadLimits, chain};
use crate::store::{Inspect, Lease, Mail, Store, StoreError};
use route::{NoRoute, Routes};

/// The interval of the tries to get the lease.
const AGAIN: Duration = Duration::from_millis(200);

/// A process that stands by while another dispatcher runs on the same store.
///
/// [`DispatcherBuilder::stand_by`] creates it. A clone is cheap, and all clones are one stand-by. It reads and publishes, and
/// [`takes_over`](Self::takes_over) starts the dispatcher when the other one has stopped or died.
#[derive(Clone)]
pub struct StandBy {
    inner: Arc<Inner>,
}

struct Inner {
    /// Taken by the first call of `takes_over`.
    builder: Mutex<Option<DispatcherBuilder>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    payload: PayloadLimits,
    call_limit: Duration,
    owner: String,
    routes: Routes,
    health: watch::Sender<Health>,
}

impl StandBy {
    pub(super) fn new(builder: DispatcherBuilder) -> Self {
        let (store, clock, payload, call_limit, owner) = builder.of_stand_by();
        let routes = Routes::new(builder.registry());
        let health = Health::StandingBy { owner: String::new(), since: clock.now().wall };
        let builder = Mutex::new(Some(builder));
        let health = watch::Sender::new(health);
        Self { inner: Arc::new(Inner { builder, store, clock, payload, call_limit, owner, routes, health }) }
    }

    /// Waits until the other dispatcher has stopped or died, takes the lease, and starts the dispatcher. The wait has no
    /// limit. Without another dispatcher, the start is immediate.
    ///
    /// # Errors
    /// The errors of [`start`](DispatcherBuilder::start). [`StartError::Setting`] for a second call, because only one call
    /// can start the dispatcher. After an error [`health`](Self::health) is [`Health::Stopped`]: end the process, so that its
    /// supervisor starts it again. Accepted events are in the store.
    ///
    /// # Cancellation
    /// Dropping the future ends the wait, and this stand-by can no longer take over. It still publishes, and its health is
    /// [`Health::Stopped`].
    pub async fn takes_over(&self) -> Result<Dispatcher, StartError> {
        let builder = self.inner.builder.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(builder) = builder else {
            let why =
                "`takes_over` was called before, and one call can start the dispatcher; build a new stand-by";
            return Err(StartError::Setting(why.to_owned()));
        };
        let mut attempt = Attempt { health: &self.inner.health, end: None };
        let started = async {
            let lease = self.inner.lease().await?;
            let leased = Leased::new(Arc::clone(&self.inner.store), lease.clone());
            builder.start_with(Some((lease, leased))).await
        };
        let started = started.await;
        self.inner.routes.forget();
        attempt.end = Some(match &started {
            Ok(_) => Health::Running,
            Err(error) => Health::Stopped { why: format!("the take-over has failed: {}", chain(error)) },
        });
        started
    }

    /// Publishes `event` through the inbox of the store. `Ok` means that the event is durable. The dispatcher that runs the
    /// sagas takes it up within a second, and its disposition is [`Queued`](Disposition::Queued) here. Its limit of waiting
    /// events does not hold here.
    ///
    /// The other dispatcher may be of an earlier release. It gets an event only if its sagas take this event in this version.
    /// A consumer that only this build has gets the event after the take-over.
    ///
    /// The call works also after the take-over. Then [`Dispatcher::publish`] answers with the real disposition.
    ///
    /// # Errors
    /// [`PublishError`]. [`NotStored`](PublishError::NotStored) if the running release does not know the event or its version
    /// yet: publish it again after the take-over. The call tries again while the store is not available, up to the
    /// [limit of a call](DispatcherBuilder::call_limit). After [`PublishError::Unknown`], publish again with
    /// [`publish_as`](Self::publish_as) and the same id.
    ///
    /// # Cancellation
    /// Dropping the future leaves the outcome open: the event may or may not be accepted.
    pub async fn publish<E: Correlated>(&self, event: E) -> Result<Receipt, PublishError> {
        self.publish_as(MessageId::unique(), event).await
    }

    /// Publishes like [`publish`](Self::publish), under the message id of the caller. A repetition within the deduplication
    /// window has no effect.
    ///
    /// # Errors
    /// The errors of `publish`. An id that was used for another event is found when the event is taken up, and becomes a
    /// dead letter.
    pub async fn publish_as<E: Correlated>(&self, id: MessageId, event: E) -> Result<Receipt, PublishError> {
        let inner = &*self.inner;
        let not = |source| PublishError::Payload { event: E::NAME, source };
        let (message, event) = Message::read_event(&event, inner.payload.bytes).map_err(not)?;
        message.payload.check(inner.payload).map_err(not)?;
        let not_stored = |why: String| PublishError::NotStored { why };
        if inner.store.is_held_here() {
            return Err(not_stored(IN_TRANSACTION.to_owned()));
        }
        let now = inner.clock.now();
        let patient = Patient::new(&*inner.clock, inner.call_limit);
        let routes = || inner.routes.of(E::NAME, message.version, &*inner.store, now.mono);
        let consumers = match patient.access(routes).await {
            Ok(Ok(consumers)) => consumers,
            Ok(Err(NoRoute::NotYet(why))) => return Err(not_stored(why)),
            Ok(Err(NoRoute::Outdated(why))) => return Err(PublishError::Refused(why)),
            Err(error) if error.is_temporary() => return Err(not_stored(chain(&error).to_string())),
            Err(error) => return Err(PublishError::Refused(chain(&error).to_string())),
        };
        let mut mails = Vec::new();
        for consumer in consumers {
            let key = event.correlation(consumer.of_key()).map_err(|source| PublishError::Key {
                event: E::NAME,
                consumer: consumer.present.clone(),
                source,
            })?;
            let mail = Mail::new(consumer.address(key), consumer.kind(), message.clone(), now.wall);
            mails.push(Mail { id: Some(id.clone()), ..mail });
        }
        if mails.is_empty() {
            return Err(PublishError::NoConsumer { event: E::NAME });
        }
        let delivered = patient.access(|| inner.store.deliver(mails.clone())).await;
        match delivered {
            Ok(_) => {}
            // The rows may be durable.
            Err(error) if error.is_temporary() => {
                return Err(PublishError::Unknown { id: Some(id), why: chain(&error).to_string() });
            }
            Err(error) => return Err(PublishError::Refused(chain(&error).to_string())),
        }
        let consumers = mails.into_iter().map(|mail| ConsumerReceipt {
            consumer: mail.to.saga.into_owned(),
            key: mail.to.key,
            disposition: Disposition::Queued,
        });
        Ok(Receipt { id: Some(id), consumers: consumers.collect() })
    }

    /// Returns the store, for reading only.
    pub fn store(&self) -> &dyn Inspect {
        &*self.inner.store
    }

    /// Returns the health: [`Health::StandingBy`] with the owner of the store, [`Health::Running`] after the take-over, and
    /// [`Health::Stopped`] after a failed or dropped one. Ask the dispatcher after the take-over.
    pub fn health(&self) -> Health {
        self.inner.health.borrow().clone()
    }
}

impl Inner {
    /// Waits for the lease.
    async fn lease(&self) -> Result<Lease, StartError> {
        let mut wait = AGAIN;
        loop {
            match Leasing::begin(Arc::clone(&self.store), self.owner.clone()).await {
                Ok(lease) => return Ok(lease),
                Err(StoreError::Owned { owner, .. }) => {
                    wait = AGAIN;
                    self.health.send_if_modified(|health| match health {
                        Health::StandingBy { owner: known, .. } if *known != owner => {
                            tracing::info!(owner, "standing by until the owner of the store has stopped");
                            *known = owner;
                            true
                        }
                        _ => false,
                    });
                }
                Err(error) if error.is_temporary() => {
                    tracing::warn!(error = %chain(&error), "the store is not available; standing by");
                    wait = (wait * 2).min(RETRY.1);
                }
                Err(error) => return Err(error.into()),
            }
            self.clock.sleep(wait).await;
        }
    }
}

/// Sets the health at the end of the take-over, also when its future is dropped.
struct Attempt<'a> {
    health: &'a watch::Sender<Health>,
    end: Option<Health>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let dropped = || Health::Stopped { why: "the future of `takes_over` was dropped".to_owned() };
        self.health.send_replace(self.end.take().unwrap_or_else(dropped));
    }
}

impl fmt::Debug for StandBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandBy").field("health", &self.health()).finish_non_exhaustive()
    }
}
