//! The classification of SQLite errors: an error of one step, or an error of the whole store (rule R31).

use rusqlite::{Error, ErrorCode};
use saga_core::store::StoreError;

/// `SQLITE_IOERR_SHMSIZE`: the disk is full, and the shared memory file cannot grow.
const IOERR_SHMSIZE: i32 = 4874;

/// The class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An error of one step. A repetition would fail again.
    Step,
    /// No space left.
    Full,
    /// The store cannot answer now.
    Unavailable,
    /// The file contradicts itself.
    Corrupt,
}

pub(crate) fn kind(error: &Error) -> Kind {
    let failure = match error {
        Error::SqliteFailure(failure, _) => failure,
        // The statements are constants. An error in the SQL therefore means unexpected tables.
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

/// Converts the error for the caller. `store` is the name of the store.
pub(crate) fn of_store(store: &str, error: Error) -> StoreError {
    let store = store.to_owned();
    match kind(&error) {
        Kind::Full => StoreError::Full { store, source: error.into() },
        Kind::Unavailable => StoreError::Unavailable { store, source: error.into() },
        // Outside a step, such an error means damaged tables or rows.
        Kind::Corrupt | Kind::Step => StoreError::Corrupt { store, detail: error.to_string() },
    }
}

pub(crate) fn unavailable(store: &str, why: impl Into<saga_core::message::BoxError>) -> StoreError {
    StoreError::Unavailable { store: store.to_owned(), source: why.into() }
}
