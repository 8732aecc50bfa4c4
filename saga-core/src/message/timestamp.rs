//! Points in time, with the precision of the store.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01 UTC.
///
/// `Display` writes RFC 3339 (`2026-03-01T09:30:00.25Z`). Arithmetic saturates at the ends of the range and never
/// panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The latest time. This value means "never".
    pub const MAX: Self = Self(i64::MAX);

    /// Creates the time `millis` milliseconds after 1970-01-01 UTC. A negative number gives an earlier time.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since 1970-01-01 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the current wall clock time of this machine. Actions use [`Context::now`](crate::machine::Context::now)
    /// instead.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Returns this time plus `duration`, rounded down to the millisecond.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns this time minus `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns the duration from `earlier` to this time. The duration is zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The text is not a time in RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a time in RFC 3339, such as 2026-03-01T09:30:00Z")]
#[non_exhaustive]
pub struct TimestampError;

/// Reads RFC 3339, with any offset. Fractions of a millisecond are cut.
impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        Ok(Self(time.as_millisecond()))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// As [`plus`](Self::plus).
    fn add(self, duration: Duration) -> Self {
        self.plus(duration)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// As [`minus`](Self::minus).
    fn sub(self, duration: Duration) -> Self {
        self.minus(duration)
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// As [`since`](Self::since): zero when the other time is later.
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl From<SystemTime> for Timestamp {
    /// In whole milliseconds; what lies outside of the range is its nearest end.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self::EPOCH.plus(since),
            Err(before) => Self::EPOCH.minus(before.duration()),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => at.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_back_from_its_text() {
        for millis in [0, -1, 1_767_225_600_250] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!("2026-03-01T10:30:00+01:00".parse(), "2026-03-01T09:30:00Z".parse::<Timestamp>());
        for text in ["", "2026-03-01", "yesterday", "12"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn shows_rfc_3339_and_saturates() {
        assert_eq!(Timestamp::from_millis(1_772_357_400_250).to_string(), "2026-03-01T09:30:00.25Z");
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.to_string(), format!("{} ms", i64::MAX));
        assert_eq!(Timestamp::EPOCH.since(Timestamp::from_millis(5)), Duration::ZERO);
    }

    #[test]
    fn times_are_added_subtracted_and_taken_from_the_system() {
        let (at, second) = (Timestamp::from_millis(5_000), Duration::from_secs(1));
        assert_eq!(
            (at + second, at - second),
            (Timestamp::from_millis(6_000), Timestamp::from_millis(4_000))
        );
        assert_eq!((at + second - at, at - (at + second)), (second, Duration::ZERO));
        assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH + 5 * second), at);
        assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH - second), Timestamp::from_millis(-1_000));
    }
}
