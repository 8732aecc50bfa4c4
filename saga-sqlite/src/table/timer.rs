//! `saga_timer`: the due times of timers, in order. The timer itself is a pending item of its instance.

use rusqlite::{CachedStatement, Connection, Result, Row};
use saga_core::store::{DueTimer, RowId};

use super::value::{address, bad, text};
use super::{instance, item};
use saga_stored::item::{ItemText, Items};
use saga_stored::pending;

super::statements! {
    INSERT = "INSERT INTO saga_timer (due_at, instance, name) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    DELETE = "DELETE FROM saga_timer WHERE due_at = ?1 AND instance = ?2 AND name = ?3";
    /// For a damaged instance only: its due times are not known.
    DELETE_ALL = "DELETE FROM saga_timer WHERE instance = ?1";
    DUE = "SELECT saga_name.name, key, owner.id, pending, open, checksum, timer.name
           FROM saga_timer AS timer JOIN saga_instance AS owner ON owner.id = timer.instance
               JOIN saga_name ON saga_name.id = saga
           WHERE due_at <= ?1 AND (due_at, instance, timer.name) > (?2, ?3, ?4)
           ORDER BY due_at, instance, timer.name";
}

pub(crate) fn insert(
    statement: &mut CachedStatement<'_>,
    due: i64,
    instance: RowId,
    name: &str,
) -> Result<()> {
    statement.execute((due, instance.0, name))?;
    Ok(())
}

pub(crate) fn delete(
    statement: &mut CachedStatement<'_>,
    due: i64,
    instance: RowId,
    name: &str,
) -> Result<()> {
    statement.execute((due, instance.0, name))?;
    Ok(())
}

/// Reads a row of [`DUE`].
pub(crate) fn due(db: &Connection, row: &Row<'_>) -> Result<DueTimer> {
    let id = RowId(row.get(2)?);
    let (name, mut wanted, mut items) = (text(row, 6)?, ItemText::default(), Items::default());
    wanted.name_timer(name);
    let body = match instance::checked_items(row, id, 3)? {
        Some(all) => pending::get(all, &wanted.name).map(str::to_owned),
        None => item::body(db, id, &wanted.name)?,
    };
    let body = body.ok_or_else(|| bad(6, Missing(name.to_owned())))?;
    let plain = format!("timer.{name}");
    items
        .read(&plain, &mut serde_json::Deserializer::from_str(&body), None)
        .map_err(|error| bad(3, error))?;
    let timer = items.timers.pop().ok_or_else(|| bad(6, Missing(name.to_owned())))?;
    Ok(DueTimer { row: id, address: address(row, 0)?, timer })
}

#[derive(Debug, thiserror::Error)]
#[error("the due timer `{0}` is not among the pending items of its instance")]
struct Missing(String);
