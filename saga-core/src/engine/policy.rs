//! How often a handler is tried, and how long it may take.

use std::time::Duration;

/// The policy of one handler or subscriber, set where it is registered.
///
/// An attempt that is indeterminate is repeated: [`quick_attempts`](Self::quick_attempts) times at once, then with delays
/// that double from `first` to `cap`, each drawn evenly between zero and that length (full jitter), until
/// [`total`](Self::total) is used up. Only attempts and the waits between them are charged: time the process was down,
/// and waiting for a free slot, cost nothing (rule R17). Undo commands ignore `total` and are tried for ever, at most
/// every five minutes.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) quick: u32,
    pub(crate) first: Duration,
    pub(crate) cap: Duration,
    pub(crate) total: Duration,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) unordered: bool,
    /// So many attempts may start within any window of this length.
    pub(crate) rate: Option<(u32, Duration)>,
    /// After so many indeterminate attempts in a row none starts for so long.
    pub(crate) breaker: Option<(u32, Duration)>,
}

/// No wait between two attempts of an undo is longer.
const UNDO_CAP: Duration = Duration::from_secs(5 * 60);

impl Default for Policy {
    /// 3 quick attempts, then 1 s doubling to 5 min within 24 h; a timeout of 60 s; 64 at a time.
    fn default() -> Self {
        Self {
            quick: 3,
            first: Duration::from_secs(1),
            cap: UNDO_CAP,
            total: Duration::from_secs(24 * 60 * 60),
            timeout: Duration::from_secs(60),
            concurrency: 64,
            unordered: false,
            rate: None,
            breaker: None,
        }
    }
}

impl Policy {
    /// How many attempts follow each other without a wait; at least 1. Default 3.
    #[must_use]
    pub fn quick_attempts(mut self, quick: u32) -> Self {
        self.quick = quick.max(1);
        self
    }

    /// The longest first wait, and the longest wait at all. Default 1 s and 5 min.
    #[must_use]
    pub fn backoff(mut self, first: Duration, cap: Duration) -> Self {
        self.first = first;
        self.cap = cap;
        self
    }

    /// How much time may be charged before the command is `unknown`. Default 24 h.
    #[must_use]
    pub fn total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// How long one attempt may run before it is dropped. Default 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many attempts may run at the same time; at least 1. Default 64.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// How many attempts may start within any window of length `per`, all of them at once if they are there; at least 1.
    /// Waiting for it costs no attempt and no time. Counted by each process since its start. Default: as many as there
    /// are.
    #[must_use]
    pub fn rate(mut self, attempts: u32, per: Duration) -> Self {
        self.rate = Some((attempts.max(1), per));
        self
    }

    /// A circuit breaker: after `failures` indeterminate attempts in a row, of whichever commands, none starts for `pause`.
    /// Then one at a time is tried, until one gets an answer. Waiting for it costs no attempt and no time. Default:
    /// none.
    #[must_use]
    pub fn breaker(mut self, failures: u32, pause: Duration) -> Self {
        self.breaker = Some((failures.max(1), pause));
        self
    }

    /// For subscribers: deliveries need not keep the order of their key, and a failing one holds back no other.
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// The wait after `attempts` attempts have ended; `random` is even between 0 and 1.
    pub(crate) fn delay(&self, attempts: u32, undo: bool, random: f64) -> Duration {
        if attempts < self.quick {
            return Duration::ZERO;
        }
        let cap = if undo { self.cap.min(UNDO_CAP) } else { self.cap };
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempts - self.quick).unwrap_or(u32::MAX));
        // At least a millisecond: a delayed attempt must not look like one that is ready at once.
        doubled.min(cap).mul_f64(random.clamp(0.0, 1.0)).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_attempts_then_doubling_up_to_the_cap() {
        let policy = Policy::default();
        let delays: Vec<u64> = [1, 2, 3, 4, 5, 11, 12, 40, 100]
            .into_iter()
            .map(|attempts| policy.delay(attempts, false, 1.0).as_secs())
            .collect();
        assert_eq!(delays, [0, 0, 1, 2, 4, 256, 300, 300, 300]);
        assert_eq!(policy.delay(5, false, 0.0), Duration::from_millis(1));
    }

    #[test]
    fn r14_undos_wait_at_most_five_minutes() {
        let policy = Policy::default().backoff(Duration::from_secs(60), Duration::from_secs(7200));
        assert_eq!(policy.delay(20, false, 1.0), Duration::from_secs(7200));
        assert_eq!(policy.delay(20, true, 1.0), Duration::from_secs(300));
    }
}
