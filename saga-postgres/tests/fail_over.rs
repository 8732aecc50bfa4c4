//! Another server takes the place of the one that the lease is from, or the server comes back without what it had answered.

#[path = "support/proxy.rs"]
#[allow(dead_code, reason = "the faults are used elsewhere")]
mod proxy;
mod support;

use std::sync::Arc;
use std::time::Duration;

use proxy::Proxy;
use saga_core::store::conformance::{Driver, address, create, mail};
use saga_core::store::{InboxId, Step, Store, StoreError};
use saga_postgres::{Durability, PostgresOptions, PostgresStore};
use support::{Cluster, Schema};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

fn at(cluster: &Cluster) -> Schema {
    Schema { config: cluster.config.clone(), name: "fail_over".to_owned() }
}

fn options() -> PostgresOptions {
    PostgresStore::options().ttl(Duration::from_secs(4))
}

/// Waits until the replica has everything that the server has written.
async fn caught_up(server: &Cluster, replica: &Cluster) {
    let lsn = at(server).client().await.query_one("SELECT pg_current_wal_lsn()::text", &[]).await;
    let lsn: String = lsn.expect("a position").get(0);
    let replica = at(replica).client().await;
    let behind = "SELECT pg_last_wal_replay_lsn() < $1::text::pg_lsn";
    while replica.query_one(behind, &[&lsn]).await.expect("a position").get(0) {
        tokio::task::yield_now().await;
    }
}

/// Sends the steps until the store says more than that the server is away.
async fn refused(driver: &mut Driver, steps: Vec<Step>) -> StoreError {
    let mut answer = driver.try_commit(steps.clone()).await;
    loop {
        match answer {
            Err(error) if error.is_temporary() => answer = driver.again(steps.clone()).await,
            answer => break answer.expect_err("the server is another one"),
        }
    }
}

#[test]
fn a_row_that_has_the_number_of_a_lost_one_is_not_used_up() {
    let Some(server) = Cluster::start() else { return };
    let replica = server.replica();
    let proxy = Proxy::start(&server.config);
    let store = Schema { config: proxy.config(), ..at(&server) }.open(options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        driver.created(create(&address("a"))).await;
        caught_up(&server, &replica).await;
        // The replica misses the delivery, and then it is the server.
        replica.stop();
        let lost = driver.store.deliver(vec![mail(&address("a"), "lost")]).await.expect("a delivery");
        assert_eq!(driver.store.inbox(InboxId(0), 9).await.expect("the inbox").len(), 1);
        server.stop();
        replica.restart();
        replica.promote();
        proxy.lead_to(&replica.config);
        let publisher = at(&replica).open(options());
        let next = publisher.deliver(vec![mail(&address("b"), "next")]).await.expect("a delivery");
        assert_eq!(lost, next, "the number is used again");

        // A dispatcher without work learns it at its next look.
        let mut pulse = driver.store.pulse().await;
        while pulse.as_ref().is_err_and(StoreError::is_temporary) {
            pulse = driver.store.pulse().await;
        }
        assert!(matches!(pulse, Err(StoreError::Rewound { .. })), "{pulse:?}");
        let steps = vec![Step { consumed: lost.clone(), ..Step::default() }];
        let error = refused(&mut driver, steps.clone()).await;
        assert!(matches!(error, StoreError::Rewound { .. }), "{error}");
        for _ in 0..2 {
            let again = driver.again(steps.clone()).await;
            assert!(matches!(again, Err(StoreError::Rewound { .. })), "it stays so: {again:?}");
        }
        // The end of the lease is written, so the next process need not wait.
        driver.store.abandon(&driver.lease);
        let client = at(&replica).client().await;
        while client.query_opt("SELECT FROM saga_lease", &[]).await.expect("an answer").is_some() {
            tokio::task::yield_now().await;
        }
        let driver = Driver::lease(Arc::new(publisher)).await;
        let inbox = driver.store.inbox(InboxId(0), 9).await.expect("the inbox");
        assert_eq!(inbox.len(), 1, "the answered event is there");
        assert_eq!(inbox[0].1.to, address("b"));
    });
}

#[test]
fn a_synchronous_replica_takes_over_with_everything_and_memory_is_not_trusted() {
    let Some(server) = Cluster::start() else { return };
    let replica = server.replica();
    block_on(async {
        let admin = at(&server).client().await;
        for sql in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
            admin.batch_execute(sql).await.expect("a setting");
        }
    });
    let proxy = Proxy::start(&server.config);
    let store = Schema { config: proxy.config(), ..at(&server) }.open(options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        for key in ["a", "b", "c"] {
            driver.created(create(&address(key))).await;
        }
        let before = driver.lease.epoch;
        server.stop();
        replica.promote();
        proxy.lead_to(&replica.config);
        let error = refused(&mut driver, vec![create(&address("d"))]).await;
        assert!(matches!(error, StoreError::Rewound { .. }), "{error}");
        assert!(error.to_string().contains("start the process again"), "{error}");
        let mut driver = Driver::lease(Arc::clone(&driver.store)).await;
        assert_eq!(driver.lease.unclean, before, "its handlers may be running");
        for key in ["a", "b", "c"] {
            assert_eq!(driver.snapshot(&address(key)).await.instance.seq, 1);
        }
        driver.created(create(&address("d"))).await;
    });
}

#[test]
fn a_crash_without_durability_is_no_reason_to_trust_the_memory() {
    let Some(cluster) = Cluster::start() else { return };
    let store = at(&cluster).open(options().durability(Durability::Relaxed));
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        driver.created(create(&address("a"))).await;
        cluster.crash();
        let error = refused(&mut driver, vec![create(&address("b"))]).await;
        assert!(matches!(error, StoreError::Rewound { .. }), "{error}");
        let mut driver = Driver::lease(Arc::clone(&driver.store)).await;
        driver.created(create(&address("b"))).await;
    });
}

#[test]
fn an_idle_dispatcher_learns_that_the_server_has_gone_back() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let driver = Driver::lease(Arc::new(store)).await;
        driver.store.deliver(vec![mail(&address("a"), "m")]).await.expect("a delivery");
        assert_eq!(driver.store.inbox(InboxId(0), 9).await.expect("the inbox").len(), 1);
        let client = schema.client().await;
        let lost = "DELETE FROM saga_inbox; SELECT setval('saga_inbox_number', 0)";
        client.batch_execute(lost).await.expect("as after the loss of the log");
        for _ in 0..2 {
            let pulse = driver.store.pulse().await;
            assert!(matches!(pulse, Err(StoreError::Rewound { .. })), "{pulse:?}");
        }
    });
}
