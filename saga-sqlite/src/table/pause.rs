//! `saga_pause`: paused sagas and handlers.

use rusqlite::{Connection, Result, Row};
use saga_core::store::{Pause, PauseChange, PauseOf};

use super::value::{bad, text, time};

super::statements! {
    RENAME = "UPDATE OR IGNORE saga_pause SET name = ?2 WHERE kind IN ('saga', 'consumer') AND name = ?1";
    FORGET = "DELETE FROM saga_pause WHERE kind IN ('saga', 'consumer') AND name = ?1";
    RETURN = "DELETE FROM saga_pause WHERE kind = 'consumer' AND name = ?1";
    PUT = "INSERT INTO saga_pause (kind, name, who, why, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    DELETE = "DELETE FROM saga_pause WHERE kind = ?1 AND name = ?2";
    ALL = "SELECT kind, name, who, why, at FROM saga_pause ORDER BY kind, name";
}

pub(crate) fn change(db: &Connection, change: &PauseChange) -> Result<()> {
    match change {
        PauseChange::Pause(Pause { of, who, why, at }) => {
            db.prepare_cached(PUT)?.execute((of.kind(), of.name(), who, why, at.as_millis()))?
        }
        PauseChange::Resume(of) => db.prepare_cached(DELETE)?.execute((of.kind(), of.name()))?,
    };
    Ok(())
}

/// Gives the pause of the saga `was` to `name`. A pause of `name` stays.
pub(crate) fn rename(db: &Connection, was: &str, name: &str) -> Result<()> {
    db.prepare_cached(RENAME)?.execute((was, name))?;
    db.prepare_cached(FORGET)?.execute((was,))?;
    Ok(())
}

/// Ends the retirement of a consumer.
pub(crate) fn end_retirement(db: &Connection, consumer: &str) -> Result<()> {
    db.prepare_cached(RETURN)?.execute((consumer,))?;
    Ok(())
}

/// Reads a row of [`ALL`].
pub(crate) fn read(row: &Row<'_>) -> Result<Pause> {
    let (kind, name) = (text(row, 0)?, text(row, 1)?);
    let of = PauseOf::from_stored(kind, name).ok_or_else(|| bad(0, UnknownKind(kind.to_owned())))?;
    Ok(Pause { of, who: text(row, 2)?.to_owned(), why: text(row, 3)?.to_owned(), at: time(row, 4)? })
}

#[derive(Debug, thiserror::Error)]
#[error("this version does not know the pause of a `{0}`")]
struct UnknownKind(String);
