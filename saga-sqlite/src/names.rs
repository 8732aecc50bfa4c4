//! The count of the stored names (rule R34). The tables are read in ranges. No read transaction therefore holds the log
//! for long.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};
use saga_core::store::{StoreError, Stored, StoredName};

use crate::read::Readers;
use crate::table::value::text;
use crate::table::{dead, delivery, inbox, instance, obligation, task, timer};

/// The number of ids in one read transaction.
const RANGE: i64 = 20_000;

/// The SQL for the bounds of a table, the SQL for the names in a range, and the kind of each name.
type Scan = (&'static str, &'static str, fn(&str) -> Option<Stored>);

type Counts = BTreeMap<(String, Stored, String, u32), u64>;

pub(crate) async fn names(readers: &Readers) -> std::result::Result<Vec<StoredName>, StoreError> {
    let scans: [Scan; 8] = [
        (instance::BOUNDS, instance::NAMES, |_| Some(Stored::State)),
        (instance::BOUNDS, task::NAMES, Stored::of_task),
        (instance::BOUNDS, obligation::NAMES, |_| Some(Stored::Undo)),
        (instance::BOUNDS, obligation::UNDONE, Stored::of_obligation),
        (instance::BOUNDS, timer::NAMES, |_| Some(Stored::Timer)),
        (inbox::BOUNDS, inbox::NAMES, Stored::of_mail),
        (delivery::BOUNDS, delivery::NAMES, |_| Some(Stored::Event)),
        (dead::BOUNDS, dead::NAMES, Stored::of_letter),
    ];
    let mut counts = Counts::new();
    for (bounds, names, what) in scans {
        let (first, last) = readers.inspect(move |db| self::bounds(db, bounds)).await?;
        let mut after = first - 1;
        while after < last {
            let to = after.saturating_add(RANGE);
            let found = readers.inspect(move |db| range(db, names, what, after, to)).await?;
            for (name, count) in found {
                *counts.entry(name).or_default() += count;
            }
            after = to;
        }
    }
    let name = |((consumer, what, name, version), count)| StoredName { consumer, what, name, version, count };
    Ok(counts.into_iter().map(name).collect())
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
