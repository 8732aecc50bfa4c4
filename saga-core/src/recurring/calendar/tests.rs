//! The daylight-saving policy as a table: the runs of an expression at clock changes, over several zones and years.

use super::Calendar;
use crate::message::Timestamp;

fn moment(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// The wall-clock text of a zone, with the name of its offset.
fn shown(calendar: &Calendar, at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap();
    at.to_zoned(calendar.zone.clone()).strftime("%m-%d %H:%M %Z").to_string()
}

/// Checks the first runs of `cron` after `after`.
#[track_caller]
fn check(cron: &str, after: &str, runs: &str) {
    let calendar = Calendar::parse(cron).unwrap();
    let mut at = moment(after);
    let mut found = Vec::new();
    for _ in runs.split(", ") {
        at = calendar.next_after(at).unwrap();
        found.push(shown(&calendar, at));
    }
    assert_eq!(found.join(", "), runs, "`{cron}` after {after}");
}

/// Checks the first run of `cron` after `after`, or its absence.
#[track_caller]
fn check_next(cron: &str, after: &str, next: Option<&str>) {
    let found = Calendar::parse(cron).unwrap().next_after(moment(after));
    assert_eq!(found, next.map(moment), "`{cron}` after {after}");
}

#[test]
fn a_skipped_time_runs_once_right_after_the_gap() {
    check("30 2 * * * Europe/Zurich", "2026-03-28T02:30+01", "03-29 03:00 CEST, 03-30 02:30 CEST");
    check("30 2 * * * Europe/Zurich", "2040-03-24T12:00+01", "03-25 03:00 CEST, 03-26 02:30 CEST");
    check("30 2 * * * America/New_York", "2026-03-07T12:00-05", "03-08 03:00 EDT, 03-09 02:30 EDT");
    check("30 1 * * * Europe/Dublin", "2026-03-28T12:00+00", "03-29 02:00 IST, 03-30 01:30 IST");
    check("15 2 * * * Australia/Lord_Howe", "2026-10-03T03:00:00+10:30", "10-04 02:30 +11, 10-05 02:15 +11");
    check("30 2 * * * Africa/Casablanca", "2024-04-13T03:00+00", "04-14 03:00 +01, 04-15 02:30 +01");
}

#[test]
fn a_doubled_time_runs_the_first_time() {
    check("30 2 * * * Europe/Zurich", "2026-10-24T02:30+02", "10-25 02:30 CEST, 10-26 02:30 CET");
    check("30 2 * * * Europe/Zurich", "2026-10-25T02:10+01", "10-26 02:30 CET");
    check("30 2 * * * Europe/Zurich", "2040-10-27T12:00+02", "10-28 02:30 CEST, 10-29 02:30 CET");
    check("59 2 * * * Europe/Zurich", "2026-10-25T02:58+02", "10-25 02:59 CEST, 10-26 02:59 CET");
    check("30 1 * * * America/New_York", "2026-10-31T12:00-04", "11-01 01:30 EDT, 11-02 01:30 EST");
    check("30 1 * * * Europe/Dublin", "2026-10-24T12:00+01", "10-25 01:30 IST, 10-26 01:30 GMT");
    check("45 1 * * * Australia/Lord_Howe", "2026-04-05T00:00+11", "04-05 01:45 +11, 04-06 01:45 +1030");
    check("30 2 * * * Africa/Casablanca", "2024-03-09T03:00+01", "03-10 02:30 +01, 03-11 02:30 +00");
}

#[test]
fn several_skipped_times_run_together() {
    check("0,15,30,45 2 * * * Europe/Zurich", "2026-03-28T02:45+01", "03-29 03:00 CEST, 03-30 02:00 CEST");
    check("*/30 2 * * * Europe/Zurich", "2026-03-28T02:30+01", "03-29 03:00 CEST, 03-30 02:00 CEST");
    check("* 2 * * * Europe/Zurich", "2026-03-28T02:59+01", "03-29 03:00 CEST, 03-30 02:00 CEST");
    check(
        "45 1-3 * * * Europe/Zurich",
        "2026-03-29T01:00+01",
        "03-29 01:45 CET, 03-29 03:00 CEST, 03-29 03:45 CEST",
    );
    check(
        "0 0-6 * * * Europe/Zurich",
        "2026-03-29T00:30+01",
        "03-29 01:00 CET, 03-29 03:00 CEST, 03-29 04:00 CEST",
    );
    check(
        "0 1-4/2 * * * Europe/Zurich",
        "2026-03-29T00:00+01",
        "03-29 01:00 CET, 03-29 03:00 CEST, 03-30 01:00 CEST",
    );
    check(
        "0 */2 * * * Europe/Zurich",
        "2026-03-28T23:00+01",
        "03-29 00:00 CET, 03-29 03:00 CEST, 03-29 04:00 CEST",
    );
}

#[test]
fn several_doubled_times_run_once_each() {
    check(
        "*/30 2 * * * Europe/Zurich",
        "2026-10-25T01:00+02",
        "10-25 02:00 CEST, 10-25 02:30 CEST, 10-26 02:00 CET",
    );
    check(
        "0 0-6 * * * Europe/Zurich",
        "2026-10-25T00:30+02",
        "10-25 01:00 CEST, 10-25 02:00 CEST, 10-25 03:00 CET, 10-25 04:00 CET",
    );
    check(
        "0 1-4/2 * * * Europe/Zurich",
        "2026-10-25T00:00+02",
        "10-25 01:00 CEST, 10-25 03:00 CET, 10-26 01:00 CET",
    );
    check(
        "0 */2 * * * Europe/Zurich",
        "2026-10-24T23:00+02",
        "10-25 00:00 CEST, 10-25 02:00 CEST, 10-25 04:00 CET",
    );
}

#[test]
fn every_hour_goes_on_evenly() {
    check(
        "*/15 * * * * Europe/Zurich",
        "2026-03-29T01:30+01",
        "03-29 01:45 CET, 03-29 03:00 CEST, 03-29 03:15 CEST, 03-29 03:30 CEST",
    );
    check(
        "*/30 * * * * Europe/Zurich",
        "2026-10-25T02:00+02",
        "10-25 02:30 CEST, 10-25 02:00 CET, 10-25 02:30 CET, 10-25 03:00 CET",
    );
    check(
        "0 * * * * Europe/Zurich",
        "2026-03-29T00:00+01",
        "03-29 01:00 CET, 03-29 03:00 CEST, 03-29 04:00 CEST",
    );
    check(
        "30 * * * * Europe/Zurich",
        "2026-03-29T00:30+01",
        "03-29 01:30 CET, 03-29 03:30 CEST, 03-29 04:30 CEST",
    );
    check(
        "0 0-23 * * * Europe/Zurich",
        "2026-10-25T01:00+02",
        "10-25 02:00 CEST, 10-25 02:00 CET, 10-25 03:00 CET, 10-25 04:00 CET",
    );
    check(
        "0 * * * SUN Europe/Zurich",
        "2026-10-25T01:00+02",
        "10-25 02:00 CEST, 10-25 02:00 CET, 10-25 03:00 CET",
    );
    check(
        "*/15 * * * * Australia/Lord_Howe",
        "2026-10-04T01:30:00+10:30",
        "10-04 01:45 +1030, 10-04 02:30 +11, 10-04 02:45 +11",
    );
    check(
        "*/15 * * * * Australia/Lord_Howe",
        "2026-04-05T01:30+11",
        "04-05 01:45 +11, 04-05 01:30 +1030, 04-05 01:45 +1030, 04-05 02:00 +1030",
    );
}

#[test]
fn an_hour_that_is_changed_by_half_is_as_even_as_can_be() {
    check(
        "0 * * * * Australia/Lord_Howe",
        "2026-10-04T00:00:00+10:30",
        "10-04 01:00 +1030, 10-04 02:30 +11, 10-04 03:00 +11, 10-04 04:00 +11",
    );
    check(
        "*/20 * * * * Australia/Lord_Howe",
        "2026-10-04T01:20:00+10:30",
        "10-04 01:40 +1030, 10-04 02:30 +11, 10-04 02:40 +11, 10-04 02:50 +11, 10-04 03:00 +11",
    );
    check(
        "0 * * * * Australia/Lord_Howe",
        "2026-04-05T00:00+11",
        "04-05 01:00 +11, 04-05 02:00 +1030, 04-05 03:00 +1030",
    );
    check(
        "30 * * * * Australia/Lord_Howe",
        "2026-04-05T00:30+11",
        "04-05 01:30 +11, 04-05 01:30 +1030, 04-05 02:30 +1030",
    );
}

#[test]
fn a_gap_may_begin_at_midnight() {
    check("0 0 * * * America/Sao_Paulo", "2018-11-03T00:00-03", "11-04 01:00 -02, 11-05 00:00 -02");
    check("0 0 * * SUN America/Sao_Paulo", "2018-11-03T00:00-03", "11-04 01:00 -02, 11-11 00:00 -02");
    check("0 */6 * * * America/Sao_Paulo", "2018-11-03T18:00-03", "11-04 01:00 -02, 11-04 06:00 -02");
    check("0,30 0 * * * America/Santiago", "2024-09-07T00:30-04", "09-08 01:00 -03, 09-09 00:00 -03");
    check("30 0 31 * * Asia/Beirut", "2024-03-30T00:00+02", "03-31 01:00 EEST");
    check("0 0 * * FRI Africa/Cairo", "2024-04-25T00:00+02", "04-26 01:00 EEST, 05-03 00:00 EEST");
}

#[test]
fn the_last_hour_of_a_day_may_be_doubled() {
    check("30 23 * * SAT America/Sao_Paulo", "2018-02-17T00:00-02", "02-17 23:30 -02, 02-24 23:30 -03");
    check("15 23 * * * America/Santiago", "2024-04-06T00:00-03", "04-06 23:15 -03, 04-07 23:15 -04");
    check("0 23 * * * Asia/Beirut", "2024-10-26T00:00+03", "10-26 23:00 EEST, 10-27 23:00 EET");
}

/// Samoa had no 30th of December in 2011.
#[test]
fn a_whole_day_may_be_skipped() {
    check("0 9 * * * Pacific/Apia", "2011-12-29T09:00-10", "12-31 00:00 +14, 12-31 09:00 +14");
    check("0 0 * * * Pacific/Apia", "2011-12-29T00:00-10", "12-31 00:00 +14, 01-01 00:00 +14");
    check(
        "0 */6 * * * Pacific/Apia",
        "2011-12-29T12:00-10",
        "12-29 18:00 -10, 12-31 00:00 +14, 12-31 06:00 +14",
    );
    check("0 */12 30 12 * Pacific/Apia", "2011-12-29T00:00-10", "12-31 00:00 +14");
    check(
        "0 * * * * Pacific/Apia",
        "2011-12-29T22:00-10",
        "12-29 23:00 -10, 12-31 00:00 +14, 12-31 01:00 +14",
    );
    check("0 * 30 12 * Pacific/Apia", "2011-12-29T00:00-10", "12-31 00:00 +14, 12-31 01:00 +14");
    check("0 * 30 12 * Pacific/Apia", "2011-12-31T22:00+14", "12-31 23:00 +14, 12-30 00:00 +14");
}

#[test]
fn days_of_every_kind_have_their_skipped_time() {
    check("30 2 * * SUN Europe/Zurich", "2027-03-27T00:00+01", "03-28 03:00 CEST, 04-04 02:30 CEST");
    check("30 2 * * Sun Europe/Zurich", "2027-10-30T00:00+02", "10-31 02:30 CEST, 11-07 02:30 CET");
    check("30 2 29 MAR * Europe/Zurich", "2026-03-01T00:00+01", "03-29 03:00 CEST");
    check("30 2 L * * Europe/Zurich", "2024-03-30T00:00+01", "03-31 03:00 CEST, 04-30 02:30 CEST");
    check("30 2 * * SUN#5 Europe/Zurich", "2024-03-30T00:00+01", "03-31 03:00 CEST, 06-30 02:30 CEST");
    check("30 2 * * 7L Europe/Zurich", "2026-03-28T00:00+01", "03-29 03:00 CEST, 04-26 02:30 CEST");
    check("30 2 31W MAR * Europe/Zurich", "2024-03-01T00:00+01", "03-29 02:30 CET");
    check("30 2 28W * * Europe/Zurich", "2027-03-01T00:00+01", "03-29 02:30 CEST");
    check("30 2 28 * MON Europe/Zurich", "2027-03-27T00:00+01", "03-28 03:00 CEST, 03-29 02:30 CEST");
    check("30 2 28 * */7 Europe/Zurich", "2027-03-27T00:00+01", "03-28 03:00 CEST");
}

/// The crate `cronexpr` does not find these times.
#[test]
fn the_last_days_of_december_are_found() {
    check("0 0 L * * Europe/Zurich", "2026-11-30T00:00+01", "12-31 00:00 CET, 01-31 00:00 CET");
    check("0 0 * * 5L Europe/Zurich", "2026-11-27T00:00+01", "12-25 00:00 CET, 01-29 00:00 CET");
}

#[test]
fn a_zone_without_changes_has_none() {
    check("30 2 * * * Asia/Kathmandu", "2026-03-28T12:00:00+05:45", "03-29 02:30 +0545, 03-30 02:30 +0545");
    check("30 2 * * *", "2026-03-28T12:00Z", "03-29 02:30 UTC");
    check("30 2 * * * +01:00", "2026-03-28T12:00Z", "03-29 02:30 +01");
}

#[test]
fn what_names_the_same_times_runs_at_the_same_times() {
    let even_hours = "0 0,2,4,6,8,10,12,14,16,18,20,22 * * * Europe/Zurich";
    let alike = [
        ("0 * * * * Europe/Zurich", "0 0-23 * * * Europe/Zurich"),
        ("0 * * * * Europe/Zurich", "0 */1 * * * Europe/Zurich"),
        ("0 * * * * Europe/Zurich", "0 0-11,12/1 * * * Europe/Zurich"),
        ("0 */2 * * * Europe/Zurich", even_hours),
        ("0 0/2 * * * Europe/Zurich", even_hours),
        (" 0  */2 *\t* * Europe/Zurich ", even_hours),
    ];
    for (one, other) in alike {
        let (one, other) = (Calendar::parse(one).unwrap(), Calendar::parse(other).unwrap());
        for from in ["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z"] {
            let mut at = moment(from);
            for _ in 0..60 {
                let next = one.next_after(at).unwrap();
                assert_eq!(other.next_after(at), Some(next), "after {at}");
                at = next;
            }
        }
    }
}

#[test]
fn a_run_is_later_than_the_moment_it_is_asked_for() {
    check_next("30 2 * * *", "2026-01-01T02:29:59.999Z", Some("2026-01-01T02:30Z"));
    check_next("30 2 * * *", "2026-01-01T02:30:00Z", Some("2026-01-02T02:30Z"));
    check_next("30 2 * * *", "2026-01-01T02:30:00.001Z", Some("2026-01-02T02:30Z"));
    check_next("30 2 * * * Europe/Zurich", "2026-03-29T00:59:59.999Z", Some("2026-03-29T01:00Z"));
    check_next("30 2 * * * Europe/Zurich", "2026-03-29T01:00:00Z", Some("2026-03-30T00:30Z"));
    check_next("*/15 * * * * Europe/Zurich", "2026-03-29T00:59:59.999Z", Some("2026-03-29T01:00Z"));
}

#[test]
fn rare_days_are_found_and_days_that_never_come_are_not() {
    check_next("0 0 29 2 *", "2096-03-01T00:00Z", Some("2104-02-29T00:00Z"));
    check_next("0 0 29 2 */7", "2026-01-01T00:00Z", Some("2032-02-29T00:00Z"));
    check_next("0 * 29 2 */7 Europe/Zurich", "2026-01-01T00:00Z", Some("2032-02-28T23:00Z"));
    check_next("0 0 30 2 *", "2026-01-01T00:00Z", None);
    check_next("0 0 30 2 * Europe/Zurich", "2026-01-01T00:00Z", None);
    check_next("* * 31 4,6,9,11 * Europe/Zurich", "2026-01-01T00:00Z", None);
    assert_eq!(Calendar::parse("* * * * *").unwrap().next_after(Timestamp::MAX), None);
}

#[test]
fn what_is_no_expression_is_refused() {
    for cron in [
        "",
        "0 3 * *",
        "0 25 * * *",
        "0 0 3 * * *",
        "H 3 * * *",
        "@daily",
        "0 3 * * * Nowhere",
        "0 3 * * * UTC UTC",
    ] {
        let error = Calendar::parse(cron).unwrap_err();
        assert!(error.starts_with(&format!("`{cron}` is not a cron expression: ")), "{error}");
    }
}
