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

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use super::error::{ShutdownError, StartError};
use super::line::Line;
use super::mailbox::{Mailbox, Request};
use super::starting::{Leased, Leasing, Patient};
use super::unit::Parts;
use super::{CallLimits, Dispatcher, Health, Shared, starting};
use crate::engine::Registry;
use crate::store::{Address, ConsumerRow, Meeting, Node, ShardId, Store, StoreError};
use member::Member;

pub use nodes::{NodeView, Nodes};

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
}

impl Sharing {
    /// Returns the mailbox of the unit that runs this instance, if it is in this process.
    pub(super) fn mailbox_of(&self, address: &Address) -> Option<Mailbox> {
        let number = usize::from(ShardId::of_address(address, self.of).number());
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        units.get(number)?.as_ref().map(|unit| unit.mailbox.clone())
    }

    pub(super) fn any_mailbox(&self) -> Option<Mailbox> {
        self.all_units().into_iter().next().map(|(_, unit)| unit.mailbox)
    }

    fn all_units(&self) -> Vec<(u16, Unit)> {
        let units = self.units.read().unwrap_or_else(PoisonError::into_inner);
        let here = (0..).zip(&*units).filter_map(|(number, unit)| Some((number, unit.clone()?)));
        here.collect()
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
        self.rest().await;
        let asked = self.all_units().into_iter().map(|(_, unit)| {
            let (answer, answered) = oneshot::channel();
            // A unit that has ended drops the sender.
            let _ = unit.mailbox.send(Request::Shutdown(grace, answer));
            answered
        });
        let asked: Vec<_> = asked.collect();
        let mut result = Ok(());
        for answered in asked {
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

    /// Ends all units like a killed process.
    #[cfg(any(test, feature = "testing"))]
    pub(super) async fn kill(&self, shared: &Shared) {
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
    async fn rest(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.notify_one();
        // The member owns the other end while it runs.
        let _ = self.rested.subscribe().wait_for(|rested| *rested).await;
    }

    async fn end(&self, shared: &Shared, why: &str) {
        // The others see it at their next look, or when this process is silent.
        let _ = self.store.leave(&self.node).await;
        shared.stop_with(Health::Stopped { why: why.to_owned() });
    }
}

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
    });
    let dispatcher =
        Dispatcher::new(&parts, Line::Many(Arc::clone(&sharing)), store, Arc::clone(&shared), limits);
    let first = Member::start(parts, &sharing, shared)?;
    drop(sharing);
    // The member drops the sender if it ends early.
    let _ = first.await;
    Ok(dispatcher)
}

/// Prepares the stored data for this build. A rename needs a store without another owner.
pub(super) async fn prepare(
    store: &Arc<dyn Store>,
    registry: &Registry,
    patient: &Patient<'_>,
    (consumers, stored): (&[ConsumerRow], &[ConsumerRow]),
    owner: &str,
) -> Result<(), StartError> {
    if super::retired::names(registry).is_empty() {
        let prepared = patient.ask(|| starting::prepare(&**store, registry, consumers, stored)).await?;
        return prepared.map(drop).map_err(|problems| StartError::Retired { problems });
    }
    // All shards at once, so that no other process has the earlier name in memory.
    let mut leased: Vec<(Arc<dyn Store>, Leased)> = Vec::new();
    let shards = ShardId::all(store.shards()).map(|id| store.shard(id).unwrap_or_else(|| Arc::clone(store)));
    for shard in shards {
        let lease = patient.ask(|| Leasing::begin(Arc::clone(&shard), owner.to_owned())).await?;
        leased.push((Arc::clone(&shard), Leased::new(shard, lease)));
    }
    let prepared = match leased.first() {
        Some((first, _)) => patient.ask(|| starting::prepare(&**first, registry, consumers, stored)).await,
        None => Ok(Ok(Vec::new())),
    };
    for (_, leased) in leased {
        leased.give_back(patient.clock()).await;
    }
    prepared?.map(drop).map_err(|problems| StartError::Retired { problems })
}

/// Returns whether another try can help.
fn is_passing(error: &StoreError) -> bool {
    error.is_temporary() || matches!(error, StoreError::Owned { .. } | StoreError::Fenced { .. })
}
