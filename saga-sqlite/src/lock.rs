//! The owner lock: only one process runs the dispatcher. An operating system lock on `<db>.lock` ensures this.
//!
//! The lock ends with the process, after any kind of exit. No clean-up is necessary, and the lock file stays. The lock
//! file is separate from the database file. Opening and closing the database file would drop SQLite's own locks.
//!
//! The lock file represents the database file, because the database file has one resolved path and one name
//! (`resolve`). The path is checked again after the lock is taken. Two handles in one process exclude each other in the
//! same way.

use std::collections::hash_map::RandomState;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use saga_core::store::StoreError;

use crate::error::unavailable;
use crate::refusal::{full, is_full};
use crate::store_file::StoreFile;

/// The time to wait for an ending dispatcher of this process. Its last handle may just have been dropped.
const ENDING: Duration = Duration::from_secs(2);
/// The interval between two attempts to take the lock.
const AGAIN: Duration = Duration::from_millis(5);

/// The lock, held until drop.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    _file: File,
}

impl OwnerLock {
    /// Takes the lock and writes `owner` into the lock file.
    pub(crate) fn take(place: &StoreFile, owner: &str) -> Result<Self, StoreError> {
        let trouble = |error: std::io::Error| {
            if is_full(&error) {
                return full(place, error);
            }
            let why = format!(
                "the `.lock` file of the store cannot be used ({error}); make the `.lock` file writable"
            );
            unavailable(place.name(), why)
        };
        let mut file = open(&place.beside("lock")).map_err(trouble)?;
        match take_from_ending(&mut file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The text is only for people. The lock itself has already decided.
                let read = file.read_to_string(&mut text);
                let first = text.lines().next().unwrap_or_default().trim();
                let owner =
                    if read.is_ok() && !first.is_empty() { first } else { "another process" }.to_owned();
                return Err(StoreError::Owned { store: place.name().to_owned(), owner });
            }
            Err(TryLockError::Error(error)) => return Err(trouble(error)),
        }
        // The database file may have been replaced before the lock was taken.
        place.check()?;
        let mut write = || {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            // The first line is for people.
            writeln!(file, "{owner} (process {})\n{}", std::process::id(), own_mark())
        };
        write().map_err(trouble)?;
        Ok(Self { _file: file })
    }
}

/// Takes the lock. Waits for an ending dispatcher of this process.
fn take_from_ending(file: &mut File) -> Result<(), TryLockError> {
    let until = Instant::now() + ENDING;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until && is_own(file) => {
                std::thread::sleep(AGAIN);
            }
            taken => return taken,
        }
    }
}

/// Returns the random mark of this process. In two containers, two processes often have the same number.
fn own_mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| format!("{:016x}", RandomState::new().build_hasher().finish()))
}

/// Returns whether the lock file names this process.
fn is_own(file: &mut File) -> bool {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    let rewound = file.seek(SeekFrom::Start(0));
    read.is_ok() && rewound.is_ok() && text.lines().nth(1) == Some(own_mark())
}

/// Opens a file beside the database. A new file is accessible only to its owner.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_the_same_number_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(&folder.path().join("lock")).unwrap();
        let mut names = |mark: &str| {
            file.set_len(0).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            write!(file, "a shop (process {})\n{mark}", std::process::id()).unwrap();
            is_own(&mut file)
        };
        assert!(names(own_mark()));
        assert!(!names("0123456789abcdef"), "another container");
        assert!(!names(""), "an earlier release");
    }
}
