//! The exact number of instances of each saga, state, status and park, without a page in each commit.
//!
//! A step records its change in its history line, in the page that the step writes anyway. After [`LINES`] lines, one
//! commit adds these changes to the rows of `saga_count`. A reader adds the changes of the newest lines to the rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Result};

use crate::table::count::{self, Group, Moved};

/// The number of history lines after which the rows take in the changes. A reader reads at most these lines and those of
/// one batch.
const LINES: i64 = 1_000;
/// The bytes of history lines after which the rows take in the changes. A reader passes through the text of each line.
const BYTES: usize = 1 << 20;
/// No store has more lines. A higher number is damage, and must not become the number of the next line.
const MOST_LINES: i64 = 1 << 62;

/// The rows known to the lease holder, and the changes that they do not contain yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    rows: Arc<Rows>,
    changes: BTreeMap<i64, i64>,
    counted: i64,
    /// The bytes of the lines since then.
    bytes: usize,
}

/// The numbers of the rows, by saga, status and park, and then by state.
type Rows = BTreeMap<(i64, i64, bool), BTreeMap<String, i64>>;

impl Counts {
    /// Reads everything from the tables.
    pub(crate) fn read(db: &Connection) -> Result<Self> {
        let mut rows = Rows::new();
        count::all(db, |Group { saga, state, status, parked }, row| {
            rows.entry((saga, status, parked)).or_default().insert(state.to_owned(), row);
        })?;
        let counted = count::counted(db)?;
        let counted = if counted < MOST_LINES { counted } else { 0 };
        Ok(Self { rows: Arc::new(rows), changes: count::changes(db)?, counted, bytes: 0 })
    }

    /// Returns the last history line whose change is part of the rows.
    pub(crate) fn counted(&self) -> i64 {
        self.counted
    }

    /// Returns the row of a group. A new group gets a row.
    pub(crate) fn row(&mut self, db: &Connection, group: Group<'_>) -> Result<i64> {
        let of = (group.saga, group.status, group.parked);
        if let Some(row) = self.rows.get(&of).and_then(|states| states.get(group.state)) {
            return Ok(*row);
        }
        let row = count::add_row(db, group)?;
        Arc::make_mut(&mut self.rows).entry(of).or_default().insert(group.state.to_owned(), row);
        Ok(row)
    }

    /// Removes an instance from its count.
    pub(crate) fn leave(&mut self, db: &Connection, group: Group<'_>) -> Result<()> {
        let row = self.row(db, group)?;
        count::add(db, row, -1)
    }

    /// Records a change that a history line contains.
    pub(crate) fn note(&mut self, moved: Moved) {
        moved.add_to(&mut self.changes);
    }

    /// Records the length of a new line.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Adds the changes to the rows if they are those of many lines. `last` is the newest line.
    pub(crate) fn take_in_many(&mut self, db: &Connection, last: i64) -> Result<()> {
        let many = last.saturating_sub(self.counted) >= LINES || self.bytes >= BYTES;
        if many { self.take_in(db, last) } else { Ok(()) }
    }

    /// Adds the changes to the rows, before their lines are removed.
    pub(crate) fn take_in(&mut self, db: &Connection, last: i64) -> Result<()> {
        count::take_in(db, &self.changes, last)?;
        self.changes.clear();
        (self.counted, self.bytes) = (last, 0);
        Ok(())
    }
}
