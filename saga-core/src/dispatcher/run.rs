//! The dispatcher's own thread: feeds the engine, performs what it asks for. Decides nothing.
//!
//! A thread of its own, because a handler that blocks a worker of the app's runtime must never stop timers, commits or
//! other handlers. Does not own: how it ends (`ending`), or reading and writing the store (`performing`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Shared;
use super::attempts::Attempts;
use super::clock::Clock;
use super::ending::{Ending, Finale};
use super::error::ShutdownError;
use super::performing::{Commit, Read};
use super::tempo::{Busy, Tempo};
use crate::engine::{Answer, AttemptEnd, In, Moment, Registry, Shard, Ticket};
use crate::message::chain;
use crate::store::{Lease, Store};

/// No wait is longer, so that a corrected wall clock is noticed (rule R33).
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often the store is asked whether somebody else has written, and whether it is still the same file.
const PULSE: Duration = Duration::from_secs(1);
/// How often the inbox is read in any case.
const SCAN: Duration = Duration::from_secs(60);
/// How often what is past its window is removed. The first time is soon after the first commit.
const PURGE: Duration = Duration::from_secs(60 * 60);
/// So many inputs are taken before the engine is asked for a batch again.
const BURST: usize = 256;

/// What callers send.
pub(super) enum Request {
    /// An input with an answer.
    Ask(Box<dyn FnOnce(Ticket) -> In + Send>, oneshot::Sender<Answer>, Busy),
    /// An input without an answer.
    Tell(In),
    /// Stop within this time, and say how it went.
    Shutdown(Duration, oneshot::Sender<Result<(), ShutdownError>>),
    /// Stop at once, as if the process had been killed.
    #[cfg(any(test, feature = "testing"))]
    Kill(oneshot::Sender<()>),
}

/// How an attempt ended.
pub(super) struct Ended {
    pub(super) attempt: u64,
    pub(super) how: AttemptEnd,
    pub(super) busy: Busy,
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
    pub(super) ended: UnboundedReceiver<Ended>,
    /// Ends when the runtime of the handlers has ended.
    pub(super) runtime_gone: oneshot::Receiver<()>,
    pub(super) shared: Arc<Shared>,
    pub(super) window: Duration,
    pub(super) page: usize,
    /// The callers who wait.
    pub(super) tickets: HashMap<Ticket, oneshot::Sender<Answer>>,
    pub(super) last_ticket: Ticket,
    pub(super) ending: Option<Ending>,
    /// Holds back the clock of a test until what has come is dealt with.
    pub(super) held: Vec<Busy>,
}

/// When regular things are done again, by the forward-only clock.
struct Rounds {
    began: Moment,
    pulse: Duration,
    scan: Duration,
    purge: Duration,
    pulsing: bool,
    purged: bool,
}

impl Runner {
    /// Runs until it is shut down, or until the store says that nothing more may be written.
    pub(super) async fn run(mut self, mut tempo: Tempo, began: Moment) -> Finale {
        let mut reads: JoinSet<Read> = JoinSet::new();
        let mut commit: Option<Commit> = None;
        let woken = |store: &Arc<dyn Store>| {
            let store = Arc::clone(store);
            Box::pin(async move { store.woken().await })
        };
        let mut waker = woken(&self.store);
        let (mut closed, mut runtime_gone) = (false, false);
        let mut rounds = Rounds {
            began,
            pulse: began.mono.saturating_add(PULSE),
            scan: began.mono.saturating_add(SCAN),
            purge: PURGE,
            pulsing: false,
            purged: false,
        };

        self.shard.start(began);
        self.compare_names(&mut reads);
        loop {
            for out in self.shard.take_out() {
                self.perform(out, &mut reads);
            }
            if commit.is_none()
                && let Some(batch) = self.shard.next_batch()
            {
                commit = Some(Commit::begin(self.commit(batch)));
            }
            let now = self.clock.now();
            if let Some(finale) = self.end_if_due(now, commit.is_some()).await {
                return finale;
            }
            let (due, latest) = self.due(now, rounds.pulse);
            tempo.wait_for(due, latest);
            // Whatever followed from what had come holds the clock by itself, and what is due is known to it.
            self.held.clear();
            let input = tokio::select! {
                biased;
                // First, so that an event published after a transaction is not handled before it.
                () = &mut waker => {
                    waker = woken(&self.store);
                    Some(In::Woken)
                }
                (outcomes, busy) = async { commit.as_mut().expect("guarded below").outcomes().await }, if commit.is_some() => {
                    self.held.push(busy);
                    match outcomes {
                        Ok(outcomes) => {
                            // The store need not wait until these outcomes have been dealt with.
                            commit = self.shard.next_batch_early().map(|batch| Commit::begin(self.commit(batch)));
                            Some(In::Committed(outcomes))
                        }
                        Err(error) => return self.fail(&chain(&error).to_string()).await,
                    }
                }
                Some(read) = reads.join_next(), if !reads.is_empty() => match read {
                    Ok((Ok(input), busy)) => {
                        self.held.push(busy);
                        if matches!(input, In::Woken | In::Tick) {
                            rounds.pulsing = false;
                        }
                        Some(input)
                    }
                    Ok((Err(error), _)) => return self.fail(&chain(&error).to_string()).await,
                    Err(error) => return self.fail(&format!("reading the store failed: {error}")).await,
                },
                // Before the ends of attempts that it has dropped.
                _ = &mut self.runtime_gone, if !runtime_gone => {
                    runtime_gone = true;
                    self.end_without_runtime(now)
                }
                Some(Ended { attempt, how, busy }) = self.ended.recv() => {
                    self.held.push(busy);
                    self.attempts.forget(attempt);
                    Some(In::Ended { attempt, how })
                }
                request = self.requests.recv(), if !closed => match request {
                    Some(request) => match self.take(request) {
                        Ok(input) => input,
                        Err(finale) => return finale,
                    },
                    None => {
                        closed = true;
                        self.end_without_handles(now)
                    }
                },
                () = tempo.rest() => Some(In::Tick),
            };
            let now = self.clock.now();
            if let Some(input) = input {
                self.shard.handle(input, now);
            }
            for _ in 0..BURST {
                let Ok(Ended { attempt, how, busy }) = self.ended.try_recv() else { break };
                self.held.push(busy);
                self.attempts.forget(attempt);
                self.shard.handle(In::Ended { attempt, how }, now);
            }
            for _ in 0..BURST {
                let Ok(request) = self.requests.try_recv() else { break };
                match self.take(request) {
                    Ok(Some(input)) => self.shard.handle(input, now),
                    Ok(None) => {}
                    Err(finale) => return finale,
                }
            }
            if now.mono >= rounds.pulse {
                rounds.pulse = now.mono.saturating_add(PULSE);
                self.pulse(&mut rounds, now, &mut reads);
            }
        }
    }

    /// What is done once a second.
    fn pulse(&mut self, rounds: &mut Rounds, now: Moment, reads: &mut JoinSet<Read>) {
        self.attempts.rescue(now.mono);
        self.shared.publish_tally(self.shard.tally());
        if !rounds.pulsing {
            rounds.pulsing = true;
            let scan_now = now.mono >= rounds.scan;
            if scan_now {
                rounds.scan = now.mono.saturating_add(SCAN);
            }
            self.look(scan_now, reads);
        }
        if now.mono >= rounds.purge || (!rounds.purged && self.shard.tally().batches > 0) {
            rounds.purge = now.mono.saturating_add(PURGE);
            rounds.purged = true;
            // A clock that is set forward makes nothing older than it is.
            let steady = rounds.began.wall.plus(now.mono.saturating_sub(rounds.began.mono));
            self.purge(now.wall.min(steady).minus(self.window), reads);
        }
    }

    /// When something is due next, and when the loop must look again in any case, by the forward-only clock.
    fn due(&self, now: Moment, pulse: Duration) -> (Option<Duration>, Duration) {
        let (by_wall, by_mono) = self.shard.next_wake();
        let by_wall = by_wall.map(|due| now.mono.saturating_add(due.since(now.wall)));
        let end = self.ending.as_ref().map(|ending| ending.by);
        let due = [by_wall, by_mono, end].into_iter().flatten().min();
        (due, pulse.min(now.mono.saturating_add(LONGEST_WAIT)))
    }

    /// Takes a request; `Err` ends the thread.
    fn take(&mut self, request: Request) -> Result<Option<In>, Finale> {
        match request {
            Request::Ask(ask, answer, busy) => {
                self.held.push(busy);
                self.last_ticket += 1;
                self.tickets.insert(self.last_ticket, answer);
                Ok(Some(ask(self.last_ticket)))
            }
            Request::Tell(input) => Ok(Some(input)),
            Request::Shutdown(grace, answer) => Ok(self.end_by_request(grace, answer)),
            #[cfg(any(test, feature = "testing"))]
            Request::Kill(done) => {
                self.attempts.drop_all();
                self.shared.stop_with(super::Health::Stopped { why: "killed".to_owned() });
                self.store.abandon(&self.lease);
                Err(Finale::killed(done))
            }
        }
    }
}
