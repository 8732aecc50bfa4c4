//! Retiring names: everything that is stored for a saga gets its present one, in one transaction.

use rusqlite::{Connection, Result};
use saga_core::message::Key;
use saga_core::store::{NameOf, RetiredName};

use crate::commit::{KEEP, SAVE, UNDO};
use crate::table::{alias, consumer, dead, dedup, inbox, instance, retired};

/// Instances moved at a time.
const PAGE: usize = 500;

/// Retires the names in turn, and counts the instances that each one moves. `Err` with the name of a saga that cannot be
/// another's, and a key that both have: then nothing is changed.
pub(crate) fn rename(
    db: &Connection,
    names: &[RetiredName],
) -> Result<std::result::Result<Vec<usize>, (RetiredName, Key)>> {
    let run = |sql| db.prepare_cached(sql)?.execute([]);
    run(SAVE)?;
    let mut moved = Vec::with_capacity(names.len());
    for name in names {
        let instances = match name.what {
            NameOf::Saga => rename_saga(db, &name.was, &name.name)?,
            _ => Ok(0),
        };
        match instances {
            Ok(instances) => moved.push(instances),
            Err(key) => {
                run(UNDO)?;
                run(KEEP)?;
                return Ok(Err((name.clone(), key)));
            }
        }
        retired::retire(db, name)?;
    }
    run(KEEP)?;
    Ok(Ok(moved))
}

/// Gives what is stored for the saga `was` to `name`, and counts its instances. `Err` with a key that both have.
fn rename_saga(db: &Connection, was: &str, name: &str) -> Result<std::result::Result<usize, Key>> {
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
    for rename in
        [alias::RENAME, inbox::RENAME, dedup::RENAME, dead::RENAME, consumer::RENAME, retired::RENAME]
    {
        db.prepare_cached(rename)?.execute((was, name))?;
    }
    Ok(Ok(renamed))
}
