//! The member: looks who shares the store, takes free shards, and hands shards over.
//!
//! Owns: the moments of these actions, and the units of this process. Does not own: how many shards a process should have
//! (`balance`).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use super::balance::{Plan, View, balance};
use super::{Sharing, Unit, is_passing};
use crate::dispatcher::error::StartError;
use crate::dispatcher::health::Figures;
use crate::dispatcher::mailbox::Request;
use crate::dispatcher::starting::{Leased, Leasing};
use crate::dispatcher::tempo::Busy;
use crate::dispatcher::unit::Parts;
use crate::dispatcher::{Health, Shared};
use crate::message::chain;
use crate::store::{Lease, Meeting, Node, Pause, ShardId, Store, StoreError};

/// The interval of the looks.
const LOOK: Duration = Duration::from_secs(1);
/// The interval while a shard is free or on its way.
const SOON: Duration = Duration::from_millis(100);
/// How long a hand-over waits for running attempts. After that, it is given up and tried again later.
const HAND_OVER: Duration = Duration::from_secs(5);
/// The shortest time between the join or end of a process and the first hand-over, so that several changes are one.
const CALM: Duration = Duration::from_secs(2);
/// How long a start waits for the other processes to know its consumers.
const KNOWN: Duration = Duration::from_secs(5);
/// The time limit for leases that are being taken at the end.
const LAST: Duration = Duration::from_secs(5);

pub(super) struct Member {
    parts: Parts,
    sharing: Weak<Sharing>,
    store: Arc<dyn Store>,
    node: Node,
    /// The handle of each shard.
    shards: Vec<Arc<dyn Store>>,
    shared: Arc<Shared>,
    taking: JoinSet<(u16, Result<Taken, StoreError>)>,
    /// The shards in `taking`.
    wanted: BTreeMap<u16, ()>,
    /// The shard that is being handed over, and its answer.
    giving: Option<(u16, oneshot::Receiver<bool>)>,
    /// The names of the processes at the last look, and since when they are these.
    known: (Vec<String>, Duration),
    /// Until when the start waits for the other processes to know the consumers of this one.
    known_by: Duration,
    /// Answered after the first round.
    first: Option<oneshot::Sender<()>>,
}

/// A lease with everything that its unit needs.
struct Taken {
    lease: Lease,
    leased: Leased,
    pauses: Vec<Pause>,
}

impl Member {
    /// Starts the thread. The answer comes when the first free shards are taken.
    pub(super) fn start(
        parts: Parts,
        sharing: &Arc<Sharing>,
        shared: Arc<Shared>,
    ) -> Result<oneshot::Receiver<()>, StartError> {
        let (first, is_first) = oneshot::channel();
        let store = Arc::clone(&sharing.store);
        let shards = ShardId::all(sharing.of).map(|id| store.shard(id).unwrap_or_else(|| Arc::clone(&store)));
        let member = Self {
            shards: shards.collect(),
            known: (Vec::new(), parts.clock.now().mono),
            known_by: parts.clock.now().mono.saturating_add(KNOWN),
            parts,
            sharing: Arc::downgrade(sharing),
            store,
            node: sharing.node.clone(),
            shared,
            taking: JoinSet::new(),
            wanted: BTreeMap::new(),
            giving: None,
            first: Some(first),
        };
        std::thread::Builder::new()
            .name("saga-member".to_owned())
            .spawn(move || {
                let own = tokio::runtime::Builder::new_current_thread().enable_time().build();
                match own {
                    Ok(own) => own.block_on(member.run()),
                    Err(error) => {
                        let why = format!("the thread that shares the store could not be built: {error}");
                        member.shared.stop_with(Health::Stopped { why });
                    }
                }
            })
            .map_err(StartError::Thread)?;
        Ok(is_first)
    }

    async fn run(mut self) {
        // The clock of a test stands still while the member works.
        let mut busy = Busy::by(&*self.parts.clock);
        while let Some(sharing) = self.sharing.upgrade() {
            if sharing.is_stopping() {
                break;
            }
            self.reap(&sharing);
            let calm = self.look(&sharing).await;
            self.publish(&sharing);
            let known = self.is_known(&sharing) || self.parts.clock.now().mono >= self.known_by;
            if self.taking.is_empty()
                && known
                && let Some(first) = self.first.take()
            {
                // The caller may have been dropped.
                let _ = first.send(());
            }
            let wake = Arc::clone(&sharing.wake);
            // Only handles keep the units running.
            drop(sharing);
            let soon = !calm || self.first.is_some();
            busy = self.rest(busy, &wake, if soon { SOON } else { LOOK }).await;
        }
        drop(busy);
        self.finish().await;
    }

    /// Waits for the next look, or for a lease.
    async fn rest(&mut self, busy: Busy, wake: &Notify, interval: Duration) -> Busy {
        let clock = Arc::clone(&self.parts.clock);
        let (taken, busy) = tokio::select! {
            biased;
            Some(taken) = self.taking.join_next(), if !self.taking.is_empty() => {
                (Some(taken), Busy::by(&*clock))
            }
            () = wake.notified() => (None, Busy::by(&*clock)),
            busy = busy.pause(&*clock, interval) => (None, busy),
        };
        if let (Some(Ok((number, taken))), Some(sharing)) = (taken, self.sharing.upgrade()) {
            self.wanted.remove(&number);
            self.open(&sharing, number, taken);
        }
        busy
    }

    /// Forgets units that have ended: their shard was handed over, or their lease is lost.
    fn reap(&mut self, sharing: &Sharing) {
        for (number, unit) in sharing.all_units() {
            if let Health::Stopped { why } = &*unit.shared.health.borrow() {
                tracing::info!(shard = number, why, "a shard is no longer run by this process");
                sharing.set_unit(number, None);
            }
        }
        if let Some((_, answer)) = &mut self.giving
            && !matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        {
            self.giving = None;
        }
    }

    /// Looks at all processes, and acts. Returns whether nothing is on its way.
    async fn look(&mut self, sharing: &Sharing) -> bool {
        let meeting = match self.store.meet(&self.node).await {
            Ok(meeting) => meeting,
            Err(error) => {
                let why = chain(&error).to_string();
                tracing::warn!(why, "the processes that share the store cannot be read");
                sharing.seen.send_modify(|seen| seen.trouble = Some(why));
                return true;
            }
        };
        self.learn(&meeting).await;
        let plan = self.plan(&meeting);
        let calm = is_balanced(&self.node.name, &meeting) && self.taking.is_empty() && self.giving.is_none();
        sharing.seen.send_modify(|seen| {
            seen.meeting = meeting;
            seen.trouble = None;
        });
        for number in plan.take {
            self.take(number);
        }
        if let Some(number) = plan.give {
            self.give(sharing, number);
        }
        calm
    }

    /// Learns the consumers that other processes have registered.
    async fn learn(&mut self, meeting: &Meeting) {
        if meeting.consumers == self.node.consumers {
            return;
        }
        match self.store.consumers().await {
            Ok(consumers) => {
                self.parts.registry.learn(&consumers);
                // The others hear of it with the next sign of life.
                self.node.consumers = consumers.len() as u64;
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the consumers cannot be read; trying again");
            }
        }
    }

    /// Returns whether the other living processes know the consumers of this one. What is published after the start reaches
    /// them (rule R28).
    fn is_known(&self, sharing: &Sharing) -> bool {
        let seen = sharing.seen.borrow();
        let others = seen.meeting.nodes.iter().filter(|node| node.what.name != self.node.name);
        let mut others = others.filter(|node| node.silent <= seen.meeting.ttl);
        others.all(|node| node.what.consumers >= self.node.consumers)
    }

    fn plan(&mut self, meeting: &Meeting) -> Plan {
        let view = view(&self.node.name, meeting);
        let now = self.parts.clock.now().mono;
        let names: Vec<String> = view.nodes.iter().map(|(name, _)| (*name).to_owned()).collect();
        if self.known.0 != names {
            self.known = (names, now);
        }
        let mut plan = balance(&view);
        let is_young = now.saturating_sub(self.known.1) < CALM;
        if is_young || self.giving.is_some() || !self.taking.is_empty() {
            plan.give = None;
        }
        plan
    }

    /// Takes the lease of a shard. The store decides whether its owner has been silent for long enough.
    fn take(&mut self, number: u16) {
        let Some(store) = self.shards.get(usize::from(number)) else { return };
        if self.wanted.insert(number, ()).is_some() {
            return;
        }
        let (store, name) = (Arc::clone(store), self.node.name.clone());
        self.taking.spawn(async move {
            let taken = async {
                let lease = Leasing::begin(Arc::clone(&store), name).await?;
                let leased = Leased::new(Arc::clone(&store), lease.clone());
                Ok(Taken { lease, leased, pauses: store.pauses().await? })
            };
            (number, taken.await)
        });
    }

    /// Starts the unit of a lease.
    fn open(&self, sharing: &Sharing, number: u16, taken: Result<Taken, StoreError>) {
        let Taken { lease, leased, pauses } = match taken {
            Ok(taken) => taken,
            Err(error) if is_passing(&error) => return,
            Err(error) => {
                let why = chain(&error).to_string();
                tracing::error!(shard = number, why, "a shard cannot be taken");
                return;
            }
        };
        let Some(store) = self.shards.get(usize::from(number)) else { return };
        let shared = Arc::new(Shared::new(1));
        match self.parts.start(store, (lease, leased), pauses, &shared, &self.shared) {
            Ok(mailbox) => {
                tracing::info!(shard = number, "this process runs a shard");
                sharing.set_unit(number, Some(Unit { mailbox, shared }));
            }
            Err(error) => tracing::error!(shard = number, error = %chain(&error), "a shard cannot be run"),
        }
    }

    fn give(&mut self, sharing: &Sharing, number: u16) {
        let Some((_, unit)) = sharing.all_units().into_iter().find(|(own, _)| *own == number) else { return };
        let (answer, answered) = oneshot::channel();
        if unit.mailbox.send(Request::HandOver(HAND_OVER, answer)).is_ok() {
            tracing::info!(shard = number, "a shard is handed over");
            self.giving = Some((number, answered));
        }
    }

    /// Publishes the health and the figures of all units together.
    fn publish(&self, sharing: &Sharing) {
        let units = sharing.all_units();
        let figures = units.iter().map(|(_, unit)| unit.shared.figures.borrow().clone());
        self.shared.publish(Figures::together(figures));
        let trouble = sharing.seen.borrow().trouble.clone();
        let degraded = units.iter().find_map(|(_, unit)| match &*unit.shared.health.borrow() {
            Health::Degraded { why, .. } => Some(why.clone()),
            _ => None,
        });
        let now = self.parts.clock.now().wall;
        self.shared.health.send_if_modified(|health| match (trouble.or(degraded), &*health) {
            (_, Health::Stopped { .. }) => false,
            (Some(why), Health::Degraded { why: known, .. }) if why == *known => false,
            (Some(why), _) => {
                *health = Health::Degraded { why, since: now };
                true
            }
            (None, Health::Running) => false,
            (None, _) => {
                *health = Health::Running;
                true
            }
        });
    }

    /// Gives back what is being taken. The caller of the stop ends the units.
    async fn finish(mut self) {
        let clock = Arc::clone(&self.parts.clock);
        let given_back = async {
            while let Some(taken) = self.taking.join_next().await {
                if let Ok((_, Ok(Taken { leased, .. }))) = taken {
                    leased.give_back(&*clock).await;
                }
            }
        };
        tokio::select! {
            () = given_back => {}
            () = crate::dispatcher::tempo::limit(&*clock, LAST) => {}
        }
        match self.sharing.upgrade() {
            Some(sharing) => drop(sharing.rested.send_replace(true)),
            None => {
                // The last handle was dropped. The units end by themselves.
                let _ = self.store.leave(&self.node).await;
                self.shared.stop_with(Health::Stopped { why: crate::dispatcher::ending::DROPPED.to_owned() });
            }
        }
    }
}

/// What a meeting means for the balance. A process that is silent for the `ttl` of the store does not count.
fn view<'a>(me: &'a str, meeting: &'a Meeting) -> View<'a> {
    let nodes = meeting.nodes.iter().filter(|node| node.silent <= meeting.ttl);
    let owners = meeting.owners.iter().map(|owner| {
        let owner = owner.as_ref().filter(|owner| owner.silent <= meeting.ttl / 3);
        owner.map(|owner| &*owner.what)
    });
    View {
        me,
        nodes: nodes.map(|node| (&*node.what.name, node.what.build)).collect(),
        owners: owners.collect(),
    }
}

/// Returns whether no shard is free, and no process has more than its share.
pub(super) fn is_balanced(me: &str, meeting: &Meeting) -> bool {
    let view = view(me, meeting);
    let balanced = view.nodes.iter().all(|(name, _)| {
        let plan = balance(&View { me: name, ..view.clone() });
        plan == Plan::default()
    });
    balanced && view.owners.iter().all(Option::is_some)
}
