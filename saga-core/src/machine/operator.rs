//! Operators' verbs as inbox rows, for everyone except the lease holder (rule R23).

use super::input::{Verb, VerbRecord};
use super::record::write;
use crate::message::{Message, Name, Timestamp};
use crate::step::{Address, Mail, MailKind};

/// A verb that can be requested through the inbox of an instance, without the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperatorVerb {
    /// Undo all obligations and end the instance (rule [R15](crate::rules#r15)).
    Abort,
    /// Repeat exactly the work that parked the instance (rule [R16](crate::rules#r16)).
    Retry,
    /// Continue without the work that parked the instance (rule [R16](crate::rules#r16)).
    Skip,
}

impl OperatorVerb {
    /// Returns the name of the verb in the history.
    pub fn as_str(self) -> &'static str {
        self.verb().word()
    }

    fn verb(self) -> Verb {
        match self {
            Self::Abort => Verb::Abort,
            Self::Retry => Verb::Retry,
            Self::Skip => Verb::Skip,
        }
    }
}

/// The person who decides, and why. Both go to the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub(crate) who: String,
    pub(crate) why: String,
    pub(crate) seq: Option<u64>,
}

impl Operator {
    /// The operator `who`, who gives no reason yet.
    pub fn new(who: impl Into<String>) -> Self {
        Self { who: who.into(), why: String::new(), seq: None }
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
}

impl Mail {
    /// The inbox row by which `operator` requests `verb`. The lease holder applies the verb as a step. If the verb is not
    /// possible, the lease holder declines it.
    ///
    /// The step that uses up the row adds the answer to the history of the instance. The line has the kind `verb` or
    /// `declined`. It holds the name of the verb, the operator as its cause, and the reason as its note. Without an instance
    /// there is no history, and the verb becomes a dead letter with the reason `declined`.
    pub fn operator(to: Address, verb: OperatorVerb, operator: Operator, at: Timestamp) -> Self {
        let verb = verb.verb();
        let name = Name::Borrowed(verb.word());
        let Operator { who, why, seq } = operator;
        let record = VerbRecord { verb, by: who.clone(), why, seq };
        Self {
            to,
            kind: MailKind::Verb,
            message: Message { name, version: 1, payload: write(&record) },
            id: None,
            deduplicated: false,
            task: None,
            hops: 0,
            epoch: 0,
            cause: Some(Name::Owned(who)),
            at,
        }
    }
}
