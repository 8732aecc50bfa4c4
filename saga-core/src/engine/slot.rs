//! One instance as the engine keeps it: the machine's part, its queue, its tasks' runs, and the step being committed.

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

/// What is known about the instance.
pub(crate) enum Place {
    /// Nothing yet.
    Unknown,
    /// Being read.
    Loading,
    /// There is none.
    Missing,
    /// Here it is.
    Present(Box<Instance>),
    /// It is an alias, of the instance with this key.
    Alias(Key),
    /// It cannot be read; nothing is done with it.
    Quarantined(String),
}

/// An instance, its queue and its runs.
pub(crate) struct Slot {
    pub(crate) place: Place,
    /// What has been accepted, or waits to be, in order.
    pub(super) queue: Queue,
    /// The step being committed: at most one.
    pub(crate) in_flight: Option<InFlight>,
    /// Steps on their way that only change how far its tasks are: until they are durable, the store knows less.
    pub(crate) noting: usize,
    /// The inbox may hold rows that are not in `queue`; they are read when the instance is free again.
    pub(crate) spilled: bool,
    /// How many events are among those rows.
    pub(crate) held: usize,
    /// What cannot be applied now is written down in a step each, because one of several is a duplicate.
    pub(crate) one_at_a_time: bool,
    /// The visit in which something was deferred that lies in the inbox.
    pub(crate) deferred: Option<u32>,
    /// Events accepted up to then have waited long enough for their instance.
    pub(crate) given_up: Option<GivenUp>,
    /// Those rows are being read.
    pub(crate) fetching: bool,
    /// What the instance is parked over, as it was found among those rows for a verb that skips it; `Some(None)` when it
    /// is not there.
    pub(crate) head: Option<Option<Box<Item>>>,
    pub(super) runs: Runs,
    /// Its timers as they stand in the window, with the due time they stand under.
    pub(crate) armed: Vec<TimerRow>,
    pub(crate) waiters: Vec<(Waiter, Ticket)>,
    /// Tasks that became due while the instance was not in memory.
    pub(crate) resumed: Vec<TaskId>,
    /// What happened to its tasks while it was being read.
    pub(crate) late: Vec<Late>,
    /// Of an alias whose owner is being read: who it is since a step that became durable meanwhile.
    pub(crate) learned: Option<Option<Key>>,
    /// What the store has said about aliases that the step at the head of the queue claims.
    pub(crate) taken: Vec<Taken>,
    /// How far its tasks had come when it had to be read again: the store only knows what was worth a commit.
    pub(crate) progress: Vec<(TaskId, TaskProgress)>,
    /// When it was last touched, in the order of touches.
    pub(crate) touched: u64,
    pub(crate) weight: usize,
}

/// Events that have waited long enough for their instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// The newest of them was accepted then.
    pub(crate) at: Timestamp,
    /// The last row that was in the inbox when they were read; `None` until then. A later event has its own time, also when
    /// its stamp is older because the clock went back.
    pub(crate) last: Option<InboxId>,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// In its lane, for a free place.
    Waiting,
    /// Its mark is being committed; it starts when that is durable.
    Marking,
    Running {
        attempt: u64,
    },
    /// How far it is, is being committed: its next attempt waits for that, so that none has a number that a crash could
    /// give to another.
    Noting,
    /// Until its next attempt is due.
    Delayed,
    /// It has ended and its report is in the queue.
    Reported,
}

/// Something that happened to a task while its instance was being read.
#[derive(Debug)]
pub(crate) enum Late {
    /// This attempt ended.
    Ended(u64, AttemptEnd),
    /// Its mark became durable, in this lane, or was not written.
    Marked(TaskId, usize, bool),
    /// This attempt saved something, and its caller waits.
    Saved(u64, Payload, Ticket),
}

/// One thing in an instance's queue.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) what: Input,
    /// Its row, when it is durable already.
    pub(crate) inbox: Option<InboxId>,
    /// Whether a duplicate of it need not be looked for: it is internal, or its mark has been set.
    pub(crate) deduplicated: bool,
    pub(crate) ticket: Option<Ticket>,
    /// Whether its caller may still withdraw it.
    pub(crate) claim: Option<Claim>,
    /// The alias by which it named its instance: its mark is set there.
    pub(crate) alias: Option<Key>,
    pub(crate) hops: u32,
    pub(crate) at: Timestamp,
    /// Its share of the room for what is taken up from the store, when it was.
    pub(crate) _room: Option<Arc<()>>,
    /// Who waits for it to be dealt with.
    pub(super) watches: Vec<Arc<Watch>>,
}

impl Item {
    /// Something the engine itself found out.
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

    /// What is kept of it in the inbox; `None` for what need not be kept, because it is found again.
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

    /// The item an inbox row stands for; `Err` with the reason when the row cannot be read.
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

    /// Begins to do it; `false` when its caller has withdrawn it.
    pub(crate) fn take(&self) -> bool {
        self.claim.as_ref().is_none_or(Claim::take)
    }

    /// Whether it is the end of attempts that the store does not know to have ended.
    pub(crate) fn is_unwritten_report(&self) -> bool {
        self.inbox.is_none() && matches!(self.what, Input::Report(..) | Input::Stuck(..))
    }

    /// Whether it is a verb that drops what the instance is parked over.
    pub(crate) fn skips(&self) -> bool {
        matches!(self.what, Input::Verb(VerbRecord { verb: Verb::Skip, .. }))
    }

    /// The verb it is, when a person has asked for it in another process and nobody waits here for the answer. One that
    /// a parent's step sends has come through that saga.
    pub(crate) fn verb_from_elsewhere(&self) -> Option<&VerbRecord> {
        match &self.what {
            Input::Verb(verb) if self.ticket.is_none() && self.hops == 0 => Some(verb),
            _ => None,
        }
    }

    /// Whether it is an event under this message id.
    fn is_named(&self, id: &MessageId) -> bool {
        matches!(&self.what, Input::Event(EventIn { id: Some(own), .. }) if own == id)
    }

    /// Whether it waits behind a compensation or a person.
    pub(crate) fn is_event(&self) -> bool {
        matches!(self.what, Input::Event(_))
    }
}

/// What must happen when the step is durable.
pub(crate) struct InFlight {
    pub(crate) item: Option<Item>,
    pub(crate) answer: ConsumerAnswer,
    /// Whether the item stays, because the instance is parked over it.
    pub(crate) kept: bool,
    pub(crate) was_parked: bool,
    pub(crate) was_compensating: bool,
    pub(crate) created: bool,
    pub(crate) added: Vec<TaskId>,
    pub(crate) finished: Vec<TaskId>,
    pub(crate) stop: Vec<TaskId>,
    pub(crate) rerun: Vec<TaskId>,
    pub(crate) again: bool,
    /// Queue items that this step made durable, by position in its mail: the rest of the mail is routed.
    pub(crate) spilled: Vec<Item>,
    /// How many of those are events.
    pub(crate) spilled_events: usize,
    /// How far tasks had come before this step, which may have ended them: they go on from there if it is not written.
    pub(crate) begun: Vec<(TaskId, TaskProgress)>,
}

impl Slot {
    /// Frees the buffers of lists that are empty: between two steps most are.
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

    /// About how many bytes what is in it takes. Of what waits in the queue only its place: that is bounded elsewhere.
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

    /// Lets everything that is here under this message id hold the watch.
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

    /// How far the tasks have come that began, which the store need not know.
    pub(crate) fn begun(&self) -> Vec<(TaskId, TaskProgress)> {
        let tasks = self.instance().into_iter().flat_map(|instance| instance.tasks.iter());
        began(tasks)
    }

    pub(crate) fn set_run(&mut self, task: TaskId, run: Run) {
        self.runs.set(task, run);
    }

    /// How many events from outside wait here, and behind them whatever comes. Deferred ones hold up nobody: what ends
    /// their waiting must get past them.
    pub(crate) fn waiting(&self) -> usize {
        let free = self.deferred.is_some() && !self.instance().is_some_and(Instance::holds_events_back);
        let held = if free { 0 } else { self.held };
        let writing = self.in_flight.as_ref().map_or(0, |in_flight| in_flight.spilled_events);
        held + writing + self.queue.events()
    }

    /// Whether it may be forgotten: everything about it is in the store, and nobody waits for it.
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

/// How far those of the tasks have come that began.
pub(super) fn began<'a>(tasks: impl Iterator<Item = &'a Task>) -> Vec<(TaskId, TaskProgress)> {
    let began = |task: &&Task| {
        let TaskProgress { attempts, stage, .. } = task.progress;
        task.kind != TaskKind::Child && (attempts > 0 || stage == TaskStage::Started)
    };
    tasks.filter(began).map(|task| (task.id, task.progress.clone())).collect()
}

/// What a step of a batch belongs to.
#[derive(Debug)]
pub(crate) enum Token {
    /// The step in flight of this instance.
    Instance(crate::store::Address),
    /// An event recorded for several consumers, or behind a backlog.
    Mailed { ticket: Option<Ticket>, consumers: Vec<crate::store::Address>, _claim: Option<Claim> },
    /// The mark of a task that starts when it is durable, in this lane.
    Mark(crate::store::Address, TaskId, usize),
    /// The mark of a delivery.
    MarkDelivery(crate::store::DeliveryId),
    /// Progress that nobody waits for, of this instance.
    Progress(crate::store::Address),
    /// Progress of a task whose next attempt waits for it.
    Delayed(crate::store::Address, TaskId),
    /// Progress of a delivery whose next attempt waits for it.
    DelayedDelivery(crate::store::DeliveryId),
    /// What a running attempt has saved, of this instance if it is not a delivery's.
    Saved { ticket: Ticket, address: Option<crate::store::Address> },
    /// Other changes that nobody waits for.
    Note,
    /// A delivery is finished.
    Delivered(crate::store::DeliveryId),
    /// Dead letters under way again.
    Redriven { ticket: Ticket },
}

/// One step waiting to be committed, or being committed.
pub(crate) struct Queued {
    pub(crate) token: Token,
    pub(crate) step: Step,
}
