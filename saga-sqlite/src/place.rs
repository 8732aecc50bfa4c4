//! Which file this store is, and whether it still is that file.
//!
//! Owns: the path, the files beside it, and the wake file. Does not own: how a path is found from what an application
//! names (`resolve`). Never opens the database file or its shared memory with `std::fs`: closing such a handle would drop
//! SQLite's own locks on them.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use saga_core::store::StoreError;

use crate::error::unavailable;
use crate::options::SqliteOptions;

/// The file, by path and by identity.
#[derive(Debug)]
pub(crate) struct Place {
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

    /// Elsewhere an open file cannot be replaced, so that it is still there is all there is to ask.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

impl Place {
    /// At a path that has been resolved.
    pub(crate) fn new(path: PathBuf, options: SqliteOptions) -> Self {
        let name = path.display().to_string();
        Self { path, name, identity: OnceLock::new(), woken: Mutex::new(None), options }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How errors name the store.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The path with `.extension` appended.
    pub(crate) fn beside(&self, extension: &str) -> PathBuf {
        self.followed_by(&format!(".{extension}"))
    }

    fn followed_by(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Whether there is a write-ahead log with anything in it.
    pub(crate) fn has_log(&self) -> bool {
        fs::metadata(self.followed_by("-wal")).is_ok_and(|log| log.len() > 0)
    }

    /// Whether the log's shared index is there, as it is while anybody has a file with a log open.
    pub(crate) fn has_log_index(&self) -> bool {
        self.followed_by("-shm").exists()
    }

    /// Creates a file beside the database, writes to it and removes it. The error says more than SQLite's: permissions
    /// alone do not tell, and SQLite says only that it cannot open or write a file.
    pub(crate) fn probe(&self) -> std::io::Result<()> {
        let probe = self.beside(&format!("probe-{}", std::process::id()));
        let mut file = File::options().write(true).create_new(true).open(&probe)?;
        let written = file.write_all(b"probe");
        // Nobody reads it, so one that stays is litter and no harm.
        let _ = fs::remove_file(&probe);
        written
    }

    /// Remembers which file this is, once it is open.
    pub(crate) fn settle(&self) -> std::io::Result<()> {
        let identity = Identity::of(&fs::metadata(&self.path)?);
        self.identity.get_or_init(|| identity);
        *self.last_wake() = self.wake_time();
        Ok(())
    }

    /// Whether the file is still the one that was opened.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let now = fs::metadata(&self.path).map(|metadata| Identity::of(&metadata));
        match (now, self.identity.get()) {
            (Ok(now), Some(then)) if now == *then => Ok(()),
            (Ok(_), None) => Ok(()),
            // Whether it is still there is not known, for example on a file system that does not answer.
            (Err(error), _) if error.kind() != ErrorKind::NotFound => Err(unavailable(&self.name, error)),
            _ => Err(StoreError::Moved { store: self.name.clone() }),
        }
    }

    /// Tells the dispatcher's process that something was delivered.
    pub(crate) fn wake(&self) {
        let touch = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(self.beside("wake"))?;
            file.set_times(FileTimes::new().set_modified(SystemTime::now()))
        };
        // A hint: without it the delivery is found by the scan once a minute.
        if let Err(error) = touch() {
            tracing::warn!(store = self.name, %error, "cannot touch the wake file");
        }
    }

    /// Whether the wake file was touched since the last look.
    pub(crate) fn was_woken(&self) -> bool {
        let now = self.wake_time();
        std::mem::replace(&mut *self.last_wake(), now) != now
    }

    fn wake_time(&self) -> Option<SystemTime> {
        fs::metadata(self.beside("wake")).and_then(|metadata| metadata.modified()).ok()
    }

    fn last_wake(&self) -> std::sync::MutexGuard<'_, Option<SystemTime>> {
        // A time is one value: a panic elsewhere cannot leave half of it.
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
