//! The location of the store, and the identity of its file.
//!
//! Owns: the path, the files beside the database, and the wake file. Does not own: the resolution of paths (`resolve`).
//! This module never opens the database file or its shared memory with `std::fs`. Closing such a handle would drop
//! SQLite's own locks.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use saga_core::store::StoreError;

use crate::error::unavailable;
use crate::options::SqliteOptions;

/// The file of the store, by path and by identity.
#[derive(Debug)]
pub(crate) struct StoreFile {
    path: PathBuf,
    name: String,
    identity: OnceLock<Identity>,
    woken: Mutex<Option<SystemTime>>,
    pub(crate) options: SqliteOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// On these platforms an open file cannot be replaced. Only its existence is checked.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

impl StoreFile {
    /// Creates the place for a resolved path.
    pub(crate) fn new(path: PathBuf, options: SqliteOptions) -> Self {
        let name = path.display().to_string();
        Self { path, name, identity: OnceLock::new(), woken: Mutex::new(None), options }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the store in errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path with `.extension` appended.
    pub(crate) fn beside(&self, extension: &str) -> PathBuf {
        self.followed_by(&format!(".{extension}"))
    }

    fn followed_by(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Returns whether a write-ahead log with content exists.
    pub(crate) fn has_log(&self) -> bool {
        fs::metadata(self.followed_by("-wal")).is_ok_and(|log| log.len() > 0)
    }

    /// Returns whether the shared index of the log exists. The index exists while any process has the file open with a
    /// log.
    pub(crate) fn has_log_index(&self) -> bool {
        self.followed_by("-shm").exists()
    }

    /// Creates a file beside the database, writes to the file and removes it. The error of this test says more than the
    /// error of SQLite. Permissions alone are not sufficient for a reliable answer.
    pub(crate) fn probe(&self) -> std::io::Result<()> {
        let probe = self.beside(&format!("probe-{}", std::process::id()));
        let mut file = File::options().write(true).create_new(true).open(&probe)?;
        let written = file.write_all(b"probe");
        // A remaining file is harmless, because no code reads it.
        let _ = fs::remove_file(&probe);
        written
    }

    /// Stores the identity of the file after opening.
    pub(crate) fn settle(&self) -> std::io::Result<()> {
        let identity = Identity::of(&fs::metadata(&self.path)?);
        self.identity.get_or_init(|| identity);
        *self.last_wake() = self.wake_time();
        Ok(())
    }

    /// Checks that the file is still the opened file.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let now = fs::metadata(&self.path).map(|metadata| Identity::of(&metadata));
        match (now, self.identity.get()) {
            (Ok(now), Some(then)) if now == *then => Ok(()),
            (Ok(_), None) => Ok(()),
            // The existence of the file is unknown, for example if the file system does not answer.
            (Err(error), _) if error.kind() != ErrorKind::NotFound => Err(unavailable(&self.name, error)),
            _ => Err(StoreError::Moved { store: self.name.clone() }),
        }
    }

    /// Notifies the process of the dispatcher about a delivery.
    pub(crate) fn wake(&self) {
        let touch = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(self.beside("wake"))?;
            file.set_times(FileTimes::new().set_modified(SystemTime::now()))
        };
        // The wake file is only a hint. The scan once a minute also finds the delivery.
        if let Err(error) = touch() {
            tracing::warn!(store = self.name, %error, "cannot touch the wake file");
        }
    }

    /// Returns whether the wake file was touched since the last check.
    pub(crate) fn was_woken(&self) -> bool {
        let now = self.wake_time();
        std::mem::replace(&mut *self.last_wake(), now) != now
    }

    fn wake_time(&self) -> Option<SystemTime> {
        fs::metadata(self.beside("wake")).and_then(|metadata| metadata.modified()).ok()
    }

    fn last_wake(&self) -> std::sync::MutexGuard<'_, Option<SystemTime>> {
        // A poisoned lock is harmless here, because the time is a single value.
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
