//! The writing of a step over the row of its instance.

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Error, OptionalExtension, Result, Row};
use saga_core::store::{InstanceChange, RowId, Status, StepOutcome};

use super::sums::{StepColumns, pending_checksum};
use super::{ADVANCE, INSERT, REOPEN, SET_PENDING, SET_PENDING_OPEN, STEP_OF_ADDRESS, TURN, status_number};
use crate::table::count::Group;
use crate::table::value::{bad, text};
use saga_stored::checksum;
use saga_stored::instance as body;

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

impl Current {
    /// Returns the count that contains the instance before the step. `state` is the state that was read with the row.
    pub(crate) fn group<'a>(&self, state: &'a str) -> Group<'a> {
        Group { saga: self.saga, state, status: self.status, parked: self.parked }
    }
}

/// Returns the count that contains the instance after a step.
pub(crate) fn group(saga: i64, change: &InstanceChange) -> Group<'_> {
    let (status, parked) = (status_number(change.status), change.parked.is_some());
    Group { saga, state: &change.state, status, parked }
}

/// Reads the row before a step, and its items and its state into the texts. Returns the outcome instead if the step does
/// not fit.
pub(crate) fn current(
    statement: &mut CachedStatement<'_>,
    id: RowId,
    change: Option<&InstanceChange>,
    (items, state): (&mut String, &mut String),
) -> Result<std::result::Result<Current, StepOutcome>> {
    items.clear();
    state.clear();
    let mut rows = statement.query((id.0,))?;
    let Some(row) = rows.next()? else { return Ok(Err(StepOutcome::Conflict)) };
    let stored = text(row, 7)?;
    if let Some(change) = change
        && let Some(misfit) = misfit(row.get(1)?, stored, change)
    {
        return Ok(Err(misfit));
    }
    state.push_str(&body::state(stored));
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
        let step = StepColumns {
            id,
            saga: self.saga,
            key: change.address.key.stored(),
            status: status_number(change.status),
            seq: change.seq.cast_signed(),
            last: self.last,
            body: self.body,
            large: body::is_large(&change.data).then(|| change.data.as_str()),
        };
        checksum::joined(step.checksum(), pending_checksum(id, self.open, self.items.unwrap_or_default()))
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
    let Damaged { key, seq, body, .. } = *row;
    let right = StepColumns { id, saga, key, status, seq, last, body, large: None };
    let sum = checksum::joined(!right.checksum(), pending_checksum(id, open, items.unwrap_or_default()));
    let none = None::<i64>;
    let added = db.prepare_cached(INSERT)?.execute((
        id.0,
        saga,
        key,
        status,
        none,
        flag(open),
        none,
        seq,
        last,
        sum,
        body,
        items,
    ))?;
    if added == 1 { Ok(()) } else { Err(Error::StatementChangedRows(0)) }
}

/// The columns that a step changes. SQLite rewrites the index of each named column, even if the value stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// No column of an index.
    Advance,
    /// The flag for recovery.
    Reopen,
    /// The status, the park or the end.
    Turn,
}

impl Update {
    pub(crate) fn of(before: &Current, change: &InstanceChange, open: bool) -> Self {
        if status_number(change.status) != before.status
            || change.parked.is_some() != before.parked
            || change.status.is_over()
        {
            Self::Turn
        } else if open != before.open {
            Self::Reopen
        } else {
            Self::Advance
        }
    }

    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Advance => ADVANCE,
            Self::Reopen => REOPEN,
            Self::Turn => TURN,
        }
    }
}

/// Writes a step over the row before it. `statement` is the one of `update`.
pub(crate) fn update(
    statement: &mut CachedStatement<'_>,
    update: Update,
    id: RowId,
    change: &InstanceChange,
    row: &Written<'_>,
) -> Result<()> {
    let (id, seq, last, body, items) = (id.0, change.seq, row.last, row.body, row.items);
    let checksum = row.checksum(RowId(id), change);
    let open = flag(row.open);
    match update {
        Update::Advance => statement.execute((id, seq, last, checksum, body, items))?,
        Update::Reopen => statement.execute((id, seq, last, checksum, body, items, open))?,
        Update::Turn => {
            let (status, parked) = (status_number(change.status), flag(change.parked.is_some()));
            statement.execute((
                id,
                seq,
                last,
                checksum,
                body,
                items,
                open,
                status,
                parked,
                over_at(change),
            ))?
        }
    };
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

/// A flag that is part of the condition of a partial index: 1 or NULL.
fn flag(value: bool) -> Option<i64> {
    value.then_some(1)
}

fn over_at(change: &InstanceChange) -> Option<i64> {
    change.status.is_over().then_some(change.changed_at.as_millis())
}
