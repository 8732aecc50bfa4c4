//! The store in numbers.

use anyhow::Result;
use saga_core::message::Timestamp;
use saga_core::store::{InstanceFilter, InstanceOrder, PauseOf, Status, StoreSizes};
use serde::Serialize;

use crate::Ended;
use crate::output::{Output, field};
use crate::source::Source;

#[derive(Debug, Serialize)]
struct Stats {
    /// The file, or the server with the database and the schema.
    store: String,
    /// The version of the tables.
    schema: usize,
    file_bytes: Option<u64>,
    log_bytes: Option<u64>,
    instances: u64,
    /// Instances that have not ended.
    active: u64,
    parked: u64,
    /// Rows that wait for a step, at most [`StoreSizes::MOST`].
    inbox: u64,
    /// Dead letters, at most [`StoreSizes::MOST`].
    dead_letters: u64,
    pauses: usize,
    /// The time of the last step.
    last_step: Option<Timestamp>,
    /// The due time of the first timer.
    next_timer: Option<Timestamp>,
}

pub(crate) async fn stats(store: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let counts = store.counts().await?;
    let sum = |of: &dyn Fn(Option<Status>, bool) -> bool| {
        counts.iter().filter(|count| of(count.status, count.parked)).map(|count| count.instances).sum()
    };
    let StoreSizes { inbox, dead_letters, file_bytes, log_bytes, .. } = store.sizes().await?;
    let first = async |order, descending| {
        let mut filter = InstanceFilter::default();
        (filter.order, filter.descending, filter.limit) = (order, descending, 1);
        store.instances(&filter).await.map(|page| page.instances.into_iter().next())
    };
    let stats = Stats {
        store: store.name(),
        schema: store.schema(),
        file_bytes,
        log_bytes,
        instances: sum(&|_, _| true),
        active: sum(&|status, _| status.is_none_or(|status| !status.is_over())),
        parked: sum(&|_, parked| parked),
        inbox,
        dead_letters,
        pauses: store
            .pauses()
            .await?
            .iter()
            .filter(|pause| !matches!(pause.of, PauseOf::Consumer(_)))
            .count(),
        last_step: first(InstanceOrder::Changed, true).await?.map(|view| view.changed_at),
        next_timer: first(InstanceOrder::Due, false).await?.and_then(|view| view.due),
    };
    output.one(&stats, page)?;
    Ok(Ended::Well)
}

fn page(stats: &Stats) -> String {
    let at_most = |count: u64| {
        if count >= StoreSizes::MOST { format!("{count} or more") } else { count.to_string() }
    };
    let bytes =
        |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{bytes} bytes"));
    let time = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
    let mut page = String::new();
    for (name, value) in [
        ("store", stats.store.clone()),
        ("schema", stats.schema.to_string()),
        ("size", bytes(stats.file_bytes)),
        ("log", bytes(stats.log_bytes)),
        ("instances", stats.instances.to_string()),
        ("active", stats.active.to_string()),
        ("parked", stats.parked.to_string()),
        ("inbox", at_most(stats.inbox)),
        ("dead letters", at_most(stats.dead_letters)),
        ("pauses", stats.pauses.to_string()),
        ("last step", time(stats.last_step)),
        ("next timer", time(stats.next_timer)),
    ] {
        field(&mut page, name, &value);
    }
    page
}
