//! A handle that only reads.
//!
//! Owns: the opening of a file for reading alone. Does not own: the reads (`inspect`), or their threads (`read`).

use std::path::Path;
use std::sync::Arc;

use saga_core::store::StoreError;

use crate::SqliteStore;
use crate::open;
use crate::read::Readers;
use crate::refusal::refuse;
use crate::resolve::resolve;
use crate::schema::{self, Schema};
use crate::store_file::StoreFile;

/// Reads one SQLite file, and never changes it. Implements [`Inspect`](saga_core::store::Inspect) alone.
///
/// A reader and the dispatcher can use the file at the same time, also in different processes. Clones share threads and
/// connections. The last clone closes them.
#[derive(Clone)]
pub struct SqliteReader {
    pub(crate) readers: Arc<Readers>,
}

impl SqliteReader {
    /// Opens an existing file for reading. Nothing is created, migrated or repaired.
    ///
    /// SQLite keeps two files beside the file. They must exist, or the directory must be writable.
    ///
    /// # Errors
    /// [`StoreError::Open`] with the reason and the remedy: the file is missing, has no tables of a store, or has tables
    /// of an earlier or a later version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = SqliteStore::options().create(false);
        let place = Arc::new(StoreFile::new(resolve(path.as_ref())?, options));
        open::check_for_reading(&place)?;
        place.settle().map_err(|error| refuse(&place, error.to_string()))?;
        let readers = Readers::start(&place).map_err(|error| refuse(&place, error.to_string()))?;
        Ok(Self { readers: Arc::new(readers) })
    }

    /// Returns the version of the tables of an existing file, also of an earlier or a newer version. Nothing is created,
    /// migrated or repaired. The dispatcher can use the file at the same time.
    ///
    /// # Errors
    /// [`StoreError::Open`] with the reason and the remedy: the file is missing, or has no tables of a store.
    pub fn schema(path: impl AsRef<Path>) -> Result<Schema, StoreError> {
        let options = SqliteStore::options().create(false);
        let place = StoreFile::new(resolve(path.as_ref())?, options);
        schema::status(&place, &open::existing(&place)?)
    }

    /// Returns the absolute path of the file, without symbolic links.
    pub fn path(&self) -> &Path {
        self.readers.place().path()
    }
}

impl std::fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteReader").field("path", &self.path()).finish_non_exhaustive()
    }
}
