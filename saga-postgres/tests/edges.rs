//! Values and settings at the edge: texts that PostgreSQL cannot store, steps without end, and other settings of the holder.

mod support;

use std::sync::Arc;
use std::time::Duration;

use saga_core::message::Timestamp;
use saga_core::message::{Key, Payload};
use saga_core::store::conformance::{Driver, address, create, mail, next};
use saga_core::store::{Address, InboxId, Inspect, Step, StepOutcome, Store, StoreError};
use saga_postgres::{Durability, PostgresStore};
use support::Schema;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

#[test]
fn a_name_that_the_server_refuses_harms_no_other() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        let at = |saga: &'static str| create(&Address::new(saga, Key::new("a").expect("a good key")));
        let outcomes = driver.commit(vec![at("one"), at("bad\0name"), at("two")]).await;
        assert!(
            matches!(
                outcomes[..],
                [StepOutcome::Committed(_), StepOutcome::Refused(_), StepOutcome::Committed(_)]
            ),
            "{outcomes:?}"
        );
    });
}

#[test]
fn a_start_behind_a_step_of_its_instance_is_no_repetition() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        let first = create(&address("a"));
        let row = driver.created(first.clone()).await;
        let second = next(row, first.instance.as_ref().expect("a start"));
        let outcomes = driver.commit(vec![second, first]).await;
        assert!(matches!(outcomes[..], [StepOutcome::Committed(_), StepOutcome::Conflict]), "{outcomes:?}");
    });
}

#[test]
fn a_value_that_the_server_refuses_is_no_reason_to_try_again() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    let refused = block_on(store.lease("a\0b")).expect_err("no text of PostgreSQL");
    assert!(!refused.is_temporary() && refused.to_string().contains("cannot take a value"), "{refused}");
}

#[test]
fn the_views_show_what_their_functions_cannot_read() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        let mut step = create(&address("a"));
        step.instance.as_mut().expect("a start").data = Payload::from("{\"text\":\"a\\u0000b\"}");
        step.history[0].note = Some("a\0b".into());
        driver.created(step).await;
        let client = schema.client().await;
        let row = client.query_one("SELECT data ->> 'text' FROM saga_v_instance", &[]).await.expect("a row");
        assert_eq!(row.get::<_, &str>(0), "a\u{fffd}b");
        let row = client.query_one("SELECT note, kind, seq FROM saga_v_history", &[]).await.expect("a row");
        assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(2)), ("a\u{fffd}b", 1));
        client.query("SELECT * FROM saga_v_item", &[]).await.expect("no row");
    });
}

#[test]
fn a_step_with_too_many_rows_is_refused_and_harms_no_other() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        let mut endless = create(&address("endless"));
        endless.history = vec![endless.history[0].clone(); 65_537];
        let outcomes = driver.commit(vec![create(&address("a")), endless, create(&address("b"))]).await;
        assert!(
            matches!(
                &outcomes[..],
                [StepOutcome::Committed(_), StepOutcome::Refused(why), StepOutcome::Committed(_)]
                    if why.contains("65536 rows")
            ),
            "{outcomes:?}"
        );
    });
}

#[test]
fn the_holder_may_be_silent_as_long_as_its_own_setting_says() {
    let Some(schema) = Schema::new() else { return };
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    let (one, other) = (schema.open(schema.options().ttl(minute)), schema.open(schema.options().ttl(second)));
    block_on(async {
        let _driver = Driver::lease(Arc::new(one)).await;
        // The holder beats each 12 seconds.
        let owned = other.lease("the next one").await;
        assert!(matches!(owned, Err(StoreError::Owned { .. })), "{owned:?}");
    });
}

#[test]
fn mail_of_another_process_wakes_the_dispatcher_although_a_step_wrote_later_mail() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        assert!(!driver.store.pulse().await.expect("an answer"));
        driver.committed(Step { mail: vec![mail(&address("a"), "own")], ..Step::default() }).await;
        assert!(!driver.store.pulse().await.expect("an answer"), "its own rows are known");
        // A process that dies before its notification.
        let client = schema.client().await;
        let insert = "WITH c AS (SELECT nextval('saga_inbox_number') AS inbox)
            INSERT INTO saga_inbox SELECT c.inbox, consumer, key, kind, message, body FROM saga_inbox, c";
        client.execute(insert, &[]).await.expect("a row");
        driver.committed(Step { mail: vec![mail(&address("b"), "own")], ..Step::default() }).await;
        assert!(driver.store.pulse().await.expect("an answer"), "the row of the other one is there");
        assert!(!driver.store.pulse().await.expect("an answer"));
    });
}

#[test]
fn a_server_that_lost_inbox_rows_is_not_written_to() {
    let Some(mut schema) = Schema::new() else { return };
    // Other tests have connections to the same server.
    schema.config += " application_name=lost";
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        driver.store.deliver(vec![mail(&address("a"), "m")]).await.expect("a delivery");
        assert_eq!(driver.store.inbox(InboxId(0), 9).await.expect("the inbox").len(), 1);
        let client = schema.client().await;
        let lost = "DELETE FROM saga_inbox; SELECT setval('saga_inbox_number', 0);
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lost commit'";
        client.batch_execute(lost).await.expect("as after the loss of the log");
        let mut refused = driver.try_commit(vec![create(&address("a"))]).await;
        while matches!(refused, Err(StoreError::Unavailable { .. })) {
            refused = driver.again(vec![create(&address("a"))]).await;
        }
        assert!(
            matches!(&refused, Err(StoreError::Rewound { detail, .. }) if detail.contains("lost commits")),
            "{refused:?}"
        );
    });
}

#[test]
fn a_role_that_owns_its_schema_needs_no_other_right() {
    let Some(schema) = Schema::new() else { return };
    let (name, role) = (&schema.name, format!("role_{}", schema.name));
    block_on(async {
        let mut config: saga_postgres::tokio_postgres::Config =
            schema.config.parse().expect("a configuration");
        let (admin, connection) =
            config.connect(saga_postgres::tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let make = format!("CREATE ROLE {role} LOGIN; CREATE SCHEMA {name} AUTHORIZATION {role}");
        admin.batch_execute(&make).await.expect("a role");
        config.user(&*role);
        let limited = schema.config.replace("user=saga", &format!("user={role}"));
        drop(PostgresStore::options().schema(name).connect(&limited).await.expect("the tables are made"));

        // A role whose commits are not durable is refused, unless that is wanted.
        admin
            .batch_execute(&format!("ALTER ROLE {role} SET synchronous_commit = off"))
            .await
            .expect("a setting");
        let refused = PostgresStore::options().schema(name).connect(&limited).await.expect_err("not durable");
        assert!(refused.to_string().contains("synchronous_commit"), "{refused}");
        let relaxed = PostgresStore::options().schema(name).durability(Durability::Relaxed);
        drop(relaxed.connect(&limited).await.expect("the store opens"));
    });
}

#[test]
fn the_tables_of_the_first_version_are_carried_over() {
    let Some(schema) = Schema::new() else { return };
    block_on(async {
        let client = schema.client().await;
        let first = include_str!("../migrations/0001_initial.sql");
        client.batch_execute(&format!("CREATE SCHEMA {}; {first}", schema.name)).await.expect("the tables");
        let inbox = "UPDATE saga_meta SET version = 1; UPDATE saga_counter SET inbox = 7;
            INSERT INTO saga_inbox SELECT 7, 'order', 'a', 'event', NULL, '{}'";
        client.batch_execute(inbox).await.expect("a row");
    });
    let store = schema.open(schema.options());
    block_on(async {
        let driver = Driver::lease(Arc::new(store)).await;
        let next = driver.store.deliver(vec![mail(&address("a"), "m")]).await.expect("a delivery");
        assert_eq!(next, [InboxId(8)], "behind the rows that wait");
    });
}

#[test]
fn events_of_the_application_keep_their_order_behind_one_that_is_held_up() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let driver = Driver::lease(Arc::new(store)).await;
        let client = schema.client().await;
        let insert = "INSERT INTO saga_arrival (consumer, key, kind, message, body)
            SELECT 'order', 'a', 'event', 'm-' || n, '{}' FROM generate_series(1, 3) n";
        client.batch_execute(insert).await.expect("rows");
        client
            .batch_execute("BEGIN; SELECT FROM saga_arrival WHERE message = 'm-1' FOR UPDATE")
            .await
            .expect("a lock");
        let (moving, release) = (driver.store.inbox(InboxId(0), 9), async {
            let other = schema.client().await;
            let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('tuple', 'transactionid'))";
            let moved = "SELECT EXISTS (SELECT FROM saga_inbox)";
            let is = async |sql: &str| other.query_one(sql, &[]).await.expect("an answer").get::<_, bool>(0);
            while !is(waits).await && !is(moved).await {
                tokio::task::yield_now().await;
            }
            client.batch_execute("COMMIT").await.expect("the end of the lock");
        });
        // The rows are not those of a saga, so the read finds none of them readable.
        let _ = tokio::join!(moving, release);
        let rows = client.query("SELECT message FROM saga_inbox ORDER BY id", &[]).await.expect("the inbox");
        let order: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(order, ["m-1", "m-2", "m-3"]);
    });
}

#[test]
fn a_long_history_is_removed_in_portions() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let mut driver = Driver::lease(Arc::new(store)).await;
        for key in ["a", "b"] {
            driver.created(create(&address(key))).await;
        }
        let client = schema.client().await;
        let long = "DELETE FROM saga_item;
            INSERT INTO saga_history SELECT 1000000 + n, i.id, CASE n WHEN 1 THEN i.last ELSE 999999 + n END, 0, '[]'
                FROM saga_instance i, generate_series(1, 45000) n WHERE key = 'a';
            UPDATE saga_instance SET over_at = 5;
            UPDATE saga_instance SET over_at = 4, last = 1045000, seq = 45001 WHERE key = 'a'";
        client.batch_execute(long).await.expect("a history");
        let purged = driver.store.purge(Timestamp::from_millis(9), 10).await.expect("a purge");
        assert_eq!(purged.instances, 2);
        let left = client.query_one("SELECT count(*) FROM saga_history", &[]).await.expect("a count");
        assert_eq!(left.get::<_, i64>(0), 0);
    });
}

#[test]
fn counts_are_the_same_before_and_after_they_are_folded() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    block_on(async {
        let client = schema.client().await;
        let unfolded = async || {
            let sql = "SELECT count(*) FROM saga_count_change";
            client.query_one(sql, &[]).await.expect("a count").get::<_, i64>(0)
        };
        let mut most = 0;
        // The first lease ends before a fold.
        for (lease, steps) in [300, 600].into_iter().enumerate() {
            let mut driver = Driver::lease(Arc::new(store.clone())).await;
            for n in 0..steps {
                driver.created(create(&address(&format!("{lease}-{n}")))).await;
                if n % 100 == 99 {
                    let counts = store.counts().await.expect("the counts");
                    let instances: u64 = counts.iter().map(|count| count.instances).sum();
                    assert_eq!(instances, lease as u64 * 300 + n + 1);
                    most = most.max(unfolded().await);
                }
            }
            driver.store.release(&driver.lease).await.expect("a release");
        }
        assert!(most > 0 && unfolded().await < 512, "folds have happened: {most}");
    });
}
