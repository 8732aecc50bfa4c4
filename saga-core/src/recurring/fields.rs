//! The five fields of a cron expression, and the wall-clock times that they name.
//!
//! Owns: the due days and the due times of day of an expression. Does not own: the validity of the text (checked before
//! by the crate `cronexpr`), or the moment of a wall-clock time (`calendar.rs`).

use jiff::civil::{Date, DateTime, Weekday};

/// The calendar repeats after this number of years, including the days of the week. A time not found by then never
/// occurs.
const CYCLE: i16 = 400;

/// Numbers from 0 to 63.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn with(self, number: i8) -> Self {
        Self(self.0 | (1_u64 << number))
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, number: i8) -> bool {
        self.0 & (1_u64 << number) != 0
    }

    fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Returns the smallest number of the set that is at least `from`.
    fn first_from(self, from: i8) -> Option<i8> {
        let rest = self.0 & (u64::MAX << from);
        i8::try_from(rest.trailing_zeros()).ok().filter(|first| *first < 64)
    }

    fn numbers(self) -> impl Iterator<Item = i8> {
        (0_i8..64).filter(move |number| self.has(*number))
    }
}

/// The valid values of a field: a range of numbers, with optional names that start at the first number.
struct Kind {
    first: i8,
    last: i8,
    names: &'static [&'static str],
}

const MINUTE: Kind = Kind { first: 0, last: 59, names: &[] };
const HOUR: Kind = Kind { first: 0, last: 23, names: &[] };
const DAY: Kind = Kind { first: 1, last: 31, names: &[] };
const MONTH: Kind = Kind {
    first: 1,
    last: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// Sunday is both 0 and 7.
const WEEKDAY: Kind = Kind { first: 0, last: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl Kind {
    fn number(&self, word: &str) -> Option<i8> {
        let named = self.names.iter().zip(self.first..).find(|(name, _)| name.eq_ignore_ascii_case(word));
        let number = match named {
            Some((_, number)) => number,
            None => word.parse().ok()?,
        };
        (self.first..=self.last).contains(&number).then_some(number)
    }

    /// `*`, `5` or `1-5`, each with an optional step. `5/2` runs from 5 to the last number.
    fn item(&self, item: &str) -> Option<Set> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| *step > 0)?)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            None if range == "*" => (self.first, self.last),
            None => {
                let from = self.number(range)?;
                (from, if step.is_some() { self.last } else { from })
            }
        };
        Some((from..=to).step_by(step.unwrap_or(1)).fold(Set::default(), Set::with))
    }

    fn list(&self, field: &str) -> Option<Set> {
        field.split(',').try_fold(Set::default(), |set, item| Some(set.union(self.item(item)?)))
    }
}

/// The third field: days of a month.
#[derive(Debug, Default)]
struct Days {
    each: Set,
    /// `L`: the last day of the month.
    last: bool,
    /// `15W`: the working day nearest to the 15th.
    nearest: Set,
}

impl Days {
    fn read(field: &str) -> Option<Self> {
        let mut days = Self::default();
        for item in field.split(',') {
            if item == "L" {
                days.last = true;
            } else if let Some(day) = item.strip_suffix('W') {
                days.nearest = days.nearest.with(DAY.number(day)?);
            } else {
                days.each = days.each.union(DAY.item(item)?);
            }
        }
        Some(days)
    }

    fn has(&self, date: Date) -> bool {
        self.each.has(date.day())
            || (self.last && date.day() == date.days_in_month())
            || self.nearest.numbers().any(|day| working_day(date, day) == Some(date.day()))
    }
}

/// Returns the working day nearest to `day` in the month of `date`, or none if the month has no such day.
fn working_day(date: Date, day: i8) -> Option<i8> {
    let meant = Date::new(date.year(), date.month(), day).ok()?;
    Some(match meant.weekday() {
        Weekday::Saturday if day == 1 => 3,
        Weekday::Saturday => day - 1,
        Weekday::Sunday if day == date.days_in_month() => day - 2,
        Weekday::Sunday => day + 1,
        _ => day,
    })
}

/// The fifth field: days of the week.
#[derive(Debug, Default)]
struct Weekdays {
    each: Set,
    /// `5L`: the last Friday of the month.
    last: Set,
    /// `5#3`: the third Friday of the month, as [`nth`] numbers it.
    nth: Set,
}

impl Weekdays {
    fn read(field: &str) -> Option<Self> {
        let mut days = Self::default();
        for item in field.split(',') {
            if let Some(day) = item.strip_suffix('L') {
                days.last = days.last.with(WEEKDAY.number(day)? % 7);
            } else if let Some((day, week)) = item.split_once('#') {
                let week = week.parse::<i8>().ok().filter(|week| (1..=5).contains(week))?;
                days.nth = days.nth.with(nth(week, WEEKDAY.number(day)? % 7));
            } else {
                days.each = days.each.union(WEEKDAY.item(item)?);
            }
        }
        Some(days)
    }

    fn has(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        self.each.has(weekday)
            || (weekday == 0 && self.each.has(7))
            || (self.last.has(weekday) && date.day() + 7 > date.days_in_month())
            || self.nth.has(nth((date.day() - 1) / 7 + 1, weekday))
    }
}

/// Returns one number for each of the first to fifth occurrences of a day of the week (0 to 6).
fn nth(week: i8, weekday: i8) -> i8 {
    (week - 1) * 7 + weekday
}

/// The five fields of a cron expression.
#[derive(Debug)]
pub(super) struct Fields {
    minutes: Set,
    hours: Set,
    days: Days,
    months: Set,
    weekdays: Weekdays,
    /// Whether a date must match both day fields. This is true when one field begins with `*`. Otherwise one match is
    /// enough.
    both: bool,
}

impl Fields {
    /// Parses fields that `cronexpr` has accepted. Returns `None` if this module does not know the syntax of a field.
    pub(super) fn read([minutes, hours, days, months, weekdays]: &[&str; 5]) -> Option<Self> {
        Some(Self {
            minutes: MINUTE.list(minutes)?,
            hours: HOUR.list(hours)?,
            days: Days::read(days)?,
            months: MONTH.list(months)?,
            weekdays: Weekdays::read(weekdays)?,
            both: days.starts_with('*') || weekdays.starts_with('*'),
        })
    }

    /// Whether the expression names all hours of a day, in any notation.
    pub(super) fn has_every_hour(&self) -> bool {
        self.hours.count() == 24
    }

    /// Returns the first named time after `moment`, or `None` if none exists within [`CYCLE`] years.
    pub(super) fn next_after(&self, moment: DateTime) -> Option<DateTime> {
        let mut date = moment.date();
        let mut from = (moment.hour(), moment.minute() + 1);
        let last_year = date.year() + CYCLE;
        while date.year() <= last_year {
            if self.has_day(date)
                && let Some((hour, minute)) = self.first_time(from)
            {
                return Some(date.at(hour, minute, 0, 0));
            }
            let passed = if self.months.has(date.month()) { date } else { date.last_of_month() };
            date = passed.tomorrow().ok()?;
            from = (0, 0);
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        if !self.months.has(date.month()) {
            return false;
        }
        let (day, weekday) = (self.days.has(date), self.weekdays.has(date));
        if self.both { day && weekday } else { day || weekday }
    }

    /// Returns the first named time of a day that is not before `hour` and `minute`. `minute` may be 60.
    fn first_time(&self, (hour, minute): (i8, i8)) -> Option<(i8, i8)> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.first_from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.first_from(hour + 1)?, self.minutes.first_from(0)?))
    }
}
