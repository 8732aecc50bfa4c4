//! The parts of migrations that need more than SQL. Each runs inside the transaction of its migration.
//!
//! Owns: the tables up to schema 4, only to read them. Does not own: the transaction, or the order of the migrations.
//!
//! A damaged row is carried over as damaged: with all its columns as JSON, and with a wrong checksum.

mod checksum;
mod history;
mod instance;
mod obligation;
mod task;
mod timer;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result, Row};
use saga_core::message::Payload;
use saga_core::store::{
    AliasChange, HistoryRow, InstanceChange, ObligationChange, ObligationOf, RowId, Step, TaskChange,
    TimerChange,
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::commit::{Batch, Changed, Stop, Texts};
use crate::error::{Kind, kind};
use crate::numbers::Numbers;
use crate::table;
use saga_stored as stored;

/// Migration 4.
pub(crate) fn change_words(db: &Connection) -> Result<()> {
    history::change_words(db)
}

/// Migration 5: copies the rows of all earlier tables, and drops these tables.
pub(crate) fn narrow_rows(db: &Connection) -> Result<()> {
    let (mut numbers, mut texts) = (Numbers::default(), Texts::default());
    let mut batch = Batch::new(db, &mut numbers, &mut texts);
    let mut instances = db.prepare(instance::ALL)?;
    let mut rows = instances.query([])?;
    while let Some(row) = rows.next()? {
        carry_instance(db, &mut batch, row)?;
    }
    let mut lines = db.prepare(history::ALL)?;
    let mut rows = lines.query([])?;
    while let Some(row) = rows.next()? {
        carry_line(db, row)?;
    }
    drop(batch);
    for table in ["instance", "history", "alias", "task", "obligation", "timer"] {
        db.execute_batch(&format!("DROP TABLE saga_{table}_4"))?;
    }
    Ok(())
}

fn carry_instance(db: &Connection, batch: &mut Batch<'_, '_>, row: &Row<'_>) -> Result<()> {
    let (id, last): (i64, Option<i64>) = (row.get(18)?, row.get(19)?);
    let id = RowId(id);
    let saga = batch.saga(&unique_text(row, 0, id)?)?;
    let items = match items(db, id) {
        Ok(items) => Some(items).filter(has_json),
        Err(error) if kind(&error) == Kind::Step => None,
        Err(error) => return Err(error),
    };
    let now = match &items {
        Some(items) => carry_items(batch, saga, id, items)?,
        None => carry_damaged_items(db, batch, saga, id)?,
    };
    let change = match instance::read(row) {
        Ok(Some(change)) if is_readable(&change) => Some(change),
        Ok(_) => None,
        Err(error) if kind(&error) == Kind::Step => None,
        Err(error) => return Err(error),
    };
    match change {
        Some(change) => batch.insert(saga, id, &change, last, &now)?,
        None => {
            let body = Value::Object(Map::from_iter([
                ("state".to_owned(), text(row, 8)?.into()),
                ("version".to_owned(), row.get::<_, u32>(6).unwrap_or_default().into()),
                ("changed_at".to_owned(), row.get::<_, i64>(14).unwrap_or_default().into()),
                ("damaged".to_owned(), columns(row)?),
            ]));
            let status = text(row, 7)?;
            let damaged = table::instance::Damaged {
                key: &unique_text(row, 1, id)?,
                status: saga_core::store::Status::parse(&status),
                seq: row.get(4).unwrap_or_default(),
                body: &body.to_string(),
            };
            let items = (batch.items_text(&now), now.open);
            table::instance::insert_damaged(db, id, saga, &damaged, items, last)?;
        }
    }
    Ok(())
}

fn carry_items(batch: &mut Batch<'_, '_>, saga: i64, id: RowId, items: &Step) -> Result<Changed> {
    batch.carry(saga, id, items).map_err(|stop| match stop {
        Stop::Failed(error) => error,
        // The earlier tables had the same unique columns.
        Stop::Untouched(_) | Stop::With(_) => Error::StatementChangedRows(0),
    })
}

/// Keeps the rows of unreadable items in the item `damaged`. The aliases stay claimed, and the instance stays open.
fn carry_damaged_items(db: &Connection, batch: &mut Batch<'_, '_>, saga: i64, id: RowId) -> Result<Changed> {
    let aliases = match timer::aliases_of(db, id) {
        Ok(aliases) => aliases.into_iter().map(AliasChange::Claim).collect(),
        Err(error) if kind(&error) == Kind::Step => Vec::new(),
        Err(error) => return Err(error),
    };
    carry_items(batch, saga, id, &Step { aliases, ..Step::default() })?;
    batch.set_items(&format!("{{\n\"damaged\":{}\n}}", raw_items(db, id)?));
    Ok(Changed { open: task::any(db, id)?, ..Changed::default() })
}

/// Returns whether all payloads of the items are JSON. Nothing else in the text of the items comes from outside.
fn has_json(items: &Step) -> bool {
    let is_json = |payload: &Payload| serde_json::from_str::<IgnoredAny>(payload.as_str()).is_ok();
    let tasks = items.tasks.iter().all(|change| match change {
        TaskChange::Add(task) => {
            is_json(&task.command.payload) && task.progress.saved.as_ref().is_none_or(is_json)
        }
        _ => true,
    });
    tasks
        && items.obligations.iter().all(|change| match change {
            ObligationChange::Put(owed) => {
                let of = match &owed.of {
                    ObligationOf::Command { command, .. } => Some(&command.payload),
                    ObligationOf::State { payload, .. } => payload.as_ref(),
                };
                of.is_none_or(is_json) && owed.report.as_ref().is_none_or(is_json)
            }
            ObligationChange::Drop(_) => true,
        })
}

/// Returns whether the body of the instance can be read again. A payload of an earlier version was always JSON.
fn is_readable(change: &InstanceChange) -> bool {
    let mut body = String::new();
    stored::instance::write(&mut body, change);
    let large = stored::instance::is_large(&change.data).then(|| change.data.clone());
    stored::instance::read(change.address.clone(), change.status, change.seq, &body, large)
        .is_ok_and(|read| read == *change)
}

/// Returns the changes that add all items of an instance.
fn items(db: &Connection, id: RowId) -> Result<Step> {
    let tasks = task::of_instance(db, id)?.into_iter().map(TaskChange::Add).collect();
    let timers = timer::of_instance(db, id)?.into_iter().map(TimerChange::Set).collect();
    let obligations = obligation::of_instance(db, id)?.into_iter().map(ObligationChange::Put).collect();
    let aliases = timer::aliases_of(db, id)?.into_iter().map(AliasChange::Claim).collect();
    Ok(Step { tasks, timers, obligations, aliases, ..Step::default() })
}

/// Returns the rows of unreadable items as they are.
fn raw_items(db: &Connection, id: RowId) -> Result<Value> {
    let mut all = Map::new();
    for table in ["task", "obligation", "timer", "alias"] {
        let mut statement = db.prepare(&format!("SELECT * FROM saga_{table}_4 WHERE instance = ?1"))?;
        let mut rows = statement.query((id.0,))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(columns(row)?);
        }
        all.insert(table.to_owned(), found.into());
    }
    Ok(Value::Object(all))
}

fn carry_line(db: &Connection, row: &Row<'_>) -> Result<()> {
    let (id, instance, prev): (i64, i64, Option<i64>) = (row.get(12)?, row.get(0)?, row.get(1)?);
    let mut body = String::new();
    let right = match history::read(row) {
        Ok(Some((_, HistoryRow { seq, entry }))) => {
            stored::history::write(&mut body, seq, &entry);
            stored::history::read(&body).is_ok_and(|read| read == HistoryRow { seq, entry })
        }
        Ok(None) => false,
        Err(error) if kind(&error) == Kind::Step => false,
        Err(error) => return Err(error),
    };
    if !right {
        let seq = row.get::<_, u64>(2).unwrap_or_default();
        body = format!("[{seq},{}]", columns(row)?);
    }
    let sum = table::history::checksum(id, RowId(instance), prev, &body);
    let sum = if right { sum } else { !sum };
    db.prepare_cached(history::INSERT)?.execute((id, instance, prev, sum, body))?;
    Ok(())
}

/// Returns all columns of a row as JSON. Invalid UTF-8 is replaced, and a BLOB becomes hexadecimal.
fn columns(row: &Row<'_>) -> Result<Value> {
    let names: Vec<String> = row.as_ref().column_names().map(str::to_owned).collect();
    let mut columns = Map::new();
    for (at, name) in names.into_iter().enumerate() {
        let value = match row.get_ref(at)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Real(number) => number.into(),
            ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into(),
            ValueRef::Blob(bytes) => {
                bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
            }
        };
        columns.insert(name, value);
    }
    Ok(Value::Object(columns))
}

/// Returns a text that must stay unique. A text that was not UTF-8 gets the number of its row.
fn unique_text(row: &Row<'_>, at: usize, id: RowId) -> Result<String> {
    match row.get_ref(at)? {
        ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_ok() => text(row, at),
        _ => Ok(format!("{} (row {})", text(row, at)?, id.0)),
    }
}

/// Returns a text of a row that may be damaged. Another type gives an empty text.
fn text(row: &Row<'_>, at: usize) -> Result<String> {
    match row.get_ref(at)? {
        ValueRef::Text(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        _ => Ok(String::new()),
    }
}
