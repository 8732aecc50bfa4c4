//! `saga_instance`: one row per instance, as its last step left it.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use saga_core::machine::Parked;
use saga_core::message::{Id, Incarnation, InstanceName, Timestamp};
use saga_core::store::{Address, InstanceChange, InstanceFilter, InstanceView, RowId, Status, StepOutcome};

use super::value::{address, bits, key, maybe_lossy, maybe_payload, name, payload, time, word};
use crate::checksum::Checksum;
use crate::error::{Kind, kind};

super::statements! {
    BOUNDS = "SELECT (SELECT min(id) FROM saga_instance), (SELECT max(id) FROM saga_instance)";
    NAMES = "SELECT saga, state, version, '' FROM saga_instance
             WHERE id > ?1 AND id <= ?2 AND status IN ('running', 'compensating')";
    INSERT = "INSERT INTO saga_instance (id, saga, key, partition, incarnation, status, state, payload, data, version,
                  visit, turn, parked, seq, step, last, created_at, changed_at, over_at, checksum, joined,
                  family)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                  ?22)
              ON CONFLICT DO NOTHING";
    ADVANCE = "UPDATE saga_instance SET state = ?4, payload = ?5, data = ?6, version = ?7, visit = ?8, turn = ?9, seq = ?10,
                   step = ?11, last = coalesce(?12, last), changed_at = ?13, checksum = ?14, joined = ?16,
                   family = ?17
               WHERE id = ?1 AND seq = ?2 AND incarnation = ?3 AND status = ?15 AND parked IS NULL";
    UPDATE = "UPDATE saga_instance SET status = ?4, state = ?5, payload = ?6, data = ?7, version = ?8, visit = ?9,
                  turn = ?10, parked = ?11, seq = ?12, step = ?13, last = coalesce(?14, last), changed_at = ?15,
                  over_at = ?16, checksum = ?17, joined = ?18, family = ?19
              WHERE id = ?1 AND seq = ?2 AND incarnation = ?3";
    STEP_OF_ROW = "SELECT seq, step, incarnation FROM saga_instance WHERE id = ?1";
    STEP_OF_ADDRESS = "SELECT seq, step, incarnation FROM saga_instance WHERE saga = ?1 AND key = ?2";
    LOAD = "SELECT saga, key, incarnation, created_at, seq, step, version, status, state, payload, data, visit, turn,
                parked, changed_at, checksum, joined, family FROM saga_instance WHERE id = ?1";
    FIND = "SELECT id FROM saga_instance WHERE saga = ?1 AND key = ?2";
    LAST = "SELECT id, last FROM saga_instance WHERE saga = ?1 AND key = ?2";
    COMPENSATING = "SELECT saga, key, id FROM saga_instance WHERE status = 'compensating' AND id > ?1 ORDER BY id";
    OVER = "SELECT id, last FROM saga_instance
            WHERE over_at < ?1 AND NOT EXISTS (SELECT 1 FROM saga_task WHERE instance = saga_instance.id)
            ORDER BY over_at LIMIT ?2";
    CLASH = "SELECT key FROM saga_instance AS one WHERE saga = ?1
               AND EXISTS (SELECT 1 FROM saga_instance AS other WHERE other.saga = ?2 AND other.key = one.key) LIMIT 1";
    OF_SAGA = "SELECT id FROM saga_instance WHERE saga = ?1 LIMIT ?2";
    RENAME = "UPDATE saga_instance SET saga = ?2, partition = ?3, checksum = ?4 WHERE id = ?1";
    RENAME_DAMAGED = "UPDATE saga_instance SET saga = ?2 WHERE id = ?1";
    DELETE = "DELETE FROM saga_instance WHERE id = ?1";
    COUNT = "SELECT saga, status, count(*) FROM saga_instance WHERE ?1 IS NOT NULL GROUP BY saga, status";
    COUNT_PARKED = "SELECT saga, status, count(*) FROM saga_instance INDEXED BY saga_instance_parked
                    WHERE parked IS NOT NULL AND id > ?1 GROUP BY saga, status";
    LIST = "SELECT saga, key, id, status, state, parked, seq, changed_at FROM saga_instance
            WHERE id > ?1 AND (?2 IS NULL OR saga = ?2) AND (?3 IS NULL OR status = ?3)
              AND (?4 IS NULL OR (parked IS NOT NULL) = ?4)
            ORDER BY id";
    LIST_PARKED = "SELECT saga, key, id, status, state, parked, seq, changed_at
                   FROM saga_instance INDEXED BY saga_instance_parked
                   WHERE parked IS NOT NULL AND id > ?1 AND (?2 IS NULL OR saga = ?2) AND (?3 IS NULL OR status = ?3)
                     AND ?4 = 1
                   ORDER BY id";
    LIST_SAGA = "SELECT saga, key, id, status, state, parked, seq, changed_at FROM saga_instance
                 WHERE id > ?1 AND saga = ?2 AND status = ?3 AND (?4 IS NULL OR (parked IS NOT NULL) = ?4)
                 ORDER BY id";
}

/// Adds the instance. Returns `false` if an instance with this address exists.
pub(crate) fn insert(
    db: &Connection,
    row: RowId,
    change: &InstanceChange,
    last: Option<i64>,
) -> Result<bool> {
    let added = db.prepare_cached(INSERT)?.execute(params![
        row.0,
        change.address.saga,
        change.address.key.stored(),
        change.address.key.partition(&change.address.saga),
        change.incarnation.as_u128().to_be_bytes(),
        change.status.as_str(),
        change.state,
        change.payload.as_ref().map(|payload| payload.as_str()),
        change.data.as_str(),
        change.version,
        change.visit,
        change.turn.as_ref().map(|turn| turn.as_str()),
        change.parked.as_ref().map(|parked| parked.as_str()),
        change.seq,
        change.step.to_bytes(),
        last,
        change.created_at.as_millis(),
        change.changed_at.as_millis(),
        over_at(change),
        checksum(change),
        change.joined.as_ref().map(|noted| noted.as_str()),
        change.family.as_ref().map(|family| family.as_str()),
    ])?;
    Ok(added == 1)
}

/// Writes the result of a step over the row of the step before. Returns `false` if the row is at another step.
///
/// Most steps change neither the status nor the park. Such a step is tried first without these columns. SQLite rewrites
/// an index for each named column, even if the value stays the same.
pub(crate) fn update(
    db: &Connection,
    row: RowId,
    change: &InstanceChange,
    last: Option<i64>,
) -> Result<bool> {
    let checksum = checksum(change);
    if change.parked.is_none() && !change.status.is_over() && change.seq > 1 {
        let advanced = db.prepare_cached(ADVANCE)?.execute(params![
            row.0,
            change.seq - 1,
            change.incarnation.as_u128().to_be_bytes(),
            change.state,
            change.payload.as_ref().map(|payload| payload.as_str()),
            change.data.as_str(),
            change.version,
            change.visit,
            change.turn.as_ref().map(|turn| turn.as_str()),
            change.seq,
            change.step.to_bytes(),
            last,
            change.changed_at.as_millis(),
            checksum,
            change.status.as_str(),
            change.joined.as_ref().map(|noted| noted.as_str()),
            change.family.as_ref().map(|family| family.as_str()),
        ])?;
        if advanced == 1 {
            return Ok(true);
        }
    }
    let changed = db.prepare_cached(UPDATE)?.execute(params![
        row.0,
        change.seq.saturating_sub(1),
        change.incarnation.as_u128().to_be_bytes(),
        change.status.as_str(),
        change.state,
        change.payload.as_ref().map(|payload| payload.as_str()),
        change.data.as_str(),
        change.version,
        change.visit,
        change.turn.as_ref().map(|turn| turn.as_str()),
        change.parked.as_ref().map(|parked| parked.as_str()),
        change.seq,
        change.step.to_bytes(),
        last,
        change.changed_at.as_millis(),
        over_at(change),
        checksum,
        change.joined.as_ref().map(|noted| noted.as_str()),
        change.family.as_ref().map(|family| family.as_str()),
    ])?;
    Ok(changed == 1)
}

/// Returns the outcome of a step that does not fit its row.
pub(crate) fn misfit(db: &Connection, row: Option<RowId>, change: &InstanceChange) -> Result<StepOutcome> {
    let this = (change.seq, change.step.as_u128(), change.incarnation.as_u128());
    let there = newest_step(db, row, change)?;
    Ok(if there == Some(this) { StepOutcome::Repeated } else { StepOutcome::Conflict })
}

/// Returns the outcome of a step that does not fit its row, and `None` for a step that fits.
pub(crate) fn misfit_of_row(
    db: &Connection,
    row: RowId,
    change: &InstanceChange,
) -> Result<Option<StepOutcome>> {
    let incarnation = change.incarnation.as_u128();
    let fits = newest_step(db, Some(row), change)?
        .is_some_and(|there| there.0.checked_add(1) == Some(change.seq) && there.2 == incarnation);
    if fits { Ok(None) } else { misfit(db, Some(row), change).map(Some) }
}

/// Returns the number and the id of the newest stored step, and the incarnation.
fn newest_step(
    db: &Connection,
    row: Option<RowId>,
    change: &InstanceChange,
) -> Result<Option<(u64, u128, u128)>> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, bits(row, 1)?, bits(row, 2)?));
    match row {
        Some(row) => db.prepare_cached(STEP_OF_ROW)?.query_row((row.0,), read).optional(),
        None => db
            .prepare_cached(STEP_OF_ADDRESS)?
            .query_row((&change.address.saga, change.address.key.stored()), read)
            .optional(),
    }
}

pub(crate) fn find(db: &Connection, address: &Address) -> Result<Option<RowId>> {
    db.prepare_cached(FIND)?
        .query_row((&address.saga, address.key.stored()), |row| row.get(0).map(RowId))
        .optional()
}

pub(crate) fn exists(db: &Connection, row: RowId) -> Result<bool> {
    db.prepare_cached(STEP_OF_ROW)?.exists((row.0,))
}

/// Returns the row of an address, and the newest line of its history.
pub(crate) fn last(db: &Connection, address: &Address) -> Result<Option<(RowId, Option<i64>)>> {
    db.prepare_cached(LAST)?
        .query_row((&address.saga, address.key.stored()), |row| Ok((RowId(row.get(0)?), row.get(1)?)))
        .optional()
}

/// Returns the instance in a row, and whether its checksum is correct.
pub(crate) fn load(db: &Connection, row: RowId) -> Result<(InstanceChange, bool)> {
    db.prepare_cached(LOAD)?.query_row((row.0,), |row| {
        let change = InstanceChange {
            address: address(row, 0)?,
            incarnation: Incarnation::from_u128(bits(row, 2)?),
            created_at: time(row, 3)?,
            seq: row.get(4)?,
            step: Id::from_u128(bits(row, 5)?),
            version: row.get(6)?,
            status: word(row, 7, Status::parse)?,
            state: name(row, 8)?,
            payload: maybe_payload(row, 9)?,
            data: payload(row, 10)?,
            visit: row.get(11)?,
            turn: maybe_payload(row, 12)?,
            parked: maybe_payload(row, 13)?,
            changed_at: time(row, 14)?,
            joined: maybe_payload(row, 16)?,
            family: maybe_payload(row, 17)?,
        };
        let right = row.get::<_, i64>(15)? == checksum(&change);
        Ok((change, right))
    })
}

/// Reads a row of [`COMPENSATING`].
pub(crate) fn place(row: &Row<'_>) -> Result<(RowId, Address)> {
    Ok((RowId(row.get(2)?), address(row, 0)?))
}

/// Returns instances ended before `before` without tasks, oldest first. Each comes with its newest history line.
pub(crate) fn over(db: &Connection, before: Timestamp, limit: usize) -> Result<Vec<(RowId, Option<i64>)>> {
    let mut statement = db.prepare_cached(OVER)?;
    let rows =
        statement.query_map((before.as_millis(), limit), |row| Ok((RowId(row.get(0)?), row.get(1)?)))?;
    rows.collect()
}

/// Returns a key for which both sagas have an instance.
pub(crate) fn clash(db: &Connection, was: &str, name: &str) -> Result<Option<InstanceName>> {
    db.prepare_cached(CLASH)?.query_row((was, name), |row| key(row, 0)).optional()
}

/// Renames at most `limit` instances of the saga `was` to `name`. An unreadable instance stays unreadable.
pub(crate) fn rename(db: &Connection, was: &str, name: &str, limit: usize) -> Result<usize> {
    let mut statement = db.prepare_cached(OF_SAGA)?;
    let rows: Vec<i64> = statement.query_map((was, limit), |row| row.get(0))?.collect::<Result<_>>()?;
    for &row in &rows {
        match load(db, RowId(row)) {
            Ok((mut change, true)) => {
                change.address.saga = name.to_owned().into();
                let partition = change.address.key.partition(name);
                db.prepare_cached(RENAME)?.execute((row, name, partition, checksum(&change)))?;
            }
            Ok((_, false)) => drop(db.prepare_cached(RENAME_DAMAGED)?.execute((row, name))?),
            Err(error) if kind(&error) == Kind::Step => {
                db.prepare_cached(RENAME_DAMAGED)?.execute((row, name))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(rows.len())
}

pub(crate) fn delete(db: &Connection, row: RowId) -> Result<usize> {
    db.prepare_cached(DELETE)?.execute((row.0,))
}

/// Returns the number of instances for each pair of saga and status, for all or for parked instances.
pub(crate) fn count(db: &Connection, sql: &'static str) -> Result<Vec<(String, String, u64)>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map((i64::MIN,), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
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

/// Reads a row of a list statement.
pub(crate) fn view(row: &Row<'_>) -> Result<InstanceView> {
    let changed_at = time(row, 7)?;
    Ok(InstanceView {
        address: address(row, 0)?,
        position: row.get(2)?,
        status: word(row, 3, Status::parse)?,
        state: name(row, 4)?,
        parked: maybe_lossy(row, 5)?.map(|parked| Parked::from_stored(&parked, changed_at)),
        seq: row.get(6)?,
        changed_at,
    })
}

fn over_at(change: &InstanceChange) -> Option<i64> {
    change.status.is_over().then_some(change.changed_at.as_millis())
}

/// Returns the checksum over everything that a step decides. A flipped bit is therefore detected.
fn checksum(change: &InstanceChange) -> i64 {
    Checksum::new()
        .text(&change.address.saga)
        .text(change.address.key.stored())
        .bytes(&change.incarnation.as_u128().to_be_bytes())
        .number(change.created_at.as_millis())
        .number(change.seq.cast_signed())
        .bytes(&change.step.to_bytes())
        .number(change.version.into())
        .text(change.status.as_str())
        .text(&change.state)
        .maybe(change.payload.as_ref().map(|payload| payload.as_str()))
        .text(change.data.as_str())
        .number(change.visit.into())
        .maybe(change.turn.as_ref().map(|turn| turn.as_str()))
        .maybe(change.parked.as_ref().map(|parked| parked.as_str()))
        .maybe(change.joined.as_ref().map(|noted| noted.as_str()))
        .maybe(change.family.as_ref().map(|family| family.as_str()))
        .number(change.changed_at.as_millis())
        .end()
}
