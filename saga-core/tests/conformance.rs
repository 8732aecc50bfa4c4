//! The laws of a store, held against the reference store.

use saga_core::store::MemoryStore;

saga_core::conformance!(MemoryStore::new());

mod shards {
    use saga_core::store::MemoryStore;
    use saga_core::store::conformance::SHARDS;

    saga_core::conformance!(shards: MemoryStore::with_shards(SHARDS));
}
