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
//! One thread writes, two threads read, and one thread runs checkpoints. The file may also hold tables of the
//! application. The tables of the store are named `saga_*`. The `sqlite3` shell can read these tables.

mod application_connection;
mod backup;
mod carry_over;
mod checkpoint;
mod commit;
mod counts;
mod error;
mod inspect;
mod list;
mod lock;
mod maintain;
mod names;
mod numbers;
mod open;
mod options;
mod read;
mod reader;
mod refusal;
mod rename;
mod resolve;
mod schema;
mod store;
mod store_file;
mod table;
mod transaction;
mod writer;

pub use checkpoint::CheckpointStats;
pub use options::{Durability, SqliteOptions};
pub use reader::SqliteReader;
pub use schema::Schema;
pub use store::SqliteStore;
pub use transaction::{Transaction, TransactionConnection, TransactionError};

/// The SQLite binding for the statements of the application.
pub use rusqlite;
