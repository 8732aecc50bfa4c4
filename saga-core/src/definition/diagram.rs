//! Mermaid and Graphviz drawings of a definition. Deterministic: source order throughout.

use std::fmt::Write;

use super::{Clause, Definition, End, Move, Row, UndoOf};

/// One arrow: from (`None` is the start), to, label.
type Arrow = (Option<usize>, usize, String);

pub(super) fn mermaid(definition: &Definition) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    for (from, to, label) in arrows(definition) {
        let from = from.map_or("[*]", |state| definition.states[state].variant);
        line(&mut out, format_args!("    {from} --> {}: {label}", definition.states[to].variant));
    }
    for (index, state) in definition.states.iter().enumerate() {
        if state.end.is_some() {
            line(&mut out, format_args!("    {} --> [*]", state.variant));
        }
        if let Some(owed) = owed(definition, index) {
            line(&mut out, format_args!("    note right of {}: owes {owed}", state.variant));
        }
    }
    out
}

pub(super) fn dot(definition: &Definition) -> String {
    let mut out = format!("digraph \"{}\" {{\n", definition.name);
    line(&mut out, format_args!("    rankdir=LR;\n    start [shape=point];"));
    for (index, state) in definition.states.iter().enumerate() {
        let shape = match state.end {
            None => "box",
            Some(End::Completed) => "doublecircle",
            Some(End::Failed) => "doubleoctagon",
        };
        let owed = owed(definition, index).map(|owed| format!("\\nowes {owed}")).unwrap_or_default();
        line(&mut out, format_args!("    {0} [shape={shape}, label=\"{0}{owed}\"];", state.variant));
    }
    for (from, to, label) in arrows(definition) {
        let from = from.map_or("start", |state| definition.states[state].variant);
        line(&mut out, format_args!("    {from} -> {} [label=\"{label}\"];", definition.states[to].variant));
    }
    out.push_str("}\n");
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{text}");
}

fn arrows(definition: &Definition) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for &row in definition.initially {
        push(definition, &mut arrows, None, &definition.rows[row]);
    }
    for (index, state) in definition.states.iter().enumerate() {
        for &row in state.rows {
            push(definition, &mut arrows, Some(index), &definition.rows[row]);
        }
    }
    arrows
}

fn push(definition: &Definition, arrows: &mut Vec<Arrow>, from: Option<usize>, row: &Row) {
    if row.verdict.is_some() {
        return;
    }
    let label = label(definition, row);
    match (row.to, from) {
        (Move::To(targets), _) => arrows.extend(targets.iter().map(|&to| (from, to, label.clone()))),
        (Move::Stay | Move::Reenter, Some(state)) => arrows.push((from, state, label)),
        (Move::Park, Some(state)) => arrows.push((from, state, format!("{label} (park)"))),
        (Move::Stay | Move::Reenter | Move::Park, None) => {}
    }
}

fn label(definition: &Definition, row: &Row) -> String {
    let triggers: Vec<String> = row.triggers.iter().map(|&t| definition.describe(t)).collect();
    let mut label = if row.all { format!("all of {}", triggers.join(", ")) } else { triggers.join(" | ") };
    if let Some(guard) = row.guard {
        let _ = write!(label, " [{guard}]");
    }
    let mut does: Vec<String> = Vec::new();
    if row.compensate {
        does.push("compensate".to_owned());
    }
    for clause in row.clauses {
        match *clause {
            Clause::Run { .. } => {}
            Clause::Send { command, .. } => {
                does.push(format!("send {}", definition.commands[command].type_name));
            }
            Clause::Publish { event, .. } => does.push(format!("publish {}", event.type_name)),
            Clause::Start { child, .. } => {
                does.push(format!("start {}", definition.children[child].type_name));
            }
            Clause::Claim { method, .. } => does.push(format!("claim {method}")),
            Clause::Release { method, .. } => does.push(format!("release {method}")),
        }
    }
    if !does.is_empty() {
        let _ = write!(label, " / {}", does.join(", "));
    }
    label
}

fn owed(definition: &Definition, state: usize) -> Option<String> {
    let owed: Vec<&str> = definition.states[state]
        .compensations
        .iter()
        .map(|&undo| definition.undos[undo])
        .filter(|undo| matches!(undo.of, UndoOf::State(_)))
        .map(|undo| definition.commands[undo.command].type_name)
        .collect();
    (!owed.is_empty()).then(|| owed.join(", "))
}
