//! Why an instance is parked, as people read it.
//!
//! Owns: reading the machine's own record, for lists and for the log, and saying it in a sentence. Does not own: what
//! the verbs do about it.

use std::fmt;

use super::record::{self, ParkReason, ParkedRecord, Subject};
use crate::message::{Payload, Timestamp};

/// Why an instance waits for a person. Its `Display` is a sentence that names the verbs for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parked {
    /// What kind of thing happened.
    pub reason: ParkReason,
    /// What happened, for the person.
    pub detail: String,
    /// Since when it waits.
    pub since: Timestamp,
    /// What it waits over.
    pub what: ParkedOver,
}

/// What a parked instance waits over, and so what `retry`, `resolve` and `skip` are about (rule R16).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParkedOver {
    /// An event or the report of a child, which stays in its inbox.
    Input,
    /// A timer that was due, by its stored name.
    Timer(String),
    /// A command or an undo.
    Command,
    /// Its next undo, which could not be built, or its arrival.
    Unwinding,
    /// Nothing that failed: a row said `park`.
    Nothing,
    /// The record of it cannot be read by this build.
    Unreadable,
}

impl Parked {
    /// Reads what a store keeps in [`InstanceChange::parked`](crate::store::InstanceChange::parked), of an instance whose
    /// last step was at `changed_at`. For stores that list instances, which interpret nothing themselves.
    ///
    /// A record that cannot be read is a reason as well: it is [`ParkReason::Unreadable`], and the detail says why.
    pub fn from_stored(record: &Payload, changed_at: Timestamp) -> Self {
        match record::read::<ParkedRecord>("reason", record) {
            Ok(ParkedRecord { reason, detail, at, subject, .. }) => {
                Self { reason, detail, since: Timestamp::from_millis(at), what: subject.into() }
            }
            Err(detail) => Self {
                reason: ParkReason::Unreadable,
                detail,
                since: changed_at,
                what: ParkedOver::Unreadable,
            },
        }
    }

    /// The verbs that may lead out of it.
    fn ways_out(&self) -> &'static str {
        match self.what {
            ParkedOver::Command => "`retry`, `resolve` or `skip`",
            ParkedOver::Unwinding if self.reason != ParkReason::UndoFailed => "`retry` or `abort`",
            ParkedOver::Input | ParkedOver::Timer(_) | ParkedOver::Unwinding | ParkedOver::Nothing => {
                "`retry` or `skip`"
            }
            ParkedOver::Unreadable => "a build that can read it, or for `abort`",
        }
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, detail, since, .. } = self;
        write!(f, "{reason}: {detail}; it has waited since {since} for {}", self.ways_out())
    }
}

impl From<Subject> for ParkedOver {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Head(_) => Self::Input,
            Subject::Timer(name) => Self::Timer(name),
            Subject::Task(_) => Self::Command,
            Subject::Unwinding => Self::Unwinding,
            Subject::Nothing => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::write;

    #[test]
    fn a_reason_is_a_sentence_that_names_the_verbs() {
        let at = Timestamp::from_millis(1_772_357_400_000);
        let parked = |reason, subject| {
            let detail = "no card".to_owned();
            let record = ParkedRecord { reason, detail, at: at.as_millis(), subject, report: None };
            Parked::from_stored(&write(&record), Timestamp::EPOCH)
        };
        let timer = parked(ParkReason::ActionFailed, Subject::Timer("15m".to_owned()));
        assert_eq!(timer.what, ParkedOver::Timer("15m".to_owned()));
        assert_eq!(
            timer.to_string(),
            "an action failed: no card; it has waited since 2026-03-01T09:30:00Z for `retry` or `skip`"
        );
        let arrival = parked(ParkReason::ArrivalFailed, Subject::Unwinding).to_string();
        assert!(arrival.ends_with("for `retry` or `abort`"), "{arrival}");
        let undo = parked(ParkReason::UndoFailed, Subject::Unwinding).to_string();
        assert!(undo.ends_with("for `retry` or `skip`"), "{undo}");
    }

    #[test]
    fn a_reason_that_cannot_be_read_is_one_too() {
        for stored in ["{\"reason\":\"struck-by-lightning\"}", "\"why\"", "not JSON"] {
            let parked = Parked::from_stored(&Payload::from(stored), Timestamp::EPOCH);
            assert_eq!((parked.reason, &parked.what), (ParkReason::Unreadable, &ParkedOver::Unreadable));
            assert_eq!(parked.since, Timestamp::EPOCH);
            let said = parked.to_string();
            assert!(said.starts_with("cannot be read by this build: the reason "), "{said}");
        }
    }
}
