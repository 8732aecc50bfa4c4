//! The open tasks and obligations of an instance, with indexes. A lookup costs the same however many others are open.
//!
//! Owns: the order and the indexes. Does not own: the meaning of tasks and obligations, and their storage.

use crate::message::Map;
use std::collections::BTreeMap;

use super::task_set::TaskSet;
use crate::message::Name;
use crate::step::{Obligation, ObligationOf, Task, TaskId, TaskKind, TaskStage};

/// The open tasks, in the order in which they were queued.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    all: BTreeMap<TaskId, Task>,
    /// Commands that are not superseded, by stored name (rule R9).
    current: Map<Name, TaskSet>,
    /// Open children, by the name of their saga.
    children: BTreeMap<Name, Children>,
    /// The total size of the payloads.
    bytes: usize,
}

/// The open children of one saga.
#[derive(Clone, Debug, Default)]
pub(super) struct Children {
    /// Children that wait for a free place (rule R21).
    pub(super) waiting: TaskSet,
    pub(super) started: TaskSet,
}

impl Children {
    fn len(&self) -> usize {
        self.waiting.len() + self.started.len()
    }
}

impl Tasks {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The total size of the payloads.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.all.values()
    }

    /// For changes of the progress only. The indexes require that command, kind and the start of a child do not change.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.all.values_mut()
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<&Task> {
        self.all.get(&id)
    }

    /// Has the same restrictions as [`iter_mut`](Self::iter_mut).
    pub(crate) fn get_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        self.all.get_mut(&id)
    }

    pub(super) fn insert(&mut self, task: Task) {
        let (id, name) = (task.id, &task.command.name);
        match task.kind {
            TaskKind::Command if !task.progress.superseded => {
                self.current.entry(name.clone()).or_default().insert(id);
            }
            TaskKind::Child => {
                let children = self.children.entry(name.clone()).or_default();
                let waits = task.progress.stage == TaskStage::Ready;
                if waits {
                    children.waiting.insert(id);
                } else {
                    children.started.insert(id);
                }
            }
            TaskKind::Command | TaskKind::Undo => {}
        }
        self.bytes += task.command.payload.len();
        self.all.insert(id, task);
    }

    pub(super) fn remove(&mut self, id: TaskId) -> Option<Task> {
        let task = self.all.remove(&id)?;
        let name = &task.command.name;
        if let Some(current) = self.current.get_mut(name) {
            current.remove(id);
            if current.is_empty() {
                self.current.remove(name);
            }
        }
        if let Some(children) = self.children.get_mut(name) {
            children.waiting.remove(id);
            children.started.remove(id);
            if children.len() == 0 {
                self.children.remove(name);
            }
        }
        self.bytes -= task.command.payload.len();
        Some(task)
    }

    /// Removes the commands `name` of visits before `visit` from the current commands, and returns them.
    pub(super) fn take_earlier(&mut self, name: &str, visit: u32) -> Vec<TaskId> {
        let Some(current) = self.current.get_mut(name) else { return Vec::new() };
        let all = &self.all;
        // The order of ids is the order of visits, so the commands of the present visit come last.
        let earlier = current.iter().take_while(|id| all.get(id).is_some_and(|task| task.visit < visit));
        let earlier: Vec<TaskId> = earlier.collect();
        for id in &earlier {
            current.remove(*id);
        }
        earlier
    }

    pub(super) fn open_children(&self, name: &str) -> usize {
        self.children.get(name).map_or(0, Children::len)
    }

    /// The open children of each saga.
    pub(super) fn children(&self) -> impl Iterator<Item = (&Name, &Children)> {
        self.children.iter()
    }

    /// An open child other than `but`.
    pub(super) fn child_but(&self, but: Option<TaskId>) -> Option<&Task> {
        let ids = self
            .children
            .values()
            .flat_map(|children| children.started.iter().chain(children.waiting.iter()));
        ids.filter(|id| Some(*id) != but).find_map(|id| self.all.get(&id))
    }

    /// Marks a waiting child as started.
    pub(super) fn start_child(&mut self, id: TaskId) -> Option<&mut Task> {
        let task = self.all.get_mut(&id)?;
        task.progress.stage = TaskStage::Started;
        if let Some(children) = self.children.get_mut(&task.command.name)
            && children.waiting.remove(id)
        {
            children.started.insert(id);
        }
        Some(task)
    }
}

impl FromIterator<Task> for Tasks {
    fn from_iter<I: IntoIterator<Item = Task>>(tasks: I) -> Self {
        let mut all = Self::default();
        tasks.into_iter().for_each(|task| all.insert(task));
        all
    }
}

/// The obligations of an instance, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Obligations {
    all: BTreeMap<TaskId, Obligation>,
    /// By the command to undo, and by the running undo.
    by_task: Map<TaskId, TaskId>,
    /// By the stored name of the undo command.
    by_name: Map<Name, TaskSet>,
    /// Obligations of states, by visit.
    by_visit: BTreeMap<u32, TaskSet>,
}

impl Obligations {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Obligation> {
        self.all.values()
    }

    pub(super) fn newest(&self) -> Option<&Obligation> {
        self.all.last_key_value().map(|(_, newest)| newest)
    }

    /// The obligation of the command `task`, or the obligation that the undo `task` settles.
    pub(super) fn of_task(&self, task: TaskId) -> Option<&Obligation> {
        self.all.get(self.by_task.get(&task)?)
    }

    /// The obligations with one of these undo names, newest first.
    pub(super) fn named<'a, 'n>(
        &'a self,
        names: impl Iterator<Item = &'n str>,
    ) -> impl Iterator<Item = &'a Obligation> {
        let mut sets = names.filter_map(|name| self.by_name.get(name));
        let (first, second) = (sets.next(), sets.next());
        // Sorted only if an obligation is stored under an earlier name.
        let several = second.map(|second| {
            let all = first.into_iter().chain([second]).chain(sets);
            let mut ids: Vec<TaskId> = all.flat_map(TaskSet::iter).collect();
            ids.sort_unstable();
            ids
        });
        let one = if several.is_none() { first } else { None };
        let ids = several.into_iter().flatten().rev();
        let ids = ids.chain(one.into_iter().flat_map(|one| one.iter().rev()));
        ids.filter_map(|id| self.all.get(&id))
    }

    /// The obligations of the state of this visit.
    pub(super) fn of_visit(&self, visit: u32) -> Vec<TaskId> {
        self.by_visit.get(&visit).into_iter().flat_map(TaskSet::iter).collect()
    }

    pub(super) fn insert(&mut self, owed: Obligation) {
        match &owed.of {
            ObligationOf::Command { task, .. } => drop(self.by_task.insert(*task, owed.id)),
            ObligationOf::State { visit, .. } => {
                self.by_visit.entry(*visit).or_default().insert(owed.id);
            }
        }
        if let Some(undo) = owed.task {
            self.by_task.insert(undo, owed.id);
        }
        self.by_name.entry(owed.undo.clone()).or_default().insert(owed.id);
        self.all.insert(owed.id, owed);
    }

    pub(super) fn remove(&mut self, id: TaskId) -> Option<Obligation> {
        let owed = self.all.remove(&id)?;
        match &owed.of {
            ObligationOf::Command { task, .. } => drop(self.by_task.remove(task)),
            ObligationOf::State { visit, .. } => {
                if let Some(of_visit) = self.by_visit.get_mut(visit) {
                    of_visit.remove(id);
                    if of_visit.is_empty() {
                        self.by_visit.remove(visit);
                    }
                }
            }
        }
        if let Some(undo) = owed.task {
            self.by_task.remove(&undo);
        }
        if let Some(named) = self.by_name.get_mut(&owed.undo) {
            named.remove(id);
            if named.is_empty() {
                self.by_name.remove(&owed.undo);
            }
        }
        Some(owed)
    }

    /// Changes an obligation and updates the indexes. Returns the changed obligation.
    pub(super) fn change(&mut self, id: TaskId, change: impl FnOnce(&mut Obligation)) -> Option<&Obligation> {
        let mut owed = self.remove(id)?;
        change(&mut owed);
        self.insert(owed);
        self.all.get(&id)
    }
}

impl FromIterator<Obligation> for Obligations {
    fn from_iter<I: IntoIterator<Item = Obligation>>(owed: I) -> Self {
        let mut all = Self::default();
        owed.into_iter().for_each(|owed| all.insert(owed));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, Timestamp};
    use crate::step::TaskProgress;

    fn id(ord: u32) -> TaskId {
        TaskId { seq: 1, ord }
    }

    fn message(name: &'static str) -> Message {
        Message { name: name.into(), version: 1, payload: "{}".into() }
    }

    fn task(ord: u32, kind: TaskKind, name: &'static str, visit: u32) -> Task {
        let progress = TaskProgress::queued(Timestamp::EPOCH, 1);
        Task { id: id(ord), kind, command: message(name), visit, trace: None, progress }
    }

    fn owed(ord: u32, undo: &'static str, of: ObligationOf) -> Obligation {
        Obligation { id: id(ord), undo: undo.into(), of, report: None, task: None }
    }

    #[test]
    fn commands_of_earlier_visits_are_current_once() {
        let mut tasks: Tasks = (0..4).map(|n| task(n, TaskKind::Command, "ask", 1 + n / 2)).collect();
        assert_eq!(tasks.take_earlier("ask", 2), [id(0), id(1)]);
        assert_eq!(tasks.take_earlier("ask", 2), []);
        assert!(tasks.remove(id(2)).is_some() && tasks.remove(id(2)).is_none());
        assert_eq!(tasks.take_earlier("ask", 9), [id(3)]);
        assert_eq!((tasks.len(), tasks.bytes()), (3, 6));
    }

    #[test]
    fn children_wait_start_and_end() {
        let mut tasks: Tasks = (0..3).map(|n| task(n, TaskKind::Child, "part", 1)).collect();
        assert_eq!(tasks.open_children("part"), 3);
        assert!(tasks.start_child(id(1)).is_some());
        let (_, children) = tasks.children().next().expect("there are some");
        assert_eq!((children.waiting.len(), children.started.len()), (2, 1));
        assert_eq!(tasks.child_but(Some(id(1))).map(|task| task.id), Some(id(0)));
        (0..3).for_each(|n| drop(tasks.remove(id(n))));
        assert_eq!((tasks.open_children("part"), tasks.child_but(None).is_none()), (0, true));
    }

    #[test]
    fn obligations_are_found_by_command_undo_name_and_visit() {
        let command = |n| ObligationOf::Command { task: id(n), command: message("book") };
        let state = ObligationOf::State { state: "paid".into(), visit: 7, version: 1, payload: None };
        let mut all: Obligations =
            [owed(0, "cancel", command(5)), owed(1, "was", command(6)), owed(2, "refund", state)]
                .into_iter()
                .collect();
        assert_eq!(all.newest().map(|owed| owed.id), Some(id(2)));
        assert_eq!(all.of_visit(7), [id(2)]);
        let named = |all: &Obligations, names: &[&str]| {
            all.named(names.iter().copied()).map(|owed| owed.id).collect::<Vec<_>>()
        };
        assert_eq!(named(&all, &["cancel", "was"]), [id(1), id(0)], "newest first, under each name");
        assert_eq!(named(&all, &["refund"]), [id(2)]);
        assert!(all.change(id(0), |owed| owed.task = Some(id(9))).is_some());
        assert_eq!(all.of_task(id(9)).map(|owed| owed.id), all.of_task(id(5)).map(|owed| owed.id));
        assert!(all.remove(id(0)).is_some() && all.remove(id(2)).is_some());
        assert_eq!((all.of_task(id(9)), all.of_task(id(5)), all.of_visit(7)), (None, None, vec![]));
        assert_eq!((all.len(), named(&all, &["cancel"])), (1, vec![]));
    }
}
