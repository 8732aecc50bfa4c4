//! The thread of the dispatcher: it sends input to the engine and performs the engine's requests. It makes no
//! decisions. One pass is: perform, wait, translate, handle, and once a second the regular work.
//!
//! The dispatcher needs its own thread. A handler that blocks a worker of the application's runtime must not stop
//! timers, commits or other handlers. Does not own: the end of the thread (`ending`), or reading and writing the store
//! (`performing`).

use crate::message::Map;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet, unconstrained};

use super::Shared;
use super::attempts::Attempts;
use super::attention::Notices;
use super::clock::Clock;
use super::ending::{Closing, Ending, Finale};
use super::health::{Figures, Health};
use super::mailbox::{Ended, Request, Requests};
use super::meter::Meter;
use super::performing::{Commit, Outcomes, Read};
use super::tempo::{Busy, Tempo};
use crate::engine::{Answer, In, Moment, Registry, Shard, Ticket};
use crate::machine::PURGED;
use crate::message::chain;
use crate::store::{Batch, Lease, Store};

/// The longest wait, so that the dispatcher notices a corrected wall clock (rule R33).
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The interval of the check for writes of other processes and for a replaced store file.
const PULSE: Duration = Duration::from_secs(1);
/// The longest interval between two reads of the inbox.
const SCAN: Duration = Duration::from_secs(60);
/// The interval of the removal of expired records. The first removal follows soon after the first commit.
const PURGE: Duration = Duration::from_secs(60 * 60);
/// The time until a removal that has failed is repeated.
const PURGE_AGAIN: Duration = Duration::from_secs(60);
/// The interval of the metrics that are read from the store.
#[cfg(feature = "metrics")]
const MEASURE: Duration = Duration::from_secs(15);
/// The maximum number of inputs before the engine is asked for a batch again.
const BURST: usize = 256;

/// The state of the thread.
pub(super) struct EventLoop {
    pub(super) shard: Shard,
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) lease: Lease,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) requests: Requests,
    pub(super) attempts: Attempts,
    pub(super) notices: Notices,
    pub(super) meter: Meter,
    pub(super) ended: UnboundedReceiver<Ended>,
    /// Completes when the runtime of the handlers has ended.
    pub(super) runtime_gone: oneshot::Receiver<()>,
    pub(super) shared: Arc<Shared>,
    pub(super) window: Duration,
    pub(super) page: usize,
    /// The waiting callers.
    pub(super) tickets: Map<Ticket, oneshot::Sender<Answer>>,
    pub(super) last_ticket: Ticket,
    pub(super) ending: Option<Ending>,
    /// The shard goes to another process as soon as no attempt runs.
    pub(super) closing: Option<Closing>,
    /// Holds the manual clock back until the received input has been processed.
    pub(super) held_back: Vec<Busy>,
    pub(super) sources: Sources,
}

/// The sources of input that exist only while the thread runs.
pub(super) struct Sources {
    pub(super) tempo: Tempo,
    pub(super) reads: JoinSet<Read>,
    pub(super) commit: Option<Commit>,
    /// The beginning of the commit in progress, and its number of steps.
    commit_began: Option<(Moment, usize)>,
    /// Completes when another writer has added rows to the store.
    waker: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The last handle was dropped.
    closed: bool,
    runtime_gone: bool,
    /// Another process may have ended the lease.
    lapsed: bool,
    rounds: Rounds,
}

/// The due times of the regular work, by the monotonic clock.
struct Rounds {
    began: Moment,
    pulse: Duration,
    scan: Duration,
    purge: Duration,
    #[cfg(feature = "metrics")]
    measure: Duration,
    pulsing: bool,
    purged: bool,
    /// The store has refused a removal, and the next one comes sooner.
    purge_failed: Arc<AtomicBool>,
}

/// The event that wakes the thread.
enum Woke {
    StoreChanged,
    Committed(Outcomes),
    Read(Result<Read, JoinError>),
    RuntimeGone,
    Ended(Ended),
    Request(Option<Request>),
    Due,
}

impl Sources {
    pub(super) fn new(tempo: Tempo, store: &Arc<dyn Store>, began: Moment) -> Self {
        Self {
            tempo,
            reads: JoinSet::new(),
            commit: None,
            commit_began: None,
            waker: waker(store),
            closed: false,
            runtime_gone: false,
            lapsed: false,
            rounds: Rounds {
                began,
                pulse: began.mono.saturating_add(PULSE),
                scan: began.mono.saturating_add(SCAN),
                purge: PURGE,
                #[cfg(feature = "metrics")]
                measure: Duration::ZERO,
                pulsing: false,
                purged: false,
                purge_failed: Arc::default(),
            },
        }
    }

    /// Lets the removal of old records follow with the next pulse.
    pub(super) fn purge_soon(&mut self) {
        self.rounds.purge = Duration::ZERO;
    }

    /// Set by a removal that has failed.
    pub(super) fn purge_failed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.rounds.purge_failed)
    }
}

impl EventLoop {
    /// Runs until the shutdown, or until the store reports that nothing more may be written.
    pub(super) async fn run(mut self) -> Finale {
        self.shard.start(self.sources.rounds.began);
        self.publish_figures();
        self.compare_names();
        let mut taking_up = true;
        loop {
            if let Some(why) = self.shard.broken_invariant() {
                let why = format!("{why}; please report this, and start the dispatcher again");
                return self.fail(&why).await;
            }
            self.perform_all();
            let now = self.clock.now();
            self.close_if_due(now);
            if let Some(finale) = self.end_if_due(now).await {
                return finale;
            }
            self.rest_until_due(now);
            let woke = self.wake().await;
            let input = match self.received(woke).await {
                Ok(input) => input,
                Err(finale) => return finale,
            };
            let now = self.clock.now();
            self.watch_lease(now);
            if let Some(input) = input {
                self.shard.handle(input, now);
            }
            if let Err(finale) = self.handle_waiting(now).await {
                return finale;
            }
            self.pulse_if_due(now);
            if taking_up && !self.shard.is_taking_up() {
                // A probe learns at once that the dispatcher is ready.
                taking_up = false;
                self.publish_figures();
            }
        }
    }

    /// Tells the engine that another process may have ended the lease, or that the lease stands after all.
    fn watch_lease(&mut self, now: Moment) {
        let lapsed = self.store.has_lapsed();
        if lapsed != self.sources.lapsed {
            self.sources.lapsed = lapsed;
            if lapsed {
                tracing::warn!(
                    "the store has not taken a sign of life for too long; no attempt begins until it does"
                );
            }
            self.shard.handle(In::Lapsed(lapsed), now);
        }
    }

    /// Performs the requests of the engine, and begins the next commit.
    fn perform_all(&mut self) {
        for out in self.shard.take_out() {
            self.perform(out);
        }
        if self.sources.commit.is_none()
            && let Some(batch) = self.shard.next_batch()
        {
            self.begin_commit(batch);
        }
    }

    fn begin_commit(&mut self, batch: Arc<Batch>) {
        self.sources.commit_began = Some((self.clock.now(), batch.steps.len()));
        self.sources.commit = Some(Commit::begin(self.commit(batch)));
    }

    pub(super) fn publish_figures(&mut self) {
        let began = self.sources.commit_began.map(|(began, _)| began.wall);
        let figures = Figures::of(&mut self.shard, began);
        let available = matches!(*self.shared.health.borrow(), Health::Running);
        self.meter.tick(&figures, self.clock.now().wall, available);
        self.shared.publish(figures);
    }

    /// Sets the due time of the next wait.
    fn rest_until_due(&mut self, now: Moment) {
        let (by_wall, by_mono) = self.shard.next_wake();
        let by_wall = by_wall.map(|due| now.mono.saturating_add(due.since(now.wall)));
        let end = self.ending.as_ref().map(|ending| ending.by);
        let close = self.closing.as_ref().map(|closing| closing.by);
        let due = [by_wall, by_mono, end, close].into_iter().flatten().min();
        let latest = self.sources.rounds.pulse.min(now.mono.saturating_add(LONGEST_WAIT));
        self.sources.tempo.wait_for(due, latest);
        // Work caused by the input now holds the clock itself, and the clock knows the due times.
        self.held_back.clear();
    }

    /// Waits for the next event. Each source is cancel-safe, so no event is lost.
    async fn wake(&mut self) -> Woke {
        let Self { sources, requests, ended, runtime_gone, .. } = self;
        let Sources { tempo, reads, commit, waker, closed, runtime_gone: gone, .. } = sources;
        tokio::select! {
            biased;
            // First, so that an event published after a transaction is not handled before the transaction's events.
            () = waker => Woke::StoreChanged,
            outcomes = committed(commit) => Woke::Committed(outcomes),
            Some(read) = reads.join_next(), if !reads.is_empty() => Woke::Read(read),
            // Before the ends of the attempts that the end of the runtime has dropped.
            _ = runtime_gone, if !*gone => Woke::RuntimeGone,
            Some(ended) = ended.recv() => Woke::Ended(ended),
            request = requests.recv(), if !*closed => Woke::Request(request),
            // Last, because a manual clock moves only when no other event waits.
            () = tempo.rest() => Woke::Due,
        }
    }

    /// Translates an event into an input of the engine. `Err` ends the thread.
    async fn received(&mut self, woke: Woke) -> Result<Option<In>, Finale> {
        match woke {
            Woke::StoreChanged => {
                self.sources.waker = waker(&self.store);
                Ok(Some(In::Woken))
            }
            Woke::Committed((outcomes, busy)) => {
                self.sources.commit = None;
                if let Some((began, steps)) = self.sources.commit_began.take() {
                    self.meter.committed(steps, self.clock.now().mono.saturating_sub(began.mono));
                }
                self.held_back.push(busy);
                match outcomes {
                    Ok(outcomes) => {
                        // The store need not wait for the processing of these outcomes.
                        if let Some(early) = self.shard.next_batch_early() {
                            self.begin_commit(early);
                        }
                        Ok(Some(In::Committed(outcomes)))
                    }
                    Err(error) => Err(self.fail(&chain(&error).to_string()).await),
                }
            }
            Woke::Read(Ok((Ok(input), busy))) => {
                self.held_back.push(busy);
                if matches!(input, In::Woken | In::Tick) {
                    self.sources.rounds.pulsing = false;
                }
                Ok(Some(input))
            }
            Woke::Read(Ok((Err(error), _))) => Err(self.fail(&chain(&error).to_string()).await),
            Woke::Read(Err(error)) => Err(self.fail(&format!("reading the store failed: {error}")).await),
            Woke::RuntimeGone => {
                self.sources.runtime_gone = true;
                Ok(self.end_without_runtime(self.clock.now()))
            }
            Woke::Ended(ended) => Ok(Some(self.take_ended(ended))),
            Woke::Request(Some(request)) => {
                self.take_changes();
                self.take(request)
            }
            Woke::Request(None) => {
                self.sources.closed = true;
                Ok(self.end_without_handles(self.clock.now()))
            }
            Woke::Due => Ok(Some(In::Tick)),
        }
    }

    /// Handles the reads, the ends of attempts and the requests that already wait. `Err` ends the thread.
    async fn handle_waiting(&mut self, now: Moment) -> Result<(), Finale> {
        while let Some(read) = self.sources.reads.try_join_next() {
            if let Some(input) = self.received(Woke::Read(read)).await? {
                self.shard.handle(input, now);
            }
        }
        for _ in 0..BURST {
            let Ok(ended) = self.ended.try_recv() else { break };
            let input = self.take_ended(ended);
            self.shard.handle(input, now);
        }
        for _ in 0..BURST {
            let Ok(request) = self.requests.try_recv() else { break };
            self.take_changes();
            if let Some(input) = self.take(request)? {
                self.shard.handle(input, now);
            }
        }
        Ok(())
    }

    /// Takes up a change of the store before a request that came after it. So an event that a caller publishes after its
    /// transaction, or after an event for another process, stays behind that one.
    fn take_changes(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // The next wait registers the waker of this thread.
        let changed = std::pin::pin!(unconstrained(self.sources.waker.as_mut())).poll(&mut cx).is_ready();
        if changed {
            self.sources.waker = waker(&self.store);
            let now = self.clock.now();
            self.shard.handle(In::Woken, now);
        }
    }

    fn take_ended(&mut self, Ended { attempt, how, busy }: Ended) -> In {
        self.held_back.push(busy);
        if let Some((lane, since)) = self.attempts.forget(attempt) {
            self.meter.attempt(lane, self.clock.now().mono.saturating_sub(since));
        }
        In::Ended { attempt, how }
    }

    /// Takes a request. `Err` ends the thread.
    fn take(&mut self, request: Request) -> Result<Option<In>, Finale> {
        match request {
            Request::Ask { question, answer, busy, .. } => {
                self.held_back.push(busy);
                self.last_ticket += 1;
                self.tickets.insert(self.last_ticket, answer);
                Ok(Some(question(self.last_ticket)))
            }
            Request::Tell(input) => Ok(Some(*input)),
            Request::Heartbeat { attempt, waits } => {
                waits.store(false, Ordering::Release);
                Ok(Some(In::Heartbeat { attempt }))
            }
            Request::Shutdown(grace, answer) => Ok(self.end_by_request(grace, answer)),
            Request::HandOver(within, answer) => Ok(self.close(within, answer)),
            #[cfg(any(test, feature = "testing"))]
            Request::Kill(done) => {
                self.attempts.drop_all();
                self.shared.stop_with(super::Health::Stopped { why: "killed".to_owned() });
                self.store.abandon(&self.lease);
                Err(Finale::killed(done))
            }
        }
    }

    /// Does the work of each second, when its time has come.
    fn pulse_if_due(&mut self, now: Moment) {
        let rounds = &mut self.sources.rounds;
        if now.mono < rounds.pulse {
            return;
        }
        rounds.pulse = now.mono.saturating_add(PULSE);
        let look = !std::mem::replace(&mut rounds.pulsing, true);
        let scan = look && now.mono >= rounds.scan;
        if scan {
            rounds.scan = now.mono.saturating_add(SCAN);
        }
        let purge = now.mono >= rounds.purge || (!rounds.purged && self.shard.tally().batches > 0);
        if purge {
            rounds.purge = now.mono.saturating_add(PURGE);
            rounds.purged = true;
        } else if rounds.purge_failed.swap(false, Ordering::Relaxed) {
            rounds.purge = now.mono.saturating_add(PURGE_AGAIN);
        }
        // A clock that is set forward makes no record older than its true age.
        let steady = rounds.began.wall.plus(now.mono.saturating_sub(rounds.began.mono));
        self.attempts.rescue(now.mono);
        self.notices.tick(now.mono);
        self.publish_figures();
        if look {
            self.look(scan);
        }
        #[cfg(feature = "metrics")]
        if now.mono >= self.sources.rounds.measure {
            self.sources.rounds.measure = now.mono.saturating_add(MEASURE);
            self.measure_store();
        }
        if purge {
            // A marked instance goes also if the window is for ever.
            self.purge(now.wall.min(steady).minus(self.window).max(PURGED.plus(Duration::from_millis(1))));
        }
    }
}

/// Waits for rows of another writer.
fn waker(store: &Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let store = Arc::clone(store);
    Box::pin(async move { store.woken().await })
}

/// Waits for the commit in progress, or for ever if there is none.
async fn committed(commit: &mut Option<Commit>) -> Outcomes {
    match commit {
        Some(commit) => commit.outcomes().await,
        None => std::future::pending().await,
    }
}
