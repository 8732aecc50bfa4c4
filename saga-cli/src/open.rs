//! Open work: tasks, timers and schedules of many instances, and deliveries to subscribers.

use anyhow::Result;
use saga_core::message::Timestamp;
use saga_core::store::{
    DeliveryFilter, DeliveryId, DeliveryRow, Inspect, InstanceFilter, ScheduleLine, StoreError, TaskLine,
    TaskStage, TimerLine, WorkPage,
};

use crate::Ended;
use crate::args::{Tasks, Timers};
use crate::output::Output;

/// The instances of one page.
const PAGE: usize = 200;

pub(crate) async fn tasks(tasks: &Tasks, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let limit = usize::try_from(tasks.limit)?;
    let mut lines = Vec::new();
    let page = async |filter: &InstanceFilter| {
        let mut page = TaskLine::page(store, filter).await?;
        page.lines.retain(|line| !tasks.failing || line.task.progress.error.is_some());
        Ok(page)
    };
    for filter in tasks.filters() {
        if lines.len() <= limit {
            read(filter, limit, &mut lines, page).await?;
        }
    }
    let complete = lines.len() <= limit;
    lines.truncate(limit);
    let header = ["saga", "key", "task", "kind", "name", "attempts", "next", "since", "error"];
    output.list(header, &lines, |TaskLine { address, task, .. }| {
        let progress = &task.progress;
        [
            address.saga.to_string(),
            address.key.text().to_owned(),
            format!("{}.{}", task.id.seq, task.id.ord),
            task.kind.as_str().to_owned(),
            task.command.name.to_string(),
            progress.attempts.to_string(),
            match progress.stage {
                TaskStage::Held => "held until a person decides".to_owned(),
                _ => next(progress.due),
            },
            progress.since.to_string(),
            progress.error.clone().unwrap_or_default(),
        ]
    })?;
    ended(lines.is_empty(), "no task meets the conditions", complete, limit, output)
}

pub(crate) async fn deliveries(
    filter: &DeliveryFilter,
    store: &dyn Inspect,
    output: &mut Output<'_>,
) -> Result<Ended> {
    let page = filter.page(store).await?;
    let header = ["id", "consumer", "key", "event", "message id", "attempts", "next", "since", "error"];
    output.list(header, &page.rows, |DeliveryRow { id, delivery }| {
        let progress = &delivery.progress;
        [
            id.0.to_string(),
            delivery.to.saga.to_string(),
            delivery.to.key.text().to_owned(),
            delivery.event.name.to_string(),
            delivery.id.to_string(),
            progress.attempts.to_string(),
            next(progress.due),
            progress.since.to_string(),
            progress.error.clone().unwrap_or_default(),
        ]
    })?;
    match page.more {
        Some(DeliveryId(after)) => output.note(format!("more deliveries: add --after {after}")),
        None if page.rows.is_empty() => output.note("no open delivery meets the conditions"),
        None => {}
    }
    Ok(Ended::Well)
}

/// The time of the next attempt.
fn next(due: Timestamp) -> String {
    if due == Timestamp::EPOCH { "now".to_owned() } else { due.to_string() }
}

pub(crate) async fn timers(timers: &Timers, store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let limit = usize::try_from(timers.limit)?;
    let mut lines = Vec::new();
    read(timers.filter(), limit, &mut lines, async |filter| TimerLine::page(store, filter).await).await?;
    let complete = lines.len() <= limit;
    lines.truncate(limit);
    output.list(
        ["due", "saga", "key", "timer", "set", "fired"],
        &lines,
        |TimerLine { address, timer, .. }| {
            [
                timer.due.to_string(),
                address.saga.to_string(),
                address.key.text().to_owned(),
                timer.name.to_string(),
                timer.armed.to_string(),
                timer.fired.to_string(),
            ]
        },
    )?;
    ended(lines.is_empty(), "no timer meets the conditions", complete, limit, output)
}

pub(crate) async fn schedules(store: &dyn Inspect, output: &mut Output<'_>) -> Result<Ended> {
    let mut lines = Vec::new();
    let page = async |filter: &InstanceFilter| ScheduleLine::page(store, filter).await;
    read(InstanceFilter::default(), usize::MAX, &mut lines, page).await?;
    let header = ["schedule", "cron", "state", "next", "runs", "skipped", "why skipped", "last"];
    output.list(header, &lines, |line| {
        [
            line.address.key.text().to_owned(),
            line.cron.clone(),
            if line.parked { format!("{}, parked", line.state) } else { line.state.clone() },
            line.due.map(|due| due.to_string()).unwrap_or_default(),
            line.runs.to_string(),
            line.skipped.to_string(),
            line.why_skipped.clone().unwrap_or_default(),
            line.last.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        ]
    })?;
    ended(lines.is_empty(), "there is no schedule", true, lines.len(), output)
}

/// Adds the lines of each page, until there are more than `most`.
async fn read<T>(
    mut filter: InstanceFilter,
    most: usize,
    lines: &mut Vec<T>,
    read_page: impl AsyncFn(&InstanceFilter) -> Result<WorkPage<T>, StoreError>,
) -> Result<(), StoreError> {
    filter.limit = PAGE;
    loop {
        let page = read_page(&filter).await?;
        let more = page.next(&mut filter);
        lines.extend(page.lines);
        if lines.len() > most || !more {
            return Ok(());
        }
    }
}

fn ended(empty: bool, nothing: &str, complete: bool, limit: usize, output: &mut Output<'_>) -> Result<Ended> {
    if empty {
        output.note(nothing);
    }
    if !complete {
        output.note(format!("there are more than --limit {limit}"));
    }
    Ok(Ended::Well)
}
