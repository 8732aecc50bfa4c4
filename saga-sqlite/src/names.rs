//! The count of the stored names (rule R34). The tables are read in ranges. No read transaction therefore holds the log
//! for long.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result, Row};
use saga_core::store::{RowId, StoreError, Stored, StoredName};

use crate::error::{Kind, kind};
use crate::read::Readers;
use crate::table::value::{bad, maybe_text, text};
use crate::table::{dead, delivery, inbox, instance, item};
use saga_stored::{instance as body, pending, view};

/// The number of ids in one read transaction.
const RANGE: i64 = 20_000;

/// The SQL for the bounds of a table, and the count of the names in a range.
type Scan = (&'static str, fn(&Connection, i64, i64) -> Result<Counts>);

type Counts = BTreeMap<(String, Stored, String, u32), u64>;

pub(crate) async fn names(readers: &Readers) -> std::result::Result<Vec<StoredName>, StoreError> {
    let scans: [Scan; 4] = [
        (instance::BOUNDS, of_instances),
        (inbox::BOUNDS, |db, after, to| range(db, inbox::NAMES, Stored::of_mail, after, to)),
        (delivery::BOUNDS, |db, after, to| range(db, delivery::NAMES, |_| Some(Stored::Event), after, to)),
        (dead::BOUNDS, |db, after, to| range(db, dead::NAMES, Stored::of_letter, after, to)),
    ];
    let mut counts = Counts::new();
    for (bounds, names) in scans {
        let (first, last) = readers.inspect(move |db| self::bounds(db, bounds)).await?;
        let mut after = first - 1;
        while after < last {
            let to = after.saturating_add(RANGE);
            let found = readers.inspect(move |db| names(db, after, to)).await?;
            for (name, count) in found {
                *counts.entry(name).or_default() += count;
            }
            after = to;
        }
    }
    let name = |((consumer, what, name, version), count)| StoredName { consumer, what, name, version, count };
    Ok(counts.into_iter().map(name).collect())
}

/// Counts the names in instances and in their pending items. An unreadable instance is reported and left out.
fn of_instances(db: &Connection, after: i64, to: i64) -> Result<Counts> {
    let mut counts = Counts::new();
    let mut statement = db.prepare_cached(instance::NAMES)?;
    let mut rows = statement.query((after, to))?;
    while let Some(row) = rows.next()? {
        match of_instance(db, row, &mut counts) {
            Err(error) if kind(&error) == Kind::Step => {
                tracing::error!(%error, "an instance cannot be read and is left out");
            }
            counted => counted?,
        }
    }
    Ok(counts)
}

fn of_instance(db: &Connection, row: &Row<'_>, counts: &mut Counts) -> Result<()> {
    let (saga, status) = instance::saga_and_status(row)?;
    let outline = body::outline(text(row, 2)?).map_err(|error| bad(2, error))?;
    let items = match maybe_text(row, 3)? {
        Some(items) => pending::read(items).map_err(|error| bad(3, error))?,
        None => item::of_instance(db, RowId(row.get(4)?))?,
    };
    let count = |what, name: &str, version| {
        *counts.entry((saga.clone(), what, name.to_owned(), version)).or_default() += 1;
    };
    view::names(status, &outline, &items, count);
    Ok(())
}

/// Returns the first and the last id in a table. An empty table gives an empty range.
fn bounds(db: &Connection, sql: &str) -> Result<(i64, i64)> {
    let (first, last): (Option<i64>, Option<i64>) =
        db.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((first.unwrap_or(1), last.unwrap_or(0)))
}

fn range(
    db: &Connection,
    sql: &str,
    what: fn(&str) -> Option<Stored>,
    after: i64,
    to: i64,
) -> Result<Counts> {
    let mut counts = Counts::new();
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query((after, to))?;
    while let Some(row) = rows.next()? {
        let Some(what) = what(text(row, 3)?) else { continue };
        let name = (text(row, 0)?.to_owned(), what, text(row, 1)?.to_owned(), row.get(2)?);
        *counts.entry(name).or_default() += 1;
    }
    Ok(counts)
}
