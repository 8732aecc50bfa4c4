//! The statements of one step, and its isolation from the others of its batch.
//!
//! Owns: their order, and what a step that cannot be written is called. Does not own: the transaction around it.

use rusqlite::{Connection, Error};
use saga_core::store::{
    AliasChange, Committed, DeliveryChange, DeliveryId, ObligationChange, Outcome, RowId, Step, TaskChange,
    TimerChange,
};

use crate::error::{Kind, kind};
use crate::table::meta::Numbers;
use crate::table::{alias, dead, dedup, delivery, history, inbox, instance, obligation, task, timer};

/// Who may find a step out of place: the step alone, or all that came before it in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Only steps that are known to fail now and then get a savepoint, which costs SQLite a copy of every page they
    /// touch. When another fails, the whole batch is written again in the other way.
    Hopeful,
    /// Every step has its savepoint.
    Each,
}

pub(crate) const SAVE: &str = "SAVEPOINT step";
pub(crate) const KEEP: &str = "RELEASE step";
pub(crate) const UNDO: &str = "ROLLBACK TO step";

/// Why a step ended early.
enum Stop {
    /// It has an outcome other than committed, and nothing was written.
    Untouched(Outcome),
    /// It has an outcome other than committed.
    With(Outcome),
    /// SQLite failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Writes the steps, each all or nothing. `None` when that takes the other [`Isolation`]; then, and after an error, which
/// is of the whole store, the caller rolls everything back.
pub(crate) fn steps(
    db: &Connection,
    numbers: &mut Numbers,
    steps: &[Step],
    isolation: Isolation,
) -> rusqlite::Result<Option<Vec<Outcome>>> {
    let mut outcomes = Vec::with_capacity(steps.len());
    for step in steps {
        // An event with a message id may be a duplicate.
        let outcome = if isolation == Isolation::Each || !step.dedup.is_empty() {
            isolated(db, numbers, step)?
        } else {
            match write(db, numbers, step) {
                Ok(committed) => Outcome::Committed(committed),
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

fn isolated(db: &Connection, numbers: &mut Numbers, step: &Step) -> rusqlite::Result<Outcome> {
    let run = |sql| db.prepare_cached(sql)?.execute([]);
    run(SAVE)?;
    let outcome = match write(db, numbers, step) {
        Ok(committed) => Outcome::Committed(committed),
        Err(stop) => {
            let outcome = match stop {
                Stop::Untouched(outcome) | Stop::With(outcome) => outcome,
                Stop::Failed(error) if kind(&error) == Kind::Step => Outcome::Refused(error.to_string()),
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
        return Err(Stop::Untouched(Outcome::Refused(reason.to_owned())));
    }
    let mut committed = Committed::default();
    if let Some(row) = instance_of(db, numbers, step)? {
        if step.row.is_none() {
            committed.row = Some(row);
        }
        belongings(db, row, step)?;
    }
    for dedup_record in &step.dedup {
        if let Some(outcome) = dedup::set(db, dedup_record)? {
            return Err(Stop::With(outcome));
        }
    }
    if let Some(row) = committed.row.or(step.row) {
        claims(db, row, step)?;
    }
    for id in &step.consumed {
        if !inbox::delete(db, *id)? {
            return Err(Stop::With(Outcome::Duplicate));
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
    for id in &step.undead {
        if !dead::delete(db, *id)? {
            return Err(Stop::With(Outcome::Refused(Step::no_letter(*id))));
        }
    }
    Ok(committed)
}

/// The instance and its history. The guard is the INSERT or UPDATE itself, so that a step that fits costs no SELECT. On
/// an UPDATE the history goes first, because its oldest line takes the end of the chain from the instance's row.
fn instance_of(db: &Connection, numbers: &mut Numbers, step: &Step) -> Result<Option<RowId>, Stop> {
    let Some(change) = &step.instance else {
        return match step.row {
            Some(row) if !instance::exists(db, row)? => Err(Stop::Untouched(Outcome::Conflict)),
            row => Ok(row),
        };
    };
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

fn belongings(db: &Connection, row: RowId, step: &Step) -> Result<(), Stop> {
    for change in &step.tasks {
        match change {
            TaskChange::Add(queued) => {
                if !task::insert(db, row, queued)? {
                    let (seq, ord) = (queued.id.seq, queued.id.ord);
                    let reason = format!("task {seq}.{ord} is there already");
                    return Err(Stop::With(Outcome::Refused(reason)));
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
                    return Err(Stop::With(Outcome::AliasTaken { alias: claimed.clone(), by }));
                }
            }
            AliasChange::Release(released) => alias::release(db, row, released)?,
        }
    }
    Ok(())
}
