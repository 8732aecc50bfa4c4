//! Properties that hold for every expression, zone and year.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cronexpr::MakeTimestamp;
use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::Calendar;
use crate::message::Timestamp;

/// Zones that differ in the size, hour, month or regularity of their clock changes.
const ZONES: &[&str] = &[
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Caracas",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Zurich",
    "Pacific/Apia",
    "Pacific/Chatham",
];

/// Steps that divide an hour evenly.
const STEPS: &[i8] = &[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60];

const MINUTES: &[&str] = &["*", "0", "59", "*/7", "5-50/9", "0,30", "10/20", "00,01,02"];
const HOURS: &[&str] = &["*", "0", "23", "*/5", "8-18", "1,2,3", "4/6", "22-23,0-1"];
const DAYS: &[&str] =
    &["*", "1", "31", "29", "*/2", "*/31", "1-7", "1W", "15W", "31W", "30W,2", "28/1", "05,*"];
const MONTHS: &[&str] = &["*", "2", "JAN-JUN", "*/5", "feb,Oct", "12", "3-12/9"];
const WEEKDAYS: &[&str] =
    &["*", "MON-FRI", "0", "7", "0-7/3", "Sun", "5#3", "mon#1,FRI#5", "*/2", "*/7", "1/3", "0-3", "sat,0#2"];

/// The length of the examined interval before and after a change of the clock.
const MARGIN: i64 = 36 * 60;

/// A zone and the moment of one of its clock changes.
#[derive(Clone, Debug)]
struct Change {
    name: &'static str,
    zone: TimeZone,
    /// The moment of the change, in minutes since 1970.
    at: i64,
    /// The size of the change, in minutes.
    by: i64,
}

impl Change {
    /// Chooses the first or second change after the new year, or the last change before it.
    fn near(name: &'static str, year: i16, second: bool) -> Self {
        let zone = TimeZone::get(name).unwrap();
        let new_year = date(year, 1, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let found = zone.following(new_year).nth(usize::from(second));
        let found = found.or_else(|| zone.preceding(new_year).next());
        let at = found.map_or(new_year, |change| change.timestamp()).as_second() / 60;
        let offset = |minute| i64::from(zone.to_offset(instant(minute)).seconds());
        let by = (offset(at) - offset(at - 1)) / 60;
        Self { name, zone, at, by }
    }

    /// Returns all runs of the five fields, from a day and a half before the change until a day and a half after it.
    fn runs(&self, fields: &str) -> Vec<Timestamp> {
        let calendar = Calendar::parse(&format!("{fields} {}", self.name)).unwrap();
        let mut at = Timestamp::from_millis((self.at - MARGIN) * 60_000 - 1);
        let mut runs = Vec::new();
        while let Some(next) = calendar.next_after(at).filter(|next| *next <= minute(self.at + MARGIN)) {
            assert!(next > at, "`{fields}` in {} runs at {next} after {at}", self.name);
            runs.push(next);
            at = next;
        }
        runs
    }

    /// Returns the wall-clock times around the change, each with its first moment.
    fn shown(&self) -> BTreeMap<DateTime, Timestamp> {
        let mut shown = BTreeMap::new();
        for at in self.at - MARGIN..=self.at + MARGIN {
            shown.entry(self.zone.to_datetime(instant(at))).or_insert(minute(at));
        }
        shown
    }
}

fn instant(minute: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(minute * 60).unwrap()
}

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}

fn change() -> impl Strategy<Value = Change> {
    (prop::sample::select(ZONES), 2000_i16..2045, any::<bool>())
        .prop_map(|(name, year, second)| Change::near(name, year, second))
}

fn list(numbers: &BTreeSet<i8>) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A skipped time runs when the clock first shows a later time.
    #[test]
    fn every_named_time_runs_exactly_once(
        change in change(),
        minutes in prop::collection::btree_set(0_i8..60, 1..4),
        hours in prop::collection::btree_set(0_i8..24, 1..24),
    ) {
        let shown = change.shown();
        let (first, last) = (*shown.keys().next().unwrap(), *shown.keys().next_back().unwrap());
        let mut expected = BTreeSet::new();
        let mut named = first;
        while named <= last {
            if hours.contains(&named.hour()) && minutes.contains(&named.minute()) {
                expected.insert(*shown.range(named..).next().unwrap().1);
            }
            named = named.checked_add(SignedDuration::from_mins(1)).unwrap();
        }
        let runs = change.runs(&format!("{} {} * * *", list(&minutes), list(&hours)));
        prop_assert_eq!(runs, expected.into_iter().collect::<Vec<_>>());
    }

    /// Holds only if the change is a multiple of the interval. No other change allows even intervals.
    #[test]
    fn an_interval_goes_on_evenly(
        change in change(),
        step in prop::sample::select(STEPS),
        at in 0_i8..60,
    ) {
        prop_assume!(change.by % i64::from(step) == 0);
        let fields = if step == 60 { format!("{at} * * * *") } else { format!("*/{step} * * * *") };
        let runs = change.runs(&fields);
        let even = Duration::from_secs(60 * u64::from(step.unsigned_abs()));
        prop_assert!(runs.len() >= usize::try_from(2 * MARGIN / i64::from(step)).unwrap());
        for pair in runs.windows(2) {
            prop_assert_eq!(pair[1].since(pair[0]), even, "`{}` in {}: {:?}", fields, change.name, pair);
        }
    }

    /// Without clock changes, the fields mean the same as in `cronexpr`. That crate searches only four years, and does
    /// not find the last day of December.
    #[test]
    fn the_fields_are_read_as_cronexpr_reads_them(
        minutes in prop::sample::select(MINUTES),
        hours in prop::sample::select(HOURS),
        days in prop::sample::select(DAYS),
        months in prop::sample::select(MONTHS),
        weekdays in prop::sample::select(WEEKDAYS),
        start in 946_684_800_000_i64..2_366_841_600_000,
    ) {
        let cron = format!("{minutes} {hours} {days} {months} {weekdays} UTC");
        let (ours, theirs) = (Calendar::parse(&cron).unwrap(), cronexpr::parse_crontab(&cron).unwrap());
        let mut at = start;
        for _ in 0..10 {
            let Ok(next) = theirs.find_next(MakeTimestamp::from_millisecond(at).unwrap()) else { break };
            let next = next.timestamp().as_millisecond();
            let found = ours.next_after(Timestamp::from_millis(at));
            prop_assert_eq!(found, Some(Timestamp::from_millis(next)), "`{}` after {}", cron, at);
            at = next;
        }
    }
}
