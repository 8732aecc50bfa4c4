//! Giving everything that is stored for a saga to its present name, in one transaction.

use rusqlite::{Connection, Result};
use saga_core::message::Key;

use crate::table::{alias, dead, inbox, instance, mark, taker};

/// Instances moved at a time.
const PAGE: usize = 500;

/// Renames the saga `was` to `name`, and counts its instances. `Err` with a key that both have: then nothing is changed.
pub(crate) fn rename(db: &Connection, was: &str, name: &str) -> Result<std::result::Result<usize, Key>> {
    let clashes = [instance::clash(db, was, name)?, alias::clash(db, was, name)?];
    if let Some(key) = clashes.into_iter().flatten().next() {
        return Ok(Err(key));
    }
    let mut renamed = 0;
    loop {
        let moved = instance::rename(db, was, name, PAGE)?;
        renamed += moved;
        if moved < PAGE {
            break;
        }
    }
    for rename in [alias::RENAME, inbox::RENAME, mark::RENAME, dead::RENAME, taker::RENAME] {
        db.prepare_cached(rename)?.execute((was, name))?;
    }
    Ok(Ok(renamed))
}
