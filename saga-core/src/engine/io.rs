//! What goes into the engine and what it asks for. Plain values: the shell performs, the engine decides.

use std::time::Duration;

use super::claim::Claim;
use super::registry::Consumer;
use super::takeup::TakeUp;
use crate::definition::Value;
use crate::machine::VerbRecord;
use crate::message::{Key, Message, MessageId, Payload, Timestamp};
use crate::store::{
    Address, DeadLetterRow, Delivery, DeliveryId, DueTimer, InboxId, Loaded, Mail, OpenTask, RowId,
    StepOutcome, TaskId, TimerKey,
};

/// The two clocks of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// A clock that only goes forward.
    pub mono: Duration,
}

/// Names a caller who waits for an [`Answer`].
pub(crate) type Ticket = u64;

/// Something that happened.
pub(crate) enum In {
    /// Somebody publishes an event; keys and limits have been checked.
    Publish { event: Accepted, ticket: Ticket },
    /// An operator's verb.
    Verb { address: Address, verb: VerbRecord, ticket: Ticket, claim: Claim },
    /// Somebody waits until the instance has ended or is parked.
    Wait { address: Address, waiter: Waiter, ticket: Ticket },
    /// A caller waits no longer.
    Unwait { address: Address, id: u64 },
    /// Somebody waits until what lies in the inbox now has been taken up.
    TakeUp(TakeUp),
    /// A dead letter is to be delivered again.
    Redrive { letter: DeadLetterRow, ticket: Ticket, claim: Claim },
    /// The batch under way is durable.
    Committed(Vec<StepOutcome>),
    /// An attempt has ended.
    Ended { attempt: u64, how: AttemptEnd },
    /// A running attempt saves something for the attempts to come.
    Save { attempt: u64, saved: Payload, ticket: Ticket },
    /// A running attempt is alive: its time starts anew.
    Heartbeat { attempt: u64 },
    /// What [`Out::Load`] asked for.
    Loaded { address: Address, found: Option<Loaded> },
    /// What [`Out::FetchWaiting`] asked for.
    Waiting { address: Address, rows: Vec<(InboxId, Mail)> },
    /// What [`Out::FetchInbox`] asked for, and whether there may be more.
    Inbox { rows: Vec<(InboxId, Mail)>, more: bool },
    /// What [`Out::FetchTasks`] asked for.
    Tasks { rows: Vec<OpenTask>, more: bool },
    /// What [`Out::FetchCompensating`] asked for.
    Compensating { rows: Vec<(RowId, Address)>, more: bool },
    /// What [`Out::FetchDeliveries`] asked for.
    Deliveries { rows: Vec<(DeliveryId, Delivery)>, more: bool },
    /// What [`Out::FetchTimers`] asked for.
    Timers { rows: Vec<DueTimer>, more: bool },
    /// Somebody else has put something into the inbox.
    Woken,
    /// Instances that had ended have been removed from the store.
    Purged,
    /// Time has passed.
    Tick,
    /// Take nothing more, and start nothing more.
    Stop,
}

/// An event that has been checked at the door.
pub(crate) struct Accepted {
    pub(crate) message: Message,
    pub(crate) value: Option<Value>,
    pub(crate) consumers: Vec<(Consumer, Key)>,
    pub(crate) id: Option<MessageId>,
    pub(crate) claim: Claim,
}

/// How an attempt of a handler ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptEnd {
    /// With a reply, or with `Done`.
    Replied(Option<Message>),
    /// This attempt surely had no effect.
    Refused(String),
    /// No attempt ever had an effect.
    RefusedForGood(String),
    /// It may or may not have had its effect.
    Indeterminate(String),
    /// This build cannot read what was sent, so nothing was called.
    Unreadable(String),
    /// It was called and answered, but the answer cannot be stored.
    BadReply(String),
    /// The future was dropped because the engine asked for it.
    Dropped,
    /// It was dropped before the handler was called.
    NotBegun,
}

impl AttemptEnd {
    /// What a failed attempt said; `None` when it was answered or cut off.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Refused(why)
            | Self::RefusedForGood(why)
            | Self::Indeterminate(why)
            | Self::Unreadable(why)
            | Self::BadReply(why) => Some(why),
            Self::Replied(_) | Self::Dropped | Self::NotBegun => None,
        }
    }
}

/// Something to do.
#[derive(Debug)]
pub(crate) enum Out {
    Answer(Ticket, Answer),
    Load(Address),
    FetchWaiting(Address),
    FetchInbox(InboxId),
    FetchTasks(Option<(RowId, TaskId)>),
    FetchCompensating(Option<RowId>),
    FetchDeliveries(DeliveryId),
    FetchTimers(Option<TimerKey>),
    /// Start an attempt now.
    Run(Box<Attempt>),
    /// Tell an attempt that it is no longer wanted.
    Cancel(u64),
    /// Drop an attempt.
    Drop(u64),
}

/// One attempt of a handler.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: u64,
    /// The lane, which is also the index of the handler.
    pub(crate) lane: usize,
    pub(crate) message: Message,
    /// The idempotency key.
    pub(crate) key: String,
    /// Counted from 1.
    pub(crate) number: u32,
    /// Whose command it is, or the subscriber and event key.
    pub(crate) of: Address,
    /// What earlier attempts have saved.
    pub(crate) saved: Option<Payload>,
}

/// What a caller gets.
#[derive(Debug)]
pub(crate) enum Answer {
    /// What became of a published event, consumer by consumer.
    Published(Vec<(Address, ConsumerAnswer)>),
    /// A verb was done, or not, for this reason.
    Verb(Result<(), String>),
    /// What a caller has waited for, as it is now; `None` when there is no such instance.
    Found(Option<Loaded>),
    /// Everything that lay in the inbox has been taken up.
    TakenUp,
    /// A dead letter is on its way again, or why not.
    Redriven(Result<(), String>),
    /// Something is saved; `false` when the attempt is no longer running.
    Saved(bool),
    /// The caller had given up before anything was done about it.
    Withdrawn,
    /// The dispatcher stops.
    Stopped,
}

/// Somebody who waits for an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    /// Chosen by the caller.
    pub(crate) id: u64,
    pub(crate) until: Until,
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The end, or that it is parked; also that there is no such instance.
    Rest,
    /// A step after this one, of an instance that may not exist yet.
    Step(u64),
}

/// Why an event is ignored that starts nothing, where the table says `#[missing_instance(ignore)]`.
pub(crate) const NO_INSTANCE: &str = "there is no instance";

/// What became of an event at one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerAnswer {
    Applied,
    Ignored(&'static str),
    Queued,
    Deferred,
    Dead(String),
    Duplicate,
    IdConflict,
    Full { waiting: usize },
    Refused(String),
}

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted")
            .field("message", &self.message)
            .field("consumers", &self.consumers)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for In {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Publish { .. } => "Publish",
            Self::Verb { .. } => "Verb",
            Self::Wait { .. } => "Wait",
            Self::Unwait { .. } => "Unwait",
            Self::TakeUp(_) => "TakeUp",
            Self::Redrive { .. } => "Redrive",
            Self::Committed(_) => "Committed",
            Self::Ended { .. } => "Ended",
            Self::Save { .. } => "Save",
            Self::Heartbeat { .. } => "Heartbeat",
            Self::Loaded { .. } => "Loaded",
            Self::Waiting { .. } => "Waiting",
            Self::Inbox { .. } => "Inbox",
            Self::Tasks { .. } => "Tasks",
            Self::Compensating { .. } => "Compensating",
            Self::Deliveries { .. } => "Deliveries",
            Self::Timers { .. } => "Timers",
            Self::Woken => "Woken",
            Self::Purged => "Purged",
            Self::Tick => "Tick",
            Self::Stop => "Stop",
        })
    }
}
