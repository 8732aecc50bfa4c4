//! The member: looks who shares the store, takes free shards, and hands shards over.
//!
//! Owns: the moments of these actions, and the units of this process. Does not own: how many shards a process should have
//! (`balance`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{self, JoinSet};

use super::balance::{Plan, View, balance};
use super::setbacks::Setbacks;
use super::{LAST, Sharing, Unit, is_passing, leave};
use crate::dispatcher::ending::{DROPPED, HANDED_OVER, NO_RUNTIME};
use crate::dispatcher::error::StartError;
use crate::dispatcher::health::Figures;
use crate::dispatcher::mailbox::Request;
use crate::dispatcher::starting::{Leased, Leasing, admitted, watched};
use crate::dispatcher::tempo::{Busy, limit};
use crate::dispatcher::unit::Parts;
use crate::dispatcher::{Health, Shared};
use crate::engine::{In, StartProblem};
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

/// The owner of a shard that this process does not take now. No process has this name.
const NOBODY: &str = "";

pub(super) struct Member {
    parts: Parts,
    sharing: Weak<Sharing>,
    store: Arc<dyn Store>,
    node: Node,
    /// The handle of each shard.
    shards: Vec<Arc<dyn Store>>,
    shared: Arc<Shared>,
    taking: JoinSet<(u16, Result<Taken, NotTaken>)>,
    /// The shards in `taking`.
    wanted: BTreeMap<u16, task::Id>,
    /// The shard that is being handed over, and its answer.
    giving: Option<(u16, oneshot::Receiver<bool>)>,
    setbacks: Setbacks,
    /// The retired consumers at the last look.
    retired: Option<Vec<String>>,
    /// Completes when the runtime of the handlers has ended.
    runtime_gone: oneshot::Receiver<()>,
    /// The names of the processes at the last look, and since when they are these.
    known: (Vec<String>, Duration),
    /// Until when the start waits for the other processes to know the consumers of this one.
    known_by: Duration,
    /// Answered after the first round, or with the reason why this build must not run on the store.
    first: Option<First>,
}

type First = oneshot::Sender<Result<(), Vec<StartProblem>>>;

/// A lease with everything that its unit needs.
struct Taken {
    lease: Lease,
    leased: Leased,
    pauses: Vec<Pause>,
}

/// Why a lease was not taken, or was given back.
enum NotTaken {
    Store(StoreError),
    /// This build must not run on the store, for example because a later build has renamed a saga.
    Refused(Vec<StartProblem>),
}

/// Ends the waits for the member when its thread ends, for whatever reason.
struct End {
    rested: watch::Sender<bool>,
    shared: Arc<Shared>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.rested.send_replace(true);
        if std::thread::panicking() {
            let why =
                "the thread that shares the store panicked; report the panic and start the dispatcher again";
            tracing::error!(why, "the dispatcher takes no further shard");
            self.shared.stop_with(Health::Stopped { why: why.to_owned() });
        }
    }
}

impl Member {
    /// Starts the thread. The answer comes when the first free shards are taken.
    pub(super) fn start(
        parts: Parts,
        sharing: &Arc<Sharing>,
        shared: Arc<Shared>,
    ) -> Result<oneshot::Receiver<Result<(), Vec<StartProblem>>>, StartError> {
        let (first, is_first) = oneshot::channel();
        let store = Arc::clone(&sharing.store);
        let (_, runtime_gone) = watched(parts.runtime.clone());
        let end = End { rested: sharing.rested.clone(), shared: Arc::clone(&shared) };
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
            setbacks: Setbacks::default(),
            retired: None,
            runtime_gone,
            first: Some(first),
        };
        std::thread::Builder::new()
            .name("saga-member".to_owned())
            .spawn(move || {
                let _end = end;
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
        self.share().await;
        self.finish().await;
    }

    /// Looks and acts until the process stops.
    async fn share(&mut self) {
        // The clock of a test stands still while the member works.
        let mut busy = Busy::by(&*self.parts.clock);
        while let Some(sharing) = self.sharing.upgrade() {
            if sharing.is_stopping() {
                break;
            }
            if !matches!(self.runtime_gone.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                sharing.stop_because(NO_RUNTIME, &self.shared);
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
                let _ = first.send(Ok(()));
            }
            let wake = Arc::clone(&sharing.wake);
            // Only handles keep the units running.
            drop(sharing);
            let soon = !calm || self.first.is_some();
            busy = self.rest(busy, &wake, if soon { SOON } else { LOOK }).await;
        }
    }

    /// Waits for the next look, or for a lease.
    async fn rest(&mut self, busy: Busy, wake: &Notify, interval: Duration) -> Busy {
        let clock = Arc::clone(&self.parts.clock);
        let (taken, busy) = tokio::select! {
            biased;
            Some(taken) = self.taking.join_next_with_id(), if !self.taking.is_empty() => {
                (Some(taken), Busy::by(&*clock))
            }
            () = wake.notified() => (None, Busy::by(&*clock)),
            busy = busy.pause(&*clock, interval) => (None, busy),
        };
        match taken {
            Some(Ok((_, (number, taken)))) => {
                self.wanted.remove(&number);
                self.taken(number, taken).await;
            }
            Some(Err(error)) => {
                let number = self.wanted.iter().find(|(_, id)| **id == error.id()).map(|(number, _)| *number);
                if let Some(number) = number {
                    self.wanted.remove(&number);
                    tracing::error!(shard = number, %error, "a shard cannot be taken");
                    self.setbacks.died(number, &error.to_string(), self.parts.clock.now().mono);
                }
            }
            None => {}
        }
        busy
    }

    /// Forgets units that have ended: their shard was handed over, or their lease is lost. The thread of a unit gives the lease
    /// back before it ends.
    fn reap(&mut self, sharing: &Sharing) {
        let now = self.parts.clock.now().mono;
        let ended = sharing.all_units().into_iter().filter(|(_, unit)| unit.mailbox.is_closed());
        for (number, unit) in ended {
            let why = match &*unit.shared.health.borrow() {
                Health::Stopped { why } => why.clone(),
                _ => "its thread has ended".to_owned(),
            };
            tracing::info!(shard = number, why, "a shard is no longer run by this process");
            sharing.set_unit(number, None);
            if why != HANDED_OVER {
                self.setbacks.died(number, &why, now);
            }
        }
        let Some((number, answer)) = &mut self.giving else { return };
        let is_given_up = matches!(answer.try_recv(), Ok(false));
        if is_given_up {
            self.setbacks.given_up(*number, now);
        }
        // After the answer, the unit still gives the lease back.
        if is_given_up || !sharing.here().contains(number) {
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
        self.compare_retired(sharing, &meeting);
        let plan = self.plan(sharing, &meeting);
        let here = sharing.here();
        let calm =
            is_balanced(&self.node.name, &here, &meeting) && self.taking.is_empty() && self.giving.is_none();
        sharing.seen.send_modify(|seen| {
            seen.meeting = meeting;
            seen.trouble = None;
        });
        for number in plan.take.into_iter().filter(|number| !here.contains(number)) {
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

    /// Makes all units of this process read the pauses again after a consumer was retired, or is no longer retired.
    fn compare_retired(&mut self, sharing: &Sharing, meeting: &Meeting) {
        if self.retired.as_ref() == Some(&meeting.retired) {
            return;
        }
        self.retired = Some(meeting.retired.clone());
        for (_, unit) in sharing.all_units() {
            // A unit that has ended needs no pauses.
            let _ = unit.mailbox.send(Request::Tell(Box::new(In::PausesChanged)));
        }
    }

    fn plan(&mut self, sharing: &Sharing, meeting: &Meeting) -> Plan {
        let mut here = sharing.here();
        here.extend(self.wanted.keys());
        let mut view = view(&self.node.name, &here, meeting);
        let now = self.parts.clock.now().mono;
        let names: Vec<String> = view.nodes.iter().map(|(name, _)| (*name).to_owned()).collect();
        if self.known.0 != names {
            self.known = (names, now);
        }
        for (number, owner) in (0..).zip(&mut view.owners) {
            // Other free shards go first.
            if owner.is_none() && !self.setbacks.may_take(number, now) {
                *owner = Some(NOBODY);
            }
        }
        let mut plan = balance(&view);
        let is_young = now.saturating_sub(self.known.1) < CALM;
        let is_busy = is_young || self.giving.is_some() || !self.taking.is_empty();
        plan.give = plan.give.filter(|_| !is_busy).and_then(|_| self.oldest(sharing, now));
        plan
    }

    /// Returns the shard that this process has run for the longest time, so that a rolling update moves few shards twice. A shard
    /// with a hand-over that was given up comes after the others.
    fn oldest(&self, sharing: &Sharing, now: Duration) -> Option<u16> {
        let units =
            sharing.all_units().into_iter().filter(|(number, _)| self.setbacks.may_give(*number, now));
        units
            .min_by_key(|(number, unit)| (self.setbacks.given_up_at(*number), unit.since, *number))
            .map(|(number, _)| number)
    }

    /// Takes the lease of a shard. The store decides whether its owner has been silent for long enough.
    fn take(&mut self, number: u16) {
        let Some(store) = self.shards.get(usize::from(number)) else { return };
        if self.wanted.contains_key(&number) {
            return;
        }
        let (store, name) = (Arc::clone(store), self.node.name.clone());
        let (registry, clock) = (Arc::clone(&self.parts.registry), Arc::clone(&self.parts.clock));
        let task = self.taking.spawn(async move {
            let lease = match Leasing::begin(Arc::clone(&store), name).await {
                Ok(lease) => lease,
                Err(error) => return (number, Err(NotTaken::Store(error))),
            };
            let leased = Leased::new(Arc::clone(&store), lease.clone());
            // A later build can have renamed a saga while no shard had an owner.
            let why = match admitted(&*store, &registry).await {
                Ok(Ok(pauses)) => return (number, Ok(Taken { lease, leased, pauses })),
                Ok(Err(problems)) => NotTaken::Refused(problems),
                Err(error) => NotTaken::Store(error),
            };
            leased.give_back(&*clock).await;
            (number, Err(why))
        });
        self.wanted.insert(number, task.id());
    }

    /// Handles the end of a [`take`](Self::take).
    async fn taken(&mut self, number: u16, taken: Result<Taken, NotTaken>) {
        let sharing = self.sharing.upgrade();
        match (taken, sharing) {
            (Ok(taken), Some(sharing)) if !sharing.is_stopping() => self.open(&sharing, number, taken),
            (Ok(Taken { leased, .. }), _) => leased.give_back(&*self.parts.clock).await,
            (Err(NotTaken::Refused(problems)), Some(sharing)) => {
                let why = StartProblem::join(&problems);
                sharing.stop_because(&why, &self.shared);
                if let Some(first) = self.first.take() {
                    // The caller may have been dropped.
                    let _ = first.send(Err(problems));
                }
            }
            (Err(NotTaken::Store(error)), _) if !is_passing(&error) => {
                let why = chain(&error).to_string();
                tracing::error!(shard = number, why, "a shard cannot be taken");
                self.setbacks.died(number, &why, self.parts.clock.now().mono);
            }
            (Err(_), _) => {}
        }
    }

    /// Starts the unit of a lease.
    fn open(&mut self, sharing: &Sharing, number: u16, Taken { lease, leased, pauses }: Taken) {
        let Some(store) = self.shards.get(usize::from(number)) else { return };
        let shared = Arc::new(Shared::new(1));
        match self.parts.start(store, (lease, leased), pauses, &shared, &self.shared) {
            Ok(mailbox) => {
                tracing::info!(shard = number, "this process runs a shard");
                // The pauses can have changed since they were read.
                let _ = mailbox.send(Request::Tell(Box::new(In::PausesChanged)));
                let since = self.parts.clock.now().mono;
                sharing.set_unit(number, Some(Unit { mailbox, shared, since }));
            }
            Err(error) => {
                let why = chain(&error).to_string();
                tracing::error!(shard = number, why, "a shard cannot be run");
                self.setbacks.died(number, &why, self.parts.clock.now().mono);
            }
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
        let now = self.parts.clock.now();
        let of_store = trouble.or(degraded);
        self.shared.is_one_shard.store(of_store.is_none(), Ordering::Release);
        let (why, now) = (of_store.or_else(|| self.setbacks.why(now.mono)), now.wall);
        self.shared.health.send_if_modified(|health| match (why, &*health) {
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
            () = limit(&*clock, LAST) => {}
        }
        let is_told = matches!(&*self.shared.health.borrow(), Health::Stopped { .. });
        if is_told || self.sharing.upgrade().is_none() {
            // Nobody calls `shutdown`: the last handle was dropped, or the process must not go on. The units end by themselves.
            leave(&*self.store, &self.node, &*clock).await;
        }
        if !is_told && self.sharing.upgrade().is_none() {
            self.shared.stop_with(Health::Stopped { why: DROPPED.to_owned() });
        }
    }
}

/// What a meeting means for the balance. `here` are the shards that this process runs or takes. A process that is silent for
/// the `ttl` of the store does not count.
fn view<'a>(me: &'a str, here: &BTreeSet<u16>, meeting: &'a Meeting) -> View<'a> {
    let nodes = meeting.nodes.iter().filter(|node| node.silent <= meeting.ttl);
    let owners = (0..).zip(&meeting.owners).map(|(number, owner)| match owner {
        Some(owner) if owner.what != me && owner.silent <= meeting.ttl / 3 => Some(&*owner.what),
        // The begin and the end of an own unit are seen here, and not in the store.
        _ => here.contains(&number).then_some(me),
    });
    View {
        me,
        nodes: nodes.map(|node| (&*node.what.name, node.what.build)).collect(),
        owners: owners.collect(),
    }
}

/// Returns whether no shard is free, and no process has more than its share.
pub(super) fn is_balanced(me: &str, here: &BTreeSet<u16>, meeting: &Meeting) -> bool {
    let view = view(me, here, meeting);
    let balanced = view.nodes.iter().all(|(name, _)| {
        let plan = balance(&View { me: name, ..view.clone() });
        plan == Plan::default()
    });
    balanced && view.owners.iter().all(Option::is_some)
}
