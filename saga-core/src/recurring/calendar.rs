//! When a cron expression is due in a time zone, also when the clocks change.
//!
//! Owns: what becomes of the times that a change of the clock skips or doubles, which
//! `docs/decisions/001-daylight-saving.md` gives the reasons for. Does not own: which times an expression names
//! (`fields.rs`), or when the clocks change (the crate `jiff`).

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

/// More than any change of a clock: the largest one left out a whole day.
const LONGER_THAN_A_CHANGE: SignedDuration = SignedDuration::from_hours(48);

/// The shortest time there is.
const TICK: SignedDuration = SignedDuration::from_nanos(1);

/// A cron expression in its time zone.
#[derive(Debug)]
pub(super) struct Calendar {
    fields: Fields,
    zone: TimeZone,
}

impl Calendar {
    /// Reads a cron expression; without a time zone it is in UTC.
    pub(super) fn parse(cron: &str) -> Result<Self, String> {
        let refused = |why: String| format!("`{cron}` is no cron expression: {why}");
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        cronexpr::parse_crontab_with(cron, options).map_err(|error| refused(error.to_string()))?;

        let words: Vec<&str> = cron.split_ascii_whitespace().collect();
        let unread = || refused("it cannot be read".to_owned());
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

    /// The first run after `moment`; `None` if there will never be one.
    pub(super) fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(moment.as_millis()).ok()?;
        let next =
            if self.fields.has_every_hour() { self.next_hourly(after) } else { self.next_named(after) };
        next.map(|next| Timestamp::from_millis(next.as_millisecond()))
    }

    /// The next run of an expression that names some hours: every named time runs once.
    fn next_named(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut named = self.zone.to_datetime(after);
        loop {
            named = self.fields.next_after(named)?;
            let at = self.once(named)?;
            // Not so in a doubled hour the second time: what it names has run the first time.
            if at > after {
                return Some(at);
            }
        }
    }

    /// When a named time runs: right after the gap if it is skipped, the first time if it is doubled.
    fn once(&self, named: DateTime) -> Option<jiff::Timestamp> {
        match self.zone.to_ambiguous_timestamp(named).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(named).ok()
            }
            AmbiguousOffset::Gap { before, after } => {
                // By the later clock a skipped time is before the change, by the earlier one after it.
                let earlier = after.to_timestamp(named).ok()?;
                let change = self.zone.following(earlier).find(|change| change.offset() == after);
                change.map(|change| change.timestamp()).or_else(|| before.to_timestamp(named).ok())
            }
        }
    }

    /// The next run of an expression that names every hour. It runs whenever the clock shows a named time. A skipped
    /// time runs when it would have come if the clock had not been changed.
    fn next_hourly(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        // Looks at one stretch between two changes after the other, from the last one that can matter.
        let mut began = after.checked_sub(LONGER_THAN_A_CHANGE).unwrap_or(jiff::Timestamp::MIN);
        let mut offset = self.zone.to_offset(began);
        let mut before = offset;
        let mut changes = self.zone.following(began);
        loop {
            let change = changes.next();
            // What is due at the change itself belongs to the stretch.
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

    /// When a clock with this offset shows a named time, the first time after `from`.
    fn shown(&self, from: jiff::Timestamp, offset: Offset) -> Option<jiff::Timestamp> {
        offset.to_timestamp(self.fields.next_after(offset.to_datetime(from))?).ok()
    }
}
