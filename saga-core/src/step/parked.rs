//! Why an instance is parked, as people read it.
//!
//! Owns: the reasons, and reading the part of the machine's record that lists and the log show. Does not own: the rest of
//! that record, or what the verbs do about it (`machine`).

use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

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
                detail: format!("the reason {error}"),
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

/// The part of the machine's record that is shown.
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

/// The kind of thing that made an instance wait for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ParkReason {
    /// An action returned an error or panicked (rule R8).
    ActionFailed,
    /// A row said `park`.
    Row,
    /// A command failed or became unknown and no row says what then (rule R3).
    OutcomeUnhandled,
    /// An answer came to a command that has been sent again since (rule R9).
    Superseded,
    /// A failure end was about to be entered with something still owed (rule R12).
    StillOwed,
    /// An undo command was refused (rule R14).
    UndoRefused,
    /// The action that builds an undo panicked, or the table no longer has it.
    UndoFailed,
    /// What an undo command did is not known and trying again would not help.
    UndoUnknown,
    /// An action of the arrival failed.
    ArrivalFailed,
    /// The command was found begun after several crashes in a row (rule R19).
    CrashLoop,
    /// A child could not be started (rule R21): its starting action failed, or its key belongs to another instance.
    /// `skip` counts it as failed and goes on.
    ChildNotStarted,
    /// An end was about to be entered while children had not ended (rule R21). What they report waits meanwhile, so `retry`
    /// leads to the same; `skip` lets them go on, and the event becomes a dead letter that can be redriven later.
    ChildrenRunning,
    /// An alias its row claims is held by another instance (rule R35). `retry` tries again.
    AliasTaken,
    /// State, data or a command cannot be read by this build (rule R34).
    Unreadable,
}

impl std::fmt::Display for ParkReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ActionFailed => "an action failed",
            Self::Row => "its row says park",
            Self::OutcomeUnhandled => "no row takes the outcome",
            Self::Superseded => "superseded answer",
            Self::StillOwed => "failure end with something still owed",
            Self::UndoRefused => "undo refused",
            Self::UndoFailed => "undo cannot be built",
            Self::UndoUnknown => "outcome of an undo unknown",
            Self::ArrivalFailed => "an action of the arrival failed",
            Self::CrashLoop => "its command was found begun after several crashes",
            Self::ChildNotStarted => "a child did not start",
            Self::ChildrenRunning => "end with children still running",
            Self::AliasTaken => "alias taken",
            Self::Unreadable => "cannot be read by this build",
        })
    }
}
