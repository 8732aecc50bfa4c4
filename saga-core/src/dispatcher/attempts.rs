//! Running attempts on the app's runtime, so that none can stop the dispatcher: a panic is caught, a hanging one is
//! dropped, and one that finds no free worker is moved to a thread of its own.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};

use super::attempt_channel::AttemptChannel;
use super::clock::Clock;
use super::handler::{AnyHandler, Attempting, HandlerContext};
use super::run::{Ended, Request};
use super::tempo::{Busy, Work};
use crate::engine::{Attempt, AttemptEnd, Registry};
use crate::message::PayloadLimits;
use crate::message::panic_text;

/// An attempt that no worker has looked at for so long is moved to a thread of its own.
const STARVED: Duration = Duration::from_millis(500);

/// The attempts that run.
pub(super) struct Attempts {
    handlers: Vec<Arc<dyn AnyHandler>>,
    runtime: Handle,
    ended: UnboundedSender<Ended>,
    clock: Arc<dyn Clock>,
    /// Weak, because an attempt that runs must not keep the dispatcher of an app that has dropped it.
    requests: WeakUnboundedSender<Request>,
    limits: PayloadLimits,
    registry: Arc<Registry>,
    running: HashMap<u64, Running>,
}

struct Running {
    abort: AbortHandle,
    cancelled: CancellationToken,
    /// Ends it on a thread of its own, where `abort` does not reach.
    dropped: CancellationToken,
    /// Holds the future until somebody begins to run it.
    unbegun: Arc<Mutex<Option<Reporting>>>,
    since: Duration,
    /// It is being dropped, and its end is on its way.
    dropping: Option<Busy>,
}

impl Running {
    fn drop_now(&mut self, clock: &dyn Clock) {
        // A worker drops it at some time, and until then it is neither at work nor over.
        self.dropping = Some(Busy::by(clock));
        self.cancelled.cancel();
        self.abort.abort();
        self.dropped.cancel();
        // Not begun: nobody holds the future but this, so dropping it here is what reports its end.
        drop(take(&self.unbegun));
    }
}

impl Attempts {
    pub(super) fn new(
        handlers: Vec<Arc<dyn AnyHandler>>,
        runtime: Handle,
        ended: UnboundedSender<Ended>,
        clock: Arc<dyn Clock>,
        requests: WeakUnboundedSender<Request>,
        limits: PayloadLimits,
        registry: Arc<Registry>,
    ) -> Self {
        Self { handlers, runtime, ended, clock, requests, limits, registry, running: HashMap::new() }
    }

    pub(super) fn start(&mut self, attempt: Attempt, now: Duration) {
        let span = span(&self.registry, &attempt);
        let Attempt { id, lane, message, key, number, of, saved } = attempt;
        let cancelled = CancellationToken::new();
        let cx = HandlerContext {
            key: key.into(),
            attempt: number,
            saga: (&*of.saga).into(),
            instance: of.key.as_str().into(),
            cancelled: cancelled.clone(),
            channel: AttemptChannel::new(
                id,
                self.requests.clone(),
                saved,
                self.limits,
                Arc::clone(&self.registry),
                Arc::clone(&self.clock),
            ),
        };
        let handler = Arc::clone(&self.handlers[lane]);
        let future = handler.attempt(message, cx, self.limits).instrument(span);
        let report = Report {
            attempt: id,
            ended: self.ended.clone(),
            how: AttemptEnd::NotBegun,
            work: Work::begin(&self.clock),
        };
        let unbegun = Arc::new(Mutex::new(Some(Reporting { future, report })));
        let abort = self.runtime.spawn(Begin { unbegun: Arc::clone(&unbegun), begun: None }).abort_handle();
        let dropped = CancellationToken::new();
        self.running.insert(id, Running { abort, cancelled, dropped, unbegun, since: now, dropping: None });
    }

    pub(super) fn forget(&mut self, attempt: u64) {
        self.running.remove(&attempt);
    }

    pub(super) fn cancel(&self, attempt: u64) {
        if let Some(running) = self.running.get(&attempt) {
            running.cancelled.cancel();
        }
    }

    /// Drops an attempt as soon as it yields.
    pub(super) fn drop_now(&mut self, attempt: u64) {
        if let Some(running) = self.running.get_mut(&attempt) {
            running.drop_now(&*self.clock);
        }
    }

    pub(super) fn drop_all(&mut self) {
        for running in self.running.values_mut() {
            running.drop_now(&*self.clock);
        }
    }

    pub(super) fn cancel_all(&self) {
        for running in self.running.values() {
            running.cancelled.cancel();
        }
    }

    /// Moves attempts that no worker has begun to threads of their own: the workers are all blocked.
    pub(super) fn rescue(&mut self, now: Duration) {
        for (id, running) in &self.running {
            if now.saturating_sub(running.since) < STARVED {
                continue;
            }
            if let Some(attempt) = take(&running.unbegun) {
                tracing::warn!(
                    attempt = id,
                    "all workers are blocked by handlers; running this one on its own thread"
                );
                let (runtime, dropped) = (self.runtime.clone(), running.dropped.clone());
                drop(self.runtime.spawn_blocking(move || {
                    runtime.block_on(async move {
                        tokio::select! {
                            biased;
                            () = dropped.cancelled() => {}
                            () = attempt => {}
                        }
                    });
                }));
            }
        }
    }
}

/// The span of an attempt, entered wherever its future is polled or dropped: what the handler logs carries it.
fn span(registry: &Registry, attempt: &Attempt) -> Span {
    let Attempt { message, key, number, of, .. } = attempt;
    if registry.subscribers.contains_key(&*of.saga) {
        return tracing::info_span!(
            "delivery",
            subscriber = %of.saga,
            key = %of.key,
            event = %message.name,
            attempt = *number,
            message_id = %key,
        );
    }
    tracing::info_span!(
        "attempt",
        saga = %of.saga,
        key = %of.key,
        command = %message.name,
        attempt = *number,
        idempotency_key = %key,
    )
}

fn take(unbegun: &Mutex<Option<Reporting>>) -> Option<Reporting> {
    // Nothing panics while the lock is held, so a poisoned one holds what it should.
    unbegun.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Takes the attempt when a worker first looks at it, unless somebody else has taken it.
struct Begin {
    unbegun: Arc<Mutex<Option<Reporting>>>,
    begun: Option<Reporting>,
}

impl Future for Begin {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.begun.is_none() {
            self.begun = take(&self.unbegun);
        }
        match &mut self.begun {
            Some(attempt) => Pin::new(attempt).poll(cx),
            None => Poll::Ready(()),
        }
    }
}

/// Runs an attempt, catches its panic, and reports how it ended, also when it is dropped.
struct Reporting {
    future: Instrumented<Attempting>,
    report: Report,
}

impl Future for Reporting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // From here on it may have had its effect.
        this.report.how = AttemptEnd::Dropped;
        let future = &mut this.future;
        let polled = this.report.work.poll(cx, |cx| {
            catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *future).poll(cx))).unwrap_or_else(|panic| {
                Poll::Ready(AttemptEnd::Indeterminate(format!("panicked: {}", panic_text(&*panic))))
            })
        });
        polled.map(|how| this.report.how = how)
    }
}

/// Sends how the attempt ended when it goes.
struct Report {
    attempt: u64,
    ended: UnboundedSender<Ended>,
    how: AttemptEnd,
    work: Work,
}

impl Drop for Report {
    fn drop(&mut self) {
        let how = std::mem::replace(&mut self.how, AttemptEnd::Dropped);
        // Nobody listens any more when the dispatcher has gone; the task is found again at the next start.
        let _ = self.ended.send(Ended { attempt: self.attempt, how, busy: self.work.end() });
    }
}
