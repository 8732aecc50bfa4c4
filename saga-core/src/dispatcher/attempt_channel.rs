//! The data that an attempt saves for later attempts: the handler's side of [`In::Save`].

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::calling::NotAnswered;
use super::clock::Clock;
use super::error::PublishError;
use super::mailbox::{Place, WeakMailbox};
use super::publishing;
use super::receipt::Receipt;
use crate::engine::{Accepted, Answer, In, Registry};
use crate::message::{Correlated, HandlerError, Id, MessageId, Payload, PayloadLimits, TraceContext};
use crate::store::Store;

/// The data that is stored with the command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Saved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    once: BTreeMap<String, Box<RawValue>>,
}

/// The parts that all attempts of a dispatcher share.
#[derive(Debug)]
pub(super) struct Services {
    /// Weak, because a running attempt must not keep the dispatcher alive after the application has dropped it.
    pub(super) mailbox: WeakMailbox,
    pub(super) limits: PayloadLimits,
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Arc<dyn Clock>,
    /// Weak, because a running attempt must not keep the file open after the end of the dispatcher.
    pub(super) store: Weak<dyn Store>,
}

impl Services {
    /// Returns whether another process may run the sagas now. No attempt begins then.
    pub(super) fn has_lapsed(&self) -> bool {
        self.store.upgrade().is_none_or(|store| store.has_lapsed())
    }
}

/// The channel from one attempt to the engine. Most handlers use none of it, so nothing is prepared for its use.
#[derive(Debug)]
pub(super) struct AttemptChannel {
    attempt: u64,
    /// The trace context of the attempt.
    pub(super) trace: Option<TraceContext>,
    services: Arc<Services>,
    /// True while a heartbeat of this attempt waits in the mailbox.
    beating: OnceLock<Arc<AtomicBool>>,
    /// The number of published events of this attempt, by their content.
    published: Mutex<BTreeMap<u64, u32>>,
    /// The data that earlier attempts have saved, as it is stored.
    before: Option<Payload>,
    /// `Err` when the stored data cannot be read. Nothing until the first use.
    kept: Mutex<Option<Result<Kept, String>>>,
}

/// The data sent to the engine, and its durable part. Each save contains all earlier saves.
#[derive(Clone, Debug, Default)]
struct Kept {
    saved: Saved,
    sent: u64,
    durable: u64,
}

impl AttemptChannel {
    pub(super) fn new(
        attempt: u64,
        saved: Option<Payload>,
        trace: Option<TraceContext>,
        services: Arc<Services>,
    ) -> Self {
        Self {
            attempt,
            trace,
            services,
            beating: OnceLock::new(),
            published: Mutex::default(),
            before: saved,
            kept: Mutex::new(None),
        }
    }

    pub(super) fn progress<T: DeserializeOwned>(&self) -> Result<Option<T>, HandlerError> {
        let kept = self.kept()?;
        kept.saved.progress.map(|progress| read("the saved progress", &progress)).transpose()
    }

    pub(super) async fn save_progress<T: Serialize>(&self, progress: &T) -> Result<(), HandlerError> {
        let progress = write("the progress", progress)?;
        self.save(|saved| saved.progress = Some(progress)).await
    }

    /// Returns the value saved under `name`, once it is durable.
    pub(super) async fn result<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, HandlerError> {
        let kept = self.kept()?;
        let Some(result) = kept.saved.once.get(name) else { return Ok(None) };
        if kept.durable < kept.sent {
            // Saved by a call that still waits, or by a call that was dropped during its wait.
            self.save(|_| {}).await?;
        }
        read(&format!("the result of `{name}`"), result).map(Some)
    }

    pub(super) async fn keep_result<T: Serialize>(&self, name: &str, result: &T) -> Result<(), HandlerError> {
        let result = write(&format!("the result of `{name}`"), result)?;
        self.save(|saved| drop(saved.once.insert(name.to_owned(), result))).await
    }

    /// Publishes under an id that the same event of another attempt shares. The id is derived from the idempotency key,
    /// the event, and the number of equal events this attempt has published before.
    pub(super) async fn publish<E: Correlated>(&self, key: &str, event: E) -> Result<Receipt, PublishError> {
        let event = publishing::checked(&self.services.registry, self.services.limits, event, None)?;
        let content = event.message.content_hash();
        let nth = {
            // The counter is updated as a whole, so a poisoned lock still holds valid state.
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            let alike = published.entry(content).or_insert(0_u32);
            *alike += 1;
            *alike
        };
        self.publish_as(E::NAME, &format!("{key}\0publish\0{content}\0{nth}"), event).await
    }

    /// Publishes under an id derived from the idempotency key of an item.
    pub(super) async fn publish_for<E: Correlated>(
        &self,
        key: &str,
        event: E,
    ) -> Result<Receipt, PublishError> {
        let event = publishing::checked(&self.services.registry, self.services.limits, event, None)?;
        self.publish_as(E::NAME, &format!("{key}\0publish\0{}", E::NAME), event).await
    }

    async fn publish_as(
        &self,
        event_name: &'static str,
        name: &str,
        event: Accepted,
    ) -> Result<Receipt, PublishError> {
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes());
        let id = MessageId::from(Id::from_u128(id.as_u128()));
        let event = Accepted { id: Some(id.clone()), trace: self.trace, ..event };
        let Services { mailbox, clock, .. } = &*self.services;
        let place = mailbox.place().await.map_err(|_| PublishError::Stopped)?;
        let asked = mailbox.ask(place, &**clock, move |ticket| In::Publish { event, ticket });
        let answered = asked.map_err(|_| PublishError::Stopped)?;
        let stopped = |_| NotAnswered::Unknown("the dispatcher stopped".to_owned());
        publishing::answered(event_name, Some(id), answered.await.map_err(stopped))
    }

    pub(super) fn heartbeat(&self) {
        self.services.mailbox.heartbeat(self.attempt, self.beating.get_or_init(Arc::default));
    }

    /// Changes the saved data, and returns when the change is durable. Concurrent calls lose no change of each other. A
    /// dropped call does not lose the data that it has sent.
    async fn save(&self, change: impl FnOnce(&mut Saved)) -> Result<(), HandlerError> {
        const STOPPED: &str = "the dispatcher has stopped, so nothing was saved";
        let place = self.services.mailbox.place().await.map_err(|_| STOPPED)?;
        let (answered, number) = self.send(place, change)?;
        match answered.await {
            Ok(Answer::Saved(true)) => {
                self.with_kept(|kept| kept.durable = kept.durable.max(number))?;
                Ok(())
            }
            Ok(Answer::Saved(_)) => Err("the attempt is over, so nothing was saved".into()),
            _ => Err("the dispatcher has stopped, so nothing was saved".into()),
        }
    }

    /// Holds the lock until the send, so that the engine receives saves in the order of their numbers.
    fn send(
        &self,
        place: Place,
        change: impl FnOnce(&mut Saved),
    ) -> Result<(oneshot::Receiver<Answer>, u64), HandlerError> {
        self.with_kept(|kept| {
            let mut saved = kept.saved.clone();
            change(&mut saved);
            let Services { mailbox, limits, clock, .. } = &*self.services;
            let payload = Payload::encode(&saved)
                .and_then(|payload| payload.check(*limits).map(|()| payload))
                .map_err(|error| HandlerError::from(format!("the data to save {error}")))?;
            let attempt = self.attempt;
            let question = move |ticket| In::Save { attempt, saved: payload, ticket };
            let answered = mailbox
                .ask(place, &**clock, question)
                .map_err(|_| "the dispatcher has stopped, so nothing was saved")?;
            kept.saved = saved;
            kept.sent += 1;
            Ok((answered, kept.sent))
        })?
    }

    fn kept(&self) -> Result<Kept, HandlerError> {
        self.with_kept(|kept| kept.clone())
    }

    /// Calls `with` under the lock, with the saved data.
    fn with_kept<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> Result<T, HandlerError> {
        // The value is replaced as a whole, so a poisoned lock still holds valid state.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get_or_insert_with(|| match &self.before {
            None => Ok(Kept::default()),
            Some(saved) => saved
                .decode()
                .map(|saved| Kept { saved, ..Kept::default() })
                .map_err(|error| format!("the saved data {error}")),
        });
        kept.as_mut().map(with).map_err(|error| HandlerError::from(error.clone()))
    }
}

fn read<T: DeserializeOwned>(what: &str, json: &RawValue) -> Result<T, HandlerError> {
    serde_json::from_str(json.get())
        .map_err(|error| format!("{what} does not have the shape of the requested type: {error}").into())
}

fn write<T: Serialize>(what: &str, value: &T) -> Result<Box<RawValue>, HandlerError> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| format!("{what} cannot be written as JSON: {error}").into())
}
