//! The processes that share a store with several shards, as they see each other.
//!
//! Owns: the data of a meeting. Does not own: who takes which shard (`dispatcher/sharing/balance.rs`).

use std::time::Duration;

/// A process that shares the shards of a store with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The name of the process, which no other process has.
    pub name: String,
    /// The number of its release. Shards go to the highest one.
    pub build: u64,
    /// The number of consumers in the store that the process knows.
    pub consumers: u64,
}

/// What one process sees of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meeting {
    /// The processes, this one among them, by name.
    pub nodes: Vec<Seen<Node>>,
    /// The owner of each shard. `None` for a shard without a lease.
    pub owners: Vec<Option<Seen<String>>>,
    /// How long an owner may be silent before another process takes its shard.
    pub ttl: Duration,
    /// The number of consumers in the store.
    pub consumers: u64,
    /// The retired consumers.
    pub retired: Vec<String>,
}

/// Something that shows signs of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// What was seen.
    pub what: T,
    /// How long it has shown no sign of life, by the clock of the process that looks. Zero at its first look.
    pub silent: Duration,
}
