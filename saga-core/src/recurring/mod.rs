//! Recurring starts: an event published by a cron expression, durably, with a say about overlaps and misfires.
//!
//! A schedule is an instance of a saga of our own, so its next time is a timer row, its runs are commands, and its
//! history tells when it ran and why it did not. Owns: that saga, the handler that publishes, and when an expression is
//! due. Does not own: how an expression is written (the crate `cronexpr`), or how an event is published.

mod calendar;
mod fields;
mod saga;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::dispatcher::{
    Dispatcher, DispatcherBuilder, Extension, Handler, HandlerContext, PublishError, Receipt, StartError,
    Started,
};
use crate::engine::Policy;
use crate::machine::Position;
use crate::message::{Correlated, HandlerResult, Key, Timestamp, chain};
use crate::store::{Address, Store};
use calendar::Calendar;
use saga::{Run, RunRetired, RunSkipped, RunStarted, StartRun};
pub use saga::{Schedule, ScheduleState};

/// A run that is later than this was missed: nothing was running when it was due.
const MISFIRE: Duration = Duration::from_secs(60);

/// What a schedule does when it is due and the instances that its last run has started have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlap {
    /// This run is left out, and the history says so.
    #[default]
    Skip,
    /// It runs all the same.
    Allow,
}

/// What a schedule does with the runs that were missed, because no dispatcher was running for more than a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misfire {
    /// One run for all that were missed.
    #[default]
    CatchUpOnce,
    /// None: it goes on with the next.
    Skip,
}

/// How a schedule runs, where the default does not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Recurring {
    overlap: Overlap,
    misfire: Misfire,
}

impl Recurring {
    /// Skips overlapping runs and catches up once.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do while the last run goes on.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// What to do about missed runs.
    pub fn misfire(mut self, misfire: Misfire) -> Self {
        self.misfire = misfire;
        self
    }
}

type Publishing = Pin<Box<dyn Future<Output = Result<Receipt, PublishError>> + Send>>;

/// A schedule as it was registered.
struct Entry {
    cron: String,
    how: Recurring,
    publish: Box<dyn Fn(Timestamp, HandlerContext) -> Publishing + Send + Sync>,
}

/// The schedules of a dispatcher under construction.
#[derive(Default)]
pub(crate) struct Schedules {
    entries: BTreeMap<String, Entry>,
    problems: Vec<String>,
    /// Each schedule with its expression, once they are registered.
    crons: Vec<(String, String)>,
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl DispatcherBuilder {
    /// Publishes the event that `event` makes, whenever `cron` says so: by default once for all runs that were missed
    /// while no dispatcher ran, and not while an instance of the last run has not ended.
    ///
    /// `name` is stored: under it the schedule goes on after a restart. `cron` has five fields, and a time zone as a
    /// sixth: `0 3 * * MON-FRI Europe/Zurich`; without one it is UTC. `event` is given the time the run was due, so that
    /// every run has a key of its own; it is called again for the same run after a crash, and must make the same event
    /// then. A schedule whose `cron` has changed goes by the new one from the next start on; one that is no longer
    /// registered stops when it is due the next time.
    ///
    /// When the clocks change, an expression that names some hours runs once at each wall-clock time it names. A skipped
    /// time runs right after the gap, and a doubled one the first time. An expression that names every hour goes on
    /// evenly: `*/15 * * * *` runs every fifteen minutes, also in the doubled hour.
    ///
    /// The chapter on timers of the manual has an example.
    pub fn recurring<E: Correlated>(
        self,
        name: &str,
        cron: &str,
        event: impl Fn(Timestamp) -> E + Send + Sync + 'static,
    ) -> Self {
        self.recurring_with(name, cron, Recurring::new(), event)
    }

    /// As [`recurring`](Self::recurring), with a say about overlaps and misfires.
    pub fn recurring_with<E: Correlated>(
        mut self,
        name: &str,
        cron: &str,
        how: Recurring,
        event: impl Fn(Timestamp) -> E + Send + Sync + 'static,
    ) -> Self {
        let schedules = self.extension::<Schedules>();
        if let Err(error) = Key::new(name) {
            schedules.problems.push(format!("a schedule is called `{name}`: {error}"));
        }
        if let Err(error) = Calendar::parse(cron) {
            schedules.problems.push(format!("the schedule `{name}`: {error}"));
        }
        let event = Arc::new(event);
        let publish = Box::new(move |due, cx: HandlerContext| {
            let event = Arc::clone(&event);
            Box::pin(async move { cx.publish(event(due)).await }) as Publishing
        });
        let entry = Entry { cron: cron.to_owned(), how, publish };
        if schedules.entries.insert(name.to_owned(), entry).is_some() {
            schedules
                .problems
                .push(format!("two schedules are called `{name}`: the name is stored, so they must differ"));
        }
        self
    }
}

impl Extension for Schedules {
    fn register(&mut self, mut builder: DispatcherBuilder) -> Result<DispatcherBuilder, StartError> {
        let problems = std::mem::take(&mut self.problems);
        if !problems.is_empty() {
            return Err(StartError::Registration { problems });
        }
        let entries = std::mem::take(&mut self.entries);
        self.crons = entries.iter().map(|(name, entry)| (name.clone(), entry.cron.clone())).collect();
        let runs = Runs { store: builder.store(), entries };
        builder = builder.saga::<ScheduleState>();
        Ok(builder.handler_with::<StartRun>(runs, Policy::default()))
    }

    fn started<'a>(&'a self, dispatcher: &'a Dispatcher) -> Started<'a> {
        Box::pin(async move {
            for (name, cron) in &self.crons {
                tell(dispatcher, name, cron).await?;
            }
            Ok(())
        })
    }
}

/// Tells a schedule which expression it goes by.
async fn tell(dispatcher: &Dispatcher, name: &str, cron: &str) -> Result<(), StartError> {
    let failed = |why: String| StartError::Setting(format!("the schedule `{name}`: {why}"));
    let event = saga::Scheduled { name: name.to_owned(), cron: cron.to_owned() };
    let receipt = dispatcher.publish(event).await.map_err(|error| failed(chain(&error).to_string()))?;
    if !receipt.is_accepted() {
        return Err(failed("its expression names no time that will ever come".to_owned()));
    }
    let found = dispatcher.instance::<ScheduleState>(name).await;
    let found = found.map_err(|error| failed(chain(&error).to_string()))?;
    if let Some(Position::Parked { detail, .. }) = found.as_ref().map(|found| &found.position) {
        tracing::error!(schedule = name, detail, "parked: it waits for a person");
    }
    if found.is_some_and(|found| found.position.state() == Some(&ScheduleState::Removed)) {
        let why = "nobody had registered it for a month, so it was removed; give it another name";
        return Err(failed(why.to_owned()));
    }
    Ok(())
}

/// Publishes what is due.
struct Runs {
    store: Arc<dyn Store>,
    entries: BTreeMap<String, Entry>,
}

impl Runs {
    /// An instance of the last run that has not ended.
    async fn going_on(&self, last: &[Run]) -> Result<Option<Address>, crate::message::HandlerError> {
        for run in last {
            let address = Address::new(run.saga.clone(), Key::new(&run.key)?);
            if self.store.instance(&address).await?.is_some_and(|found| !found.instance.status.is_over()) {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }
}

impl Handler<StartRun> for Runs {
    async fn handle(&self, command: StartRun, cx: &HandlerContext) -> HandlerResult<StartRun> {
        let Some(entry) = self.entries.get(cx.instance()) else {
            return Ok(RunRetired {}.into());
        };
        if entry.how.misfire == Misfire::Skip && command.late_ms > MISFIRE.as_millis() {
            return Ok(RunSkipped { why: format!("missed by {} ms", command.late_ms) }.into());
        }
        if entry.how.overlap == Overlap::Skip
            && let Some(address) = self.going_on(&command.last).await?
        {
            return Ok(RunSkipped { why: format!("{address} of the last run has not ended") }.into());
        }
        let receipt = (entry.publish)(Timestamp::from_millis(command.due), cx.clone()).await?;
        let runs = receipt
            .consumers
            .into_iter()
            .map(|consumer| Run { saga: consumer.consumer, key: consumer.key.to_string() });
        Ok(RunStarted { runs: runs.collect() }.into())
    }
}
