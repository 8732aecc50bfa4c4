//! The removal of ended instances and old deduplication records, in small portions.

use rusqlite::{Connection, Result};
use saga_core::message::Timestamp;
use saga_core::store::Purged;

use crate::table::{alias, dedup, history, instance, obligation, timer};

/// Removes at most `limit` ended instances and `limit` deduplication records. All of them are older than `before`.
pub(crate) fn purge(db: &Connection, before: Timestamp, limit: usize) -> Result<Purged> {
    let over = instance::over(db, before, limit)?;
    for (row, last) in &over {
        history::delete_chain(db, *row, *last)?;
        timer::clear_all(db, *row)?;
        obligation::remove_all(db, *row)?;
        alias::release_all(db, *row)?;
        instance::delete(db, *row)?;
    }
    Ok(Purged { instances: over.len(), dedup: dedup::purge(db, before, limit)? })
}
