//! Operators' verbs as values, and as inbox rows for everyone except the lease holder (rule R23).

use super::input::{Resolution, Verb, VerbRecord};
use super::record::{MessageRecord, write};
use crate::message::{Event, Message, Name, PayloadError, Timestamp};
use crate::step::{Address, Mail, MailKind, Status};

/// A verb on one instance. The dispatcher takes it with [`decide`](crate::dispatcher::Dispatcher::decide), and any process
/// writes it into the inbox of the instance with [`Mail::operator`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperatorVerb {
    /// Undo all obligations and end the instance (rule [R15](crate::rules#r15)).
    Abort,
    /// Repeat exactly the work that parked the instance (rule [R16](crate::rules#r16)).
    Retry,
    /// Continue without the work that parked the instance (rule [R16](crate::rules#r16)).
    Skip,
    /// Supply the outcome of the command over which the instance is parked.
    Resolve(Resolved),
    /// Make a timer of the instance due now (rule [R7](crate::rules#r7)). A periodic timer counts its next periods from now.
    Fire {
        /// The stored name of the timer.
        timer: String,
    },
    /// Give a timer of the instance another due time (rule [R7](crate::rules#r7)). A time in the past makes it due now.
    Postpone {
        /// The stored name of the timer.
        timer: String,
        /// The due time.
        until: Timestamp,
    },
    /// Remove an ended instance with its history, before its retention is over (rule [R27](crate::rules#r27)).
    Purge,
}

impl OperatorVerb {
    /// Returns the name of the verb in the history.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Abort => Verb::Abort.word(),
            Self::Retry => Verb::Retry.word(),
            Self::Skip => Verb::Skip.word(),
            Self::Resolve(_) => "resolve",
            Self::Fire { .. } => "fire",
            Self::Postpone { .. } => "postpone",
            Self::Purge => Verb::Purge.word(),
        }
    }

    /// Returns whether the verb needs a parked instance or one that is not parked, for lists. `None` if both can take it.
    pub fn wants_parked(&self) -> Option<bool> {
        match self {
            Self::Retry | Self::Skip | Self::Resolve(_) => Some(true),
            Self::Purge => Some(false),
            Self::Abort | Self::Fire { .. } | Self::Postpone { .. } => None,
        }
    }

    /// Returns whether an instance with this status and park can take the verb, for lists. The instance itself still
    /// decides.
    pub fn fits(&self, status: Status, parked: bool) -> bool {
        self.wants_parked().is_none_or(|wanted| wanted == parked)
            && match self {
                Self::Purge => status.is_over(),
                Self::Abort | Self::Fire { .. } | Self::Postpone { .. } => !status.is_over(),
                Self::Retry | Self::Skip | Self::Resolve(_) => true,
            }
    }

    /// Returns the record of the verb.
    pub(crate) fn record(self, operator: Operator) -> VerbRecord {
        let verb = match self {
            Self::Abort => Verb::Abort,
            Self::Retry => Verb::Retry,
            Self::Skip => Verb::Skip,
            Self::Resolve(Resolved(outcome)) => Verb::Resolve(outcome),
            Self::Fire { timer } => Verb::Fire { timer },
            Self::Postpone { timer, until } => Verb::Postpone { timer, until: until.as_millis() },
            Self::Purge => Verb::Purge,
        };
        let Operator { who, why, seq, created } = operator;
        let created = created.map(Timestamp::as_millis);
        VerbRecord { verb, by: who, why, seq, created, parent: None, request: None }
    }
}

/// The outcome of a command as an operator knows it, for [`OperatorVerb::Resolve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved(pub(crate) Resolution);

impl Resolved {
    /// The command was answered by this reply.
    ///
    /// # Errors
    /// [`PayloadError`](crate::message::PayloadError) when the reply cannot be written as JSON.
    pub fn reply<E: Event>(reply: &E) -> Result<Self, PayloadError> {
        Ok(Self::replied(&Message::of_event(reply)?))
    }

    /// The command was answered by this reply, for tools without the type of the reply. The instance reads the payload when
    /// it applies the verb.
    pub fn replied(reply: &Message) -> Self {
        Self(Resolution::Replied(MessageRecord::from(reply)))
    }

    /// The command is done. Use this for commands without replies and for undos.
    pub fn done() -> Self {
        Self(Resolution::Done)
    }

    /// The command certainly had no effect.
    pub fn refused() -> Self {
        Self(Resolution::Refused)
    }
}

/// The person who decides, and why. Both go to the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub(crate) who: String,
    pub(crate) why: String,
    pub(crate) seq: Option<u64>,
    pub(crate) created: Option<Timestamp>,
}

impl Operator {
    /// The operator `who`, who gives no reason yet.
    pub fn new(who: impl Into<String>) -> Self {
        Self { who: who.into(), why: String::new(), seq: None, created: None }
    }

    /// The reason of the decision.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// The step at which the operator has seen the instance, its `seq`. The verb is declined if the instance has made
    /// another step since.
    #[must_use]
    pub fn at_step(mut self, seq: u64) -> Self {
        self.seq = Some(seq);
        self
    }

    /// The time at which the seen instance was created. The verb is declined if the instance was removed since, and another
    /// one has started with its key, perhaps with the same number of steps.
    #[must_use]
    pub fn created_at(mut self, at: Timestamp) -> Self {
        self.created = Some(at);
        self
    }
}

impl Mail {
    /// The inbox row by which `operator` requests `verb`. The lease holder applies the verb as a step. If the verb is not
    /// possible, the lease holder declines it.
    ///
    /// The step that uses up the row adds the answer to the history of the instance. The line has the kind `verb` or
    /// `declined`. It holds the name of the verb, the operator as its cause, and the reason as its note. Without an instance
    /// there is no history, and the verb becomes a dead letter with the reason `declined`.
    pub fn operator(to: Address, verb: OperatorVerb, operator: Operator, at: Timestamp) -> Self {
        Self::of_verb(to, &verb.record(operator), at)
    }

    pub(crate) fn of_verb(to: Address, record: &VerbRecord, at: Timestamp) -> Self {
        let name = Name::Borrowed(record.verb.word());
        let cause = Some(Name::Owned(record.by.clone()));
        let message = Message { name, version: 1, payload: write(record) };
        Self { cause, ..Self::new(to, MailKind::Verb, message, at) }
    }
}
