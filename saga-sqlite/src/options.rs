//! How a store is opened: what an application may choose, and nothing SQLite would let it break.

use std::path::Path;
use std::time::Duration;

use saga_core::store::StoreError;

use crate::SqliteStore;
use crate::resolve::resolve;

/// What a commit survives once it has been answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// `kill -9` and power loss.
    #[default]
    Durable,
    /// `kill -9`. Power loss may take the last moments of acknowledged work, but never damages the file. About three
    /// times as fast for single steps, hardly faster under load.
    Relaxed,
}

/// How to open a [`SqliteStore`]; see [`SqliteStore::options`].
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
            cache_kib: 64 * 1024,
            max_pages: None,
            create: true,
            busy_timeout: Duration::from_secs(5),
            transaction_limit: Duration::from_secs(1),
        }
    }
}

impl SqliteOptions {
    /// What an answered commit survives. Default [`Durability::Durable`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The page cache of the connection that writes, in KiB. Default 64 MiB.
    #[must_use]
    pub fn cache_kib(mut self, cache_kib: u32) -> Self {
        self.cache_kib = cache_kib;
        self
    }

    /// The largest size of the file, in pages of 4 KiB; a commit that needs more is [`StoreError::Full`]. Default: as
    /// the disk allows. The application's own transactions are not limited.
    #[must_use]
    pub fn max_pages(mut self, max_pages: u32) -> Self {
        self.max_pages = Some(max_pages);
        self
    }

    /// Whether a file that is not there is created. Default `true`.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How long a write waits for a transaction of another process, or of the application, before it is
    /// [`StoreError::Unavailable`]. Default five seconds, at most 24 days, which is as far as SQLite counts.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(Duration::from_millis(i32::MAX as u64));
        self
    }

    /// How long [`SqliteStore::transaction`] may hold the store before it is rolled back. Default one second: the
    /// dispatcher cannot commit meanwhile.
    #[must_use]
    pub fn transaction_limit(mut self, limit: Duration) -> Self {
        self.transaction_limit = limit;
        self
    }

    /// Opens the store at `path`, which is the plain path of a file: no `file:` address, and not `:memory:`, for which
    /// there is [`MemoryStore`](saga_core::store::MemoryStore). Symbolic links are followed, and those that lead nowhere
    /// are refused, as is a file with several hard links.
    ///
    /// # Errors
    /// [`StoreError::Open`] says why not and what to do, [`StoreError::Owned`] when the file must be migrated first
    /// and is in use, [`StoreError::Full`] when there is no room: nothing was written, and it can be opened when there is.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        SqliteStore::start(resolve(path.as_ref())?, self)
    }
}
