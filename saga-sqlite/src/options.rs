//! The options of a store. No option lets an application damage the store.

use std::path::Path;
use std::time::Duration;

use saga_core::store::StoreError;

use crate::SqliteStore;
use crate::resolve::resolve;

/// The durability of an answered commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// An answered commit survives `kill -9` and power loss.
    #[default]
    Durable,
    /// An answered commit survives `kill -9`. Power loss may lose the latest commits, but never damages the file.
    /// Single steps are about three times as fast. Under load the speed is nearly the same.
    Relaxed,
}

/// The options for opening a [`SqliteStore`]. See [`SqliteStore::options`].
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) durability: Durability,
    pub(crate) cache_kib: u32,
    pub(crate) max_pages: Option<u32>,
    pub(crate) create: bool,
    pub(crate) busy_timeout: Duration,
    pub(crate) transaction_limit: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Durable,
            cache_kib: 32 * 1024,
            max_pages: None,
            create: true,
            busy_timeout: Duration::from_secs(5),
            transaction_limit: Duration::from_secs(1),
        }
    }
}

impl SqliteOptions {
    /// Sets the durability of an answered commit. The default is [`Durability::Durable`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the page cache of the writing connection, in KiB. The default is 32 MiB.
    #[must_use]
    pub fn cache_kib(mut self, cache_kib: u32) -> Self {
        self.cache_kib = cache_kib;
        self
    }

    /// Sets the maximum size of the file, in pages of 4 KiB. A commit above this size is [`StoreError::Full`]. By
    /// default only the disk limits the size. The transactions of the application are not limited.
    #[must_use]
    pub fn max_pages(mut self, max_pages: u32) -> Self {
        self.max_pages = Some(max_pages);
        self
    }

    /// Sets whether a missing file is created. The default is `true`.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets how long a write waits for another transaction before [`StoreError::Unavailable`]. The other transaction
    /// may belong to another process or to the application. The default is five seconds. The maximum of SQLite is 24
    /// days.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(Duration::from_millis(i32::MAX as u64));
        self
    }

    /// Sets the time limit of [`SqliteStore::transaction`] before the rollback. The default is one second. The
    /// dispatcher cannot commit during the transaction.
    #[must_use]
    pub fn transaction_limit(mut self, limit: Duration) -> Self {
        self.transaction_limit = limit;
        self
    }

    /// Opens the store at `path`.
    ///
    /// `path` is the plain path of a file. Addresses with `file:` and `:memory:` are refused. Use
    /// [`MemoryStore`](saga_core::store::MemoryStore) for a store in memory. Symbolic links are followed. A symbolic
    /// link without a target is refused. A file with several hard links is refused as well.
    ///
    /// # Errors
    /// - [`StoreError::Open`] with the reason and the remedy.
    /// - [`StoreError::Owned`] if the file needs a migration and is in use.
    /// - [`StoreError::Full`] if there is no space. Nothing was written. The call can be repeated when there is space.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        SqliteStore::start(resolve(path.as_ref())?, self)
    }
}
