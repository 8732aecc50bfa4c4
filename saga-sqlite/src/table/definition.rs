//! `saga_definition`: the definitions of sagas.

use rusqlite::{Connection, Result, Row};
use saga_core::definition::StoredDefinition;

use super::value::{bad, text};

super::statements! {
    RENAME = "UPDATE OR REPLACE saga_definition SET saga = ?2 WHERE saga = ?1";
    PUT = "INSERT INTO saga_definition (saga, version, body) VALUES (?1, ?2, ?3)
        ON CONFLICT (saga, version) DO UPDATE SET body = excluded.body";
    ALL = "SELECT saga, version, body FROM saga_definition ORDER BY saga, version";
}

/// Writes the definition. It replaces an earlier definition with the same version.
pub(crate) fn put(db: &Connection, definition: &StoredDefinition) -> Result<()> {
    let body = serde_json::to_string(definition)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    db.prepare_cached(PUT)?.execute((&definition.saga, definition.version, body))?;
    Ok(())
}

/// Reads a row of [`ALL`]. The columns decide the name and the version, because a rename changes only the column.
pub(crate) fn read(row: &Row<'_>) -> Result<StoredDefinition> {
    let mut definition: StoredDefinition =
        serde_json::from_str(text(row, 2)?).map_err(|error| bad(2, error))?;
    text(row, 0)?.clone_into(&mut definition.saga);
    definition.version = row.get(1)?;
    Ok(definition)
}
