//! The builder of a dispatcher. `start` reports all registration problems at once.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;

use super::attention::{Callback, Notice};
use super::clock::{Clock, SystemClock};
use super::error::StartError;
use super::extension::{Extension, Extensions};
use super::handler::{AnyHandler, ForCommand, ForEvent, Handler, Subscriber};
use super::line::Line;
use super::retired;
use super::sharing;
use super::standing_by::StandBy;
use super::starting::{Leased, Leasing, Patient, prepare};
use super::unit::Parts;
use super::{CallLimits, Dispatcher, Shared};
use crate::definition::EventType;
use crate::engine::{Limits, Policy, Registry, Tracer};
use crate::machine::{Saga, Typed};
use crate::message::{Command, Event, Incarnation, PayloadLimits};
use crate::store::{ConsumerRow, Lease, Store};

/// Takes sagas, handlers and subscribers, and starts a [`Dispatcher`]. [`Dispatcher::builder`] creates it.
#[must_use = "nothing runs before `start`"]
pub struct DispatcherBuilder {
    store: Arc<dyn Store>,
    registry: Registry,
    handlers: Vec<Arc<dyn AnyHandler>>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    window: Duration,
    admission: usize,
    call_limit: Duration,
    owner: String,
    build: u64,
    random: Box<dyn FnMut() -> u128 + Send>,
    extensions: Extensions,
    callback: Option<Callback>,
    /// The extensions have registered their sagas and handlers.
    registered: bool,
}

impl DispatcherBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            registry: Registry::default(),
            handlers: Vec::new(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock::default()),
            window: Duration::from_secs(7 * 24 * 60 * 60),
            admission: 10_000,
            call_limit: Duration::from_secs(30),
            owner: format!("process {}", std::process::id()),
            build: 0,
            random: Box::new(|| Incarnation::random().as_u128()),
            extensions: Extensions::default(),
            callback: None,
            registered: false,
        }
    }

    /// Registers the saga `S`.
    pub fn saga<S: Saga>(mut self) -> Self {
        self.registry.saga(Arc::new(Typed::<S>::new()));
        self
    }

    /// Registers `handler` for the command `C`, with the default [`Policy`].
    pub fn handler<C: Command>(self, handler: impl Handler<C>) -> Self {
        self.handler_with(handler, Policy::default())
    }

    /// Registers `handler` for the command `C`, with `policy`.
    pub fn handler_with<C: Command>(mut self, handler: impl Handler<C>, policy: Policy) -> Self {
        self.registry.handler(C::NAME, C::WAS, C::AT_MOST_ONCE, policy);
        self.handlers.push(Arc::new(ForCommand::new(handler)));
        self
    }

    /// Registers `subscriber` for every event `E`, with the default [`Policy`]. The store keeps the name. After a
    /// restart, the dispatcher finds the deliveries of the subscriber under this name.
    pub fn subscriber<E: Event>(self, name: &'static str, subscriber: impl Subscriber<E>) -> Self {
        self.subscriber_with(name, subscriber, Policy::default())
    }

    /// Registers `subscriber` for every event `E`, with `policy`.
    pub fn subscriber_with<E: Event>(
        mut self,
        name: &'static str,
        subscriber: impl Subscriber<E>,
        policy: Policy,
    ) -> Self {
        self.registry.subscriber(name, EventType::of::<E>(std::any::type_name::<E>()), policy);
        self.handlers.push(Arc::new(ForEvent::new(subscriber)));
        self
    }

    /// Sets the limits of every payload. Default: 1 MiB and 64 levels. Maximum: 16 MiB and 128 levels.
    pub fn payload_limits(mut self, limits: PayloadLimits) -> Self {
        self.limits.payload = limits;
        self
    }

    /// Sets the maximum number of external events that may wait at one instance. Above it, `publish` returns
    /// `InstanceFull`. Default: 1,000.
    pub fn max_waiting_events(mut self, most: usize) -> Self {
        self.limits.waiting = most;
        self
    }

    /// Sets the maximum number of sagas in the causal chain of an event. Above it, the event becomes a dead letter.
    /// Default: 100. Maximum: 1,000.
    pub fn max_hops(mut self, most: u32) -> Self {
        self.limits.hops = most;
        self
    }

    /// Sets the cache size for instances, in bytes. Default: 32 MiB. The size of an instance includes its table
    /// entries. An instance with little data that waits for a timer takes about 2 KiB. The cache never evicts an
    /// instance with state in memory only, such as a step or a running attempt.
    ///
    /// The dispatcher needs further memory outside this cache. It takes about 220 bytes for each of the 100,000 timers
    /// that are due next. It also holds the events in flight
    /// ([`max_in_flight_publishes`](Self::max_in_flight_publishes)). SQLite has its own cache.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.limits.cache_bytes = bytes;
        self
    }

    /// Sets the maximum number of published events without an answer. Further calls wait. Default: 10,000. An event of
    /// a cancelled call counts until the dispatcher has dropped it.
    pub fn max_in_flight_publishes(mut self, most: usize) -> Self {
        self.admission = most.max(1);
        self
    }

    /// Sets the default limit of a call. It applies to `publish`, to the operator verbs, and to reads of instances.
    /// After the limit, the call returns an error that states the known outcome. [`start`](Self::start) waits equally
    /// long for a store that is not available. Default: 30 seconds.
    pub fn call_limit(mut self, limit: Duration) -> Self {
        self.call_limit = limit;
        self
    }

    /// Sets the deduplication window. Within it, the dispatcher recognises duplicates of a message and remembers an
    /// ended instance. A repeated starting event therefore does not start an ended instance again. Default: 7 days. The
    /// window must be longer than the total time of every handler.
    pub fn dedup_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Calls `callback` when something needs a person: a parked instance, a dead letter, a late undo, an open breaker, a
    /// store that does not answer, or a dispatcher that has stopped. [`Attention`](super::Attention) has the kinds.
    ///
    /// The first occurrence of a kind, saga and reason is reported at once. Further ones within a minute are counted, and the
    /// newest one is reported after the minute with their number. After a restart, everything that already waits is not
    /// reported again: read [`Problems`](crate::store::Problems) for all of it.
    ///
    /// The callback runs on the runtime of the application, one call after the other. It must not block: hand long work, such
    /// as a request to another system, to a task of your own. A panic of the callback is logged.
    pub fn on_attention(mut self, callback: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        self.callback = Some(Arc::new(callback));
        self
    }

    /// Joins the spans of this dispatcher to distributed traces. The crate `saga-opentelemetry` has a tracer for
    /// OpenTelemetry. Without one, the context of [`PublishOptions::trace`](super::PublishOptions::trace) goes unchanged from
    /// message to message.
    pub fn tracer(mut self, tracer: impl Tracer) -> Self {
        self.registry.tracer = Some(Box::new(tracer));
        self
    }

    /// Sets the name of this dispatcher in messages about the holder of the lease. Default: `process <id>`.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// Sets the clocks. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the source of random bits. A test can use it to get the same ids in every run.
    #[cfg(any(test, feature = "testing"))]
    pub fn random(mut self, random: impl FnMut() -> u128 + Send + 'static) -> Self {
        self.random = Box::new(random);
        self
    }

    /// Returns the extension of this type, with its settings.
    #[cfg_attr(not(any(feature = "recurring", feature = "routing-slip")), allow(dead_code))] // Only these features have extensions.
    pub(crate) fn extension<E: Extension + Default>(&mut self) -> &mut E {
        self.extensions.get()
    }

    /// Returns the registered handlers, by the present and the earlier stored names of their commands.
    #[cfg(feature = "routing-slip")]
    pub(crate) fn handlers_by_name(&self) -> std::collections::HashMap<&'static str, Arc<dyn AnyHandler>> {
        let handlers = self.registry.handlers.iter().map(|(&name, &lane)| (name, lane));
        let renamed = self.registry.renamed.iter().map(|&(was, _, lane)| (was, lane));
        renamed.chain(handlers).map(|(name, lane)| (name, Arc::clone(&self.handlers[lane]))).collect()
    }

    #[cfg(feature = "recurring")]
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Takes the lease, reads the state that an earlier dispatcher left, and starts to run.
    ///
    /// # Errors
    /// [`StartError`] lists everything that is missing or does not fit. Examples are a command without a handler, two
    /// sagas with one name, and an event that a saga publishes without any consumer. The same type reports a name that
    /// a later build has retired, a store in use, and a store that cannot be read. Nothing has been run after an error.
    pub async fn start(self) -> Result<Dispatcher, StartError> {
        self.start_with(None).await
    }

    /// Shares the shards of the store with other processes. Each process runs a part of them, publishes to all of them, and takes
    /// over the shards of a process that stops or dies.
    ///
    /// The dispatcher works like one that [`start`](Self::start) returns. Differences:
    /// - An event for an instance of another process is durable and [`Queued`](crate::engine::Disposition::Queued) when the call
    ///   returns. Its process takes it up within milliseconds. The limit of waiting events does not hold there.
    /// - A limit of a [`Policy`] is the limit of the whole store. Each shard has its equal part of it, and at least one attempt
    ///   at a time.
    /// - [`health`](Dispatcher::health) stays [`Running`](super::Health::Running) while this process has no shard.
    ///
    /// The store decides how many shards there are (`PostgresOptions::shards`). With one shard, one process runs all sagas and
    /// the others stand by. The [name](Self::owner) of this process is shown to people, together with a random part.
    ///
    /// # Errors
    /// The errors of `start`, except for a store in use. [`StartError::Store`] for a store that several processes cannot share,
    /// such as a SQLite file. A rename of a saga needs the whole store: stop the other processes first.
    ///
    /// A later build can rename a saga while no process of this build runs a shard. This dispatcher then stops, and its
    /// [`health`](Dispatcher::health) says why.
    pub async fn join(mut self) -> Result<Dispatcher, StartError> {
        let mut extensions = std::mem::take(&mut self.extensions);
        let builder = if self.registered { self } else { extensions.register(self)? };
        let dispatcher = builder.join_engine().await?;
        extensions.started(&dispatcher).await?;
        Ok(dispatcher)
    }

    /// Sets the number of this release, such as the date of its build. Default: 0. While processes of several releases
    /// [share](Self::join) a store, shards go to the highest number. A release with the same number as an earlier one must have
    /// the same schedules.
    pub fn build(mut self, build: u64) -> Self {
        self.build = build;
        self
    }

    /// Stands by while another process runs a dispatcher on the same store, for a new release without a gap.
    ///
    /// The [`StandBy`] publishes at once, and [`takes_over`](StandBy::takes_over) starts the dispatcher within a second after
    /// the other one has stopped or died. Without another process it starts at once. Use this in place of
    /// [`start`](Self::start) in a process that may begin before its predecessor has ended.
    ///
    /// A release with a new schema of the store cannot stand by, because the store is migrated when it is opened.
    ///
    /// # Errors
    /// The errors of `start`, except for a store in use. So most releases that could not take over are noticed now: a missing
    /// handler, or a name that a later release has retired. A rename that the store refuses is found at the take-over.
    pub async fn stand_by(mut self) -> Result<StandBy, StartError> {
        self.check_settings()?;
        let mut extensions = std::mem::take(&mut self.extensions);
        let mut builder = extensions.register(self)?;
        (builder.extensions, builder.registered) = (extensions, true);
        let patient = Patient::new(&*builder.clock, builder.call_limit);
        let stored = patient.ask(|| builder.store.consumers()).await?;
        let pauses = patient.ask(|| builder.store.pauses()).await?;
        let problems = builder.registry.problems_with(&stored, &pauses);
        if !problems.is_empty() {
            return Err(StartError::Registration { problems });
        }
        let problems = retired::problems(&builder.registry, &patient.ask(|| builder.store.retired()).await?);
        if !problems.is_empty() {
            return Err(StartError::Retired { problems });
        }
        Ok(StandBy::new(builder))
    }

    /// What a stand-by shares with the dispatcher that it starts.
    pub(super) fn of_stand_by(&self) -> (Arc<dyn Store>, Arc<dyn Clock>, PayloadLimits, Duration, String) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        (store, clock, self.limits.payload, self.call_limit, self.owner.clone())
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Starts under this lease, or takes one.
    pub(super) async fn start_with(
        mut self,
        lease: Option<(Lease, Leased)>,
    ) -> Result<Dispatcher, StartError> {
        let mut extensions = std::mem::take(&mut self.extensions);
        let builder = if self.registered { self } else { extensions.register(self)? };
        let dispatcher = builder.start_engine(lease).await?;
        extensions.started(&dispatcher).await?;
        Ok(dispatcher)
    }

    async fn start_engine(self, lease: Option<(Lease, Leased)>) -> Result<Dispatcher, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        self.check_settings()?;
        let Self {
            store,
            mut registry,
            handlers,
            limits,
            clock,
            window,
            admission,
            call_limit,
            owner,
            random,
            callback,
            ..
        } = self;
        let patient = Patient::new(&*clock, call_limit);
        let finished = finish(&mut registry, &patient, &*store).await;
        let (stored, consumers) = match finished {
            Ok(finished) => finished,
            Err(error) => {
                if let Some((_, leased)) = lease {
                    leased.give_back(&*clock).await;
                }
                return Err(error);
            }
        };
        let (lease, leased) = match lease {
            Some(leased) => leased,
            None => {
                let lease = patient.ask(|| Leasing::begin(Arc::clone(&store), owner.clone())).await?;
                (lease.clone(), Leased::new(Arc::clone(&store), lease))
            }
        };
        let names = retired::names(&registry);
        let prepared = match patient.ask(|| prepare(&*store, &registry, &names, &consumers, &stored)).await {
            Ok(Err(problems)) => Err(StartError::Retired { problems }),
            Ok(Ok(pauses)) => Ok(pauses),
            Err(error) => Err(error),
        };
        let pauses = match prepared {
            Ok(pauses) => pauses,
            Err(error) => {
                leased.give_back(&*clock).await;
                return Err(error);
            }
        };
        let parts = Parts {
            registry: Arc::new(registry),
            handlers,
            limits,
            clock,
            window,
            callback,
            random: Arc::new(Mutex::new(random)),
            runtime,
        };
        let shared = Arc::new(Shared::new(admission));
        let mailbox = parts.start(&store, (lease, leased), pauses, &shared, &shared)?;
        let limits = CallLimits { call: call_limit, publishing: admission };
        Ok(Dispatcher::new(&parts, Line::One(mailbox), store, shared, limits))
    }

    async fn join_engine(self) -> Result<Dispatcher, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        self.check_settings()?;
        let Self { store, mut registry, handlers, limits, clock, window, .. } = self;
        let patient = Patient::new(&*clock, self.call_limit);
        let (stored, consumers) = finish(&mut registry, &patient, &*store).await?;
        sharing::prepare(&store, &registry, &patient, (&consumers, &stored), &self.owner).await?;
        let parts = Parts {
            registry: Arc::new(registry),
            handlers,
            limits,
            clock: Arc::clone(&clock),
            window,
            callback: self.callback,
            random: Arc::new(Mutex::new(self.random)),
            runtime,
        };
        let limits = CallLimits { call: self.call_limit, publishing: self.admission };
        let name = (self.owner, self.build);
        sharing::join(parts, store, name, limits).await
    }

    fn check_settings(&self) -> Result<(), StartError> {
        let (payload, ceiling) = (self.limits.payload, PayloadLimits::CEILING);
        let longest = self.registry.lanes.iter().max_by_key(|lane| lane.policy.total);
        if payload.bytes > ceiling.bytes || payload.depth > ceiling.depth {
            let (bytes, depth) = (ceiling.bytes, ceiling.depth);
            return Err(StartError::Setting(format!(
                "payload limits may be at most {bytes} bytes and {depth} levels"
            )));
        }
        if self.limits.hops > 1_000 {
            return Err(StartError::Setting("`max_hops` may be at most 1,000".to_owned()));
        }
        match longest {
            Some(lane) if lane.policy.total >= self.window => Err(StartError::Setting(format!(
                "the deduplication window of {:?} must be longer than the total time of `{}`, {:?}; change `dedup_window` or the policy",
                self.window, lane.name, lane.policy.total
            ))),
            _ => Ok(()),
        }
    }
}

/// Completes the registry with the consumers in the store. Returns these and the consumers of this build.
async fn finish(
    registry: &mut Registry,
    patient: &Patient<'_>,
    store: &dyn Store,
) -> Result<(Vec<ConsumerRow>, Vec<ConsumerRow>), StartError> {
    let mut stored = patient.ask(|| store.consumers()).await?;
    for row in stored.iter_mut().filter(|row| !row.subscriber) {
        if let Some(name) = registry.formerly.get(&*row.consumer) {
            (*name).clone_into(&mut row.consumer);
        }
    }
    let pauses = patient.ask(|| store.pauses()).await?;
    let consumers =
        registry.finish(&stored, &pauses).map_err(|problems| StartError::Registration { problems })?;
    Ok((stored, consumers))
}

impl fmt::Debug for DispatcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatcherBuilder").field("registry", &self.registry).finish_non_exhaustive()
    }
}
