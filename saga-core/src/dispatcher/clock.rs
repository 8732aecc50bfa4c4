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

    /// Ends once the forward-only clock has reached `mono`.
    fn sleep_until(&self, mono: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

    /// Ends once `duration` has passed by the forward-only clock.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.sleep_until(self.now().mono.saturating_add(duration))
    }

    /// The clock of a test, which must know who is at work.
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
