//! Recurring starts: durable publishing of events by a cron expression, with policies for overlaps and misfires.
//!
//! Owns: the schedule saga, the publishing handler, and the due times of an expression. Does not own: the syntax of an
//! expression (the crate `cronexpr`), or the publishing of an event.
//!
//! A schedule is an instance of an internal saga. Its next due time is a timer row, and its runs are commands. Its
//! history records each run and the reason of each skipped run.

mod calendar;
mod fields;
mod saga;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::dispatcher::{
    Dispatcher, DispatcherBuilder, Extension, Handler, HandlerContext, PublishError, Receipt, StartError,
    Started, WeakDispatcher,
};
use crate::engine::Policy;
use crate::engine::StartProblem;
use crate::machine::Position;
use crate::message::{Correlated, HandlerResult, Key, Timestamp, chain};
use crate::store::{Address, Store};
use calendar::Calendar;
use saga::{Run, RunRetired, RunSkipped, RunStarted, StartRun};
pub use saga::{Schedule, ScheduleState};

/// A run later than this limit counts as missed: no dispatcher was running at its due time.
const MISFIRE: Duration = Duration::from_secs(60);

/// The policy for a due run while instances started by the last run have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlap {
    /// The schedule skips this run and records the skip in the history.
    #[default]
    Skip,
    /// The run starts anyway.
    Allow,
}

/// The policy for missed runs. A run is missed when no dispatcher was running for more than a minute after its due
/// time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misfire {
    /// One run replaces all missed runs.
    #[default]
    CatchUpOnce,
    /// No missed run is made up. The schedule continues with the next due time.
    Skip,
}

/// Options of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Recurring {
    overlap: Overlap,
    misfire: Misfire,
}

impl Recurring {
    /// The defaults: overlapping runs are skipped, and one run replaces all missed runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the policy for a due run while the last run has not ended.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Sets the policy for missed runs.
    pub fn misfire(mut self, misfire: Misfire) -> Self {
        self.misfire = misfire;
        self
    }
}

type Publishing = Pin<Box<dyn Future<Output = Result<Receipt, PublishError>> + Send>>;

/// A registered schedule.
struct Entry {
    cron: String,
    how: Recurring,
    publish: Box<dyn Fn(Timestamp, HandlerContext) -> Publishing + Send + Sync>,
}

/// The schedules of a dispatcher under construction.
#[derive(Default)]
pub(crate) struct Schedules {
    entries: BTreeMap<String, Entry>,
    problems: Vec<StartProblem>,
    /// Each schedule with its expression, after the registration.
    crons: Vec<(String, String)>,
    /// The dispatcher, for the handler of due runs.
    dispatcher: Arc<OnceLock<WeakDispatcher>>,
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl DispatcherBuilder {
    /// Registers a schedule that publishes the event made by `event` at the times of `cron`. By default, one run
    /// replaces all runs missed while no dispatcher ran. By default, a run is skipped while an instance of the last run
    /// has not ended.
    ///
    /// The store keeps `name`. After a restart, the schedule continues under this name. `cron` has five fields and an
    /// optional time zone as sixth field: `0 3 * * MON-FRI Europe/Zurich`. The default time zone is UTC.
    ///
    /// `event` receives the due time of the run, so that every run can have its own key. After a crash, `event` is
    /// called again for the same run and must return the same event.
    ///
    /// A changed `cron` takes effect at the next start. A schedule that is no longer registered stops at its next due
    /// time.
    ///
    /// When the clocks change, an expression that names some hours runs once at each named wall-clock time. A skipped
    /// time runs right after the gap. A doubled time runs at its first occurrence. An expression that names every hour
    /// continues at even intervals: `*/15 * * * *` runs every fifteen minutes, also in the doubled hour.
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

    /// Registers a schedule like [`recurring`](Self::recurring), with options for overlaps and misfires.
    pub fn recurring_with<E: Correlated>(
        mut self,
        name: &str,
        cron: &str,
        how: Recurring,
        event: impl Fn(Timestamp) -> E + Send + Sync + 'static,
    ) -> Self {
        let schedules = self.extension::<Schedules>();
        if let Err(error) = Key::new(name) {
            let (schedule, why) = (name.to_owned(), error.to_string());
            schedules.problems.push(StartProblem::ScheduleName { schedule, why });
        }
        if let Err(error) = Calendar::parse(cron) {
            let (schedule, why) = (name.to_owned(), error.to_string());
            schedules.problems.push(StartProblem::Schedule { schedule, why });
        }
        let event = Arc::new(event);
        let publish = Box::new(move |due, cx: HandlerContext| {
            let event = Arc::clone(&event);
            Box::pin(async move { cx.publish(event(due)).await }) as Publishing
        });
        let entry = Entry { cron: cron.to_owned(), how, publish };
        if schedules.entries.insert(name.to_owned(), entry).is_some() {
            schedules.problems.push(StartProblem::TwoSchedules { schedule: name.to_owned() });
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
        let runs = Runs { store: builder.store(), entries, dispatcher: Arc::clone(&self.dispatcher) };
        builder = builder.saga::<ScheduleState>();
        Ok(builder.handler_with::<StartRun>(runs, Policy::default()))
    }

    fn started<'a>(&'a self, dispatcher: &'a Dispatcher) -> Started<'a> {
        Box::pin(async move {
            // A start happens once.
            let _ = self.dispatcher.set(dispatcher.downgrade());
            if has_later_release(dispatcher) {
                // The expressions of the later release stay.
                return Ok(());
            }
            for (name, cron) in &self.crons {
                tell(dispatcher, name, cron).await?;
            }
            Ok(())
        })
    }
}

/// Passes the present expression to a schedule.
async fn tell(dispatcher: &Dispatcher, name: &str, cron: &str) -> Result<(), StartError> {
    let failed = |why: String| StartError::Setting(format!("the schedule `{name}`: {why}"));
    let event = saga::Scheduled { name: name.to_owned(), cron: cron.to_owned() };
    let receipt = dispatcher.publish(event).await.map_err(|error| failed(chain(&error).to_string()))?;
    if !receipt.is_accepted() {
        return Err(failed("the cron expression has no future run time".to_owned()));
    }
    let found = dispatcher.instance::<ScheduleState>(name).await;
    let found = found.map_err(|error| failed(chain(&error).to_string()))?;
    if let Some(Position::Parked { detail, .. }) = found.as_ref().map(|found| &found.position) {
        tracing::error!(schedule = name, detail, "the schedule is parked and waits for an operator");
    }
    if found.is_some_and(|found| found.position.state() == Some(&ScheduleState::Removed)) {
        let why = "the schedule was removed after a month without registration; register the schedule under another name";
        return Err(failed(why.to_owned()));
    }
    Ok(())
}

/// Returns whether a process of a later release shares the store.
fn has_later_release(dispatcher: &Dispatcher) -> bool {
    let Some(nodes) = dispatcher.nodes() else { return false };
    let own = nodes.nodes.iter().find(|node| node.is_self).map_or(0, |node| node.build);
    nodes.nodes.iter().any(|node| node.build > own)
}

/// Publishes the event of a due run.
struct Runs {
    store: Arc<dyn Store>,
    entries: BTreeMap<String, Entry>,
    dispatcher: Arc<OnceLock<WeakDispatcher>>,
}

impl Runs {
    /// Returns an instance of the last run that has not ended.
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
            let dispatcher = self.dispatcher.get().and_then(WeakDispatcher::upgrade);
            if dispatcher.is_some_and(|dispatcher| has_later_release(&dispatcher)) {
                // The schedule goes on there when its shard is handed over.
                return Err("a later release may have the schedule; trying again".into());
            }
            return Ok(RunRetired {}.into());
        };
        if entry.how.misfire == Misfire::Skip && command.late_ms > MISFIRE.as_millis() {
            return Ok(RunSkipped { why: format!("the run was {} ms late", command.late_ms) }.into());
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
