//! The statements of nearly every step, looked up once per batch.

use rusqlite::{CachedStatement, Connection, Result};

use crate::table::instance::Update;
use crate::table::{history, instance, timer};

/// Statements by first use. They go back to the cache of the connection at the end of the batch.
#[derive(Default)]
pub(super) struct Statements<'db> {
    current: Slot<'db>,
    insert: Slot<'db>,
    advance: Slot<'db>,
    reopen: Slot<'db>,
    turn: Slot<'db>,
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

    pub(super) fn update(&mut self, db: &'db Connection, update: Update) -> Found<'_, 'db> {
        let slot = match update {
            Update::Advance => &mut self.advance,
            Update::Reopen => &mut self.reopen,
            Update::Turn => &mut self.turn,
        };
        find(slot, db, update.sql())
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
