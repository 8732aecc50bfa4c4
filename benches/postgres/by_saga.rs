//! The order saga on PostgreSQL.

use saga::PostgresStore;

#[path = "../order/world.rs"]
mod world;

/// Sagas per second in one round in a fresh schema.
pub async fn round(config: &str, schema: &str, at_a_time: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let store = PostgresStore::options().schema(schema).connect(config).await?;
    world::round(store, at_a_time).await
}
