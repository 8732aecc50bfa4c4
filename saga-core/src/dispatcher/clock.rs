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

/// A clock that stands still until a test moves it.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: std::sync::Arc<tokio::sync::watch::Sender<Moment>>,
    /// When those who sleep want to be woken.
    sleepers: std::sync::Arc<tokio::sync::watch::Sender<std::collections::BTreeMap<(Duration, u64), ()>>>,
}

#[cfg(any(test, feature = "testing"))]
impl Default for ManualClock {
    /// Stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        let wall = Timestamp::from_millis(1_767_225_600_000);
        Self {
            now: std::sync::Arc::new(tokio::sync::watch::Sender::new(Moment { wall, mono: Duration::ZERO })),
            sleepers: std::sync::Arc::default(),
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

    /// Waits until somebody sleeps, and moves both clocks to where the first of them wakes. Called again and again it
    /// keeps step with the dispatcher: time does not pass while that is busy.
    pub async fn advance_to_next(&self) {
        let mut sleepers = self.sleepers.subscribe();
        // The sender lives in `self`.
        let Ok(next) = sleepers
            .wait_for(|sleepers| !sleepers.is_empty())
            .await
            .map(|sleepers| sleepers.first_key_value().map_or(Duration::ZERO, |((until, _), ())| *until))
        else {
            return;
        };
        self.advance(next.saturating_sub(self.now().mono));
        // Whoever was woken has looked at the clock when it is no longer among the sleepers.
        let _ = sleepers.wait_for(|sleepers| sleepers.keys().all(|(until, _)| *until > next)).await;
    }

    /// Sets the wall clock, forward or back, as an administrator would.
    pub fn set_wall(&self, wall: Timestamp) {
        self.now.send_modify(|now| now.wall = wall);
    }
}

/// Takes a sleeper off the list when it wakes or goes away.
#[cfg(any(test, feature = "testing"))]
struct Sleeper {
    sleepers: std::sync::Arc<tokio::sync::watch::Sender<std::collections::BTreeMap<(Duration, u64), ()>>>,
    key: (Duration, u64),
}

#[cfg(any(test, feature = "testing"))]
impl Drop for Sleeper {
    fn drop(&mut self) {
        self.sleepers.send_modify(|sleepers| {
            sleepers.remove(&self.key);
        });
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.now.borrow()
    }

    fn sleep_until(&self, mono: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let mut changes = self.now.subscribe();
        let mut key = (mono, 0);
        self.sleepers.send_modify(|sleepers| {
            key.1 = sleepers.keys().map(|(_, id)| id + 1).max().unwrap_or(0);
            sleepers.insert(key, ());
        });
        let sleeper = Sleeper { sleepers: std::sync::Arc::clone(&self.sleepers), key };
        Box::pin(async move {
            let _sleeper = sleeper;
            // The sender lives as long as any clock; without one, time stands still for ever.
            if changes.wait_for(|now| now.mono >= mono).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
