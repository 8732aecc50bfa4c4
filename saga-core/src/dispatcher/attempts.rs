//! Runs attempts on the runtime of the application, so that no attempt can stop the dispatcher. A panic is caught. A
//! hanging attempt is dropped. An attempt without a free worker moves to its own thread.

use crate::message::Map;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};

use super::attempt_channel::{AttemptChannel, Services};
use super::clock::Clock;
use super::handler::{AnyHandler, Attempting, HandlerContext};
use super::mailbox::Ended;
use super::tempo::{Busy, Work};
use crate::engine::{Attempt, AttemptEnd, AttemptKey, Registry, Traced, TracedKind, Tracer};
use crate::message::{TraceContext, panic_text};

/// An attempt that no worker has polled for this time moves to its own thread.
const STARVED: Duration = Duration::from_millis(500);

/// The running attempts.
pub(super) struct Attempts {
    handlers: Vec<Arc<dyn AnyHandler>>,
    runtime: Handle,
    ended: UnboundedSender<Ended>,
    services: Arc<Services>,
    running: Map<u64, Running>,
}

struct Running {
    abort: AbortHandle,
    cx: HandlerContext,
    /// Ends an attempt on its own thread, where `abort` has no effect.
    dropped: Option<CancellationToken>,
    /// Holds the future until a worker or a thread begins to run it.
    unbegun: Arc<Mutex<Option<Reporting>>>,
    since: Duration,
    lane: usize,
    /// The attempt is being dropped, and its end is not reported yet.
    dropping: Option<Busy>,
}

impl Running {
    fn drop_now(&mut self, clock: &dyn Clock) {
        // A worker drops the attempt later. Until then, the attempt is neither active nor over.
        self.dropping = Some(Busy::by(clock));
        self.cx.cancel();
        self.abort.abort();
        if let Some(dropped) = &self.dropped {
            dropped.cancel();
        }
        // The attempt has not begun. Only this value holds the future, so its drop here reports the end.
        drop(take(&self.unbegun));
    }
}

impl Attempts {
    pub(super) fn new(
        handlers: Vec<Arc<dyn AnyHandler>>,
        runtime: Handle,
        ended: UnboundedSender<Ended>,
        services: Services,
    ) -> Self {
        Self { handlers, runtime, ended, services: Arc::new(services), running: Map::default() }
    }

    pub(super) fn start(&mut self, attempt: Attempt, now: Duration) {
        let span = span(&self.services.registry, &attempt);
        let trace = joined(&self.services.registry, &attempt, &span);
        let Attempt { id, lane, message, key, number, of, saved, .. } = attempt;
        let channel = AttemptChannel::new(id, saved, trace, Arc::clone(&self.services));
        let cx = HandlerContext::new(key, number, of, channel);
        let handler = Arc::clone(&self.handlers[lane]);
        let future = handler.attempt(message, cx.clone(), self.services.limits).instrument(span);
        let report = Report {
            attempt: id,
            ended: self.ended.clone(),
            how: AttemptEnd::NotBegun,
            work: Work::begin(&self.services.clock),
        };
        let services = Arc::clone(&self.services);
        let unbegun = Arc::new(Mutex::new(Some(Reporting { future, report, services })));
        let abort = self.runtime.spawn(Begin { unbegun: Arc::clone(&unbegun), begun: None }).abort_handle();
        let running = Running { abort, cx, dropped: None, unbegun, since: now, lane, dropping: None };
        self.running.insert(id, running);
    }

    /// Forgets an attempt that has ended. Returns its lane and the time of its start.
    pub(super) fn forget(&mut self, attempt: u64) -> Option<(usize, Duration)> {
        self.running.remove(&attempt).map(|running| (running.lane, running.since))
    }

    pub(super) fn cancel(&self, attempt: u64) {
        if let Some(running) = self.running.get(&attempt) {
            running.cx.cancel();
        }
    }

    /// Drops an attempt as soon as it yields.
    pub(super) fn drop_now(&mut self, attempt: u64) {
        if let Some(running) = self.running.get_mut(&attempt) {
            running.drop_now(&*self.services.clock);
        }
    }

    pub(super) fn drop_all(&mut self) {
        for running in self.running.values_mut() {
            running.drop_now(&*self.services.clock);
        }
    }

    pub(super) fn cancel_all(&self) {
        for running in self.running.values() {
            running.cx.cancel();
        }
    }

    /// Moves attempts that no worker has begun to their own threads, because all workers are blocked.
    pub(super) fn rescue(&mut self, now: Duration) {
        for (id, running) in &mut self.running {
            if now.saturating_sub(running.since) < STARVED {
                continue;
            }
            if let Some(attempt) = take(&running.unbegun) {
                tracing::warn!(
                    attempt = id,
                    "handlers block all worker threads of the runtime; the attempt runs on its own thread"
                );
                let dropped = running.dropped.insert(CancellationToken::new()).clone();
                let runtime = self.runtime.clone();
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

/// The span of an attempt, entered on every poll and drop of its future. Log records of the handler carry the span.
fn span(registry: &Registry, attempt: &Attempt) -> Span {
    let Attempt { message, key, number, of, trace, .. } = attempt;
    if registry.subscribers.contains_key(&*of.saga) {
        return tracing::info_span!(
            "delivery",
            subscriber = %of.saga,
            key = %of.key,
            event = %message.name,
            attempt = *number,
            message_id = %key,
            trace = trace.map(tracing::field::display),
        );
    }
    tracing::info_span!(
        "attempt",
        saga = %of.saga,
        key = %of.key,
        command = %message.name,
        attempt = *number,
        idempotency_key = %key,
        trace = trace.map(tracing::field::display),
    )
}

/// Joins the span of an attempt to its trace. Returns the context for everything that the handler does.
fn joined(registry: &Registry, attempt: &Attempt, span: &Span) -> Option<TraceContext> {
    let (kind, incarnation) = match &attempt.key {
        AttemptKey::Task(incarnation, ..) => (TracedKind::Attempt, Some(*incarnation)),
        _ => (TracedKind::Delivery, None),
    };
    let of = Traced { kind, of: &attempt.of, incarnation, cause: attempt.trace };
    <dyn Tracer>::joined(registry.tracer(), span, &of)
}

fn take(unbegun: &Mutex<Option<Reporting>>) -> Option<Reporting> {
    // No code panics while it holds the lock, so a poisoned lock still holds valid state.
    unbegun.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Takes the attempt at the first poll of a worker, unless a thread has already taken it.
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

/// Runs an attempt, catches its panic, and reports its end, also after a drop.
struct Reporting {
    future: Instrumented<Attempting>,
    report: Report,
    services: Arc<Services>,
}

impl Future for Reporting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Asked as late as possible: the process may have been frozen since the attempt was released.
        if matches!(this.report.how, AttemptEnd::NotBegun) && this.services.has_lapsed() {
            return Poll::Ready(());
        }
        // From this point, the attempt may have had its effect.
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

/// Sends the end of the attempt on drop.
struct Report {
    attempt: u64,
    ended: UnboundedSender<Ended>,
    how: AttemptEnd,
    work: Work,
}

impl Drop for Report {
    fn drop(&mut self) {
        let how = std::mem::replace(&mut self.how, AttemptEnd::Dropped);
        // The send fails when the dispatcher has gone. The next start then finds the task again.
        let _ = self.ended.send(Ended { attempt: self.attempt, how, busy: self.work.end() });
    }
}
