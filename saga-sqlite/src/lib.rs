//! The SQLite store of saga: instances in one file, no server.
//!
//! ```no_run
//! use saga_sqlite::{Durability, SqliteStore};
//!
//! let store = SqliteStore::open("orders.db")?;
//! let relaxed = SqliteStore::options().durability(Durability::Relaxed).open("scratch.db")?;
//! # Ok::<(), saga_core::store::StoreError>(())
//! ```
//!
//! One thread writes, two read, and one moves the write-ahead log into the file. The file may also hold the
//! application's own tables; those of the store are named `saga_*` and are readable in the `sqlite3` shell.

mod checkpoint;
mod checksum;
mod commit;
mod error;
mod held;
mod inspect;
mod lock;
mod maintain;
mod names;
mod open;
mod options;
mod place;
mod read;
mod refusal;
mod rename;
mod resolve;
mod schema;
mod store;
mod table;
mod transaction;
mod writer;

pub use checkpoint::CheckpointStats;
pub use options::{Durability, SqliteOptions};
pub use store::SqliteStore;
pub use transaction::{Transaction, TransactionConnection, TransactionError};

/// The binding the application's own statements run on.
pub use rusqlite;
