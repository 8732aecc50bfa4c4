//! The removal of ended instances and old deduplication records, in small portions.

use rusqlite::{Connection, Error, Result};
use saga_core::message::Timestamp;
use saga_core::store::Purged;

use crate::numbers::Numbers;
use crate::table::instance::{Over, OverItems};
use crate::table::{alias, data, dedup, history, instance, item, label, timer};
use saga_stored::item::Items;
use saga_stored::pending;

/// Removes at most `limit` ended instances and `limit` deduplication records. All of them are older than `before`.
pub(crate) fn purge(
    db: &Connection,
    numbers: &mut Numbers,
    before: Timestamp,
    limit: usize,
) -> Result<Purged> {
    let over = instance::over(db, before, limit)?;
    if !over.is_empty() {
        // A removed line may hold a change of the counts.
        numbers.counts.take_in(db, numbers.history)?;
    }
    for instance in &over {
        numbers.counts.leave(db, instance.group())?;
        rows_of_items(db, instance)?;
        rows_of_labels(db, instance)?;
        history::delete_chain(db, instance.id, instance.last)?;
        data::delete(db, instance.id)?;
        instance::delete(db, instance.id)?;
    }
    Ok(Purged { instances: over.len(), dedup: dedup::purge(db, before, limit)? })
}

/// Removes the rows that belong to the pending items. Most ended instances have no items.
fn rows_of_items(db: &Connection, instance: &Over) -> Result<()> {
    let id = instance.id;
    let items = match &instance.items {
        OverItems::InColumn(text) if text == pending::NONE => return Ok(()),
        OverItems::InColumn(text) => pending::read(text).ok(),
        OverItems::Damaged => None,
        OverItems::InRows => match item::of_instance(db, id) {
            Err(Error::SqliteFailure(failure, text)) => return Err(Error::SqliteFailure(failure, text)),
            items => items.ok(),
        },
    };
    if let Some(Items { timers, aliases, .. }) = items {
        let mut clear = db.prepare_cached(timer::DELETE)?;
        for set in &timers {
            timer::delete(&mut clear, set.due.as_millis(), id, &set.name)?;
        }
        for alias in &aliases {
            alias::release(db, instance.saga, id, alias)?;
        }
    } else {
        // The items of this instance cannot be read. Its rows are found without them.
        db.prepare_cached(timer::DELETE_ALL)?.execute((id.0,))?;
        db.prepare_cached(alias::RELEASE_ALL)?.execute((id.0,))?;
    }
    if !matches!(instance.items, OverItems::InColumn(_)) {
        item::delete_all(db, id)?;
    }
    Ok(())
}

/// Removes the instance from the index of labels.
fn rows_of_labels(db: &Connection, instance: &Over) -> Result<()> {
    match &instance.labels {
        Some(labels) => {
            labels.iter().try_for_each(|(name, value)| label::delete(db, instance.id, name, value))
        }
        None => db.prepare_cached(label::DELETE_ALL)?.execute((instance.id.0,)).map(drop),
    }
}
