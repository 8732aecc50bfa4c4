//! The dispatcher: the engine embedded in an app, on a tokio runtime.
//!
//! Owns: the API, the thread that drives the engine, running handlers, clocks.
//! Does not own: decisions (the `engine` and the `machine`) or SQL (the stores).

mod asking;
mod attempt_channel;
mod attempts;
mod builder;
mod calling;
mod clock;
mod ending;
mod error;
mod extension;
mod following;
mod handler;
#[cfg(any(test, feature = "testing"))]
mod manual_clock;
mod names;
mod performing;
mod publishing;
mod receipt;
mod retired;
mod run;
mod starting;
mod tempo;
#[cfg(any(test, feature = "testing"))]
mod test_context;
mod view;
mod weak;

pub use builder::DispatcherBuilder;
pub use clock::{Clock, SystemClock};
pub use error::{AskError, InstanceError, PublishError, ReceiptError, ShutdownError, StartError};
#[cfg(any(feature = "recurring", feature = "routing-slip"))]
pub(crate) use extension::Extension;
#[cfg(feature = "recurring")]
pub(crate) use extension::Started;
#[cfg(feature = "routing-slip")]
pub(crate) use handler::AnyHandler;
pub use handler::{Handler, HandlerContext, Subscriber};
#[cfg(any(test, feature = "testing"))]
pub use manual_clock::ManualClock;
pub use names::UnknownName;
pub use receipt::{ConsumerReceipt, Disposition, Receipt};
#[cfg(any(test, feature = "testing"))]
pub use test_context::{TestContext, TestContextBuilder};
pub use view::{Instance, OpenCommand, SetTimer};
pub use weak::WeakDispatcher;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::engine::{Accepted, Answer, In, Registry, Tally};
use crate::machine::{MessageRecord, Operator, Resolution, Saga, Verb, VerbRecord};
use crate::message::{Correlated, Event, Key, Message, MessageId, PayloadLimits};
use crate::store::{Address, DeadId, DeadLetterRow, HistoryRow, Inspect, Store};
use calling::Patience;
use run::Request;

/// Runs sagas. Cheap to clone; all clones are one dispatcher.
///
/// When the last clone is dropped without [`shutdown`](Self::shutdown), running handlers are dropped, what they did counts
/// as indeterminate, what is known is committed, and the store is given back. That happens in the background, and takes as long
/// as a commit: the next dispatcher of this process on the same store waits for it. A handler that holds a clone keeps its
/// own dispatcher alive for ever; give it a [`WeakDispatcher`].
#[derive(Clone)]
pub struct Dispatcher {
    requests: UnboundedSender<Request>,
    registry: Arc<Registry>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    payload: PayloadLimits,
    limits: CallLimits,
}

/// What callers are held to.
#[derive(Clone, Copy, Debug)]
struct CallLimits {
    /// How long a call waits that has no limit of its own.
    call: Duration,
    /// How many events may be on their way.
    publishing: usize,
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
    /// Whether the last commit did not get through: then a read that does says nothing about the store's health.
    commit_fails: AtomicBool,
    tally: watch::Sender<Tally>,
    admission: Arc<Semaphore>,
}

impl Shared {
    fn new(admission: usize) -> Self {
        Self {
            health: watch::Sender::new(Health::Running),
            commit_fails: AtomicBool::new(false),
            tally: watch::Sender::new(Tally::default()),
            admission: Arc::new(Semaphore::new(admission.min(Semaphore::MAX_PERMITS))),
        }
    }

    fn stop_with(&self, health: Health) {
        self.health.send_replace(health);
        self.admission.close();
    }

    /// What is known about why the store does not answer.
    fn trouble(&self) -> String {
        match &*self.health.borrow() {
            Health::Degraded { why } => why.clone(),
            _ => "the store has not answered in time".to_owned(),
        }
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
    patience: Patience,
}

impl PublishOptions {
    /// No message id and no deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the message, so that publishing it again within the window changes nothing.
    pub fn message_id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// How long to wait for the answer. Then the event is withdrawn if nothing has been done about it
    /// ([`PublishError::NotStored`]); otherwise nobody knows ([`PublishError::Unknown`]). Default: the dispatcher's
    /// [limit of a call](DispatcherBuilder::call_limit).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.patience.limit = Some(deadline);
        self
    }

    /// Does not wait for a store that is not available: the event is surely not stored then
    /// ([`PublishError::NotStored`]). One that the store was about to write when the trouble began waits for its outcome,
    /// as without this.
    pub fn fail_fast(mut self) -> Self {
        self.patience.fail_fast = true;
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
    /// [`PublishError`]. Except for [`PublishError::Unknown`] and [`PublishError::IdConflict`] nothing was stored. It comes
    /// within the [limit of a call](DispatcherBuilder::call_limit).
    ///
    /// # Cancellation
    /// Dropping the future withdraws the event, unless it is being stored: it may or may not be accepted.
    pub async fn publish<E: Correlated>(&self, event: E) -> Result<Receipt, PublishError> {
        self.publish_with(event, PublishOptions::new()).await
    }

    /// As [`publish`](Self::publish), under the caller's message id: a repetition within the window changes nothing and
    /// is answered with [`Disposition::Duplicate`].
    ///
    /// # Errors
    /// As for `publish`, and [`PublishError::IdConflict`] when the id was used for an event with other content. After
    /// [`PublishError::Unknown`] the [`receipt`](Self::receipt) says later whether it was accepted.
    pub async fn publish_as<E: Correlated>(&self, id: MessageId, event: E) -> Result<Receipt, PublishError> {
        self.publish_with(event, PublishOptions::new().message_id(id)).await
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
        let PublishOptions { id, patience } = options;
        let event = publishing::checked(&self.registry, self.payload, event, id.clone())?;
        let asked = self.call(patience, true, move |ticket, claim| In::Publish {
            event: Accepted { claim, ..event },
            ticket,
        });
        publishing::answered(id, asked.await)
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
        let address = Address::new(S::NAME, key);
        match self.within(self.store.instance(&address)).await? {
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
        self.within(self.store.history(&address, 10_000)).await
    }

    // Operators.

    /// Turns an instance that is not over: what it owes is undone, and it ends in the state of `on_abort(..)` or as
    /// aborted (rule R15). The history names the operator and the reason.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it has ended or there is none.
    pub async fn abort<S: Saga>(
        &self,
        key: impl AsRef<str>,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Abort, operator).await
    }

    /// Lets a parked instance repeat exactly what failed: the event, or the command with the same key (rule R16).
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it is not parked, or waits over a command that is called at most once.
    pub async fn retry<S: Saga>(
        &self,
        key: impl AsRef<str>,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Retry, operator).await
    }

    /// Lets a parked instance go on without what failed: the event becomes a dead letter, the command's outcome has no
    /// effect, the undo is given up.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it is not parked, or waits for its arrival.
    pub async fn skip<S: Saga>(&self, key: impl AsRef<str>, operator: Operator) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Skip, operator).await
    }

    /// Supplies the outcome of the command a parked instance waits over.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it does not wait over a command, or this is not an outcome of that one.
    pub async fn resolve<S: Saga>(
        &self,
        key: impl AsRef<str>,
        outcome: Resolved,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        self.operate::<S>(key, Verb::Resolve(outcome.0), operator).await
    }

    async fn operate<S: Saga>(
        &self,
        key: impl AsRef<str>,
        verb: Verb,
        operator: Operator,
    ) -> Result<(), InstanceError> {
        let address = Address::new(S::NAME, Key::new(key)?);
        let Operator { who, why } = operator;
        let verb = VerbRecord { verb, by: who, why, seq: None };
        let asked = self.call(Patience::default(), false, move |ticket, claim| In::Verb {
            address,
            verb,
            ticket,
            claim,
        });
        match asked.await {
            Ok(Answer::Verb(Ok(()))) => Ok(()),
            Ok(Answer::Verb(Err(why))) => Err(InstanceError::Declined(why)),
            Ok(_) => Err(InstanceError::Stopped),
            Err(not) => Err(not.into()),
        }
    }

    /// Dead letters in order, from the first one or from behind `after`; at most 200.
    ///
    /// # Errors
    /// [`InstanceError::Store`] when the store cannot be read.
    pub async fn dead_letters(&self, after: Option<DeadId>) -> Result<Vec<DeadLetterRow>, InstanceError> {
        self.within(self.store.dead_letters(after.unwrap_or_default(), 200)).await
    }

    /// Puts a dead letter back on its way, in one commit with its removal.
    ///
    /// # Errors
    /// [`InstanceError::Declined`] when it is an outcome or a declined verb, which cannot be delivered again, or an event
    /// without a key.
    pub async fn redrive(&self, letter: DeadLetterRow) -> Result<(), InstanceError> {
        let asked =
            self.call(Patience::default(), false, move |ticket, claim| In::Redrive { letter, ticket, claim });
        match asked.await {
            Ok(Answer::Redriven(Ok(()))) => Ok(()),
            Ok(Answer::Redriven(Err(why))) => Err(InstanceError::Declined(why)),
            Ok(_) => Err(InstanceError::Stopped),
            Err(not) => Err(not.into()),
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
    pub fn counters(&self) -> Tally {
        *self.shared.tally.borrow()
    }

    /// The store of the dispatcher, for reading only.
    pub fn store(&self) -> &dyn Inspect {
        &*self.store
    }

    /// Stops: nothing more is accepted or started, running handlers get `grace` to end and are then dropped, what is
    /// known is committed, and the lease is given back. Work not started is not counted as an attempt. When it returns the
    /// store is free: another dispatcher can start on it at once, unless it answers `StillRunning`.
    ///
    /// It returns within `grace` and six seconds, whatever handlers and store do: one second for handlers that were
    /// dropped, five for the store. A store may take its own time on top until its file is closed.
    ///
    /// # Errors
    /// [`ShutdownError::StillRunning`] when handlers block their threads and cannot be dropped, and
    /// [`ShutdownError::NotWritten`] when the store does not answer; the next start then treats what was running as begun.
    /// Nothing that was answered is lost.
    pub async fn shutdown(self, grace: Duration) -> Result<(), ShutdownError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || match self.health() {
            Health::Stopped { why } => ShutdownError::Failed(why),
            health => ShutdownError::Failed(format!("{health:?}")),
        };
        self.requests.send(Request::Shutdown(grace, answer)).map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Stops at once, as if the process had been killed: nothing more is written, and the next start treats what was
    /// running as begun. When it returns the store is free.
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

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("health", &self.health()).finish_non_exhaustive()
    }
}
