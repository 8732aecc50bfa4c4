//! The laws of a store, held against SQLite.

use std::sync::Arc;

use saga_core::store::conformance::Subject;
use saga_core::store::{Address, Store};
use saga_sqlite::{Durability, SqliteStore, rusqlite};

struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }
}

impl Subject for File {
    fn open(&self) -> Arc<dyn Store> {
        let options = SqliteStore::options().durability(Durability::Relaxed);
        Arc::new(options.open(self.0.path().join("saga.db")).expect("the store opens"))
    }

    /// Flips one bit of the data, as a disk might: the file stays sound, the row does not.
    fn damage(&self, address: &Address) -> bool {
        let db = rusqlite::Connection::open(self.0.path().join("saga.db")).expect("the file opens");
        let flipped = db
            .execute(
                "UPDATE saga_instance SET body = replace(body, '\"data\":', '\"dbta\":')
                 WHERE saga = (SELECT id FROM saga_name WHERE name = ?1) AND key = ?2",
                (&address.saga, address.key.text()),
            )
            .expect("the row is there");
        flipped == 1
    }
}

saga_core::conformance!(File::new());
