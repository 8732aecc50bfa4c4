//! The check for open obligations at a failure end (rule R12): a data flow over the table.
//!
//! The check computes the obligations that may exist on entry to each state. Each undo command
//! counts as none, one, or more than one. A row adds the obligations of its commands and of the
//! entered state. A row drops the obligations in `not_owed` and `waive`. The results of all rows
//! into a state are joined until nothing changes.

use std::collections::{BTreeMap, VecDeque};

use crate::errors::Errors;
use crate::model::{Act, Due, End, Model, Origin, Row, TriggerKind, UndoUse, Waive, last};

/// The number of obligations that may exist for each undo command: 1, or 2 for more than one.
type Owed = BTreeMap<String, u8>;

/// The obligations that may exist on entry to a state, and one path to the state.
#[derive(Clone, Default)]
struct Entry {
    owed: Owed,
    path: Vec<String>,
}

pub(super) fn check(model: &Model, errors: &mut Errors) {
    let entries = flow(model);
    for row in &model.rows {
        let places: Vec<Option<usize>> = match row.origin {
            Origin::Initially => vec![None],
            _ => model.stands_for(row).into_iter().map(Some).collect(),
        };
        for place in places {
            let Some(before) = entries.get(&place) else { continue };
            // One report for each row is enough.
            if complain(model, row, place, before, errors) {
                break;
            }
        }
    }
}

/// Reports the first end of the row at which an obligation may exist. Returns whether there was a
/// report.
fn complain(model: &Model, row: &Row, place: Option<usize>, before: &Entry, errors: &mut Errors) -> bool {
    // The undos run before the arrival of a row with `compensate`. A verdict leads nowhere.
    if row.compensate.is_some() || row.verdict.is_some() {
        return false;
    }
    for trigger in &row.triggers {
        // An outcome or a timer is not a success. So a plain end does not release the obligations.
        let bad = trigger.kind.child().is_none() && !matches!(trigger.kind, TriggerKind::Event(_));
        let after = after_clauses(model, row, &trigger.kind, place, &before.owed);
        let Some(undo) = after.keys().next() else { continue };
        for target in row.targets() {
            let Some(state) = model.state(&target.to_string()) else { continue };
            let rule = match model.states[state].end.map(|(end, _)| end) {
                Some(End::Failed) => format!("The failure end `{target}` allows no open obligation"),
                Some(End::Completed) if bad => {
                    let cause = cause(&trigger.kind);
                    format!(
                        "{cause} is not a success: the plain end `{target}` does not release the obligation"
                    )
                }
                _ => continue,
            };
            let mut path = before.path.clone();
            path.push(target.to_string());
            let path = path.join(" > ");
            errors.on(
                target,
                format!(
                    "the undo `{undo}` would never run, but may be owed on the path {path}. {rule}. Add \
                     `compensate` to run the undo first, `not_owed({undo})` if there is nothing to undo, or \
                     `waive({undo})` to drop the obligation"
                ),
            );
            return true;
        }
    }
    false
}

/// The trigger as the subject of a sentence in a message.
fn cause(trigger: &TriggerKind) -> String {
    match trigger {
        TriggerKind::Failed(command) => format!("`failed({})`", last(command)),
        TriggerKind::Unknown(command) => format!("`unknown({})`", last(command)),
        TriggerKind::Timer(timer) => match timer.due {
            Due::Deadline(_) => "The deadline".to_owned(),
            Due::Every { .. } => "A repeated timer".to_owned(),
            Due::After(_) | Due::AfterMethod(_) | Due::AtMethod(_) => "A time-out".to_owned(),
        },
        TriggerKind::Event(event) => format!("`{}`", last(event)),
        TriggerKind::Finished(child) | TriggerKind::AllFinished(child) | TriggerKind::Parked(child) => {
            format!("The end of `{}`", last(child))
        }
    }
}

/// Computes the obligations that may exist on entry to each state, as a fixed point. `None` is the
/// place before the start.
fn flow(model: &Model) -> BTreeMap<Option<usize>, Entry> {
    let mut entries: BTreeMap<Option<usize>, Entry> = BTreeMap::new();
    entries.insert(None, Entry { owed: Owed::new(), path: vec!["start".to_owned()] });
    let mut work: VecDeque<Option<usize>> = VecDeque::from([None]);
    while let Some(place) = work.pop_front() {
        let Some(before) = entries.get(&place).cloned() else { continue };
        let rows: Vec<&Row> = match place {
            None => model.rows.iter().filter(|row| row.origin == Origin::Initially).collect(),
            Some(state) => model.rows_of(state).into_iter().map(|row| &model.rows[row]).collect(),
        };
        for row in rows.into_iter().filter(|row| row.verdict.is_none()) {
            for trigger in &row.triggers {
                let owed = after_clauses(model, row, &trigger.kind, place, &before.owed);
                // The undos before the arrival end all earlier obligations.
                let owed = if row.compensate.is_some() { sent_by(row) } else { owed };
                let targets: Vec<usize> = match row.targets().as_slice() {
                    // `stay`, `park` and `reenter` lead to the same state.
                    [] => place.into_iter().collect(),
                    targets => targets.iter().filter_map(|target| model.state(&target.to_string())).collect(),
                };
                let moves = !row.keeps_state();
                for target in targets {
                    let mut owed = owed.clone();
                    if moves {
                        let state = &model.states[target];
                        for undo in &state.compensations {
                            add(&mut owed, undo);
                        }
                        state.on_enter.iter().filter_map(undo_of).for_each(|undo| add(&mut owed, undo));
                    }
                    let mut path = before.path.clone();
                    path.push(model.states[target].ident.to_string());
                    if join(
                        entries
                            .entry(Some(target))
                            .or_insert_with(|| Entry { owed: Owed::new(), path: Vec::new() }),
                        owed,
                        path,
                    ) {
                        work.push_back(Some(target));
                    }
                }
            }
        }
    }
    entries
}

/// The obligations that may exist after the clauses of a row, before its move.
fn after_clauses(
    model: &Model,
    row: &Row,
    trigger: &TriggerKind,
    place: Option<usize>,
    before: &Owed,
) -> Owed {
    let mut owed = before.clone();
    // A refused command has dropped its own obligation (rule R10).
    if let TriggerKind::Failed(command) = trigger {
        for undo in undos_of_command(model, &last(command)) {
            drop_one(&mut owed, &undo);
        }
    }
    for undo in &row.not_owed {
        let name = last(undo);
        let refused = matches!(trigger, TriggerKind::Failed(command) if undos_of_command(model, &last(command)).contains(&name));
        // After the refusal has dropped this obligation, `not_owed` drops nothing more (rule R10).
        if !refused {
            drop_one(&mut owed, &name);
        }
    }
    match &row.waive {
        Waive::Nothing => {}
        Waive::All => owed.clear(),
        Waive::Named(undos) => {
            for undo in undos {
                owed.remove(&last(undo));
            }
        }
    }
    // A row that keeps its visit does not run `on_leave`.
    if let (Some(state), false) = (place, row.keeps_state()) {
        model.states[state].on_leave.iter().filter_map(undo_of).for_each(|undo| add(&mut owed, undo));
    }
    row.acts.iter().filter_map(undo_of).for_each(|undo| add(&mut owed, undo));
    owed
}

/// The obligations after the arrival of a row with `compensate`: only those of the commands in the
/// row.
fn sent_by(row: &Row) -> Owed {
    let mut owed = Owed::new();
    row.acts.iter().filter_map(undo_of).for_each(|undo| add(&mut owed, undo));
    owed
}

fn undo_of(act: &Act) -> Option<&UndoUse> {
    match act {
        Act::Send { undo, .. } => undo.as_ref(),
        _ => None,
    }
}

/// The undo commands in all `send` clauses for `command`.
fn undos_of_command(model: &Model, command: &str) -> Vec<String> {
    model
        .acts()
        .filter_map(|act| match act {
            Act::Send { command: sent, undo: Some(undo), .. } if last(sent) == command => {
                Some(last(&undo.command))
            }
            _ => None,
        })
        .collect()
}

fn add(owed: &mut Owed, undo: &UndoUse) {
    let count = owed.entry(last(&undo.command)).or_insert(0);
    *count = (*count + 1).min(2);
}

/// Drops one obligation. From more than one, an unknown number is left, so the undo command stays
/// outstanding.
fn drop_one(owed: &mut Owed, undo: &str) {
    if owed.get(undo) == Some(&1) {
        owed.remove(undo);
    }
}

/// Joins the obligations of another path into the state. Returns whether the entry is new or has
/// changed.
fn join(entry: &mut Entry, owed: Owed, path: Vec<String>) -> bool {
    let mut news = entry.path.is_empty();
    for (undo, count) in owed {
        let known = entry.owed.entry(undo).or_insert(0);
        if count > *known {
            *known = count;
            news = true;
        }
    }
    if news {
        entry.path = path;
        // The path contains each state once. Otherwise a loop would lengthen the path without end.
        let mut seen: Vec<String> = Vec::new();
        entry.path.retain(|step| {
            let new = !seen.contains(step);
            seen.push(step.clone());
            new
        });
    }
    news
}
