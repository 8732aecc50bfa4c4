//! The statements of nearly every step, looked up once per batch.

use rusqlite::{CachedStatement, Connection, Result};

use crate::table::{history, instance, timer};

/// Statements by first use. They go back to the cache of the connection at the end of the batch.
#[derive(Default)]
pub(super) struct Statements<'db> {
    current: Slot<'db>,
    insert: Slot<'db>,
    updates: [(&'static str, Slot<'db>); 3],
    history: Slot<'db>,
    set_timer: Slot<'db>,
    clear_timer: Slot<'db>,
}

type Slot<'db> = Option<CachedStatement<'db>>;
type Found<'s, 'db> = Result<&'s mut CachedStatement<'db>>;

impl<'db> Statements<'db> {
    pub(super) fn current(&mut self, db: &'db Connection) -> Found<'_, 'db> {
        find(&mut self.current, db, instance::CURRENT)
    }

    pub(super) fn insert(&mut self, db: &'db Connection) -> Found<'_, 'db> {
        find(&mut self.insert, db, instance::INSERT)
    }

    /// Returns one of the statements that write a step over its row.
    pub(super) fn update(&mut self, db: &'db Connection, sql: &'static str) -> Found<'_, 'db> {
        let free = self.updates.iter().position(|(held, slot)| *held == sql || slot.is_none()).unwrap_or(0);
        let (held, slot) = &mut self.updates[free];
        if *held != sql {
            *held = sql;
            *slot = None;
        }
        find(slot, db, sql)
    }

    pub(super) fn history(&mut self, db: &'db Connection) -> Found<'_, 'db> {
        find(&mut self.history, db, history::INSERT)
    }

    pub(super) fn set_timer(&mut self, db: &'db Connection) -> Found<'_, 'db> {
        find(&mut self.set_timer, db, timer::INSERT)
    }

    pub(super) fn clear_timer(&mut self, db: &'db Connection) -> Found<'_, 'db> {
        find(&mut self.clear_timer, db, timer::DELETE)
    }
}

fn find<'s, 'db>(slot: &'s mut Slot<'db>, db: &'db Connection, sql: &str) -> Found<'s, 'db> {
    match slot {
        Some(statement) => Ok(statement),
        none => Ok(none.insert(db.prepare_cached(sql)?)),
    }
}
