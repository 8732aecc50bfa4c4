//! The two clocks of a dispatcher, behind a trait so that tests control time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::engine::Moment;
use crate::message::Timestamp;

/// The source of time for a dispatcher.
///
/// The dispatcher compares due times with the wall clock and waits by the monotonic clock. No wait is longer than 30 s,
/// so that the dispatcher notices a corrected wall clock (rule [R33](crate::rules#r33)).
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Reads both clocks together.
    fn now(&self) -> Moment;

    /// Waits until the monotonic clock has reached `mono`.
    fn sleep_until(&self, mono: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

    /// Waits until `duration` has passed on the monotonic clock.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.sleep_until(self.now().mono.saturating_add(duration))
    }

    /// Returns the manual clock of a test, which must track active work.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    fn manual(&self) -> Option<&super::ManualClock> {
        None
    }
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

    fn sleep_until(&self, mono: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::time::sleep(mono.saturating_sub(self.started.elapsed())))
    }
}
