//! The way from a handle to the threads that run the sagas.

use std::sync::{Arc, Weak};

use super::mailbox::{Mailbox, WeakMailbox};
use super::sharing::Sharing;
use crate::store::Address;

/// The threads of a dispatcher.
#[derive(Clone)]
pub(super) enum Line {
    /// One thread runs all sagas.
    One(Mailbox),
    /// Each shard of this process has a thread, and others are in other processes.
    Many(Arc<Sharing>),
}

impl Line {
    /// Returns the mailbox for an instance. `None` if another process runs the instance.
    pub(super) fn of(&self, address: &Address) -> Option<Mailbox> {
        match self {
            Self::One(mailbox) => Some(mailbox.clone()),
            Self::Many(sharing) => sharing.mailbox_of(address),
        }
    }

    /// Returns what shares the shards with other processes.
    pub(super) fn sharing(&self) -> Option<&Arc<Sharing>> {
        match self {
            Self::One(_) => None,
            Self::Many(sharing) => Some(sharing),
        }
    }

    pub(super) fn downgrade(&self) -> WeakLine {
        match self {
            Self::One(mailbox) => WeakLine::One(mailbox.downgrade()),
            Self::Many(sharing) => WeakLine::Many(Arc::downgrade(sharing)),
        }
    }
}

/// A [`Line`] that does not keep the threads running.
#[derive(Clone)]
pub(super) enum WeakLine {
    One(WeakMailbox),
    Many(Weak<Sharing>),
}

impl WeakLine {
    pub(super) fn upgrade(&self) -> Option<Line> {
        Some(match self {
            Self::One(mailbox) => Line::One(mailbox.upgrade()?),
            Self::Many(sharing) => Line::Many(sharing.upgrade()?),
        })
    }
}
