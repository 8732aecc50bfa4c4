//! What `on_leave` sends at a turn is kept until the arrival (rule R13), also when a later build has no undo for it any
//! more.

#![allow(missing_docs, unreachable_pub, dead_code)] // The types of a test need no manual, and not all are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Operator, ParkReason, Position};

/// Gives the room back only when it is told to.
#[derive(Clone, Debug, Default)]
pub struct Hotel {
    answers: Arc<AtomicBool>,
}

macro_rules! build {
    ($module:ident, [$($undo:tt)*], { $($actions:tt)* }) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = "stay", version = 1, data(Stay), actions(StayActions))]
            #[initially(when(Arrived, run(arrive), send(TakeRoom, undo(FreeRoom)), transition_to(Inside)))]
            #[unhandled(reject)]
            pub enum StayState {
                #[on_leave(send(Announce $($undo)*))]
                #[during(when(Cancelled, compensate, transition_to(Outside)))]
                Inside,
                #[during(when(Left, transition_to(Gone)))]
                Outside,
                #[terminal]
                Gone,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Stay {}

            impl StayActions for Stay {
                fn arrive(_: &Arrived, _: &mut Context) -> ActionResult<Self> {
                    Ok(Self {})
                }
                fn take_room(&self, _: &Arrived, _: &mut Context) -> TakeRoom {
                    TakeRoom {}
                }
                fn free_room(&self, _: &TakeRoom, _: &mut Context) -> FreeRoom {
                    FreeRoom {}
                }
                fn announce(&self, _: &mut Context) -> Announce {
                    Announce {}
                }
                $($actions)*
            }

            pub async fn start(store: &MemoryStore, clock: &ManualClock, hotel: &Hotel) -> Dispatcher {
                let builder = Dispatcher::builder(store.clone()).saga::<StayState>();
                let builder = builder.handler::<TakeRoom>(hotel.clone()).handler::<FreeRoom>(hotel.clone());
                let builder = builder.handler::<Announce>(hotel.clone()).handler::<Recall>(hotel.clone());
                builder.clock(clock.clone()).start().await.unwrap()
            }
        }
    };
}

build!(before, [, undo(Recall)], {
    fn recall(&self, _: &Announce, _: &mut Context) -> Recall {
        Recall {}
    }
});
build!(after, [], {});

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(guest))]
        pub struct $name { guest: String }
        impl $name {
            fn new() -> Self {
                Self { guest: "ada".to_owned() }
            }
        }
    )*};
}
events! { Arrived "arrived" Cancelled "cancelled" Left "left" }

macro_rules! commands {
    ($($name:ident $text:literal $answers:expr;)*) => {$(
        #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[command(name = $text)]
        pub struct $name {}
                impl Handler<$name> for Hotel {
            async fn handle(&self, _: $name, _: &HandlerContext) -> HandlerResult<$name> {
                let answers: fn(&Self) -> bool = $answers;
                if answers(self) { Ok(Done.into()) } else { Err("nobody answers".into()) }
            }
        }
    )*};
}
commands! {
    TakeRoom "room.take" |_| true;
    FreeRoom "room.free" |hotel| hotel.answers.load(Ordering::SeqCst);
    Announce "announce" |_| true;
    Recall "recall" |_| true;
}

/// An instance that has turned and still owes an undo, so that it has not arrived.
async fn turned(store: &MemoryStore, clock: &ManualClock, hotel: &Hotel) {
    let dispatcher = before::start(store, clock, hotel).await;
    dispatcher.publish(Arrived::new()).await.unwrap();
    clock.idle().await;
    dispatcher.publish(Cancelled::new()).await.unwrap();
    clock.idle().await;
    let stay = dispatcher.instance::<before::StayState>("ada").await.unwrap().unwrap();
    assert!(matches!(stay.position, Position::Compensating { .. }), "{:?}", stay.position);
    dispatcher.kill().await;
    hotel.answers.store(true, Ordering::SeqCst);
}

#[tokio::test]
async fn r13_what_it_sends_is_sent_at_the_arrival_with_its_undo_owed() {
    let (store, clock, hotel) = (MemoryStore::new(), ManualClock::default(), Hotel::default());
    turned(&store, &clock, &hotel).await;
    let dispatcher = before::start(&store, &clock, &hotel).await;
    clock.advance(Duration::from_secs(600));
    clock.idle().await;
    let stay = dispatcher.instance::<before::StayState>("ada").await.unwrap().unwrap();
    assert_eq!(stay.position, Position::In(before::StayState::Outside));
    assert_eq!(stay.obligations, ["recall"]);
}

#[tokio::test]
async fn r13_without_its_undo_nothing_is_sent_and_a_person_is_told() {
    let (store, clock, hotel) = (MemoryStore::new(), ManualClock::default(), Hotel::default());
    turned(&store, &clock, &hotel).await;
    let dispatcher = after::start(&store, &clock, &hotel).await;
    clock.advance(Duration::from_secs(600));
    clock.idle().await;
    let stay = dispatcher.instance::<after::StayState>("ada").await.unwrap().unwrap();
    let Position::Parked { reason, detail, .. } = stay.position else { panic!("{:?}", stay.position) };
    assert_eq!(reason, ParkReason::ArrivalFailed);
    assert!(detail.contains("`on_leave` sent `announce` with the undo `recall`"), "{detail}");
    assert!(stay.open.is_empty() && stay.obligations.is_empty(), "the room is free, and nothing was sent");
    dispatcher.kill().await;

    // The build that has the undo goes on.
    let dispatcher = before::start(&store, &clock, &hotel).await;
    dispatcher
        .retry::<before::StayState>("ada", Operator::new("ann").because("the undo is back"))
        .await
        .unwrap();
    clock.idle().await;
    let stay = dispatcher.instance::<before::StayState>("ada").await.unwrap().unwrap();
    assert_eq!(stay.position, Position::In(before::StayState::Outside));
    assert_eq!(stay.obligations, ["recall"]);
}
