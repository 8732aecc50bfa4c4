//! `saga_alias`: the aliases of instances, each unique within its saga.

use rusqlite::{Connection, OptionalExtension, Result};
use saga_core::message::{Alias, InstanceName, Key};
use saga_core::store::{Address, RowId};

use super::value::{key, key_only, name};

super::statements! {
    CLAIM = "INSERT INTO saga_alias (saga, alias, instance) SELECT saga, ?2, id FROM saga_instance WHERE id = ?1
             ON CONFLICT DO NOTHING";
    RELEASE = "DELETE FROM saga_alias
               WHERE saga = (SELECT saga FROM saga_instance WHERE id = ?1) AND alias = ?2 AND instance = ?1";
    RELEASE_ALL = "DELETE FROM saga_alias WHERE instance = ?1";
    HOLDER = "SELECT owner.id, owner.key FROM saga_instance AS claimer, saga_alias, saga_instance AS owner
              WHERE claimer.id = ?1 AND saga_alias.saga = claimer.saga AND alias = ?2 AND owner.id = instance";
    OWNER = "SELECT saga_instance.saga, key FROM saga_alias JOIN saga_instance ON saga_instance.id = instance
             WHERE saga_alias.saga = ?1 AND alias = ?2";
    RENAME = "UPDATE saga_alias SET saga = ?2 WHERE saga = ?1";
    CLASH = "SELECT alias FROM saga_alias AS one WHERE saga = ?1
               AND EXISTS (SELECT 1 FROM saga_alias AS other WHERE other.saga = ?2 AND other.alias = one.alias) LIMIT 1";
    OF_INSTANCE = "SELECT alias FROM saga_alias WHERE instance = ?1 ORDER BY alias";
}

/// Claims the alias for an instance. Returns the key of another holder, if there is one.
pub(crate) fn claim(db: &Connection, instance: RowId, alias: &Alias) -> Result<Option<Key>> {
    let alias = InstanceName::from(alias);
    if db.prepare_cached(CLAIM)?.execute((instance.0, alias.stored()))? == 1 {
        return Ok(None);
    }
    let holder = db
        .prepare_cached(HOLDER)?
        .query_row((instance.0, alias.stored()), |row| Ok((RowId(row.get(0)?), key_only(row, 1)?)))?;
    Ok((holder.0 != instance).then_some(holder.1))
}

/// Releases the alias if the instance holds it.
pub(crate) fn release(db: &Connection, instance: RowId, alias: &Alias) -> Result<()> {
    db.prepare_cached(RELEASE)?.execute((instance.0, InstanceName::from(alias).stored()))?;
    Ok(())
}

pub(crate) fn release_all(db: &Connection, instance: RowId) -> Result<()> {
    db.prepare_cached(RELEASE_ALL)?.execute((instance.0,))?;
    Ok(())
}

pub(crate) fn owner(db: &Connection, alias: &Address) -> Result<Option<Address>> {
    db.prepare_cached(OWNER)?
        .query_row((&alias.saga, alias.key.stored()), |row| {
            Ok(Address { saga: name(row, 0)?, key: key(row, 1)? })
        })
        .optional()
}

/// Returns an alias that instances of both sagas hold.
pub(crate) fn clash(db: &Connection, was: &str, name: &str) -> Result<Option<InstanceName>> {
    db.prepare_cached(CLASH)?.query_row((was, name), |row| key(row, 0)).optional()
}

/// Returns the aliases of an instance, ordered by text.
pub(crate) fn of_instance(db: &Connection, instance: RowId) -> Result<Vec<Alias>> {
    let mut statement = db.prepare_cached(OF_INSTANCE)?;
    let rows = statement.query_map((instance.0,), |row| key(row, 0))?;
    // The column holds aliases only.
    rows.filter_map(|name| name.map(|name| name.as_alias()).transpose()).collect()
}
