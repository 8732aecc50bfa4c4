//! The plain data of one commit. Stores keep it; they never look inside payloads and never see user types.
//!
//! Owns: the shape of everything that is written. Does not own: how it is laid out in tables, or why it is written.

use crate::message::{Id, Incarnation, Key, Message, MessageId, Name, Payload, Timestamp};

/// A store's own number for an instance: handed out by the store, handed back to save it a look-up, never shown to
/// anybody else (rule R20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub i64);

/// A store's own number for an inbox row. Ascending in the order the rows became visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxId(pub i64);

/// A store's own number for a delivery. Ascending in accepted order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

/// A store's own number for a dead letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadId(pub i64);

/// Which instance, by its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The saga's stored name.
    pub saga: Name,
    /// The key within the saga.
    pub key: Key,
}

impl Address {
    /// The instance `key` of `saga`.
    pub fn new(saga: impl Into<Name>, key: Key) -> Self {
        Self { saga: saga.into(), key }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alias = if self.key.is_alias() { "alias " } else { "" };
        write!(f, "{} {alias}`{}`", self.saga, self.key)
    }
}

/// Everything one decision writes. All of it becomes visible together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The instance whose tasks, timers, obligations and history are touched: its row, or `None` when this step
    /// creates it (then `instance` is set) or touches none.
    pub row: Option<RowId>,
    /// The instance as it is from now on; `None` leaves it as it is.
    pub instance: Option<InstanceChange>,
    /// Lines for the history of the instance, in order. Only with `instance`.
    pub history: Vec<HistoryEntry>,
    /// Changes to the tasks of the instance.
    pub tasks: Vec<TaskChange>,
    /// Changes to the timers of the instance.
    pub timers: Vec<TimerChange>,
    /// Changes to the obligations of the instance.
    pub obligations: Vec<ObligationChange>,
    /// Aliases that the instance claims or gives up (rule R35), in order. A claim of one that another instance of the saga
    /// holds fails the whole step with [`Outcome::AliasTaken`].
    pub aliases: Vec<AliasChange>,
    /// Inbox rows that are used up. One that has gone fails the whole step with [`Outcome::Duplicate`]: each is used up
    /// by one step only.
    pub consumed: Vec<InboxId>,
    /// Inbox rows to add, for this or other instances.
    pub mail: Vec<Mail>,
    /// Changes to deliveries.
    pub deliveries: Vec<DeliveryChange>,
    /// Marks against duplicates to set. A mark that is there already fails the whole step with
    /// [`Outcome::Duplicate`] or [`Outcome::IdConflict`].
    pub marks: Vec<Mark>,
    /// Dead letters to add. A conflict ([`DeadLetter::is_conflict`]) with a message id, taker and key of which there is one
    /// already is not added but counted on that one: its `times` grow by the new one's, its `at` becomes the new one's, and
    /// everything else stays as it was. So repeats of one message take the room of one letter, and a letter that a person
    /// has looked at keeps its content until it is redriven.
    pub dead: Vec<DeadLetter>,
    /// Dead letters that are redriven or dropped, and so removed. One that has gone has the whole step refused.
    pub undead: Vec<DeadId>,
}

/// The instance row as a step leaves it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceChange {
    /// Saga and key. Fixed at creation.
    pub address: Address,
    /// Fixed at creation.
    pub incarnation: Incarnation,
    /// When it was created. Fixed at creation.
    pub created_at: Timestamp,
    /// The step's number: one more than the row's, 1 at creation.
    pub seq: u64,
    /// The step's identity, so that the same step sent twice is recognised (rule R32).
    pub step: Id,
    /// The saga's version that wrote it.
    pub version: u32,
    /// Where it is in its life.
    pub status: Status,
    /// The stored name of the state it is in.
    pub state: Name,
    /// What the state carries.
    pub payload: Option<Payload>,
    /// What lives as long as the instance.
    pub data: Payload,
    /// The number of the visit, 1 for the first.
    pub visit: u32,
    /// The kept cause of the compensation under way, in the machine's own form.
    pub turn: Option<Payload>,
    /// Why it waits for a person, in the machine's own form.
    pub parked: Option<Payload>,
    /// Which events of its state's sets have come, in the machine's own form.
    pub noted: Option<Payload>,
    /// Whose child it is, and how its own children have ended so far, in the machine's own form.
    pub family: Option<Payload>,
    /// The time of this step.
    pub changed_at: Timestamp,
}

/// Where an instance is in its life. Parked is not a status: it overlays running and compensating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// In a state, taking events.
    Running,
    /// Between turn and arrival.
    Compensating,
    /// Ended in a `#[terminal]` state.
    Completed,
    /// Ended in a `#[terminal(failure)]` state.
    Failed,
    /// Ended by an abort, without a state for it.
    Aborted,
}

impl Status {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Compensating, Self::Completed, Self::Failed, Self::Aborted]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Whether the instance has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }
}

/// One line of an instance's history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// What kind of line, such as `applied` or `parked`.
    pub kind: Name,
    /// When.
    pub at: Timestamp,
    /// The event, command, timer or verb it is about; empty when it is about none.
    pub name: Name,
    /// Its payload.
    pub payload: Option<Payload>,
    /// The state before; empty at the start.
    pub from: Name,
    /// The state after.
    pub to: Name,
    /// Why: the message id of the cause, or who did it.
    pub cause: Option<Name>,
    /// Anything a person should know.
    pub note: Option<Name>,
}

/// A task of an instance is named by the step that queued it and its place in that step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The `seq` of the step.
    pub seq: u64,
    /// Its place among the step's tasks, from 0.
    pub ord: u32,
}

/// A command or an undo that the dispatcher must run.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Which one.
    pub id: TaskId,
    /// What it is for.
    pub kind: TaskKind,
    /// The command.
    pub command: Message,
    /// The visit it belongs to (rule R9).
    pub visit: u32,
    /// How far it is.
    pub progress: TaskProgress,
}

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// A command a row sent.
    Command,
    /// An undo of the obligation with the same identity as recorded in it.
    Undo,
    /// A child, open until it has ended. Nothing runs for it here; its message is in the machine's own form, under the
    /// name of the child's saga.
    Child,
}

impl TaskKind {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Undo => "undo",
            Self::Child => "child",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Command, Self::Undo, Self::Child].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How far a task is: the part of it that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskProgress {
    /// What may be done with it.
    pub stage: TaskStage,
    /// How many attempts have ended, as far as is written down.
    pub attempts: u32,
    /// How many numbers of attempts were left out after unclean starts, because attempts that nobody wrote down may have
    /// had them. It never falls.
    pub left_out: u32,
    /// How many times in a row it was found begun after an unclean start (rule R19).
    pub recoveries: u32,
    /// When it was first ready to run, for people and for the *overdue* flag.
    pub since: Timestamp,
    /// The milliseconds charged to it: attempts that ended, and the waits before them (rule R17).
    pub spent_ms: u64,
    /// The epoch of the lease under which this was written: what an earlier one left may have begun (rule R19).
    pub epoch: u64,
    /// When `due` was set (rule R33).
    pub armed: Timestamp,
    /// The next attempt is not before this; [`Timestamp::EPOCH`] is "at once".
    pub due: Timestamp,
    /// Whether the same command was sent again in a later visit (rule R9).
    pub superseded: bool,
    /// What the last attempt said.
    pub error: Option<String>,
    /// What its handler has saved for the attempts to come, in the dispatcher's own form.
    pub saved: Option<Payload>,
}

impl TaskProgress {
    /// A task that has just been queued.
    pub const fn queued(now: Timestamp, epoch: u64) -> Self {
        Self {
            stage: TaskStage::Ready,
            attempts: 0,
            left_out: 0,
            recoveries: 0,
            since: now,
            spent_ms: 0,
            epoch,
            armed: now,
            due: Timestamp::EPOCH,
            superseded: false,
            error: None,
            saved: None,
        }
    }

    /// The number that the next attempt has, counted from 1.
    pub const fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(self.left_out).saturating_add(1)
    }
}

/// What may be done with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskStage {
    /// It runs when due. A child: it has not been started yet.
    Ready,
    /// At most once: the mark that it may have begun (rule R18). A child: it has been started.
    Started,
    /// It has ended and its report waits in the inbox; it does not run again.
    Answered,
    /// It waits for a person together with its parked instance.
    Held,
}

impl TaskStage {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Started => "started",
            Self::Answered => "answered",
            Self::Held => "held",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ready, Self::Started, Self::Answered, Self::Held]
            .into_iter()
            .find(|stage| stage.as_str() == text)
    }
}

/// A change to the tasks of the step's instance.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskChange {
    /// Queues it.
    Add(Task),
    /// Writes how far it is. A task that is gone is not an error.
    Progress(TaskId, TaskProgress),
    /// Removes it. A task that is gone is not an error.
    Finish(TaskId),
}

/// A change to the aliases of the step's instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasChange {
    /// Claims it. One that the instance holds already is not an error.
    Claim(Key),
    /// Gives it up. One that the instance does not hold is not an error.
    Release(Key),
}

/// A durable wake-up of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerRow {
    /// Its name, unique within the instance.
    pub name: Name,
    /// The visit it is bound to.
    pub visit: u32,
    /// When it was set (rule R33).
    pub armed: Timestamp,
    /// When it is due.
    pub due: Timestamp,
    /// How often it has fired in its visit.
    pub fired: u32,
}

/// A change to the timers of the step's instance.
#[derive(Clone, Debug, PartialEq)]
pub enum TimerChange {
    /// Sets it, replacing one of the same name.
    Set(TimerRow),
    /// Removes the one of this name. One that is gone is not an error.
    Clear(Name),
}

/// An undo command that is owed. Named by the step that made it owed and its place among that step's obligations;
/// the stack order is the order of these names.
#[derive(Clone, Debug, PartialEq)]
pub struct Obligation {
    /// Which one. Not the id of a task.
    pub id: TaskId,
    /// The stored name of the undo command.
    pub undo: Name,
    /// What it undoes.
    pub of: ObligationOf,
    /// What is known about the command it undoes, in the machine's own form.
    pub report: Option<Payload>,
    /// The task that is paying it.
    pub task: Option<TaskId>,
}

/// What an obligation undoes.
#[derive(Clone, Debug, PartialEq)]
pub enum ObligationOf {
    /// A command that was sent as the task `task`.
    Command {
        /// The task it was queued as.
        task: TaskId,
        /// The command as sent.
        command: Message,
    },
    /// Having been in a state.
    State {
        /// The stored name of the state.
        state: Name,
        /// The visit.
        visit: u32,
        /// The version of the saga that wrote the payload.
        version: u32,
        /// What the state carried when it was left; `None` while the visit lasts, or when it carries nothing.
        payload: Option<Payload>,
    },
}

/// A change to the obligations of the step's instance.
#[derive(Clone, Debug, PartialEq)]
pub enum ObligationChange {
    /// Adds it, or replaces the one with its id.
    Put(Obligation),
    /// Removes it. One that is gone is not an error.
    Drop(TaskId),
}

/// A row for the inbox of an instance or a subscriber: what cannot be applied now, and whatever comes from anybody
/// but the lease holder (rule R23).
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// Saga and key, or subscriber and event key.
    pub to: Address,
    /// What it is.
    pub kind: MailKind,
    /// The event or verb with its payload; for a report the reply, or an outcome in the machine's own form.
    pub message: Message,
    /// Names it towards duplicates.
    pub id: Option<MessageId>,
    /// Whether its mark has been set already.
    pub marked: bool,
    /// The task a report is about.
    pub task: Option<TaskId>,
    /// How many sagas it has come through.
    pub hops: u32,
    /// The epoch of the lease holder that wrote it and will remember it; 0 when it is to be found by a scan.
    pub epoch: u64,
    /// Why: the id of what caused it, or who asked for it.
    pub cause: Option<Name>,
    /// When it was accepted.
    pub at: Timestamp,
}

/// What an inbox row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// An event for an instance.
    Event,
    /// An event for a subscriber.
    Delivery,
    /// A report about a task of the instance.
    Report,
    /// An operator's verb, or a parent's.
    Verb,
    /// The event that starts a child, with whose child it is, in the machine's own form.
    Start,
}

impl MailKind {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Delivery => "delivery",
            Self::Report => "report",
            Self::Verb => "verb",
            Self::Start => "start",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Event, Self::Delivery, Self::Report, Self::Verb, Self::Start]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// An event on its way to a subscriber: a task that belongs to no instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Subscriber and event key.
    pub to: Address,
    /// The event.
    pub event: Message,
    /// Its message id, which is the subscriber's idempotency key.
    pub id: MessageId,
    /// Whether its publisher has chosen the id, and so can ask by it what became of the event.
    pub named: bool,
    /// How many sagas it has come through.
    pub hops: u32,
    /// How far it is; only [`TaskStage::Ready`] is used.
    pub progress: TaskProgress,
}

/// A change to deliveries.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryChange {
    /// Queues it.
    Add(Delivery),
    /// Writes how far it is. One that is gone is not an error.
    Progress(DeliveryId, TaskProgress),
    /// Removes it. One that is gone is not an error.
    Finish(DeliveryId),
}

/// A mark against duplicates: this taker has been given this message (rule R26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Saga or subscriber, and key.
    pub to: Address,
    /// The message.
    pub id: MessageId,
    /// A hash of its name and content.
    pub content: u64,
    /// The time from which it is kept for the window.
    pub at: Timestamp,
}

/// An event that could not be applied, with its bytes and the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Saga or subscriber, and key.
    pub to: Address,
    /// What it was.
    pub kind: MailKind,
    /// The event with its payload.
    pub message: Message,
    /// Its message id.
    pub id: Option<MessageId>,
    /// How many sagas it has come through.
    pub hops: u32,
    /// Why, in one word: `unhandled`, `missing-instance`, `start-failed`, `declined` of a verb, ...
    pub reason: Name,
    /// Why, for a person.
    pub detail: String,
    /// How many such there were: 1, except of conflicts, which share a letter ([`Step::dead`]).
    pub times: u32,
    /// When; of several the last time.
    pub at: Timestamp,
}

impl DeadLetter {
    /// The reason of an event whose message id was used for other content before.
    pub const ID_CONFLICT: &'static str = "id-conflict";
    /// The reason of an event of which nobody knows which instance it is for, so it cannot be put back on its way.
    pub const BAD_KEY: &'static str = "bad-key";

    /// Whether its message id was used for other content before.
    pub fn is_conflict(&self) -> bool {
        self.id.is_some() && self.reason == Self::ID_CONFLICT
    }

    /// Whether `other` is counted on this one instead of being kept beside it.
    pub fn counts(&self, other: &Self) -> bool {
        self.is_conflict() && other.is_conflict() && (&self.to, &self.id) == (&other.to, &other.id)
    }
}

/// What became of one step of a batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is durable.
    Committed(Committed),
    /// The very same step (instance, `seq` and step id) was durable already; nothing was written again.
    Repeated,
    /// Nothing was written: the row is at another `seq` than the one before the step's, or has gone, or there already
    /// is an instance with this address. The engine reloads.
    Conflict,
    /// Nothing was written: a mark was there already, with the same content, or something that the step uses up
    /// ([`Step::consumed`]) has been used up before.
    Duplicate,
    /// Nothing was written: a mark was there already, with other content.
    IdConflict,
    /// Nothing was written: another instance of the saga holds an alias that the step claims.
    AliasTaken {
        /// The alias.
        alias: Key,
        /// The key of the instance that holds it.
        by: Key,
    },
    /// Nothing was written: the store refuses this step and would refuse it again (rule R31).
    Refused(String),
}

/// The numbers a store gave to what a step added, in the order of the step's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The row of the instance, when the step created it.
    pub row: Option<RowId>,
    /// One for each of [`Step::mail`].
    pub mail: Vec<InboxId>,
    /// One for each [`DeliveryChange::Add`].
    pub deliveries: Vec<DeliveryId>,
}
