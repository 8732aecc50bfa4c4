//! The order saga on PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use saga::store::ShardId;
use saga::{Dispatcher, Key, PostgresStore};

#[path = "../order/world.rs"]
mod world;

/// Sagas per second in one round in a fresh schema.
pub async fn round(config: &str, schema: &str, at_a_time: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let store = PostgresStore::options().schema(schema).connect(config).await?;
    world::round(store, at_a_time).await
}

/// Sagas per second while several nodes share the shards of a fresh schema. Each order is placed at the node that runs it, as an
/// application with a router does.
pub async fn shared(
    config: &str,
    schema: &str,
    (shards, nodes): (u16, usize),
    at_a_time: usize,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut joined = Vec::new();
    for _ in 0..nodes {
        let store = PostgresStore::options().schema(schema).shards(shards).connect(config).await?;
        joined.push(world::with_sagas(Dispatcher::builder(store)).join().await?);
    }
    for node in &joined {
        node.balanced().await;
    }
    let mut owners: Vec<usize> = vec![0; usize::from(shards)];
    for (at, node) in joined.iter().enumerate() {
        for shard in node.nodes().iter().flat_map(|nodes| nodes.own().to_vec()) {
            owners[usize::from(shard)] = at;
        }
    }
    let (all, owners) = (Arc::new(joined), Arc::new(owners));
    let running = Arc::clone(&all);
    let rate = crate::drive(at_a_time, move |n| {
        let (all, owners) = (Arc::clone(&running), Arc::clone(&owners));
        async move {
            let order = format!("order-{n}");
            let partition = Key::new(&order).expect("a good key").partition();
            let shard = ShardId::all(shards).position(|shard| shard.has_partition(partition)).unwrap_or(0);
            world::one(&all[owners[shard]], order).await;
        }
    })
    .await;
    for node in Arc::into_inner(all).into_iter().flatten() {
        node.shutdown(Duration::from_secs(5)).await?;
    }
    Ok(rate)
}
