//! `saga_retired`: retired names, each with its present name.

use rusqlite::{Connection, Result, Row};
use saga_core::store::{NameOf, RetiredName};

use super::value::{text, word};

super::statements! {
    RENAME = "UPDATE OR REPLACE saga_retired SET saga = ?2 WHERE what IN ('state', 'event', 'command') AND saga = ?1";
    LEAD = "UPDATE saga_retired SET name = ?4 WHERE what = ?1 AND saga = ?2 AND name = ?3";
    INSERT = "INSERT INTO saga_retired (what, saga, was, name) VALUES (?1, ?2, ?3, ?4)
              ON CONFLICT (what, saga, was) DO UPDATE SET name = excluded.name
                  WHERE saga_retired.name <> excluded.name";
    DELETE = "DELETE FROM saga_retired WHERE what = ?1 AND saga = ?2 AND was = ?3";
    EARLIER = "SELECT was FROM saga_retired WHERE what = 'saga' AND saga = '' AND name = ?1";
    ALL = "SELECT what, saga, was, name FROM saga_retired";
}

/// Retires the name. Names retired earlier then lead to the present name. The present name is no longer retired.
pub(crate) fn retire(db: &Connection, retired: &RetiredName) -> Result<()> {
    let (what, RetiredName { saga, was, name, .. }) = (retired.what.as_str(), retired);
    db.prepare_cached(LEAD)?.execute((what, saga, was, name))?;
    db.prepare_cached(INSERT)?.execute((what, saga, was, name))?;
    db.prepare_cached(DELETE)?.execute((what, saga, name))?;
    Ok(())
}

/// Returns the earlier names of a saga.
pub(crate) fn earlier(db: &Connection, saga: &str) -> Result<Vec<String>> {
    let mut statement = db.prepare_cached(EARLIER)?;
    let rows = statement.query_map((saga,), |row| row.get(0))?;
    rows.collect()
}

/// Reads a row of [`ALL`].
pub(crate) fn read(row: &Row<'_>) -> Result<RetiredName> {
    Ok(RetiredName {
        what: word(row, 0, NameOf::parse)?,
        saga: text(row, 1)?.to_owned(),
        was: text(row, 2)?.to_owned(),
        name: text(row, 3)?.to_owned(),
    })
}
