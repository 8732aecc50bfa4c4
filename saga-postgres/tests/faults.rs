//! Lost requests, lost answers, a crash of the server, and a silent lease holder.

#[path = "support/proxy.rs"]
#[allow(dead_code, reason = "another server is used elsewhere")]
mod proxy;
mod support;

use std::sync::Arc;
use std::time::Duration;

use proxy::{Fault, Proxy};
use saga_core::store::conformance::{Driver, address, create, dedup_record, mail, next};
use saga_core::store::{
    AuditEntry, AuditFilter, AuditLink, Batch, InboxId, Inspect, Lease, Mail, Step, StepOutcome, Store,
    StoreError,
};
use saga_postgres::PostgresStore;
use support::{Cluster, Schema};

/// The shortest `ttl`, for holders that lose the lease.
const TTL: Duration = Duration::from_secs(1);
/// The `ttl` for holders that keep it. A busy machine can stop a thread for a second.
const LONG: Duration = Duration::from_secs(4);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A schema, a proxy, and a store that connects through it.
fn through_proxy() -> Option<(Schema, Proxy, PostgresStore)> {
    let schema = Schema::new()?;
    let proxy = Proxy::start(&schema.config);
    let behind = Schema { config: proxy.config(), name: schema.name.clone() };
    let store = behind.open(behind.options().ttl(TTL));
    Some((schema, proxy, store))
}

/// Sends the batch until the store answers, as the dispatcher does. Returns the answer and the number of errors.
async fn persist(store: &PostgresStore, lease: &Lease, batch: Batch) -> (Vec<StepOutcome>, usize) {
    let batch = Arc::new(batch);
    for errors in 0..100 {
        match store.commit(lease, Arc::clone(&batch)).await {
            Ok(outcomes) => return (outcomes, errors),
            Err(StoreError::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the store does not answer");
}

/// A batch with everything whose number or outcome is not known before the answer: ten steps of one instance, inbox rows, a
/// known message, a used inbox row, and audit rows around a refused step.
fn batch(row: saga_core::store::RowId, before: &Step, waiting: InboxId) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut last = before.instance.clone().expect("a start");
    for n in 0..10 {
        let mut step = next(row, &last);
        last = step.instance.clone().expect("a change");
        step.mail = vec![mail(&address("b"), &n.to_string()), mail(&address("c"), &n.to_string())];
        steps.push(step);
    }
    let known = Step { dedup: vec![dedup_record(&address("a"), "m", 1, 1)], ..Step::default() };
    let used = Step { consumed: vec![waiting], mail: vec![mail(&address("d"), "x")], ..Step::default() };
    let audit = |who: &str| AuditEntry {
        at: saga_core::message::Timestamp::EPOCH,
        who: who.to_owned(),
        why: String::new(),
        verb: "retry".into(),
        to: None,
        object: String::new(),
        payload: None,
        declined: None,
        request: None,
    };
    steps.extend([known.clone(), known, used.clone(), used]);
    steps.push(Step { audit: vec![audit("ada"), audit("ada")], ..Step::default() });
    steps.push(Step {
        audit: vec![audit("eve")],
        redriven: vec![saga_core::store::DeadId(1)],
        ..Step::default()
    });
    steps.push(Step { audit: vec![audit("bob")], ..create(&address("z")) });
    steps
}

/// Everything that the batch leaves behind.
async fn contents(store: &dyn Store) -> String {
    let inbox = store.inbox(InboxId(0), 100).await.expect("the inbox");
    let inbox: Vec<(InboxId, Mail)> = inbox;
    let loaded = store.load(&[address("a"), address("z")]).await.expect("the instances");
    let history = store.history(&address("a"), 100).await.expect("the history");
    let audit = store.audit(&AuditFilter::default()).await.expect("the audit");
    let mut link = AuditLink::FIRST;
    assert!(audit.iter().all(|row| row.follows(&std::mem::replace(&mut link, row.link))), "{audit:?}");
    let who: Vec<String> = audit.into_iter().map(|row| row.entry.who).collect();
    let counts = store.counts().await.expect("the counts");
    let rows: Vec<_> = loaded
        .into_iter()
        .map(|found| match found {
            Some(saga_core::store::Loaded::Snapshot(snapshot)) => snapshot.instance,
            other => panic!("{other:?}"),
        })
        .collect();
    format!("{inbox:?}\n{rows:?}\n{history:?}\n{who:?}\n{counts:?}")
}

/// Runs the batch with a fault at one of its statements. Returns the outcomes and the contents.
async fn run(fault: Fault, at: usize) -> Option<(String, String)> {
    let (_schema, proxy, store) = through_proxy()?;
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    let first = create(&address("a"));
    let row = driver.created(first.clone()).await;
    let waiting = store.deliver(vec![mail(&address("d"), "waits")]).await.expect("a delivery")[0];
    let steps = batch(row, &first, waiting);
    proxy.fault(fault, at);
    let (outcomes, errors) = persist(&store, &driver.lease, Batch { number: 2, steps: steps.clone() }).await;
    assert_eq!(proxy.fired(), usize::from(fault != Fault::None), "the fault happened once");
    assert_eq!(errors, proxy.fired(), "and was one error");
    let again = store.commit(&driver.lease, Arc::new(Batch { number: 2, steps })).await.expect("an answer");
    assert_eq!(again, outcomes, "a batch that is sent again has the same answer");
    // Row numbers differ after a loss, and decide nothing.
    let plain = |outcome: StepOutcome| match outcome {
        StepOutcome::Committed(committed) => format!("{} {:?}", committed.row.is_some(), committed.mail),
        other => format!("{other:?}"),
    };
    let outcomes: Vec<String> = outcomes.into_iter().map(plain).collect();
    Some((format!("{outcomes:?}"), contents(&store).await))
}

/// The statements of the batch: ten of one instance, and those of the steps that meet.
const STATEMENTS: usize = 14;

#[test]
fn a_lost_message_changes_neither_the_outcomes_nor_the_contents() {
    let Some(expected) = block_on(run(Fault::None, 0)) else { return };
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        for at in 0..STATEMENTS {
            let found = block_on(run(fault, at)).expect("PostgreSQL is here");
            assert_eq!(found, expected, "{fault:?} at statement {at}");
        }
    }
}

#[test]
fn a_crash_of_the_server_loses_no_answered_commit() {
    let Some(cluster) = Cluster::start() else { return };
    let schema = Schema { config: cluster.config.clone(), name: "crash".to_owned() };
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let mut last = create(&address("a"));
        let row = driver.created(last.clone()).await;
        for number in 2..22 {
            let step = next(row, last.instance.as_ref().expect("a change"));
            last = step.clone();
            if number % 2 == 0 {
                cluster.crash();
            }
            let (outcomes, _) = persist(&store, &driver.lease, Batch { number, steps: vec![step] }).await;
            assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
        }
        let row = schema.client().await.query_one("SELECT gen FROM saga_lease", &[]).await.expect("a lease");
        assert_eq!(row.get::<_, i32>(0), 10, "each crash has ended a connection");
        assert_eq!(store.history(&address("a"), 100).await.expect("the history").len(), 21);
        assert_eq!(driver.snapshot(&address("a")).await.instance.seq, 21);
    });
}

#[test]
fn a_holder_that_lives_keeps_the_lease() {
    let Some(schema) = Schema::new() else { return };
    let (one, other) = (schema.open(schema.options().ttl(LONG)), schema.open(schema.options().ttl(LONG)));
    block_on(async {
        let mut driver = Driver::lease(Arc::new(one)).await;
        let until = tokio::time::Instant::now() + LONG + TTL;
        while tokio::time::Instant::now() < until {
            let owned = other.lease("the next one").await;
            assert!(matches!(owned, Err(StoreError::Owned { .. })), "{owned:?}");
            tokio::time::sleep(TTL / 5).await;
        }
        driver.created(create(&address("a"))).await;
    });
}

#[test]
fn an_outage_of_the_server_ends_no_lease() {
    let Some(cluster) = Cluster::start() else { return };
    let schema = Schema { config: cluster.config.clone(), name: "outage".to_owned() };
    let (one, other) = (schema.open(schema.options().ttl(LONG)), schema.open(schema.options().ttl(LONG)));
    block_on(async {
        let driver = Driver::lease(Arc::new(one.clone())).await;
        // Another process has looked twice when the server goes away for longer than the `ttl`.
        let owned = other.lease("the next one").await;
        assert!(matches!(owned, Err(StoreError::Owned { .. })), "{owned:?}");
        cluster.stop();
        let until = tokio::time::Instant::now() + LONG + TTL;
        while tokio::time::Instant::now() < until {
            let away = other.lease("the next one").await;
            assert!(matches!(away, Err(StoreError::Unavailable { .. })), "{away:?}");
            tokio::time::sleep(TTL / 5).await;
        }
        assert!(one.has_lapsed());
        cluster.restart();
        let owned = other.lease("the next one").await;
        assert!(matches!(owned, Err(StoreError::Owned { .. })), "{owned:?}");
        let taken = async {
            while one.has_lapsed() {
                tokio::time::sleep(TTL / 5).await;
            }
        };
        tokio::time::timeout(60 * TTL, taken).await.expect("the server takes signs of life again");
        let (outcomes, _) =
            persist(&one, &driver.lease, Batch { number: 1, steps: vec![create(&address("a"))] }).await;
        assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{outcomes:?}");
        assert_eq!(driver.snapshot(&address("a")).await.instance.seq, 1);
    });
}

#[test]
fn a_silent_holder_loses_the_lease_and_writes_nothing_more() {
    let Some((schema, proxy, store)) = through_proxy() else { return };
    let other = schema.open(schema.options().ttl(TTL));
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        let first = create(&address("a"));
        let row = driver.created(first.clone()).await;
        proxy.stall(true);
        let lease = other.lease("the next one").await.expect("one call waits for the silence");
        assert_eq!(lease.unclean, driver.lease.epoch, "its handlers may be running");
        assert_eq!(lease.linger, TTL, "and may run for a while");
        assert!(driver.store.has_lapsed(), "and begin nothing since before the end of the lease");
        proxy.stall(false);
        let late = driver.try_commit(vec![next(row, first.instance.as_ref().expect("a start"))]).await;
        assert!(matches!(late, Err(StoreError::Fenced { .. })), "{late:?}");
        assert!(matches!(driver.store.release(&driver.lease).await, Err(StoreError::Fenced { .. })));
        // A dispatcher without work learns it as well, also when another call was the first to see it.
        for _ in 0..2 {
            let pulse = driver.store.pulse().await;
            assert!(matches!(pulse, Err(StoreError::Fenced { .. })), "{pulse:?}");
        }
        let after = Driver::lease(Arc::new(other)).await;
        assert_eq!(after.snapshot(&address("a")).await.instance.seq, 1);
    });
}

#[test]
fn a_holder_with_a_statement_in_flight_keeps_the_lease() {
    let Some((schema, proxy, store)) = through_proxy() else { return };
    let other = schema.open(schema.options().ttl(TTL));
    block_on(async {
        let driver = Driver::lease(Arc::new(store)).await;
        proxy.stall(true);
        // The lock that a statement of the holder has on its lease.
        let client = schema.client().await;
        client.batch_execute("BEGIN; SELECT 1 FROM saga_lease FOR SHARE").await.expect("a lock");
        let owned = other.lease("the next one").await;
        assert!(matches!(owned, Err(StoreError::Owned { .. })), "{owned:?}");
        client.batch_execute("ROLLBACK").await.expect("the end of the lock");
        let lease = other.lease("the next one").await.expect("the lease is free");
        assert_eq!(lease.unclean, driver.lease.epoch);
        proxy.stall(false);
    });
}

#[test]
fn a_server_that_lost_commits_is_not_written_to() {
    let Some(schema) = Schema::new() else { return };
    let Some(proxied) = through_proxy() else { return };
    drop(schema);
    let (schema, proxy, store) = proxied;
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        for key in ["a", "b", "c"] {
            driver.created(create(&address(key))).await;
        }
        // As after a fail-over to a replica that has not received the last two commits.
        let client = schema.client().await;
        client.execute("DELETE FROM saga_batch WHERE number > 1", &[]).await.expect("two rows");
        proxy.fault(Fault::LoseRequest, 0);
        let steps = vec![create(&address("d"))];
        let lost = driver.try_commit(steps.clone()).await;
        assert!(matches!(lost, Err(StoreError::Unavailable { .. })), "{lost:?}");
        assert_eq!(proxy.fired(), 1);
        let refused = driver.again(steps).await;
        assert!(
            matches!(&refused, Err(StoreError::Rewound { detail, .. }) if detail.contains("lost commits")),
            "{refused:?}"
        );
    });
}

#[test]
fn an_administrator_may_end_each_connection() {
    let Some(mut schema) = Schema::new() else { return };
    // Other tests have connections to the same server.
    schema.config += " application_name=ended";
    let store = schema.open(schema.options().ttl(LONG));
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store.clone())).await;
        let mut last = create(&address("a"));
        let row = driver.created(last.clone()).await;
        let client = schema.client().await;
        let beats = async || {
            let sql = "SELECT beats FROM saga_beat";
            client.query_one(sql, &[]).await.expect("the beats").get::<_, i64>(0)
        };
        for (number, role) in (2..).zip(["commit", "beat", "read", "commit"]) {
            let before = beats().await;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ended ' || $1";
            // A beat opens its connection in the background.
            while client.query(end, &[&role]).await.expect("an end").is_empty() {
                tokio::task::yield_now().await;
            }
            last = next(row, last.instance.as_ref().expect("a change"));
            let batch = Batch { number, steps: vec![last.clone()] };
            let (outcomes, _) = persist(&store, &driver.lease, batch).await;
            assert!(matches!(outcomes[..], [StepOutcome::Committed(_)]), "{role}: {outcomes:?}");
            let mut delivered = store.deliver(vec![mail(&address("b"), role)]).await;
            while matches!(delivered, Err(StoreError::Unavailable { .. })) {
                delivered = store.deliver(vec![mail(&address("b"), role)]).await;
            }
            delivered.expect("a delivery");
            // The holder learns of its sign of life a moment after the server.
            while beats().await == before || store.has_lapsed() {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(driver.snapshot(&address("a")).await.instance.seq, 5);
    });
}
