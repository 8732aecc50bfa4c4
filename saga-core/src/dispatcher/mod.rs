//! The dispatcher: the engine embedded in an application, on a tokio runtime.
//!
//! Owns: the public API, the thread that drives the engine, the running of handlers, and the clocks. Does not own:
//! decisions (the `engine` and the `machine`) or SQL (the stores).

mod asking;
mod attempt_channel;
mod attempts;
mod attention;
mod builder;
mod calling;
mod clock;
mod ending;
mod error;
mod event_loop;
mod extension;
mod following;
mod handler;
mod health;
mod json;
mod line;
mod mailbox;
#[cfg(any(test, feature = "testing"))]
mod manual_clock;
mod meter;
mod names;
mod operating;
mod performing;
mod preview;
mod publishing;
mod receipt;
mod retired;
mod sharing;
mod standing_by;
mod starting;
mod tempo;
#[cfg(any(test, feature = "testing"))]
mod test_context;
mod unit;
mod view;
mod weak;

pub use crate::engine::{Attention, Disposition};
pub use crate::machine::{Preview, Resolved};
pub use attention::Notice;
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
pub use health::{Health, HealthReason, HealthReport};
#[cfg(any(test, feature = "testing"))]
pub use manual_clock::ManualClock;
pub use names::UnknownName;
pub use preview::Proposed;
pub use receipt::{ConsumerReceipt, Receipt};
pub use sharing::{NodeView, Nodes};
pub use standing_by::StandBy;
#[cfg(any(test, feature = "testing"))]
pub use test_context::{TestContext, TestContextBuilder};
pub use view::{Instance, OpenCommand, SetTimer};
pub use weak::WeakDispatcher;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};

use crate::engine::{Accepted, In, Registry};
use crate::machine::Saga;
use crate::message::{Alias, Correlated, InstanceName, Key, MessageId, PayloadLimits, TraceContext};
use crate::store::{Address, HistoryRow, Inspect, Store};
use calling::Patience;
use health::Figures;
use line::Line;
use mailbox::Request;

/// Runs sagas. A clone is cheap, and all clones refer to one dispatcher.
///
/// The last clone can be dropped without [`shutdown`](Self::shutdown). The dispatcher then drops its running handlers,
/// and their outcomes count as indeterminate. It commits every known outcome and gives the lease back. This happens in
/// the background and takes about as long as one commit. The next dispatcher of this process on the same store waits
/// for the end of this work.
///
/// A handler that holds a clone keeps its own dispatcher alive for ever. Give such a handler a [`WeakDispatcher`].
#[derive(Clone)]
pub struct Dispatcher {
    line: Line,
    registry: Arc<Registry>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    payload: PayloadLimits,
    limits: CallLimits,
}

/// The limits on calls.
#[derive(Clone, Copy, Debug)]
struct CallLimits {
    /// The default limit of a call.
    call: Duration,
    /// The maximum number of events in flight.
    publishing: usize,
}

/// The state shared by the thread and the handles.
pub(crate) struct Shared {
    health: watch::Sender<Health>,
    /// Whether the last commit failed. A successful read then does not restore the health.
    commit_fails: AtomicBool,
    /// Whether the health is degraded because of one shard. The store is available then.
    is_one_shard: AtomicBool,
    figures: watch::Sender<Figures>,
    admission: Arc<Semaphore>,
}

impl Shared {
    fn new(admission: usize) -> Self {
        Self {
            health: watch::Sender::new(Health::Running),
            commit_fails: AtomicBool::new(false),
            is_one_shard: AtomicBool::new(false),
            figures: watch::Sender::new(Figures::default()),
            admission: Arc::new(Semaphore::new(admission.min(Semaphore::MAX_PERMITS))),
        }
    }

    fn stop_with(&self, health: Health) {
        self.health.send_replace(health);
        self.admission.close();
    }

    /// The known reason why the store does not answer.
    fn trouble(&self) -> String {
        match &*self.health.borrow() {
            Health::Degraded { why, .. } => why.clone(),
            _ => "the store has not answered in time".to_owned(),
        }
    }
}

/// Options for publishing an event.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct PublishOptions {
    id: Option<MessageId>,
    trace: Option<TraceContext>,
    patience: Patience,
}

impl PublishOptions {
    /// Options with the defaults: no message id and no deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the message id. A repetition with the same message id within the deduplication window changes nothing.
    pub fn message_id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the trace context of the publisher, for example from the header `traceparent` of a request. It goes through the
    /// steps, commands, handlers, replies, children and timers that follow, and to subscribers. Default: the context of the
    /// [`Tracer`](crate::engine::Tracer), if there is one.
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Sets the maximum time to wait for the answer. After the deadline, an event that the dispatcher has not begun to
    /// process is withdrawn ([`PublishError::NotStored`]). Otherwise the outcome is not known
    /// ([`PublishError::Unknown`]). Default: the dispatcher's [limit of a call](DispatcherBuilder::call_limit).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.patience.limit = Some(deadline);
        self
    }

    /// Does not wait for a store that is not available. The event is then certainly not stored
    /// ([`PublishError::NotStored`]). Exception: the write of the event may have begun before the store became
    /// unavailable. The call then waits for the outcome, as it does without this option.
    pub fn fail_fast(mut self) -> Self {
        self.patience.fail_fast = true;
        self
    }
}

impl Dispatcher {
    /// Returns a builder for a dispatcher on `store`. The builder takes the sagas, handlers and subscribers.
    pub fn builder(store: impl Store) -> DispatcherBuilder {
        DispatcherBuilder::new(Arc::new(store))
    }

    fn new(
        parts: &unit::Parts,
        line: Line,
        store: Arc<dyn Store>,
        shared: Arc<Shared>,
        limits: CallLimits,
    ) -> Self {
        let (registry, clock) = (Arc::clone(&parts.registry), Arc::clone(&parts.clock));
        Self { line, registry, store, clock, shared, payload: parts.limits.payload, limits }
    }

    /// Publishes `event` to all its consumers.
    ///
    /// `Ok` means that the event is durable: it survives `kill -9` and power loss. One task can publish several events
    /// to one instance and await each `Ok`. The instance then applies these events in that order.
    ///
    /// An event that starts an instance is safe to publish again. For any other event, give a message id with
    /// [`publish_as`](Self::publish_as).
    ///
    /// # Errors
    /// [`PublishError`]. Nothing was stored, except after [`PublishError::Unknown`] and [`PublishError::IdConflict`].
    /// The error is returned within the [limit of a call](DispatcherBuilder::call_limit).
    ///
    /// # Cancellation
    /// Dropping the future withdraws the event. If the event is being stored at that moment, it may or may not be
    /// accepted.
    pub async fn publish<E: Correlated>(&self, event: E) -> Result<Receipt, PublishError> {
        self.publish_with(event, PublishOptions::new()).await
    }

    /// Publishes like [`publish`](Self::publish), under the message id of the caller. A repetition within the
    /// deduplication window changes nothing and returns [`Disposition::Duplicate`].
    ///
    /// # Errors
    /// The errors of `publish`, and [`PublishError::IdConflict`] when the id was used for an event with other content.
    /// After [`PublishError::Unknown`], the [`receipt`](Self::receipt) shows later whether the event was accepted.
    pub async fn publish_as<E: Correlated>(&self, id: MessageId, event: E) -> Result<Receipt, PublishError> {
        self.publish_with(event, PublishOptions::new().message_id(id)).await
    }

    /// Publishes like [`publish`](Self::publish), with options.
    ///
    /// # Errors
    /// The errors of `publish`.
    pub async fn publish_with<E: Correlated>(
        &self,
        event: E,
        options: PublishOptions,
    ) -> Result<Receipt, PublishError> {
        let PublishOptions { id, trace, patience } = options;
        let event = publishing::checked(&self.registry, self.payload, event, id.clone())?;
        let event = Accepted { trace: trace.or(event.trace), ..event };
        let answer = match &self.line {
            Line::One(mailbox) => {
                let publish = move |ticket, claim| In::Publish { event: Accepted { claim, ..event }, ticket };
                self.call(mailbox, patience, true, publish).await
            }
            Line::Many(sharing) => self.publish_shared(sharing, event, patience).await,
        };
        publishing::answered(E::NAME, id, answer)
    }

    /// Returns the instance of `S` with this key, in the state after its last committed step. Returns `None` when there
    /// is no such instance.
    ///
    /// # Errors
    /// [`InstanceError::Key`] when the key is not valid. [`InstanceError::Unreadable`] when this build cannot read the
    /// instance. [`InstanceError::Store`] when the store cannot be read.
    pub async fn instance<S: Saga>(
        &self,
        key: impl AsRef<str>,
    ) -> Result<Option<Instance<S>>, InstanceError> {
        self.read_instance(Key::new(key)?).await
    }

    /// Returns the instance of `S` that has claimed this alias (rule [R35](crate::rules#r35)), in the state after its
    /// last committed step. Returns `None` when no instance has claimed the alias.
    ///
    /// # Errors
    /// The errors of [`instance`](Self::instance).
    pub async fn instance_by_alias<S: Saga>(
        &self,
        alias: impl AsRef<str>,
    ) -> Result<Option<Instance<S>>, InstanceError> {
        self.read_instance(Alias::new(alias)?).await
    }

    async fn read_instance<S: Saga>(
        &self,
        name: impl Into<InstanceName>,
    ) -> Result<Option<Instance<S>>, InstanceError> {
        let address = Address::new(S::NAME, name);
        match self.within(self.store.instance(&address)).await? {
            None => Ok(None),
            Some(snapshot) => Instance::read(&snapshot, self.clock.now().wall).map(Some),
        }
    }

    /// Returns the history of an instance, oldest line first. The result holds at most the newest 10,000 lines.
    ///
    /// # Errors
    /// [`InstanceError::Store`] when the store cannot be read.
    pub async fn history<S: Saga>(&self, key: impl AsRef<str>) -> Result<Vec<HistoryRow>, InstanceError> {
        let address = Address::new(S::NAME, Key::new(key)?);
        self.within(self.store.history(&address, 10_000)).await
    }

    // The dispatcher itself.

    /// Returns the store of the dispatcher, for reading only.
    pub fn store(&self) -> &dyn Inspect {
        &*self.store
    }

    /// Stops the dispatcher. It accepts no more events and starts no more work. Running handlers get the time `grace`
    /// to end, and the dispatcher then drops them. It commits every known outcome and gives the lease back. Work that
    /// has not started does not count as an attempt.
    ///
    /// The store is free when this method returns, except after `StillRunning`. Another dispatcher can then start on
    /// the store at once.
    ///
    /// This method returns within `grace` plus six seconds, whatever the handlers and the store do. One second is for
    /// handlers that were dropped, and five seconds are for the store. A store may need additional time to close its
    /// file.
    ///
    /// # Errors
    /// [`ShutdownError::StillRunning`] when handlers block their threads and cannot be dropped.
    /// [`ShutdownError::NotWritten`] when the store does not answer. The next start then treats running work as begun.
    /// No answered call is lost.
    pub async fn shutdown(self, grace: Duration) -> Result<(), ShutdownError> {
        let mailbox = match &self.line {
            Line::One(mailbox) => mailbox,
            Line::Many(sharing) => return sharing.shutdown(grace, &self.shared).await,
        };
        let (answer, answered) = oneshot::channel();
        let stopped = || match self.health() {
            Health::Stopped { why } => ShutdownError::Failed(why),
            health => ShutdownError::Failed(format!("{health:?}")),
        };
        mailbox.send(Request::Shutdown(grace, answer)).map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Stops at once, like a killed process. Nothing more is written, and the next start treats running work as begun.
    /// The store is free when this method returns.
    #[cfg(any(test, feature = "testing"))]
    pub async fn kill(self) {
        let mailbox = match &self.line {
            Line::One(mailbox) => mailbox,
            Line::Many(sharing) => return sharing.kill(&self.shared).await,
        };
        let (done, killed) = oneshot::channel();
        if mailbox.send(Request::Kill(done)).is_ok() {
            let _ = killed.await;
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("health", &self.health()).finish_non_exhaustive()
    }
}
