//! An abort of an instance that this build cannot read: every undo that can be built from what it can read runs, and what
//! cannot be built stays owed, parked and named (rules R12, R15, R34).

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};

use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Operator, ParkReason, Position};

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "trip.placed", key(trip))]
pub struct Placed {
    trip: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "trip.booked", key(trip))]
pub struct Booked {
    trip: String,
}

macro_rules! commands {
    ($($name:ident $text:literal),*) => {
        $(
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = $text)]
            pub struct $name { trip: String }
        )*
    };
}
commands!(BookFlight "flight.book", CancelFlight "flight.cancel", CancelHotel "hotel.cancel", CancelCar "car.cancel");

/// One build of the saga: what the state of a booked hotel carries, and how the data begin.
macro_rules! build {
    ($module:ident, $ticket:ty, $made:expr, $data:ident { $($field:ident: $type:ty = $value:expr),* }) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = "trip", version = 1, data($data), actions(TripActions), on_abort(CalledOff))]
            #[initially(when(Placed, run(place), send(BookFlight, undo(CancelFlight)), transition_to(Flying)))]
            #[during_any(when(failed(BookFlight), compensate, transition_to(CalledOff)))]
            #[during_any(when(unknown(BookFlight), compensate, transition_to(CalledOff)))]
            #[unhandled(reject)]
            pub enum TripState {
                #[compensate_with(CancelCar)]
                #[during(when(Booked, run(book), transition_to(Staying)))]
                Flying,
                #[compensate_with(CancelHotel)]
                #[during(when(Booked, transition_to(Home)))]
                Staying($ticket),
                #[terminal]
                Home,
                #[terminal(failure)]
                CalledOff,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct $data { trip: String, $($field: $type),* }

            #[rustfmt::skip]
            impl TripActions for $data {
                fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> { Ok(Self { trip: event.trip.clone(), $($field: $value),* }) }
                fn book_flight(&self, _: &Placed, _: &mut Context) -> BookFlight { BookFlight { trip: self.trip.clone() } }
                fn cancel_flight(&self, command: &BookFlight, _: &mut Context) -> CancelFlight { CancelFlight { trip: command.trip.clone() } }
                fn cancel_car(&self, _: &mut Context) -> CancelCar { CancelCar { trip: self.trip.clone() } }
                fn book(&mut self, _: &Booked, _: &mut Context) -> ActionResult<$ticket> { Ok($made) }
                fn cancel_hotel(&self, _: &$ticket, _: &mut Context) -> CancelHotel { CancelHotel { trip: self.trip.clone() } }
            }
        }
    };
}

/// A number, as it was deployed first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Number {
    ticket: u64,
}

/// A later build that forgot an upcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Text {
    ticket: String,
}

build!(first, Number, Number { ticket: 7 }, Trip {});
build!(later, Text, Text { ticket: String::new() }, Trip {});
build!(lost, Text, Text { ticket: String::new() }, Trip { price: u64 = 1 });

/// Notes who was called.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Vec<&'static str>>>);

macro_rules! handlers {
    ($($name:ident),*) => {
        $(        impl Handler<$name> for World {
            async fn handle(&self, _: $name, _: &HandlerContext) -> HandlerResult<$name> {
                self.0.lock().unwrap().push(<$name as saga::Command>::NAME);
                Ok(Done.into())
            }
        })*
    };
}
handlers!(BookFlight, CancelFlight, CancelHotel, CancelCar);

async fn start<S: Saga>(store: &MemoryStore, world: &World) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .saga::<S>()
        .handler::<BookFlight>(world.clone())
        .handler::<CancelFlight>(world.clone())
        .handler::<CancelHotel>(world.clone())
        .handler::<CancelCar>(world.clone())
        .clock(ManualClock::default())
        .start()
        .await
        .unwrap()
}

/// A trip that stays in its hotel, and the build that wrote it stopped.
async fn staying() -> (MemoryStore, World) {
    let (store, world) = (MemoryStore::new(), World::default());
    let dispatcher = start::<first::TripState>(&store, &world).await;
    dispatcher.publish(Placed { trip: "1".to_owned() }).await.unwrap();
    dispatcher.publish(Booked { trip: "1".to_owned() }).await.unwrap();
    let staying = |found: &saga::Instance<first::TripState>| {
        (found.open.is_empty() && matches!(found.position, Position::In(first::TripState::Staying(_))))
            .then_some(())
    };
    dispatcher.wait_for("1", std::time::Duration::from_secs(60), staying).await.unwrap();
    dispatcher.shutdown(std::time::Duration::from_secs(5)).await.unwrap();
    world.0.lock().unwrap().clear();
    (store, world)
}

#[tokio::test]
async fn an_abort_runs_every_undo_that_can_be_built_and_parks_over_the_others() {
    let (store, world) = staying().await;
    let dispatcher = start::<later::TripState>(&store, &world).await;
    dispatcher
        .abort::<later::TripState>("1", Operator::new("ann").because("it cannot be read"))
        .await
        .unwrap();
    let parked = dispatcher.settled::<later::TripState>("1").await.unwrap_err().to_string();
    let why = format!("parked: {}: `hotel.cancel`: cannot be read: `ticket`", ParkReason::UndoFailed);
    assert!(parked.contains(&why), "{parked}");
    assert_eq!(*world.0.lock().unwrap(), ["car.cancel", "flight.cancel"], "newest first, but for the hotel");
    // A build that has the upcast runs what is left.
    dispatcher.kill().await;
    let dispatcher = start::<first::TripState>(&store, &world).await;
    dispatcher.retry::<first::TripState>("1", Operator::new("ann").because("mended")).await.unwrap();
    assert_eq!(dispatcher.settled("1").await.unwrap(), Position::In(first::TripState::CalledOff));
    assert_eq!(*world.0.lock().unwrap(), ["car.cancel", "flight.cancel", "hotel.cancel"]);
}

#[tokio::test]
async fn what_cannot_be_built_may_be_given_up_and_the_abort_arrives() {
    let (store, world) = staying().await;
    let dispatcher = start::<later::TripState>(&store, &world).await;
    dispatcher
        .abort::<later::TripState>("1", Operator::new("ann").because("it cannot be read"))
        .await
        .unwrap();
    assert!(dispatcher.settled::<later::TripState>("1").await.is_err(), "parked in a state it cannot read");
    dispatcher
        .skip::<later::TripState>("1", Operator::new("ann").because("cancelled by phone"))
        .await
        .unwrap();
    assert_eq!(dispatcher.settled("1").await.unwrap(), Position::In(later::TripState::CalledOff));
    assert_eq!(*world.0.lock().unwrap(), ["car.cancel", "flight.cancel"]);
}

#[tokio::test]
async fn without_the_data_no_undo_can_be_built_and_nothing_that_is_owed_is_lost() {
    let (store, world) = staying().await;
    let dispatcher = start::<lost::TripState>(&store, &world).await;
    dispatcher
        .abort::<lost::TripState>("1", Operator::new("ann").because("it cannot be read"))
        .await
        .unwrap();
    assert!(
        dispatcher.settled::<lost::TripState>("1").await.is_err(),
        "its position holds a state it cannot read"
    );
    dispatcher.kill().await;
    assert!(world.0.lock().unwrap().is_empty());
    let dispatcher = start::<first::TripState>(&store, &world).await;
    let found = dispatcher.instance::<first::TripState>("1").await.unwrap().unwrap();
    assert_eq!(found.obligations, ["flight.cancel", "car.cancel", "hotel.cancel"]);
    assert!(found.position.is_parked());
    dispatcher.retry::<first::TripState>("1", Operator::new("ann").because("mended")).await.unwrap();
    assert_eq!(dispatcher.settled("1").await.unwrap(), Position::In(first::TripState::CalledOff));
    assert_eq!(*world.0.lock().unwrap(), ["hotel.cancel", "car.cancel", "flight.cancel"]);
}

/// One version of a saga with a price as text, and a room as a number or a text.
macro_rules! visit {
    ($module:ident, $version:literal, $room:ty, $made:expr, { $($upcast:item)? }, [$(#[$with:meta])*]) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = "visit", version = $version, data(Visit), actions(VisitActions), on_abort(Left))]
            $(#[$with])*
            #[initially(when(Placed, run(come), transition_to(Inside)))]
            #[unhandled(reject)]
            pub enum VisitState {
                #[during(when(Booked, transition_to(Left)))]
                Inside($room),
                #[terminal(failure)]
                Left,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Visit {
                pub price: String,
            }

            impl VisitActions for Visit {
                fn come(_: &Placed, _: &mut Context) -> ActionResult<(Self, $room)> {
                    Ok((Self { price: "5".to_owned() }, $made))
                }
            }

            $($upcast)?
        }
    };
}
visit!(visit1, 1, Number, Number { ticket: 7 }, {}, []);
visit!(
    visit2,
    2,
    Text,
    Text { ticket: String::new() },
    {
        fn in_euro(old: visit1::Visit) -> Visit {
            Visit { price: format!("EUR {}", old.price) }
        }
    },
    [#[upcast(from = 1, with(in_euro))]]
);

#[tokio::test]
async fn r34_the_abort_of_an_unreadable_state_converts_the_data_once() {
    let store = MemoryStore::new();
    let start =
        async |builder: saga::DispatcherBuilder| builder.clock(ManualClock::default()).start().await.unwrap();
    let dispatcher = start(Dispatcher::builder(store.clone()).saga::<visit1::VisitState>()).await;
    dispatcher.publish(Placed { trip: "1".to_owned() }).await.unwrap();
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();
    let builder = || Dispatcher::builder(store.clone()).saga::<visit2::VisitState>();
    let dispatcher = start(builder()).await;
    let unreadable = dispatcher.instance::<visit2::VisitState>("1").await.unwrap_err().to_string();
    assert!(unreadable.contains("ticket"), "{unreadable}");
    let operator = Operator::new("ann").because("it cannot be read");
    dispatcher.abort::<visit2::VisitState>("1", operator).await.unwrap();
    assert_eq!(dispatcher.settled("1").await.unwrap(), Position::In(visit2::VisitState::Left));
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();
    let dispatcher = start(builder()).await;
    let found = dispatcher.instance::<visit2::VisitState>("1").await.unwrap().unwrap();
    assert_eq!(found.data.price, "EUR 5");
}
