//! Children (rule R21): starting them, handling their reports, and aborting them with their parent.
//!
//! An open child is a task of its parent, but no handler runs for this task. The report of the child's last step ends
//! the task. So a child is stored, awaited at a turn and shown like any other task. The child itself stores only its
//! parent.

use super::family::{
    ChildEnd, ChildRecord, EndRecord, FamilyRecord, News, NewsRecord, Outgoing, ParentRecord, StartRecord,
    all_finished, all_finished_timer,
};
use super::fired::Fired;
use super::input::{Decision, Effect, StepContext, Verb, VerbRecord};
use super::instance::Instance;
use super::outbox::Started;
use super::record::{self, HeadRecord, MessageRecord, ParkReason, Subject};
use super::row::{Decided, Performed};
use super::work::{Line, Work};
#[cfg(any(test, feature = "testing"))]
use super::{family::ChildNews, record::ReportRecord};
use crate::definition::{Trigger, Value};
use crate::message::{Id, Key, Message, Name};
use crate::step::{
    Address, InstanceChange, MailKind, Status, Task, TaskChange, TaskId, TaskKind, TaskStage, TimerRow,
};
use crate::step::{HistoryKind, IgnoredReason};

impl Instance {
    pub(super) fn family(&self) -> FamilyRecord {
        let family = self.record.family.as_ref();
        let family: Option<FamilyRecord> = family.and_then(|family| record::read("family", family).ok());
        let mut family = family.unwrap_or_default();
        let counts = std::mem::take(&mut family.children).into_iter();
        family.children =
            counts.map(|(name, counts)| (self.child_name(name.into()).into(), counts)).collect();
        family
    }

    /// The present name of a child's saga.
    fn child_name(&self, name: Name) -> Name {
        let definition = self.definition();
        definition.child(&name).map_or(name, |child| Name::Borrowed(definition.children[child].name))
    }

    /// Replaces earlier saga names of open children by the present names.
    pub(super) fn name_children(&mut self) {
        let renamed = |(name, _): &(&Name, _)| self.child_name((*name).clone()) != **name;
        if !self.tasks.children().any(|child| renamed(&child)) {
            return;
        }
        let tasks: Vec<Task> = self.tasks.iter().cloned().collect();
        let present = tasks.into_iter().map(|mut task| {
            if task.kind == TaskKind::Child {
                task.command.name = self.child_name(task.command.name);
            }
            task
        });
        self.tasks = present.collect();
    }

    /// An id that distinguishes this instance from earlier and later instances with the same key.
    fn mark(&self) -> Id {
        self.record.incarnation.derive(0, 0, "parent")
    }

    fn open_children(&self, name: &str) -> usize {
        self.tasks.open_children(name)
    }

    /// True if a row of the present state takes `trigger`.
    fn has_row(&self, trigger: Trigger) -> bool {
        let definition = self.definition();
        let Ok((_, state)) = self.state() else { return false };
        state.rows.iter().any(|&row| definition.rows[row].triggers.contains(&trigger))
    }

    /// Describes the children that prevent an end, if the row leads to an end.
    pub(super) fn still_running(&self, performed: &Performed, ending: Option<TaskId>) -> Option<String> {
        self.definition().states[performed.entered?].end?;
        let open = self.tasks.child_but(ending);
        let started = performed.out.iter().flat_map(|out| &out.started).find(|started| !started.detached);
        let name = open
            .map(|task| task.command.name.to_string())
            .or_else(|| started.map(|started| self.definition().children[started.child].name.to_owned()))?;
        Some(format!("children of `{name}` have not ended"))
    }

    /// Handles the report of a child.
    pub(super) fn apply_news(&mut self, task: TaskId, news: &NewsRecord, at: StepContext<'_>) -> Decision {
        let found = self.task(task).filter(|task| task.kind == TaskKind::Child && news.of == self.mark());
        let Some(name) = found.map(|task| task.command.name.clone()) else {
            return Decision::nothing(Effect::Stale);
        };
        if self.status() != Status::Running {
            return self.news_recorded(task, &name, news, at);
        }
        let definition = self.definition();
        let over = Subject::Head(HeadRecord::Report(task.into()));
        let child = definition.child(&name);
        let value = child
            .ok_or_else(|| format!("`{}` v{} no longer starts `{name}`", definition.name, definition.version))
            .and_then(|child| news.value(definition.children[child].ended).map(|value| (child, value)));
        let (child, value) = match (value, &news.news) {
            (Err(error), _) => return self.parked_over(ParkReason::OutcomeUnhandled, error, over, at),
            (Ok(_), News::NotStarted { reason }) => {
                let detail = format!("{name} `{}`: {reason}", news.key);
                return self.parked_over(ParkReason::ChildNotStarted, detail, over, at);
            }
            (Ok(found), _) => found,
        };
        let ended = matches!(news.news, News::Ended(_));
        let trigger = if ended { Trigger::Finished(child) } else { Trigger::Parked(child) };
        let mut fired = Fired { value: value.as_ref(), child: Some((task, news)), ..Fired::new(trigger) };
        let cx = self.context(at, None);
        match self.decide(trigger, fired.cause(), &cx) {
            Ok(Decided::NoRow) if !ended => return self.news_recorded(task, &name, news, at),
            Ok(Decided::NoRow) if self.has_row(Trigger::AllFinished(child)) => {}
            Ok(Decided::NoRow) => {
                let state = &self.record.state;
                let detail = format!("`{state}` has no row for {}", definition.describe(trigger));
                return self.parked_over(ParkReason::OutcomeUnhandled, detail, over, at);
            }
            _ => return self.fire(fired, at),
        }
        if self.open_children(&name) > 1 {
            return self.news_recorded(task, &name, news, at);
        }
        // The last open child has ended, so `all_finished` follows in the same step.
        let mut counts = self.family().children.remove(&*name).unwrap_or_default();
        if let News::Ended(end) = &news.news {
            counts.count(end.end);
        }
        let value: Value = Box::new(counts);
        fired.trigger = Trigger::AllFinished(child);
        fired.value = Some(&value);
        self.fire(fired, at)
    }

    /// Records a report that no row takes, or that only `all_finished` awaits.
    pub(super) fn news_recorded(
        &mut self,
        task: TaskId,
        name: &str,
        news: &NewsRecord,
        at: StepContext<'_>,
    ) -> Decision {
        let unwinding = self.status() == Status::Compensating;
        let mut work = Work::new(self, at);
        let (kind, note) = match &news.news {
            News::Ended(end) => (HistoryKind::ChildEnded, end.state.clone()),
            News::Parked { reason, detail } => (HistoryKind::ChildParked, format!("{reason}: {detail}")),
            News::NotStarted { reason } => (HistoryKind::ChildNotStarted, reason.clone()),
        };
        let ended = work.child_ended(task, news);
        work.line(Line::new(kind, name.to_owned()).cause(Some(Name::Owned(news.key.clone()))).note(note));
        if ended && unwinding {
            work.unwind();
        }
        work.finish(Effect::Applied)
    }

    /// Handles the timer of `all_finished`.
    pub(super) fn apply_all_finished(&mut self, timer: &str, at: StepContext<'_>) -> Decision {
        let name = all_finished(timer).unwrap_or_default();
        let counts = self.family().children.get(name).copied();
        let child = self.definition().child(name).filter(|_| self.open_children(name) == 0);
        let (Some(counts), Some(child)) = (counts, child) else {
            let mut work = Work::new(self, at);
            work.clear_timer(timer);
            return work.finish(Effect::Stale);
        };
        let value: Value = Box::new(counts);
        self.fire(Fired { value: Some(&value), ..Fired::new(Trigger::AllFinished(child)) }, at)
    }

    /// Handles the start of a child under the key of an existing instance. The parent gets a report that the child did
    /// not start.
    pub(super) fn started_by_another(
        &mut self,
        parent: &ParentRecord,
        event: &Message,
        at: StepContext<'_>,
    ) -> Decision {
        let why = format!("{} already exists and is not a child of this parent", self.record.address);
        let refusal = parent.not_started(&self.record.address.key, why);
        let note = if self.status().is_over() { IgnoredReason::Ended } else { IgnoredReason::AlreadyStarted };
        let mut work = Work::new(self, at);
        work.line(
            Line::message(HistoryKind::Ignored, event).cause(Some(Name::Borrowed("start"))).note(note.text()),
        );
        work.outgoing.extend(refusal);
        work.finish(Effect::Ignored(note))
    }
}

impl Work<'_> {
    fn change_family(&mut self, change: impl FnOnce(&mut FamilyRecord)) {
        let mut family = self.instance.family();
        change(&mut family);
        let empty = family.parent.is_none() && family.depth == 0 && family.children.is_empty();
        self.instance.record.family = (!empty).then(|| record::write(&family));
    }

    /// Queues the children of an outbox.
    pub(super) fn queue_children(&mut self, starting: Vec<usize>, started: Vec<Started>) {
        let definition = self.instance.definition();
        for child in starting {
            let name = definition.children[child].name;
            self.change_family(|family| {
                family.children.entry(name.to_owned()).or_default();
            });
        }
        for started in started {
            let Started { child, key, message, limit, detached } = started;
            let name = definition.children[child].name;
            if detached {
                self.start_detached(name, key, message);
                continue;
            }
            let record = ChildRecord { key: key.to_string(), event: MessageRecord::from(&message), limit };
            let message = Message { name: Name::Borrowed(name), version: 1, payload: record::write(&record) };
            self.add_task(TaskKind::Child, message);
            // `all_finished` must also wait for this child.
            self.disarm_all_finished(name);
        }
    }

    fn start_detached(&mut self, name: &'static str, key: Key, message: Message) {
        let InstanceChange { incarnation, seq, .. } = &self.instance.record;
        let ordinal = u32::try_from(self.outgoing.len()).unwrap_or(u32::MAX);
        let id = incarnation.derive(*seq, ordinal, &format!("start {name}"));
        let to = Address::new(name, key);
        self.outgoing.push(Outgoing { to, kind: MailKind::Event, message, task: None, id: Some(id.into()) });
    }

    /// Starts the waiting children that have a place, in the order in which they were queued.
    pub(super) fn launch_children(&mut self) {
        let waits = self.instance.tasks.children().any(|(_, children)| !children.waiting.is_empty());
        if !waits || self.instance.record.status != Status::Running {
            return;
        }
        let mut launched = Vec::new();
        for (name, children) in self.instance.tasks.children() {
            let mut running = children.started.len();
            for id in children.waiting.iter() {
                let Some(task) = self.instance.task(id) else { continue };
                let Ok(child) = record::read::<ChildRecord>("child", &task.command.payload) else { continue };
                if child.limit.is_some_and(|limit| running >= limit as usize) {
                    // The children behind have no place either.
                    break;
                }
                running += 1;
                let Ok(key) = Key::new(&child.key) else { continue };
                launched.push((id, Address::new(name.clone(), key), child.event));
            }
        }
        // Children of all sagas start in the order in which they were queued.
        launched.sort_by_key(|(id, ..)| *id);
        let (of, depth) = (self.instance.mark(), self.instance.family().depth + 1);
        for (id, to, event) in launched {
            let InstanceChange { address, .. } = &self.instance.record;
            let parent = ParentRecord {
                saga: address.saga.to_string(),
                key: address.key.to_string(),
                of,
                task: id.into(),
                depth,
            };
            let payload = record::write(&StartRecord { parent, event });
            let message = Message { name: Name::Borrowed("start"), version: 1, payload };
            self.outgoing.push(Outgoing { to, kind: MailKind::Start, message, task: None, id: None });
            self.launched(id);
        }
    }

    fn launched(&mut self, id: TaskId) {
        let Some(task) = self.instance.tasks.start_child(id) else { return };
        let progress = task.progress.clone();
        match self.added(id) {
            Some(task) => task.progress = progress,
            None => self.step.tasks.push(TaskChange::Progress(id, progress)),
        }
    }

    /// Ends the children at a turn. Children that were not started are withdrawn, the others are aborted.
    pub(super) fn abort_children(&mut self) {
        let children: Vec<(TaskId, Message, TaskStage)> = self
            .instance
            .tasks
            .iter()
            .filter(|task| task.kind == TaskKind::Child)
            .map(|task| (task.id, task.command.clone(), task.progress.stage))
            .collect();
        for (id, message, stage) in children {
            let child = record::read::<ChildRecord>("child", &message.payload).ok();
            let key = child.and_then(|child| Key::new(child.key).ok());
            let Some(key) = key.filter(|_| stage != TaskStage::Ready) else {
                self.end_task(id);
                self.line(Line::new(HistoryKind::Withdrawn, message.name));
                continue;
            };
            let (by, of) = (self.instance.record.address.to_string(), self.instance.mark());
            let why = "the parent is compensating".to_owned();
            let payload = record::write(&VerbRecord {
                verb: Verb::Abort,
                by,
                why,
                seq: None,
                created: None,
                request: None,
                parent: Some(of),
            });
            let verb = Message { name: Name::Borrowed(Verb::Abort.word()), version: 1, payload };
            let to = Address::new(message.name, key);
            self.outgoing.push(Outgoing { to, kind: MailKind::Verb, message: verb, task: None, id: None });
        }
    }

    /// Uses up the report of a child, unless the report is only a notice. Returns whether the child is no longer open.
    pub(super) fn child_ended(&mut self, task: TaskId, news: &NewsRecord) -> bool {
        let end = match &news.news {
            News::Ended(end) => end.end,
            News::NotStarted { .. } => ChildEnd::Failed,
            News::Parked { .. } => return false,
        };
        if let Some(name) = self.instance.task(task).map(|task| task.command.name.clone()) {
            self.finish_task(task);
            self.change_family(|family| family.children.entry(name.to_string()).or_default().count(end));
        }
        true
    }

    /// Clears the counts after `all_finished` was fired, or was skipped by an operator.
    pub(super) fn all_finished_fired(&mut self, name: &str) {
        self.change_family(|family| {
            family.children.remove(name);
        });
        self.disarm_all_finished(name);
    }

    fn disarm_all_finished(&mut self, name: &str) {
        let timer = all_finished_timer(name);
        if self.instance.timers.iter().any(|found| found.name == timer) {
            self.clear_timer(&timer);
        }
    }

    /// Arms `all_finished` if the present state has a row for it and no child is open.
    pub(super) fn arm_all_finished(&mut self) {
        if self.instance.record.status != Status::Running || self.instance.record.family.is_none() {
            return;
        }
        let definition = self.instance.definition();
        for name in self.instance.family().children.into_keys() {
            let Some(child) = definition.child(&name) else { continue };
            let timer = all_finished_timer(&name);
            let armed = self.instance.timers.iter().any(|found| found.name == timer);
            if !armed
                && self.instance.open_children(&name) == 0
                && self.instance.has_row(Trigger::AllFinished(child))
            {
                let (visit, now) = (self.instance.record.visit, self.at.now);
                self.set_timer(TimerRow { name: Name::Owned(timer), visit, armed: now, due: now, fired: 0 });
            }
        }
    }

    /// Reports the end of an instance to its parent, once.
    pub(super) fn report_end_to_parent(&mut self) {
        if self.instance.record.family.is_none() {
            return;
        }
        let (Some(end), Some(parent)) = (EndRecord::of(&self.instance.record), self.instance.family().parent)
        else {
            return;
        };
        let key = self.instance.record.address.key.clone();
        self.outgoing.extend(parent.report(&key, News::Ended(end)));
        self.change_family(|family| family.parent = None);
    }

    /// Reports to the parent of an instance that the instance is parked.
    pub(super) fn report_park_to_parent(&mut self, reason: ParkReason, detail: &str) {
        if self.instance.record.family.is_none() {
            return;
        }
        if let Some(parent) = self.instance.family().parent {
            let key = self.instance.record.address.key.clone();
            self.outgoing.extend(parent.report(&key, News::Parked { reason, detail: detail.to_owned() }));
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl Instance {
    /// The open children: task, saga, key, and whether the child was started.
    pub(crate) fn children(&self) -> Vec<(TaskId, String, String, bool)> {
        let children = self.tasks.iter().filter(|task| task.kind == TaskKind::Child);
        let child = |task: &crate::step::Task| {
            let record = record::read::<ChildRecord>("child", &task.command.payload).ok()?;
            let started = task.progress.stage == TaskStage::Started;
            Some((task.id, task.command.name.to_string(), record.key, started))
        };
        children.filter_map(child).collect()
    }

    /// Builds the report of a child.
    pub(crate) fn report_of_child(&self, key: &str, news: ChildNews) -> ReportRecord {
        let news = match news {
            ChildNews::Ended { end, state, payload, data, version } => News::Ended(EndRecord {
                key: key.to_owned(),
                end,
                state: state.into_owned(),
                payload: payload.as_ref().map(record::raw),
                data: record::raw(&data),
                version,
            }),
            ChildNews::Parked(detail) => News::Parked { reason: ParkReason::Row, detail },
            ChildNews::NotStarted(reason) => News::NotStarted { reason },
        };
        ReportRecord::Child(Box::new(NewsRecord { of: self.mark(), key: key.to_owned(), news }))
    }
}
