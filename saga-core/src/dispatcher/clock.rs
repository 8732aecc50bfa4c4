//! The two clocks of a dispatcher, behind a trait so that tests own time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::engine::Moment;
use crate::message::Timestamp;

/// Time as a dispatcher sees it.
///
/// Due times are compared with the wall clock, waiting is done by one that only goes forward, and no wait is longer
/// than 30 s, so that a corrected wall clock is noticed (rule R33).
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Both clocks, read together.
    fn now(&self) -> Moment;

    /// Ends once `duration` has passed by the forward-only clock.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;
}

/// The clocks of this machine.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment { wall: Timestamp::now(), mono: self.started.elapsed() }
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: std::sync::Arc<tokio::sync::watch::Sender<Moment>>,
}

#[cfg(any(test, feature = "testing"))]
impl Default for ManualClock {
    /// Stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        let wall = Timestamp::from_millis(1_767_225_600_000);
        Self {
            now: std::sync::Arc::new(tokio::sync::watch::Sender::new(Moment { wall, mono: Duration::ZERO })),
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl ManualClock {
    /// Moves both clocks forward and wakes whoever waits.
    pub fn advance(&self, duration: Duration) {
        self.now.send_modify(|now| {
            now.wall = now.wall.plus(duration);
            now.mono += duration;
        });
    }

    /// Sets the wall clock, forward or back, as an administrator would.
    pub fn set_wall(&self, wall: Timestamp) {
        self.now.send_modify(|now| now.wall = wall);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.now.borrow()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let mut changes = self.now.subscribe();
        let until = changes.borrow().mono.saturating_add(duration);
        Box::pin(async move {
            // The sender lives as long as any clock; without one, time stands still for ever.
            if changes.wait_for(|now| now.mono >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
