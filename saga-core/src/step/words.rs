//! Enums that a store writes as words: a text column holds [`as_str`](HistoryKind::as_str) of the variant.
//!
//! Owns: the words. Does not own: their meaning in a table (`docs/format.md`). A word that this build does not know
//! comes from a later build. It is kept as it is, so that lists show it and nothing is lost.

use std::fmt;

use crate::message::Name;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A word that a later build has written.
            #[non_exhaustive]
            Other(Name),
        }

        impl $name {
            /// Returns the stored word. The words do not change.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }

            /// Returns the variant of a stored word.
            pub fn from_word(word: impl Into<Name>) -> Self {
                let word = word.into();
                match &*word {
                    $($word => Self::$variant,)*
                    _ => Self::Other(word),
                }
            }

            /// All variants that this build knows, in the order of their declaration.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)*];
        }

        /// Writes the stored word.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The kind of a history line.
    HistoryKind {
        /// An event started the instance.
        Started = "started",
        /// A row without `compensate` was applied.
        Applied = "applied",
        /// An event of an incomplete `when_all` set was recorded.
        Joined = "joined",
        /// An input had no effect.
        Ignored = "ignored",
        /// An event became a dead letter.
        Rejected = "rejected",
        /// An operator skipped an event.
        Skipped = "skipped",
        /// A reply was recorded without a row.
        Replied = "replied",
        /// A command ended without a reply event.
        Done = "done",
        /// The refusal of a command was recorded without a row.
        Refused = "refused",
        /// The unknown outcome of a command was recorded without a row.
        Unknown = "unknown",
        /// A command without an attempt, or a child without a start, was withdrawn.
        Withdrawn = "withdrawn",
        /// The instance is parked over a reply.
        Kept = "kept",
        /// The instance was parked.
        Parked = "parked",
        /// The step does an operator's verb. This is the first line of the step.
        Verb = "verb",
        /// A verb from another process was declined.
        Declined = "declined",
        /// The turn: from here on the instance is compensating.
        Compensating = "compensating",
        /// An undo was queued.
        Undoing = "undoing",
        /// An undo was answered.
        Undone = "undone",
        /// An operator gave up an obligation.
        GivenUp = "given-up",
        /// A row dropped an obligation by `waive`.
        Waived = "waived",
        /// The arrival: all undos are done.
        Compensated = "compensated",
        /// The end of a child was recorded.
        ChildEnded = "child-ended",
        /// The park of a child was recorded.
        ChildParked = "child-parked",
        /// A child was counted as failed, because it did not start.
        ChildNotStarted = "child-not-started",
        /// The data or the payload of the state was changed, or something went out. The payload holds the
        /// [`Changes`](super::Changes). This is the last line of the step.
        Changed = "changed",
        /// The store cannot read the line. The note holds the error. This word is never written.
        Unreadable = "unreadable",
    }
}

words! {
    /// What a step has queued.
    OutKind {
        /// A command of a row, of `on_enter` or of `on_leave`.
        Command = "command",
        /// An undo command.
        Undo = "undo",
        /// A child.
        Child = "child",
        /// A published event.
        Event = "event",
        /// An obligation.
        Owed = "owed",
        /// A timer that was set.
        Timer = "timer",
    }
}

impl serde::Serialize for OutKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'t> serde::Deserialize<'t> for OutKind {
    fn deserialize<D: serde::Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer).map(Self::from_word)
    }
}

words! {
    /// The reason why a message is a dead letter.
    DeadLetterReason {
        /// The state rejects the event.
        Unhandled = "unhandled",
        /// The saga of this build does not take the event.
        UnknownEvent = "unknown-event",
        /// This build cannot read the event.
        Undecodable = "undecodable",
        /// There is no instance, and the event starts none.
        MissingInstance = "missing-instance",
        /// The instance has ended, and the saga rejects later events.
        EndedInstance = "ended-instance",
        /// An action or a guard of the start failed.
        StartFailed = "start-failed",
        /// The start claims an alias of another instance.
        AliasTaken = "alias-taken",
        /// An operator skipped the event.
        Skipped = "skipped",
        /// A command was refused or unknown after the end of the instance.
        OutcomeAfterEnd = "outcome-after-end",
        /// The event has come through too many sagas (rule R29).
        TooManyHops = "too-many-hops",
        /// A published event has no usable key. The letter cannot be redriven, because it has no instance.
        BadKey = "bad-key",
        /// The message id was used before for other content (rule R26).
        IdConflict = "id-conflict",
        /// A verb from another process names a missing instance.
        Declined = "declined",
        /// The subscriber refused the event, or cannot read the event.
        Refused = "refused",
        /// The policy of the subscriber is used up.
        DeliveryFailed = "delivery-failed",
        /// The delivery was found begun after too many unclean starts in a row (rule R19).
        CrashLoop = "crash-loop",
        /// The consumer is retired (rule R28).
        Retired = "retired",
    }
}

/// The reason why an event had no effect. The history keeps the text of `Display` as the note of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IgnoredReason {
    /// A starting event arrived at a running instance.
    AlreadyStarted,
    /// The instance has ended.
    Ended,
    /// There is no instance, and the saga ignores events without an instance.
    NoInstance,
    /// The row of the event says `ignore`.
    RowIgnores,
    /// The state ignores events without a row.
    Unhandled,
    /// No guard of a timer's row returned `true`.
    NoGuard,
    /// An operator supplied the outcome, and no row takes it.
    ResolvedWithoutRow,
    /// An operator supplied the outcome, and its row parks. A second park would not help.
    ResolvedOverPark,
}

impl IgnoredReason {
    /// Returns a stable word, for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyStarted => "already-started",
            Self::Ended => "ended",
            Self::NoInstance => "no-instance",
            Self::RowIgnores => "row-ignores",
            Self::Unhandled => "unhandled",
            Self::NoGuard => "no-guard",
            Self::ResolvedWithoutRow => "resolved-without-row",
            Self::ResolvedOverPark => "resolved-over-park",
        }
    }

    /// The text for people, as the history keeps it.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::AlreadyStarted => "already started",
            Self::Ended => "the instance has ended",
            Self::NoInstance => "the instance does not exist",
            Self::RowIgnores => "the row has `ignore`",
            Self::Unhandled => "unhandled in this state",
            Self::NoGuard => "no guard returned true",
            Self::ResolvedWithoutRow => "resolved by an operator; no row takes the outcome",
            Self::ResolvedOverPark => "resolved by an operator; the row of the outcome has `park`",
        }
    }
}

/// Writes the text for people.
impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_reads_back_as_its_variant() {
        for kind in HistoryKind::KNOWN {
            assert_eq!(&HistoryKind::from_word(kind.as_str().to_owned()), kind);
        }
        for reason in DeadLetterReason::KNOWN {
            assert_eq!(&DeadLetterReason::from_word(reason.as_str().to_owned()), reason);
        }
    }

    #[test]
    fn the_word_of_a_later_build_is_kept() {
        let later = DeadLetterReason::from_word("from-2031");
        assert_eq!(later.as_str(), "from-2031");
        assert!(matches!(later, DeadLetterReason::Other(_)));
    }
}
