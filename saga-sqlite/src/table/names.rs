//! `saga_name`: the number of each saga. Rows of instances and aliases have the number instead of the name.

use rusqlite::{Connection, OptionalExtension, Result};

super::statements! {
    INSERT = "INSERT INTO saga_name (name) VALUES (?1) RETURNING id";
    ALL = "SELECT id, name FROM saga_name";
    FIND = "SELECT id FROM saga_name WHERE name = ?1";
    IN_ORDER = "SELECT id, name FROM saga_name WHERE name >= ?1 ORDER BY name";
    IN_REVERSE = "SELECT id, name FROM saga_name WHERE name <= ?1 ORDER BY name DESC";
    RENAME = "UPDATE saga_name SET name = ?2 WHERE id = ?1";
    DELETE = "DELETE FROM saga_name WHERE id = ?1";
}

pub(crate) fn insert(db: &Connection, name: &str) -> Result<i64> {
    db.prepare_cached(INSERT)?.query_row((name,), |row| row.get(0))
}

pub(crate) fn all(db: &Connection) -> Result<Vec<(i64, String)>> {
    let mut statement = db.prepare_cached(ALL)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Returns the sagas from `name` on, in the order of their names or in reverse.
pub(crate) fn sorted(db: &Connection, name: &str, up: bool) -> Result<Vec<(i64, String)>> {
    let mut statement = db.prepare_cached(if up { IN_ORDER } else { IN_REVERSE })?;
    let rows = statement.query_map((name,), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

pub(crate) fn find(db: &Connection, name: &str) -> Result<Option<i64>> {
    db.prepare_cached(FIND)?.query_row((name,), |row| row.get(0)).optional()
}

pub(crate) fn rename(db: &Connection, saga: i64, name: &str) -> Result<()> {
    db.prepare_cached(RENAME)?.execute((saga, name))?;
    Ok(())
}

pub(crate) fn delete(db: &Connection, saga: i64) -> Result<()> {
    db.prepare_cached(DELETE)?.execute((saga,))?;
    Ok(())
}
