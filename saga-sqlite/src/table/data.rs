//! `saga_data`: the large data of instances. A step that leaves the data unchanged does not write it.

use rusqlite::{Connection, Result};
use saga_core::store::RowId;

super::statements! {
    INSERT = "INSERT INTO saga_data (instance, data) VALUES (?1, ?2)";
    CHANGE = "UPDATE saga_data SET data = ?2 WHERE instance = ?1 AND data IS NOT ?2";
    DELETE = "DELETE FROM saga_data WHERE instance = ?1";
}

pub(crate) fn insert(db: &Connection, instance: RowId, data: &str) -> Result<()> {
    db.prepare_cached(INSERT)?.execute((instance.0, data))?;
    Ok(())
}

/// Writes the data if it differs from the stored data. A read costs less than a write.
pub(crate) fn change(db: &Connection, instance: RowId, data: &str) -> Result<()> {
    db.prepare_cached(CHANGE)?.execute((instance.0, data))?;
    Ok(())
}

pub(crate) fn delete(db: &Connection, instance: RowId) -> Result<()> {
    db.prepare_cached(DELETE)?.execute((instance.0,))?;
    Ok(())
}
