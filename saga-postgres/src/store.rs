//! The store for the dispatcher: the implementations of `Store` and `Maintain`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use saga_core::definition::StoredDefinition;
use saga_core::message::Timestamp;
use saga_core::store::{
    Address, Batch, ConsumerRow, Delivery, DeliveryId, DueTimer, InboxId, Lease, Loaded, Mail, Maintain,
    Meeting, Node, OpenTask, Purged, RetiredName, RowId, ShardId, StepOutcome, Store, StoreError, TaskId,
    TimerKey,
};
use tokio::sync::{Mutex, Notify};
use tokio_postgres::{Error, Row, Transaction};
use uuid::Uuid;

use crate::committer::{Committer, Inbox, LOST, rewound, sagas};
use crate::connection::{Role, Server};
use crate::error::{Kind, kind, of_store, refuse, unavailable};
use crate::inspect::mail;
use crate::lease::{Look, channel_of};
use crate::meet::Silences;
use crate::options::{LEAST_TTL, PostgresOptions};
use crate::read::{self, Reader, Unreadable, numbered};
use crate::rename::Refusal;
use crate::shard::{inbox_range, inbox_sequence, number, owns};
use crate::stored::read_delivery;
use crate::tenure::Tenure;
use crate::worker::Worker;
use crate::{deliver, maintain, meet, prepared, rename, schema};

/// The time limit of a call of the server, above the limit of the server for a statement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(35);
/// The time limit of a call of the committer, which can have several statements.
const CALL: Duration = Duration::from_secs(60);
/// The time limit of a rename. It changes all rows of a saga.
const RENAME: Duration = Duration::from_secs(24 * 60 * 60);
/// The time limit for the end of the lease at the drop of the store.
const LAST_CALL: Duration = Duration::from_secs(2);
/// The shortest interval of notifications to the lease holder. The server takes a lock for each of them.
const HINTS: Duration = Duration::from_millis(25);

/// A store in one schema of a PostgreSQL database. Clones share connections. The last clone closes them.
///
/// The drop of the last clone of a lease holder ends the lease, so that another process needs not wait. It waits for the
/// server for at most two seconds.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Arc<Inner>,
    worker: Arc<Worker>,
}

/// Everything that calls use on the thread, for one shard or for the whole store.
struct Inner {
    base: Arc<Base>,
    /// `None` for the whole of a store with several shards, which has no lease.
    shard: Option<ShardId>,
    committer: Mutex<Committer>,
    inbox: Arc<Inbox>,
    /// The lease of this process, as far as it is known without the committer.
    tenure: parking_lot::Mutex<Option<Arc<Tenure>>>,
    arrivals: parking_lot::Mutex<Arrivals>,
}

/// Where the looks for arrivals begin. Rows that were moved leave dead entries in the index while another session has an old
/// snapshot, so looks begin behind them. A row becomes visible in any order, so a row is passed over only when each transaction
/// that can have a lower one has ended.
#[derive(Debug)]
struct Arrivals {
    /// Looks begin behind this row.
    after: i64,
    /// The highest row that was moved.
    highest: i64,
    /// The next value of `after`, as soon as no transaction before this one is open.
    next: Option<(i64, i64)>,
    /// The last look from the start.
    whole: Instant,
}

/// The interval of the looks for arrivals from the start.
const WHOLE: Duration = Duration::from_secs(60);

impl Arrivals {
    fn new() -> Self {
        Self { after: 0, highest: 0, next: None, whole: Instant::now() }
    }

    /// Returns whether the next look begins at the start.
    fn is_due(&self) -> bool {
        self.whole.elapsed() >= WHOLE
    }

    /// Returns where the next look begins.
    fn begin(&self) -> i64 {
        if self.is_due() { 0 } else { self.after }
    }

    /// A look has ended. `open` are the oldest open transaction and the next one before a look from the start.
    fn moved(&mut self, highest: i64, open: Option<(i64, i64)>) {
        if let Some((oldest, next)) = open {
            // Everything that these transactions have inserted was there for this look.
            if let Some((moved, _)) = self.next.filter(|(_, before)| oldest >= *before) {
                (self.after, self.next) = (moved, None);
            }
            self.next = self.next.or(Some((self.highest, next)));
            self.whole = Instant::now();
        }
        self.highest = self.highest.max(highest);
    }
}

/// Everything that the shards of a store share in this process.
pub(crate) struct Base {
    pub(crate) server: Arc<Server>,
    pub(crate) options: PostgresOptions,
    pool: Pool,
    /// The secret name of this process in the rows of its leases.
    pub(crate) holder: Uuid,
    /// One for each shard.
    locals: Vec<Local>,
    hints: Hints,
    /// What this process has seen of the others.
    silences: parking_lot::Mutex<Silences>,
}

/// A shard in this process.
#[derive(Default)]
struct Local {
    delivered: Arc<Notify>,
    /// The lease belongs to this process.
    holds: AtomicBool,
}

/// Notifications to the lease holders in other processes.
#[derive(Default)]
struct Hints {
    /// The shards with new mail.
    wanted: parking_lot::Mutex<BTreeSet<u16>>,
    running: AtomicBool,
}

impl PostgresStore {
    /// The version of the tables that this build reads and writes.
    pub const SCHEMA: usize = schema::latest();

    /// Opens the store with the default options, and creates its tables if they are missing.
    ///
    /// `config` is a connection string or an address: `host=localhost user=shop dbname=shop`, or
    /// `postgresql://shop@localhost/shop`. The server must be PostgreSQL 14 or later, and accept writes. A server on another
    /// machine needs the feature `rustls`: the connection is then encrypted, and the certificate of the server is checked.
    ///
    /// An application without a dispatcher opens the store in the same way. Only [`Store::lease`] asks for the right to
    /// advance instances.
    ///
    /// # Errors
    /// The same as for [`PostgresOptions::connect`](crate::PostgresOptions::connect).
    pub async fn connect(config: &str) -> Result<Self, StoreError> {
        Self::options().connect(config).await
    }

    /// Returns the default options, for opening a store with other options.
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// Creates the schema of the options, and brings its tables to the version of this build. Nothing else is opened.
    ///
    /// # Errors
    /// The same as for [`PostgresOptions::connect`](crate::PostgresOptions::connect).
    pub async fn migrate(config: &str, options: PostgresOptions) -> Result<(), StoreError> {
        let server = Server::new(config, &options)?;
        let worker = Worker::start().map_err(|error| refuse(&server.name, error.to_string()))?;
        let (name, shards) = (server.name.clone(), options.shards);
        let work = async move || {
            let mut client = server.connect(Role::Migrate, None).await?;
            schema::check_session(&server, &client).await?;
            schema::migrate(&server, &mut client, shards).await
        };
        worker.call(&name, work).await
    }

    pub(crate) async fn start(config: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let server = Arc::new(Server::new(config, &options)?);
        if options.ttl < LEAST_TTL {
            let why = format!("a `ttl` of {:?} is too short; the minimum is {LEAST_TTL:?}", options.ttl);
            return Err(refuse(&server.name, why));
        }
        let worker = Worker::start().map_err(|error| refuse(&server.name, error.to_string()))?;
        let (of, migrate, wanted) = (Arc::clone(&server), options.migrate, options.shards);
        let prepared = async move || {
            let mut client = of.connect(Role::Migrate, None).await?;
            // Without its settings, a migration could write into another schema.
            schema::check_session(&of, &client).await?;
            if migrate {
                schema::migrate(&of, &mut client, wanted).await?;
            }
            schema::check(&of, &client).await?;
            schema::shards(&of, &client, wanted).await
        };
        let shards = worker.call(&server.name, prepared).await?;
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(server.config(Role::Read), server.tls(), config))
            .max_size(options.readers)
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn({
                let of = Arc::clone(&server);
                move |client, _| {
                    let of = Arc::clone(&of);
                    Box::pin(async move {
                        let checked = schema::check_session(&of, client).await;
                        checked.map_err(|error| HookError::message(error.to_string()))
                    })
                }
            }))
            .timeouts(Timeouts {
                wait: Some(PATIENCE),
                create: Some(server.connect_timeout()),
                recycle: Some(server.connect_timeout()),
            })
            .build()
            .map_err(|error| refuse(&server.name, error.to_string()))?;
        let base = Arc::new(Base {
            server,
            options,
            pool,
            holder: Uuid::new_v4(),
            locals: (0..shards).map(|_| Local::default()).collect(),
            hints: Hints::default(),
            silences: parking_lot::Mutex::default(),
        });
        let shard = (shards == 1).then_some(ShardId::WHOLE);
        Ok(Self::with(base, shard, Arc::new(worker)))
    }

    /// A handle on one shard, or on the whole store.
    fn with(base: Arc<Base>, shard: Option<ShardId>, worker: Arc<Worker>) -> Self {
        let inbox = Arc::new(Inbox::default());
        let committer = Committer::new(&base, shard.unwrap_or(ShardId::WHOLE), Arc::clone(&inbox));
        let inner = Arc::new(Inner {
            base,
            shard,
            committer: Mutex::new(committer),
            inbox,
            tenure: parking_lot::Mutex::new(None),
            arrivals: parking_lot::Mutex::new(Arrivals::new()),
        });
        Self { shared: Arc::new(Shared { inner, worker }) }
    }

    /// Returns the name of the store for errors: the server, the database and the schema, without a password.
    pub fn name(&self) -> &str {
        &self.shared.inner.base.server.name
    }

    /// Opens a connection of its own, with the settings of the store.
    #[cfg(test)]
    pub(crate) async fn plain_client(&self) -> tokio_postgres::Client {
        self.shared.inner.base.server.connect(Role::Migrate, None).await.expect("a connection")
    }

    /// Tells the dispatcher that a transaction of the application has published ([`prepare`](Self::prepare)). Call it after the
    /// commit. The call does not wait, and its loss costs at most a second.
    pub fn nudge(&self) {
        self.hint(0..self.shards());
    }

    /// Tells the lease holders of these shards that they have mail.
    fn hint(&self, shards: impl IntoIterator<Item = u16>) {
        let base = &self.shared.inner.base;
        let mut elsewhere = BTreeSet::new();
        for shard in shards {
            match base.locals.get(usize::from(shard)) {
                Some(local) if local.holds.load(Ordering::Relaxed) => local.delivered.notify_one(),
                _ => drop(elsewhere.insert(shard)),
            }
        }
        if !elsewhere.is_empty() {
            base.hints.wanted.lock().append(&mut elsewhere);
            let base = Arc::clone(base);
            self.shared.worker.start_work(async move || base.hint().await);
        }
    }

    /// Returns the schema of the tables.
    pub(crate) fn schema(&self) -> &str {
        &self.shared.inner.base.server.schema
    }

    /// Returns whether this handle shows the whole of a store with several shards to people.
    pub(crate) fn shows_all(&self) -> bool {
        self.shared.inner.shard.is_none()
    }

    /// Reads the processes that share the store, without taking part.
    pub(crate) async fn look_at_all(&self) -> Result<Meeting, StoreError> {
        let (base, shards) = (Arc::clone(&self.shared.inner.base), self.shards());
        let ttl = base.options.ttl;
        let meeting = self.read(async move |client| meet::look(client, shards, &base.silences).await);
        Ok(Meeting { ttl, ..meeting.await? })
    }

    /// Runs a read on a connection of the pool.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        body: impl AsyncFnOnce(&Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let base = Arc::clone(&self.shared.inner.base);
        let work = async move || base.read(body).await;
        self.shared.worker.call(self.name(), work).await
    }

    /// Runs a call of the committer. A call that takes longer than `limit` ends its connection, and its result is open.
    async fn commit_with<T: Send + 'static>(
        &self,
        limit: Duration,
        body: impl AsyncFnOnce(&mut Committer, &Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.shared.inner);
        let work = async move || {
            let mut committer = inner.committer.lock().await;
            let result = match tokio::time::timeout(limit, body(&mut committer, &inner)).await {
                Ok(result) => result,
                Err(_) => Err(committer.silent()),
            };
            inner.take_note(&committer);
            result
        };
        self.shared.worker.call(self.name(), work).await
    }

    /// Runs a transaction of the lease holder on the connection of the committer. The transaction is rolled back if `body`
    /// returns `None`.
    async fn transaction<T: Send + 'static>(
        &self,
        limit: Duration,
        body: impl AsyncFnOnce(&Transaction<'_>) -> Result<Option<T>, Error> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        self.commit_with(limit, async move |committer, inner| {
            committer.ready().await?;
            let held = committer.held.as_ref().map(|held| (held.epoch, held.generation));
            let Some((epoch, generation)) = held else {
                return Err(StoreError::Fenced { epoch: 0 });
            };
            let Some(session) = &mut committer.session else {
                return Err(unavailable(&inner.base.server.name, "the connection has ended"));
            };
            let work = async {
                let tx = session.client.transaction().await?;
                const FENCE: &str =
                    "SELECT 1 FROM saga_lease WHERE epoch = $1 AND gen = $2 AND shard = $3 FOR SHARE";
                let shard = inner.shard.map_or(0, number);
                if tx.query_opt(FENCE, &[&epoch, &generation, &shard]).await?.is_none() {
                    return Ok(None);
                }
                let done = body(&tx).await?;
                if done.is_some() {
                    tx.commit().await?;
                }
                Ok(Some(done))
            };
            match work.await {
                Ok(Some(done)) => Ok(done),
                Ok(None) => Err(committer.lost(epoch.cast_unsigned())),
                Err(error) if kind(&error) == Kind::Step => Err(of_store(&inner.base.server.name, error)),
                Err(error) => Err(committer.drop_session(error)),
            }
        })
        .await
    }
}

impl Inner {
    /// The shard of a handle with a lease.
    fn local(&self) -> Option<&Local> {
        self.base.locals.get(usize::from(self.shard?.number()))
    }

    fn holds(&self) -> bool {
        self.local().is_some_and(|local| local.holds.load(Ordering::Relaxed))
    }

    /// Keeps what calls read without the lock of the committer.
    fn take_note(&self, committer: &Committer) {
        let held = committer.held.as_ref();
        if let Some(local) = self.local() {
            local.holds.store(held.is_some(), Ordering::Relaxed);
        }
        let mut tenure = self.tenure.lock();
        match (held, &*tenure) {
            (Some(held), _) => *tenure = Some(Arc::clone(held.heart.tenure())),
            // Nothing may begin until the dispatcher knows that the lease is lost.
            (None, Some(known)) if committer.lost.is_some() => known.lose(),
            (None, _) => *tenure = None,
        }
    }
}

impl Base {
    pub(crate) async fn read<T>(
        &self,
        body: impl AsyncFnOnce(&Reader) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let name = &self.server.name;
        let reader = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => of_store(name, error),
            error => unavailable(name, error),
        })?;
        match tokio::time::timeout(PATIENCE, body(&reader)).await {
            Ok(result) => result.map_err(|error| of_store(name, error)),
            Err(_) => {
                // The answer may still come, so no other call gets the connection.
                drop(deadpool_postgres::Client::take(reader));
                Err(unavailable(name, "the server does not answer"))
            }
        }
    }

    /// Tells the lease holders in other processes about new inbox rows.
    async fn hint(&self) {
        if self.hints.running.swap(true, Ordering::Relaxed) {
            return;
        }
        loop {
            // One thread runs this function, so nothing comes between the last test and the end.
            let shards = std::mem::take(&mut *self.hints.wanted.lock());
            if shards.is_empty() {
                break;
            }
            let all: Vec<String> =
                shards.iter().map(|shard| format!("NOTIFY {}; ", channel_of(&self.server, *shard))).collect();
            let notify = format!("BEGIN; SET LOCAL synchronous_commit = off; {}COMMIT", all.concat());
            let told = self.read(async move |client| client.batch_execute(&notify).await).await;
            if let Err(error) = told {
                // The lease holder looks at the counter once a second.
                tracing::debug!(%error, "the lease holder was not notified");
            }
            tokio::time::sleep(HINTS).await;
        }
        self.hints.running.store(false, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.inner.holds() {
            return;
        }
        let (inner, (done, is_done)) = (Arc::clone(&self.inner), std::sync::mpsc::channel::<()>());
        self.worker.start_work(async move || {
            inner.committer.lock().await.abandon(None).await;
            drop(done);
        });
        // Both ends of the wait are fine: without an end of the lease, the next process waits for the `ttl`.
        let _ = is_done.recv_timeout(LAST_CALL);
    }
}

#[async_trait]
impl Store for PostgresStore {
    /// Waits until it is known whether another holder lives: a fifth of the `ttl` if it does, and the whole `ttl` if not. So a
    /// process that was killed and starts again gets its lease at the first call.
    async fn lease(&self, owner: &str) -> Result<Lease, StoreError> {
        let Some(shard) = self.shared.inner.shard else {
            let owner = format!("its {} shards, each with a lease of its own", self.shards());
            return Err(StoreError::Owned { store: self.name().to_owned(), owner });
        };
        let ttl = self.shared.inner.base.options.ttl;
        let interval = (ttl / 20).clamp(Duration::from_millis(20), Duration::from_millis(250));
        let mut waited = Duration::ZERO;
        loop {
            let name = owner.to_owned();
            let look = self.commit_with(CALL, async move |committer, inner| {
                let delivered = &inner.base.locals[usize::from(shard.number())].delivered;
                committer.lease(&name, inner.base.options.ttl, delivered).await
            });
            match look.await? {
                Look::Taken(lease) => {
                    *self.shared.inner.arrivals.lock() = Arrivals::new();
                    return Ok(lease);
                }
                Look::Owned { owner, lives } if lives || waited > ttl + ttl / 2 => {
                    return Err(StoreError::Owned { store: self.name().to_owned(), owner });
                }
                Look::Owned { .. } => {}
            }
            // The runtime of the caller may have no timers.
            let rest = async move || {
                tokio::time::sleep(interval).await;
                Ok(())
            };
            self.shared.worker.call(self.name(), rest).await?;
            waited += interval;
        }
    }

    fn shards(&self) -> u16 {
        // The vector was built from a number of this type.
        u16::try_from(self.shared.inner.base.locals.len()).unwrap_or(ShardId::MAX)
    }

    fn shard(&self, shard: ShardId) -> Option<Arc<dyn Store>> {
        let Shared { inner, worker } = &*self.shared;
        let fits = inner.shard.is_none() && shard.of() == self.shards();
        let (base, worker) = (Arc::clone(&inner.base), Arc::clone(worker));
        fits.then(|| Arc::new(Self::with(base, Some(shard), worker)) as Arc<dyn Store>)
    }

    /// Removes the rows of processes that were silent for ten times the `ttl`.
    async fn meet(&self, node: &Node) -> Result<Meeting, StoreError> {
        let (base, node, shards) = (Arc::clone(&self.shared.inner.base), node.clone(), self.shards());
        let ttl = base.options.ttl;
        let meeting = self.read(async move |client| {
            meet::beat(client, &node).await?;
            let meeting = meet::look(client, shards, &base.silences).await?;
            let gone = base.silences.lock().silent_nodes(ttl * 10);
            if !gone.is_empty() {
                meet::forget(client, &gone).await?;
            }
            Ok(meeting)
        });
        Ok(Meeting { ttl, ..meeting.await? })
    }

    async fn leave(&self, node: &Node) -> Result<(), StoreError> {
        let node = node.clone();
        self.read(async move |client| meet::leave(client, &node).await).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.commit_with(CALL, async move |committer, _| committer.release(&lease).await).await
    }

    fn has_lapsed(&self) -> bool {
        // Without a lease, nothing may begin either.
        self.shared.inner.tenure.lock().as_ref().is_none_or(|tenure| tenure.has_lapsed())
    }

    /// The end of the lease is written in the background, so that the next process needs not wait for the `ttl`.
    fn abandon(&self, lease: &Lease) {
        let (inner, epoch) = (Arc::clone(&self.shared.inner), lease.epoch);
        self.shared.worker.start_work(async move || {
            let mut committer = inner.committer.lock().await;
            committer.abandon(Some(epoch)).await;
            inner.take_note(&committer);
        });
    }

    async fn commit(&self, lease: &Lease, batch: Arc<Batch>) -> Result<Vec<StepOutcome>, StoreError> {
        let (lease, shard, steps) = (lease.clone(), lease.shard, Arc::clone(&batch));
        let outcomes =
            self.commit_with(CALL, async move |committer, _| committer.commit(&lease, &batch).await).await?;
        if !shard.is_whole() {
            let mail = steps.steps.iter().flat_map(|step| &step.mail).filter(|mail| !shard.owns(&mail.to));
            self.hint(mail.map(|mail| ShardId::of_address(&mail.to, shard.of()).number()));
        }
        Ok(outcomes)
    }

    async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError> {
        let of = self.shards();
        let shards: BTreeSet<u16> =
            mail.iter().map(|mail| ShardId::of_address(&mail.to, of).number()).collect();
        let ids = self.read(async move |client| deliver::deliver(client, &mail, of).await).await?;
        if let Some(InboxId(last)) = ids.last() {
            self.shared.inner.inbox.saw(*last);
        }
        self.hint(shards);
        Ok(ids)
    }

    async fn load(&self, addresses: &[Address]) -> Result<Vec<Option<Loaded>>, StoreError> {
        let load = async |addresses: Vec<Address>| {
            self.read(async move |client| read::load(client, &addresses).await).await
        };
        let answer = load(addresses.to_vec()).await;
        if !matches!(answer, Err(StoreError::Corrupt { .. })) {
            return answer;
        }
        // A damaged row must not hide the others.
        let mut answers = Vec::with_capacity(addresses.len());
        for address in addresses {
            answers.push(match load(vec![address.clone()]).await {
                Ok(mut answer) => answer.pop().flatten(),
                Err(StoreError::Corrupt { detail, .. }) => Some(Loaded::Unreadable(detail)),
                Err(error) => return Err(error),
            });
        }
        Ok(answers)
    }

    async fn open_tasks(
        &self,
        after: Option<(RowId, TaskId)>,
        limit: usize,
    ) -> Result<Vec<OpenTask>, StoreError> {
        let shard = self.shared.inner.shard;
        self.read(async move |client| read::open_tasks(client, shard, after, limit).await).await
    }

    async fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Address)>, StoreError> {
        let shard = self.shared.inner.shard;
        self.read(async move |client| read::compensating(client, shard, after, limit).await).await
    }

    async fn inbox(&self, after: InboxId, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        const SQL: &str = "SELECT id, consumer, key, kind, message, body FROM saga_inbox
                           WHERE id > $1 AND id <= $3 ORDER BY id LIMIT $2";
        let moves = self.shared.inner.shard.filter(|_| self.shared.inner.holds());
        let (before, last) = self.shared.inner.shard.map_or((0, i64::MAX), inbox_range);
        let inner = Arc::clone(&self.shared.inner);
        let rows = self
            .read(async move |client| {
                if let Some(shard) = moves {
                    let (after, is_due) = {
                        let arrivals = inner.arrivals.lock();
                        (arrivals.begin(), arrivals.is_due())
                    };
                    let open = match is_due {
                        true => Some(prepared::open_transactions(client).await?),
                        false => None,
                    };
                    let highest = prepared::move_arrivals(client, shard, after).await?;
                    inner.arrivals.lock().moved(highest, open);
                }
                numbered(client, SQL, (after.0.max(before), &[&last]), limit, mail).await
            })
            .await?;
        if let Some((InboxId(last), _)) = rows.last() {
            self.shared.inner.inbox.saw(*last);
        }
        Ok(rows)
    }

    async fn deliveries(
        &self,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, Delivery)>, StoreError> {
        let own = owns("id", self.shared.inner.shard);
        let sql = format!(
            "SELECT id, consumer, key, message, named, body, progress FROM saga_delivery
             WHERE id > $1 AND {own} ORDER BY id LIMIT $2"
        );
        self.read(async move |client| numbered(client, &sql, (after.0, &[]), limit, delivery).await).await
    }

    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerKey>,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError> {
        let shard = self.shared.inner.shard;
        let until = until.as_millis();
        self.read(async move |client| read::due_timers(client, shard, until, after, limit).await).await
    }

    /// Reads whether there are newer inbox rows. A lease that another process has ended is an error until the next
    /// lease.
    async fn pulse(&self) -> Result<bool, StoreError> {
        let inner = &self.shared.inner;
        let Some(shard) = inner.shard else { return Ok(false) };
        let (fenced, is_cut_off) = match inner.committer.try_lock() {
            Ok(mut committer) => {
                let fenced = committer.fenced();
                inner.take_note(&committer);
                (fenced, committer.is_cut_off())
            }
            // A busy committer must not hide the end of the lease.
            Err(_) => {
                let tenure = inner.tenure.lock();
                let lost = tenure.as_ref().filter(|tenure| tenure.is_lost());
                (lost.map(|tenure| StoreError::Fenced { epoch: tenure.epoch }), false)
            }
        };
        if let Some(fenced) = fenced {
            return Err(fenced);
        }
        if inner.inbox.rewound.load(Ordering::Relaxed) {
            return Err(rewound(&inner.base.server, LOST));
        }
        // The next connection may lead to another server, and a dispatcher without work would not commit there.
        if is_cut_off {
            self.commit_with(CALL, async |committer, _| committer.ready().await).await?;
        }
        let sql = format!(
            "SELECT n.last_value, (SELECT max(id) FROM saga_inbox WHERE id > $1 AND id <= $2),
                    EXISTS (SELECT FROM saga_arrival WHERE shard = $3 AND id > $4) FROM {} n",
            inbox_sequence(shard)
        );
        let (before, end) = inbox_range(shard);
        let number = number(shard);
        // The read that follows begins at the start once a minute.
        let after = inner.arrivals.lock().begin();
        let highest = inner.inbox.highest.load(Ordering::Relaxed);
        let woken = inner.inbox.woken.load(Ordering::Relaxed).max(before);
        let (last, newest, arrived): (i64, Option<i64>, bool) = self
            .read(async move |client| {
                let rows = read::query(client, &sql, &[&woken, &end, &number, &after]).await?;
                Ok((rows[0].try_get(0)?, rows[0].try_get(1)?, rows[0].try_get(2)?))
            })
            .await?;
        if last < highest {
            inner.inbox.rewound.store(true, Ordering::Relaxed);
            return Err(rewound(&inner.base.server, LOST));
        }
        // The number is drawn before its row is visible, so only the row counts.
        let Some(newest) = newest else { return Ok(arrived) };
        inner.inbox.saw(newest);
        // The read of the inbox that follows moves what has arrived.
        Ok(inner.inbox.woken.fetch_max(newest, Ordering::Relaxed) < newest || arrived)
    }

    async fn woken(&self) {
        match self.shared.inner.local() {
            Some(local) => local.delivered.notified().await,
            None => std::future::pending().await,
        }
    }
}

fn delivery(row: &Row) -> Result<Result<(DeliveryId, Delivery), Unreadable>, Error> {
    let id = DeliveryId(row.try_get(0)?);
    let of = (row.try_get(1)?, row.try_get(2)?);
    let read = read_delivery(of, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    Ok(read.map(|delivery| (id, delivery)))
}

#[async_trait]
impl Maintain for PostgresStore {
    async fn register(&self, consumers: &[ConsumerRow]) -> Result<(), StoreError> {
        const SQL: &str =
            "WITH returned AS (DELETE FROM saga_pause WHERE kind = 'consumer' AND name = ANY ($2::text[]))
                           INSERT INTO saga_consumer (event, consumer, subscriber)
                           SELECT * FROM unnest($1::text[], $2::text[], $3::bool[]) ON CONFLICT DO NOTHING";
        let consumers = consumers.to_vec();
        self.read(async move |client| {
            let event: Vec<&str> = consumers.iter().map(|row| &*row.event).collect();
            let consumer: Vec<&str> = consumers.iter().map(|row| &*row.consumer).collect();
            let subscriber: Vec<bool> = consumers.iter().map(|row| row.subscriber).collect();
            client.execute(SQL, &[&event, &consumer, &subscriber]).await.map(drop)
        })
        .await
    }

    async fn define(&self, definitions: &[StoredDefinition]) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO saga_definition (saga, version, body)
                           SELECT * FROM unnest($1::text[], $2::int8[], $3::text[])
                           ON CONFLICT (saga, version) DO UPDATE SET body = excluded.body";
        let body = |definition| {
            serde_json::to_string(definition).map_err(|error| refuse(self.name(), error.to_string()))
        };
        let bodies = definitions.iter().map(body).collect::<Result<Vec<_>, _>>()?;
        let saga: Vec<String> = definitions.iter().map(|definition| definition.saga.clone()).collect();
        let version: Vec<i64> = definitions.iter().map(|definition| definition.version.into()).collect();
        self.read(async move |client| client.execute(SQL, &[&saga, &version, &bodies]).await.map(drop)).await
    }

    async fn rename(&self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError> {
        let names = names.to_vec();
        let (holder, shards) = (self.shared.inner.base.holder, i64::from(self.shards()));
        let (clash, clashed) = std::sync::mpsc::channel();
        let renamed = self
            .transaction(RENAME, async move |tx| match rename::rename(tx, (holder, shards), &names).await? {
                Ok(moved) => Ok(Some((moved, sagas(tx).await?))),
                Err(why) => {
                    // The receiver waits for the end of this transaction.
                    let _ = clash.send(why);
                    Ok(None)
                }
            })
            .await?;
        match (renamed, clashed.try_recv()) {
            (Some((moved, sagas)), _) => {
                self.commit_with(CALL, async move |committer, _| {
                    if let Some(held) = &mut committer.held {
                        held.set_sagas(sagas);
                    }
                    Ok(())
                })
                .await?;
                Ok(moved)
            }
            (None, Ok(Refusal::Clash(retired, key))) => {
                let RetiredName { was, name, .. } = *retired;
                Err(StoreError::Clash { store: self.name().to_owned(), was, name, key })
            }
            (None, Ok(Refusal::Shared)) => Err(StoreError::Owned {
                store: self.name().to_owned(),
                owner: "another process that shares it".to_owned(),
            }),
            (None, Err(_)) => Err(unavailable(self.name(), "the rename was rolled back")),
        }
    }

    async fn purge(&self, before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let shard = self.shared.inner.shard;
        // Commits wait for each of these transactions, so long histories are removed in portions.
        let mut all = Purged::default();
        loop {
            let instances = limit.saturating_sub(i64::try_from(all.instances).unwrap_or(i64::MAX));
            let portion = self
                .transaction(CALL, async move |tx| {
                    maintain::purge(tx, shard, before.as_millis(), (instances, limit)).await.map(Some)
                })
                .await;
            let portion = match portion {
                Ok(portion) => portion.unwrap_or_default(),
                // What was removed before is counted, and the caller finds the error at its next call.
                Err(_) if all != Purged::default() => return Ok(all),
                Err(error) => return Err(error),
            };
            all.instances += portion.purged.instances;
            all.dedup += portion.purged.dedup;
            if !portion.more {
                return Ok(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_pass_over_moved_rows_when_no_older_transaction_is_open() {
        let mut arrivals = Arrivals::new();
        arrivals.moved(10, None);
        assert_eq!(arrivals.begin(), 0);
        arrivals.moved(12, Some((700, 703)));
        assert_eq!(arrivals.begin(), 0, "transactions 700 to 702 can have rows below 10");
        arrivals.moved(20, Some((702, 710)));
        assert_eq!(arrivals.begin(), 0, "transaction 702 is still open");
        arrivals.moved(20, Some((703, 711)));
        assert_eq!(arrivals.begin(), 10);
        arrivals.moved(20, Some((711, 711)));
        assert_eq!(arrivals.begin(), 20);
    }
}
