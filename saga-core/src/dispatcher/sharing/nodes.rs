//! The processes that share a store, for people and for applications that route requests themselves.

use std::time::Duration;

use crate::dispatcher::Dispatcher;
use crate::machine::Saga;
use crate::message::{Key, KeyError};
use crate::store::{Address, ShardId};

/// The processes that share the shards of a store, as this process saw them last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nodes {
    /// The processes, by name.
    pub nodes: Vec<NodeView>,
    /// The shards without an owner.
    pub free: Vec<u16>,
    /// The number of shards.
    pub shards: u16,
}

/// A process that shares the shards of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeView {
    /// The name of the process: that of [`owner`](crate::dispatcher::DispatcherBuilder::owner) with a random part.
    pub name: String,
    /// The number of its release ([`build`](crate::dispatcher::DispatcherBuilder::build)).
    pub build: u64,
    /// How long the process has shown no sign of life, by the clock of this process. Zero at the first look.
    pub silent: Duration,
    /// The shards that it owns.
    pub shards: Vec<u16>,
    /// Whether this is the process that asks.
    pub is_self: bool,
}

impl Nodes {
    /// Returns the shards of the process that asks.
    pub fn own(&self) -> &[u16] {
        self.nodes.iter().find(|node| node.is_self).map_or(&[], |node| &node.shards)
    }
}

impl Dispatcher {
    /// Returns the processes that share the store, after at most a second. `None` for a dispatcher that was not started with
    /// [`join`](crate::dispatcher::DispatcherBuilder::join). The call reads no store and does not wait.
    pub fn nodes(&self) -> Option<Nodes> {
        let sharing = self.line.sharing()?;
        let seen = sharing.seen.borrow();
        let owned = |name: &str| {
            let of = (0..).zip(&seen.meeting.owners);
            let of = of.filter(|(_, owner)| owner.as_ref().is_some_and(|owner| owner.what == name));
            of.map(|(number, _)| number).collect()
        };
        let nodes = seen.meeting.nodes.iter().map(|node| NodeView {
            name: node.what.name.clone(),
            build: node.what.build,
            silent: node.silent,
            shards: owned(&node.what.name),
            is_self: node.what.name == sharing.node.name,
        });
        let free = (0..).zip(&seen.meeting.owners).filter(|(_, owner)| owner.is_none());
        Some(Nodes {
            nodes: nodes.collect(),
            free: free.map(|(number, _)| number).collect(),
            shards: sharing.of,
        })
    }

    /// Returns the process that runs this instance of `S`, after at most a second, for applications that send a request to the
    /// process with the instance. `None` if no process runs it now, and for a dispatcher that was not started with
    /// [`join`](crate::dispatcher::DispatcherBuilder::join).
    ///
    /// The instance can move at any time. A request that reaches another process works all the same, and its receipt says
    /// `Queued`.
    ///
    /// # Errors
    /// [`KeyError`] when the key is not valid.
    pub fn owner<S: Saga>(&self, key: impl AsRef<str>) -> Result<Option<NodeView>, KeyError> {
        let address = Address::new(S::NAME, Key::new(key)?);
        let Some(nodes) = self.nodes() else { return Ok(None) };
        let shard = ShardId::of_address(&address, nodes.shards).number();
        Ok(nodes.nodes.into_iter().find(|node| node.shards.contains(&shard)))
    }

    /// Waits until the shares are equal and no shard is free, as this process sees it. The wait has no limit. Returns at once
    /// for a dispatcher that was not started with [`join`](crate::dispatcher::DispatcherBuilder::join).
    ///
    /// # Cancellation
    /// The future is cancel-safe.
    pub async fn balanced(&self) {
        let Some(sharing) = self.line.sharing() else { return };
        let mut seen = sharing.seen.subscribe();
        // `sharing` owns the sender.
        let _ = seen
            .wait_for(|seen| super::member::is_balanced(&sharing.node.name, &sharing.here(), &seen.meeting))
            .await;
    }
}
