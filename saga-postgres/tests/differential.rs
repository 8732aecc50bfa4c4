//! Random scripts of steps on the reference store and on PostgreSQL.

#[path = "../../saga-sqlite/tests/support/differential.rs"]
mod differential;
mod support;

use std::sync::Arc;

use differential::{compare, op};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::Schema;

proptest! {
    // One seed always gives the same scripts. `PROPTEST_CASES=1000` runs more, and PROPTEST_RNG_SEED others.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32),
        rng_seed: RngSeed::Fixed(
            std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
        ),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn postgres_does_what_the_reference_store_does(script in prop::collection::vec(op(), 1..40)) {
        let Some(schema) = Schema::new() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let open = move || Arc::new(schema.open(schema.options())) as Arc<_>;
        runtime.block_on(compare(&script, Box::new(open)))?;
    }
}
