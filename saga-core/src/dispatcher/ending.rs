//! The end of a dispatcher, within a fixed time limit for any behaviour of the store and the handlers.
//!
//! ```text
//!  asked to stop ──grace──▶ handlers are dropped ──HANDLERS──▶ they block ──STORE──▶ the store does not answer
//! ```
//!
//! The callers are answered after the thread has dropped everything it held. The file can then be opened again at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Health;
use super::error::ShutdownError;
use super::event_loop::EventLoop;
use super::mailbox::Request;
use super::tempo::Busy;
use crate::engine::{In, Moment};
use crate::message::chain;

/// The reason for an end by `shutdown`.
pub(super) const ASKED: &str = "shut down";
/// The reason for the end of a unit whose shard goes to another process.
pub(super) const HANDED_OVER: &str = "handed over";
/// The reason for an end without handles.
pub(super) const DROPPED: &str = "the last handle of the dispatcher was dropped";

/// The reason for an end without the runtime of the handlers.
pub(super) const NO_RUNTIME: &str = "the tokio runtime of the dispatcher has ended; no handler can run; start the dispatcher on a \
                                     runtime that outlives the dispatcher";

/// The time limit for dropped handlers to yield.
const HANDLERS: Duration = Duration::from_secs(1);
/// The time limit for the store to write the known outcomes after that.
const STORE: Duration = Duration::from_secs(5);

/// The state of an ending.
pub(super) struct Ending {
    /// The time of the next phase.
    pub(super) by: Duration,
    /// The latest time for the end of the thread.
    last: Duration,
    phase: Phase,
    /// The reason for [`Health::Stopped`].
    why: &'static str,
    /// The callers that wait for the end.
    answers: Vec<Asked>,
}

/// A caller that waits for the end.
type Asked = oneshot::Sender<Result<(), ShutdownError>>;

/// A shard that goes to another process as soon as no attempt runs.
pub(super) struct Closing {
    /// The time at which the hand-over is given up.
    pub(super) by: Duration,
    answer: oneshot::Sender<bool>,
}

/// Returns the latest end of an ending with this end of the grace period.
fn last(grace: Duration) -> Duration {
    grace.saturating_add(HANDLERS).saturating_add(STORE)
}

/// The phases of an ending.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Handlers may still end.
    Grace,
    /// Dropped handlers must yield.
    Dropped,
    /// The store must write the known outcomes.
    Writing,
}

/// The last work, done after the thread has dropped everything it held.
#[derive(Default)]
pub(super) struct Finale(Option<Box<dyn FnOnce() + Send>>);

impl Finale {
    fn answer(answers: Vec<Asked>, how: Result<(), ShutdownError>) -> Self {
        Self(Some(Box::new(move || {
            let mut answers = answers.into_iter();
            let first = answers.next();
            for answer in answers {
                // The caller may have been dropped.
                let _ = answer.send(how.as_ref().copied().map_err(ShutdownError::for_another));
            }
            if let Some(first) = first {
                let _ = first.send(how);
            }
        })))
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn killed(done: oneshot::Sender<()>) -> Self {
        Self(Some(Box::new(move || {
            let _ = done.send(());
        })))
    }

    /// Answers the callers that wait for the end.
    pub(super) fn play(self) {
        if let Some(last) = self.0 {
            last();
        }
    }
}

impl EventLoop {
    pub(super) fn end_by_request(&mut self, grace: Duration, answer: Asked) -> Option<In> {
        let by = self.clock.now().mono.saturating_add(grace);
        if let Some(ending) = &mut self.ending {
            ending.by = ending.by.min(by);
            ending.last = ending.last.min(last(by));
            ending.answers.push(answer);
            return None;
        }
        self.attempts.cancel_all();
        self.ending =
            Some(Ending { by, last: last(by), phase: Phase::Grace, why: ASKED, answers: vec![answer] });
        Some(In::Stop)
    }

    /// Starts no further attempt, so that the shard can go to another process. Events are accepted and applied meanwhile.
    pub(super) fn close(&mut self, within: Duration, answer: oneshot::Sender<bool>) -> Option<In> {
        if self.ending.is_some() || self.closing.is_some() {
            return None;
        }
        self.closing = Some(Closing { by: self.clock.now().mono.saturating_add(within), answer });
        Some(In::Closing(true))
    }

    /// Gives the shard up when no attempt runs. Balance never interrupts an attempt, so a hand-over that takes too long is
    /// given up instead.
    pub(super) fn close_if_due(&mut self, now: Moment) {
        if self.ending.is_some() {
            // The end of the process goes first.
            self.closing = None;
            return;
        }
        let Some(closing) = &self.closing else { return };
        let is_quiet = self.shard.running() == 0;
        if !is_quiet && now.mono < closing.by {
            return;
        }
        let Some(Closing { answer, .. }) = self.closing.take() else { return };
        if is_quiet {
            if let Some(stop) = self.end_now(now, HANDED_OVER) {
                self.shard.handle(stop, now);
            }
        } else {
            self.shard.handle(In::Closing(false), now);
        }
        // The member may have ended.
        let _ = answer.send(is_quiet);
        for out in self.shard.take_out() {
            self.perform(out);
        }
    }

    /// All handles have been dropped: an orderly stop without a grace period.
    pub(super) fn end_without_handles(&mut self, now: Moment) -> Option<In> {
        self.end_now(now, DROPPED)
    }

    /// No handler can run any more. The end of the runtime dropped all its running attempts. Attempts that had not
    /// begun do not count.
    pub(super) fn end_without_runtime(&mut self, now: Moment) -> Option<In> {
        tracing::error!(why = NO_RUNTIME, "the dispatcher stops");
        self.end_now(now, NO_RUNTIME)
    }

    fn end_now(&mut self, now: Moment, why: &'static str) -> Option<In> {
        if self.ending.is_some() {
            return None;
        }
        self.shared.stop_with(Health::Stopped { why: why.to_owned() });
        self.ending = Some(Ending {
            by: now.mono,
            last: last(now.mono),
            phase: Phase::Grace,
            why,
            answers: Vec::new(),
        });
        Some(In::Stop)
    }

    /// Ends the thread when the current phase allows the end, or at the latest time.
    pub(super) async fn end_if_due(&mut self, now: Moment) -> Option<Finale> {
        let committing = self.sources.commit.is_some();
        let ending = self.ending.as_mut()?;
        if self.shard.is_quiet() && !committing {
            return Some(self.finish().await);
        }
        if now.mono < ending.by {
            return None;
        }
        match ending.phase {
            Phase::Grace => {
                (ending.phase, ending.by) = (Phase::Dropped, now.mono.saturating_add(HANDLERS));
                self.attempts.drop_all();
                None
            }
            Phase::Dropped if !committing && self.shard.is_committed() && self.shard.running() > 0 => {
                // Every attempt that still runs blocks its thread. The lease is kept, so that the next start detects
                // this.
                let handlers = self.shard.running();
                Some(self.give_up(ShutdownError::StillRunning { handlers }))
            }
            Phase::Dropped => {
                (ending.phase, ending.by) = (Phase::Writing, now.mono.saturating_add(STORE));
                None
            }
            Phase::Writing => {
                let why = self.shared.trouble();
                self.store.abandon(&self.lease);
                Some(self.give_up(ShutdownError::NotWritten { why }))
            }
        }
    }

    /// Everything has ended. Gives the lease back, so that the next start sees a clean stop.
    async fn finish(&mut self) -> Finale {
        // A long read, such as the comparison of names, must not occupy the store any longer.
        self.sources.reads.abort_all();
        let released = if self.shard.may_release() {
            let _busy = Busy::by(&*self.clock);
            let soon = self.clock.now().mono.saturating_add(STORE);
            let late =
                self.clock.sleep_until(self.ending.as_ref().map_or(soon, |ending| ending.last.min(soon)));
            tokio::select! {
                biased;
                released = self.store.release(&self.lease) => released.map_err(ShutdownError::from),
                () = late => Err(ShutdownError::NotWritten { why: self.shared.trouble() }),
            }
        } else {
            tracing::warn!(
                "an outcome could not be written to the store; the next start treats open tasks as begun"
            );
            Ok(())
        };
        self.store.abandon(&self.lease);
        self.ended_with(released)
    }

    fn give_up(&mut self, error: ShutdownError) -> Finale {
        tracing::error!(error = %chain(&error), "the dispatcher stops");
        self.ended_with(Err(error))
    }

    fn ended_with(&mut self, how: Result<(), ShutdownError>) -> Finale {
        self.publish_figures();
        let ending = self.ending.take();
        let why = ending.as_ref().map_or(ASKED, |ending| ending.why);
        self.shared.stop_with(Health::Stopped { why: why.to_owned() });
        Finale::answer(ending.map(|ending| ending.answers).unwrap_or_default(), how)
    }

    /// Handles a panic of the thread, which is a bug in this library. Nothing more is written. Every waiting caller
    /// learns that its outcome is not known.
    pub(super) fn fallen(&self) -> impl FnOnce(&str) + use<> {
        let (shared, store, lease) = (Arc::clone(&self.shared), Arc::clone(&self.store), self.lease.clone());
        move |panic| {
            let why =
                format!("the dispatcher panicked: {panic}; report the panic and start the dispatcher again");
            tracing::error!(why, "the dispatcher stops");
            shared.stop_with(Health::Stopped { why });
            store.abandon(&lease);
        }
    }

    /// The thread could not be started. The waiting calls of other callers end with it.
    pub(super) fn never_began(self, why: &str) {
        tracing::error!(why, "the dispatcher stops");
        self.shared.stop_with(Health::Stopped { why: why.to_owned() });
        self.store.abandon(&self.lease);
    }

    /// Nothing more may be written. Stops everything and answers every caller that its outcome is not known (promise
    /// 7).
    pub(super) async fn fail(&mut self, why: &str) -> Finale {
        tracing::error!(why, "the dispatcher stops");
        self.attempts.drop_all();
        self.shared.stop_with(Health::Stopped { why: why.to_owned() });
        // The drop of the senders wakes the callers. They read the reason from the health.
        self.tickets.clear();
        self.store.abandon(&self.lease);
        let mut answers = self.ending.take().map(|ending| ending.answers).unwrap_or_default();
        self.requests.close();
        while let Some(request) = self.requests.recv().await {
            if let Request::Shutdown(_, asked) = request {
                answers.push(asked);
            }
        }
        Finale::answer(answers, Err(ShutdownError::Failed(why.to_owned())))
    }
}
