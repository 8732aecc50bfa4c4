//! The dispatcher on PostgreSQL: events in a transaction of the application.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![cfg(feature = "postgres")]

#[path = "../saga-postgres/tests/support/mod.rs"]
mod cluster;

use std::time::Duration;

use cluster::Schema;
use saga::postgres::PrepareError;
use saga::postgres::tokio_postgres::Client;
use saga::prelude::*;
use saga::{Correlated, Dispatcher, Position, PostgresStore};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), transition_to(Open)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(when(Noted, run(note), stay), when(Closed, transition_to(Over)))]
    Open,
    #[terminal]
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    notes: Vec<u32>,
}

impl OrderActions for Order {
    fn place(_: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { notes: Vec::new() })
    }
    fn note(&mut self, event: &Noted, _: &mut Context) -> ActionResult<()> {
        self.notes.push(event.n);
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    order: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "noted", key(order))]
pub struct Noted {
    order: String,
    n: u32,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "closed", key(order))]
pub struct Closed {
    order: String,
}

async fn start(store: &PostgresStore) -> Dispatcher {
    Dispatcher::builder(store.clone()).saga::<OrderState>().start().await.unwrap()
}

/// Publishes in one transaction of the application.
async fn publish<E: Correlated>(store: &PostgresStore, client: &mut Client, events: &[E], commit: bool) {
    let tx = client.transaction().await.unwrap();
    for event in events {
        let prepared = store.prepare(event).await.unwrap();
        prepared.check(tx.execute(prepared.sql(), &[&prepared.text()]).await.unwrap()).unwrap();
    }
    match commit {
        true => tx.commit().await.unwrap(),
        false => tx.rollback().await.unwrap(),
    }
    store.nudge();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_follows_the_transaction_of_the_application() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    let placed = |order: &str| Placed { order: order.to_owned() };
    let before = store.prepare(&placed("A-1")).await;
    assert!(matches!(before, Err(PrepareError::NoConsumer { event: "placed" })), "{before:?}");
    let dispatcher = start(&store).await;
    // The application has a connection of its own, in a process without a dispatcher.
    let (mut client, publisher) = (schema.client().await, schema.open(schema.options()));
    publish(&publisher, &mut client, &[placed("A-1")], false).await;
    publish(&publisher, &mut client, &[placed("A-2")], true).await;
    let notes: Vec<Noted> = (0..50).map(|n| Noted { order: "A-2".to_owned(), n }).collect();
    for some in notes.chunks(7) {
        publish(&publisher, &mut client, some, true).await;
    }
    publish(&publisher, &mut client, &[Closed { order: "A-2".to_owned() }], true).await;
    let ended = async {
        loop {
            match dispatcher.instance::<OrderState>("A-2").await.unwrap() {
                Some(order) if order.position == Position::In(OrderState::Over) => return order,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let order = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the events arrive");
    assert_eq!(order.data.notes, (0..50).collect::<Vec<_>>(), "in the order of their transactions");
    let other = dispatcher.instance::<OrderState>("A-1").await.unwrap();
    assert!(other.is_none(), "its transaction was rolled back");
    dispatcher.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_not_lost_to_a_consumer_that_was_added_meanwhile() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    start(&store).await.shutdown(Duration::from_secs(5)).await.unwrap();
    let placed = Placed { order: "A-1".to_owned() };
    let prepared = store.prepare(&placed).await.unwrap();
    let client = schema.client().await;
    client.execute("INSERT INTO saga_consumer VALUES ('placed', 'mailer', true)", &[]).await.unwrap();
    let rows = client.execute(prepared.sql(), &[&prepared.text()]).await.unwrap();
    let changed = prepared.check(rows);
    assert!(matches!(changed, Err(PrepareError::ConsumersChanged { event: "placed" })), "{changed:?}");
    let again = store.prepare(&placed).await.unwrap();
    let rows = client.execute(again.sql(), &[&again.text()]).await.unwrap();
    again.check(rows).unwrap();
    assert_eq!(rows, 2, "one row for each consumer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r28_a_retired_consumer_gets_no_event_of_a_transaction() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open(schema.options());
    start(&store).await.shutdown(Duration::from_secs(5)).await.unwrap();
    let client = schema.client().await;
    client.execute("INSERT INTO saga_consumer VALUES ('placed', 'mailer', true)", &[]).await.unwrap();
    let dispatcher = start(&store).await;
    let publish = async |order: &str| {
        let prepared = store.prepare(&Placed { order: order.to_owned() }).await.unwrap();
        let rows = client.execute(prepared.sql(), &[&prepared.text()]).await.unwrap();
        prepared.check(rows).unwrap();
        rows
    };
    assert_eq!(publish("A-1").await, 2, "one row for each consumer");
    store.nudge();
    let operator = || saga::Operator::new("ada").because("no release has the mailer");
    dispatcher.retire("mailer", operator()).await.unwrap();
    let buried = async {
        loop {
            match &dispatcher.dead_letters(None).await.unwrap()[..] {
                [] => tokio::time::sleep(Duration::from_millis(10)).await,
                letters => return letters.to_vec(),
            }
        }
    };
    let letters =
        tokio::time::timeout(Duration::from_secs(30), buried).await.expect("the event becomes a dead letter");
    assert_eq!((letters.len(), &letters[0].letter.reason), (1, &saga::DeadLetterReason::Retired));
    assert_eq!(publish("A-2").await, 1);
    let early = store.prepare(&Placed { order: "A-4".to_owned() }).await.unwrap();
    dispatcher.resume(saga::PauseOf::Consumer("mailer".to_owned()), operator()).await.unwrap();
    let changed = early.check(client.execute(early.sql(), &[&early.text()]).await.unwrap());
    assert!(matches!(changed, Err(PrepareError::ConsumersChanged { event: "placed" })), "{changed:?}");
    assert_eq!(publish("A-3").await, 2);
    dispatcher.shutdown(Duration::from_secs(5)).await.unwrap();
}
