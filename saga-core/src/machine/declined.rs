//! The reasons for declining an operator's verb.
//!
//! Owns: the reasons and their texts. Does not own: the decision on a verb (`verbs`), or the redrive of a dead letter
//! (the engine).

use crate::step::{Address, PauseOf, Status};

/// The reason why an operator's verb or a redrive is not possible now. Nothing has changed. `Display` writes a sentence
/// with the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclinedReason {
    /// The instance has made another step since the operator read it.
    #[error("{instance} is at step {now}, not at step {seen}; read the instance again before you decide")]
    #[non_exhaustive]
    MovedOn {
        /// The instance.
        instance: Address,
        /// The present step.
        now: u64,
        /// The step that the operator saw.
        seen: u64,
    },
    /// The instance has ended.
    #[error("{instance} has ended as {}", .status.as_str())]
    #[non_exhaustive]
    Ended {
        /// The instance.
        instance: Address,
        /// How the instance has ended.
        status: Status,
    },
    /// The instance that the operator saw was removed, and another one has its key.
    #[error("{instance} was removed and started again; read the instance again before you decide")]
    #[non_exhaustive]
    Replaced {
        /// The instance.
        instance: Address,
    },
    /// A parent aborts only its own child. Another instance has the key now, or the child has ended.
    #[error("{instance} is no open child of the parent that aborts it")]
    #[non_exhaustive]
    OtherParent {
        /// The instance.
        instance: Address,
    },
    /// Only an ended instance without open work can be purged.
    #[error("{instance} cannot be purged: {why}")]
    #[non_exhaustive]
    NotOver {
        /// The instance.
        instance: Address,
        /// The reason.
        why: &'static str,
    },
    /// The verb needs a parked instance.
    #[error("{instance} is not parked; `{verb}` needs a parked instance")]
    #[non_exhaustive]
    NotParked {
        /// The instance.
        instance: Address,
        /// The verb.
        verb: &'static str,
    },
    /// This build cannot read the parking record.
    #[error("{why}")]
    #[non_exhaustive]
    UnreadableRecord {
        /// The error.
        why: String,
    },
    /// This build cannot read the state or the data.
    #[error("{instance} still cannot be read: {why}")]
    #[non_exhaustive]
    Unreadable {
        /// The instance.
        instance: Address,
        /// The error.
        why: String,
    },
    /// A command with `at_most_once` has been called, so `retry` would call it again (rule [R18](crate::rules#r18)).
    #[error("`{command}` is called at most once and cannot be retried; `resolve` the command instead")]
    #[non_exhaustive]
    AtMostOnce {
        /// The command.
        command: String,
    },
    /// The arrival of a compensating instance cannot be skipped.
    #[error("{instance} waits for its arrival ({why}); `retry` or `abort` the instance")]
    #[non_exhaustive]
    WaitsForArrival {
        /// The instance.
        instance: Address,
        /// The reason of the park.
        why: String,
    },
    /// The input that parked the instance is no longer in the inbox.
    #[error("the input that parked {instance} is no longer in the inbox; `retry` releases the instance")]
    #[non_exhaustive]
    InputGone {
        /// The instance.
        instance: Address,
    },
    /// Only a command can be resolved.
    #[error("{instance} is not parked over a command; `retry` or `skip` the instance")]
    #[non_exhaustive]
    NoCommand {
        /// The instance.
        instance: Address,
    },
    /// The command that parked the instance no longer exists.
    #[error("the command that parked {instance} no longer exists")]
    #[non_exhaustive]
    CommandGone {
        /// The instance.
        instance: Address,
    },
    /// An undo cannot be resolved as refused.
    #[error("the undo `{undo}` cannot be resolved as refused; `skip` gives the undo up")]
    #[non_exhaustive]
    UndoCannotBeRefused {
        /// The undo.
        undo: String,
    },
    /// The command needs a reply event.
    #[error("`{command}` needs a reply; resolve the command with one of: {}", .replies.join(", "))]
    #[non_exhaustive]
    NeedsReply {
        /// The command.
        command: String,
        /// The replies of the command.
        replies: Vec<String>,
    },
    /// The event is not a reply of the command.
    #[error("`{reply}` is not a reply of `{command}`")]
    #[non_exhaustive]
    NotAReply {
        /// The event.
        reply: String,
        /// The command.
        command: String,
    },
    /// The timer is not set.
    #[error("{instance} has no timer `{timer}`; {}", match set.is_empty() {
        true => "it has none at all".to_owned(),
        false => format!("set are: {}", set.join(", ")),
    })]
    #[non_exhaustive]
    NoTimer {
        /// The instance.
        instance: Address,
        /// The stored name of the timer.
        timer: String,
        /// The stored names of the timers that are set.
        set: Vec<String>,
    },
    /// The instance does not exist.
    #[error("{instance} does not exist")]
    #[non_exhaustive]
    NoInstance {
        /// The instance.
        instance: Address,
    },
    /// The instance cannot be read or written (rule [R31](crate::rules#r31)).
    #[error("{instance} is quarantined: {why}")]
    #[non_exhaustive]
    Quarantined {
        /// The instance.
        instance: Address,
        /// The reason.
        why: String,
    },
    /// The store refuses the step.
    #[error("{why}")]
    #[non_exhaustive]
    Refused {
        /// The reason of the store.
        why: String,
    },
    /// The verb names something that does not exist.
    #[error("there is no {what} `{name}` here; known are: {}", known.join(", "))]
    #[non_exhaustive]
    Unknown {
        /// What the verb names: a saga, a handler, a subscriber or an event.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that exist, in order.
        known: Vec<String>,
    },
    /// The body is too large or too deep, or the type cannot read the body.
    #[error("`{name}` cannot have this body: {why}")]
    #[non_exhaustive]
    BadBody {
        /// The stored name of the event.
        name: String,
        /// The error.
        why: String,
    },
    /// The saga or handler is paused already, or the consumer is retired already.
    #[error("{of} is {} already", .of.state())]
    #[non_exhaustive]
    AlreadyPaused {
        /// The saga, handler or consumer.
        of: PauseOf,
    },
    /// The saga or handler is not paused, or the consumer is not retired.
    #[error("{of} is not {}", .of.state())]
    #[non_exhaustive]
    NotPaused {
        /// The saga, handler or consumer.
        of: PauseOf,
    },
    /// Only a consumer that this build does not have can be retired (rule [R28](crate::rules#r28)).
    #[error("this build has the consumer `{consumer}`; remove it from the build before you retire it")]
    #[non_exhaustive]
    ConsumerPresent {
        /// The saga or subscriber.
        consumer: String,
    },
    /// A saga of this build publishes an event that no other consumer takes.
    #[error(
        "saga `{saga}` publishes `{event}`, and only `{consumer}` takes this event, so the event would be lost"
    )]
    #[non_exhaustive]
    OnlyConsumer {
        /// The consumer.
        consumer: String,
        /// The publishing saga.
        saga: String,
        /// The stored name of the event.
        event: String,
    },
    /// The consumer of the dead letter is retired.
    #[error("consumer `{consumer}` is retired; resume it before you deliver the event again")]
    #[non_exhaustive]
    ConsumerRetired {
        /// The saga or subscriber.
        consumer: String,
    },
    /// Instances of the saga have not ended.
    #[error("{instances} instances of saga `{saga}` have not ended; end them with a build that has the saga")]
    #[non_exhaustive]
    HasInstances {
        /// The saga.
        saga: String,
        /// The number of its instances that have not ended.
        instances: u64,
    },
    /// The dead letter has no usable key, so it has no instance.
    #[error("the event has no valid key; publish the event again with a valid key")]
    NoKey,
    /// A declined verb is only a record.
    #[error("a declined verb cannot be delivered again; request the verb again")]
    DeclinedVerb,
    /// A late outcome is only a record.
    #[error("an outcome cannot be delivered again; the dead letter is only a record")]
    LateOutcome,
}

impl DeclinedReason {
    /// The reason for a name that does not exist among the known ones.
    pub(crate) fn unknown(what: &'static str, name: &str, known: impl Iterator<Item = String>) -> Self {
        let mut known: Vec<String> = known.collect();
        known.sort_unstable();
        known.dedup();
        Self::Unknown { what, name: name.to_owned(), known }
    }

    /// Returns a stable word, for machines.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::MovedOn { .. } => "moved-on",
            Self::Ended { .. } => "ended",
            Self::Replaced { .. } => "replaced",
            Self::OtherParent { .. } => "other-parent",
            Self::NotOver { .. } => "not-over",
            Self::NotParked { .. } => "not-parked",
            Self::UnreadableRecord { .. } => "unreadable-record",
            Self::Unreadable { .. } => "unreadable",
            Self::AtMostOnce { .. } => "at-most-once",
            Self::WaitsForArrival { .. } => "waits-for-arrival",
            Self::InputGone { .. } => "input-gone",
            Self::NoCommand { .. } => "no-command",
            Self::CommandGone { .. } => "command-gone",
            Self::UndoCannotBeRefused { .. } => "undo-cannot-be-refused",
            Self::NeedsReply { .. } => "needs-reply",
            Self::NotAReply { .. } => "not-a-reply",
            Self::NoTimer { .. } => "no-timer",
            Self::NoInstance { .. } => "no-instance",
            Self::Quarantined { .. } => "quarantined",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
            Self::BadBody { .. } => "bad-body",
            Self::AlreadyPaused { .. } => "already-paused",
            Self::NotPaused { .. } => "not-paused",
            Self::ConsumerPresent { .. } => "consumer-present",
            Self::OnlyConsumer { .. } => "only-consumer",
            Self::ConsumerRetired { .. } => "consumer-retired",
            Self::HasInstances { .. } => "has-instances",
            Self::NoKey => "no-key",
            Self::DeclinedVerb => "declined-verb",
            Self::LateOutcome => "late-outcome",
        }
    }
}
