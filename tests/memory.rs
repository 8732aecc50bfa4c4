//! What a dispatcher holds in memory stays within what it was given, by the count of an allocator.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::Arc;

use peak_alloc::PeakAlloc;
use saga::prelude::*;
use saga::testing::ManualClock;
use saga::{Dispatcher, SqliteStore};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "parcel", version = 1, data(Parcel), actions(ParcelActions))]
#[initially(when(Posted, run(post), transition_to(Waiting)))]
#[unhandled(reject)]
pub enum ParcelState {
    #[during(timeout(days = 3, transition_to(Returned)), when(Fetched, transition_to(Gone)))]
    Waiting,
    #[terminal]
    Gone,
    #[terminal]
    Returned,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    street: String,
}

impl ParcelActions for Parcel {
    fn post(event: &Posted, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { street: event.street.clone() })
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "posted", key(parcel))]
pub struct Posted {
    parcel: String,
    street: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "fetched", key(parcel))]
pub struct Fetched {
    parcel: String,
}

/// How many bytes more are allocated when so many instances wait for a timer, with this much memory for instances.
/// SQLite's own memory is not among them.
async fn held(instances: usize, cache_bytes: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("parcels.db")).unwrap();
    let clock = ManualClock::default();
    let builder = Dispatcher::builder(store).saga::<ParcelState>().cache_bytes(cache_bytes);
    let dispatcher = builder.clock(clock.clone()).start().await.unwrap();
    let before = ALLOCATED.current_usage();
    let (places, mut posting) = (Arc::new(Semaphore::new(256)), JoinSet::new());
    for n in 0..instances {
        let (dispatcher, place) = (dispatcher.clone(), Arc::clone(&places).acquire_owned().await.unwrap());
        posting.spawn(async move {
            let posted = Posted { parcel: format!("parcel-{n:06}"), street: "7 Mill Lane".to_owned() };
            dispatcher.publish(posted).await.unwrap();
            drop(place);
        });
        while posting.try_join_next().is_some() {}
    }
    while posting.join_next().await.is_some() {}
    drop((posting, places));
    clock.idle().await;
    let held = ALLOCATED.current_usage() - before;
    // Its thread frees it, and not while the next one is measured.
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();
    held
}

#[tokio::test]
async fn instances_take_no_more_memory_than_they_are_given() {
    let roomy = held(10_000, 1024 * MIB).await;
    let bounded = held(10_000, 4 * MIB).await;
    let floor = held(10_000, 0).await;
    assert!(roomy > 12 * MIB, "all are in memory, and take far more than the bound: {roomy}");
    // The window of timers, and what else is not counted.
    assert!(floor < 3 * MIB, "{floor}");
    assert!(bounded < 4 * MIB + floor, "{bounded}, with a floor of {floor}");
}
