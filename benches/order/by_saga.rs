//! The order saga on SQLite.

use saga::SqliteStore;
use saga::sqlite::Durability;

#[path = "world.rs"]
pub mod world;

/// Sagas per second in one round on a fresh database.
pub async fn round(at_a_time: usize, durable: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let durability = if durable { Durability::Durable } else { Durability::Relaxed };
    let store = SqliteStore::options().durability(durability).open(folder.path().join("saga.db"))?;
    world::round(store, at_a_time).await
}
