//! Events that wait: for another visit (rule R6), and for an instance that does not exist yet (rule R27).

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::{DeadLetterReason, IgnoredReason};
use std::time::Duration;

use saga::error::PublishError;
use saga::prelude::*;
use saga::store::{Address, Mail, MemoryStore, Store};
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{Clock, Dispatcher, Disposition, Key, Message, MessageId, Payload, Position};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "desk", version = 1, data(Desk), actions(DeskActions))]
#[initially(when(Built, run(build), transition_to(Closed)))]
#[missing_instance(defer(minutes = 5))]
#[ended_instance(reject)]
#[unhandled(ignore)]
pub enum DeskState {
    #[during(defer(Letter), when(Opened, transition_to(Open)), when(Burnt, transition_to(Gone)))]
    Closed,
    #[during(
        when(Letter, guard(is_for_later), reenter),
        when(Letter, run(read), stay),
        when(Shut, transition_to(Closed))
    )]
    #[unhandled(defer)]
    Open,
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    read: Vec<u32>,
}

impl DeskActions for Desk {
    fn build(_: &Built, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { read: Vec::new() })
    }
    fn is_for_later(&self, event: &Letter, _: &Context) -> bool {
        event.n > 100
    }
    fn read(&mut self, event: &Letter, _: &mut Context) -> ActionResult<()> {
        self.read.push(event.n);
        Ok(())
    }
}

macro_rules! events {
    ($($name:ident $text:literal { $($field:ident: $ty:ty),* })*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(by(desk)))]
        pub struct $name { $($field: $ty),* }
        impl $name {
            fn desk(&self) -> String {
                "1".to_owned()
            }
        }
    )*};
}
events! {
    Built "built" {}
    Opened "opened" {}
    Shut "shut" {}
    Burnt "burnt" {}
    Letter "letter" { n: u32 }
}

#[test]
fn r06_what_was_deferred_follows_in_order_before_what_came_later() {
    let desk = Given::<DeskState>::started(Built {}).when(Letter { n: 1 }).when(Letter { n: 2 });
    assert!(desk.data().read.is_empty());
    let desk = desk.when(Opened {}).when(Letter { n: 3 });
    assert_eq!(desk.data().read, [1, 2, 3]);
}

#[test]
fn r06_unhandled_defer_holds_for_every_event_without_a_row() {
    let desk = Given::<DeskState>::started(Built {}).when(Opened {}).when(Burnt {});
    assert_eq!(desk.state(), &DeskState::Open, "no row takes it here");
    assert_eq!(desk.when(Shut {}).state(), &DeskState::Gone);
}

#[test]
fn r06_what_is_deferred_at_the_end_goes_to_ended_instance() {
    let desk = Given::<DeskState>::started(Built {}).when(Letter { n: 1 }).when(Burnt {});
    assert_eq!(desk.dead_letters().len(), 1, "{:?}", desk.dead_letters());
    assert!(desk.history().iter().any(|line| line.starts_with("rejected letter")), "{:?}", desk.history());
}

#[test]
fn r01_a_starting_event_is_ignored_after_the_end_where_other_events_are_rejected() {
    let desk = Given::<DeskState>::started(Built {}).when(Burnt {}).when(Built {});
    assert_eq!(desk.ignored(), Some(IgnoredReason::Ended));
    assert!(desk.dead_letters().is_empty());
    let desk = desk.when(Opened {});
    assert_eq!(desk.dead_letters()[0].reason, DeadLetterReason::EndedInstance);
}

struct Town {
    store: MemoryStore,
    clock: ManualClock,
    dispatcher: Dispatcher,
}

impl Town {
    async fn open() -> Self {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let dispatcher = start(&store, &clock).await;
        Self { store, clock, dispatcher }
    }

    async fn crash(self) -> Self {
        self.dispatcher.kill().await;
        let dispatcher = start(&self.store, &self.clock).await;
        Self { dispatcher, ..self }
    }

    async fn publish<E: saga::Correlated>(&self, event: E) -> Disposition {
        self.dispatcher.publish(event).await.unwrap().consumers[0].disposition.clone()
    }

    /// What the desk has read; nothing while there is none.
    async fn read(&self) -> Vec<u32> {
        let desk = self.dispatcher.instance::<DeskState>("1").await.unwrap();
        desk.map(|desk| desk.data.read).unwrap_or_default()
    }

    async fn comes_to_read(&self, letters: &[u32]) {
        self.clock.idle().await;
        assert_eq!(self.read().await, letters);
    }

    async fn dead(&self) -> Vec<String> {
        let letters = self.dispatcher.dead_letters(None).await.unwrap();
        letters.into_iter().map(|row| format!("{} {}", row.letter.message.name, row.letter.reason)).collect()
    }
}

async fn start(store: &MemoryStore, clock: &ManualClock) -> Dispatcher {
    // So small a cache keeps nothing that may be forgotten.
    let builder = Dispatcher::builder(store.clone()).saga::<DeskState>().cache_bytes(0);
    builder.clock(clock.clone()).start().await.unwrap()
}

#[tokio::test]
async fn r06_a_deferred_event_outlives_a_crash_and_keeps_its_place() {
    let town = Town::open().await;
    assert_eq!(town.publish(Built {}).await, Disposition::Applied);
    assert_eq!(town.publish(Letter { n: 1 }).await, Disposition::Deferred);
    assert_eq!(town.publish(Letter { n: 2 }).await, Disposition::Deferred);
    let town = town.crash().await;
    assert_eq!(town.publish(Letter { n: 3 }).await, Disposition::Deferred);
    assert_eq!(town.publish(Opened {}).await, Disposition::Applied);
    town.publish(Letter { n: 4 }).await;
    town.comes_to_read(&[1, 2, 3, 4]).await;
}

#[tokio::test]
async fn r06_a_new_visit_of_the_same_state_looks_at_it_again() {
    let town = Town::open().await;
    town.publish(Built {}).await;
    town.publish(Letter { n: 1 }).await;
    town.publish(Opened {}).await;
    town.comes_to_read(&[1]).await;
    assert_eq!(town.publish(Burnt {}).await, Disposition::Deferred);
    assert_eq!(town.publish(Letter { n: 101 }).await, Disposition::Applied, "a new visit");
    assert_eq!(town.publish(Letter { n: 2 }).await, Disposition::Applied, "and still nobody takes the other");
    assert_eq!(town.publish(Shut {}).await, Disposition::Applied);
    let position = town.dispatcher.settled::<DeskState>("1").await.unwrap();
    assert_eq!(position, Position::In(DeskState::Gone), "it burnt as soon as it could");
    assert_eq!(town.read().await, [1, 2]);
}

#[tokio::test]
async fn r26_a_deferred_event_is_known_when_it_comes_again() {
    let town = Town::open().await;
    town.publish(Built {}).await;
    let id = || MessageId::new("letter-1").unwrap();
    let first = town.dispatcher.publish_as(id(), Letter { n: 1 }).await.unwrap();
    assert_eq!(first.consumers[0].disposition, Disposition::Deferred);
    let again = town.dispatcher.publish_as(id(), Letter { n: 1 }).await.unwrap();
    assert_eq!(again.consumers[0].disposition, Disposition::Duplicate);
    town.publish(Opened {}).await;
    town.comes_to_read(&[1]).await;
}

#[tokio::test]
async fn r27_an_event_waits_for_its_instance_to_start() {
    let town = Town::open().await;
    assert_eq!(town.publish(Letter { n: 1 }).await, Disposition::Deferred);
    assert_eq!(town.publish(Opened {}).await, Disposition::Deferred);
    let town = town.crash().await;
    assert_eq!(town.publish(Letter { n: 2 }).await, Disposition::Deferred);
    town.clock.advance(4 * MINUTE);
    town.publish(Built {}).await;
    town.comes_to_read(&[1, 2]).await;
    assert_eq!(town.dead().await, [""; 0]);
}

#[tokio::test]
async fn r27_an_event_that_has_waited_long_enough_is_a_dead_letter() {
    let town = Town::open().await;
    assert_eq!(town.publish(Letter { n: 1 }).await, Disposition::Deferred);
    town.clock.advance(3 * MINUTE);
    assert_eq!(town.publish(Letter { n: 2 }).await, Disposition::Deferred);
    let town = town.crash().await;
    while town.dead().await.is_empty() {
        town.clock.advance_to_next().await;
    }
    assert_eq!(town.dead().await, ["letter missing-instance"], "only the first has waited five minutes");
    town.publish(Built {}).await;
    town.publish(Opened {}).await;
    town.comes_to_read(&[2]).await;
}

#[tokio::test]
async fn r27_thousands_of_events_may_wait_for_one_instance() {
    let town = Town::open().await;
    let letter = |n, at| {
        let payload = Payload::encode(&Letter { n }).unwrap();
        let message = Message { name: "letter".into(), version: 1, payload };
        Mail::event(Address::new("desk", Key::new("1").unwrap()), message, at)
    };
    let letters = |range: std::ops::RangeInclusive<u32>| {
        let at = town.clock.now().wall;
        range.map(|n| letter(n % 100, at)).collect::<Vec<_>>()
    };
    town.store.deliver(letters(1..=1)).await.unwrap();
    town.clock.advance(MINUTE);
    town.store.deliver(letters(2..=5_000)).await.unwrap();
    town.clock.advance(4 * MINUTE);
    // Little by little: a minute from here the others would give up as well.
    let mut looks = 0;
    let mut look_again = async || {
        looks += 1;
        if looks % 1_000 == 0 {
            town.clock.advance(Duration::from_millis(20));
        }
        tokio::task::yield_now().await;
    };
    while town.dead().await.is_empty() {
        look_again().await;
    }
    town.publish(Built {}).await;
    town.publish(Opened {}).await;
    while town.read().await.len() < 4_999 {
        look_again().await;
    }
    assert_eq!(town.dead().await, ["letter missing-instance"], "the others have a minute left");
}

#[tokio::test]
async fn r29_what_is_deferred_is_bounded_and_does_not_keep_out_what_ends_the_waiting() {
    let town = Town::open().await;
    for n in 1..=1_000 {
        assert_eq!(town.publish(Letter { n: n % 100 }).await, Disposition::Deferred);
    }
    let full = town.dispatcher.publish(Letter { n: 1 }).await.unwrap_err();
    assert!(matches!(full, PublishError::InstanceFull { waiting: 1_000, .. }), "{full}");
    assert_eq!(town.publish(Built {}).await, Disposition::Applied);
    assert_eq!(town.publish(Opened {}).await, Disposition::Applied);
    town.comes_to_read(&(1..=1_000).map(|n| n % 100).collect::<Vec<_>>()).await;
}
