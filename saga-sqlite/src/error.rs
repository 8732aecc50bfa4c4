//! What an error of SQLite means for a commit (rule R31): this step's own trouble, or the whole store's.

use rusqlite::{Error, ErrorCode};
use saga_core::store::StoreError;

/// `SQLITE_IOERR_SHMSIZE`: how a full disk shows when the shared memory file cannot grow.
const IOERR_SHMSIZE: i32 = 4874;

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One step, which would fail again.
    Step,
    /// No room left.
    Full,
    /// The store cannot answer now.
    Unavailable,
    /// The file contradicts itself.
    Corrupt,
}

pub(crate) fn kind(error: &Error) -> Kind {
    let failure = match error {
        Error::SqliteFailure(failure, _) => failure,
        // Our statements are fixed, so it is the tables that are not as they should be.
        Error::SqlInputError { .. } => return Kind::Corrupt,
        _ => return Kind::Step,
    };
    match failure.code {
        ErrorCode::DiskFull => Kind::Full,
        ErrorCode::SystemIoFailure if failure.extended_code == IOERR_SHMSIZE => Kind::Full,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => Kind::Corrupt,
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory
        | ErrorCode::CannotOpen
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::SchemaChanged
        | ErrorCode::OperationInterrupted
        | ErrorCode::InternalMalfunction
        | ErrorCode::ApiMisuse => Kind::Unavailable,
        _ => Kind::Step,
    }
}

/// The error as the store's caller sees it; `store` names the store.
pub(crate) fn of_store(store: &str, error: Error) -> StoreError {
    let store = store.to_owned();
    match kind(&error) {
        Kind::Full => StoreError::Full { store, source: error.into() },
        Kind::Unavailable => StoreError::Unavailable { store, source: error.into() },
        // Where there is no step to blame, it is the tables or a row that are not as they should be.
        Kind::Corrupt | Kind::Step => StoreError::Corrupt { store, detail: error.to_string() },
    }
}

pub(crate) fn unavailable(store: &str, why: impl Into<saga_core::message::BoxError>) -> StoreError {
    StoreError::Unavailable { store: store.to_owned(), source: why.into() }
}
