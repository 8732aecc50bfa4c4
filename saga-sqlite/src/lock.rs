//! The right of one process to run the dispatcher: an operating system lock on `<db>.lock`.
//!
//! The lock ends with the process, however it ends, so it never has to be cleaned up; the file itself stays. It is a
//! file of its own because opening and closing the database file would drop the locks SQLite holds on it. It stands for
//! the database file because that has one resolved path and one name (`resolve`), which is looked at once more when the
//! lock has been taken. Two handles of one process exclude each other by it as two processes do.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use saga_core::store::StoreError;

use crate::error::unavailable;
use crate::place::Place;

/// How long a dispatcher of this process is waited for: its last handle may just have been dropped.
const ENDING: Duration = Duration::from_secs(2);
/// How often it is looked whether it has ended.
const AGAIN: Duration = Duration::from_millis(5);

/// Held for as long as this lives.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    _file: File,
}

impl OwnerLock {
    /// Takes the lock for `owner`.
    pub(crate) fn take(place: &Place, owner: &str) -> Result<Self, StoreError> {
        let trouble = |error: std::io::Error| {
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                return StoreError::Full { store: place.name().to_owned(), source: error.into() };
            }
            let why =
                format!("its lock file, which ends in `.lock`, cannot be used ({error}); make it writable");
            unavailable(place.name(), why)
        };
        let mut file = open(&place.beside("lock")).map_err(trouble)?;
        match take_from_ending(&mut file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for people: the lock itself has answered already.
                let owner = match file.read_to_string(&mut text) {
                    Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
                    _ => "another process".to_owned(),
                };
                return Err(StoreError::Owned { store: place.name().to_owned(), owner });
            }
            Err(TryLockError::Error(error)) => return Err(trouble(error)),
        }
        place.check()?;
        let mut write = || {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{owner} (process {})", std::process::id())
        };
        write().map_err(trouble)?;
        Ok(Self { _file: file })
    }
}

/// Takes the lock. A dispatcher of this very process that has it may be about to end: it is waited for.
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

/// Whether the lock says that this process has it.
fn is_own(file: &mut File) -> bool {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    let own = format!("(process {})", std::process::id());
    let rewound = file.seek(SeekFrom::Start(0));
    read.is_ok() && rewound.is_ok() && text.trim_end().ends_with(&own)
}

/// Opens a file beside the database, created for its owner only.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
