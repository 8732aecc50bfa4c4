//! Errors of the server, by what the store does next.

use saga_core::message::BoxError;
use saga_core::store::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// What an error of a statement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The statement cannot be written, now or later. Only the step with this value is concerned.
    Step,
    /// The condition of the statement does not hold: the fence, or a row that is not as it was.
    Condition,
    /// The server has no space left.
    Full,
    /// The server has found a damaged page or index.
    Damaged,
    /// The server or the network does not answer now.
    Unavailable,
    /// The tables, the database or the rights are not as they must be.
    Setting,
}

pub(crate) fn kind(error: &Error) -> Kind {
    let Some(code) = error.code() else { return Kind::Unavailable };
    if *code == SqlState::DIVISION_BY_ZERO {
        return Kind::Condition;
    }
    if *code == SqlState::DISK_FULL {
        return Kind::Full;
    }
    if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) {
        return Kind::Damaged;
    }
    match &code.code()[..2] {
        "21" | "22" | "23" | "54" => Kind::Step,
        "42" | "3D" | "3F" | "28" => Kind::Setting,
        _ => Kind::Unavailable,
    }
}

/// Returns the error for the caller of an open store. `name` is the name of the store.
///
/// A role or a right that is missing now may be there again later, so the call can be repeated. A value that the server cannot
/// take never can.
pub(crate) fn of_store(name: &str, error: Error) -> StoreError {
    match kind(&error) {
        Kind::Full => StoreError::Full { store: name.to_owned(), source: error.into() },
        Kind::Step => refuse(name, format!("the server cannot take a value: {}", said(&error))),
        Kind::Setting => {
            tracing::warn!(error = said(&error), "the server refuses the role or a table; trying again");
            unavailable(name, error)
        }
        Kind::Damaged => StoreError::Corrupt { store: name.to_owned(), detail: said(&error) },
        Kind::Condition | Kind::Unavailable => unavailable(name, error),
    }
}

/// Returns the error for the opening of a store. A role or a right that is missing is said at once.
pub(crate) fn of_opening(name: &str, error: Error) -> StoreError {
    match kind(&error) {
        Kind::Setting => {
            refuse(name, format!("{}; migrate the schema, or give this role its rights", said(&error)))
        }
        _ => of_store(name, error),
    }
}

pub(crate) fn unavailable(name: &str, source: impl Into<BoxError>) -> StoreError {
    StoreError::Unavailable { store: name.to_owned(), source: source.into() }
}

/// Returns the text of an error. The client prints only `db error` for an error of the server.
pub(crate) fn said(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => saga_core::message::chain(error).to_string(),
    }
}

pub(crate) fn refuse(name: &str, detail: impl Into<String>) -> StoreError {
    StoreError::Open { store: name.to_owned(), detail: detail.into() }
}
