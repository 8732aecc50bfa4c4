//! Hash maps with a fast hash.
//!
//! Keys come from outside, so the hash has a random seed for each process. `foldhash` is such a hash. It costs about a
//! third of the default hash of the standard library for keys as short as ours.

use std::collections::HashMap;

/// A hash map of the engine.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
