//! A saga's table as data: states, rows, compensations and timers, and the diagrams drawn from it.
//!
//! Owns: the shape of a definition and looking things up in it.
//! Does not own: deciding (the `machine` reads this and decides), nor the checks that refuse bad tables, which run in
//! the derive.
//!
//! The derive writes a definition as one `static`; everything refers to everything else by index into its slices, in
//! source order.

mod body;
pub(crate) mod child_end;
mod diagram;
mod redaction;
mod stored;
mod types;

use crate::message::name_matches;
pub use crate::shape::UpcastFrom;
pub(crate) use child_end::EndRecord;
pub use redaction::Redaction;
pub(crate) use redaction::hidden;
pub(crate) use stored::typed;
pub use stored::{
    StateMove, StoredClause, StoredCommand, StoredDefinition, StoredEvent, StoredMove, StoredRow,
    StoredState, StoredTimer, StoredTrigger, StoredType,
};
pub(crate) use types::Value;
pub use types::{ChildType, CommandType, EventType, PayloadType};

/// The whole table of a saga. Made by `#[derive(Saga)]`, read through [`Saga::definition`](crate::Saga::definition).
#[derive(Debug)]
pub struct Definition {
    /// The saga's stored name.
    pub name: &'static str,
    /// Names under which it was stored before.
    pub was: &'static [&'static str],
    /// The version of the definition.
    pub version: u32,
    /// What lives as long as the instance.
    pub data: PayloadType,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// Whether each step keeps its changes of the data in the history.
    pub keeps_changes: bool,
    /// The earlier versions from which there is an upcast of the data.
    pub upcasts: &'static [UpcastFrom],
    /// The enum's own documentation.
    pub doc: &'static str,
    /// The states, in source order.
    pub states: &'static [State],
    /// All rows: those of `initially`, then of each state, then of `during_any`.
    pub rows: &'static [Row],
    /// The rows of `initially`, as indices into `rows`.
    pub initially: &'static [usize],
    /// The events of the table, replies included, in order of first mention.
    pub events: &'static [EventType],
    /// The commands it sends and the undo commands, in order of first mention.
    pub commands: &'static [CommandType],
    /// The sagas it starts as children, in order of first mention.
    pub children: &'static [ChildType],
    /// The timers of its states, and the deadline.
    pub timers: &'static [Timer],
    /// The timer of the whole instance, by index into `timers`.
    pub deadline: Option<usize>,
    /// The undos that may come to be owed.
    pub undos: &'static [Undo],
    /// The failure end at which an aborted instance arrives; without one it ends as `aborted`.
    pub on_abort: Option<usize>,
    /// What happens to an event for an instance that has ended: ignored or rejected.
    pub ended_instance: Verdict,
    /// What happens to an event that starts nothing and for which there is no instance.
    pub missing_instance: Missing,
}

/// One state: a variant of the enum.
#[derive(Debug)]
pub struct State {
    /// The variant, as written.
    pub variant: &'static str,
    /// The stored name.
    pub name: &'static str,
    /// Names under which it was stored before.
    pub was: &'static [&'static str],
    /// The variant's documentation.
    pub doc: &'static str,
    /// What the variant carries.
    pub payload: Option<PayloadType>,
    /// The earlier versions of the saga from which there is an upcast of it.
    pub upcasts: &'static [UpcastFrom],
    /// Set on `#[terminal]` states.
    pub end: Option<End>,
    /// The rows that apply here, in search order (rule [R2](crate::rules#r2)): the state's own, then those of
    /// `during_any`.
    pub rows: &'static [usize],
    /// What decides an event that no row took; `None` when rows decide them all.
    pub unhandled: Option<Verdict>,
    /// The timers armed on entering, as indices into [`Definition::timers`].
    pub timers: &'static [usize],
    /// What is owed from entering on, as indices into [`Definition::undos`], in the order it is stacked.
    pub compensations: &'static [usize],
    /// The clauses of `#[on_enter]`.
    pub on_enter: &'static [Clause],
    /// The clauses of `#[on_leave]`.
    pub on_leave: &'static [Clause],
}

/// How a saga ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `#[terminal]`: as intended. What is still owed is released.
    Completed,
    /// `#[terminal(failure)]`: as a failure. Nothing may be owed any more.
    Failed,
}

/// A decision about an event that needs no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Recorded in the history, with no effect.
    Ignore,
    /// Kept as a dead letter.
    Reject,
    /// Waits, in its place, until the instance is in another visit (rule [R6](crate::rules#r6)).
    Defer,
}

/// What becomes of an event for an instance that does not exist (rule [R27](crate::rules#r27)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// It becomes a dead letter.
    Reject,
    /// It has no effect.
    Ignore,
    /// It waits so many milliseconds for an instance to start, and then becomes a dead letter.
    Defer(u64),
}

/// One row: `when(..)`, `when_all(..)`, `timeout(..)`, `every(..)`, `ignore(..)`, `reject(..)` or `defer(..)`.
#[derive(Debug)]
pub struct Row {
    /// What it answers to; several for `any(..)`, `when_all(..)`, `ignore(..)`, `reject(..)` and `defer(..)`.
    pub triggers: &'static [Trigger],
    /// Set on `when_all(..)`: all of its triggers, which are events, must have come.
    pub all: bool,
    /// Set on `ignore(..)` and `reject(..)`.
    pub verdict: Option<Verdict>,
    /// The guard's method.
    pub guard: Option<&'static str>,
    /// Whether what is owed is undone before the row runs.
    pub compensate: bool,
    /// The undo commands (indices into [`Definition::commands`]) of which the newest is dropped.
    pub not_owed: &'static [usize],
    /// What is given up on purpose.
    pub waive: Waive,
    /// `run`, `claim`, `release`, `send`, `publish` and `start`, in the order they happen.
    pub clauses: &'static [Clause],
    /// Where the instance goes.
    pub to: Move,
    /// The text of `doc = ".."`.
    pub doc: &'static str,
}

impl Row {
    #[doc(hidden)]
    pub const NEW: Self = Self {
        triggers: &[],
        all: false,
        verdict: None,
        guard: None,
        compensate: false,
        not_owed: &[],
        waive: Waive::Nothing,
        clauses: &[],
        to: Move::Stay,
        doc: "",
    };

    /// Whether one of its clauses is a `run`.
    pub(crate) fn runs(&self) -> bool {
        self.clauses.iter().any(|clause| matches!(clause, Clause::Run { .. }))
    }
}

/// What a row answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// An event, by index into [`Definition::events`].
    Event(usize),
    /// `failed(Command)`, by index into [`Definition::commands`].
    Failed(usize),
    /// `unknown(Command)`, by index into [`Definition::commands`].
    Unknown(usize),
    /// A timer, by index into [`Definition::timers`].
    Timer(usize),
    /// An answer to a command that has been sent again in a later visit (rule [R9](crate::rules#r9)).
    Superseded(Answer),
    /// The set of a `when_all(..)`, by index of its row into [`Definition::rows`].
    All(usize),
    /// `finished(Child)`, by index into [`Definition::children`].
    Finished(usize),
    /// `all_finished(Child)`, by index into [`Definition::children`].
    AllFinished(usize),
    /// `parked(Child)`, by index into [`Definition::children`].
    Parked(usize),
}

/// What a command may be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reply, by index into [`Definition::events`].
    Event(usize),
    /// It failed, by index into [`Definition::commands`].
    Failed(usize),
    /// Nobody knows, by index into [`Definition::commands`].
    Unknown(usize),
}

impl Answer {
    /// The trigger it is when the command has not been sent again.
    pub(crate) fn trigger(self) -> Trigger {
        match self {
            Self::Event(event) => Trigger::Event(event),
            Self::Failed(command) => Trigger::Failed(command),
            Self::Unknown(command) => Trigger::Unknown(command),
        }
    }
}

/// The obligations a row gives up on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waive {
    /// None.
    Nothing,
    /// All there are.
    All,
    /// All with these undo commands, by index into [`Definition::commands`].
    Named(&'static [usize]),
}

/// The one move of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// `transition_to`: to one of these states.
    To(&'static [usize]),
    /// Stays; the visit and its timers go on.
    Stay,
    /// Leaves and enters the same state: a new visit.
    Reenter,
    /// Stays and waits for a person.
    Park,
}

/// Something a row, `on_enter` or `on_leave` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clause {
    /// Runs a method that may change the data.
    Run {
        /// The method.
        method: &'static str,
    },
    /// Sends a command.
    Send {
        /// By index into [`Definition::commands`].
        command: usize,
        /// The method that builds it.
        method: &'static str,
        /// Whether the method returns any number of them.
        each: bool,
        /// What is owed from now on, by index into [`Definition::undos`].
        undo: Option<usize>,
    },
    /// Publishes an event.
    Publish {
        /// The event; not necessarily one this saga takes.
        event: EventType,
        /// The method that builds it.
        method: &'static str,
        /// Whether the method returns any number of them.
        each: bool,
    },
    /// Starts a child.
    Start {
        /// By index into [`Definition::children`].
        child: usize,
        /// The method that builds its starting event.
        method: &'static str,
        /// Whether the method returns any number of them.
        each: bool,
        /// How many children of this saga may be open at a time; the others wait for their turn.
        limit: Option<u32>,
        /// Whether nothing more is heard of it.
        detached: bool,
    },
    /// Claims an alias for the instance (rule [R35](crate::rules#r35)).
    Claim {
        /// The method that names it.
        method: &'static str,
        /// Whether the method returns any number of them.
        each: bool,
    },
    /// Gives an alias up.
    Release {
        /// The method that names it.
        method: &'static str,
        /// Whether the method returns any number of them.
        each: bool,
    },
}

/// A timer of a state, or of the whole instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The stored name; unique within its state.
    pub name: &'static str,
    /// Names under which it was stored before.
    pub was: &'static [&'static str],
    /// When it fires.
    pub due: Due,
}

/// When a timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// So many milliseconds after the state was entered; for the deadline, after the instance started.
    After(u64),
    /// After the duration this method returns, which is asked once, on entering.
    AfterMethod(&'static str),
    /// At the time this method returns, which is asked once, on entering.
    AtMethod(&'static str),
    /// Every so many milliseconds after the state was entered, so many times at most.
    Every {
        /// The period.
        millis: u64,
        /// How often it fires; without it, for as long as the visit lasts.
        times: Option<u32>,
    },
}

/// A way an undo command comes to be owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undo {
    /// The undo command, by index into [`Definition::commands`].
    pub command: usize,
    /// What it undoes.
    pub of: UndoOf,
    /// The method that builds it.
    pub method: &'static str,
}

/// What an undo undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoOf {
    /// Having been in a state (`#[compensate_with(..)]`), by index into [`Definition::states`].
    State(usize),
    /// A command (`send(.., undo(..))`), by index into [`Definition::commands`].
    Command(usize),
}

impl Definition {
    /// The state stored as `name`.
    pub(crate) fn state(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|state| name_matches(name, state.name, state.was))
    }

    /// The event stored as `name`.
    pub(crate) fn event(&self, name: &str) -> Option<usize> {
        self.events.iter().position(|event| name_matches(name, event.name, event.was))
    }

    /// The command stored as `name`.
    pub(crate) fn command(&self, name: &str) -> Option<usize> {
        self.commands.iter().position(|command| name_matches(name, command.name, command.was))
    }

    /// The child saga stored as `name`.
    pub(crate) fn child(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| name_matches(name, child.name, child.was))
    }

    /// The timer called `name` of the state `state`, or of the whole instance.
    pub(crate) fn timer(&self, state: usize, name: &str) -> Option<usize> {
        let timers = self.states[state].timers.iter().copied().chain(self.deadline);
        timers.into_iter().find(|&timer| name_matches(name, self.timers[timer].name, self.timers[timer].was))
    }

    /// The events that a clause publishes and no row takes, in order of first mention.
    pub(crate) fn publishes(&self) -> Vec<EventType> {
        let rows = self.rows.iter().flat_map(|row| row.clauses);
        let states = self.states.iter().flat_map(|state| state.on_enter.iter().chain(state.on_leave));
        let mut found: Vec<EventType> = Vec::new();
        for clause in rows.chain(states) {
            if let Clause::Publish { event, .. } = clause
                && !self.events.iter().chain(&found).any(|known| known == event)
            {
                found.push(*event);
            }
        }
        found
    }

    /// Whether `event` starts an instance.
    pub(crate) fn starts(&self, event: usize) -> bool {
        self.initially.iter().any(|&row| self.rows[row].triggers.contains(&Trigger::Event(event)))
    }

    /// A trigger as people read it: `PaymentCompleted`, `failed(MakePayment)`, `timeout 15m`.
    pub(crate) fn describe(&self, trigger: Trigger) -> String {
        match trigger {
            Trigger::Event(event) => self.events[event].type_name.to_owned(),
            Trigger::Failed(command) => format!("failed({})", self.commands[command].type_name),
            Trigger::Unknown(command) => format!("unknown({})", self.commands[command].type_name),
            Trigger::Finished(child) => format!("finished({})", self.children[child].type_name),
            Trigger::AllFinished(child) => format!("all_finished({})", self.children[child].type_name),
            Trigger::Parked(child) => format!("parked({})", self.children[child].type_name),
            Trigger::Superseded(answer) => format!("superseded({})", self.describe(answer.trigger())),
            Trigger::All(row) => {
                let events: Vec<String> =
                    self.rows[row].triggers.iter().map(|&trigger| self.describe(trigger)).collect();
                format!("when_all({})", events.join(", "))
            }
            Trigger::Timer(timer) if self.deadline == Some(timer) => "deadline".to_owned(),
            Trigger::Timer(timer) => match self.timers[timer].due {
                Due::Every { .. } => self.timers[timer].name.to_owned(),
                _ => format!("timeout {}", self.timers[timer].name),
            },
        }
    }

    /// The table as a Mermaid state diagram.
    pub fn mermaid(&self) -> String {
        StoredDefinition::without_shapes(self).mermaid()
    }

    /// The table as a Graphviz digraph.
    pub fn dot(&self) -> String {
        StoredDefinition::without_shapes(self).dot()
    }
}
