//! Inputs and outputs of the engine, as plain values. The engine decides, and the dispatcher performs.

use std::time::Duration;

use super::attention::Attention;
use super::disposition::ConsumerAnswer;
use super::intake::{Claim, TakeUp};
use super::registry::Consumer;
use super::store_verb::StoreVerb;
use crate::definition::Value;
use crate::machine::{DeclinedReason, Operator, VerbRecord};
use crate::message::{Incarnation, InstanceName, Message, MessageId, Name, Payload, Timestamp, TraceContext};
use crate::store::{
    Address, DeadId, DeadLetterRow, Delivery, DeliveryId, DueTimer, InboxId, Loaded, Mail, OpenTask, PauseOf,
    RowId, StepOutcome, TaskId, TimerKey,
};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time of the wall clock.
    pub wall: Timestamp,
    /// The time of the monotonic clock.
    pub mono: Duration,
}

/// Identifies a caller that waits for an [`Answer`].
pub(crate) type Ticket = u64;

/// An input of the engine.
pub(crate) enum In {
    /// A caller publishes an event. Keys and limits have been checked.
    Publish { event: Accepted, ticket: Ticket },
    /// An operator requests a verb.
    Verb { address: Address, verb: VerbRecord, ticket: Ticket, claim: Claim },
    /// A caller waits for the condition in `waiter`.
    Wait { address: Address, waiter: Waiter, ticket: Ticket },
    /// A caller no longer waits.
    Unwait { address: Address, id: u64 },
    /// A caller waits until the present contents of the inbox have been taken up.
    TakeUp(TakeUp),
    /// An operator requests a verb on a dead letter, a saga or a handler.
    Operate { verb: StoreVerb, operator: Operator, ticket: Ticket, claim: Claim },
    /// The answer to [`Out::FetchLetter`].
    Letter { verb: u64, found: Option<DeadLetterRow> },
    /// The answer to [`Out::CountLive`].
    Live { verb: u64, instances: u64 },
    /// The answer to [`Out::FetchRetired`]. `more`: there may be further rows.
    Retired { mail: Vec<(InboxId, Mail)>, deliveries: Vec<(DeliveryId, Delivery)>, more: bool },
    /// The answer to [`Out::LookThroughInbox`].
    LookedThroughInbox { rows: Vec<(InboxId, Mail)>, more: bool },
    /// Another process may have changed the pauses.
    PausesChanged,
    /// The answer to [`Out::FetchPauses`].
    Pauses(Vec<PauseOf>),
    /// The outcomes of the batch in progress.
    Committed(Vec<StepOutcome>),
    /// An attempt has ended or was dropped.
    Ended { attempt: u64, how: AttemptEnd },
    /// A running attempt saves data for later attempts.
    Save { attempt: u64, saved: Payload, ticket: Ticket },
    /// A running attempt reports that it is alive. Its timeout starts again.
    Heartbeat { attempt: u64 },
    /// The answer to [`Out::Load`], in the order of the addresses.
    Loaded { addresses: Vec<Address>, found: Vec<Option<Loaded>> },
    /// The answer to [`Out::FetchWaiting`].
    Waiting { address: Address, rows: Vec<(InboxId, Mail)> },
    /// The answer to [`Out::FetchInbox`]. `more`: the inbox may hold further rows.
    Inbox { rows: Vec<(InboxId, Mail)>, more: bool },
    /// The answer to [`Out::FetchTasks`].
    Tasks { rows: Vec<OpenTask>, more: bool },
    /// The answer to [`Out::FetchCompensating`].
    Compensating { rows: Vec<(RowId, Address)>, more: bool },
    /// The answer to [`Out::FetchDeliveries`].
    Deliveries { rows: Vec<(DeliveryId, Delivery)>, more: bool },
    /// The answer to [`Out::FetchTimers`].
    Timers { rows: Vec<DueTimer>, more: bool },
    /// A writer other than this engine has added rows to the inbox.
    Woken,
    /// Ended instances have been removed from the store.
    Purged,
    /// Another process may have ended the lease, or the lease stands after all.
    Lapsed(bool),
    /// The shard is about to go to another process, or stays after all. No attempt starts meanwhile.
    Closing(bool),
    /// Time has passed. Due work is handled.
    Tick,
    /// The engine must accept and start nothing more.
    Stop,
}

/// A published event after the check of its keys and limits.
pub(crate) struct Accepted {
    pub(crate) message: Message,
    pub(crate) value: Option<Value>,
    pub(crate) consumers: Vec<(Consumer, InstanceName)>,
    pub(crate) id: Option<MessageId>,
    pub(crate) claim: Claim,
    /// The trace context of the publisher.
    pub(crate) trace: Option<TraceContext>,
}

/// The end of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptEnd {
    /// The handler replied with an event, or with `Done`.
    Replied(Option<Message>),
    /// The handler refused. This attempt had no effect.
    Refused(String),
    /// The handler refused for good. No attempt of the command had an effect.
    RefusedForGood(String),
    /// The attempt may or may not have had its effect.
    Indeterminate(String),
    /// This build cannot read the command or event. The handler was not called.
    Unreadable(String),
    /// The handler answered, but the answer cannot be stored.
    BadReply(String),
    /// The future was dropped at the request of the engine.
    Dropped,
    /// The attempt was dropped before its handler was called.
    NotBegun,
}

impl AttemptEnd {
    /// The error of a failed attempt. `None` for a reply or a dropped attempt.
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

/// A request of the engine to the dispatcher.
#[derive(Debug)]
pub(crate) enum Out {
    Answer(Ticket, Answer),
    /// Read these instances in one call. One call for each instance would cost a change of thread for each.
    Load(Vec<Address>),
    FetchWaiting(Address),
    FetchInbox(InboxId),
    /// Read a page of the inbox again, for a resumed saga.
    LookThroughInbox(InboxId),
    /// Read this dead letter, for the verb with this number.
    FetchLetter(DeadId, u64),
    /// Read a page of the inbox and a page of the deliveries again, for retired consumers.
    FetchRetired(InboxId, DeliveryId),
    /// Count the instances of this saga that have not ended, for the verb with this number.
    CountLive(String, u64),
    FetchTasks(Option<(RowId, TaskId)>),
    FetchCompensating(Option<RowId>),
    FetchDeliveries(DeliveryId),
    FetchTimers(Option<TimerKey>),
    /// Read the stored pauses.
    FetchPauses,
    /// Start this attempt now.
    Run(Box<Attempt>),
    /// Remove the ended instances that are old or marked.
    Purge,
    /// Tell the application.
    Attention(Box<Attention>),
    /// Ask the handler of this attempt to stop.
    Cancel(u64),
    /// Drop the future of this attempt.
    Drop(u64),
}

/// One attempt of a handler or a subscriber.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: u64,
    /// The index of the lane. The handler has the same index.
    pub(crate) lane: usize,
    pub(crate) message: Message,
    pub(crate) key: AttemptKey,
    /// The attempt number, counted from 1.
    pub(crate) number: u32,
    /// The instance that sent the command, or the subscriber and event key.
    pub(crate) of: Address,
    /// Data that earlier attempts have saved.
    pub(crate) saved: Option<Payload>,
    /// The trace context of the sender.
    pub(crate) trace: Option<TraceContext>,
}

/// The idempotency key of an attempt. Its text is derived only for a handler that uses it.
#[derive(Clone)]
pub(crate) enum AttemptKey {
    /// The key of a command or undo: its task and its stored name (rule R20).
    Task(Incarnation, TaskId, Name),
    /// The message id of a delivery.
    Message(MessageId),
    #[cfg(any(test, feature = "testing"))]
    Text(String),
}

impl std::fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(incarnation, task, name) => incarnation.derive(task.seq, task.ord, name).fmt(f),
            Self::Message(id) => id.fmt(f),
            #[cfg(any(test, feature = "testing"))]
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl std::fmt::Debug for AttemptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The answer to a caller.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The result of a published event at each consumer.
    Published(Vec<(Address, ConsumerAnswer)>),
    /// The verb was applied. `Err` holds the reason why the verb was declined.
    Verb(Result<(), DeclinedReason>),
    /// The instance that the caller waited for. `None` if the instance does not exist.
    Found(Option<Loaded>),
    /// The contents of the inbox have been taken up.
    TakenUp,
    /// Whether the saved data is durable. `false` if the attempt no longer runs or the store refused the data.
    Saved(bool),
    /// The caller withdrew the request before the engine began to handle it.
    Withdrawn,
    /// The request is no longer handled, because the engine stops or the caller no longer waits.
    Stopped,
}

/// A caller that waits for an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    /// Chosen by the caller.
    pub(crate) id: u64,
    pub(crate) until: Until,
}

/// The condition that ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The instance has ended, is parked or does not exist.
    Rest,
    /// The instance has made a step after this `seq`. The instance may not exist yet.
    Step(u64),
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
            Self::Operate { .. } => "Operate",
            Self::Letter { .. } => "Letter",
            Self::LookedThroughInbox { .. } => "LookedThroughInbox",
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
            Self::Live { .. } => "Live",
            Self::Retired { .. } => "Retired",
            Self::Lapsed(_) => "Lapsed",
            Self::Closing(_) => "Closing",
            Self::Pauses(_) => "Pauses",
            Self::PausesChanged => "PausesChanged",
            Self::Stop => "Stop",
        })
    }
}
