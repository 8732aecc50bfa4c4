//! Sharing: several processes run the shards of one store.
//!
//! ```text
//!  Dispatcher ──▶ Line::Many(Sharing) ──▶ unit of a shard here      an event takes the short way
//!                         │          └──▶ mail, for other processes  (away)
//!                         ▼
//!   Member: meet ──▶ balance ──▶ take a free shard, or hand one over   once a second, on a thread of its own
//! ```
//!
//! Owns: which shard has a unit in this process, and the way of a request to it. Does not own: the units (`unit`), the equal
//! shares (`balance`), or requests for other processes (`away`).

mod away;
mod balance;
mod member;
mod nodes;
mod setbacks;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use super::clock::Clock;
use super::error::{ShutdownError, StartError};
use super::line::Line;
use super::mailbox::{Mailbox, Request};
use super::starting::{Leased, Leasing, Patient};
use super::tempo::limit;
use super::unit::Parts;
use super::{CallLimits, Dispatcher, Health, Shared, retired, starting};
use crate::engine::Registry;
use crate::store::{Address, ConsumerRow, Meeting, Node, ShardId, Store, StoreError};
use member::Member;

pub use nodes::{NodeView, Nodes};

/// The time limit for the member and for the store at the end.
const LAST: Duration = Duration::from_secs(5);

/// The shards of this process, and what it sees of the others.
pub(super) struct Sharing {
    store: Arc<dyn Store>,
    of: u16,
    /// One for each shard. `None` if another process runs it, or nobody.
    units: RwLock<Vec<Option<Unit>>>,
    node: Node,
    seen: watch::Sender<Seen>,
    /// Makes the member look at once.
    wake: Arc<Notify>,
    stopping: AtomicBool,
    /// Becomes `true` when the member takes no further shard.
    rested: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
}

/// What the member saw last.
#[derive(Clone, Debug, Default)]
struct Seen {
    meeting: Meeting,
    /// Why the store could not be looked at.
    trouble: Option<String>,
}

/// A shard in this process.
#[derive(Clone)]
struct Unit {
    mailbox: Mailbox,
    shared: Arc<Shared>,
    since: Duration,
}

impl Sharing {
    /// Returns the mailbox of the unit that runs this instance, if it is in this process.
    pub(super) fn mailbox_of(&self, address: &Address) -> Option<Mailbox> {
        let number = usize::from(ShardId::of_address(address, self.of).number());
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        units.get(number)?.as_ref().map(|unit| unit.mailbox.clone())
    }

    fn all_units(&self) -> Vec<(u16, Unit)> {
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        let here = (0..).zip(&*units).filter_map(|(number, unit)| Some((number, unit.clone()?)));
        here.collect()
    }

    /// Returns the shards that this process runs.
    fn here(&self) -> BTreeSet<u16> {
        self.all_units().into_iter().map(|(number, _)| number).collect()
    }

    fn set_unit(&self, number: u16, unit: Option<Unit>) {
        let mut units = self.units.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = units.get_mut(usize::from(number)) {
            *place = unit;
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends all units of this process, and tells the others.
    pub(super) async fn shutdown(&self, grace: Duration, shared: &Shared) -> Result<(), ShutdownError> {
        self.stop();
        let mut asked = self.ask_to_stop(grace, &[]);
        // A unit that the member has opened at this moment is told after that.
        self.rest().await;
        let told: Vec<u16> = asked.iter().map(|(number, _)| *number).collect();
        asked.extend(self.ask_to_stop(grace, &told));
        let mut result = Ok(());
        for (_, answered) in asked {
            match answered.await {
                // Another process has the shard. It goes on from what is stored.
                Ok(Err(ShutdownError::Store(StoreError::Fenced { .. }) | ShutdownError::Failed(_))) => {}
                Ok(Err(error)) => result = result.and(Err(error)),
                // A unit that ended before has given its shard back, or lost it.
                Ok(Ok(())) | Err(_) => {}
            }
        }
        self.end(shared, super::ending::ASKED).await;
        result
    }

    /// Asks all units to stop, except for the `told` ones.
    fn ask_to_stop(&self, grace: Duration, told: &[u16]) -> Vec<(u16, Stopping)> {
        let units = self.all_units().into_iter().filter(|(number, _)| !told.contains(number));
        let asked = units.map(|(number, unit)| {
            let (answer, answered) = oneshot::channel();
            // A unit that has ended drops the sender.
            let _ = unit.mailbox.send(Request::Shutdown(grace, answer));
            (number, answered)
        });
        asked.collect()
    }

    /// Ends this process for the store, because it must not or cannot go on.
    fn stop_because(&self, why: &str, shared: &Shared) {
        tracing::error!(why, "the dispatcher stops");
        self.stop();
        shared.stop_with(Health::Stopped { why: why.to_owned() });
        drop(self.ask_to_stop(Duration::ZERO, &[]));
    }

    /// Ends all units like a killed process.
    #[cfg(any(test, feature = "testing"))]
    pub(super) async fn kill(&self, shared: &Shared) {
        self.stop();
        self.rest().await;
        for (_, unit) in self.all_units() {
            let (done, killed) = oneshot::channel();
            if unit.mailbox.send(Request::Kill(done)).is_ok() {
                let _ = killed.await;
            }
        }
        self.end(shared, "killed").await;
    }

    /// Lets the member take no further shard.
    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Waits until the member takes no further shard.
    async fn rest(&self) {
        let mut rested = self.rested.subscribe();
        tokio::select! {
            biased;
            // The thread of the member has the sender too, and says so at its end.
            _ = rested.wait_for(|rested| *rested) => {}
            () = limit(&*self.clock, LAST) => {}
        }
    }

    async fn end(&self, shared: &Shared, why: &str) {
        shared.stop_with(Health::Stopped { why: why.to_owned() });
        leave(&*self.store, &self.node, &*self.clock).await;
    }
}

/// Tells the others that this process has gone. Without this, they see that it is silent.
async fn leave(store: &dyn Store, node: &Node, clock: &dyn Clock) {
    tokio::select! {
        biased;
        _ = store.leave(node) => {}
        () = limit(clock, LAST) => {}
    }
}

/// Completes when a unit has stopped.
type Stopping = oneshot::Receiver<Result<(), ShutdownError>>;

impl Drop for Sharing {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// Shares the shards of `store`, and returns when this process has its part of the free ones.
pub(super) async fn join(
    parts: Parts,
    store: Arc<dyn Store>,
    (name, build): (String, u64),
    limits: CallLimits,
) -> Result<Dispatcher, StartError> {
    let of = store.shards();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    // Two processes can have the same name and number on different machines.
    let node = Node { name: format!("{name} ({})", &unique[..8]), build, consumers: 0 };
    let patient = Patient::new(&*parts.clock, limits.call);
    let meeting = patient.ask(|| store.meet(&node)).await?;
    let shared = Arc::new(Shared::new(limits.publishing));
    let sharing = Arc::new(Sharing {
        store: Arc::clone(&store),
        of,
        units: RwLock::new(vec![None; usize::from(of)]),
        node,
        seen: watch::Sender::new(Seen { meeting, ..Seen::default() }),
        wake: Arc::new(Notify::new()),
        stopping: AtomicBool::new(false),
        rested: watch::Sender::new(false),
        clock: Arc::clone(&parts.clock),
    });
    let dispatcher =
        Dispatcher::new(&parts, Line::Many(Arc::clone(&sharing)), store, Arc::clone(&shared), limits);
    let first = Member::start(parts, &sharing, shared)?;
    drop(sharing);
    match first.await {
        Ok(Err(problems)) => Err(StartError::Retired { problems }),
        // The member drops the sender if it ends early. The health says why.
        Ok(Ok(())) | Err(_) => Ok(dispatcher),
    }
}

/// Prepares the stored data for this build. A rename needs a store without another owner.
pub(super) async fn prepare(
    store: &Arc<dyn Store>,
    registry: &Registry,
    patient: &Patient<'_>,
    (consumers, stored): (&[ConsumerRow], &[ConsumerRow]),
    owner: &str,
) -> Result<(), StartError> {
    let mut names = retired::names(registry);
    let known = patient.ask(|| store.retired()).await?;
    if names.iter().all(|name| known.contains(name)) {
        names.clear();
    }
    let mut leased = Vec::new();
    let prepared = async {
        if !names.is_empty() {
            // All shards at once, so that no other process has the earlier name in memory.
            for id in ShardId::all(store.shards()) {
                let shard = store.shard(id).unwrap_or_else(|| Arc::clone(store));
                let lease = patient.ask(|| Leasing::begin(Arc::clone(&shard), owner.to_owned())).await?;
                leased.push((Arc::clone(&shard), Leased::new(shard, lease)));
            }
        }
        let first = leased.first().map_or(store, |(first, _)| first);
        patient.ask(|| starting::prepare(&**first, registry, &names, consumers, stored)).await
    };
    let prepared = prepared.await;
    for (_, leased) in leased {
        leased.give_back(patient.clock()).await;
    }
    prepared?.map(drop).map_err(|problems| StartError::Retired { problems })
}

/// Returns whether another try can help.
fn is_passing(error: &StoreError) -> bool {
    error.is_temporary() || matches!(error, StoreError::Owned { .. } | StoreError::Fenced { .. })
}
