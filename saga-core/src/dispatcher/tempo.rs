//! Waiting and working by either kind of dispatcher clock.
//!
//! Owns: reporting active work to a manual clock. Does not own: the clocks. With a real clock, these reports cost
//! nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::clock::Clock;
#[cfg(any(test, feature = "testing"))]
use super::manual_clock::{Attached, Working};

/// Guard that holds the manual clock back until its drop.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    #[cfg(any(test, feature = "testing"))]
    _working: Option<Working>,
}

impl Busy {
    /// Marks work as active from now.
    pub(super) fn by(clock: &dyn Clock) -> Self {
        #[cfg(any(test, feature = "testing"))]
        return Self { _working: clock.manual().map(super::ManualClock::working) };
        #[cfg(not(any(test, feature = "testing")))]
        {
            let _ = clock;
            Self::default()
        }
    }
}

impl Busy {
    /// Rests for the given time. Time may pass during the rest.
    pub(super) async fn pause(self, clock: &dyn Clock, duration: Duration) -> Self {
        #[cfg(any(test, feature = "testing"))]
        if let Some(working) = self._working {
            return Self { _working: Some(working.pause(duration).await) };
        }
        clock.sleep(duration).await;
        Self::default()
    }
}

/// Waits for the given time. A manual clock does not count this time as a due time.
pub(super) async fn limit(clock: &dyn Clock, duration: Duration) {
    #[cfg(any(test, feature = "testing"))]
    if let Some(manual) = clock.manual() {
        return manual.pass(duration).await;
    }
    clock.sleep(duration).await;
}

/// The work of one attempt. It holds the manual clock back from its start to its end, except during waits.
pub(super) struct Work {
    #[cfg(any(test, feature = "testing"))]
    tracked: Option<Arc<super::manual_clock::Tracked>>,
}

impl Work {
    pub(super) fn begin(clock: &Arc<dyn Clock>) -> Self {
        #[cfg(any(test, feature = "testing"))]
        return Self { tracked: clock.manual().map(super::manual_clock::Tracked::begin) };
        #[cfg(not(any(test, feature = "testing")))]
        {
            let _ = clock;
            Self {}
        }
    }

    /// Polls the attempt. The attempt waits from now if it is pending and has not been woken during the poll.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(tracked) = &self.tracked {
            return tracked.poll(cx, poll);
        }
        poll(cx)
    }

    /// Returns the guard that holds the clock back until the end of the attempt has been processed.
    pub(super) fn end(&self) -> Busy {
        #[cfg(any(test, feature = "testing"))]
        return Busy { _working: self.tracked.as_ref().map(|tracked| tracked.end()) };
        #[cfg(not(any(test, feature = "testing")))]
        Busy::default()
    }
}

/// A wait of the dispatcher's thread.
type Resting = Pin<Box<dyn Future<Output = u64> + Send>>;

/// The waits of the dispatcher's thread.
pub(super) struct Tempo {
    clock: Arc<dyn Clock>,
    #[cfg(any(test, feature = "testing"))]
    attached: Option<Attached>,
    /// The wait in progress, and its target times.
    rest: Option<((Option<Duration>, Duration), Resting)>,
}

impl Tempo {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            #[cfg(any(test, feature = "testing"))]
            attached: clock.manual().map(super::ManualClock::attach),
            clock,
            rest: None,
        }
    }

    /// Starts a wait of the thread for the next due time, until `latest` at most.
    pub(super) fn wait_for(&mut self, due: Option<Duration>, latest: Duration) {
        let wanted = (due, latest);
        if self.rest.as_ref().is_none_or(|(known, _)| *known != wanted) {
            self.rest = Some((wanted, self.begin(due, latest)));
        }
    }

    /// Waits until this time. Cancel-safe: another call continues the same wait.
    ///
    /// Poll this future after all other sources of input of the thread.
    pub(super) async fn rest(&mut self) {
        let Some((_, rest)) = &mut self.rest else { return };
        let question = rest.as_mut().await;
        self.rest = None;
        self.acked(question);
    }

    fn begin(&self, due: Option<Duration>, latest: Duration) -> Resting {
        #[cfg(any(test, feature = "testing"))]
        if let Some(attached) = &self.attached {
            return attached.rest(due, latest);
        }
        let sleep = self.clock.sleep_until(due.map_or(latest, |due| due.min(latest)));
        Box::pin(async move {
            sleep.await;
            0
        })
    }

    #[cfg(any(test, feature = "testing"))]
    fn acked(&mut self, question: u64) {
        if let Some(attached) = &mut self.attached {
            attached.acked(question);
        }
    }

    #[cfg(not(any(test, feature = "testing")))]
    fn acked(&mut self, _: u64) {}
}
