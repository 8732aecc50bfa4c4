//! The reasons why a move ends before its end.

use crate::store::{Address, StoreError};

/// Why a move to another store has ended before its end. Run it again when the reason is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelocationError {
    /// The target has rows, and no move has begun there.
    #[error("the target holds {what} already; move into an empty store")]
    #[non_exhaustive]
    NotEmpty {
        /// What the target holds.
        what: &'static str,
    },
    /// Everything was moved out of the source before.
    #[error("everything was moved out of the source before; use the store to which it was moved")]
    AlreadyMoved,
    /// A move of the source to another target was begun.
    #[error("a move of this store to another target was begun; run it again, or give it up first")]
    OtherTarget,
    /// The target holds other rows than the source.
    #[error(
        "{what} differs between the stores; a dispatcher or a tool has used one of them during the move; remove the target and begin again"
    )]
    #[non_exhaustive]
    Differs {
        /// What differs.
        what: String,
    },
    /// The target has refused a step.
    #[error("the store refused {what}: {why}")]
    #[non_exhaustive]
    Refused {
        /// What was written.
        what: String,
        /// The answer of the store.
        why: String,
    },
    /// An instance of the source cannot be read.
    #[error("{address} cannot be read: {why}; repair it first, see `saga check`")]
    #[non_exhaustive]
    Unreadable {
        /// The instance.
        address: Address,
        /// The error.
        why: String,
    },
    /// An inbox row or a dead letter of the source cannot be read.
    #[error("an inbox row or a dead letter of the source cannot be read; repair it first, see `saga check`")]
    Damaged,
    /// The chain of the audit of the source is broken. A copy would hide that.
    #[error("row {row} of the audit does not follow the row before it; see `saga check`")]
    #[non_exhaustive]
    BrokenAudit {
        /// The number of the row.
        row: i64,
    },
    /// An instance has more lines of history than a move takes.
    #[error("{address} has more than {most} lines of history")]
    #[non_exhaustive]
    TooLong {
        /// The instance.
        address: Address,
        /// The most lines.
        most: usize,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RelocationError {
    pub(super) fn differs(what: impl Into<String>) -> Self {
        Self::Differs { what: what.into() }
    }
}
