//! The table of a saga as written: plain data with the spans of the user's tokens.
//!
//! Does not own: the syntax of the attributes, and the generated code.

use proc_macro2::Span;
use syn::{Ident, LitStr, Path, Type, Visibility};

/// The enum with its table.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) doc: String,
    pub(crate) name: String,
    pub(crate) was: Vec<String>,
    pub(crate) version: u32,
    /// The fields of the data that are labels.
    pub(crate) labels: Vec<Ident>,
    /// Whether the history keeps the changes of the data.
    pub(crate) keeps_changes: bool,
    /// The places of the data that are never shown.
    pub(crate) redact: Vec<LitStr>,
    /// The upcasts of the data.
    pub(crate) upcasts: Vec<Upcast>,
    pub(crate) data: Option<Type>,
    pub(crate) actions: Option<Ident>,
    pub(crate) krate: Path,
    pub(crate) on_abort: Option<Ident>,
    pub(crate) unhandled: Option<Verdict>,
    pub(crate) ended_instance: Verdict,
    pub(crate) missing_instance: Missing,
    pub(crate) states: Vec<State>,
    /// The rows of `initially`, then of each state, then of `during_any`, then the deadline.
    pub(crate) rows: Vec<Row>,
}

/// A state: one variant of the enum.
pub(crate) struct State {
    pub(crate) ident: Ident,
    pub(crate) doc: String,
    pub(crate) name: String,
    pub(crate) was: Vec<String>,
    pub(crate) name_span: Span,
    pub(crate) payload: Option<Type>,
    /// The places of the payload that are never shown.
    pub(crate) redact: Vec<LitStr>,
    /// The upcasts of the payload.
    pub(crate) upcasts: Vec<Upcast>,
    pub(crate) end: Option<(End, Span)>,
    pub(crate) unhandled: Option<Verdict>,
    pub(crate) compensations: Vec<UndoUse>,
    pub(crate) on_enter: Vec<Act>,
    pub(crate) on_leave: Vec<Act>,
}

/// A function from the shape of version `from` to the next shape.
pub(crate) struct Upcast {
    pub(crate) from: u32,
    pub(crate) with: Path,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Completed,
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Ignore,
    Reject,
    Defer,
}

/// The decision about an event without an instance (rule R27).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    Ignore,
    Reject,
    /// The event waits for this number of milliseconds.
    Defer(u64),
}

/// An undo command and the method that builds the command.
#[derive(Clone)]
pub(crate) struct UndoUse {
    pub(crate) command: Path,
    pub(crate) method: Ident,
}

/// The attribute that contains a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Initially,
    State(usize),
    Any { only: Option<Vec<String>>, except: Vec<String> },
}

pub(crate) struct Row {
    pub(crate) origin: Origin,
    /// The span of the keyword.
    pub(crate) span: Span,
    pub(crate) triggers: Vec<Trigger>,
    /// The row is a `when_all`: all its events are necessary.
    pub(crate) all: bool,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) guard: Option<Ident>,
    pub(crate) compensate: Option<Span>,
    pub(crate) not_owed: Vec<Path>,
    pub(crate) waive: Waive,
    pub(crate) acts: Vec<Act>,
    pub(crate) to: Option<Move>,
    pub(crate) doc: String,
    /// A part of the row could not be read.
    pub(crate) broken: bool,
}

pub(crate) struct Trigger {
    pub(crate) kind: TriggerKind,
    pub(crate) span: Span,
    /// The trigger matches only answers to a command that was sent again in a later visit
    /// (rule R9).
    pub(crate) superseded: bool,
}

pub(crate) enum TriggerKind {
    Event(Path),
    Failed(Path),
    Unknown(Path),
    Timer(Timer),
    Finished(Path),
    AllFinished(Path),
    Parked(Path),
}

/// A timer of a state, or the deadline.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Timer {
    pub(crate) name: String,
    pub(crate) was: Vec<String>,
    pub(crate) due: Due,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// Milliseconds after entering the state.
    After(u64),
    AfterMethod(Ident),
    AtMethod(Ident),
    Every {
        millis: u64,
        times: Option<u32>,
    },
    /// Milliseconds after the start of the instance.
    Deadline(u64),
}

/// The name of the timer that belongs to the whole instance.
pub(crate) const DEADLINE: &str = "deadline";

#[derive(Clone)]
pub(crate) enum Waive {
    Nothing,
    All,
    Named(Vec<Path>),
}

/// A clause of a row, of `on_enter` or of `on_leave`.
#[derive(Clone)]
pub(crate) enum Act {
    Run(Ident),
    Send {
        command: Path,
        method: Ident,
        each: bool,
        undo: Option<UndoUse>,
    },
    Publish {
        event: Path,
        method: Ident,
        each: bool,
    },
    Start {
        child: Path,
        method: Ident,
        each: bool,
        limit: Option<u32>,
        detached: bool,
    },
    /// A `claim` if `claim` is true, otherwise a `release`.
    Alias {
        claim: bool,
        method: Ident,
        each: bool,
    },
}

pub(crate) struct Move {
    pub(crate) kind: MoveKind,
    pub(crate) span: Span,
}

pub(crate) enum MoveKind {
    To(Vec<Ident>),
    Stay,
    Reenter,
    Park,
}

/// The last segment of a path. For the table, two paths with the same last segment are one type.
pub(crate) fn last(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

/// The last segment of a path, with its span.
pub(crate) fn last_ident(path: &Path) -> Ident {
    path.segments
        .last()
        .map_or_else(|| Ident::new("_unnamed", Span::call_site()), |segment| segment.ident.clone())
}

impl Model {
    pub(crate) fn is_broken(&self) -> bool {
        self.rows.iter().any(|row| row.broken)
    }

    pub(crate) fn state(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|state| state.ident == name)
    }

    /// The states in which a row applies (rule R2). A row of `initially` applies in no state.
    pub(crate) fn stands_for(&self, row: &Row) -> Vec<usize> {
        match &row.origin {
            Origin::Initially => Vec::new(),
            Origin::State(state) => vec![*state],
            Origin::Any { only, except } => {
                // A row of `during_any` does not apply in its only target (rule R2).
                let only_target = match row.targets().as_slice() {
                    [target] => self.state(&target.to_string()),
                    _ => None,
                };
                (0..self.states.len())
                    .filter(|&index| {
                        let state = &self.states[index];
                        let name = state.ident.to_string();
                        state.end.is_none()
                            && Some(index) != only_target
                            && only.as_ref().is_none_or(|only| only.contains(&name))
                            && !except.contains(&name)
                    })
                    .collect()
            }
        }
    }

    /// The rows that apply in a state, in search order (rule R2). The rows of the state come before
    /// the rows of `during_any`.
    pub(crate) fn rows_of(&self, state: usize) -> Vec<usize> {
        let own = self.rows.iter().enumerate().filter(|(_, row)| row.origin == Origin::State(state));
        let any = self.rows.iter().enumerate().filter(|(_, row)| {
            matches!(row.origin, Origin::Any { .. }) && self.stands_for(row).contains(&state)
        });
        own.chain(any).map(|(index, _)| index).collect()
    }

    /// The events that the table takes, in the order of their first mention.
    pub(crate) fn events(&self) -> Vec<&Path> {
        let mut events: Vec<&Path> = Vec::new();
        for trigger in self.rows.iter().flat_map(|row| &row.triggers) {
            if let TriggerKind::Event(path) = &trigger.kind
                && !events.iter().any(|known| last(known) == last(path))
            {
                events.push(path);
            }
        }
        events
    }

    /// The event that starts an instance, if there is exactly one.
    pub(crate) fn starting_event(&self) -> Option<&Path> {
        let rows = self.rows.iter().filter(|row| row.origin == Origin::Initially);
        let mut events = rows.flat_map(|row| &row.triggers).map(|trigger| match &trigger.kind {
            TriggerKind::Event(path) => Some(path),
            _ => None,
        });
        let first = events.next()??;
        events.all(|event| event.is_some_and(|event| last(event) == last(first))).then_some(first)
    }

    /// The sagas in `start` clauses and in triggers about children, each once.
    pub(crate) fn children(&self) -> Vec<&Path> {
        let mut children: Vec<&Path> = Vec::new();
        let started = self.acts().filter_map(|act| match act {
            Act::Start { child, .. } => Some(child),
            _ => None,
        });
        let triggers = self.rows.iter().flat_map(|row| &row.triggers);
        for path in started.chain(triggers.filter_map(|trigger| trigger.kind.child())) {
            if !children.iter().any(|known| last(known) == last(path)) {
                children.push(path);
            }
        }
        children
    }

    /// The clauses of all rows, then the clauses of `on_enter` and `on_leave` of all states.
    pub(crate) fn acts(&self) -> impl Iterator<Item = &Act> {
        let states = self.states.iter().flat_map(|state| state.on_enter.iter().chain(&state.on_leave));
        self.rows.iter().flat_map(|row| &row.acts).chain(states)
    }

    /// The commands and undo commands of the table, each once.
    pub(crate) fn commands(&self) -> Vec<&Path> {
        let mut commands: Vec<&Path> = Vec::new();
        let mut add = |path| {
            if !commands.iter().any(|known: &&Path| last(known) == last(path)) {
                commands.push(path);
            }
        };
        for act in self.acts() {
            if let Act::Send { command, undo, .. } = act {
                add(command);
                if let Some(undo) = undo {
                    add(&undo.command);
                }
            }
        }
        for compensation in self.states.iter().flat_map(|state| &state.compensations) {
            add(&compensation.command);
        }
        for row in &self.rows {
            for trigger in &row.triggers {
                if let TriggerKind::Failed(path) | TriggerKind::Unknown(path) = &trigger.kind {
                    add(path);
                }
            }
            row.not_owed.iter().for_each(&mut add);
            if let Waive::Named(undos) = &row.waive {
                undos.iter().for_each(&mut add);
            }
        }
        commands
    }

    /// The commands in `send` clauses, each once.
    pub(crate) fn sent(&self) -> Vec<&Path> {
        let mut sent: Vec<&Path> = Vec::new();
        for act in self.acts() {
            if let Act::Send { command, .. } = act
                && !sent.iter().any(|known| last(known) == last(command))
            {
                sent.push(command);
            }
        }
        sent
    }

    /// The timers of the table, each once, in the order of their first mention.
    pub(crate) fn timers(&self) -> Vec<&Timer> {
        let mut timers = Vec::new();
        for trigger in self.rows.iter().flat_map(|row| &row.triggers) {
            if let TriggerKind::Timer(timer) = &trigger.kind
                && !timers.contains(&timer)
            {
                timers.push(timer);
            }
        }
        timers
    }

    /// The timers of a state, in the search order of their rows. The deadline belongs to no state.
    pub(crate) fn timers_of(&self, state: usize) -> Vec<&Timer> {
        let mut timers = Vec::new();
        for trigger in self.rows_of(state).into_iter().flat_map(|row| &self.rows[row].triggers) {
            if let TriggerKind::Timer(timer) = &trigger.kind
                && !matches!(timer.due, Due::Deadline(_))
                && !timers.contains(&timer)
            {
                timers.push(timer);
            }
        }
        timers
    }
}

impl Row {
    /// The states of `transition_to`. Empty for `stay`, `reenter` and `park`.
    pub(crate) fn targets(&self) -> Vec<&Ident> {
        match &self.to {
            Some(Move { kind: MoveKind::To(targets), .. }) => targets.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The target of the row, if there is exactly one.
    pub(crate) fn target(&self) -> Option<&Ident> {
        match self.targets().as_slice() {
            [target] => Some(target),
            _ => None,
        }
    }

    /// The trigger of the row, if there is exactly one. `None` for `when_all(..)`.
    pub(crate) fn only_trigger(&self) -> Option<&Trigger> {
        match self.triggers.as_slice() {
            [trigger] if !self.all => Some(trigger),
            _ => None,
        }
    }

    /// The triggers of the row as text for people.
    pub(crate) fn waits_for(&self) -> String {
        let triggers: Vec<String> = self.triggers.iter().map(Trigger::text).collect();
        if self.all { format!("when_all({})", triggers.join(", ")) } else { triggers.join(" | ") }
    }

    pub(crate) fn run(&self) -> Option<&Ident> {
        self.acts.iter().find_map(|act| match act {
            Act::Run(method) => Some(method),
            _ => None,
        })
    }

    pub(crate) fn keeps_state(&self) -> bool {
        matches!(self.to, Some(Move { kind: MoveKind::Stay | MoveKind::Park, .. }) | None)
    }
}

impl Trigger {
    /// The trigger as text for people. Equal triggers have equal texts.
    pub(crate) fn text(&self) -> String {
        let text = self.kind.text();
        if self.superseded { format!("superseded({text})") } else { text }
    }

    /// Returns whether both triggers match the same inputs.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.superseded == other.superseded && self.kind.same(&other.kind)
    }
}

impl TriggerKind {
    /// The saga of the child in a trigger about children.
    pub(crate) fn child(&self) -> Option<&Path> {
        match self {
            Self::Finished(path) | Self::AllFinished(path) | Self::Parked(path) => Some(path),
            Self::Event(_) | Self::Failed(_) | Self::Unknown(_) | Self::Timer(_) => None,
        }
    }

    /// Returns whether both kinds match the same inputs.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            // Two timers with the same name have equal texts, but may have different due times.
            (Self::Timer(one), Self::Timer(other)) => one == other,
            _ => self.text() == other.text(),
        }
    }

    /// The kind as text for people. Equal kinds have equal texts.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Event(path) => last(path),
            Self::Failed(path) => format!("failed({})", last(path)),
            Self::Unknown(path) => format!("unknown({})", last(path)),
            Self::Finished(path) => format!("finished({})", last(path)),
            Self::AllFinished(path) => format!("all_finished({})", last(path)),
            Self::Parked(path) => format!("parked({})", last(path)),
            Self::Timer(Timer { name, due: Due::Every { .. } | Due::Deadline(_), .. }) => name.clone(),
            Self::Timer(Timer { name, .. }) => format!("timeout {name}"),
        }
    }
}

/// Converts `AwaitingPayment` to `awaiting-payment` (with `-`) or to `awaiting_payment` (with `_`).
pub(crate) fn lower(name: &str, between: char) -> String {
    let mut out = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (index, c) in chars.iter().enumerate() {
        if c.is_uppercase() {
            let after_lower = index > 0 && !chars[index - 1].is_uppercase() && chars[index - 1] != '_';
            let before_lower = index > 0 && chars.get(index + 1).is_some_and(|next| next.is_lowercase());
            if after_lower || before_lower {
                out.push(between);
            }
            out.extend(c.to_lowercase());
        } else {
            out.push(if *c == '_' { between } else { *c });
        }
    }
    out
}

/// Converts `keep_receipt` to `KeepReceipt`.
pub(crate) fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_capitals() {
        assert_eq!(lower("AwaitingPayment", '-'), "awaiting-payment");
        assert_eq!(lower("HTTPSent", '_'), "http_sent");
        assert_eq!(lower("Snake_case2", '-'), "snake-case2");
        assert_eq!(camel("keep_receipt"), "KeepReceipt");
    }
}
