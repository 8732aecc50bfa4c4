//! The statements of one step, and its isolation from the others of its batch.
//!
//! Owns: their order, and what a step that cannot be written is called. Does not own: the transaction around it.

use rusqlite::{Connection, Error};
use saga_core::store::{
    Committed, DeliveryChange, DeliveryId, ObligationChange, Outcome, RowId, Step, TaskChange, TimerChange,
};

use crate::error::{Kind, kind};
use crate::table::meta::Numbers;
use crate::table::{dead, delivery, history, inbox, instance, mark, obligation, task, timer};

pub(crate) const SAVE: &str = "SAVEPOINT step";
pub(crate) const KEEP: &str = "RELEASE step";
pub(crate) const UNDO: &str = "ROLLBACK TO step";

/// Why a step ended early.
enum Stop {
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

/// Writes the steps, each all or nothing. An error is of the whole store: the caller rolls everything back.
pub(crate) fn steps(
    db: &Connection,
    numbers: &mut Numbers,
    steps: &[Step],
) -> rusqlite::Result<Vec<Outcome>> {
    steps.iter().map(|step| isolated(db, numbers, step)).collect()
}

fn isolated(db: &Connection, numbers: &mut Numbers, step: &Step) -> rusqlite::Result<Outcome> {
    let run = |sql| db.prepare_cached(sql)?.execute([]);
    run(SAVE)?;
    let outcome = match write(db, numbers, step) {
        Ok(committed) => Outcome::Committed(committed),
        Err(stop) => {
            let outcome = match stop {
                Stop::With(outcome) => outcome,
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
        return Err(Stop::With(Outcome::Refused(reason.to_owned())));
    }
    let mut committed = Committed::default();
    if let Some(row) = instance_of(db, numbers, step)? {
        if step.row.is_none() {
            committed.row = Some(row);
        }
        belongings(db, row, step)?;
    }
    for mark in &step.marks {
        if let Some(outcome) = mark::set(db, mark)? {
            return Err(Stop::With(outcome));
        }
    }
    for id in &step.consumed {
        inbox::delete(db, *id)?;
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
        dead::delete(db, *id)?;
    }
    Ok(committed)
}

/// The instance and its history. The guard is the UPDATE itself, so that a step that fits costs no SELECT; the history
/// goes first because its oldest line takes the end of the chain from the instance's row.
fn instance_of(db: &Connection, numbers: &mut Numbers, step: &Step) -> Result<Option<RowId>, Stop> {
    let Some(change) = &step.instance else {
        return match step.row {
            Some(row) if !instance::exists(db, row)? => Err(Stop::With(Outcome::Conflict)),
            row => Ok(row),
        };
    };
    let row = step.row.unwrap_or_else(|| {
        numbers.instance += 1;
        RowId(numbers.instance)
    });
    let first = numbers.history + 1;
    numbers.history = history::append(db, row, change.seq, first, &step.history)?;
    let last = (!step.history.is_empty()).then_some(numbers.history);
    let fits = match step.row {
        Some(_) => instance::update(db, row, change, last)?,
        None => instance::insert(db, row, change, last)?,
    };
    if fits { Ok(Some(row)) } else { Err(Stop::With(instance::misfit(db, step.row, change)?)) }
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
