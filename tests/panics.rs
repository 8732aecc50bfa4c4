//! Code of the application that panics where the dispatcher runs it: the message it is about becomes a dead letter, and
//! everything else goes on. When the dispatcher itself panics, everybody is told, and the store is free.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use saga::error::PublishError;
use saga::prelude::*;
use saga::store::{DeadId, Inspect, MemoryStore};
use saga::testing::ManualClock;
use saga::{Dispatcher, Health, Position};
use serde::de::Deserializer;

/// Whether what panics does so: on no thread that publishes.
static ARMED: AtomicBool = AtomicBool::new(false);

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "bomb", version = 1, data(Bomb), actions(BombActions))]
#[initially(when(Built, run(build), transition_to(Ticking)))]
#[missing_instance(defer(days = 1))]
#[unhandled(reject)]
pub enum BombState {
    #[during(when(Lit, publish(Blown), stay), when(Cut, transition_to(Safe)), when(Fused, stay))]
    Ticking,
    #[terminal]
    Safe,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bomb {}

impl BombActions for Bomb {
    fn build(_: &Built, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn blown(&self, _: &Lit, _: &mut Context) -> Blown {
        Blown { of: Explosive }
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(of))]
        pub struct $name { of: String }
    )*};
}
events! { Built "built" Lit "lit" Cut "cut" }

/// A key that cannot be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explosive;

impl fmt::Display for Explosive {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no key")
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "blown", key(of))]
pub struct Blown {
    of: Explosive,
}

/// An event that cannot be read when it comes out of the inbox.
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "fused", key(of))]
pub struct Fused {
    of: String,
    #[serde(deserialize_with = "fuse")]
    length: u32,
}

fn fuse<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    assert!(!ARMED.load(Ordering::SeqCst), "no fuse");
    u32::deserialize(from)
}

struct Listener;

impl Subscriber<Blown> for Listener {
    async fn handle(&self, _: Blown, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

async fn start(store: &MemoryStore, clock: &ManualClock) -> Dispatcher {
    let builder = Dispatcher::builder(store.clone()).saga::<BombState>();
    builder.subscriber::<Blown>("listener", Listener).clock(clock.clone()).start().await.unwrap()
}

/// The reasons and details of all dead letters.
async fn dead(store: &MemoryStore) -> Vec<(String, String)> {
    let letters = store.dead_letters(DeadId(0), 10).await.unwrap();
    letters.into_iter().map(|row| (row.letter.reason.to_string(), row.letter.detail)).collect()
}

#[tokio::test]
async fn a_key_that_panics_makes_a_dead_letter() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let dispatcher = start(&store, &clock).await;
    let of = || "1".to_owned();
    dispatcher.publish(Built { of: of() }).await.unwrap();
    assert!(dispatcher.publish(Lit { of: of() }).await.unwrap().is_accepted());
    let dead = dead(&store).await;
    assert_eq!((dead.len(), &*dead[0].0), (1, "bad-key"));
    assert!(dead[0].1.contains("panicked: no key"), "{dead:?}");
    dispatcher.publish(Cut { of: of() }).await.unwrap();
    assert_eq!(dispatcher.settled::<BombState>("1").await.unwrap(), Position::In(BombState::Safe));
}

#[tokio::test]
async fn an_event_that_panics_when_it_is_read_makes_a_dead_letter() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let dispatcher = start(&store, &clock).await;
    let of = || "1".to_owned();
    // It waits for its instance, over a restart.
    dispatcher.publish(Fused { of: of(), length: 3 }).await.unwrap();
    dispatcher.kill().await;
    ARMED.store(true, Ordering::SeqCst);
    let dispatcher = start(&store, &clock).await;
    dispatcher.publish(Built { of: of() }).await.unwrap();
    clock.idle().await;
    let dead = dead(&store).await;
    assert_eq!((dead.len(), &*dead[0].0), (1, "undecodable"));
    assert!(dead[0].1.contains("panicked: no fuse"), "{dead:?}");
    dispatcher.publish(Cut { of: of() }).await.unwrap();
    assert_eq!(dispatcher.settled::<BombState>("1").await.unwrap(), Position::In(BombState::Safe));
}

#[tokio::test]
async fn when_the_dispatcher_panics_everybody_is_told_and_the_store_is_free() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let builder = Dispatcher::builder(store.clone()).saga::<BombState>();
    let builder = builder.subscriber::<Blown>("listener", Listener);
    // What is asked for the identity of a new instance runs on the dispatcher's thread.
    let armed = Arc::new(AtomicBool::new(false));
    let dice = Arc::clone(&armed);
    let random = move || {
        assert!(!dice.load(Ordering::SeqCst), "no dice");
        1
    };
    let dispatcher = builder.random(random).clock(clock.clone()).start().await.unwrap();
    clock.idle().await;
    armed.store(true, Ordering::SeqCst);
    let changed = dispatcher.health_changed();
    let published = dispatcher.publish(Built { of: "1".to_owned() }).await;
    // Nothing had been begun about it.
    assert!(matches!(published, Err(PublishError::Stopped)), "{published:?}");
    let Health::Stopped { why, .. } = changed.await else { panic!("it goes on") };
    assert!(why.contains("the dispatcher panicked: no dice"), "{why}");
    let ended = dispatcher.shutdown(Duration::from_secs(1)).await.unwrap_err().to_string();
    assert!(ended.contains("no dice"), "{ended}");

    let dispatcher = start(&store, &clock).await;
    dispatcher.publish(Built { of: "1".to_owned() }).await.unwrap();
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}
