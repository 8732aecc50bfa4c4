//! The PostgreSQL store of saga: instances in one schema of a database.
//!
//! ```no_run
//! # async fn connect() -> Result<(), saga_core::store::StoreError> {
//! use saga_postgres::PostgresStore;
//!
//! let store = PostgresStore::connect("host=localhost user=shop dbname=shop").await?;
//! # Ok(())
//! # }
//! ```
//!
//! One process at a time runs the sagas of a shard. Other processes run other shards, read, publish, and stand by. The database is the only source of
//! agreement: the lease of the owner is a row, and each commit of the owner checks this row.
//!
//! One thread serves all connections of a store: one connection commits, one shows that the owner lives, and a pool reads.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod committer;
mod connection;
mod deliver;
mod error;
mod inspect;
mod lease;
mod list;
mod maintain;
mod meet;
mod names;
mod options;
mod prepared;
mod read;
mod rename;
mod schema;
mod shard;
mod store;
mod stored;
mod sums;
mod tenure;
mod tls;
mod worker;

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

// The support of the tests names this crate as any other test does.
#[cfg(test)]
extern crate self as saga_postgres;

pub use options::{Durability, PostgresOptions};
pub use prepared::{PrepareError, PreparedEvent};
pub use store::PostgresStore;

/// The PostgreSQL client, for the type of a configuration.
pub use tokio_postgres;
