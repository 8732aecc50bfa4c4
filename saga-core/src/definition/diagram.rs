//! Mermaid and Graphviz drawings of a definition. Deterministic: source order throughout.

use std::fmt::Write;

use super::stored::{StateMove, StoredDefinition, StoredMove, StoredRow};

pub(super) fn mermaid(definition: &StoredDefinition) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    for (from, to, label) in arrows(definition) {
        let from = from.map_or("[*]", |state| &definition.states[state].variant);
        line(&mut out, format_args!("    {from} --> {}: {label}", definition.states[to].variant));
    }
    for state in &definition.states {
        if state.end.is_some() {
            line(&mut out, format_args!("    {} --> [*]", state.variant));
        }
        if let Some(owed) = owed(definition, &state.owes) {
            line(&mut out, format_args!("    note right of {}: owes {owed}", state.variant));
        }
    }
    out
}

pub(super) fn dot(definition: &StoredDefinition) -> String {
    let mut out = format!("digraph \"{}\" {{\n", definition.saga);
    line(&mut out, format_args!("    rankdir=LR;\n    start [shape=point];"));
    for state in &definition.states {
        let shape = match state.end.as_deref() {
            None => "box",
            Some("completed") => "doublecircle",
            Some(_) => "doubleoctagon",
        };
        let owed = owed(definition, &state.owes).map(|owed| format!("\\nowes {owed}")).unwrap_or_default();
        line(&mut out, format_args!("    {0} [shape={shape}, label=\"{0}{owed}\"];", state.variant));
    }
    for (from, to, label) in arrows(definition) {
        let from = from.map_or("start", |state| &definition.states[state].variant);
        line(&mut out, format_args!("    {from} -> {} [label=\"{label}\"];", definition.states[to].variant));
    }
    out.push_str("}\n");
    out
}

/// Returns the moves of all rows, for each state in which they apply. A stored index outside the table is left out.
pub(super) fn moves(definition: &StoredDefinition) -> Vec<StateMove<'_>> {
    let mut moves = Vec::new();
    let mut push = |from: Option<usize>, rows: &[usize]| {
        for row in rows.iter().filter_map(|&row| definition.rows.get(row)) {
            match (&row.to, from) {
                _ if row.verdict.is_some() => {}
                (StoredMove::To(states), _) => {
                    let index =
                        |name: &String| definition.states.iter().position(|state| state.name == *name);
                    let targets = states.iter().filter_map(index);
                    moves.extend(targets.map(|to| StateMove { from, to: Some(to), row }));
                }
                (StoredMove::Stay | StoredMove::Reenter, Some(_)) => {
                    moves.push(StateMove { from, to: from, row });
                }
                (StoredMove::Park, Some(_)) => moves.push(StateMove { from, to: None, row }),
                (StoredMove::Stay | StoredMove::Reenter | StoredMove::Park, None) => {}
            }
        }
    };
    push(None, &definition.initially);
    for (index, state) in definition.states.iter().enumerate() {
        push(Some(index), &state.rows);
    }
    moves
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{text}");
}

/// One arrow: from (`None` is the start), to, label.
type Arrow = (Option<usize>, usize, String);

fn arrows(definition: &StoredDefinition) -> Vec<Arrow> {
    let arrow = |StateMove { from, to, row }| match (to, from) {
        (Some(to), _) => Some((from, to, label(row))),
        (None, Some(state)) => Some((from, state, format!("{} (park)", label(row)))),
        (None, None) => None,
    };
    moves(definition).into_iter().filter_map(arrow).collect()
}

fn label(row: &StoredRow) -> String {
    let triggers: Vec<&str> = row.triggers.iter().map(|trigger| &*trigger.label).collect();
    let mut label = if row.all { format!("all of {}", triggers.join(", ")) } else { triggers.join(" | ") };
    if let Some(guard) = &row.guard {
        let _ = write!(label, " [{guard}]");
    }
    let mut does: Vec<String> = Vec::new();
    if row.compensate {
        does.push("compensate".to_owned());
    }
    for clause in row.clauses.iter().filter(|clause| clause.what != "run") {
        let named = if clause.type_name.is_empty() { &clause.method } else { &clause.type_name };
        does.push(format!("{} {named}", clause.what));
    }
    if !does.is_empty() {
        let _ = write!(label, " / {}", does.join(", "));
    }
    label
}

fn owed(definition: &StoredDefinition, undos: &[String]) -> Option<String> {
    let named = |undo: &String| {
        definition.command(undo).map_or_else(|| undo.clone(), |command| command.payload.type_name.clone())
    };
    let owed: Vec<String> = undos.iter().map(named).collect();
    (!owed.is_empty()).then(|| owed.join(", "))
}
