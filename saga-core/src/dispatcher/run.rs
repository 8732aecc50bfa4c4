//! The thread of the dispatcher: it sends input to the engine and performs the engine's requests. It makes no
//! decisions.
//!
//! The dispatcher needs its own thread. A handler that blocks a worker of the application's runtime must not stop
//! timers, commits or other handlers. Does not own: the end of the thread (`ending`), or reading and writing the store
//! (`performing`).

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

/// The longest wait, so that the dispatcher notices a corrected wall clock (rule R33).
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The interval of the check for writes of other processes and for a replaced store file.
const PULSE: Duration = Duration::from_secs(1);
/// The longest interval between two reads of the inbox.
const SCAN: Duration = Duration::from_secs(60);
/// The interval of the removal of expired records. The first removal follows soon after the first commit.
const PURGE: Duration = Duration::from_secs(60 * 60);
/// The maximum number of inputs before the engine is asked for a batch again.
const BURST: usize = 256;

/// A request of a caller.
pub(super) enum Request {
    /// An input with an answer.
    Ask(Box<dyn FnOnce(Ticket) -> In + Send>, oneshot::Sender<Answer>, Busy),
    /// An input without an answer.
    Tell(In),
    /// Stop within this time, and report the result.
    Shutdown(Duration, oneshot::Sender<Result<(), ShutdownError>>),
    /// Stop at once, like a killed process.
    #[cfg(any(test, feature = "testing"))]
    Kill(oneshot::Sender<()>),
}

/// The end of an attempt.
pub(super) struct Ended {
    pub(super) attempt: u64,
    pub(super) how: AttemptEnd,
    pub(super) busy: Busy,
}

/// The state of the thread.
pub(super) struct Runner {
    pub(super) shard: Shard,
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) lease: Lease,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) requests: UnboundedReceiver<Request>,
    pub(super) attempts: Attempts,
    pub(super) ended: UnboundedReceiver<Ended>,
    /// Completes when the runtime of the handlers has ended.
    pub(super) runtime_gone: oneshot::Receiver<()>,
    pub(super) shared: Arc<Shared>,
    pub(super) window: Duration,
    pub(super) page: usize,
    /// The waiting callers.
    pub(super) tickets: HashMap<Ticket, oneshot::Sender<Answer>>,
    pub(super) last_ticket: Ticket,
    pub(super) ending: Option<Ending>,
    /// Holds the manual clock back until the received input has been processed.
    pub(super) held: Vec<Busy>,
}

/// The due times of the regular work, by the monotonic clock.
struct Rounds {
    began: Moment,
    pulse: Duration,
    scan: Duration,
    purge: Duration,
    pulsing: bool,
    purged: bool,
}

impl Runner {
    /// Runs until the shutdown, or until the store reports that nothing more may be written.
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
            // Work caused by the input now holds the clock itself, and the clock knows the due times.
            self.held.clear();
            let input = tokio::select! {
                biased;
                // Read first, so that an event published after a transaction is not handled before the transaction's
                // events.
                () = &mut waker => {
                    waker = woken(&self.store);
                    Some(In::Woken)
                }
                (outcomes, busy) = async { commit.as_mut().expect("guarded below").outcomes().await }, if commit.is_some() => {
                    self.held.push(busy);
                    match outcomes {
                        Ok(outcomes) => {
                            // The store need not wait for the processing of these outcomes.
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
                // Handle this before the ends of the attempts that it has dropped.
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

    /// The work done once a second.
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
            // A clock that is set forward makes no record older than its true age.
            let steady = rounds.began.wall.plus(now.mono.saturating_sub(rounds.began.mono));
            self.purge(now.wall.min(steady).minus(self.window), reads);
        }
    }

    /// Returns the next due time and the latest time of the next loop iteration, by the monotonic clock.
    fn due(&self, now: Moment, pulse: Duration) -> (Option<Duration>, Duration) {
        let (by_wall, by_mono) = self.shard.next_wake();
        let by_wall = by_wall.map(|due| now.mono.saturating_add(due.since(now.wall)));
        let end = self.ending.as_ref().map(|ending| ending.by);
        let due = [by_wall, by_mono, end].into_iter().flatten().min();
        (due, pulse.min(now.mono.saturating_add(LONGEST_WAIT)))
    }

    /// Processes a request. `Err` ends the thread.
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
