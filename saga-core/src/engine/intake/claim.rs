//! Claims on requests: either the caller withdraws a request, or the engine begins to handle it.
//!
//! Owns: the guarantee that exactly one side gets the request. So a caller that gives up knows whether the engine has
//! done anything. The claim also holds the request's place in the limit of the dispatcher. The place is free again when
//! the claim is dropped.

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

/// The caller's side of a request.
#[derive(Clone, Debug)]
pub(crate) struct Withdrawal(Arc<AtomicU8>);

impl Claim {
    /// Creates the claim of a request that occupies `place` until the claim is dropped.
    pub(crate) fn new(place: Option<OwnedSemaphorePermit>) -> Self {
        Self { state: Arc::default(), _place: place }
    }

    pub(crate) fn withdrawal(&self) -> Withdrawal {
        Withdrawal(Arc::clone(&self.state))
    }

    /// Begins to handle the request. `false` if the caller has withdrawn the request.
    pub(in crate::engine) fn take(&self) -> bool {
        let taken = self.state.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || taken == Err(TAKEN)
    }
}

impl Withdrawal {
    /// Withdraws the request. True if the engine has done nothing for the request, and will do nothing.
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
