//! `saga_label`: the index of labels. The labels of an instance are in its body.
//!
//! A row without its label in the body finds nothing, because lists check the labels of the body.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Result};
use saga_core::message::LabelValue;
use saga_core::store::{LabelChange, RowId};

super::statements! {
    ADD = "INSERT INTO saga_label (name, value, instance) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    DELETE = "DELETE FROM saga_label WHERE name = ?1 AND value = ?2 AND instance = ?3";
    /// For a damaged instance only: its labels are not known.
    DELETE_ALL = "DELETE FROM saga_label WHERE instance = ?1";
    /// The instances with the text `?2` or the integer `?3`.
    FIND = "SELECT instance FROM saga_label WHERE name = ?1 AND value IN (?2, ?3) LIMIT ?4";
}

/// The value as SQLite stores it.
struct Value<'a>(&'a LabelValue);

impl ToSql for Value<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            LabelValue::Integer(number) => ValueRef::Integer(*number),
            LabelValue::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// Writes the changes of a step.
pub(crate) fn change(db: &Connection, instance: RowId, changes: &[LabelChange]) -> Result<()> {
    for LabelChange { name, from, to } in changes {
        if let Some(from) = from {
            delete(db, instance, name, from)?;
        }
        if let Some(to) = to {
            db.prepare_cached(ADD)?.execute((&**name, Value(to), instance.0))?;
        }
    }
    Ok(())
}

pub(crate) fn delete(db: &Connection, instance: RowId, name: &str, value: &LabelValue) -> Result<()> {
    db.prepare_cached(DELETE)?.execute((name, Value(value), instance.0))?;
    Ok(())
}

/// Returns the instances with the label, in any order, or at most `limit` of them.
pub(crate) fn find(
    db: &Connection,
    name: &str,
    (text, integer): (&str, Option<i64>),
    limit: usize,
) -> Result<Vec<RowId>> {
    let mut statement = db.prepare_cached(FIND)?;
    let rows = statement.query_map((name, text, integer, limit), |row| Ok(RowId(row.get(0)?)))?;
    rows.collect()
}
