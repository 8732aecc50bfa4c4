//! A lane's rate limit and circuit breaker: when the next attempt may start.
//!
//! The rate is kept by the generic cell rate algorithm (ITU-T I.371), which remembers one moment and no list. What waits
//! at the gate is not an attempt, so it costs none (rule R17).

use std::time::Duration;

use super::io::AttemptEnd;
use super::policy::Policy;

/// What a lane remembers of its attempts.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// When the next attempt would start, if all came evenly.
    even: Duration,
    /// Unclear attempts in a row.
    unclear: u32,
    /// The breaker is open, until then.
    open: Option<Duration>,
}

impl Gate {
    /// Whether an attempt may start now, with so many running; `Err` with when to ask again, or `None` when that is when
    /// one of those has ended.
    pub(super) fn pass(
        &self,
        policy: &Policy,
        running: usize,
        now: Duration,
    ) -> Result<(), Option<Duration>> {
        match self.open {
            Some(until) if now < until => return Err(Some(until)),
            // One at a time, until one gets an answer.
            Some(_) if running > 0 => return Err(None),
            _ => {}
        }
        if let Some((attempts, per)) = policy.rate {
            // As many as are allowed may come at once, when none came before.
            let burst = per.saturating_sub(per / attempts);
            let due = self.even.saturating_sub(burst);
            if now < due {
                return Err(Some(due));
            }
        }
        Ok(())
    }

    /// An attempt starts.
    pub(super) fn passed(&mut self, policy: &Policy, now: Duration) {
        if let Some((attempts, per)) = policy.rate {
            self.even = self.even.max(now).saturating_add(per / attempts);
        }
    }

    /// An attempt has ended; returns whether the breaker opens by it.
    pub(super) fn judge(&mut self, policy: &Policy, how: &AttemptEnd, now: Duration) -> bool {
        let Some((failures, pause)) = policy.breaker else { return false };
        match how {
            AttemptEnd::Replied(_) | AttemptEnd::Refused(_) | AttemptEnd::RefusedForGood(_) => {
                (self.unclear, self.open) = (0, None);
                false
            }
            AttemptEnd::Unclear(_) => {
                self.unclear = self.unclear.saturating_add(1);
                let opens = self.unclear >= failures;
                if opens {
                    self.open = Some(now.saturating_add(pause));
                }
                opens
            }
            // Neither says anything about the outside world.
            AttemptEnd::Dropped | AttemptEnd::Unreadable(_) => false,
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
            match gate.pass(policy, 0, now) {
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
    fn a_burst_and_then_evenly() {
        assert_eq!(starts(&Policy::default().rate(3, 30 * SECOND), 7), [0, 0, 0, 10, 20, 30, 40]);
        assert_eq!(starts(&Policy::default().rate(1, 10 * SECOND), 3), [0, 10, 20]);
        assert_eq!(starts(&Policy::default(), 3), [0, 0, 0]);
    }

    #[test]
    fn a_breaker_opens_pauses_probes_one_and_closes() {
        let policy = Policy::default().breaker(2, 60 * SECOND);
        let unclear = AttemptEnd::Unclear("no answer".to_owned());
        let mut gate = Gate::default();
        assert!(!gate.judge(&policy, &unclear, SECOND));
        assert!(gate.judge(&policy, &unclear, SECOND));
        assert_eq!(gate.pass(&policy, 0, 30 * SECOND), Err(Some(61 * SECOND)));
        assert_eq!(gate.pass(&policy, 0, 61 * SECOND), Ok(()), "a probe");
        assert_eq!(gate.pass(&policy, 1, 61 * SECOND), Err(None), "and no second one beside it");
        assert!(gate.judge(&policy, &unclear, 62 * SECOND));
        assert_eq!(gate.pass(&policy, 0, 63 * SECOND), Err(Some(122 * SECOND)));
        assert!(!gate.judge(&policy, &AttemptEnd::Replied(None), 123 * SECOND));
        assert_eq!(gate.pass(&policy, 5, 123 * SECOND), Ok(()));
    }
}
