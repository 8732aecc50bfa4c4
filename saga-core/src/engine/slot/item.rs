//! One item in the queue of an instance, and its form in the inbox.

use std::sync::Arc;

use crate::definition::Value;
use crate::engine::intake::{Claim, Watch};
use crate::engine::io::Ticket;
use crate::machine::{EventIn, Input, REPORT, StartRecord, Verb, VerbRecord};
use crate::message::{InstanceName, Message, MessageId, Name, Timestamp, TraceContext};
use crate::store::{Address, InboxId, Mail, MailKind};

/// One item in the queue of an instance.
#[derive(Debug)]
pub(in crate::engine) struct Item {
    pub(in crate::engine) what: Input,
    /// The inbox row of the item, if the item is already durable.
    pub(in crate::engine) inbox: Option<InboxId>,
    /// No deduplication check is needed. The item is internal, or its deduplication record exists.
    pub(in crate::engine) deduplicated: bool,
    pub(in crate::engine) ticket: Option<Ticket>,
    /// Lets the caller withdraw the item until the engine begins to handle it.
    pub(in crate::engine) claim: Option<Claim>,
    /// The alias by which the event named its instance. The deduplication record belongs to the alias (rule R26).
    pub(in crate::engine) alias: Option<InstanceName>,
    pub(in crate::engine) hops: u32,
    /// The trace context of the sender.
    pub(in crate::engine) trace: Option<TraceContext>,
    pub(in crate::engine) at: Timestamp,
    /// The share of the item in the limit on items from the store, if the item came from the store.
    pub(in crate::engine) _room: Option<Arc<()>>,
    /// The callers that wait until the item is handled.
    pub(in crate::engine) watches: Vec<Arc<Watch>>,
}

impl Item {
    /// Creates an item without a caller and without an inbox row. Deduplication does not apply to the item.
    pub(in crate::engine) fn own(what: Input, at: Timestamp) -> Self {
        Self {
            what,
            inbox: None,
            deduplicated: true,
            ticket: None,
            claim: None,
            alias: None,
            hops: 0,
            trace: None,
            at,
            _room: None,
            watches: Vec::new(),
        }
    }

    pub(in crate::engine) fn event(
        message: Message,
        value: Option<Value>,
        id: Option<MessageId>,
        at: Timestamp,
    ) -> Self {
        Self::own(Input::Event(EventIn { message, value, id, parent: None }), at)
    }

    /// The inbox form of the item. `None` for an input that the engine finds again without the inbox.
    pub(in crate::engine) fn mail(&self, to: &Address, epoch: u64) -> Option<Mail> {
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
        let (deduplicated, hops) = (self.deduplicated, self.hops);
        Some(Mail {
            id,
            deduplicated,
            task,
            hops,
            epoch,
            cause,
            trace: self.trace,
            ..Mail::new(to.clone(), kind, message, self.at)
        })
    }

    /// The item of an inbox row. `Err` holds the reason why the row cannot be read.
    pub(in crate::engine) fn from_mail(inbox: InboxId, mail: Mail) -> Result<Self, String> {
        let internal = mail.deduplicated || mail.id.is_none();
        let (hops, trace, at) = (mail.hops, mail.trace, mail.at);
        let what = Input::of_mail(mail)?;
        Ok(Self {
            what,
            inbox: Some(inbox),
            deduplicated: internal,
            ticket: None,
            claim: None,
            alias: None,
            hops,
            trace,
            at,
            _room: None,
            watches: Vec::new(),
        })
    }

    /// Begins to handle the item. `false` if the caller has withdrawn the item.
    pub(in crate::engine) fn take(&self) -> bool {
        self.claim.as_ref().is_none_or(Claim::take)
    }

    /// True for the end of a task that the store does not know yet.
    pub(in crate::engine) fn is_unwritten_report(&self) -> bool {
        self.inbox.is_none() && matches!(self.what, Input::Report(..) | Input::Stuck(..))
    }

    /// True for a verb that drops the input over which the instance is parked.
    pub(in crate::engine) fn skips(&self) -> bool {
        matches!(self.what, Input::Verb(VerbRecord { verb: Verb::Skip, .. }))
    }

    /// True for a verb that removes the instance.
    pub(in crate::engine) fn purges(&self) -> bool {
        matches!(self.what, Input::Verb(VerbRecord { verb: Verb::Purge, .. }))
    }

    /// The verb, if a person in another process requested it and no local caller waits. A verb from a parent's step
    /// does not count, because its `hops` is not 0.
    pub(in crate::engine) fn verb_from_elsewhere(&self) -> Option<&VerbRecord> {
        self.operator_verb().filter(|_| self.ticket.is_none())
    }

    /// True for an input of the engine itself that has no inbox form and no row of its own.
    pub(in crate::engine) fn is_internal(&self) -> bool {
        matches!(self.what, Input::Continue | Input::Stuck(..))
    }

    /// The verb, if a person requested it. A verb from a parent's step does not count.
    pub(in crate::engine) fn operator_verb(&self) -> Option<&VerbRecord> {
        match &self.what {
            Input::Verb(verb) if self.hops == 0 => Some(verb),
            _ => None,
        }
    }

    /// True for an event with this message id.
    pub(in crate::engine) fn is_named(&self, id: &MessageId) -> bool {
        matches!(&self.what, Input::Event(EventIn { id: Some(own), .. }) if own == id)
    }

    /// True for an event. An event waits while the instance is compensating or parked.
    pub(in crate::engine) fn is_event(&self) -> bool {
        matches!(self.what, Input::Event(_))
    }
}
