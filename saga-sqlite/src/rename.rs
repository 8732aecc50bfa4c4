//! The renaming of sagas: all rows of a saga get its present name, in one transaction.

use rusqlite::{Connection, Result};
use saga_core::message::InstanceName;
use saga_core::store::{NameOf, RetiredName};

use crate::commit::{KEEP, SAVE, UNDO};
use crate::numbers::Numbers;
use crate::table::{alias, consumer, count, dead, dedup, definition, inbox, instance, names, pause, retired};

/// The number of instances moved by one query.
const PAGE: usize = 500;

/// Retires the names in order. Returns the number of moved instances for each name.
///
/// A clash gives the name and a key that both sagas have. Nothing is changed then. `numbers` must be read again afterwards.
pub(crate) fn rename(
    db: &Connection,
    numbers: &mut Numbers,
    names: &[RetiredName],
) -> Result<std::result::Result<Vec<usize>, (RetiredName, InstanceName)>> {
    let run = |sql| db.prepare_cached(sql)?.execute([]);
    run(SAVE)?;
    let mut moved = Vec::with_capacity(names.len());
    for name in names {
        let instances = match name.what {
            NameOf::Saga => rename_saga(db, numbers, &name.was, &name.name)?,
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

/// Gives the rows of the saga `was` to `name`. Returns the number of moved instances, or a key that both sagas have.
fn rename_saga(
    db: &Connection,
    numbers: &mut Numbers,
    was: &str,
    name: &str,
) -> Result<std::result::Result<usize, InstanceName>> {
    let renamed = match (names::find(db, was)?, names::find(db, name)?) {
        (None, _) => 0,
        (Some(saga), None) => {
            names::rename(db, saga, name)?;
            instance::count_of_saga(db, saga)?
        }
        (Some(from), Some(to)) => {
            let clashes = [instance::clash(db, from, to)?, alias::clash(db, from, to)?];
            if let Some(key) = clashes.into_iter().flatten().next() {
                return Ok(Err(key));
            }
            // The lines of the instances keep the rows of the counts before.
            numbers.counts.take_in(db, numbers.history)?;
            join(db, from, to)?
        }
    };
    let by_name =
        [inbox::RENAME, dedup::RENAME, dead::RENAME, consumer::RENAME, definition::RENAME, retired::RENAME];
    for rename in by_name {
        db.prepare_cached(rename)?.execute((was, name))?;
    }
    pause::rename(db, was, name)?;
    Ok(Ok(renamed))
}

/// Moves all instances of one saga to another saga, and forgets the first one.
fn join(db: &Connection, from: i64, to: i64) -> Result<usize> {
    let mut renamed = 0;
    loop {
        let moved = instance::move_to(db, from, to, PAGE)?;
        renamed += moved;
        if moved < PAGE {
            break;
        }
    }
    db.prepare_cached(alias::MOVE)?.execute((from, to))?;
    count::join(db, from, to)?;
    names::delete(db, from)?;
    Ok(renamed)
}
