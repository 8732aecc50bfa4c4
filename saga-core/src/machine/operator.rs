//! Operators' verbs as inbox rows: how anybody but the lease holder asks for one (rule R23).

use super::input::{Verb, VerbRecord};
use super::record::write;
use crate::message::{Message, Name, Timestamp};
use crate::step::{Address, Mail, MailKind};

/// What anybody who does not hold the lease may ask of an instance through its inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperatorVerb {
    /// Undo what it owes, and end (rule R15).
    Abort,
    /// Repeat exactly what it is parked over (rule R16).
    Retry,
    /// Go on without what it is parked over.
    Skip,
}

impl Mail {
    /// The row by which `by` asks for `verb`. Whoever holds the lease does it as a step, or declines it when the instance
    /// is not in a position for it.
    ///
    /// Either answer stands in the history of the instance, in the step that uses up the row: a line of the kind `verb` or
    /// `declined`, with the verb's name, with `by` as its cause, and with the reason as its note. Without an instance
    /// there is no history, and the verb becomes a dead letter for the reason `declined`.
    pub fn operator(to: Address, verb: OperatorVerb, by: &str, why: &str, at: Timestamp) -> Self {
        let verb = match verb {
            OperatorVerb::Abort => Verb::Abort,
            OperatorVerb::Retry => Verb::Retry,
            OperatorVerb::Skip => Verb::Skip,
        };
        let name = Name::Borrowed(verb.word());
        let record = VerbRecord { verb, by: by.to_owned(), why: why.to_owned(), seq: None };
        Self {
            to,
            kind: MailKind::Verb,
            message: Message { name, version: 1, payload: write(&record) },
            id: None,
            deduplicated: false,
            task: None,
            hops: 0,
            epoch: 0,
            cause: Some(Name::Owned(by.to_owned())),
            at,
        }
    }
}
