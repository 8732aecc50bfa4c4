//! `saga_count`: the number of instances of each saga, state, status and park.
//!
//! Owns: the rows, and the changes in the newest history lines that the rows do not contain yet. Does not own: the moment
//! at which the rows take in these changes (`counts`).

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};
use saga_core::store::InstanceCount;
use saga_stored::instance::known_status;

use super::value::lossy;

super::statements! {
    ALL = "SELECT id, saga, state, status, parked FROM saga_count";
    SHOW = "SELECT saga_count.id, name, state, status, parked, instances
            FROM saga_count JOIN saga_name ON saga_name.id = saga";
    ADD_ROW = "INSERT INTO saga_count (saga, state, status, parked, instances) VALUES (?1, ?2, ?3, ?4, 0) RETURNING id";
    /// A damaged number stays an INTEGER.
    ADD = "UPDATE saga_count SET instances = min(max(instances, -1000000000000), 1000000000000) + ?2 WHERE id = ?1";
    JOIN = "INSERT INTO saga_count (saga, state, status, parked, instances)
            SELECT ?2, state, status, parked, instances FROM saga_count WHERE saga = ?1
            ON CONFLICT (saga, state, status, parked) DO UPDATE SET instances = instances + excluded.instances";
    DELETE_OF = "DELETE FROM saga_count WHERE saga = ?1";
    COUNTED = "SELECT counted FROM saga_meta WHERE id = 1";
    SET_COUNTED = "UPDATE saga_meta SET counted = ?1 WHERE id = 1";
    MOVED = "SELECT moved FROM saga_history WHERE id > ?1 AND moved IS NOT NULL";
}

/// What the instances of one count have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) saga: i64,
    pub(crate) state: &'a str,
    pub(crate) status: i64,
    pub(crate) parked: bool,
}

/// The change of the count of a step: an instance leaves one count and enters another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The row that the instance leaves. `None` for a new instance.
    pub(crate) from: Option<i64>,
    pub(crate) to: i64,
}

const BITS: u32 = 16;

impl Moved {
    /// Returns the number for the column `saga_history.moved`. `None` if a row number is too large for it.
    pub(crate) fn number(self) -> Option<i64> {
        let small = |row: i64| u16::try_from(row).ok().map(i64::from);
        Some(small(self.from.unwrap_or(0))? << BITS | small(self.to)?)
    }

    fn of_number(number: i64) -> Self {
        let (from, to) = (number >> BITS, number & ((1 << BITS) - 1));
        Self { from: (from > 0).then_some(from), to }
    }

    pub(crate) fn add_to(self, changes: &mut BTreeMap<i64, i64>) {
        *changes.entry(self.to).or_default() += 1;
        if let Some(from) = self.from {
            *changes.entry(from).or_default() -= 1;
        }
    }
}

/// Returns the changes in history lines that the rows do not contain yet.
pub(crate) fn changes(db: &Connection) -> Result<BTreeMap<i64, i64>> {
    let mut changes = BTreeMap::new();
    let mut statement = db.prepare_cached(MOVED)?;
    let mut rows = statement.query((counted(db)?,))?;
    while let Some(row) = rows.next()? {
        Moved::of_number(row.get(0)?).add_to(&mut changes);
    }
    Ok(changes)
}

/// Returns the last history line whose change is part of the rows.
pub(crate) fn counted(db: &Connection) -> Result<i64> {
    db.prepare_cached(COUNTED)?.query_row([], |row| row.get(0))
}

/// Adds the changes of all lines up to `last` to the rows.
pub(crate) fn take_in(db: &Connection, changes: &BTreeMap<i64, i64>, last: i64) -> Result<()> {
    for (row, change) in changes.iter().filter(|(_, change)| **change != 0) {
        add(db, *row, *change)?;
    }
    db.prepare_cached(SET_COUNTED)?.execute((last,))?;
    Ok(())
}

pub(crate) fn add(db: &Connection, row: i64, change: i64) -> Result<()> {
    db.prepare_cached(ADD)?.execute((row, change))?;
    Ok(())
}

/// Adds a change to the rows at once.
pub(crate) fn add_moved(db: &Connection, moved: Moved) -> Result<()> {
    add(db, moved.to, 1)?;
    moved.from.map_or(Ok(()), |from| add(db, from, -1))
}

pub(crate) fn add_row(db: &Connection, group: Group<'_>) -> Result<i64> {
    let Group { saga, state, status, parked } = group;
    db.prepare_cached(ADD_ROW)?.query_row((saga, state, status, parked), |row| row.get(0))
}

/// Calls `found` with each row.
pub(crate) fn all(db: &Connection, mut found: impl FnMut(Group<'_>, i64)) -> Result<()> {
    let mut statement = db.prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // A damaged text must not stop the lease holder. It equals the state of no instance.
        let state = lossy(row, 2)?;
        found(
            Group { saga: row.get(1)?, state: &state, status: row.get(3)?, parked: row.get(4)? },
            row.get(0)?,
        );
    }
    Ok(())
}

/// Adds the counts of the saga `from` to the saga `to`, and removes them. The rows must contain all changes.
pub(crate) fn join(db: &Connection, from: i64, to: i64) -> Result<()> {
    db.prepare_cached(JOIN)?.execute((from, to))?;
    db.prepare_cached(DELETE_OF)?.execute((from,))?;
    Ok(())
}

/// Returns the counts for people.
pub(crate) fn show(db: &Connection) -> Result<Vec<InstanceCount>> {
    let changes = changes(db)?;
    let mut statement = db.prepare_cached(SHOW)?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let newest = changes.get(&row.get(0)?).copied().unwrap_or(0);
        let instances = row.get::<_, i64>(5)?.saturating_add(newest);
        // Only damaged rows can give a negative number.
        if let Some(instances) = u64::try_from(instances).ok().filter(|instances| *instances > 0) {
            let (saga, state) = (lossy(row, 1)?.into_owned(), lossy(row, 2)?.into_owned());
            let (status, parked) = (known_status(row.get(3)?), row.get(4)?);
            counts.push(InstanceCount { saga, state, status, parked, instances });
        }
    }
    counts.sort();
    Ok(counts)
}
