//! A lane's rate limit and circuit breaker: when the next attempt may start.
//!
//! The rate is kept by a sliding log of the newest starts: algorithms that remember one moment only, such as the generic
//! cell rate algorithm, admit up to 2n - 1 starts within one period. What waits at the gate is not an attempt, so it
//! costs none (rule R17).

use std::collections::VecDeque;
use std::time::Duration;

use super::io::AttemptEnd;
use super::policy::Policy;

/// What a lane remembers of its attempts.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// When the newest attempts started, as many as one period admits.
    starts: VecDeque<Duration>,
    /// Indeterminate attempts in a row.
    indeterminate: u32,
    /// The breaker is open, until then.
    open: Option<Duration>,
}

impl Gate {
    /// Whether an attempt may start now, with so many running and so many that have passed and start later, when their marks
    /// are durable; `Err` with when to ask again, or `None` when that is when one of those has started or ended.
    pub(super) fn pass(
        &self,
        policy: &Policy,
        running: usize,
        marking: usize,
        now: Duration,
    ) -> Result<(), Option<Duration>> {
        match self.open {
            Some(until) if now < until => return Err(Some(until)),
            // One at a time, until one gets an answer.
            Some(_) if running + marking > 0 => return Err(None),
            _ => {}
        }
        let Some((attempts, per)) = policy.rate else { return Ok(()) };
        let old = self.starts.partition_point(|start| start.saturating_add(per) <= now);
        let (attempts, recent) = (attempts as usize, self.starts.len() - old);
        if recent + marking < attempts {
            return Ok(());
        }
        // So many of the recent ones must be out of the period first, if there are as many.
        let too_many = recent + marking - attempts;
        Err(self.starts.get(old + too_many).map(|start| start.saturating_add(per)))
    }

    /// An attempt starts.
    pub(super) fn passed(&mut self, policy: &Policy, now: Duration) {
        if let Some((attempts, per)) = policy.rate {
            let counts = |start: &Duration| start.saturating_add(per) > now;
            while self.starts.len() >= attempts as usize || self.starts.front().is_some_and(|s| !counts(s)) {
                self.starts.pop_front();
            }
            self.starts.push_back(now);
        }
    }

    /// Whether the breaker is open, also while one attempt probes.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// An attempt has ended; returns whether the breaker opens by it, or stays open for another pause.
    pub(super) fn judge(&mut self, policy: &Policy, how: &AttemptEnd, now: Duration) -> bool {
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
            // Neither says anything about the outside world.
            AttemptEnd::Dropped | AttemptEnd::NotBegun | AttemptEnd::Unreadable(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The seconds at which attempts start that all wait from the start.
    fn starts(policy: &Policy, attempts: usize) -> Vec<u64> {
        let (mut gate, mut now, mut starts) = (Gate::default(), Duration::ZERO, Vec::new());
        while starts.len() < attempts {
            match gate.pass(policy, 0, 0, now) {
                Ok(()) => {
                    gate.passed(policy, now);
                    starts.push(now.as_secs());
                }
                Err(until) => now = until.expect("nothing runs"),
            }
        }
        starts
    }

    #[test]
    fn as_many_at_once_as_the_rate_says_and_the_next_a_period_later() {
        assert_eq!(starts(&Policy::default().rate(3, 30 * SECOND), 7), [0, 0, 0, 30, 30, 30, 60]);
        assert_eq!(starts(&Policy::default().rate(1, 10 * SECOND), 3), [0, 10, 20]);
        assert_eq!(starts(&Policy::default(), 3), [0, 0, 0]);
    }

    proptest::proptest! {
        /// Attempts come at any time; each starts as soon as the gate lets it.
        #[test]
        fn within_any_window_of_a_period_no_more_start_than_the_rate_says(
            attempts in 1_u32..6,
            per in 1_u32..40,
            waits in proptest::collection::vec(0_u32..30, 1..60),
        ) {
            let policy = Policy::default().rate(attempts, SECOND * per);
            let (mut gate, mut now, mut starts) = (Gate::default(), Duration::ZERO, Vec::new());
            for wait in waits {
                now += SECOND * wait;
                if let Err(until) = gate.pass(&policy, 0, 0, now) {
                    now = until.expect("nothing runs");
                }
                proptest::prop_assert_eq!(gate.pass(&policy, 0, 0, now), Ok(()), "it may start when it was told to");
                gate.passed(&policy, now);
                starts.push(now);
                proptest::prop_assert!(gate.starts.len() <= attempts as usize);
            }
            for first in &starts {
                let within = starts.iter().filter(|start| (*first..*first + SECOND * per).contains(start));
                proptest::prop_assert!(within.count() <= attempts as usize, "{starts:?}");
            }
        }
    }

    proptest::proptest! {
        /// Attempts that have passed start later, in any order with others, as marks become durable.
        #[test]
        fn the_rate_holds_for_starts_that_wait_for_their_marks(
            attempts in 1_u32..6,
            per in 1_u32..40,
            events in proptest::collection::vec((0_u32..10, proptest::bool::ANY), 1..120),
        ) {
            let policy = Policy::default().rate(attempts, SECOND * per);
            let (mut gate, mut now, mut marking, mut starts) = (Gate::default(), Duration::ZERO, 0, Vec::new());
            for (wait, launch) in events {
                now += SECOND * wait;
                if launch && marking > 0 {
                    marking -= 1;
                    gate.passed(&policy, now);
                    starts.push(now);
                } else if gate.pass(&policy, 0, marking, now).is_ok() {
                    marking += 1;
                }
                proptest::prop_assert!(gate.starts.len() <= attempts as usize);
            }
            for first in &starts {
                let within = starts.iter().filter(|start| (*first..*first + SECOND * per).contains(start));
                proptest::prop_assert!(within.count() <= attempts as usize, "{starts:?}");
            }
        }
    }

    #[test]
    fn a_breaker_opens_pauses_probes_one_and_closes() {
        let policy = Policy::default().breaker(2, 60 * SECOND);
        let indeterminate = AttemptEnd::Indeterminate("no answer".to_owned());
        let mut gate = Gate::default();
        assert!(!gate.judge(&policy, &indeterminate, SECOND));
        assert!(gate.judge(&policy, &indeterminate, SECOND));
        assert_eq!(gate.pass(&policy, 0, 0, 30 * SECOND), Err(Some(61 * SECOND)));
        assert_eq!(gate.pass(&policy, 0, 0, 61 * SECOND), Ok(()), "a probe");
        assert_eq!(gate.pass(&policy, 1, 0, 61 * SECOND), Err(None), "and no second one beside it");
        assert!(gate.judge(&policy, &indeterminate, 62 * SECOND));
        assert_eq!(gate.pass(&policy, 0, 0, 63 * SECOND), Err(Some(122 * SECOND)));
        assert!(!gate.judge(&policy, &AttemptEnd::Replied(None), 123 * SECOND));
        assert_eq!(gate.pass(&policy, 5, 0, 123 * SECOND), Ok(()));
    }
}
