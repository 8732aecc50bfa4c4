//! Parents and their children (rule R21): batches that have parcels shipped, and batches within batches.
//!
//! Owns: the messages of both sagas, and how a key tells whose child an instance is. A parcel of `batch-0` has the key
//! `batch-0.p1-3`, a batch within it `batch-0.b1`, a detached parcel `batch-0.d1`; the first number is the round: how
//! often the batch had begun when it started the child.

mod batch;
mod depot;
mod parcel;
mod seen;

use saga_macros::{Command, Event};
use serde::{Deserialize, Serialize};

use super::Random;
use crate::message::Key;
use crate::store::Address;

pub(super) use batch::{Batch, BatchState, ON_HOLD};
pub(super) use depot::Depot;
pub(super) use parcel::ParcelState;
pub(super) use seen::SeenChildren;

/// How many parcels of a batch may be under way.
pub(super) const LIMIT: usize = 2;

/// What is special about a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Plain,
    /// It cannot be started.
    Empty,
    /// The batch cannot write down that it has ended.
    Cursed,
    /// The batch turns unless it arrives.
    Precious,
    /// The batch ends with it, if it may.
    Last,
    /// It has the key of the parcel before it.
    Twin,
}

/// What a batch is to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) parcels: Vec<Kind>,
    /// The parcels of the batch within it, if there is to be one.
    pub(super) within: Option<Vec<Kind>>,
    /// Whether a parcel is sent of which the batch hears nothing more.
    pub(super) sample: bool,
}

impl Plan {
    pub(super) fn any(random: &mut Random) -> Self {
        let within = random.one_in(3).then(|| kinds(random, 3));
        Self { parcels: kinds(random, 6), within, sample: random.one_in(3) }
    }
}

/// Fewer than `limit` parcels.
pub(super) fn kinds(random: &mut Random, limit: usize) -> Vec<Kind> {
    let kind = |random: &mut Random| match random.below(20) {
        0 => Kind::Empty,
        1 => Kind::Cursed,
        2 => Kind::Precious,
        3 => Kind::Twin,
        4 => Kind::Last,
        _ => Kind::Plain,
    };
    (0..random.below(limit)).map(|_| kind(random)).collect()
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $wire:literal $key:ident { $($field:ident: $ty:ty),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
        #[event(name = $wire, key($key), crate(saga_core))]
        pub(super) struct $name { pub(super) $key: String, $(pub(super) $field: $ty),* }
    )*};
}

events! {
    BatchPlaced "batch.placed" batch { plan: Plan, hears: bool }
    /// More parcels, while others are under way.
    Enlarged "batch.enlarged" batch { parcels: Vec<Kind> }
    Cancelled "batch.cancelled" batch {}
    /// It is to end at once, whoever is under way.
    Hurried "batch.hurried" batch {}
    Paused "batch.paused" batch {}
    Resumed "batch.resumed" batch {}
    /// Everything is called back, and begins anew.
    Recalled "batch.recalled" batch { plan: Plan }
    ParcelOrdered "parcel.ordered" parcel { kind: Kind }
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "parcel.shipped", crate(saga_core))]
pub(super) struct Shipped {}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "parcel.declined", crate(saga_core))]
pub(super) struct Declined {}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "parcel.ship", replies(Shipped, Declined), crate(saga_core))]
pub(super) struct Ship {
    pub(super) parcel: String,
}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "parcel.take-back", crate(saga_core))]
pub(super) struct TakeBack {
    pub(super) parcel: String,
}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "truck.cancel", crate(saga_core))]
pub(super) struct CancelTruck {
    pub(super) batch: String,
    pub(super) round: String,
}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "truck.book", crate(saga_core))]
pub(super) struct BookTruck {
    pub(super) batch: String,
    pub(super) round: String,
}

pub(super) fn batch(key: &str) -> Address {
    Address::new(BATCH, Key::new(key).expect("a good key"))
}

pub(super) fn parcel(key: &str) -> Address {
    Address::new(PARCEL, Key::new(key).expect("a good key"))
}

pub(super) const BATCH: &str = "batch";
pub(super) const PARCEL: &str = "parcel";

/// Whether the instance is one of these two sagas.
pub(super) fn is_member(address: &Address) -> bool {
    is_batch(address) || *address.saga == *PARCEL
}

pub(super) fn is_batch(address: &Address) -> bool {
    *address.saga == *BATCH
}

/// The batch that awaits the instance of this key, and the round in which it was started.
pub(super) fn parent(key: &str) -> Option<(&str, u32)> {
    let (parent, own) = key.rsplit_once('.')?;
    let number = own.strip_prefix(['p', 'b'])?;
    let round = number.split('-').next()?.parse().expect("a round");
    Some((parent, round))
}
