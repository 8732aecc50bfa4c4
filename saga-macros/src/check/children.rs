//! The checks of children (rule R21). A row waits for each child, and each child ends before its
//! parent.

use crate::errors::Errors;
use crate::model::{Act, Model, TriggerKind, last};

pub(super) fn check(model: &Model, errors: &mut Errors) {
    reports(model, errors);
    awaited(model, errors);
    ends(model, errors);
}

fn starts(act: &Act, name: &str) -> bool {
    matches!(act, Act::Start { child, detached: false, .. } if last(child) == name)
}

/// A trigger about a child needs a `start` clause for that child. A `detached` child reports
/// nothing.
fn reports(model: &Model, errors: &mut Errors) {
    for trigger in model.rows.iter().flat_map(|row| &row.triggers) {
        let Some(child) = trigger.kind.child() else { continue };
        let name = last(child);
        if !model.acts().any(|act| starts(act, &name)) {
            errors.at(
                trigger.span,
                format!(
                    "`{}` can never occur: the table has no `start({name})` without `detached`",
                    trigger.text()
                ),
            );
        }
    }
}

/// A child that is not `detached` needs a row for its end.
fn awaited(model: &Model, errors: &mut Errors) {
    let mut told = Vec::new();
    for act in model.acts() {
        let Act::Start { child, detached: false, .. } = act else { continue };
        let name = last(child);
        let awaited = model.rows.iter().flat_map(|row| &row.triggers).any(|trigger| {
            matches!(&trigger.kind, TriggerKind::Finished(path) | TriggerKind::AllFinished(path) if last(path) == name)
        });
        if !awaited && !told.contains(&name) {
            errors.on(
                child,
                format!(
                    "no row takes the end of `{name}`: add `when(finished({name}), ..)` or \
                     `when(all_finished({name}), ..)`, or start the child `detached`"
                ),
            );
            told.push(name);
        }
    }
}

/// A parent enters no end while children are open. So a row that leads to an end starts no
/// children. The end itself starts no children either.
fn ends(model: &Model, errors: &mut Errors) {
    let awaited = |act: &Act| match act {
        Act::Start { child, detached: false, .. } => Some(child.clone()),
        _ => None,
    };
    let complain = |child: &syn::Path, end: &syn::Ident, errors: &mut Errors| {
        let name = last(child);
        errors.on(
            child,
            format!(
                "`{end}` is an end, but children must end before their parent: wait for `{name}` in an earlier \
                 state, or start the child `detached`"
            ),
        );
    };
    for row in &model.rows {
        let targets = row.targets().into_iter().filter_map(|target| model.state(&target.to_string()));
        let end = targets.map(|state| &model.states[state]).find(|state| state.end.is_some());
        let child = row.acts.iter().find_map(awaited);
        if let (Some(end), Some(child)) = (end, child) {
            complain(&child, &end.ident, errors);
        }
    }
    for state in &model.states {
        if let (Some(_), Some(child)) = (state.end, state.on_enter.iter().find_map(awaited)) {
            complain(&child, &state.ident, errors);
        }
        // A turn also runs `on_leave`, and a turn starts no children.
        for act in &state.on_leave {
            if let Act::Start { child, .. } = act {
                errors.on(
                    child,
                    "`on_leave` cannot have `start`: a turn starts no children; write `start` in the rows that \
                     leave the state, or in `on_enter` of the next state",
                );
            }
        }
    }
}
