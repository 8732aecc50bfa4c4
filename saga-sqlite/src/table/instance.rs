//! `saga_instance`: one narrow row per instance, as its last step left it.

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Error, OptionalExtension, Result, Row};
use saga_core::machine::Parked;
use saga_core::message::{Id, InstanceName, Payload, Timestamp};
use saga_core::store::{Address, InstanceChange, InstanceFilter, InstanceView, RowId, Status, StepOutcome};

use super::value::{address, bad, key, lossy, maybe_text, name, text};
use crate::checksum::{self, Checksum};
use crate::stored::{instance as body, pending};

super::statements! {
    BOUNDS = "SELECT (SELECT min(id) FROM saga_instance), (SELECT max(id) FROM saga_instance)";
    INSERT = "INSERT INTO saga_instance (id, saga, key, status, parked, open, over_at, seq, last, checksum, body, pending)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
              ON CONFLICT DO NOTHING";
    CURRENT = "SELECT saga, seq, status, parked, open, last, checksum, body, pending FROM saga_instance WHERE id = ?1";
    /// Most steps change no column of an index. SQLite rewrites an index for each named column, even if the value stays
    /// the same.
    ADVANCE = "UPDATE saga_instance SET seq = ?2, last = ?3, checksum = ?4, body = ?5, pending = ?6 WHERE id = ?1";
    REOPEN = "UPDATE saga_instance SET seq = ?2, last = ?3, checksum = ?4, body = ?5, pending = ?6, open = ?7 WHERE id = ?1";
    TURN = "UPDATE saga_instance SET seq = ?2, last = ?3, checksum = ?4, body = ?5, pending = ?6, open = ?7, status = ?8,
                parked = ?9, over_at = ?10
            WHERE id = ?1";
    SET_PENDING = "UPDATE saga_instance SET checksum = ?2, pending = ?3 WHERE id = ?1";
    SET_PENDING_OPEN = "UPDATE saga_instance SET checksum = ?2, pending = ?3, open = ?4 WHERE id = ?1";
    STEP_OF_ADDRESS = "SELECT seq, body FROM saga_instance WHERE saga = ?1 AND key = ?2";
    BODY = "SELECT body FROM saga_instance WHERE id = ?1";
    EXISTS = "SELECT 1 FROM saga_instance WHERE id = ?1";
    LOAD = "SELECT id, saga, status, parked, open, seq, last, checksum, body, pending,
                (SELECT data FROM saga_data WHERE instance = saga_instance.id)
            FROM saga_instance WHERE saga = (SELECT id FROM saga_name WHERE name = ?1) AND key = ?2";
    LAST = "SELECT id, last FROM saga_instance WHERE saga = (SELECT id FROM saga_name WHERE name = ?1) AND key = ?2";
    COMPENSATING = "SELECT name, key, saga_instance.id
                    FROM saga_instance JOIN saga_name ON saga_name.id = saga
                    WHERE status = 2 AND saga_instance.id > ?1 ORDER BY saga_instance.id";
    OPEN = "SELECT name, key, saga_instance.id, pending, open, checksum
            FROM saga_instance JOIN saga_name ON saga_name.id = saga
            WHERE open = 1 AND saga_instance.id >= ?1 ORDER BY saga_instance.id";
    OVER = "SELECT id, saga, last, pending, open, checksum FROM saga_instance
            WHERE over_at < ?1 AND open IS NULL ORDER BY over_at LIMIT ?2";
    NAMES = "SELECT name, status, body, pending, saga_instance.id
             FROM saga_instance JOIN saga_name ON saga_name.id = saga
             WHERE saga_instance.id > ?1 AND saga_instance.id <= ?2 AND (status <= 2 OR pending IS NOT '{}')";
    CLASH = "SELECT key FROM saga_instance AS one WHERE saga = ?1
               AND EXISTS (SELECT 1 FROM saga_instance AS other WHERE other.saga = ?2 AND other.key = one.key) LIMIT 1";
    OF_SAGA = "SELECT id, status, key, seq, last, checksum, body, (SELECT data FROM saga_data WHERE instance = saga_instance.id)
               FROM saga_instance WHERE saga = ?1 LIMIT ?2";
    MOVE = "UPDATE saga_instance SET saga = ?2, checksum = ?3 WHERE id = ?1";
    COUNT_OF_SAGA = "SELECT count(*) FROM saga_instance WHERE saga = ?1";
    DELETE = "DELETE FROM saga_instance WHERE id = ?1";
    COUNT = "SELECT name, status, count(*)
             FROM saga_instance JOIN saga_name ON saga_name.id = saga WHERE ?1 IS NOT NULL GROUP BY saga, status";
    COUNT_PARKED = "SELECT name, status, count(*)
                    FROM saga_instance INDEXED BY saga_instance_parked JOIN saga_name ON saga_name.id = saga
                    WHERE parked = 1 AND saga_instance.id > ?1 GROUP BY saga, status";
    LIST = "SELECT name, key, saga_instance.id, status, seq, body, parked
            FROM saga_instance JOIN saga_name ON saga_name.id = saga
            WHERE saga_instance.id > ?1 AND (?2 IS NULL OR name = ?2) AND (?3 IS NULL OR status = ?3)
              AND (?4 IS NULL OR (parked IS NOT NULL) = ?4)
            ORDER BY saga_instance.id";
    LIST_PARKED = "SELECT name, key, saga_instance.id, status, seq, body, parked
                   FROM saga_instance INDEXED BY saga_instance_parked JOIN saga_name ON saga_name.id = saga
                   WHERE parked = 1 AND saga_instance.id > ?1 AND (?2 IS NULL OR name = ?2)
                     AND (?3 IS NULL OR status = ?3) AND ?4 = 1
                   ORDER BY saga_instance.id";
    LIST_SAGA = "SELECT ?2, key, id, status, seq, body, parked FROM saga_instance
                 WHERE saga = (SELECT id FROM saga_name WHERE name = ?2) AND status = ?3 AND id > ?1
                   AND (?4 IS NULL OR (parked IS NOT NULL) = ?4)
                 ORDER BY id";
}

/// The number of a status in the column `status`.
pub(crate) const fn status_number(status: Status) -> i64 {
    match status {
        Status::Running => 1,
        Status::Compensating => 2,
        Status::Completed => 3,
        Status::Failed => 4,
        Status::Aborted => 5,
    }
}

fn status(row: &Row<'_>, at: usize) -> Result<Status> {
    let number: i64 = row.get(at)?;
    let all = [Status::Running, Status::Compensating, Status::Completed, Status::Failed, Status::Aborted];
    all.into_iter()
        .find(|status| status_number(*status) == number)
        .ok_or_else(|| bad(at, UnknownStatus(number)))
}

/// The stored row before a step, without its texts.
pub(crate) struct Current {
    pub(crate) saga: i64,
    pub(crate) open: bool,
    /// The items are rows of `saga_item`.
    pub(crate) in_rows: bool,
    pub(crate) has_large_data: bool,
    pub(crate) last: Option<i64>,
    pub(crate) checksum: i64,
    status: i64,
    parked: bool,
}

/// Reads the row before a step, and its items into `items`. Returns the outcome instead if the step does not fit.
pub(crate) fn current(
    statement: &mut CachedStatement<'_>,
    id: RowId,
    change: Option<&InstanceChange>,
    items: &mut String,
) -> Result<std::result::Result<Current, StepOutcome>> {
    items.clear();
    let mut rows = statement.query((id.0,))?;
    let Some(row) = rows.next()? else { return Ok(Err(StepOutcome::Conflict)) };
    let stored = text(row, 7)?;
    if let Some(change) = change
        && let Some(misfit) = misfit(row.get(1)?, stored, change)
    {
        return Ok(Err(misfit));
    }
    let in_rows = match row.get_ref(8)? {
        ValueRef::Null => true,
        value => {
            items.push_str(value.as_str().map_err(|error| bad(8, error))?);
            false
        }
    };
    let current = Current {
        saga: row.get(0)?,
        status: row.get(2)?,
        parked: row.get::<_, Option<i64>>(3)?.is_some(),
        open: row.get::<_, Option<i64>>(4)?.is_some(),
        last: row.get(5)?,
        checksum: row.get(6)?,
        in_rows,
        has_large_data: body::has_large_data(stored),
    };
    if !checksum::is_pending(current.checksum, pending_checksum(id, current.open, items)) {
        // The engine loads the instance again, finds the damage, and quarantines the instance.
        return Ok(Err(StepOutcome::Conflict));
    }
    Ok(Ok(current))
}

/// Returns the outcome of a step that does not follow the stored step `seq`.
fn misfit(seq: u64, stored: &str, change: &InstanceChange) -> Option<StepOutcome> {
    let same =
        body::identities(stored).filter(|(incarnation, _)| *incarnation == change.incarnation.as_u128());
    match same {
        Some(_) if seq.checked_add(1) == Some(change.seq) => None,
        Some((_, step)) if seq == change.seq && step == change.step.as_u128() => Some(StepOutcome::Repeated),
        _ => Some(StepOutcome::Conflict),
    }
}

/// The values of the row after a step.
pub(crate) struct Written<'a> {
    pub(crate) saga: i64,
    pub(crate) open: bool,
    /// `None` while the items are rows of `saga_item`.
    pub(crate) items: Option<&'a str>,
    pub(crate) last: Option<i64>,
    pub(crate) body: &'a str,
}

impl Written<'_> {
    fn checksum(&self, id: RowId, change: &InstanceChange) -> i64 {
        let data = body::is_large(&change.data).then(|| change.data.as_str());
        let number = status_number(change.status);
        let step = step_checksum(
            id,
            self.saga,
            change.address.key.stored(),
            number,
            change.seq.cast_signed(),
            self.last,
            self.body,
            data,
        );
        checksum::joined(step, pending_checksum(id, self.open, self.items.unwrap_or_default()))
    }
}

/// Adds the instance. Returns `false` if an instance with this address exists.
pub(crate) fn insert(
    statement: &mut CachedStatement<'_>,
    id: RowId,
    change: &InstanceChange,
    row: &Written<'_>,
) -> Result<bool> {
    let added = statement.execute((
        id.0,
        row.saga,
        change.address.key.stored(),
        status_number(change.status),
        flag(change.parked.is_some()),
        flag(row.open),
        over_at(change),
        change.seq,
        row.last,
        row.checksum(id, change),
        row.body,
        row.items,
    ))?;
    Ok(added == 1)
}

/// A row of an earlier table that could not be read.
pub(crate) struct Damaged<'a> {
    pub(crate) key: &'a str,
    pub(crate) status: Option<Status>,
    pub(crate) seq: i64,
    pub(crate) body: &'a str,
}

/// Adds a damaged instance with a wrong checksum.
pub(crate) fn insert_damaged(
    db: &Connection,
    id: RowId,
    saga: i64,
    row: &Damaged<'_>,
    (items, open): (Option<&str>, bool),
    last: Option<i64>,
) -> Result<()> {
    let status = row.status.map_or(0, status_number);
    let right = step_checksum(id, saga, row.key, status, row.seq, last, row.body, None);
    let sum = checksum::joined(!right, pending_checksum(id, open, items.unwrap_or_default()));
    let none = None::<i64>;
    let added = db.prepare_cached(INSERT)?.execute((
        id.0,
        saga,
        row.key,
        status,
        none,
        flag(open),
        none,
        row.seq,
        last,
        sum,
        row.body,
        items,
    ))?;
    if added == 1 { Ok(()) } else { Err(Error::StatementChangedRows(0)) }
}

/// Returns the statement that writes a step over the row before it.
pub(crate) fn update_sql(before: &Current, change: &InstanceChange, open: bool) -> &'static str {
    if status_number(change.status) != before.status
        || change.parked.is_some() != before.parked
        || change.status.is_over()
    {
        TURN
    } else if open != before.open {
        REOPEN
    } else {
        ADVANCE
    }
}

/// Writes a step over the row before it with the statement of [`update_sql`].
pub(crate) fn update(
    statement: &mut CachedStatement<'_>,
    id: RowId,
    change: &InstanceChange,
    row: &Written<'_>,
) -> Result<()> {
    let columns = statement.parameter_count();
    let checksum = row.checksum(id, change);
    let advance = (id.0, change.seq, row.last, checksum, row.body, row.items);
    if columns == 6 {
        statement.execute(advance)?;
        return Ok(());
    }
    let (id, seq, last, checksum, body, items) = advance;
    let open = flag(row.open);
    if columns == 7 {
        statement.execute((id, seq, last, checksum, body, items, open))?;
    } else {
        let (status, parked) = (status_number(change.status), flag(change.parked.is_some()));
        statement.execute((id, seq, last, checksum, body, items, open, status, parked, over_at(change)))?;
    }
    Ok(())
}

/// Writes the pending items of a step that does not change its instance. `items` is `None` while they are rows.
pub(crate) fn set_pending(
    db: &Connection,
    id: RowId,
    before: &Current,
    open: bool,
    items: Option<&str>,
) -> Result<()> {
    let sum = checksum::joined(before.checksum, pending_checksum(id, open, items.unwrap_or_default()));
    if open == before.open {
        db.prepare_cached(SET_PENDING)?.execute((id.0, sum, items))?;
    } else {
        db.prepare_cached(SET_PENDING_OPEN)?.execute((id.0, sum, items, flag(open)))?;
    }
    Ok(())
}

/// Returns the outcome of a start if its address has an instance.
pub(crate) fn misfit_of_start(
    db: &Connection,
    saga: i64,
    change: &InstanceChange,
) -> Result<Option<StepOutcome>> {
    let read =
        |row: &Row<'_>| Ok(misfit(row.get(0)?, text(row, 1)?, change).unwrap_or(StepOutcome::Conflict));
    db.prepare_cached(STEP_OF_ADDRESS)?.query_row((saga, change.address.key.stored()), read).optional()
}

/// Returns whether the last step of the instance is `step`.
pub(crate) fn is_at(db: &Connection, row: RowId, step: Id) -> Result<bool> {
    let there = db.prepare_cached(BODY)?.query_row((row.0,), |row| {
        Ok(body::identities(text(row, 0)?).is_some_and(|(_, there)| there == step.as_u128()))
    });
    Ok(there.optional()?.unwrap_or(false))
}

pub(crate) fn exists(db: &Connection, row: RowId) -> Result<bool> {
    db.prepare_cached(EXISTS)?.exists((row.0,))
}

/// Returns the row of an address, and the newest line of its history.
pub(crate) fn last(db: &Connection, address: &Address) -> Result<Option<(RowId, Option<i64>)>> {
    db.prepare_cached(LAST)?
        .query_row((&address.saga, address.key.stored()), |row| Ok((RowId(row.get(0)?), row.get(1)?)))
        .optional()
}

/// A loaded row. The items are `None` while they are rows of `saga_item`.
pub(crate) struct LoadedRow {
    pub(crate) id: RowId,
    pub(crate) instance: InstanceChange,
    pub(crate) items: Option<crate::stored::item::Items>,
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
    let (id, saga, seq) = (RowId(row.get(0)?), row.get(1)?, row.get::<_, i64>(5)?);
    let (stored, items) = (text(row, 8)?, maybe_text(row, 9)?);
    let large = maybe_text(row, 10)?;
    let open = row.get::<_, Option<i64>>(4)?.is_some();
    let (number, last, stored_checksum) = (row.get(2)?, row.get(6)?, row.get(7)?);
    let key = address.key.stored();
    let data = if body::has_large_data(stored) { large } else { None };
    let step = step_checksum(id, saga, key, number, seq, last, stored, data);
    if !checksum::is_step(stored_checksum, step)
        || !checksum::is_pending(stored_checksum, pending_checksum(id, open, items.unwrap_or_default()))
    {
        return Err(Unreadable::Checksum);
    }
    let data = data.map(Payload::from);
    let instance = body::read(address.clone(), status(row, 2)?, seq.cast_unsigned(), stored, data)?;
    if instance.parked.is_some() != row.get::<_, Option<i64>>(3)?.is_some() {
        return Err(Unreadable::Parked);
    }
    Ok(LoadedRow { id, instance, items: items.map(pending::read).transpose()? })
}

/// Reads a row of [`COMPENSATING`].
pub(crate) fn place(row: &Row<'_>) -> Result<(RowId, Address)> {
    Ok((RowId(row.get(2)?), address(row, 0)?))
}

/// An ended instance to be removed.
pub(crate) struct Over {
    pub(crate) id: RowId,
    pub(crate) saga: i64,
    pub(crate) last: Option<i64>,
    /// The items, `None` while they are rows. The inner value is `None` for damaged items.
    pub(crate) items: Option<Option<String>>,
}

/// Returns instances ended before `before` without tasks, oldest first.
pub(crate) fn over(db: &Connection, before: Timestamp, limit: usize) -> Result<Vec<Over>> {
    let mut statement = db.prepare_cached(OVER)?;
    let rows = statement.query_map((before.as_millis(), limit), |row| {
        let id = RowId(row.get(0)?);
        let items = match checked_items(row, id, 3) {
            Ok(items) => items.map(|items| Some(items.to_owned())),
            Err(_) => Some(None),
        };
        Ok(Over { id, saga: row.get(1)?, last: row.get(2)?, items })
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

/// Returns a key for which both sagas have an instance.
pub(crate) fn clash(db: &Connection, one: i64, other: i64) -> Result<Option<InstanceName>> {
    db.prepare_cached(CLASH)?.query_row((one, other), |row| key(row, 0)).optional()
}

/// Moves at most `limit` instances of the saga `from` to the saga `to`. A damaged instance stays damaged.
pub(crate) fn move_to(db: &Connection, from: i64, to: i64, limit: usize) -> Result<usize> {
    let mut statement = db.prepare_cached(OF_SAGA)?;
    let rows: Vec<(i64, i64)> = statement
        .query_map((from, limit), |row| {
            let (id, stored): (i64, i64) = (row.get(0)?, row.get(5)?);
            let sums = text(row, 6).and_then(|body| {
                let data = if body::has_large_data(body) { maybe_text(row, 7)? } else { None };
                let key = text(row, 2)?;
                let (status, seq, last) = (row.get(1)?, row.get(3)?, row.get(4)?);
                let sum = |saga| step_checksum(RowId(id), saga, key, status, seq, last, body, data);
                Ok((sum(from), sum(to)))
            });
            Ok(match sums {
                Ok((was, now)) if checksum::is_step(stored, was) => (id, checksum::joined(now, stored)),
                // The stored checksum does not fit the new saga either.
                _ => (id, stored),
            })
        })?
        .collect::<Result<_>>()?;
    for &(id, sum) in &rows {
        db.prepare_cached(MOVE)?.execute((id, to, sum))?;
    }
    Ok(rows.len())
}

pub(crate) fn count_of_saga(db: &Connection, saga: i64) -> Result<usize> {
    db.prepare_cached(COUNT_OF_SAGA)?.query_row((saga,), |row| row.get(0))
}

pub(crate) fn delete(db: &Connection, row: RowId) -> Result<usize> {
    db.prepare_cached(DELETE)?.execute((row.0,))
}

/// Returns the number of instances for each pair of saga and status, for all or for parked instances.
pub(crate) fn count(db: &Connection, sql: &'static str) -> Result<Vec<(String, String, u64)>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map((i64::MIN,), |row| {
        let status =
            status(row, 1).map_or_else(|_| "unknown".to_owned(), |status| status.as_str().to_owned());
        Ok((row.get(0)?, status, row.get(2)?))
    })?;
    rows.collect()
}

/// Returns the list statement with the best index for `filter`. Every list statement has the parameters position, saga,
/// status and parked.
pub(crate) fn list(filter: &InstanceFilter) -> &'static str {
    match (filter.parked, &filter.saga, filter.status) {
        (Some(true), ..) => LIST_PARKED,
        (_, Some(_), Some(_)) => LIST_SAGA,
        _ => LIST,
    }
}

/// Reads a row of a list statement. A body that cannot be read gives an empty state, and the row stays visible.
pub(crate) fn view(row: &Row<'_>) -> Result<InstanceView> {
    let stored = lossy(row, 5)?;
    let outline = body::outline(&stored).unwrap_or_default();
    let changed_at = Timestamp::from_millis(outline.changed_at);
    let is_parked = row.get::<_, Option<i64>>(6)?.is_some();
    let record = outline.parked.or_else(|| is_parked.then(|| Payload::from("")));
    Ok(InstanceView {
        address: address(row, 0)?,
        position: row.get(2)?,
        status: status(row, 3)?,
        state: outline.state.into_owned().into(),
        parked: record.map(|record| Parked::from_stored(&record, changed_at)),
        seq: row.get(4)?,
        changed_at,
    })
}

/// Reads the saga and the status in a row of [`NAMES`].
pub(crate) fn saga_and_status(row: &Row<'_>) -> Result<(String, Status)> {
    Ok((name(row, 0)?.into_owned(), status(row, 1)?))
}

/// A flag that is part of the condition of a partial index: 1 or NULL.
fn flag(value: bool) -> Option<i64> {
    value.then_some(1)
}

fn over_at(change: &InstanceChange) -> Option<i64> {
    change.status.is_over().then_some(change.changed_at.as_millis())
}

/// Returns the checksum over everything that a step decides, except the pending items.
#[allow(clippy::too_many_arguments)] // The columns of the row, once to write and once to read.
fn step_checksum(
    id: RowId,
    saga: i64,
    key: &str,
    status: i64,
    seq: i64,
    last: Option<i64>,
    body: &str,
    large: Option<&str>,
) -> i64 {
    // The row numbers of history lines begin at 1.
    let sum = Checksum::new().number(id.0).number(saga).text(key).number(status).number(seq);
    let sum = sum.number(last.unwrap_or(0)).text(body);
    large.map_or_else(|| sum.end(), |data| sum_with(&sum, data))
}

fn sum_with(sum: &Checksum, data: &str) -> i64 {
    Checksum::new().number(sum.end()).text(data).end()
}

/// Returns the checksum over the pending items and the flag for recovery.
fn pending_checksum(id: RowId, open: bool, items: &str) -> i64 {
    Checksum::new().number(id.0).number(open.into()).text(items).end()
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

#[derive(Debug, thiserror::Error)]
#[error("this version does not know the stored status {0}")]
struct UnknownStatus(i64);
