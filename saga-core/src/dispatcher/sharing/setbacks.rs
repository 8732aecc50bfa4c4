//! Setbacks: shards that this process could not run or hand over. Each of them is tried again later.
//!
//! Owns: when, and the reason for the health of the dispatcher. Does not own: the next try (`member`).

use std::collections::BTreeMap;
use std::time::Duration;

/// The first and the longest time until a shard is taken again after its unit has died.
const AFTER_DEATH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The time until another hand-over of a shard is tried.
const AFTER_HAND_OVER: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Setbacks {
    died: BTreeMap<u16, Death>,
    /// Until when a shard is not handed over.
    given_up: BTreeMap<u16, Duration>,
}

#[derive(Debug)]
struct Death {
    until: Duration,
    delay: Duration,
    why: String,
}

impl Setbacks {
    /// The unit of a shard has died. The delay doubles if it died soon after the last delay.
    pub(super) fn died(&mut self, shard: u16, why: &str, now: Duration) {
        let (first, longest) = AFTER_DEATH;
        let again = self.died.get(&shard).filter(|before| now < before.until.saturating_add(longest));
        let delay = again.map_or(first, |before| (before.delay * 2).min(longest));
        let why = format!("shard {shard} stopped, and is taken again if it is free: {why}");
        self.died.insert(shard, Death { until: now.saturating_add(delay), delay, why });
    }

    /// A hand-over was given up, because an attempt ran for too long.
    pub(super) fn given_up(&mut self, shard: u16, now: Duration) {
        self.given_up.insert(shard, now.saturating_add(AFTER_HAND_OVER));
    }

    pub(super) fn may_take(&self, shard: u16, now: Duration) -> bool {
        self.died.get(&shard).is_none_or(|death| death.until <= now)
    }

    pub(super) fn may_give(&self, shard: u16, now: Duration) -> bool {
        self.given_up.get(&shard).is_none_or(|until| *until <= now)
    }

    /// Returns when the last hand-over of a shard was given up.
    pub(super) fn given_up_at(&self, shard: u16) -> Option<Duration> {
        self.given_up.get(&shard).map(|until| until.saturating_sub(AFTER_HAND_OVER))
    }

    /// Returns why a shard is not run now.
    pub(super) fn why(&self, now: Duration) -> Option<String> {
        self.died.values().find(|death| now < death.until).map(|death| death.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_shard_that_dies_again_and_again_is_taken_less_often() {
        let (mut setbacks, mut now, mut delays) = (Setbacks::default(), SECOND, Vec::new());
        for _ in 0..8 {
            setbacks.died(3, "a panic", now);
            let began = now;
            while !setbacks.may_take(3, now) {
                assert!(
                    setbacks.why(now).is_some_and(|why| why.contains("shard 3") && why.contains("a panic"))
                );
                now += SECOND;
            }
            delays.push((now - began).as_secs());
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(setbacks.may_take(4, SECOND) && setbacks.why(now).is_none());
        now += 61 * SECOND;
        setbacks.died(3, "a panic", now);
        assert!(setbacks.may_take(3, now + SECOND), "it ran for a minute");
    }

    #[test]
    fn a_shard_with_a_long_attempt_is_not_closed_again_at_once() {
        let mut setbacks = Setbacks::default();
        setbacks.given_up(1, SECOND);
        assert!(!setbacks.may_give(1, 30 * SECOND) && setbacks.may_give(1, 31 * SECOND));
        assert!(setbacks.may_give(2, SECOND) && setbacks.may_take(1, SECOND));
        assert!(setbacks.given_up_at(2) < setbacks.given_up_at(1), "the other one goes first");
    }
}
