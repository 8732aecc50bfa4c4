//! Who has a request: the caller, who may still withdraw it, or the engine, which has begun to do it.
//!
//! Owns: that exactly one of the two gets it, so that a caller who gives up knows whether anything was done. It also holds
//! the request's place among those the dispatcher keeps, and gives it back with the request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::OwnedSemaphorePermit;

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// The engine's side of a request.
#[derive(Default)]
pub(crate) struct Claim {
    state: Arc<AtomicU8>,
    _place: Option<OwnedSemaphorePermit>,
}

/// The caller's side.
#[derive(Clone, Debug)]
pub(crate) struct Withdrawal(Arc<AtomicU8>);

impl Claim {
    /// A request that takes this place until it is done.
    pub(crate) fn new(place: Option<OwnedSemaphorePermit>) -> Self {
        Self { state: Arc::default(), _place: place }
    }

    pub(crate) fn withdrawal(&self) -> Withdrawal {
        Withdrawal(Arc::clone(&self.state))
    }

    /// Begins to do it; `false` when the caller has withdrawn it.
    pub(super) fn take(&self) -> bool {
        let taken = self.state.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || taken == Err(TAKEN)
    }
}

impl Withdrawal {
    /// Whether nothing has been done about the request, and nothing will be from here on.
    pub(crate) fn withdraw(&self) -> bool {
        let withdrawn = self.0.compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire);
        withdrawn.is_ok() || withdrawn == Err(WITHDRAWN)
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.state).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_two_gets_it() {
        let claim = Claim::default();
        assert!(claim.take() && claim.take(), "taken once is taken");
        assert!(!claim.withdrawal().withdraw());
        let claim = Claim::default();
        assert!(claim.withdrawal().withdraw() && claim.withdrawal().withdraw());
        assert!(!claim.take());
    }
}
