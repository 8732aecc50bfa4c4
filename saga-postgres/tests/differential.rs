//! Random scripts of steps on the reference store and on PostgreSQL.

#[path = "../../saga-sqlite/tests/support/differential.rs"]
mod differential;
mod support;

use std::sync::Arc;

use differential::{compare, op};
use proptest::prelude::*;
use support::Schema;

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn postgres_does_what_the_reference_store_does(script in prop::collection::vec(op(), 1..40)) {
        let Some(schema) = Schema::new() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let open = move || Arc::new(schema.open(schema.options())) as Arc<_>;
        runtime.block_on(compare(&script, Box::new(open)))?;
    }
}
