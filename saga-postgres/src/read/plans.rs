//! The plans of all reads: each finds its rows by an index.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use saga_core::message::{Alias, MessageId};
use saga_core::store::conformance::{Driver, address, create, mail, task, time, timer};
use saga_core::store::{
    AliasChange, AuditFilter, AuditFrom, DeadId, DeliveryId, InboxId, InstanceFilter, InstanceOrder,
    LabelCondition, Status, Step, TaskChange, TimerChange,
};
use std::sync::Arc;

use crate::support::Schema;

static READS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Keeps a statement for the test.
pub(super) fn record(sql: &str) {
    READS.lock().insert(sql.to_owned());
}

/// Tables with a few rows for each saga, and one row of the server for each table.
const SMALL: [&str; 14] = [
    "saga_name",
    "saga_inbox_number",
    "saga_count",
    "saga_shard",
    "saga_retired",
    "saga_consumer",
    "saga_definition",
    "saga_pause",
    "saga_arrival",
    "saga_node",
    "saga_lease",
    "saga_beat",
    "pg_class",
    "pg_namespace",
];

/// The filters whose statements differ.
fn filters() -> Vec<InstanceFilter> {
    let mut filters = Vec::new();
    for order in [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key, InstanceOrder::Due] {
        for descending in [false, true] {
            let mut with = |set: &dyn Fn(&mut InstanceFilter)| {
                let mut filter = InstanceFilter::default();
                (filter.order, filter.descending) = (order, descending);
                set(&mut filter);
                filters.push(filter);
            };
            with(&|_| {});
            for status in [Status::Running, Status::Compensating, Status::Failed, Status::Aborted] {
                with(&|filter| filter.status = Some(status));
            }
            with(&|filter| filter.parked = Some(true));
            with(&|filter| filter.alias = Some("x".to_owned()));
            with(&|filter| filter.labels = vec![LabelCondition::equal("customer", "7")]);
        }
    }
    filters
}

async fn read_everything(driver: &Driver) {
    let store = &driver.store;
    let alias = Alias::new("x").unwrap();
    let mut step = create(&address("a"));
    step.tasks = vec![TaskChange::Add(task(1, 0))];
    step.timers = vec![TimerChange::Set(timer("t", 5))];
    step.aliases = vec![AliasChange::Claim(alias.clone())];
    store
        .commit(
            &driver.lease,
            Arc::new(saga_core::store::Batch { number: 1, steps: vec![step, Step::default()] }),
        )
        .await
        .unwrap();
    store.deliver(vec![mail(&address("a"), "m")]).await.unwrap();
    let of_alias = saga_core::store::Address::new("order", alias);
    store.load(&[address("a"), of_alias.clone()]).await.unwrap();
    store.open_tasks(None, 10).await.unwrap();
    store.compensating(None, 10).await.unwrap();
    store.timers(time(9), None, 10).await.unwrap();
    store.inbox(InboxId(0), 10).await.unwrap();
    store.deliveries(DeliveryId(0), 10).await.unwrap();
    store.pulse().await.unwrap();
    store.history(&address("a"), 10).await.unwrap();
    store.waiting(&address("a"), 10).await.unwrap();
    store.dead_letters(DeadId(0), 10).await.unwrap();
    store.counts().await.unwrap();
    store.names().await.unwrap();
    store.sizes().await.unwrap();
    store.consumers().await.unwrap();
    store.definitions().await.unwrap();
    store.pauses().await.unwrap();
    store.retired().await.unwrap();
    let event = mail(&address("a"), "m").message;
    store.traces(&MessageId::unique(), &event, &[address("a"), of_alias]).await.unwrap();
    for from in [AuditFrom::default(), AuditFrom::NEWEST] {
        for (to, request) in [(None, None), (Some(address("a")), None), (None, Some(MessageId::unique()))] {
            let mut filter = AuditFilter::default();
            (filter.from, filter.to, filter.request) = (from, to, request);
            store.audit(&filter).await.unwrap();
        }
    }
    for filter in filters() {
        store.instances(&filter).await.unwrap();
    }
}

#[test]
fn every_read_finds_its_rows_by_an_index() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        read_everything(&Driver::lease(Arc::new(store.clone())).await).await;
        let client = store.plain_client().await;
        client.batch_execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
        let reads = READS.lock().clone();
        assert!(reads.len() > 40, "{} statements", reads.len());
        for sql in reads {
            let count = client.prepare(&sql).await.unwrap().params().len();
            let nulls = vec!["NULL"; count].join(", ");
            let nulls = if count == 0 { String::new() } else { format!("({nulls})") };
            client.batch_execute(&format!("PREPARE s AS {sql}")).await.unwrap();
            let plan = client.query(&format!("EXPLAIN (COSTS OFF) EXECUTE s{nulls}"), &[]).await.unwrap();
            client.batch_execute("DEALLOCATE s").await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            // A count up to a limit reads a part of the table.
            let is_limited = |at: usize| plan[..at].iter().rev().take(1).any(|line| line.contains("Limit"));
            for (at, line) in plan.iter().enumerate() {
                let is_index = line.contains("Index") && line.contains("Scan") && line.contains(" saga_");
                let is_found = plan[at + 1..].iter().take(2).any(|line| line.contains("Index Cond"));
                let reads_all = line.contains("Seq Scan on ") || is_index && !is_found;
                let is_small = SMALL.iter().any(|table| line.contains(table));
                assert!(!reads_all || is_small || is_limited(at), "{line}\n{sql}\n{}", plan.join("\n"));
            }
        }
    });
}
