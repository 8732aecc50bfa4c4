//! Operators' verbs as inbox rows, for everyone except the lease holder (rule R23).

use super::input::{Verb, VerbRecord};
use super::record::write;
use crate::message::{Message, Name, Timestamp};
use crate::step::{Address, Mail, MailKind};

/// A verb that can be requested through the inbox of an instance, without the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperatorVerb {
    /// Undo all obligations and end the instance (rule R15).
    Abort,
    /// Repeat exactly the work that parked the instance (rule R16).
    Retry,
    /// Continue without the work that parked the instance (rule R16).
    Skip,
}

impl Mail {
    /// The inbox row by which `by` requests `verb`. The lease holder applies the verb as a step. If the verb is not
    /// possible, the lease holder declines it.
    ///
    /// The step that uses up the row adds the answer to the history of the instance. The line has the kind `verb` or
    /// `declined`. It holds the name of the verb, `by` as its cause, and the reason as its note. Without an instance
    /// there is no history, and the verb becomes a dead letter with the reason `declined`.
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
