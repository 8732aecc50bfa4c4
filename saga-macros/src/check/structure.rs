//! The checks of names, timers, rows and states: rows that never run, unreachable states, and
//! undecided events.

use std::collections::BTreeSet;

use crate::errors::Errors;
use crate::model::{Act, Due, End, Model, MoveKind, Origin, Row, Trigger, TriggerKind, Verdict, last};

/// Each state in the table exists. The stored names of states are unique. Each event name refers to
/// one path.
pub(super) fn names(model: &Model, errors: &mut Errors) {
    let known = |ident: &syn::Ident, errors: &mut Errors| {
        let found = model.state(&ident.to_string());
        if found.is_none() {
            let near = model.states.iter().map(|state| state.ident.to_string());
            let hint = nearest(&ident.to_string(), near).map(|near| format!("; did you mean `{near}`?"));
            errors.on(ident, format!("no state `{ident}` in this enum{}", hint.unwrap_or_default()));
        }
        found
    };
    for row in &model.rows {
        for target in row.targets() {
            known(target, errors);
        }
        if let Origin::Any { only, except } = &row.origin {
            for name in only.iter().flatten().chain(except) {
                if model.state(name).is_none() {
                    errors.at(
                        row.span,
                        format!("`during_any` names the state `{name}`, but this enum has no such state"),
                    );
                }
            }
        }
    }
    if let Some(target) = &model.on_abort
        && let Some(state) = known(target, errors)
    {
        let state = &model.states[state];
        // The arrival of an abort runs no row, so no method can make a payload (rule R15).
        if !matches!(state.end, Some((End::Failed, _))) || state.payload.is_some() {
            errors.on(target, "`on_abort` needs a failure end without payload: name a `#[terminal(failure)]` state without payload");
        }
    }
    let mut names = BTreeSet::new();
    for state in &model.states {
        if let Some(was) = state
            .was
            .iter()
            .find(|&was| state.name == *was || state.was.iter().filter(|other| *other == was).count() > 1)
        {
            errors.at(
                state.name_span,
                format!("`was = \"{was}\"` is the name of this state already: leave it out"),
            );
        } else if let Some(was) = state.was.iter().find(|&was| {
            // The count includes the state itself.
            let here = |other: &&crate::model::State| other.name == *was || other.was.contains(was);
            model.states.iter().filter(here).count() > 1
        }) {
            errors.at(
                state.name_span,
                format!("`was = \"{was}\"` is also a name of another state: a stored name must belong to one state"),
            );
        }
        if !names.insert(&state.name) {
            errors.at(
                state.name_span,
                format!(
                    "two states are stored as `{}`: give one of them another `#[state(name = \"..\")]`",
                    state.name
                ),
            );
        }
    }
    // The table identifies an event by the last segment of its path.
    let mut events: Vec<&syn::Path> = Vec::new();
    for trigger in model.rows.iter().flat_map(|row| &row.triggers) {
        if let TriggerKind::Event(path) = &trigger.kind {
            match events.iter().find(|known| last(known) == last(path)) {
                Some(known) if *known != path => {
                    errors.on(path, format!("two events are called `{}` here; write the same path everywhere, or rename one with `use .. as ..`", last(path)));
                }
                Some(_) => {}
                None => events.push(path),
            }
        }
    }
}

/// A timer is stored by its name (rule R7). So two timers of one state need different names.
pub(super) fn timers(model: &Model, errors: &mut Errors) {
    // A timer of `during_any` belongs to several states. One message is enough.
    let mut told: Vec<&str> = Vec::new();
    for state in 0..model.states.len() {
        let timers = model.timers_of(state);
        for (index, timer) in timers.iter().enumerate() {
            let clash = timers[..index].iter().any(|other| other.name == timer.name);
            if !clash || told.contains(&timer.name.as_str()) {
                continue;
            }
            told.push(&timer.name);
            let span = model.rows.iter().flat_map(|row| &row.triggers).find_map(|trigger| {
                matches!(&trigger.kind, TriggerKind::Timer(found) if found == *timer).then_some(trigger.span)
            });
            errors.at(
                span.unwrap_or_else(|| model.states[state].ident.span()),
                format!(
                    "two timers of `{}` are called `{}`: give one of them another `name = \"..\"`",
                    model.states[state].ident, timer.name
                ),
            );
        }
    }
}

/// A timer that fires once needs a row without a guard. The timer is used up even if all guards
/// return false.
pub(super) fn guarded_timers(model: &Model, errors: &mut Errors) {
    let mut told: Vec<&str> = Vec::new();
    for state in (0..model.states.len()).filter(|&state| model.states[state].end.is_none()) {
        let rows: Vec<&Row> = model.rows_of(state).into_iter().map(|row| &model.rows[row]).collect();
        for trigger in rows.iter().flat_map(|row| &row.triggers) {
            let TriggerKind::Timer(timer) = &trigger.kind else { continue };
            let takes =
                |row: &&Row| row.triggers.iter().any(|other| other.same(trigger)) && row.guard.is_none();
            // `every` fires again, so all guards may return false.
            if matches!(timer.due, Due::Every { .. }) || rows.iter().any(takes) {
                continue;
            }
            if !told.contains(&timer.name.as_str()) {
                told.push(&timer.name);
                errors.at(
                    trigger.span,
                    format!(
                        "only guarded rows take `{}` in `{}`, but the timer fires once: add a row without a guard, \
                         with `stay` for no effect",
                        trigger.text(),
                        model.states[state].ident
                    ),
                );
            }
        }
    }
}

/// Finds incomplete rows, and rows that can never run.
pub(super) fn rows(model: &Model, errors: &mut Errors) {
    for row in &model.rows {
        initially(row, errors);
        payloads(model, row, errors);
        moves(model, row, errors);
        if row.triggers.len() > 1 {
            let mut seen = BTreeSet::new();
            for trigger in &row.triggers {
                if !seen.insert(trigger.text()) {
                    errors.at(trigger.span, format!("`{}` occurs twice in this row", trigger.text()));
                }
            }
        }
    }
    closed(
        model,
        &model
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.origin == Origin::Initially)
            .map(|(index, _)| index)
            .collect::<Vec<_>>(),
        errors,
    );
    // The same two rows may apply in several states. One message is enough.
    let mut told = BTreeSet::new();
    for state in 0..model.states.len() {
        let own: Vec<usize> = model.rows_of(state);
        for pair in closing(model, &own) {
            // A row of the state may override a row of `during_any`.
            let overridden = matches!(model.rows[pair.1].origin, Origin::Any { .. })
                && model.rows[pair.0].origin == Origin::State(state);
            if !overridden {
                told.insert(pair);
            }
        }
    }
    for (earlier, later, text) in told {
        report_closed(model, earlier, later, &text, errors);
    }
}

/// Finds rows that can never run, because an earlier row without a guard has the same trigger.
/// Returns the earlier row, the later row and the trigger.
fn closing(model: &Model, rows: &[usize]) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    for (position, &later) in rows.iter().enumerate() {
        let row = &model.rows[later];
        let before =
            || rows[..position].iter().copied().filter(|&earlier| model.rows[earlier].guard.is_none());
        // The row of an event does not prevent a set with the event (rule R5). Only an equal set
        // does.
        if row.all {
            let earlier =
                before().find(|&earlier| model.rows[earlier].all && same_set(&model.rows[earlier], row));
            found.extend(earlier.map(|earlier| (earlier, later, row.waits_for())));
            continue;
        }
        for trigger in &row.triggers {
            let earlier = before().find(|&earlier| {
                let earlier = &model.rows[earlier];
                !earlier.all && earlier.triggers.iter().any(|other| other.same(trigger))
            });
            found.extend(earlier.map(|earlier| (earlier, later, trigger.text())));
        }
    }
    found
}

fn same_set(one: &Row, other: &Row) -> bool {
    let names = |row: &Row| row.triggers.iter().map(Trigger::text).collect::<BTreeSet<_>>();
    names(one) == names(other)
}

fn closed(model: &Model, rows: &[usize], errors: &mut Errors) {
    for (earlier, later, text) in closing(model, rows) {
        report_closed(model, earlier, later, &text, errors);
    }
}

fn report_closed(model: &Model, earlier: usize, later: usize, text: &str, errors: &mut Errors) {
    let span = |row: usize| {
        let row = &model.rows[row];
        row.triggers.iter().find(|trigger| trigger.text() == text).map_or(row.span, |trigger| trigger.span)
    };
    errors
        .at(span(later), format!("this row can never run: an earlier row already takes every `{text}` here"));
    errors.at(
        span(earlier),
        format!("the earlier row for `{text}`: add a `guard(..)` to this row, or remove one of the two rows"),
    );
}

fn initially(row: &Row, errors: &mut Errors) {
    if row.origin != Origin::Initially {
        return;
    }
    if row.verdict.is_some()
        || row.all
        || !row
            .triggers
            .iter()
            .all(|trigger| matches!(trigger.kind, TriggerKind::Event(_)) && !trigger.superseded)
    {
        errors.at(row.span, "an instance starts with an event: `initially` takes only `when(Event, ..)`");
        return;
    }
    if row.triggers.len() > 1 {
        errors.at(row.span, "a starting row takes one event: write one row for each event");
    }
    if row.run().is_none() {
        errors.at(
            row.span,
            "a starting row needs a method that builds the data: add `run(method)` to this row",
        );
    }
    if row.targets().is_empty() {
        errors.at(row.span, "a starting row needs a state: add `transition_to(State)`");
    }
    if let Some(span) = row.compensate {
        errors.at(span, "a starting row has no obligations: remove `compensate`");
    }
}

/// A row needs `run` if its target has a payload, or if the row has several targets.
fn payloads(model: &Model, row: &Row, errors: &mut Errors) {
    let targets = row.targets();
    // The function `initially` already requires `run` in a starting row.
    if row.origin == Origin::Initially || row.run().is_some() {
        return;
    }
    match targets.as_slice() {
        [] => {}
        [target] => {
            let state = model.state(&target.to_string()).map(|state| &model.states[state]);
            if let Some(payload) = state.and_then(|state| state.payload.as_ref()) {
                let payload = quote::quote!(#payload);
                errors.on(
                    target,
                    format!(
                        "`{target}` carries `{payload}`: add `run(method)` to this row to build the payload"
                    ),
                );
            }
        }
        [first, ..] => {
            errors.on(first, "a row with several targets needs a method that chooses the target: add `run(method)` to this row");
        }
    }
}

fn moves(model: &Model, row: &Row, errors: &mut Errors) {
    let own = match row.origin {
        Origin::State(state) => Some(&model.states[state]),
        _ => None,
    };
    for target in row.targets() {
        if own.is_some_and(|state| state.ident == *target) {
            errors.on(
                target,
                format!("`{target}` is the present state: write `reenter` for a new visit, or `stay`"),
            );
        }
    }
    if let Some(to) = &row.to {
        let leaves = matches!(to.kind, MoveKind::To(_) | MoveKind::Reenter);
        if let (Some(span), false) = (row.compensate, leaves) {
            errors
                .at(span, "a row with `compensate` needs a state for its arrival: write `transition_to(..)` or `reenter` in this row");
        }
        if matches!(to.kind, MoveKind::Reenter) && own.is_none() && row.run().is_some() {
            errors.at(to.span, "`reenter` with `run` in `during_any` has no payload type: leave out `run`, or write the row in each state");
        }
    }
}

/// Finds states that no row leads to, states that no row leaves, and states without a path to an
/// end.
pub(super) fn states(model: &Model, errors: &mut Errors) {
    let leads = |row: &Row| -> Vec<usize> {
        row.targets().iter().filter_map(|target| model.state(&target.to_string())).collect()
    };
    let mut reached: BTreeSet<usize> =
        model.rows.iter().filter(|row| row.origin == Origin::Initially).flat_map(leads).collect();
    // Without a start, the search below would report states as unreachable.
    if !model.rows.iter().any(|row| row.origin == Origin::Initially) {
        errors.on(
            &model.ident,
            "this saga has no starting row: add `#[initially(when(Event, run(method), transition_to(State)))]`",
        );
        return;
    }
    loop {
        // An abort leads to the state of `on_abort` without a row.
        let more: BTreeSet<usize> = reached
            .iter()
            .flat_map(|&state| model.rows_of(state))
            .flat_map(|row| leads(&model.rows[row]))
            .chain(model.on_abort.as_ref().and_then(|state| model.state(&state.to_string())))
            .filter(|state| !reached.contains(state))
            .collect();
        if more.is_empty() {
            break;
        }
        reached.extend(more);
    }
    let mut ending: BTreeSet<usize> =
        (0..model.states.len()).filter(|&state| model.states[state].end.is_some()).collect();
    loop {
        let more: Vec<usize> = (0..model.states.len())
            .filter(|state| !ending.contains(state))
            .filter(|&state| {
                model
                    .rows_of(state)
                    .iter()
                    .any(|&row| leads(&model.rows[row]).iter().any(|to| ending.contains(to)))
            })
            .collect();
        if more.is_empty() {
            break;
        }
        ending.extend(more);
    }
    for (index, state) in model.states.iter().enumerate() {
        let ident = &state.ident;
        if !reached.contains(&index) {
            errors.on(
                ident,
                format!("no row leads to `{ident}`: add a `transition_to({ident})`, or remove the state"),
            );
        } else if state.end.is_none() && !model.rows_of(index).iter().any(|&row| leaves(&model.rows[row])) {
            errors.on(
                ident,
                format!(
                    "no row leaves `{ident}`: add a `#[during(..)]` to the state, or mark the state `#[terminal]`"
                ),
            );
        } else if !ending.contains(&index) {
            errors.on(
                ident,
                format!("no end can be reached from `{ident}`: add a row towards a `#[terminal]` state"),
            );
        }
        if state.end.is_some() {
            terminal(model, index, errors);
        }
    }
    compensations(model, errors);
}

fn leaves(row: &Row) -> bool {
    matches!(row.to.as_ref().map(|to| &to.kind), Some(MoveKind::To(_)))
}

fn terminal(model: &Model, index: usize, errors: &mut Errors) {
    let state = &model.states[index];
    let ident = &state.ident;
    // A row of `during_any` does not apply in a terminal state (rule R2).
    for row in model.rows.iter().filter(|row| row.origin == Origin::State(index)) {
        let span = row.triggers.first().map_or(row.span, |trigger| trigger.span);
        errors.at(span, format!("`{ident}` is terminal and cannot have rows: remove this row"));
    }
    for undo in &state.compensations {
        errors.on(
            &undo.command,
            format!("`{ident}` is terminal and cannot have `compensate_with`: remove this attribute"),
        );
    }
    if let Some(
        Act::Run(method)
        | Act::Send { method, .. }
        | Act::Publish { method, .. }
        | Act::Start { method, .. }
        | Act::Alias { method, .. },
    ) = state.on_leave.first()
    {
        errors.on(method, format!("`{ident}` is terminal and cannot have `on_leave`: remove this attribute"));
    }
    for act in &state.on_enter {
        if let Act::Send { undo: Some(undo), .. } = act {
            errors.on(&undo.command, format!("`{ident}` is terminal: this undo could never run"));
        }
    }
}

/// Finds undo commands of states from which no row with `compensate` can be reached.
fn compensations(model: &Model, errors: &mut Errors) {
    let runs_from = |start: usize| {
        let (mut seen, mut next) = (BTreeSet::from([start]), vec![start]);
        while let Some(state) = next.pop() {
            for row in model.rows_of(state) {
                let row = &model.rows[row];
                if row.compensate.is_some() {
                    return true;
                }
                for target in row.targets().iter().filter_map(|target| model.state(&target.to_string())) {
                    if seen.insert(target) {
                        next.push(target);
                    }
                }
            }
        }
        false
    };
    for (index, state) in model.states.iter().enumerate() {
        for undo in &state.compensations {
            // `terminal` reports the undo commands of a terminal state.
            if state.end.is_none() && !runs_from(index) {
                errors.on(
                    &undo.command,
                    format!(
                        "the undo `{}` can never run: no row from `{}` onwards has `compensate`",
                        last(&undo.command),
                        state.ident
                    ),
                );
            }
        }
    }
}

/// A deferred event needs a row in a later state. Otherwise the event only waits for the end of the
/// instance.
pub(super) fn deferred(model: &Model, errors: &mut Errors) {
    let takes = |state: usize, event: &str| {
        model.rows_of(state).into_iter().map(|row| &model.rows[row]).any(|row| {
            row.verdict != Some(Verdict::Defer) && row.triggers.iter().any(|trigger| trigger.text() == event)
        })
    };
    let mut told = BTreeSet::new();
    for state in (0..model.states.len()).filter(|&state| model.states[state].end.is_none()) {
        let onwards = onwards(model, state);
        for row in model.rows_of(state).into_iter().map(|row| &model.rows[row]) {
            if row.verdict != Some(Verdict::Defer) {
                continue;
            }
            for trigger in &row.triggers {
                let event = trigger.text();
                if !onwards.iter().any(|&state| takes(state, &event)) && told.insert(event.clone()) {
                    errors.at(
                        trigger.span,
                        format!(
                            "no state after `{}` takes `{event}`: the deferred event would wait for the end; add a \
                             row in a later state, or `ignore({event})` here",
                            model.states[state].ident
                        ),
                    );
                }
            }
        }
    }
}

/// The states that can be reached from a state. The state itself is included if a row leads back.
fn onwards(model: &Model, start: usize) -> BTreeSet<usize> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(state) = next.pop() {
        for row in model.rows_of(state).into_iter().map(|row| &model.rows[row]) {
            // A new visit of the same state makes deferred events eligible again (rule R6).
            let again = matches!(row.to.as_ref().map(|to| &to.kind), Some(MoveKind::Reenter));
            let targets = row.targets().into_iter().filter_map(|target| model.state(&target.to_string()));
            for target in targets.chain(again.then_some(state)) {
                if seen.insert(target) {
                    next.push(target);
                }
            }
        }
    }
    seen
}

/// Each event of the table is decided in each state that is not terminal (rule R1).
pub(super) fn totality(model: &Model, errors: &mut Errors) {
    let starting: BTreeSet<String> = model
        .rows
        .iter()
        .filter(|row| row.origin == Origin::Initially)
        .flat_map(|row| row.triggers.iter().map(Trigger::text))
        .collect();
    for (index, state) in model.states.iter().enumerate() {
        if state.end.is_some() || state.unhandled.or(model.unhandled).is_some() {
            continue;
        }
        let rows = model.rows_of(index);
        let (mut missing, mut guarded) = (Vec::new(), Vec::new());
        for event in model.events() {
            let name = last(event);
            let taking: Vec<&Row> = rows
                .iter()
                .map(|&row| &model.rows[row])
                .filter(|row| row.triggers.iter().any(|trigger| trigger.text() == name))
                .collect();
            // A starting event is ignored without a row. A set decides its events even if its guard
            // returns false (rule R1).
            if starting.contains(&name) || taking.iter().any(|row| row.guard.is_none() || row.all) {
                continue;
            }
            if taking.is_empty() { missing.push(name) } else { guarded.push(name) }
        }
        let ident = &state.ident;
        if !missing.is_empty() {
            let list = missing.join(", ");
            errors.on(ident, format!("no row decides {list} in `{ident}`: add rows, `ignore(..)` or `reject(..)`, or `#[unhandled(..)]`"));
        }
        if !guarded.is_empty() {
            let list = guarded.join(", ");
            errors.on(ident, format!("only guarded rows take {list} in `{ident}`: add a row without a guard, `ignore(..)` or `reject(..)`, or `#[unhandled(..)]`"));
        }
    }
}

/// The known name with the smallest distance, if the distance is small.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|known| (distance(name, &known), known))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, known)| known)
}

/// The number of letters to replace, add or remove (Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = usize::from(x != *y);
            let next = (diagonal + cost).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
