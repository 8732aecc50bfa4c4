//! The dispatcher's own thread: feeds the engine, performs what it asks for. Decides nothing.
//!
//! A thread of its own, because a handler that blocks a worker of the app's runtime must never stop timers, commits or
//! other handlers.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::attempts::Attempts;
use super::clock::Clock;
use super::error::ShutdownError;
use super::{Health, Shared};
use crate::engine::{Answer, AttemptEnd, In, Out, Registry, Shard, Ticket};
use crate::message::Timestamp;
use crate::store::{Batch, Lease, Outcome, Store, StoreError};

/// No wait is longer, so that a corrected wall clock is noticed (rule R33).
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often the store is asked whether somebody else has written, and whether it is still the same file.
const PULSE: Duration = Duration::from_secs(1);
/// How often the inbox is read in any case.
const SCAN: Duration = Duration::from_secs(60);
/// How often what is past its window is removed, if there were commits.
const PURGE: Duration = Duration::from_secs(60 * 60);
/// The first and the longest wait before a batch is committed again.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// Stands for not waiting: no moment is so late.
const NO_WAIT: Duration = Duration::MAX;
/// So many inputs are taken before the engine is asked for a batch again.
const BURST: usize = 256;

/// What callers send.
pub(super) enum Request {
    /// An input with an answer.
    Ask(Box<dyn FnOnce(Ticket) -> In + Send>, oneshot::Sender<Answer>),
    /// An input without an answer.
    Tell(In),
    /// Stop within this time, and say how it went.
    Shutdown(Duration, oneshot::Sender<Result<(), ShutdownError>>),
    /// Stop at once, as if the process had been killed.
    #[cfg(any(test, feature = "testing"))]
    Kill(oneshot::Sender<()>),
}

/// Everything the thread owns.
pub(super) struct Runner {
    pub(super) shard: Shard,
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) lease: Lease,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) requests: UnboundedReceiver<Request>,
    pub(super) attempts: Attempts,
    /// How attempts ended.
    pub(super) ended: UnboundedReceiver<(u64, AttemptEnd)>,
    pub(super) shared: Arc<Shared>,
    pub(super) window: Duration,
    pub(super) page: usize,
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;
type Written = Pin<Box<dyn Future<Output = Result<Vec<Outcome>, StoreError>> + Send>>;
type Read = Result<In, StoreError>;

/// A batch on its way to the disk.
enum Commit {
    Under(Written),
    Over(Result<Vec<Outcome>, StoreError>),
}

impl Commit {
    /// Polls it once, so that the store has the batch although nobody waits for it yet.
    fn begin(mut written: Written) -> Self {
        // Whoever waits polls it again, which registers the waiter that counts.
        match written.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(outcomes) => Self::Over(outcomes),
            Poll::Pending => Self::Under(written),
        }
    }

    /// Cancel-safe: what has come is kept until it is taken.
    async fn outcomes(&mut self) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Under(written) => written.await,
            Self::Over(outcomes) => std::mem::replace(outcomes, Ok(Vec::new())),
        }
    }
}

/// How the thread is to end.
struct Ending {
    by: Duration,
    dropped: bool,
    answer: Option<oneshot::Sender<Result<(), ShutdownError>>>,
}

impl Runner {
    /// Runs until it is shut down, or until the store says that nothing more may be written.
    pub(super) async fn run(mut self) {
        let mut tickets: HashMap<Ticket, oneshot::Sender<Answer>> = HashMap::new();
        let mut last_ticket: Ticket = 0;
        let mut reads: JoinSet<Read> = JoinSet::new();
        let mut commit: Option<Commit> = None;
        let mut ending: Option<Ending> = None;
        let store = Arc::clone(&self.store);
        let mut woken = Box::pin(async move {
            store.woken().await;
        }) as Wait;
        let mut wait: (Duration, Wait) = (NO_WAIT, Box::pin(std::future::pending()));
        let (mut pulse, mut scan, mut purge) = (PULSE, SCAN, PURGE);
        let (mut pulsing, mut closed) = (false, false);
        let (mut commits_at_purge, mut purge_until) = (u64::MAX, Duration::ZERO);

        let began = self.clock.now();
        self.shard.start(began);
        self.compare_names(&mut reads);
        loop {
            for out in self.shard.take_out() {
                self.perform(out, &mut tickets, &mut reads);
            }
            if commit.is_none()
                && let Some(batch) = self.shard.next_batch()
            {
                commit = Some(Commit::begin(self.commit(batch)));
            }
            let now = self.clock.now();
            if let Some(end) = &mut ending {
                if self.shard.is_quiet() && commit.is_none() {
                    let end = ending.take();
                    self.finish(end).await;
                    return;
                }
                if now.mono >= end.by && !end.dropped {
                    end.dropped = true;
                    self.attempts.drop_all();
                    end.by = now.mono.saturating_add(PULSE);
                } else if now.mono >= end.by && end.dropped && commit.is_none() && self.shard.is_committed() {
                    // What still runs blocks its thread. The lease is kept, so that the next start knows.
                    let handlers = self.shard.running();
                    self.shared.stop_with(Health::Stopped { why: "shut down".to_owned() });
                    if let Some(answer) = end.answer.take() {
                        let _ = answer.send(Err(ShutdownError::StillRunning { handlers }));
                    }
                    return;
                }
            }
            let end_at = ending.as_ref().map(|end| end.by);
            let due = self.due(now.wall, now.mono, [Some(pulse), end_at]);
            if due != wait.0 {
                wait = (due, self.clock.sleep_until(due));
            }
            let input = tokio::select! {
                biased;
                // First, so that an event published after a transaction is not handled before it.
                () = &mut woken => {
                    let store = Arc::clone(&self.store);
                    woken = Box::pin(async move { store.woken().await });
                    Some(In::Woken)
                }
                outcomes = async { commit.as_mut().expect("guarded below").outcomes().await }, if commit.is_some() => {
                    match outcomes {
                        Ok(outcomes) => {
                            // The store need not wait until these outcomes have been dealt with.
                            commit = self.shard.next_batch_early().map(|batch| Commit::begin(self.commit(batch)));
                            Some(In::Committed(outcomes))
                        }
                        Err(error) => return self.fail(&error.to_string(), tickets, ending).await,
                    }
                }
                Some(read) = reads.join_next(), if !reads.is_empty() => match read {
                    Ok(Ok(input)) => {
                        if matches!(input, In::Woken | In::Tick) {
                            pulsing = false;
                        }
                        Some(input)
                    }
                    Ok(Err(error)) => return self.fail(&error.to_string(), tickets, ending).await,
                    Err(error) => return self.fail(&format!("reading the store failed: {error}"), tickets, ending).await,
                },
                Some((attempt, how)) = self.ended.recv() => {
                    self.attempts.forget(attempt);
                    Some(In::Ended { attempt, how })
                }
                request = self.requests.recv(), if !closed => match request {
                    Some(request) => match self.take(request, &mut tickets, &mut last_ticket, &mut ending) {
                        Ok(input) => input,
                        Err(()) => return,
                    },
                    // Every handle has gone: as an orderly stop without a grace period.
                    None => {
                        closed = true;
                        ending.is_none().then(|| {
                            ending = Some(Ending { by: now.mono, dropped: false, answer: None });
                            In::Stop
                        })
                    }
                },
                () = &mut wait.1 => {
                    wait = (NO_WAIT, Box::pin(std::future::pending()));
                    Some(In::Tick)
                }
            };
            let now = self.clock.now();
            if let Some(input) = input {
                self.shard.handle(input, now);
            }
            for _ in 0..BURST {
                let Ok((attempt, how)) = self.ended.try_recv() else { break };
                self.attempts.forget(attempt);
                self.shard.handle(In::Ended { attempt, how }, now);
            }
            for _ in 0..BURST {
                let Ok(request) = self.requests.try_recv() else { break };
                match self.take(request, &mut tickets, &mut last_ticket, &mut ending) {
                    Ok(Some(input)) => self.shard.handle(input, now),
                    Ok(None) => {}
                    Err(()) => return,
                }
            }
            if now.mono >= pulse {
                pulse = now.mono.saturating_add(PULSE);
                self.attempts.rescue(now.mono);
                self.shared.publish_tally(self.shard.tally());
                if !pulsing {
                    pulsing = true;
                    let scan_now = now.mono >= scan;
                    if scan_now {
                        scan = now.mono.saturating_add(SCAN);
                    }
                    let store = Arc::clone(&self.store);
                    reads.spawn(async move {
                        let woken = store.pulse().await?;
                        Ok(if woken || scan_now { In::Woken } else { In::Tick })
                    });
                }
                let commits = self.shard.tally().batches;
                if now.mono >= purge || (commits_at_purge == u64::MAX && commits > 0) {
                    purge = now.mono.saturating_add(PURGE);
                    if commits != commits_at_purge {
                        commits_at_purge = commits;
                        // What was committed since the last time is past its window by then.
                        purge_until = now.mono.saturating_add(self.window).saturating_add(PURGE);
                    }
                    if now.mono <= purge_until {
                        // A clock that is set forward makes nothing older than it is.
                        let steady = began.wall.plus(now.mono.saturating_sub(began.mono));
                        self.purge(now.wall.min(steady).minus(self.window), &mut reads);
                    }
                }
            }
        }
    }

    /// The moment, by the forward-only clock, at which the loop must look again.
    fn due(&self, wall: Timestamp, mono: Duration, others: [Option<Duration>; 2]) -> Duration {
        let (by_wall, by_mono) = self.shard.next_wake();
        let by_wall = by_wall.map(|due| mono.saturating_add(due.since(wall)));
        let longest = mono.saturating_add(LONGEST_WAIT);
        let [pulse, end] = others;
        [by_wall, by_mono, pulse, end].into_iter().flatten().fold(longest, Duration::min)
    }

    /// Takes a request; `Err` ends the thread.
    fn take(
        &mut self,
        request: Request,
        tickets: &mut HashMap<Ticket, oneshot::Sender<Answer>>,
        last: &mut Ticket,
        ending: &mut Option<Ending>,
    ) -> Result<Option<In>, ()> {
        match request {
            Request::Ask(ask, answer) => {
                *last += 1;
                tickets.insert(*last, answer);
                Ok(Some(ask(*last)))
            }
            Request::Tell(input) => Ok(Some(input)),
            Request::Shutdown(grace, answer) => {
                let by = self.clock.now().mono.saturating_add(grace);
                if let Some(end) = ending {
                    end.by = end.by.min(by);
                    end.answer.get_or_insert(answer);
                    return Ok(None);
                }
                self.attempts.cancel_all();
                *ending = Some(Ending { by, dropped: false, answer: Some(answer) });
                Ok(Some(In::Stop))
            }
            #[cfg(any(test, feature = "testing"))]
            Request::Kill(done) => {
                self.attempts.drop_all();
                self.shared.stop_with(Health::Stopped { why: "killed".to_owned() });
                let _ = done.send(());
                Err(())
            }
        }
    }

    fn perform(
        &mut self,
        out: Out,
        tickets: &mut HashMap<Ticket, oneshot::Sender<Answer>>,
        reads: &mut JoinSet<Read>,
    ) {
        let store = Arc::clone(&self.store);
        let page = self.page;
        match out {
            Out::Answer(ticket, answer) => {
                if let Some(caller) = tickets.remove(&ticket) {
                    // A caller that has gone away needs no answer.
                    let _ = caller.send(answer);
                }
            }
            Out::Run(attempt) => self.attempts.start(*attempt, self.clock.now().mono),
            Out::Cancel(attempt) => self.attempts.cancel(attempt),
            Out::Drop(attempt) => self.attempts.drop_now(attempt),
            Out::Load(address) => self.read(reads, move || {
                let (store, address) = (Arc::clone(&store), address.clone());
                async move {
                    let found = store.load(std::slice::from_ref(&address)).await?.pop().flatten();
                    Ok(In::Loaded { address, found })
                }
            }),
            Out::FetchWaiting(address) => self.read(reads, move || {
                let (store, address) = (Arc::clone(&store), address.clone());
                async move {
                    // The engine holds an instance to fewer than this; more can only come from other processes, and
                    // are found by the scan of the next start.
                    let rows = store.waiting(&address, 100 * page).await?;
                    Ok(In::Waiting { address, rows })
                }
            }),
            Out::FetchInbox(after) => self.read(reads, move || {
                let store = Arc::clone(&store);
                async move {
                    let rows = store.inbox(after, page).await?;
                    let more = rows.len() >= page;
                    Ok(In::Inbox { rows, more })
                }
            }),
            Out::FetchTasks(after) => self.read(reads, move || {
                let store = Arc::clone(&store);
                async move {
                    let rows = store.open_tasks(after, page).await?;
                    let more = rows.len() >= page;
                    Ok(In::Tasks { rows, more })
                }
            }),
            Out::FetchCompensating(after) => self.read(reads, move || {
                let store = Arc::clone(&store);
                async move {
                    let rows = store.compensating(after, page).await?;
                    let more = rows.len() >= page;
                    Ok(In::Compensating { rows, more })
                }
            }),
            Out::FetchDeliveries(after) => self.read(reads, move || {
                let store = Arc::clone(&store);
                async move {
                    let rows = store.deliveries(after, page).await?;
                    let more = rows.len() >= page;
                    Ok(In::Deliveries { rows, more })
                }
            }),
            Out::FetchTimers(after) => self.read(reads, move || {
                let (store, after) = (Arc::clone(&store), after.clone());
                async move {
                    let rows = store.timers(Timestamp::MAX, after, page).await?;
                    let more = rows.len() >= page;
                    Ok(In::Timers { rows, more })
                }
            }),
        }
    }

    /// Reads the store, again and again while it is not available.
    fn read<F, R>(&self, reads: &mut JoinSet<Read>, ask: F)
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = Read> + Send + 'static,
    {
        let (clock, health) = (Arc::clone(&self.clock), self.shared.health.clone());
        reads.spawn(async move {
            let mut wait = RETRY.0;
            loop {
                match ask().await {
                    Err(error) if error.is_temporary() => {
                        degraded(&health, &error);
                        clock.sleep(wait).await;
                        wait = (wait * 2).min(RETRY.1);
                    }
                    read => return read,
                }
            }
        });
    }

    /// Commits a batch, again and again until its outcome is known (rule R30).
    fn commit(&self, batch: Arc<Batch>) -> Written {
        let (store, lease) = (Arc::clone(&self.store), self.lease.clone());
        let (clock, health) = (Arc::clone(&self.clock), self.shared.health.clone());
        Box::pin(async move {
            let mut wait = RETRY.0;
            loop {
                match store.commit(&lease, Arc::clone(&batch)).await {
                    Err(error) if error.is_temporary() => {
                        degraded(&health, &error);
                        clock.sleep(wait).await;
                        wait = (wait * 2).min(RETRY.1);
                    }
                    Ok(outcomes) => {
                        health.send_if_modified(|health| {
                            let was = !matches!(health, Health::Running);
                            if was {
                                tracing::info!("the store is available again");
                                *health = Health::Running;
                            }
                            was
                        });
                        return Ok(outcomes);
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// Says what the store holds that this build does not know.
    fn compare_names(&self, reads: &mut JoinSet<Read>) {
        let (store, registry) = (Arc::clone(&self.store), Arc::clone(&self.registry));
        reads.spawn(async move {
            match super::names::unknown(&registry, &*store).await {
                Ok(unknown) => unknown.iter().for_each(|unknown| tracing::warn!("{unknown}")),
                Err(error) => tracing::warn!(%error, "the names in the store could not be compared"),
            }
            Ok(In::Tick)
        });
    }

    fn purge(&self, before: Timestamp, reads: &mut JoinSet<Read>) {
        let store = Arc::clone(&self.store);
        reads.spawn(async move {
            const AT_ONCE: usize = 500;
            let mut instances = 0;
            loop {
                let purged = store.purge(before, AT_ONCE).await;
                instances += purged.as_ref().map_or(0, |purged| purged.instances);
                let done = if instances > 0 { In::Purged } else { In::Tick };
                match purged {
                    Ok(purged) if purged.instances >= AT_ONCE || purged.marks >= AT_ONCE => {}
                    Ok(_) => return Ok(done),
                    Err(error) => {
                        tracing::warn!(%error, "could not remove what is past its window; trying again in an hour");
                        return Ok(done);
                    }
                }
            }
        });
    }

    /// Everything has ended: gives the lease back, so that the next start need not suspect anything.
    async fn finish(&mut self, ending: Option<Ending>) {
        let released = if self.shard.may_release() {
            self.store.release(&self.lease).await.map_err(ShutdownError::from)
        } else {
            tracing::warn!("an outcome could not be written down; the next start treats open tasks as begun");
            Ok(())
        };
        self.shared.publish_tally(self.shard.tally());
        self.shared.stop_with(Health::Stopped { why: "shut down".to_owned() });
        if let Some(answer) = ending.and_then(|end| end.answer) {
            let _ = answer.send(released);
        }
    }

    /// Nothing more may be written: stops everything, tells everybody that nobody knows (promise 7).
    async fn fail(
        &mut self,
        why: &str,
        tickets: HashMap<Ticket, oneshot::Sender<Answer>>,
        ending: Option<Ending>,
    ) {
        tracing::error!(why, "the dispatcher stops");
        self.attempts.drop_all();
        self.shared.stop_with(Health::Stopped { why: why.to_owned() });
        // Dropping the senders tells the callers; they read the reason from the health.
        drop(tickets);
        if let Some(answer) = ending.and_then(|end| end.answer) {
            let _ = answer.send(Err(ShutdownError::Failed(why.to_owned())));
        }
        self.requests.close();
        while let Some(request) = self.requests.recv().await {
            if let Request::Shutdown(_, answer) = request {
                let _ = answer.send(Err(ShutdownError::Failed(why.to_owned())));
            }
        }
    }
}

fn degraded(health: &watch::Sender<Health>, error: &StoreError) {
    health.send_if_modified(|health| {
        let why = error.to_string();
        if matches!(health, Health::Degraded { why: known } if *known == why) {
            return false;
        }
        tracing::warn!(why, "the store is not available; waiting for it");
        *health = Health::Degraded { why };
        true
    });
}
