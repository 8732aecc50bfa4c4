//! `saga_alias`: the aliases of instances, each unique within its saga. An alias is also a pending item of its instance.

use rusqlite::{Connection, OptionalExtension, Result};
use saga_core::message::{Alias, InstanceName, Key};
use saga_core::store::{Address, RowId};

use super::value::{key, key_only, name};

super::statements! {
    CLAIM = "INSERT INTO saga_alias (saga, alias, instance) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    RELEASE = "DELETE FROM saga_alias WHERE saga = ?1 AND alias = ?2 AND instance = ?3";
    /// For a damaged instance only: its aliases are not known.
    RELEASE_ALL = "DELETE FROM saga_alias WHERE instance = ?1";
    HOLDER = "SELECT instance, (SELECT key FROM saga_instance WHERE id = instance) FROM saga_alias
              WHERE saga = ?1 AND alias = ?2";
    OWNER = "SELECT name, key FROM saga_name JOIN saga_alias ON saga_alias.saga = saga_name.id
                 JOIN saga_instance ON saga_instance.id = instance
             WHERE name = ?1 AND alias = ?2";
    /// For lists: the columns of a line, and its newest history line as its place.
    HOLDER_LINE = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, body, pending, open, checksum, last
                   FROM saga_alias JOIN saga_instance ON saga_instance.id = instance
                       JOIN saga_name ON saga_name.id = saga_instance.saga
                   WHERE saga_alias.saga = ?1 AND alias = ?2";
    MOVE = "UPDATE saga_alias SET saga = ?2 WHERE saga = ?1";
    CLASH = "SELECT alias FROM saga_alias AS one WHERE saga = ?1
               AND EXISTS (SELECT 1 FROM saga_alias AS other WHERE other.saga = ?2 AND other.alias = one.alias) LIMIT 1";
}

/// The answer to a claim.
pub(crate) enum Claim {
    New,
    /// The instance held the alias before.
    Held,
    /// The instance with this key holds the alias.
    Taken(Key),
}

/// Claims the alias for an instance.
pub(crate) fn claim(db: &Connection, saga: i64, instance: RowId, alias: &Alias) -> Result<Claim> {
    let alias = InstanceName::from(alias);
    if db.prepare_cached(CLAIM)?.execute((saga, alias.stored(), instance.0))? == 1 {
        return Ok(Claim::New);
    }
    db.prepare_cached(HOLDER)?.query_row((saga, alias.stored()), |row| {
        let holder = RowId(row.get(0)?);
        Ok(if holder == instance { Claim::Held } else { Claim::Taken(key_only(row, 1)?) })
    })
}

/// Releases the alias if the instance holds it. Returns whether the instance held it.
pub(crate) fn release(db: &Connection, saga: i64, instance: RowId, alias: &Alias) -> Result<bool> {
    let alias = InstanceName::from(alias);
    Ok(db.prepare_cached(RELEASE)?.execute((saga, alias.stored(), instance.0))? == 1)
}

pub(crate) fn owner(db: &Connection, alias: &Address) -> Result<Option<Address>> {
    db.prepare_cached(OWNER)?
        .query_row((&alias.saga, alias.key.stored()), |row| {
            Ok(Address { saga: name(row, 0)?, key: key(row, 1)? })
        })
        .optional()
}

/// Returns an alias that instances of both sagas hold.
pub(crate) fn clash(db: &Connection, one: i64, other: i64) -> Result<Option<InstanceName>> {
    db.prepare_cached(CLASH)?.query_row((one, other), |row| key(row, 0)).optional()
}
