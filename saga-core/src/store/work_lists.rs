//! Lists of open work over many instances: tasks, timers and schedules.
//!
//! Owns: one line of each list, and the reading of its instances. Does not own: the reads themselves (`Inspect`), or the
//! sagas of schedules (`recurring`).

use serde::Deserialize;

use super::{
    Address, Inspect, InstanceFilter, InstanceOrder, PageFrom, Position, Snapshot, Status, StoreError, Task,
    TimerRow,
};
use crate::message::{Key, Timestamp};

/// The saga of the schedules.
pub(crate) const SCHEDULES: &str = "saga.recurring";

/// One open command, undo or child, with its instance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskLine {
    /// The instance.
    pub address: Address,
    /// The task.
    pub task: Task,
}

/// One set timer, with its instance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TimerLine {
    /// The instance.
    pub address: Address,
    /// The timer.
    pub timer: TimerRow,
}

/// One schedule of the feature `recurring`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScheduleLine {
    /// The instance that waits for the next run. Its key is the name of the schedule.
    pub address: Address,
    /// The cron expression. Empty if this build cannot read the data of the schedule.
    pub cron: String,
    /// The stored name of the state: `waiting`, `starting`, `retired` or `removed`.
    pub state: String,
    /// Whether the schedule is parked.
    pub parked: bool,
    /// The next due time.
    pub due: Option<Timestamp>,
    /// The number of published events.
    pub runs: u64,
    /// The number of skipped runs. All runs missed together count once.
    pub skipped: u64,
    /// The reason of the last skip.
    pub why_skipped: Option<String>,
    /// The instances and subscribers that got the event of the last run.
    pub last: Vec<Address>,
}

/// A part of a list, and where the list continues.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WorkPage<T> {
    /// The lines. An instance can have many of them.
    pub lines: Vec<T>,
    /// The position of the next page. `None` at the end of the list.
    pub more: Option<Position>,
}

impl TaskLine {
    /// Reads the open tasks of one page of instances. With [`InstanceFilter::waiting_for`], only tasks with this name are
    /// returned.
    ///
    /// Each page has the reads of its instances, and does not describe one moment.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn page(store: &dyn Inspect, filter: &InstanceFilter) -> Result<WorkPage<Self>, StoreError> {
        let wanted = |task: &Task| filter.waiting_for.as_ref().is_none_or(|name| task.command.name == *name);
        read(
            store,
            filter,
            |view| !view.waiting_for.is_empty(),
            |snapshot| {
                let address = snapshot.instance.address;
                let tasks = snapshot.tasks.into_iter().filter(wanted);
                tasks.map(|task| Self { address: address.clone(), task }).collect()
            },
        )
        .await
    }
}

impl TimerLine {
    /// Reads the timers of one page of instances. In the order [`InstanceOrder::Due`], the instances come in the order of
    /// their next timers.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn page(store: &dyn Inspect, filter: &InstanceFilter) -> Result<WorkPage<Self>, StoreError> {
        read(
            store,
            filter,
            |view| view.due.is_some(),
            |snapshot| {
                let address = snapshot.instance.address;
                let mut timers: Vec<TimerRow> =
                    snapshot.timers.into_iter().filter(|timer| !timer.is_internal()).collect();
                timers.sort_by_key(|timer| timer.due);
                timers.into_iter().map(|timer| Self { address: address.clone(), timer }).collect()
            },
        )
        .await
    }
}

impl ScheduleLine {
    /// Reads one page of the schedules, by name. The filter is for the position and the number of lines.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn page(store: &dyn Inspect, filter: &InstanceFilter) -> Result<WorkPage<Self>, StoreError> {
        let filter = InstanceFilter {
            saga: Some(SCHEDULES.to_owned()),
            order: InstanceOrder::Key,
            from: filter.from.clone(),
            limit: filter.limit,
            ..InstanceFilter::default()
        };
        read(store, &filter, |_| true, |snapshot| vec![Self::of(&snapshot)]).await
    }

    fn of(snapshot: &Snapshot) -> Self {
        /// The part of the data that people see.
        #[derive(Default, Deserialize)]
        struct Stored {
            cron: String,
            runs: u64,
            skipped: u64,
            why_skipped: Option<String>,
            #[serde(default)]
            last: Vec<Consumer>,
        }
        #[derive(Deserialize)]
        struct Consumer {
            saga: String,
            key: String,
        }
        let record = &snapshot.instance;
        // A later build may have another shape. The line then has only what every instance has.
        let stored: Stored = record.data.decode().unwrap_or_default();
        let address = |of: Consumer| Some(Address::new(of.saga, Key::new(of.key).ok()?));
        Self {
            address: record.address.clone(),
            cron: stored.cron,
            state: record.state.to_string(),
            parked: record.parked.is_some(),
            due: snapshot
                .timers
                .iter()
                .map(|timer| timer.due)
                .min()
                .filter(|_| record.status == Status::Running),
            runs: stored.runs,
            skipped: stored.skipped,
            why_skipped: stored.why_skipped,
            last: stored.last.into_iter().filter_map(address).collect(),
        }
    }
}

/// Reads the snapshots of one page of instances.
async fn read<T>(
    store: &dyn Inspect,
    filter: &InstanceFilter,
    wanted: impl Fn(&super::InstanceView) -> bool,
    lines_of: impl Fn(Snapshot) -> Vec<T>,
) -> Result<WorkPage<T>, StoreError> {
    let page = store.instances(filter).await?;
    let mut lines = Vec::new();
    for view in page.instances.iter().filter(|view| wanted(view)) {
        // A purge has removed the instance since the list was read, or its record is damaged.
        match store.instance(&view.address).await {
            Ok(snapshot) => lines.extend(snapshot.into_iter().flat_map(&lines_of)),
            Err(StoreError::Corrupt { detail, .. }) => {
                tracing::error!(instance = %view.address, detail, "an instance cannot be read and is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(WorkPage { lines, more: page.more })
}

impl<T> WorkPage<T> {
    /// Sets the filter to the next page. Returns `false` at the end of the list.
    pub fn next(&self, filter: &mut InstanceFilter) -> bool {
        let Some(more) = self.more.clone() else { return false };
        filter.from = Some(PageFrom::After(more));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::conformance::{Driver, address, create, task, time, timer};
    use crate::store::{MemoryStore, Step, TaskChange, TimerChange};

    fn schedule(name: &str, data: &str) -> Step {
        let mut step = create(&Address::new(SCHEDULES, Key::new(name).unwrap()));
        let change = step.instance.as_mut().unwrap();
        (change.state, change.data) = ("waiting".into(), data.into());
        step.timers = vec![TimerChange::Set(timer("due", 9))];
        step
    }

    async fn store() -> MemoryStore {
        let store = MemoryStore::new();
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        for (n, key) in ["a", "b"].into_iter().enumerate() {
            let mut step = create(&address(key));
            step.tasks = vec![TaskChange::Add(task(1, 0)), TaskChange::Add(task(1, 1))];
            step.timers = ["late", "early"]
                .into_iter()
                .zip([40, 20])
                .map(|(name, due)| TimerChange::Set(timer(name, due - n as i64)))
                .collect();
            driver.created(step).await;
        }
        driver.created(create(&address("idle"))).await;
        let data = r#"{"cron":"0 3 * * *","from":1,"runs":4,"skipped":0,"why_skipped":null,"last":[{"saga":"order","key":"a"}]}"#;
        driver.commit(vec![schedule("nightly", data), schedule("odd", "7")]).await;
        store
    }

    #[tokio::test]
    async fn tasks_are_listed_with_their_instances() {
        let store = store().await;
        let mut filter = InstanceFilter { limit: 1, ..InstanceFilter::default() };
        let mut found = Vec::new();
        loop {
            let page = TaskLine::page(&store, &filter).await.unwrap();
            let more = page.next(&mut filter);
            found.extend(page.lines);
            if !more {
                break;
            }
        }
        let keys: Vec<_> = found.iter().map(|line| (line.address.key.text(), line.task.id.ord)).collect();
        assert_eq!(keys, [("a", 0), ("a", 1), ("b", 0), ("b", 1)]);
        filter = InstanceFilter { waiting_for: Some("none".to_owned()), ..InstanceFilter::default() };
        assert_eq!(TaskLine::page(&store, &filter).await.unwrap().lines, []);
    }

    #[tokio::test]
    async fn timers_of_the_instance_with_the_next_one_come_first() {
        let store = store().await;
        let filter = InstanceFilter {
            saga: Some("order".to_owned()),
            order: InstanceOrder::Due,
            ..InstanceFilter::default()
        };
        let found = TimerLine::page(&store, &filter).await.unwrap().lines;
        let all: Vec<_> = found.iter().map(|line| (line.address.key.text(), &*line.timer.name)).collect();
        assert_eq!(all, [("b", "early"), ("b", "late"), ("a", "early"), ("a", "late")]);
        assert_eq!(found[0].timer.due, time(19));
    }

    #[tokio::test]
    async fn a_schedule_of_another_shape_is_still_listed() {
        let store = store().await;
        let found = ScheduleLine::page(&store, &InstanceFilter::default()).await.unwrap().lines;
        let nightly = &found[0];
        assert_eq!((&*nightly.cron, nightly.runs, nightly.due), ("0 3 * * *", 4, Some(time(9))));
        assert_eq!(nightly.last, [address("a")]);
        assert_eq!((found[1].address.key.text(), &*found[1].cron, &*found[1].state), ("odd", "", "waiting"));
    }
}
