//! The saga of a schedule: it waits for the due time, starts the run, and waits again.

use std::time::Duration;

use saga_macros::{Command, Event, Saga};
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use crate::machine::Context;
use crate::message::{ActionResult, Timestamp};

/// The states of a schedule.
#[derive(Saga, Clone, Debug, PartialEq, Eq)]
#[saga(name = "saga.recurring", version = 1, data(Schedule), actions(ScheduleActions), crate(crate))]
#[initially(when(Scheduled, run(begin), transition_to(Waiting)))]
#[unhandled(ignore)]
pub enum ScheduleState {
    /// The schedule waits for its due time.
    #[during(
        timeout(after(wait), name = "due", guard(is_early), run(wait_on), reenter),
        timeout(after(wait), name = "due", send(StartRun), transition_to(Starting)),
        when(Scheduled, guard(is_another), run(change), reenter)
    )]
    Waiting,
    /// The schedule publishes its event.
    #[during(
        when(RunStarted, run(note_run), transition_to(Waiting)),
        when(RunSkipped, run(note_skip), transition_to(Waiting)),
        when(RunRetired, transition_to(Retired)),
        when(any(failed(StartRun), unknown(StartRun)), run(go_on), transition_to(Waiting)),
        when(Scheduled, run(rename), stay)
    )]
    Starting,
    /// The schedule was not registered at its due time.
    #[during(
        when(Scheduled, run(change), transition_to(Waiting)),
        timeout(days = 30, transition_to(Removed))
    )]
    Retired,
    /// The schedule has not been registered for a month since then.
    #[terminal]
    Removed,
}

/// The data of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Schedule {
    /// The cron expression of the schedule.
    pub cron: String,
    /// The schedule is due at the first time after this value, in milliseconds since 1970.
    from: i64,
    /// The number of published events.
    pub runs: u64,
    /// The number of skipped runs. All runs missed together count once.
    pub skipped: u64,
    /// The reason of the last skip.
    pub why_skipped: Option<String>,
    /// The consumers of the last run's event.
    last: Vec<Run>,
}

/// One consumer of a run's event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) saga: String,
    pub(super) key: String,
}

impl Schedule {
    /// Returns the wait until the next due time.
    fn due(&self) -> Result<Timestamp, String> {
        let next = Calendar::parse(&self.cron)?.next_after(Timestamp::from_millis(self.from));
        next.ok_or_else(|| "the cron expression has no future run time".to_owned())
    }

    fn wait_from(&mut self, now: Timestamp) {
        self.from = now.as_millis();
    }
}

impl ScheduleActions for Schedule {
    fn begin(event: &Scheduled, cx: &mut Context) -> ActionResult<Self> {
        let (cron, from) = (event.cron.clone(), cx.now().as_millis());
        Ok(Self { cron, from, runs: 0, skipped: 0, why_skipped: None, last: Vec::new() })
    }

    /// A duration, not a time. A schedule set by a clock that was ahead therefore does not wait until that time.
    fn wait(&self, cx: &mut Context) -> Duration {
        // The expression was parsed at registration. If a newer build parses it differently, the instance is parked.
        let due = self.due().unwrap_or_else(|error| panic!("`{}`: {error}", self.cron));
        due.since(cx.now())
    }

    /// The wait is over, but the due time has not come: the wall clock was set back meanwhile.
    fn is_early(&self, cx: &Context) -> bool {
        self.due().is_ok_and(|due| due > cx.now())
    }

    /// If the clock is before the start of the wait, it was ahead at that start. The start is then the present time
    /// minus the length of the wait. Runs that became due since are therefore not skipped.
    fn wait_on(&mut self, cx: &mut Context) -> ActionResult<()> {
        let from = Timestamp::from_millis(self.from);
        if from > cx.now()
            && let Ok(due) = self.due()
        {
            self.wait_from(cx.now().minus(due.since(from)));
        }
        Ok(())
    }

    fn start_run(&self, cx: &mut Context) -> StartRun {
        let due = self.due().unwrap_or_else(|error| panic!("`{}`: {error}", self.cron));
        StartRun { due: due.as_millis(), late_ms: cx.now().since(due).as_millis(), last: self.last.clone() }
    }

    fn is_another(&self, event: &Scheduled, _: &Context) -> bool {
        self.cron != event.cron
    }

    fn change(&mut self, event: &Scheduled, cx: &mut Context) -> ActionResult<()> {
        self.cron.clone_from(&event.cron);
        self.wait_from(cx.now());
        Ok(())
    }

    fn rename(&mut self, event: &Scheduled, _: &mut Context) -> ActionResult<()> {
        self.cron.clone_from(&event.cron);
        Ok(())
    }

    fn note_run(&mut self, event: &RunStarted, cx: &mut Context) -> ActionResult<()> {
        self.runs += 1;
        self.last.clone_from(&event.runs);
        self.wait_from(cx.now());
        Ok(())
    }

    fn note_skip(&mut self, event: &RunSkipped, cx: &mut Context) -> ActionResult<()> {
        self.skipped += 1;
        self.why_skipped = Some(event.why.clone());
        self.wait_from(cx.now());
        Ok(())
    }

    fn go_on(&mut self, cx: &mut Context) -> ActionResult<()> {
        self.skipped += 1;
        self.why_skipped = Some("the event of the run could not be published".to_owned());
        self.wait_from(cx.now());
        Ok(())
    }
}

/// The event that registers a schedule.
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "saga.scheduled", key(name), crate(crate))]
pub struct Scheduled {
    pub(super) name: String,
    pub(super) cron: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "saga.run-started", crate(crate))]
pub(super) struct RunStarted {
    pub(super) runs: Vec<Run>,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "saga.run-skipped", crate(crate))]
pub(super) struct RunSkipped {
    pub(super) why: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "saga.run-retired", crate(crate))]
pub(super) struct RunRetired {}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "saga.start-run", replies(RunStarted, RunSkipped, RunRetired), crate(crate))]
pub(super) struct StartRun {
    /// The time in milliseconds since 1970.
    pub(super) due: i64,
    pub(super) late_ms: u128,
    pub(super) last: Vec<Run>,
}
