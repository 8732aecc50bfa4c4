//! Children (rule R21): starting them, hearing what becomes of them, aborting them with their parent.
//!
//! An open child is a task of its parent for which nothing runs: it ends with the report that the child's last step
//! sends. So it is stored, awaited at a turn and shown like any other task. The child itself only remembers whose it
//! is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::apply::Fired;
use super::input::{At, Begun, Decision, Disposition, Verb, VerbRecord};
use super::instance::Instance;
use super::outbox::{Outbox, Started};
use super::record::{self, HeadRecord, MessageRecord, ParkReason, ReportRecord, Subject, TaskRecord};
use super::row::{Decided, Performed};
use super::saga::Saga;
use super::work::{Line, Work};
use crate::definition::{Trigger, Value};
use crate::message::{ActionError, Correlated, Id, Key, Message, MessageId, Name, Payload, not_newer};
use crate::store::{
    Address, InstanceChange, MailKind, Status, TaskChange, TaskId, TaskKind, TaskStage, TimerRow,
};

/// How deep children of children may nest.
const DEPTH: u32 = 16;
/// The name under which reports stand in the inbox.
pub(crate) const REPORT: &str = "report";
/// The beginning of the name of the timer that fires `all_finished(..)`.
const ALL_FINISHED: &str = "all_finished ";

/// A saga that another one can start: it has one starting event. Written by `#[derive(Saga)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be started as a child",
    label = "it has several starting events, or is not a saga",
    note = "a child has exactly one event in its `#[initially(..)]`"
)]
pub trait Child: Saga {
    /// The event that starts it.
    type Start: Correlated;
}

/// A child has ended: the event of `finished(Child)`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finished<S: Saga> {
    /// The child's key.
    pub key: Key,
    /// How it ended.
    pub end: ChildEnd,
    /// The state it ended in; for one that was aborted without `on_abort(..)` the state it had come to.
    pub state: S,
    /// Its data.
    pub data: S::Data,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildEnd {
    /// In a `#[terminal]` state.
    Completed,
    /// In a `#[terminal(failure)]` state.
    Failed,
    /// By an abort, without a state for it.
    Aborted,
}

/// All children of a saga that were started have ended: the event of `all_finished(Child)`. Counts those that have ended
/// since the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AllFinished {
    /// Those that ended in a `#[terminal]` state.
    pub completed: u32,
    /// Those that ended in a `#[terminal(failure)]` state, and those that did not start and were skipped by a person.
    pub failed: u32,
    /// Those that were aborted.
    pub aborted: u32,
}

/// A child waits for a person: the event of `parked(Child)`. It is not its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildParked {
    /// The child's key.
    pub key: Key,
    /// What kind of thing happened.
    pub reason: ParkReason,
    /// What happened, for the person.
    pub detail: String,
}

/// Whose child an instance is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ParentRecord {
    saga: String,
    key: String,
    /// Which instance of that key, as [`Instance::mark`] says.
    of: Id,
    task: TaskRecord,
    depth: u32,
}

/// What an instance remembers of its family.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FamilyRecord {
    /// Until the instance has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<ParentRecord>,
    #[serde(default, skip_serializing_if = "is_zero")]
    depth: u32,
    /// How its children have ended, by saga, since `all_finished` was last fired. There is an entry from the moment
    /// when some were to be started, also when there were none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    children: BTreeMap<String, AllFinished>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The shape serde asks for.
fn is_zero(depth: &u32) -> bool {
    *depth == 0
}

/// An open child, as the message of its task.
#[derive(Debug, Serialize, Deserialize)]
struct ChildRecord {
    key: String,
    event: MessageRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

/// The message that starts a child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    pub(crate) parent: ParentRecord,
    pub(crate) event: MessageRecord,
}

/// What a child reports to its parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewsRecord {
    of: Id,
    key: String,
    news: News,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    Ended(EndRecord),
    Parked { reason: ParkReason, detail: String },
    NotStarted { reason: String },
}

/// How an instance ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndRecord {
    key: String,
    end: ChildEnd,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    data: Box<RawValue>,
    /// The version of the saga that wrote both.
    #[serde(default = "first")]
    version: u32,
}

const fn first() -> u32 {
    1
}

/// Something a step puts into another instance's inbox.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: Address,
    pub(crate) kind: MailKind,
    pub(crate) message: Message,
    pub(crate) task: Option<TaskId>,
    pub(crate) id: Option<MessageId>,
}

impl AllFinished {
    /// How many there were.
    pub fn total(&self) -> u32 {
        self.completed + self.failed + self.aborted
    }

    fn count(&mut self, end: ChildEnd) {
        match end {
            ChildEnd::Completed => self.completed += 1,
            ChildEnd::Failed => self.failed += 1,
            ChildEnd::Aborted => self.aborted += 1,
        }
    }
}

impl EndRecord {
    fn of(record: &InstanceChange) -> Option<Self> {
        let end = match record.status {
            Status::Completed => ChildEnd::Completed,
            Status::Failed => ChildEnd::Failed,
            Status::Aborted => ChildEnd::Aborted,
            Status::Running | Status::Compensating => return None,
        };
        Some(Self {
            key: record.address.key.to_string(),
            end,
            state: record.state.to_string(),
            payload: record.payload.as_ref().map(record::raw),
            data: record::raw(&record.data),
            version: record.version,
        })
    }

    /// As a typed value.
    pub(crate) fn finished<S: Saga>(&self) -> Result<Finished<S>, String> {
        let definition = S::definition();
        let index = definition.state(&self.state).ok_or_else(|| {
            format!("the child ended in `{}`, which `{}` does not have", self.state, definition.name)
        })?;
        let payload = self.payload.as_ref().map(|payload| Payload::from(payload.get()));
        let wrong = |what: &str, error| format!("the child's {what} {error}");
        not_newer(self.version, S::VERSION).map_err(|error| wrong("state", error))?;
        let data = Payload::from(self.data.get());
        Ok(Finished {
            key: Key::new(&self.key).map_err(|error| error.to_string())?,
            end: self.end,
            state: S::__decode(index, payload.as_ref(), self.version)
                .map_err(|error| wrong("state", error))?,
            data: S::__decode_data(&data, self.version).map_err(|error| wrong("data", error))?,
        })
    }
}

impl ParentRecord {
    fn report(&self, key: &Key, news: News) -> Option<Outgoing> {
        let record = NewsRecord { of: self.of, key: key.to_string(), news };
        let payload = record::write(&ReportRecord::Child(Box::new(record)));
        Some(Outgoing {
            // It was the address of an instance, so its key is good.
            to: Address::new(self.saga.clone(), Key::new(&self.key).ok()?),
            kind: MailKind::Report,
            message: Message { name: Name::Borrowed(REPORT), version: 1, payload },
            task: Some(self.task.into()),
            id: None,
        })
    }

    /// Tells the parent that the child `key` did not start.
    pub(crate) fn not_started(&self, key: &Key, reason: String) -> Option<Outgoing> {
        self.report(key, News::NotStarted { reason })
    }
}

impl FamilyRecord {
    /// The family of an instance that `parent` starts.
    pub(crate) fn child_of(parent: &ParentRecord) -> Payload {
        record::write(&Self { parent: Some(parent.clone()), depth: parent.depth, children: BTreeMap::new() })
    }
}

impl NewsRecord {
    /// The value of `finished(..)` or `parked(..)`, for a row that turned by it.
    pub(super) fn value(
        &self,
        ended: fn(&EndRecord) -> Result<Value, String>,
    ) -> Result<Option<Value>, String> {
        Ok(match &self.news {
            News::Ended(end) => Some(ended(end)?),
            News::Parked { reason, detail } => Some(Box::new(ChildParked {
                key: Key::new(&self.key).map_err(|error| error.to_string())?,
                reason: *reason,
                detail: detail.clone(),
            })),
            News::NotStarted { .. } => None,
        })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// The name of the timer that fires `all_finished` for the child `name`.
pub(super) fn all_finished_timer(name: &str) -> String {
    format!("{ALL_FINISHED}{name}")
}

/// The child whose `all_finished` the timer `name` fires.
pub(crate) fn all_finished(name: &str) -> Option<&str> {
    name.strip_prefix(ALL_FINISHED)
}

/// Refuses children of an instance of this family that would be too deep.
pub(super) fn too_deep(family: Option<&Payload>, out: &[Outbox]) -> Result<(), ActionError> {
    if out.iter().all(|out| out.started.is_empty()) {
        return Ok(());
    }
    let family = family.and_then(|family| record::read::<FamilyRecord>("family", family).ok());
    if family.is_none_or(|family| family.depth < DEPTH) {
        return Ok(());
    }
    Err(format!("children of children nest {DEPTH} deep at most").into())
}

impl Instance {
    fn family(&self) -> FamilyRecord {
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

    /// Calls the open children by the present names of their sagas.
    pub(super) fn name_children(&mut self) {
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in tasks.iter_mut().filter(|task| task.kind == TaskKind::Child) {
            task.command.name = self.child_name(std::mem::take(&mut task.command.name));
        }
        self.tasks = tasks;
    }

    /// Tells this instance from an earlier or later one with its key, and nothing else.
    fn mark(&self) -> Id {
        self.record.incarnation.derive(0, 0, "parent")
    }

    fn open_children(&self, name: &str) -> usize {
        let open = |task: &&crate::store::Task| task.kind == TaskKind::Child && task.command.name == name;
        self.tasks.iter().filter(open).count()
    }

    /// Whether a row of the present state takes `trigger`.
    fn has_row(&self, trigger: Trigger) -> bool {
        let definition = self.definition();
        let Ok((_, state)) = self.state() else { return false };
        state.rows.iter().any(|&row| definition.rows[row].triggers.contains(&trigger))
    }

    /// The children that keep the instance from ending, when that is where a row goes.
    pub(super) fn still_running(&self, performed: &Performed, ending: Option<TaskId>) -> Option<String> {
        self.definition().states[performed.entered?].end?;
        let open = self.tasks.iter().find(|task| task.kind == TaskKind::Child && Some(task.id) != ending);
        let started = performed.out.iter().flat_map(|out| &out.started).find(|started| !started.detached);
        let name = open
            .map(|task| task.command.name.to_string())
            .or_else(|| started.map(|started| self.definition().children[started.child].name.to_owned()))?;
        Some(format!("children of `{name}` have not ended"))
    }

    /// A child has sent a report.
    pub(super) fn apply_news(
        &mut self,
        task: TaskId,
        news: &NewsRecord,
        at: At,
        begun: &dyn Fn(TaskId) -> Begun,
    ) -> Decision {
        let found = self.task(task).filter(|task| task.kind == TaskKind::Child && news.of == self.mark());
        let Some(name) = found.map(|task| task.command.name.clone()) else {
            return Decision::nothing(Disposition::Stale);
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
            Ok(Decided::Nobody) if !ended => return self.news_recorded(task, &name, news, at),
            Ok(Decided::Nobody) if self.has_row(Trigger::AllFinished(child)) => {}
            Ok(Decided::Nobody) => {
                let state = &self.record.state;
                let detail = format!("`{state}` has no row for {}", definition.describe(trigger));
                return self.parked_over(ParkReason::OutcomeUnhandled, detail, over, at);
            }
            _ => return self.fire(fired, at, begun),
        }
        if self.open_children(&name) > 1 {
            return self.news_recorded(task, &name, news, at);
        }
        // The last of them: what the state waits for follows in the same step.
        let mut counts = self.family().children.remove(&*name).unwrap_or_default();
        if let News::Ended(end) = &news.news {
            counts.count(end.end);
        }
        let value: Value = Box::new(counts);
        fired.trigger = Trigger::AllFinished(child);
        fired.value = Some(&value);
        self.fire(fired, at, begun)
    }

    /// Nobody awaits this report, or only all of them together.
    fn news_recorded(&mut self, task: TaskId, name: &str, news: &NewsRecord, at: At) -> Decision {
        let unwinding = self.status() == Status::Compensating;
        let mut work = Work::new(self, at);
        let (kind, note) = match &news.news {
            News::Ended(end) => ("child-ended", end.state.clone()),
            News::Parked { reason, detail } => ("child-parked", format!("{reason}: {detail}")),
            News::NotStarted { reason } => ("child-not-started", reason.clone()),
        };
        let ended = work.child_ended(task, news);
        work.line(Line::new(kind, name.to_owned()).cause(Some(Name::Owned(news.key.clone()))).note(note));
        if ended && unwinding {
            work.unwind();
        }
        work.finish(Disposition::Applied)
    }

    /// A person has skipped a report that nobody could take.
    pub(super) fn news_skipped(&mut self, task: TaskId, news: &NewsRecord, at: At) -> Decision {
        match self.task(task).map(|task| task.command.name.clone()) {
            Some(name) => self.news_recorded(task, &name, news, at),
            None => Decision::nothing(Disposition::Stale),
        }
    }

    /// The timer of `all_finished` has come.
    pub(super) fn apply_all_finished(
        &mut self,
        timer: &str,
        at: At,
        begun: &dyn Fn(TaskId) -> Begun,
    ) -> Decision {
        let name = all_finished(timer).unwrap_or_default();
        let counts = self.family().children.get(name).copied();
        let child = self.definition().child(name).filter(|_| self.open_children(name) == 0);
        let (Some(counts), Some(child)) = (counts, child) else {
            let mut work = Work::new(self, at);
            work.clear_timer(timer);
            return work.finish(Disposition::Stale);
        };
        let value: Value = Box::new(counts);
        self.fire(Fired { value: Some(&value), ..Fired::new(Trigger::AllFinished(child)) }, at, begun)
    }

    /// A parent wants to start a child under the key of an instance that is there already.
    pub(super) fn started_by_another(&mut self, parent: &ParentRecord, event: &Message, at: At) -> Decision {
        let why = format!("there is {} already, and it is not this parent's child", self.record.address);
        let refusal = parent.not_started(&self.record.address.key, why);
        let mut work = Work::new(self, at);
        work.line(
            Line::message("ignored", event).cause(Some(Name::Borrowed("start"))).note("already started"),
        );
        work.outgoing.extend(refusal);
        work.finish(Disposition::Ignored("already started"))
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
            // One more to wait for.
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

    /// Starts those children that have a place, in the order in which they were queued.
    pub(super) fn launch_children(&mut self) {
        let waits = |task: &&crate::store::Task| {
            task.kind == TaskKind::Child && task.progress.stage == TaskStage::Ready
        };
        let waiting: Vec<TaskId> = self.instance.tasks.iter().filter(waits).map(|task| task.id).collect();
        if waiting.is_empty() || self.instance.record.status != Status::Running {
            return;
        }
        let (of, depth) = (self.instance.mark(), self.instance.family().depth + 1);
        let mut running: BTreeMap<Name, usize> = BTreeMap::new();
        for task in &self.instance.tasks {
            if task.kind == TaskKind::Child && task.progress.stage != TaskStage::Ready {
                *running.entry(task.command.name.clone()).or_default() += 1;
            }
        }
        // Sagas that no further child has a place for: those behind need not even be read.
        let mut full: BTreeSet<Name> = BTreeSet::new();
        for id in waiting {
            let Some(task) = self.instance.task(id).filter(|task| !full.contains(&task.command.name)) else {
                continue;
            };
            let name = task.command.name.clone();
            let Ok(child) = record::read::<ChildRecord>("child", &task.command.payload) else { continue };
            let running = running.entry(name.clone()).or_default();
            if child.limit.is_some_and(|limit| *running >= limit as usize) {
                full.insert(name);
                continue;
            }
            *running += 1;
            let Ok(key) = Key::new(&child.key) else { continue };
            let InstanceChange { address, .. } = &self.instance.record;
            let parent = ParentRecord {
                saga: address.saga.to_string(),
                key: address.key.to_string(),
                of,
                task: id.into(),
                depth,
            };
            let payload = record::write(&StartRecord { parent, event: child.event });
            let message = Message { name: Name::Borrowed("start"), version: 1, payload };
            let to = Address::new(name, key);
            self.outgoing.push(Outgoing { to, kind: MailKind::Start, message, task: None, id: None });
            self.launched(id);
        }
    }

    fn launched(&mut self, id: TaskId) {
        let Some(task) = self.instance.task_mut(id) else { return };
        task.progress.stage = TaskStage::Started;
        let progress = task.progress.clone();
        let added = self.step.tasks.iter_mut().find_map(|change| match change {
            TaskChange::Add(task) if task.id == id => Some(task),
            _ => None,
        });
        match added {
            Some(task) => task.progress = progress,
            None => self.step.tasks.push(TaskChange::Progress(id, progress)),
        }
    }

    /// At a turn: those that have not been started never will be, the others are aborted.
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
                self.line(Line::new("withdrawn", message.name));
                continue;
            };
            let by = self.instance.record.address.to_string();
            let why = "its parent compensates".to_owned();
            let payload = record::write(&VerbRecord { verb: Verb::Abort, by, why, seq: None });
            let verb = Message { name: Name::Borrowed(Verb::Abort.word()), version: 1, payload };
            let to = Address::new(message.name, key);
            self.outgoing.push(Outgoing { to, kind: MailKind::Verb, message: verb, task: None, id: None });
        }
    }

    /// Uses up what a child has reported, unless it is only a notice. Returns whether the child is not open any more.
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

    /// `all_finished` has been fired for this child, or skipped by a person.
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

    /// Lets `all_finished` follow where the present state waits for it and no child is open.
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

    /// Tells the parent of an instance that it has ended, once.
    pub(super) fn tell_parent(&mut self) {
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

    /// Tells the parent of an instance that it waits for a person.
    pub(super) fn tell_parent_parked(&mut self, reason: ParkReason, detail: &str) {
        if self.instance.record.family.is_none() {
            return;
        }
        if let Some(parent) = self.instance.family().parent {
            let key = self.instance.record.address.key.clone();
            self.outgoing.extend(parent.report(&key, News::Parked { reason, detail: detail.to_owned() }));
        }
    }
}

/// What a test says of a child.
#[cfg(any(test, feature = "testing"))]
pub(crate) enum ChildNews {
    Ended { end: ChildEnd, state: Name, payload: Option<Payload>, data: Payload, version: u32 },
    Parked(String),
    NotStarted(String),
}

#[cfg(any(test, feature = "testing"))]
impl Instance {
    /// The open children: saga, key and whether it has been started.
    pub(crate) fn children(&self) -> Vec<(TaskId, String, String, bool)> {
        let children = self.tasks.iter().filter(|task| task.kind == TaskKind::Child);
        let child = |task: &crate::store::Task| {
            let record = record::read::<ChildRecord>("child", &task.command.payload).ok()?;
            let started = task.progress.stage == TaskStage::Started;
            Some((task.id, task.command.name.to_string(), record.key, started))
        };
        children.filter_map(child).collect()
    }

    /// The report of a child.
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
