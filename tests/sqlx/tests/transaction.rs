//! An event becomes durable with the rows of the application, in a transaction of sqlx.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[path = "../../../saga-postgres/tests/support/mod.rs"]
mod cluster;

use std::time::Duration;

use cluster::Schema;
use saga::prelude::*;
use saga::{Dispatcher, Position, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool, Row};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), transition_to(Open)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(when(Closed, transition_to(Over)))]
    Open,
    #[terminal]
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    note: String,
}

impl OrderActions for Order {
    fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { note: event.note.clone() })
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    order: String,
    note: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "closed", key(order))]
pub struct Closed {
    order: String,
}

/// A pool of the application, on the server of the store.
async fn pool(schema: &Schema) -> PgPool {
    let part =
        |name: &str| schema.config.split(' ').find_map(|part| part.strip_prefix(name)).expect("a part");
    let options = match schema.config.parse::<PgConnectOptions>() {
        Ok(options) => options,
        // A connection string of libpq, as the tests make it.
        Err(_) => {
            PgConnectOptions::new().socket(part("host=")).username(part("user=")).database(part("dbname="))
        }
    };
    PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("a connection")
}

/// Writes a row of the application and publishes, in one transaction.
async fn place(store: &PostgresStore, pool: &PgPool, table: &str, order: &str, commit: bool) {
    let event = Placed { order: order.to_owned(), note: "it's \"here\"".to_owned() };
    let placed = store.prepare(&event).await.expect("the event has a consumer");
    let mut connection = pool.acquire().await.expect("a connection");
    let mut tx = connection.begin().await.expect("a transaction");
    let insert = format!("INSERT INTO {table} (number) VALUES ($1)");
    sqlx::query(&insert).bind(order).execute(&mut *tx).await.expect("a row");
    let rows = sqlx::query(placed.sql()).bind(placed.text()).execute(&mut *tx).await.expect("the event");
    placed.check(rows.rows_affected()).expect("the consumers are the same");
    match commit {
        true => tx.commit().await.expect("a commit"),
        false => tx.rollback().await.expect("a rollback"),
    }
    store.nudge();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_follows_a_transaction_of_sqlx() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    let dispatcher = Dispatcher::builder(store.clone()).saga::<OrderState>().start().await.expect("a start");
    let pool = pool(&schema).await;
    let table = format!("{}.orders", schema.name);
    sqlx::query(&format!("CREATE TABLE {table} (number text PRIMARY KEY)"))
        .execute(&pool)
        .await
        .expect("a table");
    place(&store, &pool, &table, "A-1", false).await;
    place(&store, &pool, &table, "A-2", true).await;

    let open =
        |found: &saga::Instance<OrderState>| (found.position == Position::In(OrderState::Open)).then_some(());
    dispatcher.wait_for("A-2", Duration::from_secs(30), open).await.expect("the event arrives");
    let order = dispatcher.instance::<OrderState>("A-2").await.expect("a read").expect("an order");
    assert_eq!(order.data.note, "it's \"here\"");
    let other = dispatcher.instance::<OrderState>("A-1").await.expect("a read");
    assert!(other.is_none(), "its transaction was rolled back");
    let rows = sqlx::query(&format!("SELECT number FROM {table}")).fetch_all(&pool).await.expect("the rows");
    assert_eq!(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>(), ["A-2"]);
    dispatcher.shutdown(Duration::from_secs(5)).await.expect("a shutdown");
}
