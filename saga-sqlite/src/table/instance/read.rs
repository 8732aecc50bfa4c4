//! The reading of instances: for the engine, for people and for a purge.

use rusqlite::{Connection, Result, Row};
use saga_core::message::{Payload, Timestamp};
use saga_core::store::{Address, InstanceChange, Labels, RowId, Status};

use super::sums::{StepColumns, pending_checksum};
use super::{LOAD, OVER, status};
use crate::table::count::Group;
use crate::table::value::{bad, lossy, maybe_text, name, text};
use saga_stored::checksum;
use saga_stored::item::Items;
use saga_stored::{instance as body, pending};

/// A loaded row. The items are `None` while they are rows of `saga_item`.
pub(crate) struct LoadedRow {
    pub(crate) id: RowId,
    pub(crate) instance: InstanceChange,
    pub(crate) items: Option<Items>,
}

/// Loads the instance at `address`. The inner error is the reason why the row cannot be read.
pub(crate) fn load(
    db: &Connection,
    address: &Address,
) -> Result<Option<std::result::Result<LoadedRow, String>>> {
    let mut statement = db.prepare_cached(LOAD)?;
    let mut rows = statement.query((&address.saga, address.key.stored()))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(read(row, address).map_err(|error| error.to_string())))
}

fn read(row: &Row<'_>, address: &Address) -> std::result::Result<LoadedRow, Unreadable> {
    let (id, seq) = (RowId(row.get(0)?), row.get::<_, i64>(5)?);
    let body = text(row, 8)?;
    let data = if body::has_large_data(body) { maybe_text(row, 10)? } else { None };
    let columns = StepColumns {
        id,
        saga: row.get(1)?,
        key: address.key.stored(),
        status: row.get(2)?,
        seq,
        last: row.get(6)?,
        body,
        large: data,
    };
    let open = row.get::<_, Option<i64>>(4)?.is_some();
    let (stored, items) = (row.get(7)?, maybe_text(row, 9)?);
    if !checksum::is_step(stored, columns.checksum())
        || !checksum::is_pending(stored, pending_checksum(id, open, items.unwrap_or_default()))
    {
        return Err(Unreadable::Checksum);
    }
    let data = data.map(Payload::from);
    let instance = body::read(address.clone(), status(row, 2)?, seq.cast_unsigned(), body, data)?;
    if instance.parked.is_some() != row.get::<_, Option<i64>>(3)?.is_some() {
        return Err(Unreadable::Parked);
    }
    Ok(LoadedRow { id, instance, items: items.map(pending::read).transpose()? })
}

/// An ended instance to be removed.
pub(crate) struct Over {
    pub(crate) id: RowId,
    pub(crate) saga: i64,
    pub(crate) last: Option<i64>,
    pub(crate) items: OverItems,
    /// `None` for a damaged body.
    pub(crate) labels: Option<Labels>,
    state: String,
    status: i64,
    parked: bool,
}

impl Over {
    /// Returns the count that contains the instance.
    pub(crate) fn group(&self) -> Group<'_> {
        Group { saga: self.saga, state: &self.state, status: self.status, parked: self.parked }
    }
}

/// The items of an ended instance.
pub(crate) enum OverItems {
    /// The text of the column.
    InColumn(String),
    InRows,
    Damaged,
}

/// Returns instances ended before `before` without tasks, oldest first.
pub(crate) fn over(db: &Connection, before: Timestamp, limit: usize) -> Result<Vec<Over>> {
    let mut statement = db.prepare_cached(OVER)?;
    let rows = statement.query_map((before.as_millis(), limit), |row| {
        let id = RowId(row.get(0)?);
        let items = match checked_items(row, id, 3) {
            Ok(Some(items)) => OverItems::InColumn(items.to_owned()),
            Ok(None) => OverItems::InRows,
            Err(_) => OverItems::Damaged,
        };
        let body = lossy(row, 8)?;
        Ok(Over {
            id,
            saga: row.get(1)?,
            last: row.get(2)?,
            items,
            labels: body::labels(&body),
            state: body::state(&body).into_owned(),
            status: row.get(6)?,
            parked: row.get::<_, Option<i64>>(7)?.is_some(),
        })
    })?;
    rows.collect()
}

/// Reads the columns `pending`, `open` and `checksum`. Damaged items are an error. `None` while the items are rows.
pub(crate) fn checked_items<'r>(row: &'r Row<'_>, id: RowId, at: usize) -> Result<Option<&'r str>> {
    let items = maybe_text(row, at)?;
    let open = row.get::<_, Option<i64>>(at + 1)?.is_some();
    let sum = pending_checksum(id, open, items.unwrap_or_default());
    if checksum::is_pending(row.get(at + 2)?, sum) { Ok(items) } else { Err(bad(at, Unreadable::Checksum)) }
}

/// Reads the saga and the status in a row of [`NAMES`].
pub(crate) fn saga_and_status(row: &Row<'_>) -> Result<(String, Status)> {
    Ok((name(row, 0)?.into_owned(), status(row, 1)?))
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the checksum of its row is wrong")]
    Checksum,
    #[error("the column `parked` does not fit the row")]
    Parked,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Column(#[from] rusqlite::Error),
}
