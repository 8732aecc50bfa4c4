//! The numbers that the lease holder counts by itself, because only the lease holder adds rows with these numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Result};

use crate::counts::Counts;
use crate::table::{meta, names};

/// The highest numbers in use, the counts of instances, and the numbers of the sagas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) instance: i64,
    pub(crate) history: i64,
    pub(crate) delivery: i64,
    pub(crate) counts: Counts,
    sagas: Arc<BTreeMap<String, i64>>,
}

impl Numbers {
    /// Reads the numbers from the tables. The highest numbers never decrease.
    pub(crate) fn raise(&mut self, db: &Connection) -> Result<()> {
        let max = |sql| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
        self.instance = self.instance.max(max(meta::LAST_INSTANCE)?.unwrap_or(0));
        self.history = self.history.max(max(meta::LAST_HISTORY)?.unwrap_or(0));
        self.delivery = self.delivery.max(max(meta::LAST_DELIVERY)?.unwrap_or(0));
        self.counts = Counts::read(db)?;
        // A purge may have removed the newest lines. Later lines must not get the numbers of counted lines.
        self.history = self.history.max(self.counts.counted());
        self.sagas = Arc::new(names::all(db)?.into_iter().map(|(id, name)| (name, id)).collect());
        Ok(())
    }

    /// Returns the number of a saga. A new saga gets a number.
    pub(crate) fn saga(&mut self, db: &Connection, name: &str) -> Result<i64> {
        if let Some(number) = self.sagas.get(name) {
            return Ok(*number);
        }
        let number = names::insert(db, name)?;
        Arc::make_mut(&mut self.sagas).insert(name.to_owned(), number);
        Ok(number)
    }
}
