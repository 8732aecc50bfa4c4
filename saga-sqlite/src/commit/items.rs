//! The changes of one step to the pending items of its instance.
//!
//! Items are in the column `pending`. Many or large items are rows of `saga_item` instead, because SQLite writes the
//! column as a whole. Items that became rows stay rows until the last one is removed.

use rusqlite::{Connection, Error, Result};
use saga_core::message::Name;
use saga_core::store::{
    AliasChange, ObligationChange, RowId, Step, StepOutcome, TaskChange, TimerChange, TimerRow,
};

use super::Stop;
use super::statements::Statements;
use crate::table::alias::{self, Claim};
use crate::table::{item, timer};
use saga_stored::item::{ItemText, due_of};
use saga_stored::pending;

/// Items above this length become rows.
const IN_COLUMN: usize = 8_192;

/// The items of an instance during a step.
pub(super) struct Items<'a, 'db> {
    db: &'db Connection,
    statements: &'a mut Statements<'db>,
    saga: i64,
    row: RowId,
    /// The text of the column. Empty while the items are rows.
    text: &'a mut String,
    in_rows: bool,
    open: bool,
    item: &'a mut ItemText,
    /// The due times of a new instance, to be written after its row. `None` for an existing instance.
    timers: Option<Vec<(i64, Name)>>,
}

/// The items after a step.
#[derive(Default)]
pub(crate) struct Changed {
    pub(crate) open: bool,
    pub(crate) in_rows: bool,
    /// The due times of a new instance. They are not written yet.
    pub(crate) timers: Vec<(i64, Name)>,
}

impl<'a, 'db> Items<'a, 'db> {
    pub(super) fn new(
        db: &'db Connection,
        statements: &'a mut Statements<'db>,
        (saga, row): (i64, RowId),
        (text, item): (&'a mut String, &'a mut ItemText),
        before: &Changed,
    ) -> Self {
        let Changed { open, in_rows, .. } = *before;
        Self { db, statements, saga, row, text, in_rows, open, item, timers: None }
    }

    /// Collects the due times instead of writing them.
    pub(super) fn of_new_instance(mut self) -> Self {
        self.timers = Some(Vec::new());
        self
    }

    /// Applies all changes of the step. Nothing is known about the rows after an error.
    pub(super) fn apply(mut self, step: &Step) -> std::result::Result<Changed, Stop> {
        for change in &step.tasks {
            self.task(change)?;
        }
        for change in &step.timers {
            match change {
                TimerChange::Set(set) => self.set_timer(set)?,
                TimerChange::Clear(name) => {
                    self.item.name_timer(name);
                    self.clear_timer(name)?;
                }
            }
        }
        for change in &step.obligations {
            match change {
                ObligationChange::Put(owed) => {
                    self.item.set_obligation(owed);
                    self.remove()?;
                    self.add()?;
                }
                ObligationChange::Drop(id) => {
                    self.item.name_obligation(*id);
                    self.remove()?;
                }
            }
        }
        for change in &step.aliases {
            self.alias(change)?;
        }
        Ok(self.finish(!step.tasks.is_empty())?)
    }

    fn task(&mut self, change: &TaskChange) -> std::result::Result<(), Stop> {
        match change {
            TaskChange::Add(task) => {
                self.item.set_task(task);
                if !self.in_rows && pending::has(self.text, &self.item.name) || !self.add()? {
                    let reason = format!("task {}.{} already exists", task.id.seq, task.id.ord);
                    return Err(Stop::With(StepOutcome::Refused(reason)));
                }
            }
            TaskChange::Progress(id, progress) => {
                self.item.set_progress(*id, progress);
                if self.item.has_line_end() {
                    self.move_to_rows()?;
                }
                if self.in_rows {
                    item::set_progress(self.db, self.row, &self.item.name, &self.item.progress)?;
                } else {
                    pending::set_progress(self.text, &self.item.name, &self.item.progress);
                    self.keep_short()?;
                }
            }
            TaskChange::Finish(id) => {
                self.item.name_task(*id);
                self.remove()?;
            }
        }
        Ok(())
    }

    fn set_timer(&mut self, set: &TimerRow) -> Result<()> {
        self.item.set_timer(set);
        self.clear_timer(&set.name)?;
        self.add()?;
        let due = set.due.as_millis();
        if let Some(timers) = &mut self.timers {
            timers.push((due, set.name.clone()));
            return Ok(());
        }
        timer::insert(self.statements.set_timer(self.db)?, due, self.row, &set.name)
    }

    /// Removes the timer named by the current item, with its due time.
    fn clear_timer(&mut self, name: &str) -> Result<()> {
        let due = if self.in_rows {
            item::body(self.db, self.row, &self.item.name)?.as_deref().and_then(due_of)
        } else {
            pending::get(self.text, &self.item.name).and_then(due_of)
        };
        let Some(due) = due else { return Ok(()) };
        match &mut self.timers {
            Some(timers) => timers.retain(|(_, set)| set != name),
            None => timer::delete(self.statements.clear_timer(self.db)?, due, self.row, name)?,
        }
        self.remove()
    }

    fn alias(&mut self, change: &AliasChange) -> std::result::Result<(), Stop> {
        match change {
            AliasChange::Claim(claimed) => match alias::claim(self.db, self.saga, self.row, claimed)? {
                Claim::New => {
                    self.item.set_alias(claimed);
                    self.add()?;
                }
                Claim::Held => {}
                Claim::Taken(by) => {
                    return Err(Stop::With(StepOutcome::AliasTaken { alias: claimed.clone(), by }));
                }
            },
            AliasChange::Release(released) => {
                if alias::release(self.db, self.saga, self.row, released)? {
                    self.item.name_alias(released);
                    self.remove()?;
                }
            }
        }
        Ok(())
    }

    /// Adds the current item. Returns `false` if a row with its name exists.
    fn add(&mut self) -> Result<bool> {
        if !self.in_rows && self.item.has_line_end() {
            self.move_to_rows()?;
        }
        if self.in_rows {
            return item::add(self.db, self.row, self.item);
        }
        pending::add(self.text, self.item);
        self.keep_short()?;
        Ok(true)
    }

    /// Removes the item with the name of the current item. A missing item is not an error.
    fn remove(&mut self) -> Result<()> {
        if self.in_rows {
            item::delete(self.db, self.row, &self.item.name)?;
        } else {
            pending::remove(self.text, &self.item.name);
        }
        Ok(())
    }

    /// Makes rows of the items if their text has become long.
    fn keep_short(&mut self) -> Result<()> {
        if self.text.len() > IN_COLUMN { self.move_to_rows() } else { Ok(()) }
    }

    fn move_to_rows(&mut self) -> Result<()> {
        if !self.in_rows {
            for (name, body, progress) in pending::items(self.text) {
                if !item::insert(self.db, self.row, name, &body, progress)? {
                    // A row of another instance with this number would be damage.
                    return Err(Error::StatementChangedRows(0));
                }
            }
            self.text.clear();
            self.in_rows = true;
        }
        Ok(())
    }

    fn finish(mut self, tasks_changed: bool) -> Result<Changed> {
        if self.in_rows && !item::any(self.db, self.row)? {
            self.in_rows = false;
            self.text.push_str(pending::NONE);
        }
        if tasks_changed {
            self.open =
                if self.in_rows { item::any_task(self.db, self.row)? } else { pending::has_task(self.text) };
        }
        Ok(Changed { open: self.open, in_rows: self.in_rows, timers: self.timers.unwrap_or_default() })
    }
}
