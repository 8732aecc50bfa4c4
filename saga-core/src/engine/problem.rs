//! The problems of a registration, each with its solution.

/// A problem that prevents the start of a dispatcher. `Display` writes a sentence with the solution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartProblem {
    /// The store is being moved, or was moved to another one.
    #[error("{why}")]
    #[non_exhaustive]
    Moved {
        /// The reason, with the way out.
        why: &'static str,
    },
    /// Two sagas have the same name.
    #[error("two sagas are called `{saga}`: give one of them another `#[saga(name = \"..\")]`")]
    #[non_exhaustive]
    TwoSagas {
        /// The name.
        saga: String,
    },
    /// The earlier name of a saga is the name of another saga.
    #[error(
        "saga `{saga}` has the earlier name `{was}`; another saga has this name now; rename one of the sagas"
    )]
    #[non_exhaustive]
    EarlierNameOfAnotherSaga {
        /// The saga.
        saga: String,
        /// The earlier name.
        was: String,
    },
    /// Two sagas have the same earlier name.
    #[error(
        "sagas `{saga}` and `{other}` both have the earlier name `{was}`: remove `was` from one of the sagas"
    )]
    #[non_exhaustive]
    OneEarlierName {
        /// One saga.
        saga: String,
        /// The other saga.
        other: String,
        /// The earlier name.
        was: String,
    },
    /// The earlier name of a saga is the name of a subscriber.
    #[error(
        "saga `{saga}` has the earlier name `{was}`; a subscriber has this name now; consumers need different names"
    )]
    #[non_exhaustive]
    EarlierNameOfASubscriber {
        /// The saga.
        saga: String,
        /// The earlier name.
        was: String,
    },
    /// A command has two handlers.
    #[error("command `{command}` has two handlers: a command needs exactly one handler")]
    #[non_exhaustive]
    TwoHandlers {
        /// The command.
        command: String,
    },
    /// Two subscribers have the same name.
    #[error("two subscribers are called `{subscriber}`: their names are stored, so they must differ")]
    #[non_exhaustive]
    TwoSubscribers {
        /// The name.
        subscriber: String,
    },
    /// A subscriber and a saga have the same name.
    #[error("a subscriber and a saga are both called `{name}`: consumers need different names")]
    #[non_exhaustive]
    SagaAndSubscriber {
        /// The name.
        name: String,
    },
    /// The earlier name of a command is the name of another command.
    #[error(
        "command `{command}` has the earlier name `{was}`; another command has this name now; rename one of the commands"
    )]
    #[non_exhaustive]
    EarlierNameOfAnotherCommand {
        /// The command.
        command: String,
        /// The earlier name.
        was: String,
    },
    /// A command of a saga has no handler.
    #[error("command `{command}` of saga `{saga}` has no handler: add `.handler::<{type_name}>(..)`")]
    #[non_exhaustive]
    NoHandler {
        /// The command.
        command: String,
        /// The saga.
        saga: String,
        /// The type of the command.
        type_name: String,
    },
    /// The saga of a child is not registered.
    #[error("saga `{child}`, which saga `{saga}` starts, is not registered: add `.saga::<{type_name}>()`")]
    #[non_exhaustive]
    NoChild {
        /// The saga of the child.
        child: String,
        /// The saga of the parent.
        saga: String,
        /// The type of the child.
        type_name: String,
    },
    /// An event that a saga publishes has no consumer.
    #[error("event `{event}` of saga `{saga}` has no consumer: add `.subscriber::<{type_name}>(\"..\", ..)`")]
    #[non_exhaustive]
    NoConsumer {
        /// The event.
        event: String,
        /// The saga.
        saga: String,
        /// The type of the event.
        type_name: String,
    },
    /// A type has no such place for `redact(..)`.
    #[error("the {of} has no place `{place}` for `redact(..)`: name a place of its JSON, such as {known}")]
    #[non_exhaustive]
    NoSuchPlace {
        /// The event, the command, the data or the state.
        of: String,
        /// The place in `redact(..)`.
        place: String,
        /// The places that exist.
        known: String,
    },
    /// A later build has retired a name that this build uses.
    #[error(
        "{what} `{name}`{of}{earlier} has been renamed to `{present}` by a later build; run that build, or declare \
         the rename with `#[{what}(name = \"{name}\", was = \"{present}\")]`"
    )]
    #[non_exhaustive]
    Retired {
        /// The kind of the name: `saga`, `state`, `event` or `command`.
        what: &'static str,
        /// The name in this build.
        name: String,
        /// ` of saga ..` for a name inside a saga.
        of: String,
        /// ` (earlier name ..)` if the retired name is an earlier name in this build.
        earlier: String,
        /// The name in the later build.
        present: String,
    },
    /// The name of a schedule cannot be stored.
    #[error("the schedule name `{schedule}` is not valid: {why}")]
    #[non_exhaustive]
    ScheduleName {
        /// The name.
        schedule: String,
        /// The reason.
        why: String,
    },
    /// The expression of a schedule is not valid.
    #[error("the schedule `{schedule}`: {why}")]
    #[non_exhaustive]
    Schedule {
        /// The name.
        schedule: String,
        /// The reason.
        why: String,
    },
    /// Two schedules have the same name.
    #[error("two schedules are called `{schedule}`: the name is stored, so they must differ")]
    #[non_exhaustive]
    TwoSchedules {
        /// The name.
        schedule: String,
    },
}

impl StartProblem {
    /// Returns a stable word, for machines.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Moved { .. } => "moved",
            Self::TwoSagas { .. } => "two-sagas",
            Self::EarlierNameOfAnotherSaga { .. } => "earlier-name-of-another-saga",
            Self::OneEarlierName { .. } => "one-earlier-name",
            Self::EarlierNameOfASubscriber { .. } => "earlier-name-of-a-subscriber",
            Self::TwoHandlers { .. } => "two-handlers",
            Self::TwoSubscribers { .. } => "two-subscribers",
            Self::SagaAndSubscriber { .. } => "saga-and-subscriber",
            Self::EarlierNameOfAnotherCommand { .. } => "earlier-name-of-another-command",
            Self::NoHandler { .. } => "no-handler",
            Self::NoChild { .. } => "no-child",
            Self::NoConsumer { .. } => "no-consumer",
            Self::NoSuchPlace { .. } => "no-such-place",
            Self::Retired { .. } => "retired",
            Self::ScheduleName { .. } => "schedule-name",
            Self::Schedule { .. } => "schedule",
            Self::TwoSchedules { .. } => "two-schedules",
        }
    }

    /// Writes all problems, separated by semicolons.
    pub(crate) fn join(problems: &[Self]) -> String {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}
