//! Recurring starts: on time, through restarts, with overlaps and misfires.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::time::Duration;

use saga::error::StartError;
use saga::prelude::*;
use saga::recurring::{Misfire, Overlap, Recurring, Schedule, ScheduleState};
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Position};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "report", version = 1, data(Report), actions(ReportActions))]
#[initially(when(ReportDue, run(begin), transition_to(Writing)))]
#[unhandled(reject)]
pub enum ReportState {
    #[during(when(ReportWritten, transition_to(Written)))]
    Writing,
    #[terminal]
    Written,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {}

impl ReportActions for Report {
    fn begin(_: &ReportDue, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "report.due", key(of))]
pub struct ReportDue {
    of: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "report.written", key(of))]
pub struct ReportWritten {
    of: String,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A house whose clock stands at midnight of the first of January 2026.
#[derive(Default)]
struct House {
    store: MemoryStore,
    clock: ManualClock,
}

impl House {
    async fn open(&self, cron: &str, how: Recurring) -> Dispatcher {
        Dispatcher::builder(self.store.clone())
            .saga::<ReportState>()
            .recurring_with("nightly", cron, how, |due| ReportDue { of: due.to_string() })
            .clock(self.clock.clone())
            .start()
            .await
            .unwrap()
    }

    /// Lets time pass, and waits until the schedule has dealt with `count` runs.
    async fn pass(&self, dispatcher: &Dispatcher, time: Duration, count: u64) -> Schedule {
        self.clock.advance(time);
        loop {
            let found = dispatcher.instance::<ScheduleState>("nightly").await.unwrap().unwrap();
            let rests = found.position == Position::In(ScheduleState::Waiting);
            if rests && found.data.runs + found.data.skipped == count {
                return found.data;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// When the schedule is due next.
async fn next(dispatcher: &Dispatcher) -> String {
    let timers = dispatcher.instance::<ScheduleState>("nightly").await.unwrap().unwrap().timers;
    timers[0].due.to_string()
}

async fn is_writing(dispatcher: &Dispatcher, of: &str) -> bool {
    let report = dispatcher.instance::<ReportState>(of).await.unwrap();
    report.is_some_and(|report| report.position == Position::In(ReportState::Writing))
}

#[tokio::test]
async fn a_schedule_runs_when_it_is_due_and_survives_restarts() {
    let house = House::default();
    let dispatcher = house.open("0 3 * * *", Recurring::new()).await;
    let schedule = house.pass(&dispatcher, 3 * HOUR, 1).await;
    assert_eq!((schedule.runs, schedule.skipped), (1, 0));
    assert!(is_writing(&dispatcher, "2026-01-01T03:00:00Z").await);
    dispatcher.publish(ReportWritten { of: "2026-01-01T03:00:00Z".to_owned() }).await.unwrap();
    dispatcher.kill().await;

    let dispatcher = house.open("0 3 * * *", Recurring::new()).await;
    let schedule = house.pass(&dispatcher, DAY, 2).await;
    assert_eq!((schedule.runs, schedule.skipped), (2, 0));
    assert!(is_writing(&dispatcher, "2026-01-02T03:00:00Z").await);
}

#[tokio::test]
async fn missed_runs_are_caught_up_with_once() {
    let house = House::default();
    house.open("0 3 * * *", Recurring::new()).await.kill().await;
    house.clock.advance(5 * DAY + 10 * HOUR);
    let dispatcher = house.open("0 3 * * *", Recurring::new()).await;
    let schedule = house.pass(&dispatcher, Duration::ZERO, 1).await;
    assert_eq!((schedule.runs, schedule.skipped), (1, 0));
    assert!(is_writing(&dispatcher, "2026-01-01T03:00:00Z").await, "the oldest of those missed");
    assert_eq!(next(&dispatcher).await, "2026-01-07T03:00:00Z", "and the next one is to come");
}

#[tokio::test]
async fn missed_runs_may_be_left_out() {
    let house = House::default();
    let how = || Recurring::new().misfire(Misfire::Skip);
    house.open("0 3 * * *", how()).await.kill().await;
    house.clock.advance(DAY);
    let dispatcher = house.open("0 3 * * *", how()).await;
    let schedule = house.pass(&dispatcher, Duration::ZERO, 1).await;
    assert_eq!((schedule.runs, schedule.skipped), (0, 1));
    assert_eq!(schedule.why_skipped.unwrap(), "the run was 75600000 ms late");
    let schedule = house.pass(&dispatcher, 3 * HOUR, 2).await;
    assert_eq!((schedule.runs, schedule.skipped), (1, 1), "on time again");
}

#[tokio::test]
async fn a_run_is_left_out_while_the_last_one_goes_on() {
    let house = House::default();
    let dispatcher = house.open("0 * * * *", Recurring::new()).await;
    house.pass(&dispatcher, HOUR, 1).await;
    let schedule = house.pass(&dispatcher, HOUR, 2).await;
    assert_eq!((schedule.runs, schedule.skipped), (1, 1));
    assert_eq!(schedule.why_skipped.unwrap(), "report `2026-01-01T01:00:00Z` of the last run has not ended");
    dispatcher.publish(ReportWritten { of: "2026-01-01T01:00:00Z".to_owned() }).await.unwrap();
    let schedule = house.pass(&dispatcher, HOUR, 3).await;
    assert_eq!((schedule.runs, schedule.skipped), (2, 1));
}

#[tokio::test]
async fn runs_may_overlap_if_they_are_told_to() {
    let house = House::default();
    let dispatcher = house.open("0 * * * *", Recurring::new().overlap(Overlap::Allow)).await;
    house.pass(&dispatcher, HOUR, 1).await;
    let schedule = house.pass(&dispatcher, HOUR, 2).await;
    assert_eq!((schedule.runs, schedule.skipped), (2, 0));
}

#[tokio::test]
async fn a_changed_expression_counts_from_the_next_start() {
    let house = House::default();
    house.open("0 3 * * *", Recurring::new()).await.shutdown(HOUR).await.unwrap();
    let dispatcher = house.open("30 1 * * * Europe/Zurich", Recurring::new()).await;
    let schedule = house.pass(&dispatcher, HOUR, 1).await;
    assert_eq!(schedule.cron, "30 1 * * * Europe/Zurich");
    assert!(is_writing(&dispatcher, "2026-01-01T00:30:00Z").await, "an hour east of Greenwich");
}

#[tokio::test]
async fn a_schedule_that_nobody_registers_any_more_stops() {
    let house = House::default();
    house.open("0 3 * * *", Recurring::new()).await.shutdown(HOUR).await.unwrap();
    let dispatcher = Dispatcher::builder(house.store.clone())
        .saga::<ReportState>()
        .recurring("weekly", "0 3 * * MON", |due| ReportDue { of: due.to_string() })
        .clock(house.clock.clone())
        .start()
        .await
        .unwrap();
    house.clock.advance(DAY);
    let retired = |schedule: &saga::Instance<ScheduleState>| {
        (schedule.position == Position::In(ScheduleState::Retired)).then_some(schedule.data.runs)
    };
    assert_eq!(dispatcher.wait_for::<ScheduleState, _>("nightly", DAY, retired).await.unwrap(), 0);
    dispatcher.shutdown(HOUR).await.unwrap();

    let dispatcher = house.open("0 3 * * *", Recurring::new()).await;
    house.pass(&dispatcher, DAY, 1).await;
}

/// From the start of the clock to noon in Greenwich, on the day before the clocks of Zurich go from two to three.
const BEFORE_MARCH: Duration = Duration::from_secs((86 * 24 + 12) * 60 * 60);
/// The same before they go from three back to two.
const BEFORE_OCTOBER: Duration = Duration::from_secs((296 * 24 + 12) * 60 * 60);

#[tokio::test]
async fn a_time_that_the_clocks_skip_runs_once_right_after() {
    let house = House::default();
    house.clock.advance(BEFORE_MARCH);
    let how = Recurring::new().overlap(Overlap::Allow);
    let dispatcher = house.open("30 2 * * * Europe/Zurich", how).await;
    assert_eq!(next(&dispatcher).await, "2026-03-29T01:00:00Z", "three o'clock in Zurich");
    let schedule = house.pass(&dispatcher, 13 * HOUR, 1).await;
    assert_eq!((schedule.runs, schedule.skipped), (1, 0));
    assert!(is_writing(&dispatcher, "2026-03-29T01:00:00Z").await);
    assert_eq!(next(&dispatcher).await, "2026-03-30T00:30:00Z", "half past two again");
    let schedule = house.pass(&dispatcher, 23 * HOUR + 30 * MINUTE, 2).await;
    assert_eq!((schedule.runs, schedule.skipped), (2, 0));
    assert!(is_writing(&dispatcher, "2026-03-30T00:30:00Z").await);
}

#[tokio::test]
async fn a_time_that_comes_twice_runs_the_first_time() {
    let house = House::default();
    house.clock.advance(BEFORE_OCTOBER);
    let how = Recurring::new().overlap(Overlap::Allow);
    let dispatcher = house.open("30 2 * * * Europe/Zurich", how).await;
    let schedule = house.pass(&dispatcher, 12 * HOUR + 30 * MINUTE, 1).await;
    assert_eq!((schedule.runs, schedule.skipped), (1, 0));
    assert!(is_writing(&dispatcher, "2026-10-25T00:30:00Z").await);
    assert_eq!(next(&dispatcher).await, "2026-10-26T01:30:00Z", "not an hour later");
    let schedule = house.pass(&dispatcher, 25 * HOUR, 2).await;
    assert_eq!((schedule.runs, schedule.skipped), (2, 0));
    assert!(is_writing(&dispatcher, "2026-10-26T01:30:00Z").await);
}

#[tokio::test]
async fn an_interval_goes_on_evenly_when_the_clocks_change() {
    for before in [BEFORE_MARCH, BEFORE_OCTOBER] {
        let house = House::default();
        house.clock.advance(before + 12 * HOUR);
        let how = Recurring::new().overlap(Overlap::Allow);
        let dispatcher = house.open("*/15 * * * * Europe/Zurich", how).await;
        for quarter in 1..=10 {
            let schedule = house.pass(&dispatcher, 15 * MINUTE, quarter).await;
            assert_eq!((schedule.runs, schedule.skipped), (quarter, 0));
        }
    }
}

#[tokio::test]
async fn a_skipped_time_that_was_missed_counts_as_missed() {
    let house = House::default();
    house.clock.advance(BEFORE_MARCH);
    let how = || Recurring::new().misfire(Misfire::Skip);
    house.open("30 2 * * * Europe/Zurich", how()).await.kill().await;
    house.clock.advance(DAY);
    let dispatcher = house.open("30 2 * * * Europe/Zurich", how()).await;
    let schedule = house.pass(&dispatcher, Duration::ZERO, 1).await;
    assert_eq!((schedule.runs, schedule.skipped), (0, 1));
    assert_eq!(schedule.why_skipped.unwrap(), "the run was 39600000 ms late", "eleven hours");
}

#[tokio::test]
async fn bad_schedules_are_refused_at_the_start() {
    let started = Dispatcher::builder(MemoryStore::new())
        .saga::<ReportState>()
        .recurring("nightly", "0 25 * * *", |due| ReportDue { of: due.to_string() })
        .recurring("nightly", "0 3 * * *", |due| ReportDue { of: due.to_string() })
        .recurring("", "0 3 * * *", |due| ReportDue { of: due.to_string() })
        .start()
        .await;
    let Err(StartError::Registration { problems }) = started else { panic!("it started") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(
        problems[0].starts_with("the schedule `nightly`: `0 25 * * *` is not a cron expression"),
        "{problems:#?}"
    );
    assert!(problems[1].contains("two schedules are called `nightly`"), "{problems:#?}");
    assert!(problems[2].contains("the key is empty"), "{problems:#?}");
}

#[tokio::test]
async fn an_expression_that_never_comes_true_is_refused_at_the_start() {
    let started = Dispatcher::builder(MemoryStore::new())
        .saga::<ReportState>()
        .recurring("never", "0 0 30 2 *", |due| ReportDue { of: due.to_string() })
        .clock(ManualClock::default())
        .start()
        .await;
    let Err(error) = started else { panic!("it started") };
    assert_eq!(
        error.to_string(),
        "cannot start: the schedule `never`: the cron expression has no future run time"
    );
}
