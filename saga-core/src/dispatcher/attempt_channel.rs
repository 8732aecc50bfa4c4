//! The data that an attempt saves for later attempts: the handler's side of [`In::Save`].

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use crate::message::{Correlated, HandlerError, Id, MessageId, Payload, PayloadLimits};

/// The data that is stored with the command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Saved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    once: BTreeMap<String, Box<RawValue>>,
}

/// The channel from one attempt to the engine.
#[derive(Clone, Debug)]
pub(crate) struct AttemptChannel {
    attempt: u64,
    mailbox: WeakMailbox,
    limits: PayloadLimits,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    /// True while a heartbeat of this attempt waits in the mailbox.
    beating: Arc<AtomicBool>,
    /// The number of published events of this attempt, by their content.
    published: Arc<Mutex<HashMap<u64, u32>>>,
    /// `Err` when the stored data cannot be read.
    kept: Arc<Mutex<Result<Kept, String>>>,
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
        mailbox: WeakMailbox,
        saved: Option<Payload>,
        limits: PayloadLimits,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let kept = match saved {
            None => Ok(Kept::default()),
            Some(saved) => saved
                .decode()
                .map(|saved| Kept { saved, ..Kept::default() })
                .map_err(|error| format!("the saved data {error}")),
        };
        Self {
            attempt,
            mailbox,
            limits,
            registry,
            clock,
            beating: Arc::default(),
            published: Arc::default(),
            kept: Arc::new(Mutex::new(kept)),
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
        let event = publishing::checked(&self.registry, self.limits, event, None)?;
        let content = event.message.content_hash();
        let nth = {
            // The counter is updated as a whole, so a poisoned lock still holds valid state.
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            let alike = published.entry(content).or_insert(0_u32);
            *alike += 1;
            *alike
        };
        self.publish_as(&format!("{key}\0publish\0{content}\0{nth}"), event).await
    }

    /// Publishes under an id derived from the idempotency key of an item.
    pub(super) async fn publish_for<E: Correlated>(
        &self,
        key: &str,
        event: E,
    ) -> Result<Receipt, PublishError> {
        let event = publishing::checked(&self.registry, self.limits, event, None)?;
        self.publish_as(&format!("{key}\0publish\0{}", E::NAME), event).await
    }

    async fn publish_as(&self, name: &str, event: Accepted) -> Result<Receipt, PublishError> {
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes());
        let id = MessageId::from(Id::from_u128(id.as_u128()));
        let event = Accepted { id: Some(id.clone()), ..event };
        let place = self.mailbox.place().await.map_err(|_| PublishError::Stopped)?;
        let asked = self.mailbox.ask(place, &*self.clock, move |ticket| In::Publish { event, ticket });
        let answered = asked.map_err(|_| PublishError::Stopped)?;
        let stopped = |_| NotAnswered::Unknown("the dispatcher stopped".to_owned());
        publishing::answered(Some(id), answered.await.map_err(stopped))
    }

    pub(super) fn heartbeat(&self) {
        self.mailbox.heartbeat(self.attempt, &self.beating);
    }

    /// Changes the saved data, and returns when the change is durable. Concurrent calls lose no change of each other. A
    /// dropped call does not lose the data that it has sent.
    async fn save(&self, change: impl FnOnce(&mut Saved)) -> Result<(), HandlerError> {
        const STOPPED: &str = "the dispatcher has stopped, so nothing was saved";
        let place = self.mailbox.place().await.map_err(|_| STOPPED)?;
        let (answered, number) = self.send(place, change)?;
        match answered.await {
            Ok(Answer::Saved(true)) => {
                if let Ok(kept) = &mut *self.lock() {
                    kept.durable = kept.durable.max(number);
                }
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
        let mut kept = self.lock();
        let kept = kept.as_mut().map_err(|error| HandlerError::from(error.clone()))?;
        let mut saved = kept.saved.clone();
        change(&mut saved);
        let payload = Payload::encode(&saved)
            .and_then(|payload| payload.check(self.limits).map(|()| payload))
            .map_err(|error| HandlerError::from(format!("the data to save {error}")))?;
        let attempt = self.attempt;
        let question = move |ticket| In::Save { attempt, saved: payload, ticket };
        let answered = self
            .mailbox
            .ask(place, &*self.clock, question)
            .map_err(|_| "the dispatcher has stopped, so nothing was saved")?;
        kept.saved = saved;
        kept.sent += 1;
        Ok((answered, kept.sent))
    }

    fn kept(&self) -> Result<Kept, HandlerError> {
        self.lock().clone().map_err(HandlerError::from)
    }

    fn lock(&self) -> MutexGuard<'_, Result<Kept, String>> {
        // The value is replaced as a whole, so a poisoned lock still holds valid state.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
