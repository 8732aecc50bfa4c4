//! The throttle of a lane: its rate limit and its circuit breaker decide when the next attempt may start.
//!
//! The rate limit uses a sliding log of the newest starts. An algorithm with one stored time, such as the generic cell
//! rate algorithm, admits up to 2n - 1 starts per period. A wait at the throttle is not an attempt and costs none (rule
//! R17).

use std::collections::VecDeque;
use std::time::Duration;

use super::Policy;
use crate::engine::io::AttemptEnd;

/// The recent attempts of a lane, for its rate limit and its breaker.
#[derive(Debug, Default)]
pub(in crate::engine) struct Throttle {
    /// The times of the newest starts, at most as many as one period admits.
    starts: VecDeque<Duration>,
    /// The number of consecutive indeterminate attempts.
    indeterminate: u32,
    /// The breaker is open until this time.
    open: Option<Duration>,
}

impl Throttle {
    /// Checks whether an attempt may start now. `running` attempts run. `starting` attempts have passed and start when
    /// their start records are durable. `Err` holds the time of the next check. `Err(None)` means a check at the next
    /// start or end of an attempt.
    pub(in crate::engine) fn pass(
        &self,
        policy: &Policy,
        running: usize,
        starting: usize,
        now: Duration,
    ) -> Result<(), Option<Duration>> {
        match self.open {
            Some(until) if now < until => return Err(Some(until)),
            // An open breaker admits one attempt at a time, until an attempt gets an answer.
            Some(_) if running + starting > 0 => return Err(None),
            _ => {}
        }
        let Some((attempts, per)) = policy.rate else { return Ok(()) };
        let old = self.starts.partition_point(|start| start.saturating_add(per) <= now);
        let (attempts, recent) = (attempts as usize, self.starts.len() - old);
        if recent + starting < attempts {
            return Ok(());
        }
        // The recent starts up to this index must leave the period first. `None` if that attempt has not started yet.
        let too_many = recent + starting - attempts;
        Err(self.starts.get(old + too_many).map(|start| start.saturating_add(per)))
    }

    /// Records the start of an attempt.
    pub(in crate::engine) fn passed(&mut self, policy: &Policy, now: Duration) {
        if let Some((attempts, per)) = policy.rate {
            let counts = |start: &Duration| start.saturating_add(per) > now;
            while self.starts.len() >= attempts as usize || self.starts.front().is_some_and(|s| !counts(s)) {
                self.starts.pop_front();
            }
            self.starts.push_back(now);
        }
    }

    /// True while the breaker is open, also while an attempt probes.
    pub(in crate::engine) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Records the end of an attempt. Returns whether this end opens the breaker, or keeps it open for another pause.
    pub(in crate::engine) fn judge(&mut self, policy: &Policy, how: &AttemptEnd, now: Duration) -> bool {
        let Some((failures, pause)) = policy.breaker else { return false };
        match how {
            AttemptEnd::Replied(_)
            | AttemptEnd::Refused(_)
            | AttemptEnd::RefusedForGood(_)
            | AttemptEnd::BadReply(_) => {
                (self.indeterminate, self.open) = (0, None);
                false
            }
            AttemptEnd::Indeterminate(_) => {
                self.indeterminate = self.indeterminate.saturating_add(1);
                let opens = self.indeterminate >= failures;
                if opens {
                    self.open = Some(now.saturating_add(pause));
                }
                opens
            }
            // These ends say nothing about the remote system.
            AttemptEnd::Dropped | AttemptEnd::NotBegun | AttemptEnd::Unreadable(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The start times, in seconds, of attempts that all wait from the beginning.
    fn starts(policy: &Policy, attempts: usize) -> Vec<u64> {
        let (mut throttle, mut now, mut starts) = (Throttle::default(), Duration::ZERO, Vec::new());
        while starts.len() < attempts {
            match throttle.pass(policy, 0, 0, now) {
                Ok(()) => {
                    throttle.passed(policy, now);
                    starts.push(now.as_secs());
                }
                Err(until) => now = until.expect("nothing runs"),
            }
        }
        starts
    }

    #[test]
    fn as_many_at_once_as_the_rate_says_and_the_next_a_period_later() {
        assert_eq!(starts(&Policy::default().rate_limit(3, 30 * SECOND), 7), [0, 0, 0, 30, 30, 30, 60]);
        assert_eq!(starts(&Policy::default().rate_limit(1, 10 * SECOND), 3), [0, 10, 20]);
        assert_eq!(starts(&Policy::default(), 3), [0, 0, 0]);
    }

    proptest::proptest! {
        /// Attempts come at any time. Each one starts as soon as the throttle permits.
        #[test]
        fn within_any_window_of_a_period_no_more_start_than_the_rate_says(
            attempts in 1_u32..6,
            per in 1_u32..40,
            waits in proptest::collection::vec(0_u32..30, 1..60),
        ) {
            let policy = Policy::default().rate_limit(attempts, SECOND * per);
            let (mut throttle, mut now, mut starts) = (Throttle::default(), Duration::ZERO, Vec::new());
            for wait in waits {
                now += SECOND * wait;
                if let Err(until) = throttle.pass(&policy, 0, 0, now) {
                    now = until.expect("nothing runs");
                }
                proptest::prop_assert_eq!(throttle.pass(&policy, 0, 0, now), Ok(()), "it may start when it was logged to");
                throttle.passed(&policy, now);
                starts.push(now);
                proptest::prop_assert!(throttle.starts.len() <= attempts as usize);
            }
            for first in &starts {
                let within = starts.iter().filter(|start| (*first..*first + SECOND * per).contains(start));
                proptest::prop_assert!(within.count() <= attempts as usize, "{starts:?}");
            }
        }
    }

    proptest::proptest! {
        /// Attempts that have passed start later, in any order, when their start records become durable.
        #[test]
        fn the_rate_holds_for_starts_that_wait_for_their_marks(
            attempts in 1_u32..6,
            per in 1_u32..40,
            events in proptest::collection::vec((0_u32..10, proptest::bool::ANY), 1..120),
        ) {
            let policy = Policy::default().rate_limit(attempts, SECOND * per);
            let (mut throttle, mut now, mut starting, mut starts) = (Throttle::default(), Duration::ZERO, 0, Vec::new());
            for (wait, launch) in events {
                now += SECOND * wait;
                if launch && starting > 0 {
                    starting -= 1;
                    throttle.passed(&policy, now);
                    starts.push(now);
                } else if throttle.pass(&policy, 0, starting, now).is_ok() {
                    starting += 1;
                }
                proptest::prop_assert!(throttle.starts.len() <= attempts as usize);
            }
            for first in &starts {
                let within = starts.iter().filter(|start| (*first..*first + SECOND * per).contains(start));
                proptest::prop_assert!(within.count() <= attempts as usize, "{starts:?}");
            }
        }
    }

    #[test]
    fn a_breaker_opens_pauses_probes_one_and_closes() {
        let policy = Policy::default().circuit_breaker(2, 60 * SECOND);
        let indeterminate = AttemptEnd::Indeterminate("no answer".to_owned());
        let mut throttle = Throttle::default();
        assert!(!throttle.judge(&policy, &indeterminate, SECOND));
        assert!(throttle.judge(&policy, &indeterminate, SECOND));
        assert_eq!(throttle.pass(&policy, 0, 0, 30 * SECOND), Err(Some(61 * SECOND)));
        assert_eq!(throttle.pass(&policy, 0, 0, 61 * SECOND), Ok(()), "a probe");
        assert_eq!(throttle.pass(&policy, 1, 0, 61 * SECOND), Err(None), "and no second one beside it");
        assert!(throttle.judge(&policy, &indeterminate, 62 * SECOND));
        assert_eq!(throttle.pass(&policy, 0, 0, 63 * SECOND), Err(Some(122 * SECOND)));
        assert!(!throttle.judge(&policy, &AttemptEnd::Replied(None), 123 * SECOND));
        assert_eq!(throttle.pass(&policy, 5, 0, 123 * SECOND), Ok(()));
    }
}
