//! Operators' verbs on other objects than one instance, as values and as inbox rows (rules R23, R37, R38).
//!
//! Owns: the verbs and their stored form. Does not own: their effect (`intake/operate.rs`), or the verbs on an instance
//! (`machine/operator.rs`).

use serde::{Deserialize, Serialize};

use crate::machine::{MessageRecord, Operator, write};
use crate::message::{InstanceName, Message, MessageId, Name, Payload, Timestamp};
use crate::store::{Address, AuditEntry, DeadId, Mail, MailKind, PauseOf};

/// The consumer of the inbox rows with these verbs. No saga has this name, because the name of a saga has no control
/// character.
pub(super) const CONSUMER: &str = "\u{1}store";

/// A verb on a dead letter, a saga or a handler. The dispatcher takes it with
/// [`operate`](crate::dispatcher::Dispatcher::operate), and any process writes it into the inbox with
/// [`Mail::store_verb`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreVerb {
    /// Deliver a dead letter again, and remove it.
    Redrive {
        /// The number of the dead letter.
        letter: DeadId,
        /// The payload to deliver instead of the stored one. It has the version of the dead letter.
        payload: Option<Payload>,
    },
    /// Remove a dead letter. The audit keeps its payload.
    Discard {
        /// The number of the dead letter.
        letter: DeadId,
    },
    /// Send an event to one instance.
    Send {
        /// The instance, by key or alias.
        to: Address,
        /// The event.
        event: Message,
        /// The message id, if a repetition must be recognised.
        id: Option<MessageId>,
    },
    /// Pause a saga or a handler (rule [R37](crate::rules#r37)), or retire a consumer (rule [R28](crate::rules#r28)).
    Pause(PauseOf),
    /// End the pause of a saga or a handler, or record the events of a retired consumer again.
    Resume(PauseOf),
}

impl StoreVerb {
    /// Returns the name of the verb in the audit.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Redrive { payload: None, .. } => "redrive",
            Self::Redrive { payload: Some(_), .. } => "edit",
            Self::Discard { .. } => "discard",
            Self::Send { .. } => "send",
            Self::Pause(PauseOf::Consumer(_)) => "retire",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
        }
    }

    /// The address of all inbox rows with these verbs.
    pub(crate) fn place() -> Address {
        Address::new(CONSUMER, InstanceName::constant("store"))
    }

    /// Returns the entry of the audit for this verb. The address and the payload of a dead letter are not known yet.
    pub(super) fn entry(&self, operator: &Operator, request: Option<MessageId>, at: Timestamp) -> AuditEntry {
        let (to, object, payload) = match self {
            Self::Redrive { letter, payload } => (None, letter_name(*letter), payload.clone()),
            Self::Discard { letter } => (None, letter_name(*letter), None),
            Self::Send { to, event, .. } => {
                (Some(to.clone()), event.name.to_string(), Some(event.payload.clone()))
            }
            Self::Pause(of) | Self::Resume(of) => (None, of.to_string(), None),
        };
        AuditEntry {
            at,
            who: operator.who.clone(),
            why: operator.why.clone(),
            verb: Name::Borrowed(self.as_str()),
            to,
            object,
            payload,
            declined: None,
            request,
        }
    }
}

fn letter_name(letter: DeadId) -> String {
    format!("dead letter {}", letter.0)
}

/// The stored form of a verb, with its author and the reason.
#[derive(Serialize, Deserialize)]
struct Record {
    verb: VerbForm,
    by: String,
    why: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VerbForm {
    Redrive {
        letter: i64,
        /// The JSON text of the payload.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<String>,
    },
    Discard {
        letter: i64,
    },
    Send {
        saga: String,
        /// The stored text of the key or alias.
        key: String,
        event: MessageRecord,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    Pause {
        kind: String,
        name: String,
    },
    Resume {
        kind: String,
        name: String,
    },
}

impl Mail {
    /// The inbox row by which `operator` requests a verb on the store. The lease holder applies the verb as a step. If the
    /// verb is not possible, the lease holder declines it.
    ///
    /// The step writes the answer into the audit, with `request` as its
    /// [`request`](AuditEntry::request). The `seq` of the operator does not count.
    pub fn store_verb(verb: StoreVerb, operator: Operator, request: MessageId, at: Timestamp) -> Self {
        let name = Name::Borrowed(verb.as_str());
        let form = match verb {
            StoreVerb::Redrive { letter, payload } => VerbForm::Redrive {
                letter: letter.0,
                payload: payload.map(|payload| payload.as_str().to_owned()),
            },
            StoreVerb::Discard { letter } => VerbForm::Discard { letter: letter.0 },
            StoreVerb::Send { to, event, id } => VerbForm::Send {
                saga: to.saga.into_owned(),
                key: to.key.stored().to_owned(),
                event: MessageRecord::from(&event),
                id: id.map(|id| id.as_str().to_owned()),
            },
            StoreVerb::Pause(of) => {
                VerbForm::Pause { kind: of.kind().to_owned(), name: of.name().to_owned() }
            }
            StoreVerb::Resume(of) => {
                VerbForm::Resume { kind: of.kind().to_owned(), name: of.name().to_owned() }
            }
        };
        let cause = Some(Name::Owned(operator.who.clone()));
        let payload = write(&Record { verb: form, by: operator.who, why: operator.why });
        let message = Message { name, version: 1, payload };
        Self { cause, id: Some(request), ..Self::new(StoreVerb::place(), MailKind::Verb, message, at) }
    }
}

/// Reads an inbox row. `Err` holds the reason why the row cannot be read.
pub(super) fn read(mail: &Mail) -> Result<(StoreVerb, Operator), String> {
    let Record { verb, by, why }: Record =
        mail.message.payload.decode().map_err(|error| format!("the verb {error}"))?;
    let of = |kind: &str, name: String| {
        PauseOf::from_stored(kind, name).ok_or_else(|| format!("a `{kind}` cannot be paused"))
    };
    let verb = match verb {
        VerbForm::Redrive { letter, payload } => {
            StoreVerb::Redrive { letter: DeadId(letter), payload: payload.map(Payload::from) }
        }
        VerbForm::Discard { letter } => StoreVerb::Discard { letter: DeadId(letter) },
        VerbForm::Send { saga, key, event, id } => StoreVerb::Send {
            to: Address::new(saga, InstanceName::from_stored(&key).map_err(|error| error.to_string())?),
            event: event.into(),
            id: id.map(MessageId::new).transpose().map_err(|error| error.to_string())?,
        },
        VerbForm::Pause { kind, name } => StoreVerb::Pause(of(&kind, name)?),
        VerbForm::Resume { kind, name } => StoreVerb::Resume(of(&kind, name)?),
    };
    Ok((verb, Operator::new(by).because(why)))
}
