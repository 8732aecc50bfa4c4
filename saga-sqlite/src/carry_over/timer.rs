//! `saga_timer` and `saga_alias` of schema 4.

use rusqlite::{Connection, Result};
use saga_core::message::Alias;
use saga_core::store::{RowId, TimerRow};

use crate::table::value::{key, name, time};

const TIMERS: &str =
    "SELECT name, visit, armed_at, due_at, fired FROM saga_timer_4 WHERE instance = ?1 ORDER BY name";
const ALIASES: &str = "SELECT alias FROM saga_alias_4 WHERE instance = ?1 ORDER BY alias";

pub(super) fn of_instance(db: &Connection, instance: RowId) -> Result<Vec<TimerRow>> {
    let mut statement = db.prepare_cached(TIMERS)?;
    let rows = statement.query_map((instance.0,), |row| {
        Ok(TimerRow {
            name: name(row, 0)?,
            visit: row.get(1)?,
            armed: time(row, 2)?,
            due: time(row, 3)?,
            fired: row.get(4)?,
        })
    })?;
    rows.collect()
}

pub(super) fn aliases_of(db: &Connection, instance: RowId) -> Result<Vec<Alias>> {
    let mut statement = db.prepare_cached(ALIASES)?;
    let rows = statement.query_map((instance.0,), |row| key(row, 0))?;
    // The column holds aliases only.
    rows.filter_map(|name| name.map(|name| name.as_alias()).transpose()).collect()
}
