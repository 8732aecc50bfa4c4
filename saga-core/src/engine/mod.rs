//! The engine: accepts, orders, commits, starts, retries and wakes. It performs no I/O itself (sans I/O).
//!
//! ```text
//!   In ──▶ Shard::handle(input, moment) ──▶ Out          plain values in, plain values out
//!               │        ▲
//!   next_batch()▼        │ In::Committed(outcomes)       one batch at a time, the next one ready behind it
//!             store.commit
//! ```
//!
//! Owns: queues per instance, the cache, start permits, attempts and their policies, deliveries, the window of timers,
//! recovery, back-pressure. Does not own: decisions (the `machine`), threads, sockets, clocks, SQL. Those belong to the
//! `dispatcher` and the stores. A simulator drives the same code.

mod advance;
mod attempts;
mod attention;
mod cache;
mod clock;
mod disposition;
pub(crate) mod exposure;
mod intake;
mod invariant;
mod io;
mod log;
mod pauses;
mod problem;
mod registry;
#[cfg(test)]
mod simulation;
mod slot;
mod store_verb;
mod timers;
mod tracer;

pub use attempts::{AttemptCounts, Durations, HandlerStatus, Policy};
pub use attention::Attention;
pub use disposition::Disposition;
pub use io::Moment;
pub use problem::StartProblem;
pub use store_verb::StoreVerb;
pub use tracer::{Traced, TracedKind, Tracer};

pub(crate) use disposition::{ConsumerAnswer, Rejection};
pub(crate) use intake::{Claim, TakeUp, Withdrawal};
pub(crate) use io::{Accepted, Answer, Attempt, AttemptEnd, AttemptKey, In, Out, Ticket, Until, Waiter};
pub(crate) use registry::{Consumer, Registry};

use crate::message::Map;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::machine::Input;
use crate::message::{Id, Incarnation, PayloadLimits};
use crate::store::{Address, Batch, Lease, RowId};
use advance::{Purpose, Queued};
use attempts::{Deliveries, Lanes};
use intake::{Awaited, Intake, Operated, TakeUps};
use pauses::Pauses;
use slot::Slot;
use timers::Timers;

/// The limits of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) payload: PayloadLimits,
    /// Events that may wait at one instance (rule R29).
    pub(crate) waiting: usize,
    /// Sagas that an event may come through (rule R29).
    pub(crate) hops: u32,
    /// Bytes of all instances in memory.
    pub(crate) cache_bytes: usize,
    /// The maximum size of one batch, in steps and in bytes.
    pub(crate) batch_steps: usize,
    pub(crate) batch_bytes: usize,
    /// The number of waiting steps from which a batch is built before the previous outcomes are handled.
    pub(crate) early_steps: usize,
    /// Rows of one page that is read from the store.
    pub(crate) page: usize,
    /// Items from the store that may wait in memory.
    pub(crate) taken_up: usize,
    /// Timers in the timer window.
    pub(crate) timers: usize,
    /// Tasks found after an unclean start that may run at the same time (rule R19).
    pub(crate) recovering: usize,
    /// How often in a row a task may be found begun before its instance is parked (rule R19).
    pub(crate) recoveries: u32,
}

impl Limits {
    /// The part of one of `shards` equal shards in what one process keeps in memory and runs again.
    pub(crate) fn share(&self, shards: u16) -> Self {
        let of = usize::from(shards).max(1);
        let part = |whole: usize, least: usize| (whole / of).max(whole.min(least));
        Self {
            cache_bytes: part(self.cache_bytes, 1 << 20),
            taken_up: part(self.taken_up, 2 * self.page),
            timers: part(self.timers, 2 * self.page),
            recovering: part(self.recovering, 1),
            ..self.clone()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload: PayloadLimits::DEFAULT,
            waiting: 1_000,
            hops: 100,
            cache_bytes: 32 << 20,
            batch_steps: 256,
            batch_bytes: 1 << 20,
            early_steps: 16,
            page: 500,
            taken_up: 10_000,
            timers: 100_000,
            recovering: 16,
            recoveries: 8,
        }
    }
}

/// Owns instances and advances them. Each lease holder has one shard.
pub(crate) struct Shard {
    registry: Arc<Registry>,
    limits: Limits,
    lease: Lease,
    moment: Moment,
    offset: clock::Offset,
    random: Box<dyn FnMut() -> u128 + Send>,
    /// Boxed, because the table allocates up to twice as many entries.
    slots: Map<Address, Box<Slot>>,
    /// The instance of each row, for timers and tasks that name only the row.
    rows: Map<RowId, Address>,
    lanes: Lanes,
    deliveries: Deliveries,
    timers: Timers,
    /// Steps that wait for the next batch.
    ready: VecDeque<Queued>,
    /// The batch in progress and the batch behind it, with the purpose of each step.
    under_way: VecDeque<(Vec<Purpose>, Arc<Batch>)>,
    batches: u64,
    steps: u64,
    intake: Intake,
    /// Events that wait for their instance to start.
    awaited: BTreeSet<Awaited>,
    lru: cache::Lru,
    take_ups: TakeUps,
    pauses: Pauses,
    /// Verbs that wait for the read of their dead letter.
    operated: BTreeMap<u64, Operated>,
    stopping: bool,
    /// Another process may have ended the lease. No attempt starts.
    lapsed: bool,
    /// The shard is about to go to another process. No attempt starts.
    closing: bool,
    /// The start, by the monotonic clock.
    began: Duration,
    /// True if an attempt began and the store does not know this attempt. Then the lease must not be given back.
    unrecorded_attempts: bool,
    /// Whether the application is told what a person should know.
    attention: bool,
    /// The first broken invariant.
    broken: Option<String>,
    out: Vec<Out>,
    tally: Tally,
}

/// Counters for operators, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps of instances that are durable.
    pub steps: u64,
    /// Batches that were committed.
    pub batches: u64,
    /// Attempts of handlers and subscribers that were started.
    pub attempts: u64,
    /// Timers that fired after the end of their visit.
    pub stale_timers: u64,
    /// Events, deliveries and outcomes that became dead letters. Conflicts that share one dead letter are counted each
    /// time.
    pub dead_letters: u64,
    /// Failures of best-effort commands.
    pub best_effort_failures: u64,
    /// How often an instance was parked.
    pub parked: u64,
    /// Undos that were tried for more than 24 hours, counted once each.
    pub overdue: u64,
}

impl Tally {
    /// Adds the counters of another engine.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { steps, batches, attempts, stale_timers, dead_letters, .. } = other;
        self.steps += steps;
        self.batches += batches;
        self.attempts += attempts;
        self.stale_timers += stale_timers;
        self.dead_letters += dead_letters;
        self.best_effort_failures += other.best_effort_failures;
        self.parked += other.parked;
        self.overdue += other.overdue;
    }
}

impl Shard {
    /// Creates an engine under `lease`. [`start`](Self::start) must be called first.
    pub(crate) fn new(
        registry: Arc<Registry>,
        limits: Limits,
        lease: Lease,
        random: Box<dyn FnMut() -> u128 + Send>,
    ) -> Self {
        let lanes = Lanes::new(&registry, lease.shard);
        Self {
            timers: Timers::new(limits.timers),
            registry,
            limits,
            lease,
            moment: Moment::default(),
            offset: clock::Offset::default(),
            random,
            slots: Map::default(),
            rows: Map::default(),
            lanes,
            deliveries: Deliveries::default(),
            ready: VecDeque::new(),
            under_way: VecDeque::new(),
            batches: 0,
            steps: 0,
            intake: Intake::default(),
            awaited: BTreeSet::new(),
            lru: cache::Lru::default(),
            take_ups: TakeUps::default(),
            pauses: Pauses::default(),
            operated: BTreeMap::new(),
            stopping: false,
            lapsed: false,
            closing: false,
            began: Duration::ZERO,
            unrecorded_attempts: false,
            attention: false,
            broken: None,
            out: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Handles one input. [`take_out`](Self::take_out) returns the resulting requests.
    ///
    /// After a broken invariant nothing more is handled or committed. The next start reads the store.
    pub(crate) fn handle(&mut self, input: In, moment: Moment) {
        if self.broken.is_some() {
            return;
        }
        self.moment = moment;
        self.follow_clock();
        match input {
            In::Publish { event, ticket } => self.publish(event, ticket),
            In::Verb { address, verb, ticket, claim } => self.verb(address, verb, ticket, claim),
            In::Wait { address, waiter, ticket } => self.wait(address, waiter, ticket),
            In::Unwait { address, id } => self.unwait(&address, id),
            In::TakeUp(of) => self.take_up_for(of),
            In::Operate { verb, operator, ticket, claim } => self.operate(verb, operator, ticket, &claim),
            In::Letter { verb, found } => self.fetched_letter(verb, found),
            In::Live { verb, instances } => self.counted_live(verb, instances),
            In::Retired { mail, deliveries, more } => self.fetched_retired(mail, deliveries, more),
            In::LookedThroughInbox { rows, more } => self.looked_through_inbox(rows, more),
            In::Committed(outcomes) => {
                self.committed(outcomes);
                self.read_deliveries_on();
            }
            In::Ended { attempt, how } => self.ended(attempt, how),
            In::Save { attempt, saved, ticket } => self.save(attempt, saved, ticket),
            In::Heartbeat { attempt } => self.heartbeat(attempt),
            In::Loaded { addresses, found } => self.loaded(addresses, found),
            In::Waiting { address, rows } => self.fetched_waiting(address, rows),
            In::Inbox { rows, more } => self.fetched_inbox(rows, more),
            In::Tasks { rows, more } => self.fetched_tasks(rows, more),
            In::Compensating { rows, more } => self.fetched_compensating(rows, more),
            In::Deliveries { rows, more } => self.fetched_deliveries(rows, more),
            In::Timers { rows, more } => self.fetched_timers(rows, more),
            In::Woken => self.woken(),
            In::Purged => self.purged(),
            In::Lapsed(lapsed) => self.set_lapsed(lapsed),
            In::Closing(closing) => self.set_closing(closing),
            In::PausesChanged => self.read_pauses(),
            In::Pauses(stored) => self.fetched_pauses(stored),
            In::Tick => {}
            In::Stop => self.stop(),
        }
        self.wake();
        self.look_again();
        self.read_on();
        self.look_through_inbox();
        self.bury_on();
        self.evict();
    }

    /// Takes the pending requests, in order.
    pub(crate) fn take_out(&mut self) -> Vec<Out> {
        self.request_loads();
        std::mem::take(&mut self.out)
    }

    /// The next batch to commit. `None` if a batch is in progress or no step waits.
    pub(crate) fn next_batch(&mut self) -> Option<Arc<Batch>> {
        let waits = self.under_way.is_empty() && !self.ready.is_empty() && self.broken.is_none();
        waits.then(|| self.batch())
    }

    /// The batch to commit while the outcomes of the previous batch are handled. These outcomes have arrived, but
    /// [`In::Committed`] has not been called yet. `None` if only a few steps wait, because the callers are then
    /// answered first.
    ///
    /// No step of this batch depends on those outcomes, because an instance has at most one step in progress.
    pub(crate) fn next_batch_early(&mut self) -> Option<Arc<Batch>> {
        let worth_it = self.under_way.len() == 1 && self.ready.len() >= self.limits.early_steps;
        (worth_it && self.broken.is_none()).then(|| self.batch())
    }

    fn batch(&mut self) -> Arc<Batch> {
        let room = self.ready.len().min(self.limits.batch_steps);
        let (mut steps, mut purposes, mut bytes) = (Vec::with_capacity(room), Vec::with_capacity(room), 0);
        while let Some(next) = self.ready.pop_front() {
            bytes += weight(&next.step);
            steps.push(*next.step);
            purposes.push(next.purpose);
            if steps.len() >= self.limits.batch_steps || bytes >= self.limits.batch_bytes {
                break;
            }
        }
        self.batches += 1;
        let batch = Arc::new(Batch { number: self.batches, steps });
        self.under_way.push_back((purposes, Arc::clone(&batch)));
        batch
    }

    /// The latest time for the next [`In::Tick`], by the wall clock and by the monotonic clock.
    pub(crate) fn next_wake(&self) -> (Option<crate::message::Timestamp>, Option<std::time::Duration>) {
        // A stopping engine starts no attempt, so a due attempt needs no wake-up.
        let attempt = self.lanes.next_due().filter(|_| !self.stopping);
        // A commit or a load in progress wakes the engine before the next timer fires.
        let timer = self.timers.next().filter(|_| self.has_room_for_timers());
        let wall = [timer, attempt, self.next_awaited()].into_iter().flatten().min();
        (wall, self.lanes.next_deadline())
    }

    /// True when nothing is in flight: no batch, no step, no attempt, and no outcome that waits for an instance to
    /// load.
    pub(crate) fn is_quiet(&self) -> bool {
        let outcome = |item: &slot::Item| matches!(item.what, Input::Report(..)) && item.inbox.is_none();
        self.is_committed()
            && self.lanes.running() == 0
            && !self.slots.values().any(|slot| slot.runs.has_unstored() || slot.queue.iter().any(outcome))
    }

    /// True if the store knows every attempt that began. Only then may the lease be given back.
    pub(crate) fn may_release(&self) -> bool {
        self.is_quiet() && !self.unrecorded_attempts
    }

    /// True if no step waits for a commit.
    pub(crate) fn is_committed(&self) -> bool {
        self.under_way.is_empty() && self.ready.is_empty()
    }

    pub(crate) fn running(&self) -> usize {
        self.lanes.running()
    }

    /// Number of steps that wait for a commit.
    pub(crate) fn queued_steps(&self) -> usize {
        self.ready.len()
    }

    /// The due time of the first timer, if it has passed.
    pub(crate) fn late_timer(&self) -> Option<crate::message::Timestamp> {
        self.timers.next().filter(|due| *due < self.moment.wall)
    }

    /// The longest delay of a timer that has fired since the call before.
    pub(crate) fn take_timer_late(&mut self) -> std::time::Duration {
        std::mem::take(&mut self.timers.late)
    }

    /// True while the inbox is not read to its end.
    pub(crate) fn is_taking_up(&self) -> bool {
        self.intake.is_behind()
    }

    /// The condition of each handler and subscriber.
    pub(crate) fn handlers(&self) -> Vec<HandlerStatus> {
        self.lanes.statuses()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// The identity of the next step. No other step has this identity, in this epoch or in another one.
    fn next_step(&mut self) -> Id {
        self.steps += 1;
        Id::from_u128(u128::from(self.lease.epoch) << 64 | u128::from(self.steps))
    }

    fn incarnation(&mut self) -> Incarnation {
        Incarnation::from_u128((self.random)())
    }

    /// A random number, evenly distributed between 0 and 1.
    fn jitter(&mut self) -> f64 {
        let bits = (self.random)() >> 75;
        // An `f64` represents 53 bits exactly.
        #[allow(clippy::cast_precision_loss)]
        let even = bits as f64;
        even / (1_u64 << 53) as f64
    }

    fn queue_step(&mut self, purpose: Purpose, step: impl Into<Box<crate::store::Step>>) {
        self.take_ups.queued += 1;
        self.ready.push_back(Queued { purpose, step: step.into() });
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard")
            .field("lease", &self.lease)
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// Estimates the bytes of a step, for the size limit of a batch.
fn weight(step: &crate::store::Step) -> usize {
    let instance =
        step.instance.as_ref().map_or(0, |i| i.data.len() + i.payload.as_ref().map_or(0, |p| p.len()));
    let history: usize = step.history.iter().filter_map(|line| line.payload.as_ref()).map(|p| p.len()).sum();
    let mail: usize = step.mail.iter().map(|mail| mail.message.payload.len()).sum();
    let letters: usize = step.dead.iter().map(|letter| letter.message.payload.len()).sum();
    let audit: usize = step.audit.iter().filter_map(|row| row.payload.as_ref()).map(|p| p.len()).sum();
    512 + instance + history + mail + letters + audit
}

/// The smallest key of an ordered map.
fn first_key<K: Clone + Ord, V>(map: &BTreeMap<K, V>) -> Option<K> {
    map.first_key_value().map(|(key, _)| key.clone())
}
