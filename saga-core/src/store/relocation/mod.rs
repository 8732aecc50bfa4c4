//! The move of everything from one store to another: from a file to PostgreSQL, back, or to another file.
//!
//! Owns: the order of the move, and the rule that at no moment both stores can advance an instance. Does not own: the reads and
//! writes of a store, which are those of every store.
//!
//! ```text
//!  mark both ──▶ names, audit, letters, records, deliveries ──▶ instances ──▶ inbox ──▶ compare ──▶ seal the source ──▶ unmark the target
//! ```
//!
//! Each part is copied in order, and the target holds a prefix of it at each moment. A move that was interrupted compares the
//! prefix, and goes on behind it.

mod error;
mod guard;
mod instances;
mod rows;
mod writer;

pub use error::RelocationError;
pub(crate) use guard::marked;

use super::{Lease, Store};
use rows::List;
use writer::Writer;

/// Moves everything from one store to another, while no dispatcher runs on either.
///
/// The move takes the leases of both stores, and marks both. No dispatcher starts on a marked store. The move copies instances
/// with their history, tasks, timers, obligations, aliases and labels, the inbox, deliveries, deduplication records, dead
/// letters, consumers, definitions, retired names, pauses and the audit. Then it compares every instance with its history, seals
/// the source and removes the mark of the target. The number of an inbox row, a delivery or a dead letter may be another one in
/// the target.
///
/// A move that ends with an error or a crash is repeated with the same stores, and goes on where it was. Another target is
/// refused. A move is given up with [`give_up`](Self::give_up), and by removing the target.
///
/// Stop everybody who publishes before the move. An event that comes between the last look at the inbox and the seal stays in
/// the inbox of the source, where nothing takes it. A delivery that cannot be read is left out: look for damage first, see
/// `saga check`.
///
/// A task that was written before a crash of the move counts as one that may have been running (rule
/// [R19](crate::rules#r19)), because the target cannot know better.
///
/// # Cancellation
/// A dropped move is an interrupted one. Its leases end as those of a process that has ended.
pub struct Relocation<'a> {
    from: &'a dyn Store,
    to: &'a dyn Store,
    progress: Box<dyn FnMut(&Relocated) + Send + 'a>,
}

/// What a move has copied and compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relocated {
    /// Instances.
    pub instances: u64,
    /// Lines of history, known at the end.
    pub history: u64,
    /// Inbox rows.
    pub inbox: u64,
    /// Open deliveries.
    pub deliveries: u64,
    /// Deduplication records.
    pub dedup: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Rows of the audit.
    pub audit: u64,
}

impl std::fmt::Debug for Relocation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relocation").finish_non_exhaustive()
    }
}

impl<'a> Relocation<'a> {
    /// Prepares a move from `from` to `to`. The target must be empty, or hold what an interrupted move has left.
    pub fn new(from: &'a dyn Store, to: &'a dyn Store) -> Self {
        Self { from, to, progress: Box::new(|_| ()) }
    }

    /// Calls `progress` after each portion that is copied.
    #[must_use]
    pub fn on_progress(mut self, progress: impl FnMut(&Relocated) + Send + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Moves everything. Returns what was copied and compared, by this run and by those before.
    ///
    /// # Errors
    /// [`RelocationError`]. Nothing is lost: the source is as it was, but marked.
    pub async fn run(mut self) -> Result<Relocated, RelocationError> {
        let source = Held::take(self.from, "a move to another store").await?;
        let target = match Held::take(self.to, "a move from another store").await {
            Ok(target) => target,
            Err(error) => {
                source.give_back().await;
                return Err(error.into());
            }
        };
        let moved = self.under(&source.lease, &target.lease).await;
        // No handler has run under these leases, so both end cleanly, also after an error.
        source.give_back().await;
        target.give_back().await;
        moved
    }

    /// Gives up a move that was interrupted: removes the marks of its source, so that a dispatcher starts there again. Remove
    /// the target, which holds a part.
    ///
    /// # Errors
    /// [`RelocationError::AlreadyMoved`] after the end of a move, or an error of the store.
    pub async fn give_up(from: &dyn Store) -> Result<(), RelocationError> {
        let source = Held::take(from, "the end of a move to another store").await?;
        let given_up = guard::give_up(&mut Writer::new(from, &source.lease)).await;
        source.give_back().await;
        given_up
    }

    async fn under(&mut self, source: &Lease, target: &Lease) -> Result<Relocated, RelocationError> {
        let (from, to) = (self.from, self.to);
        let (mut source, mut target) = (Writer::new(from, source), Writer::new(to, target));
        let epochs = guard::begin(&mut source, &mut target).await?;
        to.define(&from.definitions().await?).await?;
        to.register(&from.consumers().await?).await?;
        to.rename(&from.retired().await?).await?;
        let mut done = Relocated::default();
        let stored = from.sizes().await?;
        done.audit = List::Audit.copy(from, &mut target).await?;
        done.dead_letters = List::DeadLetters.copy(from, &mut target).await?;
        done.dedup = rows::dedup(from, &mut target).await?;
        done.deliveries = List::Deliveries(epochs).copy(from, &mut target).await?;
        (self.progress)(&done);
        instances::copy(from, &mut target, epochs, &mut done, &mut *self.progress).await?;
        done.inbox = List::Inbox.copy(from, &mut target).await?;
        (self.progress)(&done);
        done.history = instances::compare(from, to, epochs).await?;
        rows::is_whole(&done, &stored)?;
        // Somebody may have published meanwhile. What comes later stays in the inbox of the source.
        done.inbox = List::Inbox.copy(from, &mut target).await?;
        if source.unclean() > 0 {
            // A process that has lost the lease may still run an attempt (rule R36). The target does not know of it.
            tokio::time::sleep(source.linger()).await;
        }
        guard::end(&mut source, &mut target).await?;
        Ok(done)
    }
}

/// A lease of the move. Its drop ends the lease as the end of a process does.
struct Held<'a> {
    store: &'a dyn Store,
    lease: Lease,
    given_back: bool,
}

impl<'a> Held<'a> {
    async fn take(store: &'a dyn Store, owner: &str) -> Result<Self, super::StoreError> {
        let lease = store.lease(owner).await?;
        Ok(Self { store, lease, given_back: false })
    }

    /// Ends the lease cleanly. A failure is no failure of the move: the lease ends with its drop then.
    async fn give_back(mut self) {
        match self.store.release(&self.lease).await {
            Ok(()) => self.given_back = true,
            Err(error) => {
                tracing::warn!(error = %crate::message::chain(&error), "a lease could not be given back");
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.given_back {
            self.store.abandon(&self.lease);
        }
    }
}
