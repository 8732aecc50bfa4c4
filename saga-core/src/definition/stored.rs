//! The definition of a saga in the form that a store keeps. Tools read it without the build that wrote it.
//!
//! Owns: the JSON of a definition. A field is never renamed or removed, and new fields may be added. Does not own: the
//! time of writing (the start of a dispatcher), or the drawings (`diagram`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Clause, Definition, Due, End, EventType, Missing, Move, PayloadType, Row, State, Trigger, UndoOf,
    Verdict, Waive, diagram,
};
use crate::shape::{Shape, redacted};

/// The definition of a saga as a store keeps it. All references are stored names.
///
/// [`Inspect::definitions`](crate::store::Inspect::definitions) returns it for each saga and version that has run on the
/// store. It serializes to the JSON that the store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDefinition {
    /// The stored name of the saga.
    pub saga: String,
    /// The earlier stored names of the saga.
    #[serde(default)]
    pub was: Vec<String>,
    /// The version of the definition.
    pub version: u32,
    /// The documentation of the enum.
    #[serde(default)]
    pub doc: String,
    /// The data.
    pub data: StoredType,
    /// The names of the labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Whether each step keeps its changes of the data in the history.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_changes: bool,
    /// The states, in source order.
    pub states: Vec<StoredState>,
    /// The rows of `initially`, as indices into `rows`.
    pub initially: Vec<usize>,
    /// All rows.
    pub rows: Vec<StoredRow>,
    /// The events of the table, replies included.
    pub events: Vec<StoredEvent>,
    /// The events that the saga publishes and does not take itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publishes: Vec<StoredEvent>,
    /// The commands, undos included.
    pub commands: Vec<StoredCommand>,
    /// The stored names of the sagas that it starts as children.
    #[serde(default)]
    pub children: Vec<String>,
    /// The timer of the whole instance.
    #[serde(default)]
    pub deadline: Option<StoredTimer>,
    /// The failure end of an aborted instance. Without one the instance ends as aborted.
    #[serde(default)]
    pub on_abort: Option<String>,
    /// The verdict on an event for an instance that has ended: `ignore`, `reject` or `defer`.
    pub ended_instance: String,
    /// The verdict on an event without an instance: `ignore`, `reject` or `defer`.
    pub missing_instance: String,
}

/// A type in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredType {
    /// The type as written in the table.
    pub type_name: String,
    /// The kind of value at each place of its JSON. A kind ends with `?` if the place may be left out. Empty if the
    /// places are not known.
    #[serde(default)]
    pub shape: BTreeMap<String, String>,
    /// The places that are never shown: `redact(..)` and each [`Sensitive`](crate::message::Sensitive).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// The stored name.
    pub name: String,
    /// The earlier stored names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<String>,
    /// The variant of the enum.
    pub variant: String,
    /// The documentation of the variant.
    #[serde(default)]
    pub doc: String,
    /// The payload of the variant.
    #[serde(default)]
    pub payload: Option<StoredType>,
    /// `completed` or `failed` for a terminal state.
    #[serde(default)]
    pub end: Option<String>,
    /// The rows that apply in the state, in search order, as indices into [`StoredDefinition::rows`].
    pub rows: Vec<usize>,
    /// The verdict on an event without a row: `ignore`, `reject` or `defer`.
    #[serde(default)]
    pub unhandled: Option<String>,
    /// The timers that are set on entering.
    #[serde(default)]
    pub timers: Vec<StoredTimer>,
    /// The undo commands that are owed from entering on, in the order in which they are stacked.
    #[serde(default)]
    pub owes: Vec<String>,
    /// The clauses of `on_enter`.
    #[serde(default)]
    pub on_enter: Vec<StoredClause>,
    /// The clauses of `on_leave`.
    #[serde(default)]
    pub on_leave: Vec<StoredClause>,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRow {
    /// The triggers. Any of them selects the row, or all of them together if `all` is set.
    pub triggers: Vec<StoredTrigger>,
    /// Whether all triggers must have come.
    #[serde(default)]
    pub all: bool,
    /// `ignore`, `reject` or `defer` for a row without an effect.
    #[serde(default)]
    pub verdict: Option<String>,
    /// The method of the guard.
    #[serde(default)]
    pub guard: Option<String>,
    /// Whether the obligations are undone before the row runs.
    #[serde(default)]
    pub compensate: bool,
    /// The undo commands that the row drops as not owed.
    #[serde(default)]
    pub not_owed: Vec<String>,
    /// The undo commands that the row gives up. `*` stands for all.
    #[serde(default)]
    pub waives: Vec<String>,
    /// The work of the row, in order.
    #[serde(default)]
    pub clauses: Vec<StoredClause>,
    /// The move of the row.
    pub to: StoredMove,
    /// The documentation of the row.
    #[serde(default)]
    pub doc: String,
}

/// A trigger of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTrigger {
    /// `event`, `failed`, `unknown`, `timer`, `superseded`, `all`, `finished`, `all_finished` or `parked`.
    pub on: String,
    /// The stored name of the event, command, timer or child. Empty for `all`.
    pub name: String,
    /// The trigger in the words of the table, such as `failed(MakePayment)`.
    pub label: String,
}

/// The move of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredMove {
    /// To one of these states.
    To(Vec<String>),
    /// The visit continues.
    Stay,
    /// A new visit of the same state.
    Reenter,
    /// The instance waits for a person.
    Park,
}

/// A clause of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredClause {
    /// `run`, `send`, `publish`, `start`, `claim` or `release`.
    #[serde(rename = "do")]
    pub what: String,
    /// The stored name of the command, event or child. Empty for the other clauses.
    #[serde(default)]
    pub name: String,
    /// The type as written in the table. Empty for clauses without a type.
    #[serde(default)]
    pub type_name: String,
    /// The method of the clause.
    pub method: String,
    /// Whether the method returns any number of values.
    #[serde(default)]
    pub each: bool,
    /// The undo command that is owed from the clause on.
    #[serde(default)]
    pub undo: Option<String>,
}

/// An event of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// The stored name.
    pub name: String,
    /// The earlier stored names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<String>,
    /// The version of the payload.
    pub version: u32,
    /// Whether the event has a key of its own. A reply needs none.
    pub keyed: bool,
    /// The payload.
    #[serde(flatten)]
    pub payload: StoredType,
}

/// A command of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCommand {
    /// The stored name.
    pub name: String,
    /// The earlier stored names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<String>,
    /// The version of the payload.
    pub version: u32,
    /// The stored names of its replies.
    pub replies: Vec<String>,
    /// Whether the command has one attempt at most.
    #[serde(default)]
    pub at_most_once: bool,
    /// Whether its failures are only recorded.
    #[serde(default)]
    pub best_effort: bool,
    /// Whether the command undoes a state or another command.
    #[serde(default)]
    pub undo: bool,
    /// The payload.
    #[serde(flatten)]
    pub payload: StoredType,
}

/// A timer of a state or of the whole instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTimer {
    /// The stored name.
    pub name: String,
    /// The milliseconds until the timer fires, and between two times of a periodic timer. `None` if a method returns
    /// the time.
    #[serde(default)]
    pub millis: Option<u64>,
    /// The method that returns the time.
    #[serde(default)]
    pub method: Option<String>,
    /// Whether the timer fires more than once.
    #[serde(default)]
    pub periodic: bool,
}

impl StoredType {
    fn keep_redacted(&mut self, earlier: &Self) {
        self.redacted.extend(earlier.redacted.iter().cloned());
        self.redacted.sort();
        self.redacted.dedup();
    }
}

impl From<&Definition> for StoredDefinition {
    /// Asks each type of the table for the places of its JSON. That runs `Deserialize` of the application.
    fn from(definition: &Definition) -> Self {
        Writer { of: definition, shapes: true }.definition()
    }
}

impl StoredDefinition {
    /// The definition without the places of its types, for drawings.
    pub(super) fn without_shapes(definition: &Definition) -> Self {
        Writer { of: definition, shapes: false }.definition()
    }

    /// Adds the redacted places of the definition of an earlier build, if this one replaces it.
    pub(crate) fn keep_redacted(&mut self, earlier: &Self) {
        if (&self.saga, self.version) != (&earlier.saga, earlier.version) {
            return;
        }
        self.data.keep_redacted(&earlier.data);
        for state in &mut self.states {
            let before = earlier.state(&state.name).and_then(|before| before.payload.as_ref());
            if let Some((payload, before)) = state.payload.as_mut().zip(before) {
                payload.keep_redacted(before);
            }
        }
        let before = || earlier.events.iter().chain(&earlier.publishes);
        for event in self.events.iter_mut().chain(&mut self.publishes) {
            for before in before().filter(|before| before.name == event.name) {
                event.payload.keep_redacted(&before.payload);
            }
        }
        for command in &mut self.commands {
            if let Some(before) = earlier.command(&command.name) {
                command.payload.keep_redacted(&before.payload);
            }
        }
    }

    /// Returns the state with this stored name.
    pub fn state(&self, name: &str) -> Option<&StoredState> {
        self.states.iter().find(|state| state.name == name)
    }

    /// Returns the command with this stored name.
    pub fn command(&self, name: &str) -> Option<&StoredCommand> {
        self.commands.iter().find(|command| command.name == name)
    }

    /// Returns the event with this stored name.
    pub fn event(&self, name: &str) -> Option<&StoredEvent> {
        self.events.iter().find(|event| event.name == name)
    }

    /// Returns the table as a Mermaid state diagram.
    pub fn mermaid(&self) -> String {
        diagram::mermaid(self)
    }

    /// Returns the table as a Graphviz digraph.
    pub fn dot(&self) -> String {
        diagram::dot(self)
    }

    /// Returns the moves of the table: one for each row and each state in which the row applies.
    pub fn moves(&self) -> Vec<StateMove<'_>> {
        diagram::moves(self)
    }
}

/// One arrow in a drawing of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateMove<'a> {
    /// The state in which the row applies, as an index into [`StoredDefinition::states`]. `None` for the start.
    pub from: Option<usize>,
    /// The state after the row, as an index. `None` for a row that parks the instance.
    pub to: Option<usize>,
    /// The row.
    pub row: &'a StoredRow,
}

/// Writes one definition.
struct Writer<'a> {
    of: &'a Definition,
    /// Whether the types are asked for the places of their JSON.
    shapes: bool,
}

impl Writer<'_> {
    fn definition(&self) -> StoredDefinition {
        let of = self.of;
        let state = |state: usize| of.states[state].name.to_owned();
        StoredDefinition {
            saga: of.name.to_owned(),
            was: owned(of.was),
            version: of.version,
            doc: of.doc.to_owned(),
            data: self.payload(of.data),
            labels: owned(of.labels),
            keeps_changes: of.keeps_changes,
            states: of.states.iter().map(|state| self.state(state)).collect(),
            initially: of.initially.to_vec(),
            rows: of.rows.iter().map(|row| self.row(row)).collect(),
            events: of.events.iter().map(|event| self.event(event)).collect(),
            publishes: of.publishes().iter().map(|event| self.event(event)).collect(),
            commands: of
                .commands
                .iter()
                .enumerate()
                .map(|(index, command)| StoredCommand {
                    name: command.name.to_owned(),
                    was: owned(command.was),
                    version: command.version,
                    replies: owned(command.replies),
                    at_most_once: command.at_most_once,
                    best_effort: command.best_effort,
                    undo: of.undos.iter().any(|undo| undo.command == index),
                    payload: self.typed(command.type_name, command.redact, command.shape),
                })
                .collect(),
            children: of.children.iter().map(|child| child.name.to_owned()).collect(),
            deadline: of.deadline.map(|timer| self.timer(timer)),
            on_abort: of.on_abort.map(state),
            ended_instance: verdict(of.ended_instance).to_owned(),
            missing_instance: match of.missing_instance {
                Missing::Reject => "reject",
                Missing::Ignore => "ignore",
                Missing::Defer(_) => "defer",
            }
            .to_owned(),
        }
    }

    fn event(&self, event: &EventType) -> StoredEvent {
        StoredEvent {
            name: event.name.to_owned(),
            was: owned(event.was),
            version: event.version,
            keyed: event.keyed,
            payload: self.typed(event.type_name, event.redact, event.shape),
        }
    }

    fn state(&self, state: &State) -> StoredState {
        let owes = state.compensations.iter().map(|&undo| self.of.undos[undo]);
        let owes = owes.filter(|undo| matches!(undo.of, UndoOf::State(_)));
        StoredState {
            name: state.name.to_owned(),
            was: owned(state.was),
            variant: state.variant.to_owned(),
            doc: state.doc.to_owned(),
            payload: state.payload.map(|payload| self.payload(payload)),
            end: state.end.map(|end| {
                match end {
                    End::Completed => "completed",
                    End::Failed => "failed",
                }
                .to_owned()
            }),
            rows: state.rows.to_vec(),
            unhandled: state.unhandled.map(|unhandled| verdict(unhandled).to_owned()),
            timers: state.timers.iter().map(|&timer| self.timer(timer)).collect(),
            owes: owes.map(|undo| self.of.commands[undo.command].name.to_owned()).collect(),
            on_enter: self.clauses(state.on_enter),
            on_leave: self.clauses(state.on_leave),
        }
    }

    fn row(&self, row: &Row) -> StoredRow {
        let command = |&command: &usize| self.of.commands[command].name.to_owned();
        let state = |&state: &usize| self.of.states[state].name.to_owned();
        StoredRow {
            triggers: row.triggers.iter().map(|&trigger| self.trigger(trigger)).collect(),
            all: row.all,
            verdict: row.verdict.map(|decided| verdict(decided).to_owned()),
            guard: row.guard.map(str::to_owned),
            compensate: row.compensate,
            not_owed: row.not_owed.iter().map(command).collect(),
            waives: match row.waive {
                Waive::Nothing => Vec::new(),
                Waive::All => vec!["*".to_owned()],
                Waive::Named(commands) => commands.iter().map(command).collect(),
            },
            clauses: self.clauses(row.clauses),
            to: match row.to {
                Move::To(states) => StoredMove::To(states.iter().map(state).collect()),
                Move::Stay => StoredMove::Stay,
                Move::Reenter => StoredMove::Reenter,
                Move::Park => StoredMove::Park,
            },
            doc: row.doc.to_owned(),
        }
    }

    fn trigger(&self, trigger: Trigger) -> StoredTrigger {
        let of = self.of;
        let (on, name) = match trigger {
            Trigger::Event(event) => ("event", of.events[event].name),
            Trigger::Failed(command) => ("failed", of.commands[command].name),
            Trigger::Unknown(command) => ("unknown", of.commands[command].name),
            Trigger::Timer(timer) => ("timer", of.timers[timer].name),
            Trigger::Superseded(answer) => {
                let of = self.trigger(answer.trigger());
                return StoredTrigger {
                    on: "superseded".to_owned(),
                    name: of.name,
                    label: self.of.describe(trigger),
                };
            }
            Trigger::All(_) => ("all", ""),
            Trigger::Finished(child) => ("finished", of.children[child].name),
            Trigger::AllFinished(child) => ("all_finished", of.children[child].name),
            Trigger::Parked(child) => ("parked", of.children[child].name),
        };
        StoredTrigger { on: on.to_owned(), name: name.to_owned(), label: of.describe(trigger) }
    }

    fn clauses(&self, clauses: &[Clause]) -> Vec<StoredClause> {
        clauses.iter().map(|clause| self.clause(clause)).collect()
    }

    fn clause(&self, clause: &Clause) -> StoredClause {
        let of = self.of;
        let (what, name, type_name, method, each) = match *clause {
            Clause::Run { method } => ("run", "", "", method, false),
            Clause::Send { command, method, each, .. } => {
                ("send", of.commands[command].name, of.commands[command].type_name, method, each)
            }
            Clause::Publish { event, method, each } => ("publish", event.name, event.type_name, method, each),
            Clause::Start { child, method, each, .. } => {
                ("start", of.children[child].name, of.children[child].type_name, method, each)
            }
            Clause::Claim { method, each } => ("claim", "", "", method, each),
            Clause::Release { method, each } => ("release", "", "", method, each),
        };
        let undo = match *clause {
            Clause::Send { undo: Some(undo), .. } => {
                Some(of.commands[of.undos[undo].command].name.to_owned())
            }
            _ => None,
        };
        StoredClause {
            what: what.to_owned(),
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            method: method.to_owned(),
            each,
            undo,
        }
    }

    fn timer(&self, timer: usize) -> StoredTimer {
        let timer = self.of.timers[timer];
        let (millis, method, periodic) = match timer.due {
            Due::After(millis) => (Some(millis), None, false),
            Due::AfterMethod(method) | Due::AtMethod(method) => (None, Some(method.to_owned()), false),
            Due::Every { millis, .. } => (Some(millis), None, true),
        };
        StoredTimer { name: timer.name.to_owned(), millis, method, periodic }
    }

    fn payload(&self, payload: PayloadType) -> StoredType {
        self.typed(payload.type_name, payload.redact, payload.shape)
    }

    fn typed(&self, type_name: &str, redact: &[&str], shape: fn() -> Shape) -> StoredType {
        match self.shapes {
            true => typed(type_name, redact, shape),
            false => {
                StoredType { type_name: type_name.to_owned(), shape: BTreeMap::new(), redacted: Vec::new() }
            }
        }
    }
}

/// Returns a type with the kind of value at each place.
pub(crate) fn typed(type_name: &str, redact: &[&str], shape: fn() -> Shape) -> StoredType {
    // The type of the application decides what it does with invented values. A tool can do without the places. It must not
    // show a value at an unknown place that is sensitive.
    let known = std::panic::catch_unwind(shape).ok();
    let redacted = redacted(redact, known.as_ref());
    let mut shape = BTreeMap::new();
    for (place, of) in known.unwrap_or_default().0 {
        let mark = if of.optional { "?" } else { "" };
        shape.insert(place, format!("{}{mark}", of.kind));
    }
    StoredType { type_name: type_name.to_owned(), shape, redacted: redacted.into_iter().collect() }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ignore => "ignore",
        Verdict::Reject => "reject",
        Verdict::Defer => "defer",
    }
}
