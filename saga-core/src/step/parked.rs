//! The reason of a park, for people.
//!
//! Owns: the reasons, and the reading of the stored record for lists and logs. Does not own: the other fields of that
//! record, or the effect of the verbs (`machine`).

use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::message::{Payload, Timestamp};

/// The reason of a park. `Display` writes a sentence with the possible verbs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parked {
    /// The kind of the reason.
    pub reason: ParkReason,
    /// The details, as a text for people.
    pub detail: String,
    /// The time of the park.
    pub since: Timestamp,
    /// The input or task on which the instance is parked.
    pub what: ParkedOver,
}

/// The input or task on which an instance is parked. `retry`, `resolve` and `skip` apply to this input or task (rule
/// [R16](crate::rules#r16)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParkedOver {
    /// An event, or the report of a child. The input stays in the inbox.
    Input,
    /// A due timer, with its stored name.
    Timer(String),
    /// A command or an undo.
    Command,
    /// The next undo, which could not be built, or the arrival.
    Unwinding,
    /// No input. A row of the table requested `park`.
    Nothing,
    /// Unknown, because this build cannot read the record.
    Unreadable,
}

impl Parked {
    /// Reads the record in [`InstanceChange::parked`](crate::store::InstanceChange::parked). `changed_at` is the time
    /// of the last step.
    ///
    /// Stores that list instances use this function, because stores do not interpret payloads. An unreadable record
    /// gives [`ParkReason::Unreadable`] with the error as the detail.
    pub fn from_stored(record: &Payload, changed_at: Timestamp) -> Self {
        match record.decode::<Stored>() {
            Ok(Stored { reason, detail, at, subject }) => {
                let what = match subject {
                    StoredSubject::Head(_) => ParkedOver::Input,
                    StoredSubject::Timer(name) => ParkedOver::Timer(name),
                    StoredSubject::Task(_) => ParkedOver::Command,
                    StoredSubject::Unwinding => ParkedOver::Unwinding,
                    StoredSubject::Nothing => ParkedOver::Nothing,
                };
                Self { reason, detail, since: Timestamp::from_millis(at), what }
            }
            Err(error) => Self {
                reason: ParkReason::Unreadable,
                detail: format!("the parking record {error}"),
                since: changed_at,
                what: ParkedOver::Unreadable,
            },
        }
    }

    /// Returns the verbs that can release the instance.
    fn ways_out(&self) -> &'static str {
        match self.what {
            ParkedOver::Command => "`retry`, `resolve` or `skip`",
            // A failed arrival cannot be skipped (rule R16).
            ParkedOver::Unwinding if self.reason != ParkReason::UndoFailed => "`retry` or `abort`",
            ParkedOver::Input | ParkedOver::Timer(_) | ParkedOver::Unwinding | ParkedOver::Nothing => {
                "`retry` or `skip`"
            }
            ParkedOver::Unreadable => "a build that can read the record, or with `abort`",
        }
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, detail, since, .. } = self;
        write!(f, "{reason}: {detail}; parked since {since}; release the instance with {}", self.ways_out())
    }
}

/// The fields of the machine's record that people see.
#[derive(Deserialize)]
struct Stored {
    reason: ParkReason,
    detail: String,
    at: i64,
    subject: StoredSubject,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredSubject {
    Head(IgnoredAny),
    Timer(String),
    Task(IgnoredAny),
    Unwinding,
    Nothing,
}

/// The kind of a reason to park.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ParkReason {
    /// An action returned an error or panicked (rule [R8](crate::rules#r8)).
    ActionFailed,
    /// A row of the table requested `park`.
    Row,
    /// A command failed or became unknown, and no row handles that outcome (rule [R3](crate::rules#r3)).
    OutcomeUnhandled,
    /// A superseded command was answered (rule [R9](crate::rules#r9)).
    Superseded,
    /// A row led to a failure end while an obligation was outstanding (rule [R12](crate::rules#r12)).
    StillOwed,
    /// An undo command was refused (rule [R14](crate::rules#r14)).
    UndoRefused,
    /// The action that builds an undo panicked, or the table no longer has that action.
    UndoFailed,
    /// The outcome of an undo command is unknown, and another attempt would not help.
    UndoUnknown,
    /// An action of the arrival failed.
    ArrivalFailed,
    /// The command was found begun after several crashes in a row (rule [R19](crate::rules#r19)).
    CrashLoop,
    /// A child could not be started (rule [R21](crate::rules#r21)). Its starting action failed, or its key belongs to
    /// another instance. `skip` counts the child as failed.
    ChildNotStarted,
    /// A row led to an end while children were open (rule [R21](crate::rules#r21)). The reports of the children wait
    /// during the park. `retry` therefore fails again. `skip` lets the children continue. The event becomes a dead
    /// letter that can be redriven.
    ChildrenRunning,
    /// Another instance holds an alias that the row claims (rule [R35](crate::rules#r35)). `retry` tries again.
    AliasTaken,
    /// This build cannot read the state, the data or a command (rule [R34](crate::rules#r34)).
    Unreadable,
}

impl std::fmt::Display for ParkReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ActionFailed => "an action failed",
            Self::Row => "the row has `park`",
            Self::OutcomeUnhandled => "no row takes the outcome",
            Self::Superseded => "superseded answer",
            Self::StillOwed => "failure end with open obligations",
            Self::UndoRefused => "undo refused",
            Self::UndoFailed => "undo cannot be built",
            Self::UndoUnknown => "outcome of an undo unknown",
            Self::ArrivalFailed => "an action of the arrival failed",
            Self::CrashLoop => "the command was found begun after several crashes",
            Self::ChildNotStarted => "a child did not start",
            Self::ChildrenRunning => "end with children still running",
            Self::AliasTaken => "alias taken",
            Self::Unreadable => "this build cannot read a stored value",
        })
    }
}
