//! What the attempts of a handler have done since the start, for people.
//!
//! Owns: the counts and the durations. Does not own: the throttle, or the queue of the lane.

use std::time::Duration;

use super::lanes::Lane;
use crate::engine::Moment;
use crate::engine::io::AttemptEnd;
use crate::message::Timestamp;

/// The upper limits of the buckets of durations, in milliseconds. The last bucket has no limit.
const BUCKETS: [u64; 15] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// A handler or subscriber, as the dispatcher sees it. Counts begin at the start of the dispatcher.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HandlerStatus {
    /// The stored name of the command, or the name of the subscriber.
    pub name: String,
    /// Whether this is a subscriber.
    pub subscriber: bool,
    /// The maximum number of attempts at a time.
    pub concurrency: usize,
    /// The attempts that run now.
    pub running: usize,
    /// The commands or deliveries that wait for a place.
    pub waiting: usize,
    /// At most this many attempts start within this time.
    pub rate: Option<(u32, Duration)>,
    /// Whether the handler has a circuit breaker, and whether the breaker is open.
    pub breaker_open: Option<bool>,
    /// Whether an operator has paused the handler (rule [R37](crate::rules#r37)).
    pub paused: bool,
    /// The ended attempts, by outcome.
    pub ended: AttemptCounts,
    /// The started attempts that were not the first one of their command or delivery.
    pub retries: u64,
    /// The time of the last attempt that failed, and its error.
    pub last_error: Option<(Timestamp, String)>,
    /// The durations of the ended attempts.
    pub durations: Durations,
}

impl HandlerStatus {
    /// The condition of one handler in two engines together.
    pub(crate) fn together(&self, other: &Self) -> Self {
        let AttemptCounts { replied, refused, indeterminate, unreadable, dropped } = other.ended;
        // Both have the same window.
        let rate = self.rate.zip(other.rate).map(|((one, per), (other, _))| (one.saturating_add(other), per));
        Self {
            name: self.name.clone(),
            subscriber: self.subscriber,
            concurrency: self.concurrency + other.concurrency,
            running: self.running + other.running,
            waiting: self.waiting + other.waiting,
            rate,
            breaker_open: self.breaker_open.map(|open| open || other.breaker_open == Some(true)),
            paused: self.paused || other.paused,
            ended: AttemptCounts {
                replied: self.ended.replied + replied,
                refused: self.ended.refused + refused,
                indeterminate: self.ended.indeterminate + indeterminate,
                unreadable: self.ended.unreadable + unreadable,
                dropped: self.ended.dropped + dropped,
            },
            retries: self.retries + other.retries,
            last_error: self.last_error.clone().max(other.last_error.clone()),
            durations: self.durations.together(&other.durations),
        }
    }
}

/// The ended attempts of a handler, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptCounts {
    /// The handler replied.
    pub replied: u64,
    /// The handler refused. The attempt had no effect.
    pub refused: u64,
    /// The attempt may or may not have had its effect, or its answer could not be stored.
    pub indeterminate: u64,
    /// This build could not read the command or the event.
    pub unreadable: u64,
    /// The dispatcher dropped the attempt at its stop.
    pub dropped: u64,
}

impl AttemptCounts {
    /// Returns the number of all ended attempts.
    pub const fn all(&self) -> u64 {
        self.replied + self.refused + self.indeterminate + self.unreadable + self.dropped
    }

    /// Returns the number of ended attempts that failed.
    pub const fn failed(&self) -> u64 {
        self.refused + self.indeterminate + self.unreadable
    }
}

/// A histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    buckets: [u64; BUCKETS.len() + 1],
    sum: Duration,
}

impl Durations {
    fn add(&mut self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.buckets[BUCKETS.partition_point(|limit| *limit < millis)] += 1;
        self.sum = self.sum.saturating_add(took);
    }

    fn together(&self, other: &Self) -> Self {
        let mut sum = *self;
        sum.buckets.iter_mut().zip(&other.buckets).for_each(|(one, other)| *one += other);
        sum.sum += other.sum;
        sum
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the sum of all durations.
    pub const fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns a duration that this share of all durations does not exceed, such as 0.99. The result is the upper limit
    /// of a bucket: 1, 2 or 5 times a power of ten in milliseconds, up to one minute. `None` without durations, and when
    /// the share includes durations above one minute.
    pub fn at_most(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        // Counts of attempts are far below 2^53, which an `f64` represents exactly.
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let wanted = (count as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        if count == 0 {
            return None;
        }
        let mut seen = 0;
        let at = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= wanted.max(1)
        })?;
        BUCKETS.get(at).map(|millis| Duration::from_millis(*millis))
    }
}

/// The counts of one lane.
#[derive(Debug, Default)]
pub(super) struct Stats {
    ended: AttemptCounts,
    pub(super) retries: u64,
    last_error: Option<(Timestamp, String)>,
    durations: Durations,
}

impl Stats {
    /// Counts the end of an attempt.
    pub(super) fn count(&mut self, how: &AttemptEnd, took: Duration, now: Moment) {
        let ended = &mut self.ended;
        match how {
            AttemptEnd::Replied(_) => ended.replied += 1,
            AttemptEnd::Refused(_) | AttemptEnd::RefusedForGood(_) => ended.refused += 1,
            AttemptEnd::Indeterminate(_) | AttemptEnd::BadReply(_) => ended.indeterminate += 1,
            AttemptEnd::Unreadable(_) => ended.unreadable += 1,
            AttemptEnd::Dropped => ended.dropped += 1,
            // The handler was not called.
            AttemptEnd::NotBegun => return,
        }
        self.durations.add(took);
        if let Some(error) = how.error() {
            self.last_error = Some((now.wall, error.to_owned()));
        }
    }
}

impl Lane {
    pub(super) fn status(&self) -> HandlerStatus {
        let (policy, stats) = (&self.policy, &self.stats);
        HandlerStatus {
            name: self.name.to_owned(),
            subscriber: self.subscriber,
            concurrency: policy.concurrency,
            running: self.running,
            waiting: self.queue.len(),
            rate: policy.rate,
            breaker_open: policy.breaker.map(|_| self.throttle.is_open()),
            paused: self.held,
            ended: stats.ended,
            retries: stats.retries,
            last_error: stats.last_error.clone(),
            durations: stats.durations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_durations_is_below_the_limit_of_its_bucket() {
        let mut durations = Durations::default();
        assert_eq!(durations.at_most(0.5), None);
        for millis in [1, 2, 3, 4, 100] {
            durations.add(Duration::from_millis(millis));
        }
        let at = |share| durations.at_most(share).map(|limit| limit.as_millis());
        assert_eq!(
            (at(0.0), at(0.2), at(0.4), at(0.8), at(1.0)),
            (Some(1), Some(1), Some(2), Some(5), Some(100))
        );
        assert_eq!((durations.count(), durations.sum()), (5, Duration::from_millis(110)));
        durations.add(Duration::from_secs(61));
        assert_eq!(durations.at_most(1.0), None, "longer than every limit");
    }
}
