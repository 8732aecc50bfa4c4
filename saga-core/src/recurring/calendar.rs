//! The due times of a cron expression in a time zone, including changes of the clock.
//!
//! Owns: the treatment of wall-clock times that a change of the clock skips or doubles. The file
//! `docs/decisions/001-daylight-saving.md` gives the reasons. Does not own: the times that an expression names
//! (`fields.rs`), or the dates of the clock changes (the crate `jiff`).

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use cronexpr::{FallbackTimezoneOption, ParseOptions};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::fields::Fields;
use crate::message::Timestamp;

/// Longer than any change of a clock. The largest change skipped a whole day.
const LONGER_THAN_A_CHANGE: SignedDuration = SignedDuration::from_hours(48);

/// The smallest unit of time.
const TICK: SignedDuration = SignedDuration::from_nanos(1);

/// A cron expression in its time zone.
#[derive(Debug)]
pub(super) struct Calendar {
    fields: Fields,
    zone: TimeZone,
}

impl Calendar {
    /// Parses a cron expression. The default time zone is UTC.
    pub(super) fn parse(cron: &str) -> Result<Self, String> {
        let refused = |why: String| format!("`{cron}` is not a cron expression: {why}");
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        cronexpr::parse_crontab_with(cron, options).map_err(|error| refused(error.to_string()))?;

        let words: Vec<&str> = cron.split_ascii_whitespace().collect();
        let unread = || refused("the expression cannot be read".to_owned());
        let (fields, zone) = words.split_first_chunk::<5>().ok_or_else(unread)?;
        let fields = Fields::read(fields).ok_or_else(unread)?;
        let zone = match zone {
            [] => TimeZone::UTC,
            [name] => {
                DateTimeParser::new().parse_time_zone(name).map_err(|error| refused(error.to_string()))?
            }
            _ => return Err(unread()),
        };
        Ok(Self { fields, zone })
    }

    /// Returns the first run after `moment`, or `None` if no run will follow.
    pub(super) fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(moment.as_millis()).ok()?;
        let next =
            if self.fields.has_every_hour() { self.next_hourly(after) } else { self.next_named(after) };
        next.map(|next| Timestamp::from_millis(next.as_millisecond()))
    }

    /// Returns the next run of an expression that names some hours. Every named time runs once.
    fn next_named(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut named = self.zone.to_datetime(after);
        loop {
            named = self.fields.next_after(named)?;
            let at = self.once(named)?;
            // The second pass of a doubled hour is skipped, because its named times have already run.
            if at > after {
                return Some(at);
            }
        }
    }

    /// Returns the run of a named time. A skipped time runs right after the gap, and a doubled time runs at its first
    /// occurrence.
    fn once(&self, named: DateTime) -> Option<jiff::Timestamp> {
        match self.zone.to_ambiguous_timestamp(named).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(named).ok()
            }
            AmbiguousOffset::Gap { before, after } => {
                // By the later offset, a skipped time is before the change. By the earlier offset, it is after the
                // change.
                let earlier = after.to_timestamp(named).ok()?;
                let change = self.zone.following(earlier).find(|change| change.offset() == after);
                change.map(|change| change.timestamp()).or_else(|| before.to_timestamp(named).ok())
            }
        }
    }

    /// Returns the next run of an expression that names every hour. The run happens whenever the clock shows a named
    /// time. A skipped time runs at its moment by the unchanged clock.
    fn next_hourly(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        // Searches the stretches between two changes in order, starting with the last relevant change.
        let mut began = after.checked_sub(LONGER_THAN_A_CHANGE).unwrap_or(jiff::Timestamp::MIN);
        let mut offset = self.zone.to_offset(began);
        let mut before = offset;
        let mut changes = self.zone.following(began);
        loop {
            let change = changes.next();
            // A time due exactly at the change belongs to the stretch.
            let from = after.max(began.checked_sub(TICK).unwrap_or(began));
            let shown = self.shown(from, offset)?;
            let shown = change.as_ref().is_none_or(|change| shown < change.timestamp()).then_some(shown);
            let skipped = if offset > before {
                let gap_would_end = began.checked_add(offset.duration_since(before)).unwrap_or(began);
                self.shown(from, before).filter(|at| *at < gap_would_end)
            } else {
                None
            };
            if let Some(next) = shown.into_iter().chain(skipped).min() {
                return Some(next);
            }
            let change = change?;
            (before, offset, began) = (offset, change.offset(), change.timestamp());
        }
    }

    /// Returns the first moment after `from` at which a clock with this offset shows a named time.
    fn shown(&self, from: jiff::Timestamp, offset: Offset) -> Option<jiff::Timestamp> {
        offset.to_timestamp(self.fields.next_after(offset.to_datetime(from))?).ok()
    }
}
