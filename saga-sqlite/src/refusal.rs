//! The error texts for a file that cannot be opened: the problem and the remedy.
//!
//! Owns: the meaning of an error during opening. Does not own: the meaning of a later error (`error`), or the possible
//! paths of a store (`resolve`). No text contains the path. The surrounding error contains the path.

use std::io;

use rusqlite::{Error, ErrorCode, ffi};
use saga_core::message::BoxError;
use saga_core::store::StoreError;

use crate::error::{Kind, kind};
use crate::store_file::StoreFile;

const READ_ONLY_FILE: &str = "the file is read-only; give this process the right to write to it";
const READ_ONLY_DIRECTORY: &str =
    "its directory is read-only; give this process the right to create files in it";
const READ_ONLY_BOTH: &str =
    "the file and its directory are read-only; give this process the right to write to both";
const READ_ONLY_BESIDE: &str = "a file beside it (`-wal`, `-shm` or `-journal`) is read-only; \
                                give this process the right to write to it";
const CANNOT_OPEN: &str = "SQLite cannot open the file or one beside it (`-wal`, `-shm` or `-journal`); \
                           give this process the right to read and write them";

pub(crate) fn refuse(place: &StoreFile, detail: impl Into<String>) -> StoreError {
    StoreError::Open { store: place.name().to_owned(), detail: detail.into() }
}

/// Returns the error for a file that could not be created.
pub(crate) fn uncreated(place: &StoreFile, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => refuse(place, "its directory does not exist; create it first"),
        _ if is_read_only(&error) => refuse(place, READ_ONLY_DIRECTORY),
        _ if is_full(&error) => full(place, error),
        _ => refuse(place, format!("the file cannot be created: {error}")),
    }
}

/// Whether the file system has no space left for a file.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether this process has no right to write a file.
fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Returns the error for missing space. Nothing was written, and the same call succeeds when there is space.
pub(crate) fn full(place: &StoreFile, source: impl Into<BoxError>) -> StoreError {
    StoreError::Full { store: place.name().to_owned(), source: source.into() }
}

/// Returns the error for a file that SQLite would open read-only. SQLite itself never returns this code for a file. The
/// code therefore differs from the code for a read-only log of a writable file.
pub(crate) fn protected() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_PERM), Some("the file is read-only".to_owned()))
}

/// Converts an error during opening into the problem and the remedy.
pub(crate) fn explain(place: &StoreFile, error: Error) -> StoreError {
    let Error::SqliteFailure(failure, _) = &error else { return refuse(place, error.to_string()) };
    let beside = match failure.code {
        ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::SystemIoFailure => place.probe().err(),
        _ => None,
    };
    if kind(&error) == Kind::Full || beside.as_ref().is_some_and(is_full) {
        return full(place, error);
    }
    let takes_no_file = beside.as_ref().is_some_and(is_read_only);
    let detail = match failure.code {
        ErrorCode::NotADatabase => "the file is not an SQLite database; name another file",
        ErrorCode::PermissionDenied if takes_no_file => READ_ONLY_BOTH,
        ErrorCode::PermissionDenied => READ_ONLY_FILE,
        ErrorCode::ReadOnly => match failure.extended_code {
            ffi::SQLITE_READONLY_DBMOVED => "the file was deleted or replaced meanwhile; open it again",
            ffi::SQLITE_READONLY_DIRECTORY => READ_ONLY_DIRECTORY,
            _ if takes_no_file => READ_ONLY_DIRECTORY,
            _ => READ_ONLY_BESIDE,
        },
        ErrorCode::CannotOpen if takes_no_file => READ_ONLY_DIRECTORY,
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure if let Some(beside) = &beside => {
            return refuse(
                place,
                format!("{error}; no file beside the database file can be written: {beside}"),
            );
        }
        ErrorCode::CannotOpen => CANNOT_OPEN,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "the file is locked by another process; end its transaction and try again"
        }
        ErrorCode::DatabaseCorrupt => {
            return refuse(place, format!("the file is damaged ({error}); restore it from a backup"));
        }
        _ => return refuse(place, error.to_string()),
    };
    refuse(place, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;

    /// Returns the text for `saga.db` in `directory` after an error with this code.
    fn said(directory: &str, code: std::ffi::c_int) -> String {
        let place = StoreFile::new(format!("{directory}/saga.db").into(), SqliteStore::options());
        let text = explain(&place, Error::SqliteFailure(ffi::Error::new(code), None)).to_string();
        let named = format!("cannot open {directory}/saga.db: ");
        text.strip_prefix(&named).expect("the path comes first").to_owned()
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let said = |code| said(dir.path().to_str().unwrap(), code);
        assert_eq!(said(ffi::SQLITE_PERM), READ_ONLY_FILE);
        assert_eq!(said(ffi::SQLITE_READONLY_DIRECTORY), READ_ONLY_DIRECTORY);
        assert_eq!(
            said(ffi::SQLITE_BUSY),
            "the file is locked by another process; end its transaction and try again"
        );
        assert_eq!(said(ffi::SQLITE_READONLY_CANTINIT), READ_ONLY_BESIDE);
        assert_eq!(said(ffi::SQLITE_CANTOPEN), CANNOT_OPEN);
        assert!(said(ffi::SQLITE_READONLY_DBMOVED).contains("deleted or replaced"));
        assert!(said(ffi::SQLITE_CORRUPT).contains("restore it from a backup"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the probe is gone");
    }

    /// No user can create a file in `/sys`, including the superuser.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_directory_is_called_read_only_when_it_takes_no_file() {
        if !std::path::Path::new("/sys").is_dir() {
            return;
        }
        assert_eq!(said("/sys", ffi::SQLITE_CANTOPEN), READ_ONLY_DIRECTORY);
        assert_eq!(said("/sys", ffi::SQLITE_READONLY), READ_ONLY_DIRECTORY);
        assert_eq!(said("/sys", ffi::SQLITE_PERM), READ_ONLY_BOTH);
    }
}
