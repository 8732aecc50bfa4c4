//! The documentation of the trait of actions: the table, and its diagram in Mermaid.

use crate::model::{End, Model, MoveKind, Origin, Row};

pub(super) fn of_trait(model: &Model) -> Vec<String> {
    let mut lines = vec![
        format!("The actions of the saga `{}`: pure methods of its data.", model.name),
        String::new(),
        "| where | what happens | only if | leads to |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for row in &model.rows {
        lines.push(line(model, row));
    }
    lines.push(String::new());
    lines.push("```mermaid".to_owned());
    lines.push("stateDiagram-v2".to_owned());
    for row in model.rows.iter().filter(|row| row.verdict.is_none()) {
        let label = row.waits_for();
        let from: Vec<String> = match row.origin {
            Origin::Initially => vec!["[*]".to_owned()],
            _ => {
                model.stands_for(row).into_iter().map(|state| model.states[state].ident.to_string()).collect()
            }
        };
        for from in from {
            match row.to.as_ref().map(|to| &to.kind) {
                Some(MoveKind::To(targets)) => {
                    lines.extend(targets.iter().map(|to| format!("    {from} --> {to}: {label}")));
                }
                _ => lines.push(format!("    {from} --> {from}: {label}")),
            }
        }
    }
    for state in model.states.iter().filter(|state| state.end.is_some()) {
        lines.push(format!("    {} --> [*]", state.ident));
    }
    lines.push("```".to_owned());
    lines
}

fn line(model: &Model, row: &Row) -> String {
    let place = match &row.origin {
        Origin::Initially => "start".to_owned(),
        Origin::State(state) => format!("`{}`", model.states[*state].ident),
        Origin::Any { .. } => {
            let states: Vec<String> = model
                .stands_for(row)
                .into_iter()
                .map(|state| format!("`{}`", model.states[state].ident))
                .collect();
            states.join(", ")
        }
    };
    let guard = row.guard.as_ref().map(|guard| format!("`{guard}`")).unwrap_or_default();
    let mut to = match (row.verdict, row.to.as_ref().map(|to| &to.kind)) {
        (Some(verdict), _) => format!("{verdict:?}").to_lowercase(),
        (None, Some(MoveKind::To(targets))) => {
            let targets: Vec<String> =
                targets.iter().map(|target| format!("`{target}`{}", end(model, target))).collect();
            targets.join(" or ")
        }
        (None, Some(MoveKind::Reenter)) => "itself, anew".to_owned(),
        (None, Some(MoveKind::Park)) => "a person".to_owned(),
        (None, Some(MoveKind::Stay) | None) => "itself".to_owned(),
    };
    if row.compensate.is_some() {
        to = format!("{to}, after compensating");
    }
    if !row.doc.is_empty() {
        to = format!("{to}: {}", row.doc);
    }
    format!("| {place} | `{}` | {guard} | {to} |", row.waits_for().replace('|', "\\|"))
}

fn end(model: &Model, state: &syn::Ident) -> &'static str {
    match model.state(&state.to_string()).and_then(|state| model.states[state].end) {
        Some((End::Completed, _)) => " (end)",
        Some((End::Failed, _)) => " (failure)",
        None => "",
    }
}
