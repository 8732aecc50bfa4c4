//! How long this process may count on its lease.
//!
//! Owns: the time of the last sign of life that the server has taken, and the time from which the lease has lapsed. Does not
//! own: the signs of life (`lease`), or the fence of a commit (`committer`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The knowledge of a holder about its lease. It is read without the lock of the committer.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) epoch: u64,
    /// The time without a sign of life after which another process may end the lease soon.
    lapse: Duration,
    /// The moment before the last sign of life was sent, in milliseconds of [`now`].
    beaten: AtomicU64,
    /// Another process has ended the lease.
    lost: AtomicBool,
}

impl Tenure {
    /// `sent` is a moment before the lease was asked for.
    pub(crate) fn new(epoch: u64, ttl: Duration, sent: Duration) -> Self {
        let lapse = ttl.saturating_sub(ttl / 5);
        Self { epoch, lapse, beaten: AtomicU64::new(millis(sent)), lost: AtomicBool::new(false) }
    }

    /// The server has taken a sign of life that was sent at `sent`.
    pub(crate) fn beaten(&self, sent: Duration) {
        self.beaten.fetch_max(millis(sent), Ordering::Relaxed);
    }

    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Returns whether another process has ended the lease.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Returns whether another process may have ended the lease, or is about to.
    pub(crate) fn has_lapsed(&self) -> bool {
        self.has_lapsed_at(now())
    }

    fn has_lapsed_at(&self, now: Duration) -> bool {
        let beaten = Duration::from_millis(self.beaten.load(Ordering::Relaxed));
        self.is_lost() || now.saturating_sub(beaten) >= self.lapse
    }
}

/// The time by a clock that also counts while the machine sleeps. A process on such a machine would otherwise think that its
/// lease is young.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The time by the monotonic clock.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn now() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lapses_a_fifth_before_its_ttl() {
        let second = Duration::from_secs;
        let tenure = Tenure::new(7, second(10), second(100));
        assert!(!tenure.has_lapsed_at(second(107)));
        assert!(tenure.has_lapsed_at(second(108)));
        tenure.beaten(second(103));
        assert!(!tenure.has_lapsed_at(second(110)));
        tenure.beaten(second(101));
        assert!(tenure.has_lapsed_at(second(111)), "an older sign of life does not count");
        tenure.beaten(second(200));
        tenure.lose();
        assert!(tenure.has_lapsed_at(second(200)), "nor does any after the end");
    }

    #[test]
    fn the_clock_goes_on() {
        let before = now();
        assert!(now() >= before);
    }
}
