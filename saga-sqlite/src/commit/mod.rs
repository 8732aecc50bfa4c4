//! The statements of one step, and the isolation of each step from the other steps of its batch.
//!
//! Owns: the order of the statements, and the outcome of a step that cannot be written.
//! Does not own: the surrounding transaction.

mod items;
mod statements;

use rusqlite::{Connection, Error};
use saga_core::store::{Committed, DeliveryChange, DeliveryId, InstanceChange, RowId, Step, StepOutcome};

use crate::error::{Kind, kind};
use crate::numbers::Numbers;
use crate::table::count::{self, Moved};
use crate::table::history::NewLine;
use crate::table::instance::{Current, Update, Written};
use crate::table::{audit, data, dead, dedup, delivery, history, inbox, instance, label, pause, timer};
use saga_stored::instance as body;
use saga_stored::item::ItemText;
use saga_stored::pending;

pub(crate) use items::Changed;
use items::Items;
use statements::Statements;

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
pub(crate) enum Stop {
    /// The outcome is not committed, and nothing was written.
    Untouched(StepOutcome),
    /// The outcome is not committed, and some rows may have been written.
    With(StepOutcome),
    /// SQLite returned an error.
    Failed(Error),
}

impl Stop {
    /// The same end, after the step has written rows.
    fn after_a_write(self) -> Self {
        match self {
            Self::Untouched(outcome) => Self::With(outcome),
            stop => stop,
        }
    }
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
    texts: &mut Texts,
    steps: &[Step],
    isolation: Isolation,
) -> rusqlite::Result<Option<Vec<StepOutcome>>> {
    let mut batch = Batch::new(db, numbers, texts);
    let mut outcomes = Vec::with_capacity(steps.len());
    for step in steps {
        let outcome = if isolation == Isolation::Each {
            batch.isolated(step)?
        } else {
            match batch.write(step) {
                Ok(committed) => StepOutcome::Committed(committed),
                Err(Stop::Untouched(outcome)) => outcome,
                Err(Stop::With(_)) => return Ok(None),
                Err(Stop::Failed(error)) if kind(&error) == Kind::Step => return Ok(None),
                Err(Stop::Failed(error)) => return Err(error),
            }
        };
        outcomes.push(outcome);
    }
    drop(batch);
    texts.shrink();
    numbers.counts.take_in_many(db, numbers.history)?;
    Ok(Some(outcomes))
}

/// The parts that all steps of a batch use.
pub(crate) struct Batch<'db, 'n> {
    db: &'db Connection,
    numbers: &'n mut Numbers,
    statements: Statements<'db>,
    texts: &'n mut Texts,
}

/// The texts of one step. The buffers are used again for the next step.
#[derive(Default)]
pub(crate) struct Texts {
    items: String,
    item: ItemText,
    body: String,
    line: String,
    /// The state before the step.
    state: String,
}

/// Buffers above this length are not kept.
const KEPT: usize = 1 << 20;

impl Texts {
    /// Frees the buffers that one large instance has made large.
    fn shrink(&mut self) {
        for text in [&mut self.items, &mut self.body, &mut self.line].into_iter().chain(self.item.buffers()) {
            text.clear();
            text.shrink_to(KEPT);
        }
    }
}

impl<'db, 'n> Batch<'db, 'n> {
    pub(crate) fn new(db: &'db Connection, numbers: &'n mut Numbers, texts: &'n mut Texts) -> Self {
        Self { db, numbers, statements: Statements::default(), texts }
    }

    fn isolated(&mut self, step: &Step) -> rusqlite::Result<StepOutcome> {
        let db = self.db;
        let run = |sql| db.prepare_cached(sql)?.execute([]);
        run(SAVE)?;
        let numbers = self.numbers.clone();
        let outcome = match self.write(step) {
            Ok(committed) => StepOutcome::Committed(committed),
            Err(stop) => {
                let outcome = match stop {
                    Stop::Untouched(outcome) | Stop::With(outcome) => outcome,
                    Stop::Failed(error) if kind(&error) == Kind::Step => {
                        StepOutcome::Refused(error.to_string())
                    }
                    Stop::Failed(error) => return Err(error),
                };
                run(UNDO)?;
                // The rows with the new numbers are gone, such as the number of a new saga.
                *self.numbers = numbers;
                outcome
            }
        };
        run(KEEP)?;
        Ok(outcome)
    }

    fn write(&mut self, step: &Step) -> Result<Committed, Stop> {
        if let Some(reason) = step.contradiction() {
            return Err(Stop::Untouched(StepOutcome::Refused(reason.to_owned())));
        }
        let mut committed = Committed::default();
        // The expected failures are an existing instance for a start, and a misfit or a duplicate for any other step.
        // Each is found before the first row is written, or by the first row.
        match (step.row, &step.instance) {
            (Some(row), change) => self.next(row, change.as_ref(), step)?,
            (None, Some(change)) => committed.row = Some(self.start(change, step)?),
            (None, None) => self.dedup_records(step, false)?,
        }
        self.messages(step, &mut committed)?;
        Ok(committed)
    }

    /// Writes a step of an existing instance.
    fn next(&mut self, row: RowId, change: Option<&InstanceChange>, step: &Step) -> Result<(), Stop> {
        if change.is_none() && !touches_items(step) {
            if !instance::exists(self.db, row)? {
                return Err(Stop::Untouched(StepOutcome::Conflict));
            }
            return self.dedup_records(step, false);
        }
        let statement = self.statements.current(self.db)?;
        let texts = (&mut self.texts.items, &mut self.texts.state);
        let before = instance::current(statement, row, change, texts)?;
        let before = before.map_err(Stop::Untouched)?;
        self.dedup_records(step, false)?;
        let mut now = Changed { open: before.open, in_rows: before.in_rows, ..Changed::default() };
        if touches_items(step) {
            now = self.items((before.saga, row), &now).apply(step)?;
        }
        let Some(change) = change else {
            let items = (!now.in_rows).then_some(&*self.texts.items);
            return Ok(instance::set_pending(self.db, row, &before, now.open, items)?);
        };
        let moved = self.moved(&before, change)?;
        let last = self.history(row, before.last, change.seq, step, moved)?;
        self.data(row, &before, change)?;
        label::change(self.db, row, &step.labels)?;
        let written = written(self.texts, change, before.saga, last, &now);
        let update = Update::of(&before, change, now.open);
        Ok(instance::update(self.statements.update(self.db, update)?, update, row, change, &written)?)
    }

    /// Writes the first step of an instance. Returns its row.
    fn start(&mut self, change: &InstanceChange, step: &Step) -> Result<RowId, Stop> {
        let saga = self.numbers.saga(self.db, &change.address.saga)?;
        // Aliases have rows of their own, and these rows come before the row of the instance. Without them, a taken
        // address is found by the row of the instance.
        let has_rows = !step.aliases.is_empty();
        if has_rows {
            self.is_new(saga, change, step)?;
        }
        let row = RowId(self.numbers.instance + 1);
        pending::NONE.clone_into(&mut self.texts.items);
        let mut now = Changed::default();
        if touches_items(step) {
            now = match self.items((saga, row), &now).of_new_instance().apply(step) {
                Ok(now) => now,
                // Items may be rows already. A taken address is therefore found by the second pass, with a savepoint.
                Err(Stop::With(outcome)) => {
                    if !has_rows {
                        self.is_new(saga, change, step).map_err(Stop::after_a_write)?;
                    }
                    return Err(Stop::With(outcome));
                }
                Err(stop) => return Err(stop),
            };
        }
        let lines = i64::try_from(step.history.len()).unwrap_or(i64::MAX);
        let last = (lines > 0).then(|| self.numbers.history + lines);
        let written = written(self.texts, change, saga, last, &now);
        if !instance::insert(self.statements.insert(self.db)?, row, change, &written)? {
            let misfit = instance::misfit_of_start(self.db, saga, change)?;
            let outcome = misfit.unwrap_or(StepOutcome::Conflict);
            return Err(if now.in_rows { Stop::With(outcome) } else { Stop::Untouched(outcome) });
        }
        self.numbers.instance += 1;
        if !has_rows {
            self.dedup_records(step, true)?;
        }
        for (due, name) in &now.timers {
            timer::insert(self.statements.set_timer(self.db)?, *due, row, name)?;
        }
        label::change(self.db, row, &step.labels)?;
        if body::is_large(&change.data) {
            data::insert(self.db, row, change.data.as_str())?;
        }
        let to = self.numbers.counts.row(self.db, instance::group(saga, change))?;
        self.history(row, None, change.seq, step, Some(Moved { from: None, to }))?;
        Ok(row)
    }

    /// Checks the address of a start, and then writes its deduplication records.
    fn is_new(&self, saga: i64, change: &InstanceChange, step: &Step) -> Result<(), Stop> {
        match instance::misfit_of_start(self.db, saga, change)? {
            Some(misfit) => Err(Stop::Untouched(misfit)),
            None => self.dedup_records(step, false),
        }
    }

    fn items<'a>(&'a mut self, of: (i64, RowId), before: &Changed) -> Items<'a, 'db> {
        let texts = (&mut self.texts.items, &mut self.texts.item);
        Items::new(self.db, &mut self.statements, of, texts, before)
    }

    /// Writes the deduplication records. `written`: the step has written other rows before.
    fn dedup_records(&self, step: &Step, mut written: bool) -> Result<(), Stop> {
        for record in &step.dedup {
            if let Some(outcome) = dedup::set(self.db, record)? {
                return Err(if written { Stop::With(outcome) } else { Stop::Untouched(outcome) });
            }
            written = true;
        }
        Ok(())
    }

    /// Returns the change of the counts. `None` if the instance stays in its count.
    fn moved(&mut self, before: &Current, change: &InstanceChange) -> rusqlite::Result<Option<Moved>> {
        let (was, is) = (before.group(&self.texts.state), instance::group(before.saga, change));
        if was == is {
            return Ok(None);
        }
        let from = self.numbers.counts.row(self.db, was)?;
        Ok(Some(Moved { from: Some(from), to: self.numbers.counts.row(self.db, is)? }))
    }

    /// Appends the history lines of a step, and the change of the counts to the first one. Returns the end of the chain.
    fn history(
        &mut self,
        row: RowId,
        mut last: Option<i64>,
        seq: u64,
        step: &Step,
        moved: Option<Moved>,
    ) -> rusqlite::Result<Option<i64>> {
        let mut number = moved.filter(|_| !step.history.is_empty()).and_then(Moved::number);
        match (moved, number) {
            (Some(moved), Some(_)) => self.numbers.counts.note(moved),
            (Some(moved), None) => count::add_moved(self.db, moved)?,
            (None, _) => {}
        }
        for entry in &step.history {
            let id = self.numbers.history + 1;
            let statement = self.statements.history(self.db)?;
            let line = NewLine { instance: row, id, prev: last, moved: number.take() };
            history::append(statement, line, seq, entry, &mut self.texts.line)?;
            self.numbers.counts.wrote(self.texts.line.len());
            self.numbers.history = id;
            last = Some(id);
        }
        Ok(last)
    }

    /// Writes large data to its own row, or removes this row.
    fn data(&self, row: RowId, before: &Current, change: &InstanceChange) -> rusqlite::Result<()> {
        match (before.has_large_data, body::is_large(&change.data)) {
            (false, false) => Ok(()),
            (false, true) => data::insert(self.db, row, change.data.as_str()),
            (true, true) => data::change(self.db, row, change.data.as_str()),
            (true, false) => data::delete(self.db, row),
        }
    }

    /// Writes the rows of a step that belong to no instance.
    fn messages(&mut self, step: &Step, committed: &mut Committed) -> Result<(), Stop> {
        for id in &step.consumed {
            if !inbox::delete(self.db, *id)? {
                return Err(Stop::With(StepOutcome::Duplicate));
            }
        }
        for mail in &step.mail {
            committed.mail.push(inbox::insert(self.db, mail)?);
        }
        for change in &step.deliveries {
            match change {
                DeliveryChange::Add(queued) => {
                    self.numbers.delivery += 1;
                    let id = DeliveryId(self.numbers.delivery);
                    delivery::insert(self.db, id, queued)?;
                    committed.deliveries.push(id);
                }
                DeliveryChange::Progress(id, progress) => delivery::progress(self.db, *id, progress)?,
                DeliveryChange::Finish(id) => delivery::delete(self.db, *id)?,
            }
        }
        for letter in &step.dead {
            dead::insert(self.db, letter)?;
        }
        for id in &step.redriven {
            if !dead::delete(self.db, *id)? {
                return Err(Stop::With(StepOutcome::Refused(Step::no_letter(*id))));
            }
        }
        for change in &step.pauses {
            pause::change(self.db, change)?;
        }
        for entry in &step.audit {
            audit::append(self.db, entry)?;
        }
        Ok(())
    }
}

/// The carrying over of instances from earlier tables.
impl Batch<'_, '_> {
    pub(crate) fn saga(&mut self, name: &str) -> rusqlite::Result<i64> {
        self.numbers.saga(self.db, name)
    }

    /// Adds the items of an instance that has none yet.
    pub(crate) fn carry(&mut self, saga: i64, row: RowId, items: &Step) -> Result<Changed, Stop> {
        pending::NONE.clone_into(&mut self.texts.items);
        self.items((saga, row), &Changed::default()).apply(items)
    }

    /// Replaces the text of the items that were added last.
    pub(crate) fn set_items(&mut self, text: &str) {
        text.clone_into(&mut self.texts.items);
    }

    /// Returns the text of the items that were added last. `None` if they became rows.
    pub(crate) fn items_text(&self, now: &Changed) -> Option<&str> {
        (!now.in_rows).then_some(&*self.texts.items)
    }

    /// Adds the row of an instance after its items.
    pub(crate) fn insert(
        &mut self,
        saga: i64,
        row: RowId,
        change: &InstanceChange,
        last: Option<i64>,
        now: &Changed,
    ) -> rusqlite::Result<()> {
        let written = written(self.texts, change, saga, last, now);
        if !instance::insert(self.statements.insert(self.db)?, row, change, &written)? {
            return Err(Error::StatementChangedRows(0));
        }
        if body::is_large(&change.data) {
            data::insert(self.db, row, change.data.as_str())?;
        }
        Ok(())
    }
}

fn touches_items(step: &Step) -> bool {
    !(step.tasks.is_empty()
        && step.timers.is_empty()
        && step.obligations.is_empty()
        && step.aliases.is_empty())
}

/// Writes the body of the row after a step, and returns the row.
fn written<'a>(
    texts: &'a mut Texts,
    change: &InstanceChange,
    saga: i64,
    last: Option<i64>,
    now: &Changed,
) -> Written<'a> {
    texts.body.clear();
    body::write(&mut texts.body, change);
    let items = (!now.in_rows).then_some(&*texts.items);
    Written { saga, open: now.open, items, last, body: &texts.body }
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
            let one = std::slice::from_ref(step);
            let outcomes = steps(&db, &mut numbers, &mut Texts::default(), one, Isolation::Hopeful).unwrap();
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
