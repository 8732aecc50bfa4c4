//! The statements of one step, and the isolation of each step from the other steps of its batch.
//!
//! Owns: the order of the statements, and the outcome of a step that cannot be written.
//! Does not own: the surrounding transaction.

use rusqlite::{Connection, Error};
use saga_core::store::{
    AliasChange, Committed, DeliveryChange, DeliveryId, ObligationChange, RowId, Step, StepOutcome,
    TaskChange, TimerChange,
};

use crate::error::{Kind, kind};
use crate::table::meta::Numbers;
use crate::table::{alias, dead, dedup, delivery, history, inbox, instance, obligation, task, timer};

/// The way in which the steps of a batch are isolated from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// No step gets a savepoint, because a savepoint makes SQLite copy every page touched by the step. The expected
    /// failures are found before the step has written a row. After any other failure the caller writes the whole batch
    /// again with [`Each`](Self::Each).
    Hopeful,
    /// Every step gets a savepoint.
    Each,
}

pub(crate) const SAVE: &str = "SAVEPOINT step";
pub(crate) const KEEP: &str = "RELEASE step";
pub(crate) const UNDO: &str = "ROLLBACK TO step";

/// The reason for the early end of a step.
enum Stop {
    /// The outcome is not committed, and nothing was written.
    Untouched(StepOutcome),
    /// The outcome is not committed, and some rows may have been written.
    With(StepOutcome),
    /// SQLite returned an error.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Writes the steps, each all or nothing.
///
/// `None` means that the batch needs [`Isolation::Each`]. The caller must roll back after `None` and after an error. An
/// error concerns the whole store.
pub(crate) fn steps(
    db: &Connection,
    numbers: &mut Numbers,
    steps: &[Step],
    isolation: Isolation,
) -> rusqlite::Result<Option<Vec<StepOutcome>>> {
    let mut outcomes = Vec::with_capacity(steps.len());
    for step in steps {
        let outcome = if isolation == Isolation::Each {
            isolated(db, numbers, step)?
        } else {
            match write(db, numbers, step) {
                Ok(committed) => StepOutcome::Committed(committed),
                Err(Stop::Untouched(outcome)) => outcome,
                Err(Stop::With(_)) => return Ok(None),
                Err(Stop::Failed(error)) if kind(&error) == Kind::Step => return Ok(None),
                Err(Stop::Failed(error)) => return Err(error),
            }
        };
        outcomes.push(outcome);
    }
    Ok(Some(outcomes))
}

fn isolated(db: &Connection, numbers: &mut Numbers, step: &Step) -> rusqlite::Result<StepOutcome> {
    let run = |sql| db.prepare_cached(sql)?.execute([]);
    run(SAVE)?;
    let outcome = match write(db, numbers, step) {
        Ok(committed) => StepOutcome::Committed(committed),
        Err(stop) => {
            let outcome = match stop {
                Stop::Untouched(outcome) | Stop::With(outcome) => outcome,
                Stop::Failed(error) if kind(&error) == Kind::Step => StepOutcome::Refused(error.to_string()),
                Stop::Failed(error) => return Err(error),
            };
            run(UNDO)?;
            outcome
        }
    };
    run(KEEP)?;
    Ok(outcome)
}

fn write(db: &Connection, numbers: &mut Numbers, step: &Step) -> Result<Committed, Stop> {
    if let Some(reason) = step.contradiction() {
        return Err(Stop::Untouched(StepOutcome::Refused(reason.to_owned())));
    }
    let mut committed = Committed::default();
    // An existing instance is an expected failure of a start, and a duplicate one of any other step. Each is found by
    // the first row.
    let starts = step.row.is_none() && step.instance.is_some();
    if !starts {
        existing_row(db, step)?;
        dedup_records(db, step, false)?;
    }
    if let Some(row) = instance_of(db, numbers, step)? {
        if starts {
            committed.row = Some(row);
            dedup_records(db, step, true)?;
        }
        owned_rows(db, row, step)?;
    }
    if let Some(row) = committed.row.or(step.row) {
        claims(db, row, step)?;
    }
    for id in &step.consumed {
        if !inbox::delete(db, *id)? {
            return Err(Stop::With(StepOutcome::Duplicate));
        }
    }
    for mail in &step.mail {
        committed.mail.push(inbox::insert(db, mail)?);
    }
    for change in &step.deliveries {
        match change {
            DeliveryChange::Add(queued) => {
                numbers.delivery += 1;
                let id = DeliveryId(numbers.delivery);
                delivery::insert(db, id, queued)?;
                committed.deliveries.push(id);
            }
            DeliveryChange::Progress(id, progress) => delivery::progress(db, *id, progress)?,
            DeliveryChange::Finish(id) => delivery::delete(db, *id)?,
        }
    }
    for letter in &step.dead {
        dead::insert(db, letter)?;
    }
    for id in &step.redriven {
        if !dead::delete(db, *id)? {
            return Err(Stop::With(StepOutcome::Refused(Step::no_letter(*id))));
        }
    }
    Ok(committed)
}

/// Checks the row of a step that does not change its instance.
fn existing_row(db: &Connection, step: &Step) -> Result<(), Stop> {
    match (step.row, &step.instance) {
        (Some(row), None) if !instance::exists(db, row)? => Err(Stop::Untouched(StepOutcome::Conflict)),
        _ => Ok(()),
    }
}

/// Writes the deduplication records. `written`: the step has written other rows before.
fn dedup_records(db: &Connection, step: &Step, mut written: bool) -> Result<(), Stop> {
    for record in &step.dedup {
        if let Some(outcome) = dedup::set(db, record)? {
            // A repeated step is `Repeated`, not a duplicate of itself.
            let misfit = match (step.row, &step.instance) {
                (Some(row), Some(change)) => instance::misfit_of_row(db, row, change)?,
                _ => None,
            };
            let outcome = misfit.unwrap_or(outcome);
            return Err(if written { Stop::With(outcome) } else { Stop::Untouched(outcome) });
        }
        written = true;
    }
    Ok(())
}

/// Writes the instance and its history.
///
/// The INSERT or UPDATE itself checks the step. A step that fits therefore needs no SELECT. Before an UPDATE the
/// history is written first. Its oldest line takes the end of the chain from the instance row.
fn instance_of(db: &Connection, numbers: &mut Numbers, step: &Step) -> Result<Option<RowId>, Stop> {
    let Some(change) = &step.instance else { return Ok(step.row) };
    let first = numbers.history + 1;
    let newest = numbers.history + i64::try_from(step.history.len()).unwrap_or(i64::MAX);
    let last = (!step.history.is_empty()).then_some(newest);
    let Some(row) = step.row else {
        let row = RowId(numbers.instance + 1);
        if !instance::insert(db, row, change, last)? {
            return Err(Stop::Untouched(instance::misfit(db, None, change)?));
        }
        numbers.instance += 1;
        numbers.history = history::append(db, row, true, change.seq, first, &step.history)?;
        return Ok(Some(row));
    };
    numbers.history = history::append(db, row, false, change.seq, first, &step.history)?;
    if instance::update(db, row, change, last)? {
        Ok(Some(row))
    } else {
        Err(Stop::With(instance::misfit(db, step.row, change)?))
    }
}

fn owned_rows(db: &Connection, row: RowId, step: &Step) -> Result<(), Stop> {
    for change in &step.tasks {
        match change {
            TaskChange::Add(queued) => {
                if !task::insert(db, row, queued)? {
                    let (seq, ord) = (queued.id.seq, queued.id.ord);
                    let reason = format!("task {seq}.{ord} already exists");
                    return Err(Stop::With(StepOutcome::Refused(reason)));
                }
            }
            TaskChange::Progress(id, progress) => task::progress(db, row, *id, progress)?,
            TaskChange::Finish(id) => task::delete(db, row, *id)?,
        }
    }
    for change in &step.timers {
        match change {
            TimerChange::Set(set) => timer::set(db, row, set)?,
            TimerChange::Clear(name) => timer::clear(db, row, name)?,
        }
    }
    for change in &step.obligations {
        match change {
            ObligationChange::Put(owed) => obligation::put(db, row, owed)?,
            ObligationChange::Drop(id) => obligation::remove(db, row, *id)?,
        }
    }
    Ok(())
}

fn claims(db: &Connection, row: RowId, step: &Step) -> Result<(), Stop> {
    for change in &step.aliases {
        match change {
            AliasChange::Claim(claimed) => {
                if let Some(by) = alias::claim(db, row, claimed)? {
                    return Err(Stop::With(StepOutcome::AliasTaken { alias: claimed.clone(), by }));
                }
            }
            AliasChange::Release(released) => alias::release(db, row, released)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga_core::message::Id;
    use saga_core::store::conformance::{address, create, dedup_record, next};

    use super::*;
    use crate::SqliteStore;
    use crate::open::open;
    use crate::store_file::StoreFile;

    #[test]
    fn expected_failures_need_no_savepoint() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&StoreFile::new(dir.path().join("saga.db"), SqliteStore::options())).unwrap();
        db.execute_batch("BEGIN").unwrap();
        let mut numbers = Numbers::default();
        let mut write = |step: &Step| {
            let outcomes = steps(&db, &mut numbers, std::slice::from_ref(step), Isolation::Hopeful).unwrap();
            outcomes.expect("no second pass").remove(0)
        };
        let record = || vec![dedup_record(&address("a"), "message", 1, 0)];

        let start = Step { dedup: record(), ..create(&address("a")) };
        let StepOutcome::Committed(committed) = write(&start) else { panic!("the first one") };
        assert_eq!(write(&start), StepOutcome::Repeated);
        let mut other = start.clone();
        other.instance.as_mut().unwrap().step = Id::from_u128(99);
        assert_eq!(write(&other), StepOutcome::Conflict);

        let mut second = next(committed.row.unwrap(), start.instance.as_ref().unwrap());
        second.dedup = record();
        assert_eq!(write(&second), StepOutcome::Duplicate, "of the message of the start");
        second.dedup = vec![dedup_record(&address("a"), "message", 2, 0)];
        assert_eq!(write(&second), StepOutcome::IdConflict);
        second.dedup = vec![dedup_record(&address("a"), "second", 2, 0)];
        assert!(matches!(write(&second), StepOutcome::Committed(_)));
        assert_eq!(write(&second), StepOutcome::Repeated, "and no duplicate of itself");
        let event = Step { dedup: record(), ..Step::default() };
        assert_eq!(write(&event), StepOutcome::Duplicate, "an event without an instance");
    }
}
