//! What a person should know at once: instances that wait for a person, dead letters, late undos and open breakers.
//!
//! Owns: the kinds of attention, and the moments at which the engine reports them. Does not own: the call of the
//! application, or the leaving out of repetitions (the dispatcher).

use std::borrow::Cow;

use super::Shard;
use super::io::Out;
use crate::machine::{ParkReason, Parked};
use crate::message::{Name, Timestamp};
use crate::step::OVERDUE;
use crate::store::{Address, DeadLetter, DeadLetterReason, Step, Task, TaskKind};

/// What a person should know at once, for [`on_attention`](crate::dispatcher::DispatcherBuilder::on_attention). `Display`
/// writes a sentence. Texts of errors come from the application and may hold anything that a handler has put into them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attention {
    /// An instance is parked and waits for a person.
    #[non_exhaustive]
    Parked {
        /// The instance.
        instance: Address,
        /// The reason of the park.
        reason: ParkReason,
        /// The reason as a text for people.
        detail: String,
    },
    /// A message could not be applied and became a dead letter.
    #[non_exhaustive]
    DeadLetter {
        /// The consumer and the key.
        to: Address,
        /// The stored name of the message.
        message: Name,
        /// The reason.
        reason: DeadLetterReason,
        /// The reason as a text for people.
        detail: String,
    },
    /// An undo has been tried for more than 24 hours. Its attempts go on.
    #[non_exhaustive]
    Overdue {
        /// The instance.
        instance: Address,
        /// The stored name of the undo.
        undo: Name,
        /// The time when the undo was first ready.
        since: Timestamp,
        /// The error of the last attempt.
        error: String,
    },
    /// Too many attempts of a handler in a row were indeterminate. Its circuit breaker is open.
    #[non_exhaustive]
    BreakerOpen {
        /// The stored name of the command, or the name of the subscriber.
        handler: Name,
        /// The error of the last attempt.
        error: String,
    },
    /// The store does not answer. Calls wait, and the dispatcher tries again.
    #[non_exhaustive]
    Degraded {
        /// The reason that the store reports.
        why: String,
    },
    /// The store answers again.
    Recovered,
    /// The dispatcher has stopped, and nobody has asked for it.
    #[non_exhaustive]
    Stopped {
        /// The reason for the stop.
        why: String,
    },
}

impl Attention {
    /// Returns a stable word for the kind, for machines.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Parked { .. } => "parked",
            Self::DeadLetter { .. } => "dead-letter",
            Self::Overdue { .. } => "overdue",
            Self::BreakerOpen { .. } => "breaker-open",
            Self::Degraded { .. } => "degraded",
            Self::Recovered => "recovered",
            Self::Stopped { .. } => "stopped",
        }
    }

    /// Returns the saga, the subscriber or the handler. Empty for the dispatcher itself.
    pub fn of(&self) -> &str {
        match self {
            Self::Parked { instance: to, .. }
            | Self::DeadLetter { to, .. }
            | Self::Overdue { instance: to, .. } => &to.saga,
            Self::BreakerOpen { handler, .. } => handler,
            Self::Degraded { .. } | Self::Recovered | Self::Stopped { .. } => "",
        }
    }

    /// Returns the reason as a stable text: of a park, of a dead letter, or the name of an undo. May be empty.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::Parked { reason, .. } => Cow::Owned(reason.to_string()),
            Self::DeadLetter { reason, .. } => Cow::Borrowed(reason.as_str()),
            Self::Overdue { undo, .. } => Cow::Borrowed(undo),
            _ => Cow::Borrowed(""),
        }
    }
}

impl std::fmt::Display for Attention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parked { instance, reason, detail } => {
                write!(f, "{instance} is parked and waits for a person: {reason}: {detail}")
            }
            Self::DeadLetter { to, message, reason, detail } => {
                write!(f, "`{message}` for {to} is a dead letter: {reason}: {detail}")
            }
            Self::Overdue { instance, undo, since, error } => {
                write!(f, "the undo `{undo}` of {instance} has been tried since {since}; last error: {error}")
            }
            Self::BreakerOpen { handler, error } => {
                write!(f, "the breaker of the handler `{handler}` is open; last error: {error}")
            }
            Self::Degraded { why } => write!(f, "the store does not answer: {why}"),
            Self::Recovered => f.write_str("the store answers again"),
            Self::Stopped { why } => write!(f, "the dispatcher has stopped: {why}"),
        }
    }
}

impl Shard {
    /// Reports from now on what a person should know.
    pub(crate) fn with_attention(mut self, wanted: bool) -> Self {
        self.attention = wanted;
        self
    }

    pub(super) fn attend(&mut self, what: impl FnOnce() -> Attention) {
        if self.attention {
            self.out.push(Out::Attention(Box::new(what())));
        }
    }

    /// The step that has parked an instance is durable.
    pub(super) fn attend_to_park(&mut self, step: &Step) {
        let Some(change) = &step.instance else { return };
        let Some(record) = &change.parked else { return };
        self.attend(|| {
            let Parked { reason, detail, .. } = Parked::from_stored(record, change.changed_at);
            Attention::Parked { instance: change.address.clone(), reason, detail }
        });
    }

    /// The dead letters of a step are durable.
    pub(super) fn attend_to_letters(&mut self, letters: &[DeadLetter]) {
        for DeadLetter { to, message, reason, detail, .. } in letters {
            self.attend(|| Attention::DeadLetter {
                to: to.clone(),
                message: message.name.clone(),
                reason: reason.clone(),
                detail: detail.clone(),
            });
        }
    }
}

/// Returns whether this failed attempt makes an undo overdue. The attempts before it were not late yet.
pub(super) fn becomes_overdue(task: &Task, now: Timestamp) -> bool {
    let progress = &task.progress;
    task.kind == TaskKind::Undo
        && now.since(progress.since) > OVERDUE
        && progress.armed.since(progress.since) <= OVERDUE
}
