//! Standing by: a process that publishes through the inbox while another one runs the sagas, and takes over at its end.
//!
//! Owns: the wait for the lease, and the publishing meanwhile. Does not own: the start itself (`builder`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::builder::DispatcherBuilder;
use super::clock::Clock;
use super::error::{PublishError, StartError};
use super::performing::RETRY;
use super::receipt::{ConsumerReceipt, Receipt};
use super::starting::{Leased, Leasing};
use super::{Dispatcher, Health};
use crate::engine::{Disposition, Registry};
use crate::message::{Correlated, Message, MessageId, PayloadLimits, chain};
use crate::store::{Address, ConsumerRow, Inspect, Lease, Mail, MailKind, Store, StoreError};

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
    own: Vec<OwnConsumer>,
    health: watch::Sender<Health>,
}

/// A consumer of this build.
struct OwnConsumer {
    row: ConsumerRow,
    /// Earlier names of a saga. The owner of the store may still use one of them.
    was: Vec<&'static str>,
}

impl StandBy {
    pub(super) fn new(builder: DispatcherBuilder) -> Self {
        let (store, clock, payload, call_limit, owner) = builder.of_stand_by();
        let own = own(builder.registry());
        let health = Health::StandingBy { owner: String::new(), since: clock.now().wall };
        let builder = Mutex::new(Some(builder));
        let health = watch::Sender::new(health);
        Self { inner: Arc::new(Inner { builder, store, clock, payload, call_limit, owner, own, health }) }
    }

    /// Waits until the other dispatcher has stopped or died, takes the lease, and starts the dispatcher. The wait has no
    /// limit. Without another dispatcher, the start is immediate.
    ///
    /// # Errors
    /// The errors of [`start`](DispatcherBuilder::start). [`StartError::Setting`] for a second call, because only one call
    /// can start the dispatcher.
    ///
    /// # Cancellation
    /// Dropping the future ends the wait, and this stand-by can no longer take over. It still publishes.
    pub async fn takes_over(&self) -> Result<Dispatcher, StartError> {
        let builder = self.inner.builder.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(builder) = builder else {
            return Err(StartError::Setting("`takes_over` was called before".to_owned()));
        };
        let lease = self.inner.lease().await?;
        let leased = Leased::new(Arc::clone(&self.inner.store), lease.clone());
        let started = builder.start_with(Some((lease, leased))).await;
        if started.is_ok() {
            self.inner.health.send_replace(Health::Running);
        }
        started
    }

    /// Publishes `event` through the inbox of the store. `Ok` means that the event is durable. The dispatcher that runs the
    /// sagas takes it up within a second, and its disposition is [`Queued`](Disposition::Queued) here.
    ///
    /// The call works also after the take-over. Then [`Dispatcher::publish`] answers with the real disposition.
    ///
    /// # Errors
    /// [`PublishError`]. The call tries again while the store is not available, up to the
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
        let stored = match inner.ask(|| inner.store.consumers()).await {
            Ok(stored) => stored,
            Err(error) => return Err(PublishError::NotStored { why: chain(&error).to_string() }),
        };
        let at = inner.clock.now().wall;
        let mut mails = Vec::new();
        for (row, present) in inner.consumers(&stored, E::NAME) {
            let of = if row.subscriber { "" } else { present };
            let key = event.correlation(of).map_err(|source| PublishError::Key {
                event: E::NAME,
                consumer: present.to_owned(),
                source,
            })?;
            let kind = if row.subscriber { MailKind::Delivery } else { MailKind::Event };
            let mail = Mail::new(Address::new(row.consumer.clone(), key), kind, message.clone(), at);
            mails.push(Mail { id: Some(id.clone()), ..mail });
        }
        if mails.is_empty() {
            return Err(PublishError::NoConsumer { event: E::NAME });
        }
        let delivered = inner.ask(|| inner.store.deliver(mails.clone())).await;
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

    /// Returns the health: [`Health::StandingBy`] with the owner of the store, and [`Health::Running`] after the take-over.
    /// Ask the dispatcher from then on.
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

    /// Repeats a call while the store is not available, up to the limit of a call.
    async fn ask<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let until = self.clock.now().mono.saturating_add(self.call_limit);
        let mut wait = RETRY.0;
        loop {
            match ask().await {
                Err(error) if error.is_temporary() && self.clock.now().mono < until => {
                    self.clock.sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
                answer => return answer,
            }
        }
    }

    /// The consumers of an event, each with the present name of its saga. A row keeps the name under which the owner of the
    /// store knows the saga.
    fn consumers<'a>(
        &'a self,
        stored: &'a [ConsumerRow],
        event: &'a str,
    ) -> impl Iterator<Item = (&'a ConsumerRow, &'a str)> {
        let mine = move |row: &ConsumerRow| row.event == event;
        let present = |row: &'a ConsumerRow| {
            let own = self.own.iter().find(|own| !row.subscriber && own.was.contains(&&*row.consumer));
            (row, own.map_or(&*row.consumer, |own| &*own.row.consumer))
        };
        let known = move |own: &&OwnConsumer| {
            stored.iter().any(|row| {
                row.event == own.row.event
                    && row.subscriber == own.row.subscriber
                    && (row.consumer == own.row.consumer || own.was.contains(&&*row.consumer))
            })
        };
        let new = self.own.iter().filter(move |own| mine(&own.row) && !known(own));
        stored
            .iter()
            .filter(move |row| mine(row))
            .map(present)
            .chain(new.map(|own| (&own.row, &*own.row.consumer)))
    }
}

fn own(registry: &Registry) -> Vec<OwnConsumer> {
    let was = |row: &ConsumerRow| {
        let formerly = registry.formerly.iter().filter(|(_, name)| !row.subscriber && **name == row.consumer);
        formerly.map(|(was, _)| *was).collect()
    };
    registry.own_consumers().into_iter().map(|row| OwnConsumer { was: was(&row), row }).collect()
}

impl fmt::Debug for StandBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandBy").field("health", &self.health()).finish_non_exhaustive()
    }
}
