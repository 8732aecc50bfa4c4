//! A stand-by of one release while another release runs the sagas: an accepted event is one that the running release takes.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![cfg(feature = "sqlite")]

use std::time::Duration;

use saga::error::{PublishError, StartError};
use saga::{Dispatcher, DispatcherBuilder, Health, Position, SqliteStore};

/// A release: its name of the saga, its shape of `placed`, and the further events.
macro_rules! release {
    ($module:ident, $saga:literal $(was $was:literal)?, $version:literal $(from $from:literal)?, [$($more:ident $name:literal),*]) => {
        mod $module {
            use saga::prelude::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = $saga, $(was = $was,)? version = $version, data(Order), actions(OrderActions))]
            #[initially(when(Placed, run(place), transition_to(Open)))]
            #[unhandled(reject)]
            pub enum OrderState {
                #[during(when(Closed, transition_to(Over)) $(, when($more, stay))*)]
                Open,
                #[terminal]
                Over,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Order {}

            impl OrderActions for Order {
                fn place(_: &Placed, _: &mut Context) -> ActionResult<Self> {
                    Ok(Self {})
                }
            }

            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = "placed", version = $version, key(order))]
            $(#[upcast(from = $from, with(same))])?
            pub struct Placed {
                pub order: String,
            }
            #[allow(dead_code)] // The first version has no earlier one.
            fn same(old: Placed) -> Placed {
                old
            }
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = "closed", key(order))]
            pub struct Closed {
                pub order: String,
            }
            $(
                #[derive(Event, Clone, Debug, Serialize, Deserialize)]
                #[event(name = $name, key(order))]
                pub struct $more {
                    pub order: String,
                }
            )*
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = "noted", key(order))]
            #[allow(dead_code)] // Not each release uses it.
            pub struct Noted {
                pub order: String,
            }
        }
    };
}

release!(earlier, "order", 1, []);
release!(later, "order", 2 from 1, [Cancelled "cancelled"]);
release!(renamed, "purchase" was "order", 3 from 2, []);

/// Sends the keys of what it receives.
struct Sink(tokio::sync::mpsc::UnboundedSender<String>);

macro_rules! receives {
    ($($event:ty),*) => {$(
        impl saga::prelude::Subscriber<$event> for Sink {
            async fn handle(&self, event: $event, _: &saga::prelude::HandlerContext) -> Result<(), saga::prelude::HandlerError> {
                let _ = self.0.send(event.order);
                Ok(())
            }
        }
    )*};
}
receives!(earlier::Closed, later::Closed, later::Noted);

fn sink() -> (Sink, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (to, received) = tokio::sync::mpsc::unbounded_channel();
    (Sink(to), received)
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn builder(&self) -> DispatcherBuilder {
        Dispatcher::builder(SqliteStore::open(self.0.path().join("saga.db")).unwrap())
    }
}

async fn shut_down(dispatcher: Dispatcher) {
    dispatcher.shutdown(Duration::from_secs(10)).await.unwrap();
}

fn order(order: &str) -> String {
    order.to_owned()
}

#[tokio::test]
async fn an_event_that_the_running_release_cannot_take_is_not_stored_until_the_take_over() {
    let place = Place::new();
    let owner = place.builder().saga::<earlier::OrderState>();
    let owner = owner.subscriber::<earlier::Closed>("mailer", sink().0).start().await.unwrap();
    let next = place.builder().saga::<later::OrderState>();
    let next = next.subscriber::<later::Noted>("mailer", sink().0).stand_by().await.unwrap();

    for (error, says) in [
        (next.publish(later::Cancelled { order: order("1") }).await, "does not take event `cancelled`"),
        (next.publish(later::Placed { order: order("1") }).await, "reads version 1 of event `placed`"),
        (next.publish(later::Noted { order: order("1") }).await, "`mailer` of the running release"),
    ] {
        let error = error.unwrap_err();
        assert!(matches!(error, PublishError::NotStored { .. }) && error.is_retryable(), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert!(next.publish(later::Closed { order: order("1") }).await.is_ok(), "both releases know it");

    shut_down(owner).await;
    let dispatcher = next.takes_over().await.unwrap();
    // There was no order 1, and the mailer of this release takes another event. Nothing else was accepted.
    let letters = loop {
        let letters = dispatcher.dead_letters(None).await.unwrap();
        if letters.len() >= 2 {
            break letters;
        }
        tokio::task::yield_now().await;
    };
    let mut details: Vec<&str> = letters.iter().map(|row| &*row.letter.detail).collect();
    details.sort_unstable();
    assert_eq!(details.len(), 2, "{details:?}");
    assert!(details[0].contains("order `1` does not exist"), "{details:?}");
    assert!(details[1].contains("the subscriber takes event `noted`, and this is `closed`"), "{details:?}");
    next.publish(later::Placed { order: order("1") }).await.unwrap();
    next.publish(later::Cancelled { order: order("1") }).await.unwrap();
    assert!(dispatcher.publish(later::Closed { order: order("1") }).await.unwrap().is_accepted());
    let position = dispatcher.settled::<later::OrderState>("1").await.unwrap();
    assert_eq!(position, Position::In(later::OrderState::Over));
    shut_down(dispatcher).await;
}

#[tokio::test]
async fn a_consumer_that_only_the_next_release_has_gets_its_events_after_the_take_over() {
    let place = Place::new();
    let owner = place.builder().saga::<earlier::OrderState>().start().await.unwrap();
    owner.publish(earlier::Placed { order: order("1") }).await.unwrap();
    let (ledger, mut received) = sink();
    let next = place.builder().saga::<later::OrderState>().subscriber::<later::Closed>("ledger", ledger);
    let next = next.stand_by().await.unwrap();
    let receipt = next.publish(later::Closed { order: order("1") }).await.unwrap();
    let consumers: Vec<&str> = receipt.consumers.iter().map(|consumer| &*consumer.consumer).collect();
    assert_eq!(consumers, ["order", "ledger"]);
    assert_eq!(
        owner.settled::<earlier::OrderState>("1").await.unwrap(),
        Position::In(earlier::OrderState::Over),
        "the saga of the running release takes it at once"
    );
    assert!(received.try_recv().is_err());
    shut_down(owner).await;
    let dispatcher = next.takes_over().await.unwrap();
    assert_eq!(received.recv().await.unwrap(), "1");
    shut_down(dispatcher).await;
}

#[tokio::test]
async fn a_stand_by_of_a_release_before_a_rename_publishes_nothing_more() {
    let place = Place::new();
    let outdated = place.builder().saga::<earlier::OrderState>().stand_by().await.unwrap();
    outdated.publish(earlier::Placed { order: order("1") }).await.unwrap();
    let owner = place.builder().saga::<renamed::OrderState>().start().await.unwrap();
    let error = outdated.publish(earlier::Placed { order: order("1") }).await.unwrap_err();
    assert!(matches!(&error, PublishError::Refused(why) if why.contains("a later release")), "{error}");
    shut_down(owner).await;

    let error = outdated.takes_over().await.unwrap_err();
    assert!(matches!(error, StartError::Retired { .. }), "{error}");
    let Health::Stopped { why, .. } = outdated.health() else { panic!("{:?}", outdated.health()) };
    assert!(why.contains("the take-over has failed"), "{why}");
}

#[tokio::test]
async fn a_dropped_take_over_is_said_by_the_health() {
    let place = Place::new();
    let owner = place.builder().saga::<earlier::OrderState>().start().await.unwrap();
    let next = place.builder().saga::<earlier::OrderState>().stand_by().await.unwrap();
    {
        let taking_over = std::pin::pin!(next.takes_over());
        let _ = tokio::time::timeout(Duration::ZERO, taking_over).await;
    }
    assert!(matches!(next.health(), Health::Stopped { .. }), "{:?}", next.health());
    shut_down(owner).await;
    assert!(matches!(next.takes_over().await, Err(StartError::Setting(_))));
}
