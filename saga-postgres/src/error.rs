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
    match &code.code()[..2] {
        "22" | "23" | "54" => Kind::Step,
        "42" | "3D" | "3F" | "28" => Kind::Setting,
        _ => Kind::Unavailable,
    }
}

/// Returns the error for the caller. `name` is the name of the store.
pub(crate) fn of_store(name: &str, error: Error) -> StoreError {
    match kind(&error) {
        Kind::Full => StoreError::Full { store: name.to_owned(), source: error.into() },
        Kind::Setting => StoreError::Open {
            store: name.to_owned(),
            detail: format!("{}; migrate the schema, or give this role its rights", said(&error)),
        },
        _ => unavailable(name, error),
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
