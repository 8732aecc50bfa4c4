//! The dispatcher: the engine embedded in an app, on a tokio runtime.
//!
//! Owns: the API, the thread that drives the engine, running handlers, clocks.
//! Does not own: decisions (the `engine` and the `machine`) or SQL (the stores).

mod asking;
mod attempts;
mod builder;
mod clock;
mod desk;
mod error;
mod handler;
mod names;
mod publishing;
mod receipt;
mod run;
mod view;

pub use builder::DispatcherBuilder;
#[cfg(any(test, feature = "testing"))]
pub use clock::ManualClock;
pub use clock::{Clock, SystemClock};
pub use error::{AskError, InstanceError, PublishError, ShutdownError, StartError};
#[cfg(feature = "routing-slip")]
pub(crate) use handler::AnyHandler;
pub use handler::{Handler, HandlerContext, Subscriber};
pub use names::UnknownName;
pub use receipt::{Disposition, Receipt, TakerReceipt};
pub use view::Instance;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::engine::{Accepted, Answer, In, Registry, Tally, Ticket};
use crate::machine::{MessageRecord, Resolution, Saga, Verb, VerbRecord};
use crate::message::{Correlated, Event, Key, Message, MessageId, PayloadLimits};
use crate::store::{Address, DeadId, DeadLetterRow, HistoryRow, Store};
use run::Request;

/// Runs sagas. Cheap to clone; all clones are one dispatcher.
///
/// When the last clone is dropped without [`shutdown`](Self::shutdown), running handlers are dropped and what they did
/// counts as unclear.
#[derive(Clone)]
pub struct Dispatcher {
    requests: UnboundedSender<Request>,
    registry: Arc<Registry>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    payload: PayloadLimits,
}

/// How a dispatcher fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It accepts and advances.
    Running,
    /// The store is not available: calls wait, no saga fails, and nothing is guessed (promise 7).
    #[non_exhaustive]
    Degraded {
        /// What the store says.
        why: String,
    },
    /// It has stopped. Everything accepted is in the store.
    #[non_exhaustive]
    Stopped {
        /// Why.
        why: String,
    },
}

/// What the thread and the handles share.
pub(crate) struct Shared {
    health: watch::Sender<Health>,
    tally: watch::Sender<Tally>,
    admission: Semaphore,
}

impl Shared {
    fn new(admission: usize) -> Self {
        Self {
            health: watch::Sender::new(Health::Running),
            tally: watch::Sender::new(Tally::default()),
            admission: Semaphore::new(admission),
        }
    }

    fn stop_with(&self, health: Health) {
        self.health.send_replace(health);
        self.admission.close();
    }

    fn publish_tally(&self, tally: Tally) {
        self.tally.send_if_modified(|known| {
            let changed = *known != tally;
            *known = tally;
            changed
        });
    }
}

/// How an event is published, where the default does not do.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PublishOptions {
    id: Option<MessageId>,
    deadline: Option<Duration>,
}

impl PublishOptions {
    /// No message id and no deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the message, so that publishing it again within the window changes nothing.
    pub fn id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// How long to wait for the answer; [`PublishError::Unknown`] follows.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl Dispatcher {
    /// A dispatcher on `store`, to be given its sagas, handlers and subscribers.
    pub fn builder(store: impl Store) -> DispatcherBuilder {
        DispatcherBuilder::new(Arc::new(store))
    }

    /// Publishes `event` to everybody who takes it.
    ///
    /// `Ok` means durable: it survives `kill -9` and power loss. What one task publishes to one instance, awaiting each
    /// `Ok`, is applied in that order. An event that starts an instance is safe to publish again; for others give a
    /// message id with [`publish_as`](Self::publish_as).
    ///
    /// # Errors
    /// [`PublishError`]. Except for [`PublishError::Unknown`] and [`PublishError::IdConflict`] nothing was stored.
    ///
    /// # Cancellation
    /// Dropping the future does not withdraw the event: it may or may not be accepted.
    pub async fn publish<E: Correlated>(&self, event: E) -> Result<Receipt, PublishError> {
        self.publish_with(event, PublishOptions::new()).await
    }

    /// As [`publish`](Self::publish), under the caller's message id: a repetition within the window changes nothing and
    /// is answered with [`Disposition::Duplicate`].
    ///
    /// # Errors
    /// As for `publish`, and [`PublishError::IdConflict`] when the id was used for an event with other content.
    pub async fn publish_as<E: Correlated>(&self, id: MessageId, event: E) -> Result<Receipt, PublishError> {
        self.publish_with(event, PublishOptions::new().id(id)).await
    }

    /// As [`publish`](Self::publish), with options.
    ///
    /// # Errors
    /// As for `publish`.
    pub async fn publish_with<E: Correlated>(
        &self,
        event: E,
        options: PublishOptions,
    ) -> Result<Receipt, PublishError> {
        let PublishOptions { id, deadline } = options;
        let accepted = publishing::checked(&self.registry, self.payload, event, id.clone())?;
        let answered = self.ask_published(accepted, id.clone());
        let Some(deadline) = deadline else { return answered.await };
        let late = self.clock.sleep(deadline);
        tokio::select! {
            biased;
            answer = answered => answer,
            () = late => Err(PublishError::Unknown { id, why: format!("no answer within {deadline:?}") }),
        }
    }

    async fn ask_published(&self, event: Accepted, id: Option<MessageId>) -> Result<Receipt, PublishError> {
        let Ok(_place) = self.shared.admission.acquire().await else { return Err(PublishError::Stopped) };
        let unknown = |why: String| PublishError::Unknown { id: id.clone(), why };
        match self.request(move |ticket| In::Publish { event, ticket }).await {
            Ok(Answer::Published(answers)) => publishing::receipt(id, answers),
            Ok(Answer::Stopped) => Err(PublishError::Stopped),
            Ok(other) => Err(unknown(format!("the engine answered {other:?}"))),
            Err(NotAnswered::Closed) => Err(PublishError::Stopped),
            Err(NotAnswered::Dropped(why)) => Err(unknown(why)),
        }
    }

    async fn request(&self, ask: impl FnOnce(Ticket) -> In + Send + 'static) -> Result<Answer, NotAnswered> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Ask(Box::new(ask), answer)).map_err(|_| NotAnswered::Closed)?;
        answered.await.map_err(|_| {
            let why = match &*self.shared.health.borrow() {
                Health::Stopped { why } => format!("the dispatcher stopped: {why}"),
                _ => "the dispatcher stopped".to_owned(),
            };
            NotAnswered::Dropped(why)
        })
    }

    /// The instance of `S` with this key, as its last committed step left it; `None` when there is none.
    ///
    /// # Errors
    /// [`InstanceError::Key`] when there can be no such key, [`InstanceError::Unreadable`] when this build cannot read it,
    /// [`InstanceError::Store`] when the store cannot be read.
    pub async fn instance<S: Saga>(
        &self,
        key: impl AsRef<str>,
    ) -> Result<Option<Instance<S>>, InstanceError> {
        self.read_instance(Key::new(key)?).await
    }

    /// The instance of `S` that has claimed this alias (rule R35), as its last committed step left it; `None` when none
    /// has.
    ///
    /// # Errors
    /// As for [`instance`](Self::instance).
    pub async fn instance_by_alias<S: Saga>(
        &self,
        alias: impl AsRef<str>,
    ) -> Result<Option<Instance<S>>, InstanceError> {
        self.read_instance(Key::alias(alias)?).await
    }

    async fn read_instance<S: Saga>(&self, key: Key) -> Result<Option<Instance<S>>, InstanceError> {
        match self.store.instance(&Address::new(S::NAME, key)).await? {
            None => Ok(None),
            Some(snapshot) => Instance::read(&snapshot, self.clock.now().wall).map(Some),
        }
    }

    /// The history of an instance, oldest line first; at most the newest 10,000 lines.
    ///
    /// # Errors
    /// [`InstanceError::Store`] when the store cannot be read.
    pub async fn history<S: Saga>(&self, key: impl AsRef<str>) -> Result<Vec<HistoryRow>, InstanceError> {
        let address = Address::new(S::NAME, Key::new(key)?);
        Ok(self.store.history(&address, 10_000).await?)
    }

    // Operators.

    /// Turns an instance that is not over: what it owes is undone, and it ends in the state of `on_abort(..)` or as
    /// aborted (rule R15). `by` and `why` go to the history.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it has ended or there is none.
    pub async fn abort<S: Saga>(
        &self,
        key: impl AsRef<str>,
        by: &str,
        why: &str,
    ) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Abort, by, why).await
    }

    /// Lets a parked instance repeat exactly what failed: the event, or the command with the same key (rule R16).
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it is not parked, or waits over a command that is called at most once.
    pub async fn retry<S: Saga>(
        &self,
        key: impl AsRef<str>,
        by: &str,
        why: &str,
    ) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Retry, by, why).await
    }

    /// Lets a parked instance go on without what failed: the event becomes a dead letter, the command's outcome has no
    /// effect, the undo is given up.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it is not parked, or waits for its arrival.
    pub async fn skip<S: Saga>(
        &self,
        key: impl AsRef<str>,
        by: &str,
        why: &str,
    ) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Skip, by, why).await
    }

    /// Supplies the outcome of the command a parked instance waits over.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it does not wait over a command, or this is not an outcome of that one.
    pub async fn resolve<S: Saga>(
        &self,
        key: impl AsRef<str>,
        outcome: Resolved,
        by: &str,
        why: &str,
    ) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Resolve(outcome.0), by, why).await
    }

    async fn operate<S: Saga>(
        &self,
        key: impl AsRef<str>,
        verb: Verb,
        by: &str,
        why: &str,
    ) -> Result<(), InstanceError> {
        let address = Address::new(S::NAME, Key::new(key)?);
        let verb = VerbRecord { verb, by: by.to_owned(), why: why.to_owned(), seq: None };
        match self.request(move |ticket| In::Verb { address, verb, ticket }).await {
            Ok(Answer::Verb(Ok(()))) => Ok(()),
            Ok(Answer::Verb(Err(why))) => Err(InstanceError::Declined(why)),
            _ => Err(InstanceError::Stopped),
        }
    }

    /// Dead letters in order, from the first one or from behind `after`; at most 200.
    ///
    /// # Errors
    /// [`InstanceError::Store`] when the store cannot be read.
    pub async fn dead_letters(&self, after: Option<DeadId>) -> Result<Vec<DeadLetterRow>, InstanceError> {
        Ok(self.store.dead_letters(after.unwrap_or_default(), 200).await?)
    }

    /// Puts a dead letter back on its way, in one commit with its removal.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it is an outcome, which cannot be delivered again.
    pub async fn redrive(&self, letter: DeadLetterRow) -> Result<(), InstanceError> {
        match self.request(move |ticket| In::Redrive { letter, ticket }).await {
            Ok(Answer::Redriven(Ok(()))) => Ok(()),
            Ok(Answer::Redriven(Err(why))) => Err(InstanceError::Declined(why)),
            _ => Err(InstanceError::Stopped),
        }
    }

    // Itself.

    /// How it fares now.
    pub fn health(&self) -> Health {
        self.shared.health.borrow().clone()
    }

    /// Ends when its health has changed from what it is at the call, and says to what. Cancel-safe.
    pub fn health_changed(&self) -> impl Future<Output = Health> + Send + use<> {
        let mut changes = self.shared.health.subscribe();
        let shared = Arc::clone(&self.shared);
        async move {
            // The sender lives in `shared`, so it cannot have gone.
            let _ = changes.changed().await;
            drop(shared);
            changes.borrow().clone()
        }
    }

    /// Counts since the start; brought up to date once a second.
    pub fn tally(&self) -> Tally {
        *self.shared.tally.borrow()
    }

    /// The store it runs on, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Stops: nothing more is accepted or started, running handlers get `grace` to end and are then dropped, what is
    /// known is committed, and the lease is given back. Work not started is not counted as an attempt.
    ///
    /// # Errors
    /// [`ShutdownError::StillRunning`] when handlers block their threads and cannot be dropped; the next start then
    /// treats what was running as begun.
    pub async fn shutdown(self, grace: Duration) -> Result<(), ShutdownError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || match self.health() {
            Health::Stopped { why } => ShutdownError::Failed(why),
            health => ShutdownError::Failed(format!("{health:?}")),
        };
        self.requests.send(Request::Shutdown(grace, answer)).map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Stops at once, as if the process had been killed: nothing more is written, the lease is not given back.
    #[cfg(any(test, feature = "testing"))]
    pub async fn kill(self) {
        let (done, killed) = oneshot::channel();
        if self.requests.send(Request::Kill(done)).is_ok() {
            let _ = killed.await;
        }
    }
}

/// The outcome of a command as a person knows it, for [`Dispatcher::resolve`].
#[derive(Clone, Debug)]
pub struct Resolved(Resolution);

impl Resolved {
    /// It was answered by this reply.
    ///
    /// # Errors
    /// When the reply cannot be written as JSON.
    pub fn reply<E: Event>(reply: &E) -> Result<Self, crate::message::PayloadError> {
        Ok(Self(Resolution::Replied(MessageRecord::from(&Message::of_event(reply)?))))
    }

    /// It is done. For commands without replies, and for undos.
    pub fn done() -> Self {
        Self(Resolution::Done)
    }

    /// It surely had no effect.
    pub fn refused() -> Self {
        Self(Resolution::Refused)
    }
}

/// Why there was no answer.
enum NotAnswered {
    /// The request was not taken.
    Closed,
    /// It was taken, and nobody knows what became of it.
    Dropped(String),
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("health", &self.health()).finish_non_exhaustive()
    }
}
