//! Random scripts of steps on the reference store and on SQLite.

#[path = "support/differential.rs"]
mod differential;

use std::sync::Arc;

use differential::{compare, op};
use proptest::prelude::*;
use saga_sqlite::{Durability, SqliteStore};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_does_what_the_reference_store_does(script in prop::collection::vec(op(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("saga.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let options = SqliteStore::options().durability(Durability::Relaxed);
        let open = move || Arc::new(options.clone().open(&path).unwrap()) as Arc<_>;
        runtime.block_on(compare(&script, Box::new(open)))?;
    }
}
