//! The audit: one row for each decision of an operator, chained by hash.
//!
//! Owns: the row, and the link between two rows. Does not own: the decision itself, or the storage of the rows.

use sha2::{Digest, Sha256};

use super::Address;
use crate::message::{MessageId, Name, Payload, Timestamp};

/// One decision of an operator, as it is written into the audit.
///
/// The entry is part of the step with the effect of the decision, so both are durable together. A declined decision has an
/// entry as well, in a step without an effect. Names stay as they were at the time of the decision.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// The time of the decision.
    pub at: Timestamp,
    /// The operator.
    pub who: String,
    /// The reason that the operator gave. May be empty.
    pub why: String,
    /// The name of the verb.
    pub verb: Name,
    /// The instance or the subscriber with its key. `None` for a decision about something else.
    pub to: Option<Address>,
    /// The object of the decision beside the address: a timer, a dead letter, a saga or a handler. May be empty.
    pub object: String,
    /// The payload that the operator chose or discarded.
    pub payload: Option<Payload>,
    /// The reason why the decision was declined. `None` for an applied decision.
    pub declined: Option<String>,
    /// The message id of the request, for a requester in another process.
    pub request: Option<MessageId>,
}

impl AuditEntry {
    /// Returns the same decision, declined for this reason.
    #[must_use]
    pub fn declined(self, why: impl std::fmt::Display) -> Self {
        Self { declined: Some(why.to_string()), ..self }
    }
}

/// The row number of an audit row, assigned by the store. The numbers ascend in the order of the decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(pub i64);

/// The hash that joins an audit row to all rows before it.
///
/// The link of a row is the SHA-256 of the link before it, followed by the JSON of the row. A row that was changed, removed
/// or inserted later therefore breaks the chain, as in Haber and Stornetta, "How to time-stamp a digital document" (1991).
/// The removal of the newest rows breaks nothing: a link that is kept elsewhere shows such a removal.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AuditLink(pub [u8; 32]);

impl AuditLink {
    /// The link before the first row: 32 zero bytes.
    pub const FIRST: Self = Self([0; 32]);

    /// Returns the link of `entry` behind a row with this link.
    ///
    /// The JSON is an array without white space: time in milliseconds, who, why, verb, saga, key, object, payload,
    /// reason of the decline, request. The key is the stored text, the payload is a string with JSON, and a missing value
    /// is `null`.
    #[must_use]
    pub fn next(&self, entry: &AuditEntry) -> Self {
        let to = entry.to.as_ref();
        let row = (
            entry.at.as_millis(),
            &entry.who,
            &entry.why,
            &entry.verb,
            to.map(|to| &to.saga),
            to.map(|to| to.key.stored()),
            &entry.object,
            entry.payload.as_ref().map(Payload::as_str),
            &entry.declined,
            entry.request.as_ref().map(MessageId::as_str),
        );
        // Only text, numbers and `null` are written, and these have a JSON form.
        let json = serde_json::to_vec(&row).unwrap_or_default();
        Self(Sha256::new().chain_update(self.0).chain_update(json).finalize().into())
    }
}

/// Writes the link in 64 hexadecimal digits.
impl std::fmt::Display for AuditLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for AuditLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Key;

    fn entry() -> AuditEntry {
        AuditEntry {
            at: Timestamp::from_millis(1_000),
            who: "ada".to_owned(),
            why: "ticket \"7\"".to_owned(),
            verb: "retry".into(),
            to: Some(Address::new("order", Key::new("A-17").unwrap())),
            object: String::new(),
            payload: Some(Payload::from("{\"a\":1}")),
            declined: None,
            request: None,
        }
    }

    /// The expected value comes from `sha256sum` over 32 zero bytes and the JSON.
    #[test]
    fn a_link_is_the_published_hash() {
        let link = AuditLink::FIRST.next(&entry());
        assert_eq!(link.to_string(), "f9c55f4d86e0756e889b5cd4c5cabf02d2d19323b67088abfa945fe319359169");
    }

    #[test]
    fn every_field_is_in_the_link() {
        let first = AuditLink::FIRST.next(&entry());
        let changed: [fn(&mut AuditEntry); 9] = [
            |e| e.at = Timestamp::from_millis(1_001),
            |e| e.who.push('x'),
            |e| e.why.push('x'),
            |e| e.verb = "skip".into(),
            |e| e.to = None,
            |e| e.object.push('x'),
            |e| e.payload = None,
            |e| e.declined = Some(String::new()),
            |e| e.request = Some(MessageId::new("r").unwrap()),
        ];
        for change in changed {
            let mut entry = entry();
            change(&mut entry);
            assert_ne!(AuditLink::FIRST.next(&entry), first, "{entry:?}");
        }
        assert_ne!(first.next(&entry()), first, "and so is the link before");
    }
}
