//! Policies: how often a handler is tried, and how long an attempt may take.

use std::time::Duration;

/// The policy of one handler or subscriber, set at its registration.
///
/// An indeterminate attempt is repeated. The first [`quick_attempts`](Self::quick_attempts) attempts follow each other
/// at once. Then each wait is random between zero and a limit (full jitter). The limit doubles from `first` to `cap`.
/// The attempts end when [`max_total_time`](Self::max_total_time) is used up.
///
/// Only attempts and the waits between them are charged. Downtime and waits for a free slot cost nothing (rule
/// [R17](crate::rules#r17)). Undo commands ignore `max_total_time`, and their attempts are unlimited. Between two attempts they
/// wait at most five minutes (rule [R14](crate::rules#r14)).
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) quick: u32,
    pub(crate) first: Duration,
    pub(crate) cap: Duration,
    pub(crate) total: Duration,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) unordered: bool,
    /// The maximum number of attempts that may start within any window of this length.
    pub(crate) rate: Option<(u32, Duration)>,
    /// The number of consecutive indeterminate attempts that opens the breaker, and the pause that follows.
    pub(crate) breaker: Option<(u32, Duration)>,
}

/// The longest wait between two attempts of an undo (rule R14).
const UNDO_CAP: Duration = Duration::from_secs(5 * 60);

impl Default for Policy {
    /// 3 quick attempts, then waits from 1 s up to 5 min within 24 h. The timeout is 60 s. At most 64 attempts run at a
    /// time.
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
    /// Sets how many attempts follow each other without a wait. The minimum is 1, the default is 3.
    #[must_use]
    pub fn quick_attempts(mut self, quick: u32) -> Self {
        self.quick = quick.max(1);
        self
    }

    /// Sets the limit of the first wait, and the limit of every wait. The defaults are 1 s and 5 min.
    #[must_use]
    pub fn backoff(mut self, first: Duration, cap: Duration) -> Self {
        self.first = first;
        self.cap = cap;
        self
    }

    /// Sets the charged time after which the command is `unknown`. The default is 24 h.
    #[must_use]
    pub fn max_total_time(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// Sets how long one attempt may run before it is dropped. The default is 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many attempts may run at the same time. The minimum is 1, the default is 64.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// Sets how many attempts may start within any window of length `per`. The minimum is 1. All of them may start at
    /// once. A wait for the rate costs no attempt and no time. Each process counts from its own start. The default is
    /// no limit.
    #[must_use]
    pub fn rate_limit(mut self, attempts: u32, per: Duration) -> Self {
        self.rate = Some((attempts.max(1), per));
        self
    }

    /// Sets a circuit breaker. After `failures` consecutive indeterminate attempts of any commands, no attempt starts
    /// for `pause`. Then one attempt at a time is tried, until an attempt gets an answer. A wait for the breaker costs
    /// no attempt and no time. The default is no breaker.
    #[must_use]
    pub fn circuit_breaker(mut self, failures: u32, pause: Duration) -> Self {
        self.breaker = Some((failures.max(1), pause));
        self
    }

    /// Removes the order of deliveries, for subscribers. A failing delivery then holds back no other delivery (rule
    /// [R22](crate::rules#r22)).
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// The wait after `attempts` attempts. `random` is evenly distributed between 0 and 1.
    /// The part of one of `shards` equal shards in the limits. Each shard may run one attempt, so with more shards than the
    /// limit allows, the sum is the number of shards.
    pub(crate) fn share(&self, shards: u16) -> Self {
        let of = usize::from(shards);
        let concurrency = (self.concurrency / of).max(1);
        // The window becomes longer until one attempt fits into it, so the rate of the whole store stays.
        let rate = self.rate.map(|(attempts, per)| {
            let share = (attempts / u32::from(shards)).max(1);
            (share, per.saturating_mul(share).saturating_mul(u32::from(shards)) / attempts)
        });
        Self { concurrency, rate, ..self.clone() }
    }

    pub(crate) fn delay(&self, attempts: u32, undo: bool, random: f64) -> Duration {
        if attempts < self.quick {
            return Duration::ZERO;
        }
        let cap = if undo { self.cap.min(UNDO_CAP) } else { self.cap };
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempts - self.quick).unwrap_or(u32::MAX));
        // At least one millisecond, because zero means an attempt without a wait.
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
