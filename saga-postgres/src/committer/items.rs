//! The rows of pending items: tasks, timers, obligations and aliases.
//!
//! Owns: the result of several changes of one item in one step, because one statement changes a row once. Does not own: the
//! JSON of an item (`saga_stored::item`).

use saga_core::store::{AliasChange, ObligationChange, Step, TaskChange, TimerChange};
use saga_stored::item::ItemText;

use super::plan::Plan;
use crate::sums;

/// A task that a step adds.
struct NewTask {
    /// No task with this id may exist before the step.
    is_new: bool,
    /// The step adds the task twice.
    twice: bool,
    /// The step does not finish the task as well.
    kept: bool,
    seq: i64,
    ord: i64,
    body: String,
    progress: String,
}

/// The result of the changes of one pending item.
enum Item {
    Task(NewTask),
    Put(Option<i64>, String),
    Progress(String),
    Gone,
}

impl Plan<'_> {
    /// Adds the changes of pending items.
    pub(super) fn items(&mut self, ord: i32, instance: i64, step: &Step) {
        for (name, item) in results(step, &mut self.item) {
            self.add_item(ord, instance, name, item);
        }
    }

    fn add_item(&mut self, ord: i32, instance: i64, name: String, item: Item) {
        match item {
            Item::Task(task) if task.is_new => {
                self.bytes += task.body.len() + task.progress.len();
                let rows = &mut self.rows.new_tasks;
                rows.ord.push(ord);
                rows.twice.push(task.twice);
                rows.kept.push(task.kept);
                rows.instance.push(instance);
                rows.task_seq.push(task.seq);
                rows.task_ord.push(task.ord);
                rows.checksum.push(sums::item(instance, &name, &task.body, Some(&task.progress)));
                rows.item.push(name);
                rows.body.push(task.body);
                rows.progress.push(task.progress);
            }
            Item::Task(task) if task.kept => {
                let id = Some((task.seq, task.ord));
                self.put(ord, instance, name, (id, None), task.body, Some(task.progress));
            }
            Item::Put(due_at, body) => self.put(ord, instance, name, (None, due_at), body, None),
            Item::Progress(progress) => {
                let rows = &mut self.rows.progress;
                rows.ord.push(ord);
                rows.instance.push(instance);
                rows.checksum.push(sums::progress(instance, &name, Some(&progress)));
                rows.item.push(name);
                rows.progress.push(progress);
            }
            Item::Gone | Item::Task(_) => {
                let rows = &mut self.rows.gone_items;
                rows.ord.push(ord);
                rows.instance.push(instance);
                rows.item.push(name);
            }
        }
    }

    /// Adds an item that replaces one with the same name. A task has a number, and a timer has a due time.
    fn put(
        &mut self,
        ord: i32,
        instance: i64,
        name: String,
        (task, due_at): (Option<(i64, i64)>, Option<i64>),
        body: String,
        progress: Option<String>,
    ) {
        self.bytes += body.len();
        let rows = &mut self.rows.items;
        rows.ord.push(ord);
        rows.instance.push(instance);
        rows.task_seq.push(task.map(|(seq, _)| seq));
        rows.task_ord.push(task.map(|(_, ord)| ord));
        rows.due_at.push(due_at);
        rows.checksum.push(sums::item(instance, &name, &body, progress.as_deref()));
        rows.item.push(name);
        rows.body.push(body);
        rows.progress.push(progress);
    }
}

/// Returns the result for each item that the step changes, in the order of the first changes.
fn results(step: &Step, text: &mut ItemText) -> Vec<(String, Item)> {
    let mut last: Vec<(String, Item)> = Vec::new();
    for change in &step.tasks {
        let (id, now) = match change {
            TaskChange::Add(task) => {
                text.set_task(task);
                text.body.push('}');
                (task.id, Some(Item::Progress(text.progress.clone())))
            }
            TaskChange::Progress(id, progress) => {
                text.set_progress(*id, progress);
                (*id, Some(Item::Progress(text.progress.clone())))
            }
            TaskChange::Finish(id) => {
                text.name_task(*id);
                (*id, None)
            }
        };
        let before = last.iter_mut().find(|(known, _)| *known == text.name).map(|(_, item)| item);
        let is_new = matches!(change, TaskChange::Add(_));
        match (before, now) {
            (Some(Item::Task(task)), Some(Item::Progress(progress))) => {
                task.twice |= is_new && task.kept;
                task.kept |= is_new;
                // The progress of a finished task has no place.
                if task.kept {
                    task.progress = progress;
                }
            }
            (Some(Item::Task(task)), _) => task.kept = false,
            (before, Some(Item::Progress(progress))) if is_new => {
                let task = Item::Task(NewTask {
                    // A task that the step has finished is gone.
                    is_new: !matches!(before, Some(Item::Gone)),
                    twice: false,
                    kept: true,
                    seq: id.seq.cast_signed(),
                    ord: id.ord.into(),
                    body: text.body.clone(),
                    progress,
                });
                match before {
                    Some(item) => *item = task,
                    None => last.push((text.name.clone(), task)),
                }
            }
            (Some(Item::Gone), Some(_)) => {}
            (Some(item), now) => *item = now.unwrap_or(Item::Gone),
            (None, now) => last.push((text.name.clone(), now.unwrap_or(Item::Gone))),
        }
    }
    let mut set = |name: &str, item: Item| match last.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = item,
        None => last.push((name.to_owned(), item)),
    };
    for change in &step.timers {
        match change {
            TimerChange::Set(timer) => {
                text.set_timer(timer);
                set(&text.name, Item::Put(Some(timer.due.as_millis()), text.body.clone()));
            }
            TimerChange::Clear(name) => {
                text.name_timer(name);
                set(&text.name, Item::Gone);
            }
        }
    }
    for change in &step.obligations {
        match change {
            ObligationChange::Put(owed) => {
                text.set_obligation(owed);
                set(&text.name, Item::Put(None, text.body.clone()));
            }
            ObligationChange::Drop(id) => {
                text.name_obligation(*id);
                set(&text.name, Item::Gone);
            }
        }
    }
    for change in &step.aliases {
        match change {
            AliasChange::Claim(alias) => {
                text.set_alias(alias);
                set(&text.name, Item::Put(None, text.body.clone()));
            }
            AliasChange::Release(alias) => {
                text.name_alias(alias);
                set(&text.name, Item::Gone);
            }
        }
    }
    last
}
