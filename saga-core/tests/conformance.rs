//! The laws of a store, held against the reference store.

use saga_core::store::MemoryStore;

saga_core::conformance!(MemoryStore::new());
