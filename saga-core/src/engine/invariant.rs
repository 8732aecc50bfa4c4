//! Broken invariants of the engine: each one is named, and the dispatcher stops.
//!
//! A broken invariant is a fault of this library. Going on could lose an item or a caller. So the dispatcher stops, and
//! the next start reads everything from the store. The lease is not given back, so each begun task counts as a suspect.

use super::Shard;
use crate::store::Address;

impl Shard {
    /// Records that `invariant` does not hold, for one instance or for the engine. The caller must stop its work.
    #[cold]
    pub(in crate::engine) fn broken(&mut self, invariant: &'static str, of: Option<&Address>) {
        let of = of.map_or_else(|| "the engine".to_owned(), ToString::to_string);
        tracing::error!(%of, invariant, "the engine has broken an invariant; the dispatcher stops");
        self.unrecorded_attempts = true;
        self.broken.get_or_insert_with(|| format!("{of} has broken an invariant of the engine: {invariant}"));
    }

    /// The first broken invariant, if there is one. Then nothing more may be handled.
    pub(crate) fn broken_invariant(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}
