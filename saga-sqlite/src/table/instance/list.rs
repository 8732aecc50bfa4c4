//! The statements of lists of instances: one for each index and direction, and the reading of a line.
//!
//! Each statement returns the columns of a line, and then its place. `?1` is the place behind which the list begins.

use rusqlite::{Connection, Result, Row};
use saga_core::store::{Address, InstanceView, Position, RowId, Status};

use super::{checked_items, status};
use crate::error::{Kind, kind};
use crate::table::item;
use crate::table::value::{address, bad, lossy};
use saga_stored::item::Items;
use saga_stored::pending;
use saga_stored::view::{self, Columns};

crate::table::statements! {
    ALL = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
           FROM saga_instance JOIN saga_name ON saga_name.id = saga
           WHERE saga_instance.id > ?1 ORDER BY saga_instance.id";
    ALL_DOWN = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
                FROM saga_instance JOIN saga_name ON saga_name.id = saga
                WHERE saga_instance.id < ?1 ORDER BY saga_instance.id DESC";
    PARKED = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
              FROM saga_instance INDEXED BY saga_instance_parked JOIN saga_name ON saga_name.id = saga
              WHERE parked = 1 AND saga_instance.id > ?1 ORDER BY saga_instance.id";
    PARKED_DOWN = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
                   FROM saga_instance INDEXED BY saga_instance_parked JOIN saga_name ON saga_name.id = saga
                   WHERE parked = 1 AND saga_instance.id < ?1 ORDER BY saga_instance.id DESC";
    COMPENSATING = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
                    FROM saga_instance INDEXED BY saga_instance_compensating JOIN saga_name ON saga_name.id = saga
                    WHERE status = 2 AND saga_instance.id > ?1 ORDER BY saga_instance.id";
    COMPENSATING_DOWN = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
                         FROM saga_instance INDEXED BY saga_instance_compensating JOIN saga_name ON saga_name.id = saga
                         WHERE status = 2 AND saga_instance.id < ?1 ORDER BY saga_instance.id DESC";
    ENDED = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
             FROM saga_instance INDEXED BY saga_instance_failed JOIN saga_name ON saga_name.id = saga
             WHERE status >= 4 AND status = ?2 AND saga_instance.id > ?1 ORDER BY saga_instance.id";
    ENDED_DOWN = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
                  FROM saga_instance INDEXED BY saga_instance_failed JOIN saga_name ON saga_name.id = saga
                  WHERE status >= 4 AND status = ?2 AND saga_instance.id < ?1 ORDER BY saga_instance.id DESC";
    LIVE = "SELECT * FROM (
            SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id AS place
            FROM saga_instance INDEXED BY saga_instance_live JOIN saga_name ON saga_name.id = saga
            WHERE open = 1 AND (over_at IS NULL OR open = 1) AND saga_instance.id > ?1
            UNION ALL
            SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id AS place
            FROM saga_instance INDEXED BY saga_instance_live JOIN saga_name ON saga_name.id = saga
            WHERE open IS NULL AND over_at IS NULL AND saga_instance.id > ?1)
            ORDER BY place";
    LIVE_DOWN = "SELECT * FROM (
                 SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id AS place
                 FROM saga_instance INDEXED BY saga_instance_live JOIN saga_name ON saga_name.id = saga
                 WHERE open = 1 AND (over_at IS NULL OR open = 1) AND saga_instance.id < ?1
                 UNION ALL
                 SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id AS place
                 FROM saga_instance INDEXED BY saga_instance_live JOIN saga_name ON saga_name.id = saga
                 WHERE open IS NULL AND over_at IS NULL AND saga_instance.id < ?1)
                 ORDER BY place DESC";
    LABELLED = "SELECT * FROM (
                SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, instance AS place
                FROM saga_label CROSS JOIN saga_instance ON saga_instance.id = instance CROSS JOIN saga_name ON saga_name.id = saga
                WHERE saga_label.name = ?2 AND value = ?3 AND instance > ?1
                UNION ALL
                SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, instance AS place
                FROM saga_label CROSS JOIN saga_instance ON saga_instance.id = instance CROSS JOIN saga_name ON saga_name.id = saga
                WHERE saga_label.name = ?2 AND value = ?4 AND instance > ?1)
                ORDER BY place";
    LABELLED_DOWN = "SELECT * FROM (
                     SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, instance AS place
                     FROM saga_label CROSS JOIN saga_instance ON saga_instance.id = instance CROSS JOIN saga_name ON saga_name.id = saga
                     WHERE saga_label.name = ?2 AND value = ?3 AND instance < ?1
                     UNION ALL
                     SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, instance AS place
                     FROM saga_label CROSS JOIN saga_instance ON saga_instance.id = instance CROSS JOIN saga_name ON saga_name.id = saga
                     WHERE saga_label.name = ?2 AND value = ?4 AND instance < ?1)
                     ORDER BY place DESC";
    /// One instance, and its newest history line as its place.
    OF_ROW = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, body, pending, open, checksum, last
              FROM saga_instance JOIN saga_name ON saga_name.id = saga WHERE saga_instance.id = ?1";
    BY_KEY = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
              FROM saga_instance INDEXED BY saga_instance_address JOIN saga_name ON saga_name.id = saga
              WHERE saga = ?2 AND key >= ?1 ORDER BY key";
    BY_KEY_DOWN = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_instance.id
                   FROM saga_instance INDEXED BY saga_instance_address JOIN saga_name ON saga_name.id = saga
                   WHERE saga = ?2 AND key <= ?1 ORDER BY key DESC";
    BY_LINE = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_history.id
               FROM saga_history CROSS JOIN saga_instance ON saga_instance.id = saga_history.instance AND last = saga_history.id
               CROSS JOIN saga_name ON saga_name.id = saga
               WHERE saga_history.id > ?1 AND saga_history.id <= ?2 ORDER BY saga_history.id";
    BY_LINE_DOWN = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, saga_history.id
                    FROM saga_history CROSS JOIN saga_instance ON saga_instance.id = saga_history.instance AND last = saga_history.id
                    CROSS JOIN saga_name ON saga_name.id = saga
                    WHERE saga_history.id < ?1 AND saga_history.id >= ?2 ORDER BY saga_history.id DESC";
    BY_DUE = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, due_at
              FROM saga_timer CROSS JOIN saga_instance ON saga_instance.id = instance CROSS JOIN saga_name ON saga_name.id = saga
              WHERE (due_at, instance) > (?1, ?2) ORDER BY due_at, instance, saga_timer.name";
    BY_DUE_DOWN = "SELECT saga_name.name, key, saga_instance.id, status, parked, seq, saga_instance.body, pending, open, saga_instance.checksum, due_at
                   FROM saga_timer CROSS JOIN saga_instance ON saga_instance.id = instance CROSS JOIN saga_name ON saga_name.id = saga
                   WHERE (due_at, instance) < (?1, ?2) ORDER BY due_at DESC, instance DESC, saga_timer.name DESC";
    NEXT_LINE = "SELECT min(id) FROM saga_history WHERE id > ?1";
    NEXT_LINE_DOWN = "SELECT max(id) FROM saga_history WHERE id < ?1";
}

/// The columns of a line that need no parse.
pub(crate) struct Line {
    pub(crate) address: Address,
    pub(crate) id: RowId,
    pub(crate) status: Status,
    pub(crate) parked: bool,
}

/// The number of the column with the place.
pub(crate) const PLACE: usize = 10;

pub(crate) fn line(row: &Row<'_>) -> Result<Line> {
    Ok(Line {
        address: address(row, 0)?,
        id: RowId(row.get(2)?),
        status: status(row, 3)?,
        parked: row.get::<_, Option<i64>>(4)?.is_some(),
    })
}

/// Reads the rest of a line. Unreadable parts are empty, and the line stays visible.
///
/// Returns the cost as well: one for each item, and one for each 512 bytes.
pub(crate) fn view(
    db: &Connection,
    row: &Row<'_>,
    line: Line,
    position: Position,
) -> Result<(InstanceView, usize)> {
    let stored = lossy(row, 6)?;
    let items = items(db, row, line.id)?;
    let count = items.tasks.len() + items.obligations.len() + items.timers.len() + items.aliases.len();
    let bytes = stored.len() + row.get_ref(7)?.as_bytes().map_or(0, <[u8]>::len);
    let Line { address, status, parked, .. } = line;
    let columns = Columns { address, status, parked, seq: row.get(5)? };
    Ok((view::view(columns, &stored, &items, position), count + bytes / 512))
}

/// Returns the pending items. Damaged items are left out.
fn items(db: &Connection, row: &Row<'_>, id: RowId) -> Result<Items> {
    let read = match checked_items(row, id, 7) {
        Ok(Some(text)) => pending::read(text).map_err(|error| bad(7, error)),
        Ok(None) => item::of_instance(db, id),
        Err(error) => Err(error),
    };
    match read {
        Err(error) if kind(&error) == Kind::Step => Ok(Items::default()),
        read => read.map(|mut items| {
            items.sort();
            items
        }),
    }
}
