//! `saga_item`: the pending items of instances with many or large items, one row each.

use rusqlite::{Connection, OptionalExtension, Result, Row};
use saga_core::store::RowId;

use super::value::{bad, maybe_text, text};
use saga_stored::checksum::Checksum;
use saga_stored::item::{ItemText, Items};

super::statements! {
    INSERT = "INSERT INTO saga_item (instance, item, body, progress, checksum) VALUES (?1, ?2, ?3, ?4, ?5)
              ON CONFLICT DO NOTHING";
    BODY = "SELECT body FROM saga_item WHERE instance = ?1 AND item = ?2";
    PROGRESS = "UPDATE saga_item SET progress = ?3, checksum = ?4 WHERE instance = ?1 AND item = ?2";
    DELETE = "DELETE FROM saga_item WHERE instance = ?1 AND item = ?2";
    DELETE_ALL = "DELETE FROM saga_item WHERE instance = ?1";
    OF_INSTANCE = "SELECT item, body, progress, checksum FROM saga_item WHERE instance = ?1";
    ANY = "SELECT 1 FROM saga_item WHERE instance = ?1 LIMIT 1";
    ANY_TASK = "SELECT 1 FROM saga_item WHERE instance = ?1 AND item >= 'task.' AND item < 'task/' LIMIT 1";
}

/// Adds the item. Returns `false` if an item with this name exists.
pub(crate) fn insert(
    db: &Connection,
    instance: RowId,
    name: &str,
    body: &str,
    progress: Option<&str>,
) -> Result<bool> {
    let sum = checksum(instance, name, body, progress);
    Ok(db.prepare_cached(INSERT)?.execute((instance.0, name, body, progress, sum))? == 1)
}

/// Adds the item as its text has it.
pub(crate) fn add(db: &Connection, instance: RowId, item: &mut ItemText) -> Result<bool> {
    if item.is_task() {
        item.body.push('}');
        insert(db, instance, &item.name, &item.body, Some(&item.progress))
    } else {
        insert(db, instance, &item.name, &item.body, None)
    }
}

/// Returns the JSON of the item, without the progress of a task.
pub(crate) fn body(db: &Connection, instance: RowId, name: &str) -> Result<Option<String>> {
    db.prepare_cached(BODY)?.query_row((instance.0, name), |row| row.get(0)).optional()
}

/// Replaces the progress of a task. A missing task is not an error.
pub(crate) fn set_progress(db: &Connection, instance: RowId, name: &str, progress: &str) -> Result<()> {
    if let Some(body) = body(db, instance, name)? {
        let sum = checksum(instance, name, &body, Some(progress));
        db.prepare_cached(PROGRESS)?.execute((instance.0, name, progress, sum))?;
    }
    Ok(())
}

/// Removes the item. Returns `false` if there is none with this name.
pub(crate) fn delete(db: &Connection, instance: RowId, name: &str) -> Result<bool> {
    Ok(db.prepare_cached(DELETE)?.execute((instance.0, name))? == 1)
}

pub(crate) fn delete_all(db: &Connection, instance: RowId) -> Result<()> {
    db.prepare_cached(DELETE_ALL)?.execute((instance.0,))?;
    Ok(())
}

pub(crate) fn any(db: &Connection, instance: RowId) -> Result<bool> {
    db.prepare_cached(ANY)?.exists((instance.0,))
}

pub(crate) fn any_task(db: &Connection, instance: RowId) -> Result<bool> {
    db.prepare_cached(ANY_TASK)?.exists((instance.0,))
}

/// Returns the items of an instance, in the order of a snapshot.
pub(crate) fn of_instance(db: &Connection, instance: RowId) -> Result<Items> {
    let mut statement = db.prepare_cached(OF_INSTANCE)?;
    let mut rows = statement.query((instance.0,))?;
    let mut items = Items::default();
    while let Some(row) = rows.next()? {
        read(row, instance, &mut items)?;
    }
    items.sort();
    Ok(items)
}

/// Returns one item of an instance. No item gives no items.
pub(crate) fn read(row: &Row<'_>, instance: RowId, items: &mut Items) -> Result<()> {
    let (name, body, progress) = (text(row, 0)?, text(row, 1)?, maybe_text(row, 2)?);
    if row.get::<_, i64>(3)? != checksum(instance, name, body, progress) {
        return Err(bad(3, Mismatch(name.to_owned())));
    }
    // The name has the escapes of a JSON string.
    let name: String = serde_json::from_str(&format!("\"{name}\"")).map_err(|error| bad(0, error))?;
    let mut json = serde_json::Deserializer::from_str(body);
    items.read(&name, &mut json, progress).map_err(|error| bad(1, error))
}

fn checksum(instance: RowId, name: &str, body: &str, progress: Option<&str>) -> i64 {
    Checksum::new().number(instance.0).text(name).text(body).maybe(progress).end()
}

#[derive(Debug, thiserror::Error)]
#[error("the pending item `{0}` has a wrong checksum")]
struct Mismatch(String);
