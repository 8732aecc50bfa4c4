//! The lease: taking it, showing that its holder lives, and ending it.
//!
//! Owns: the row of the lease. A holder counts its beats up. A process that sees the same count for the `ttl` by its own
//! clock ends the lease. No clock of the server or of another machine takes part, so neither a wrong clock nor an outage of
//! the server ends a lease: during an outage no process reads the count. Kubernetes elects its leaders in the same way. Does not
//! own: the fence of a commit, which locks this row (`committer`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use saga_core::message::chain;
use saga_core::store::{AuditLink, Lease, ShardId, StoreError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, GenericClient};

use crate::committer::{Committer, Held, NEXT_BLOCK, Numbers, newest_inbox_row, rewound, sagas, timeline};
use crate::connection::{Role, Server};
use crate::error::{of_store, refuse, unavailable};
use crate::schema;
use crate::shard::{inbox_range, number, owns};
use crate::tenure::{self, Tenure};

/// The beats of another holder, as this process sees them.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    epoch: i64,
    beats: i64,
    /// The first look with this number of beats, and the last one.
    since: Instant,
    last: Instant,
    looks: u32,
    /// The holder has counted up between two looks.
    lives: bool,
}

/// The fewest looks that show the silence of a holder.
const LOOKS: u32 = 3;

/// The answer to one try to take the lease.
#[derive(Debug)]
pub(crate) enum Look {
    Taken(Lease),
    Owned {
        owner: String,
        /// Whether the holder has shown that it lives. Otherwise another look is needed.
        lives: bool,
    },
}

/// The lease of another holder.
struct Other {
    epoch: i64,
    owner: String,
    beats: i64,
    /// How long the holder may be silent.
    ttl: Duration,
    /// The lease belongs to this handle.
    is_own: bool,
}

/// The result of a try to take the lease.
enum Taken {
    Held(Box<Held>, Lease),
    Owned(String, bool),
    /// The tables were migrated since the store was opened.
    Version(i32),
    /// The server has given a number of an earlier lease once more.
    Used(i64),
}

impl Committer {
    /// Tries to take the lease. A holder that is known to be silent loses it.
    pub(crate) async fn lease(
        &mut self,
        owner: &str,
        ttl: Duration,
        wake: &Arc<Notify>,
    ) -> Result<Look, StoreError> {
        // The lease of this handle is superseded, and its statement in flight is not waited for. The next one goes on from what
        // the server has.
        self.held = None;
        self.inbox.forget();
        if let Err(error) = self.ready().await {
            self.observed = None;
            return Err(error);
        }
        match self.take(owner, ttl, wake).await {
            Ok(Taken::Held(held, lease)) => {
                (self.held, self.observed, self.lost) = (Some(*held), None, None);
                Ok(Look::Taken(lease))
            }
            Ok(Taken::Owned(owner, lives)) => Ok(Look::Owned { owner, lives }),
            Ok(Taken::Version(version)) => Err(refuse(
                &self.server.name,
                format!(
                    "the tables were migrated to version {version}, and this build knows version {}; update this application",
                    schema::latest()
                ),
            )),
            Ok(Taken::Used(epoch)) => Err(rewound(
                &self.server,
                format!(
                    "lease {epoch} was given before; set the sequence `saga_epoch` above all epochs of the store"
                ),
            )),
            Err(error) => {
                // A failed read is no sign of silence.
                self.observed = None;
                Err(self.drop_session(error))
            }
        }
    }

    async fn take(&mut self, owner: &str, ttl: Duration, wake: &Arc<Notify>) -> Result<Taken, Error> {
        let Some(session) = &mut self.session else { return Ok(Taken::Owned(String::new(), false)) };
        let shard = self.shard;
        let (sent, mut linger) = (tenure::now(), ttl);
        let tx = session.client.transaction().await?;
        // One taker at a time, and no migration meanwhile.
        let meta = tx.query_one("SELECT version FROM saga_meta WHERE id = 1 FOR UPDATE", &[]).await?;
        let version: i32 = meta.try_get(0)?;
        if usize::try_from(version) != Ok(schema::latest()) {
            return Ok(Taken::Version(version));
        }
        if let Some(other) = other(&tx, shard, self.holder).await? {
            if !other.is_own {
                // Two releases may have different settings.
                let ttl = ttl.max(other.ttl);
                linger = ttl;
                let seen = Observed::look(self.observed.take(), &other, ttl);
                let (is_silent, lives) = (seen.is_silent(ttl), seen.lives);
                self.observed = Some(seen);
                if !is_silent {
                    return Ok(Taken::Owned(other.owner, lives));
                }
            }
            // A statement of the holder is in flight if its row is locked.
            const FREE: &str =
                "SELECT 1 FROM saga_lease WHERE epoch = $1 AND shard = $2 FOR UPDATE SKIP LOCKED";
            if tx.query_opt(FREE, &[&other.epoch, &number(shard)]).await?.is_none() {
                return Ok(Taken::Owned(other.owner, false));
            }
            // A sign of life after the look shows that the holder lives. From here on it waits for the end of this transaction.
            const SILENT: &str = "DELETE FROM saga_beat WHERE epoch = $1 AND beats = $2";
            const BEATS: &str = "SELECT 1 FROM saga_beat WHERE epoch = $1";
            if !other.is_own
                && tx.execute(SILENT, &[&other.epoch, &other.beats]).await? == 0
                && tx.query_opt(BEATS, &[&other.epoch]).await?.is_some()
            {
                return Ok(Taken::Owned(other.owner, true));
            }
            if !other.is_own {
                let Other { owner, epoch, .. } = &other;
                tracing::warn!(owner, epoch, "the lease of a silent owner is ended");
            }
            end(&tx, shard, other.epoch, None).await?;
        }
        let epoch: i64 = tx.query_one("SELECT nextval('saga_epoch')", &[]).await?.try_get(0)?;
        const ADD: &str =
            "INSERT INTO saga_lease (epoch, gen, ttl, holder, owner, shard) VALUES ($1, 0, $2, $3, $4, $5)";
        let millis = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        tx.execute(ADD, &[&epoch, &millis, &self.holder, &owner, &number(shard)]).await?;
        for ended in ENDED {
            tx.execute(ended, &[]).await?;
        }
        tx.execute("INSERT INTO saga_beat (epoch, beats) VALUES ($1, 0)", &[&epoch]).await?;
        let unclean: i64 = tx
            .query_one("SELECT unclean FROM saga_shard WHERE id = $1", &[&number(shard)])
            .await?
            .try_get(0)?;
        let numbers = match shard.is_whole() {
            true => Numbers::block(tx.query_one(NEXT_BLOCK, &[]).await?.try_get(0)?),
            false => Numbers::of_shard(shard, tx.query_one(HIGHEST, &[]).await?.try_get(0)?),
        };
        if epoch <= unclean {
            return Ok(Taken::Used(epoch));
        }
        const VISIBLE: &str = "SELECT coalesce(max(id), $1) FROM saga_inbox WHERE id BETWEEN $1 AND $2";
        let inbox: i64 = tx.query_one(&newest_inbox_row(shard), &[]).await?.try_get(0)?;
        let (before, last) = inbox_range(shard);
        let visible: i64 = tx.query_one(VISIBLE, &[&before, &last]).await?.try_get(0)?;
        tx.execute("INSERT INTO saga_alive (epoch) VALUES ($1)", &[&epoch]).await?;
        let (link, sagas) = (link(&tx, shard).await?, sagas(&tx).await?);
        tx.commit().await?;
        // A fail-over before this read ends the connection, and the read with it.
        let timeline = timeline(&session.client).await?;
        // A number is drawn before its row is visible. The first reads of the dispatcher find the visible rows.
        self.inbox.woken.store(visible, Ordering::Relaxed);
        self.inbox.highest.fetch_max(inbox, Ordering::Relaxed);
        let tenure = Arc::new(Tenure::new(epoch.cast_unsigned(), ttl, sent));
        let heart =
            Heart::start(Arc::clone(&self.server), shard, tenure, (self.holder, ttl / 5), Arc::clone(wake));
        let lease = Lease { epoch: epoch.cast_unsigned(), unclean: unclean.cast_unsigned(), linger, shard };
        Ok(Taken::Held(
            Box::new(Held::new(epoch, numbers, link, sagas, (self.holder, timeline), heart)),
            lease,
        ))
    }

    /// Ends the lease. No handler was running.
    pub(crate) async fn release(&mut self, lease: &Lease) -> Result<(), StoreError> {
        self.ready().await?;
        let epoch = self.holding(lease)?.epoch;
        const RELEASE: &str = "DELETE FROM saga_lease WHERE epoch = $1 AND shard = $2";
        const BURIED: &str = "SELECT 1 FROM saga_shard WHERE id = $2 AND unclean >= $1";
        let number = number(self.shard);
        let client = self.client()?;
        let released = async {
            if client.execute(RELEASE, &[&epoch, &number]).await? == 1 {
                return Ok(true);
            }
            // An earlier call may have been durable without an answer.
            Ok(client.query_opt(BURIED, &[&epoch, &number]).await?.is_none())
        };
        match released.await {
            Ok(true) => {
                self.held = None;
                // A process can have a handle for each shard, and owns only some of them.
                self.session = None;
                Ok(())
            }
            Ok(false) => Err(self.lost(lease.epoch)),
            Err(error) => Err(self.drop_session(error)),
        }
    }

    /// Returns the error of a lease that another process has ended.
    pub(crate) fn fenced(&mut self) -> Option<StoreError> {
        if let Some(held) = self.held.as_ref().filter(|held| held.heart.tenure().is_lost()) {
            let epoch = held.epoch.cast_unsigned();
            return Some(self.lost(epoch));
        }
        self.lost.map(|epoch| StoreError::Fenced { epoch })
    }

    /// Ends the lease as unclean, so that the next process needs not wait. Without an answer of the server, the next process
    /// waits for the `ttl`.
    pub(crate) async fn abandon(&mut self, epoch: Option<u64>) {
        let Some(held) =
            self.held.take_if(|held| epoch.is_none_or(|epoch| held.epoch.cast_unsigned() == epoch))
        else {
            return;
        };
        let (epoch, holder) = (held.epoch, self.holder);
        drop(held);
        if self.ready().await.is_err() {
            return;
        }
        let Some(session) = &mut self.session else { return };
        let shard = self.shard;
        let ended = async {
            let tx = session.client.transaction().await?;
            end(&tx, shard, epoch, Some(holder)).await?;
            tx.commit().await
        };
        if let Err(error) = ended.await {
            tracing::warn!(error = %chain(&error), "a lease was not ended; the next process waits until it is silent");
        }
        self.session = None;
    }
}

/// Reads the present lease.
async fn other(
    client: &impl GenericClient,
    shard: ShardId,
    holder: uuid::Uuid,
) -> Result<Option<Other>, Error> {
    const LEASE: &str = "SELECT l.epoch, l.owner, coalesce(b.beats, 0), l.holder = $1, l.ttl
                         FROM saga_lease l LEFT JOIN saga_beat b ON b.epoch = l.epoch WHERE l.shard = $2";
    let row = client.query_opt(LEASE, &[&holder, &number(shard)]).await?;
    row.map(|row| {
        Ok(Other {
            epoch: row.try_get(0)?,
            owner: row.try_get(1)?,
            beats: row.try_get(2)?,
            is_own: row.try_get(3)?,
            ttl: Duration::from_millis(row.try_get::<_, i64>(4)?.unsigned_abs()),
        })
    })
    .transpose()
}

/// Ends a lease whose handlers may be running, of this holder if one is given.
async fn end(
    client: &impl GenericClient,
    shard: ShardId,
    epoch: i64,
    holder: Option<uuid::Uuid>,
) -> Result<(), Error> {
    const UNCLEAN: &str = "UPDATE saga_shard SET unclean = greatest(unclean, $1) WHERE id = $2";
    // After a fail-over, another holder can have the same epoch.
    const END: &str =
        "DELETE FROM saga_lease WHERE epoch = $1 AND holder = coalesce($2, holder) AND shard = $3";
    if client.execute(END, &[&epoch, &holder, &number(shard)]).await? == 1 {
        client.execute(UNCLEAN, &[&epoch, &number(shard)]).await?;
    }
    Ok(())
}

/// The chain of the audit goes on from the last row of the shard.
async fn link(client: &impl GenericClient, shard: ShardId) -> Result<AuditLink, Error> {
    let own = owns("id", Some(shard));
    let newest = format!("SELECT link FROM saga_audit WHERE {own} ORDER BY id DESC LIMIT 1");
    let row = client.query_opt(&newest, &[]).await?;
    let Some(row) = row else { return Ok(AuditLink::FIRST) };
    let link: &[u8] = row.try_get(0)?;
    // A damaged link stays visible: the chain of the next row does not fit it.
    Ok(link.try_into().map_or(AuditLink::FIRST, AuditLink))
}

impl Observed {
    fn look(before: Option<Self>, other: &Other, ttl: Duration) -> Self {
        let now = Instant::now();
        match before.filter(|seen| seen.epoch == other.epoch) {
            // Between two looks that are far apart, the server may have been away, for the holder too.
            Some(seen) if seen.beats == other.beats && now - seen.last <= ttl / 2 => {
                Self { looks: seen.looks.saturating_add(1), last: now, lives: false, ..seen }
            }
            seen => Self {
                epoch: other.epoch,
                beats: other.beats,
                since: now,
                last: now,
                looks: 1,
                lives: seen.is_some_and(|seen| seen.beats != other.beats),
            },
        }
    }

    fn is_silent(&self, ttl: Duration) -> bool {
        self.looks >= LOOKS && self.since.elapsed() >= ttl
    }
}

/// The sign of life of a holder. The drop ends it.
#[derive(Debug)]
pub(crate) struct Heart {
    task: JoinHandle<()>,
    tenure: Arc<Tenure>,
}

impl Heart {
    fn start(
        server: Arc<Server>,
        shard: ShardId,
        tenure: Arc<Tenure>,
        of: (uuid::Uuid, Duration),
        wake: Arc<Notify>,
    ) -> Self {
        let beat = beat(server, shard, Arc::clone(&tenure), of, wake);
        Self { task: tokio::spawn(beat), tenure }
    }

    /// What the signs of life have shown.
    pub(crate) const fn tenure(&self) -> &Arc<Tenure> {
        &self.tenure
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts the beats up until the lease ends. The connection also hears about deliveries of other processes.
async fn beat(
    server: Arc<Server>,
    shard: ShardId,
    tenure: Arc<Tenure>,
    (holder, interval): (uuid::Uuid, Duration),
    wake: Arc<Notify>,
) {
    let epoch = tenure.epoch.cast_signed();
    let mut client: Option<Client> = None;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A new connection takes longer than a beat, and has its own limit.
        if client.as_ref().is_none_or(Client::is_closed) {
            client = match connect(&server, shard, &wake).await {
                Ok(new) => Some(new),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the server does not take the sign of life");
                    continue;
                }
            };
        }
        let Some(open) = &client else { continue };
        let sent = tenure::now();
        // A late answer counts from the moment of its sending, so it may take as long as the lease lasts without it.
        let beaten = tokio::time::timeout(interval * 4, async {
            const BEAT: &str = "UPDATE saga_beat SET beats = beats + 1 WHERE epoch = $1
                                AND EXISTS (SELECT FROM saga_lease WHERE epoch = $1 AND holder = $2 AND shard = $3)";
            open.execute(BEAT, &[&epoch, &holder, &number(shard)])
                .await
                .map_err(|error| of_store(&server.name, error))
        });
        match beaten.await {
            Ok(Ok(1)) => tenure.beaten(sent),
            Ok(Ok(_)) => {
                tracing::warn!(epoch, "the lease was ended by another process");
                tenure.lose();
                wake.notify_one();
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&error), "the server does not take the sign of life");
                client = None;
            }
            Err(_) => {
                tracing::warn!("the server does not answer to the sign of life");
                client = None;
            }
        }
    }
}

async fn connect(server: &Server, shard: ShardId, wake: &Arc<Notify>) -> Result<Client, StoreError> {
    let client = server.connect(Role::Beat, Some(Arc::clone(wake))).await?;
    // A sign of life is as durable as a commit. A server that was replaced while it waits for its replica takes none.
    let listen = format!("LISTEN {}; LISTEN {}", channel(server), channel_of(server, shard.number()));
    let ready = async {
        schema::check_session(server, &client).await?;
        client.batch_execute(&listen).await.map_err(|error| of_store(&server.name, error))
    };
    match tokio::time::timeout(server.connect_timeout(), ready).await {
        Ok(ready) => ready.map(|()| client),
        Err(_) => Err(unavailable(&server.name, "the server does not answer")),
    }
}

/// The channel of the notifications about deliveries to one shard.
pub(crate) fn channel_of(server: &Server, shard: u16) -> String {
    format!("{}_{shard}", channel(server))
}

/// What ended leases have left.
const ENDED: [&str; 3] = [
    "DELETE FROM saga_beat WHERE epoch NOT IN (SELECT epoch FROM saga_lease)",
    "DELETE FROM saga_batch WHERE epoch NOT IN (SELECT epoch FROM saga_lease)",
    "DELETE FROM saga_alive WHERE epoch NOT IN (SELECT epoch FROM saga_lease)",
];

/// The highest number that any table has from a lease holder. Each of them is the last entry of an index.
const HIGHEST: &str = "SELECT greatest((SELECT max(row_number) FROM saga_shard),
    (SELECT coalesce(max(id), 0) FROM saga_instance), (SELECT coalesce(max(id), 0) FROM saga_history),
    (SELECT coalesce(max(id), 0) FROM saga_delivery), (SELECT coalesce(max(id), 0) FROM saga_dead),
    (SELECT coalesce(max(id), 0) FROM saga_audit))";

/// The channel of the notifications about deliveries to any shard.
pub(crate) fn channel(server: &Server) -> String {
    format!("saga_mail_{}", server.schema)
}
