//! One instance as the engine keeps it: the machine's part, the queue, the runs of its tasks, and the step in flight.

use std::sync::Arc;

use super::claim::Claim;
use super::io::{AttemptEnd, ConsumerAnswer, Ticket, Waiter};
use super::queue::Queue;
use super::runs::Runs;
use super::takeup::Watch;
use crate::definition::Value;
use crate::machine::{EventIn, Input, Instance, REPORT, ReportRecord, StartRecord, Taken, Verb, VerbRecord};
use crate::message::{Key, Message, MessageId, Name, Payload, Timestamp};
use crate::store::{
    InboxId, Mail, MailKind, Step, Task, TaskId, TaskKind, TaskProgress, TaskStage, TimerRow,
};

/// What the engine knows about one instance.
pub(crate) enum Place {
    /// The instance has not been read from the store.
    Unknown,
    /// The instance is being read from the store.
    Loading,
    /// The store holds no such instance.
    Missing,
    Present(Box<Instance>),
    /// The address is an alias of the instance with this key.
    Alias(Key),
    /// The instance cannot be read or written. The text is the reason.
    Quarantined(String),
}

/// An instance with its queue, its runs and its callers.
pub(crate) struct Slot {
    pub(crate) place: Place,
    /// Accepted items and items that wait for acceptance, in order.
    pub(super) queue: Queue,
    /// The step in flight. An instance has at most one.
    pub(crate) in_flight: Option<InFlight>,
    /// Number of steps in progress that write only task progress. Until they are durable, memory is ahead of the store.
    pub(crate) noting: usize,
    /// The inbox may hold rows that are not in `queue`. The engine reads these rows when the instance is free again.
    pub(crate) spilled: bool,
    /// Number of events among these rows.
    pub(crate) held: usize,
    /// Each waiting item is written in its own step, because an item of a common step was a duplicate.
    pub(crate) one_at_a_time: bool,
    /// The visit that deferred an event. The deferred events are in the inbox.
    pub(crate) deferred: Option<u32>,
    /// Set when events have waited their full time for this instance to start.
    pub(crate) given_up: Option<GivenUp>,
    /// The inbox rows of this instance are being read.
    pub(crate) fetching: bool,
    /// The input over which the instance is parked, for a verb that skips this input. `Some(None)`: the inbox does not
    /// hold the input.
    pub(crate) head: Option<Option<Box<Item>>>,
    pub(super) runs: Runs,
    /// The timers of the instance in the timer window, with their due times in the window.
    pub(crate) armed: Vec<TimerRow>,
    pub(crate) waiters: Vec<(Waiter, Ticket)>,
    /// Tasks that became due while the instance was not in memory.
    pub(crate) resumed: Vec<TaskId>,
    /// Notifications about tasks that arrived while the instance was loading.
    pub(crate) late: Vec<Late>,
    /// While the owner of an alias is loading: the owner that a step committed in the meantime has set.
    pub(crate) learned: Option<Option<Key>>,
    /// Claimed aliases that another instance holds, as the store reported for the step at the head of the queue.
    pub(crate) taken: Vec<Taken>,
    /// Task progress from before a reload. The store may hold older progress, because not every change is written.
    pub(crate) progress: Vec<(TaskId, TaskProgress)>,
    /// Position of the last access in the order of all accesses.
    pub(crate) touched: u64,
    pub(crate) weight: usize,
}

/// Marks the events that have waited their full time for the instance to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// Acceptance time of the newest of these events.
    pub(crate) at: Timestamp,
    /// The last inbox row at the time of the read, or `None` before the read. A later row has its own wait. This holds
    /// even if its timestamp is older after a clock correction.
    pub(crate) last: Option<InboxId>,
}

/// The activity of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// The task waits in its lane for a free place.
    Waiting,
    /// The start record is being committed. The task starts when the record is durable.
    Marking,
    Running {
        attempt: u64,
    },
    /// The progress is being committed, and the next attempt waits for this commit. Otherwise a crash could give one
    /// attempt number twice.
    Noting,
    /// The task waits until its next attempt is due.
    Delayed,
    /// The task has ended. Its report is in the queue.
    Reported,
}

/// A notification about a task that arrived while the instance was loading.
#[derive(Debug)]
pub(crate) enum Late {
    /// The attempt has ended.
    Ended(u64, AttemptEnd),
    /// The store has answered for the start record of the task. The fields are task, lane, and whether the record is
    /// durable.
    Marked(TaskId, usize, bool),
    /// The attempt saved data. The caller waits for the answer.
    Saved(u64, Payload, Ticket),
}

/// One item in the queue of an instance.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) what: Input,
    /// The inbox row of the item, if the item is already durable.
    pub(crate) inbox: Option<InboxId>,
    /// No deduplication check is needed. The item is internal, or its deduplication record exists.
    pub(crate) deduplicated: bool,
    pub(crate) ticket: Option<Ticket>,
    /// Lets the caller withdraw the item until the engine begins to handle it.
    pub(crate) claim: Option<Claim>,
    /// The alias by which the event named its instance. The deduplication record belongs to the alias (rule R26).
    pub(crate) alias: Option<Key>,
    pub(crate) hops: u32,
    pub(crate) at: Timestamp,
    /// The share of the item in the limit on items from the store, if the item came from the store.
    pub(crate) _room: Option<Arc<()>>,
    /// The callers that wait until the item is handled.
    pub(super) watches: Vec<Arc<Watch>>,
}

impl Item {
    /// Creates an item without a caller and without an inbox row. Deduplication does not apply to the item.
    pub(crate) fn own(what: Input, at: Timestamp) -> Self {
        Self {
            what,
            inbox: None,
            deduplicated: true,
            ticket: None,
            claim: None,
            alias: None,
            hops: 0,
            at,
            _room: None,
            watches: Vec::new(),
        }
    }

    pub(crate) fn event(
        message: Message,
        value: Option<Value>,
        id: Option<MessageId>,
        at: Timestamp,
    ) -> Self {
        Self::own(Input::Event(EventIn { message, value, id, parent: None }), at)
    }

    /// The inbox form of the item. `None` for an input that the engine finds again without the inbox.
    pub(crate) fn mail(&self, to: &crate::store::Address, epoch: u64) -> Option<Mail> {
        let (kind, message, id, task, cause) = match &self.what {
            Input::Event(EventIn { message, parent: Some(parent), .. }) => {
                let start = StartRecord { parent: parent.clone(), event: message.into() };
                let message = Message {
                    name: Name::Borrowed("start"),
                    version: 1,
                    payload: crate::machine::write(&start),
                };
                (MailKind::Start, message, None, None, None)
            }
            Input::Event(event) => (MailKind::Event, event.message.clone(), event.id.clone(), None, None),
            Input::Report(task, report) => {
                let message = Message {
                    name: Name::Borrowed(REPORT),
                    version: 1,
                    payload: crate::machine::write(report),
                };
                (MailKind::Report, message, None, Some(*task), None)
            }
            Input::Verb(verb) => {
                let name = Name::Borrowed(verb.verb.word());
                let message = Message { name, version: 1, payload: crate::machine::write(verb) };
                (MailKind::Verb, message, None, None, Some(Name::Owned(verb.by.clone())))
            }
            Input::Timer { .. } | Input::Continue | Input::Stuck(..) => return None,
        };
        Some(Mail {
            to: to.clone(),
            kind,
            message,
            id,
            deduplicated: self.deduplicated,
            task,
            hops: self.hops,
            epoch,
            cause,
            at: self.at,
        })
    }

    /// The item of an inbox row. `Err` holds the reason why the row cannot be read.
    pub(crate) fn from_mail(inbox: InboxId, mail: Mail) -> Result<Self, String> {
        let internal = mail.deduplicated || mail.id.is_none();
        let what = match mail.kind {
            MailKind::Event => {
                Input::Event(EventIn { message: mail.message, value: None, id: mail.id, parent: None })
            }
            MailKind::Start => {
                let start: StartRecord = crate::machine::read("start", &mail.message.payload)?;
                let (message, parent) = (start.event.into(), Some(start.parent));
                Input::Event(EventIn { message, value: None, id: None, parent })
            }
            MailKind::Report => {
                let report: ReportRecord = crate::machine::read("report", &mail.message.payload)?;
                let task = mail.task.ok_or("the report names no task")?;
                Input::Report(task, report)
            }
            MailKind::Verb => Input::Verb(crate::machine::read("verb", &mail.message.payload)?),
            MailKind::Delivery => return Err("a delivery is not for an instance".to_owned()),
        };
        Ok(Self {
            what,
            inbox: Some(inbox),
            deduplicated: internal,
            ticket: None,
            claim: None,
            alias: None,
            hops: mail.hops,
            at: mail.at,
            _room: None,
            watches: Vec::new(),
        })
    }

    /// Begins to handle the item. `false` if the caller has withdrawn the item.
    pub(crate) fn take(&self) -> bool {
        self.claim.as_ref().is_none_or(Claim::take)
    }

    /// True for the end of a task that the store does not know yet.
    pub(crate) fn is_unwritten_report(&self) -> bool {
        self.inbox.is_none() && matches!(self.what, Input::Report(..) | Input::Stuck(..))
    }

    /// True for a verb that drops the input over which the instance is parked.
    pub(crate) fn skips(&self) -> bool {
        matches!(self.what, Input::Verb(VerbRecord { verb: Verb::Skip, .. }))
    }

    /// The verb, if a person in another process requested it and no local caller waits. A verb from a parent's step
    /// does not count, because its `max_hops` is not 0.
    pub(crate) fn verb_from_elsewhere(&self) -> Option<&VerbRecord> {
        match &self.what {
            Input::Verb(verb) if self.ticket.is_none() && self.hops == 0 => Some(verb),
            _ => None,
        }
    }

    /// True for an event with this message id.
    fn is_named(&self, id: &MessageId) -> bool {
        matches!(&self.what, Input::Event(EventIn { id: Some(own), .. }) if own == id)
    }

    /// True for an event. An event waits while the instance is compensating or parked.
    pub(crate) fn is_event(&self) -> bool {
        matches!(self.what, Input::Event(_))
    }
}

/// The step in flight of an instance, and the work that follows when the step is durable.
pub(crate) struct InFlight {
    pub(crate) item: Option<Item>,
    pub(crate) answer: ConsumerAnswer,
    /// The item stays in the queue, because the instance is parked over the item.
    pub(crate) kept: bool,
    pub(crate) was_parked: bool,
    pub(crate) was_compensating: bool,
    pub(crate) created: bool,
    pub(crate) added: Vec<TaskId>,
    pub(crate) finished: Vec<TaskId>,
    pub(crate) stop: Vec<TaskId>,
    pub(crate) rerun: Vec<TaskId>,
    pub(crate) again: bool,
    /// Queue items that this step makes durable. They are the first rows of the step's mail. The other rows are routed.
    pub(crate) spilled: Vec<Item>,
    /// Number of events in `spilled`.
    pub(crate) spilled_events: usize,
    /// Task progress from before this step. If the step is not written, the tasks continue from this progress.
    pub(crate) begun: Vec<(TaskId, TaskProgress)>,
}

impl Slot {
    /// Frees the buffers of empty lists. Between two steps most lists are empty.
    pub(super) fn free_empty(&mut self) {
        if self.armed.is_empty() {
            self.armed = Vec::new();
        }
        if self.waiters.is_empty() {
            self.waiters = Vec::new();
        }
        if self.resumed.is_empty() {
            self.resumed = Vec::new();
        }
        if self.late.is_empty() {
            self.late = Vec::new();
        }
        if self.taken.is_empty() {
            self.taken = Vec::new();
        }
        if self.progress.is_empty() {
            self.progress = Vec::new();
        }
    }

    /// Estimates the size of the contents in bytes. A queued item counts only with its place in the queue, because
    /// other limits bound the item.
    pub(super) fn weigh(&self) -> usize {
        let Self { queue, runs, armed, waiters, .. } = self;
        queue.bytes()
            + runs.bytes()
            + armed.capacity() * size_of::<TimerRow>()
            + waiters.capacity() * size_of::<(Waiter, Ticket)>()
            + self.instance().map_or(0, Instance::weight)
    }

    pub(crate) fn new() -> Self {
        Self {
            place: Place::Unknown,
            queue: Queue::default(),
            in_flight: None,
            noting: 0,
            spilled: false,
            held: 0,
            one_at_a_time: false,
            deferred: None,
            given_up: None,
            fetching: false,
            head: None,
            runs: Runs::default(),
            armed: Vec::new(),
            waiters: Vec::new(),
            resumed: Vec::new(),
            late: Vec::new(),
            learned: None,
            taken: Vec::new(),
            progress: Vec::new(),
            touched: 0,
            weight: 0,
        }
    }

    pub(crate) fn instance(&self) -> Option<&Instance> {
        match &self.place {
            Place::Present(instance) => Some(instance),
            _ => None,
        }
    }

    pub(crate) fn instance_mut(&mut self) -> Option<&mut Instance> {
        match &mut self.place {
            Place::Present(instance) => Some(instance),
            _ => None,
        }
    }

    /// Attaches the watch to every item with this message id.
    pub(super) fn watch(&mut self, id: &MessageId, watch: &Arc<Watch>) {
        let in_flight = self.in_flight.iter_mut();
        let flying = in_flight.flat_map(|step| step.item.iter_mut().chain(step.spilled.iter_mut()));
        for item in flying.chain(self.queue.iter_mut()).filter(|item| item.is_named(id)) {
            item.watches.push(Arc::clone(watch));
        }
    }

    pub(crate) fn is_loading(&self) -> bool {
        matches!(self.place, Place::Loading)
    }

    pub(crate) fn run(&self, task: TaskId) -> Option<Run> {
        self.runs.get(task)
    }

    /// Progress of the tasks that have begun. The store may not know this progress.
    pub(crate) fn begun(&self) -> Vec<(TaskId, TaskProgress)> {
        let tasks = self.instance().into_iter().flat_map(|instance| instance.tasks.iter());
        began(tasks)
    }

    pub(crate) fn set_run(&mut self, task: TaskId, run: Run) {
        self.runs.set(task, run);
    }

    /// Number of waiting events that count towards the limit (rule R29). Deferred events do not count, because an event
    /// that ends their wait must be accepted.
    pub(crate) fn waiting(&self) -> usize {
        let free = self.deferred.is_some() && !self.instance().is_some_and(Instance::holds_events_back);
        let held = if free { 0 } else { self.held };
        let writing = self.in_flight.as_ref().map_or(0, |in_flight| in_flight.spilled_events);
        held + writing + self.queue.events()
    }

    /// True if the instance may be dropped from memory. Then the store holds everything about the instance, and no
    /// caller waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_none()
            && self.noting == 0
            && self.queue.is_empty()
            && self.waiters.is_empty()
            && !self.fetching
            && self.deferred.is_none()
            && !matches!(self.place, Place::Loading)
            && !(self.spilled && matches!(self.place, Place::Quarantined(_)))
            && self.runs.are_asleep()
    }
}

/// Progress of the commands and undos that have begun.
pub(super) fn began<'a>(tasks: impl Iterator<Item = &'a Task>) -> Vec<(TaskId, TaskProgress)> {
    let began = |task: &&Task| {
        let TaskProgress { attempts, stage, .. } = task.progress;
        task.kind != TaskKind::Child && (attempts > 0 || stage == TaskStage::Started)
    };
    tasks.filter(began).map(|task| (task.id, task.progress.clone())).collect()
}

/// The purpose of a step in a batch.
#[derive(Debug)]
pub(crate) enum Token {
    /// The step in flight of the instance.
    Instance(crate::store::Address),
    /// An event that is recorded for its consumers instead of being applied at once.
    Mailed { ticket: Option<Ticket>, consumers: Vec<crate::store::Address>, _claim: Option<Claim> },
    /// The start record of a task, with its lane. The task starts when the record is durable.
    Mark(crate::store::Address, TaskId, usize),
    /// The start record of a delivery.
    MarkDelivery(crate::store::DeliveryId),
    /// Task progress of the instance. No attempt waits for the commit.
    Progress(crate::store::Address),
    /// Progress of a task. The next attempt waits for the commit.
    Delayed(crate::store::Address, TaskId),
    /// Progress of a delivery. The next attempt waits for the commit.
    DelayedDelivery(crate::store::DeliveryId),
    /// Data that a running attempt saved. `address` is `None` for a delivery.
    Saved { ticket: Ticket, address: Option<crate::store::Address> },
    /// Changes that need no follow-up after the commit.
    Note,
    /// The end of a delivery.
    Delivered(crate::store::DeliveryId),
    /// A dead letter that is delivered again.
    Redriven { ticket: Ticket },
}

/// One step that waits for the next batch.
pub(crate) struct Queued {
    pub(crate) token: Token,
    pub(crate) step: Step,
}
