//! Rows and clauses: `when(..)`, `timeout(..)`, `ignore(..)`, `reject(..)` and what stands in them.

use proc_macro2::{Span, TokenStream};
use syn::Path;
use syn::spanned::Spanned;

use super::item::{Item, items};
use crate::errors::Errors;
use crate::model::{
    Act, Move, MoveKind, Origin, Row, Trigger, TriggerKind, UndoUse, Verdict, Waive, last_ident, lower,
};

/// The clauses a row may hold, for messages.
const CLAUSES: &str = "guard, run, send, publish, compensate, not_owed, waive, doc, and one of transition_to, stay, \
                       reenter, park";

/// Reads the rows of an attribute.
pub(super) fn rows(list: Vec<Item>, origin: &Origin, errors: &mut Errors) -> Vec<Row> {
    list.iter().map(|item| row(item, origin.clone(), errors)).collect()
}

fn row(item: &Item, origin: Origin, errors: &mut Errors) -> Row {
    let before = errors.len();
    let mut row = Row {
        origin,
        span: item.span(),
        triggers: Vec::new(),
        verdict: None,
        guard: None,
        compensate: None,
        not_owed: Vec::new(),
        waive: Waive::Nothing,
        acts: Vec::new(),
        to: None,
        doc: String::new(),
        broken: false,
    };
    match item.name().as_str() {
        "when" => when(item, &mut row, errors),
        "timeout" => timeout(item, &mut row, errors),
        "ignore" => verdict(item, Verdict::Ignore, &mut row, errors),
        "reject" => verdict(item, Verdict::Reject, &mut row, errors),
        _ => {
            errors.on(&item.path, "expected a row: `when(..)`, `timeout(..)`, `ignore(..)` or `reject(..)`");
            // What it mentions is still emitted, so that the rest of the program does not miss it.
            when(item, &mut row, &mut Errors::default());
        }
    }
    if row.verdict.is_none() && row.to.is_none() && errors.len() == before {
        errors.at(
            row.span,
            "this row does not say where it leads: add `transition_to(State)`, `stay`, `reenter` or `park`",
        );
    }
    row.broken = errors.len() > before;
    row
}

fn when(item: &Item, row: &mut Row, errors: &mut Errors) {
    let mut list = item.items(errors).into_iter();
    match list.next() {
        Some(first) => trigger(first, &mut row.triggers, errors),
        None => errors.on(&item.path, "write what it waits for: `when(Event, ..)`"),
    }
    for item in list {
        clause(&item, row, errors);
    }
}

fn verdict(item: &Item, verdict: Verdict, row: &mut Row, errors: &mut Errors) {
    row.verdict = Some(verdict);
    for item in item.items(errors) {
        trigger(item, &mut row.triggers, errors);
    }
    for trigger in &row.triggers {
        if verdict == Verdict::Reject && !matches!(trigger.kind, TriggerKind::Event(_)) {
            errors.at(
                trigger.span,
                "only events can be rejected; an outcome has happened: `ignore(..)` it, or write a row",
            );
        }
    }
}

fn trigger(item: Item, triggers: &mut Vec<Trigger>, errors: &mut Errors) {
    let span = item.span();
    match item.name().as_str() {
        "failed" => {
            let path = item.one_path("Command", errors);
            triggers.extend(path.map(|path| Trigger { span: path.span(), kind: TriggerKind::Failed(path) }));
        }
        "unknown" => {
            let path = item.one_path("Command", errors);
            triggers.extend(path.map(|path| Trigger { span: path.span(), kind: TriggerKind::Unknown(path) }));
        }
        "any" => {
            for item in item.items(errors) {
                trigger(item, triggers, errors);
            }
        }
        _ => {
            let path = item.only_path(errors);
            triggers.extend(path.map(|path| Trigger { span, kind: TriggerKind::Event(path) }));
        }
    }
}

fn timeout(item: &Item, row: &mut Row, errors: &mut Errors) {
    let (mut millis, mut name, mut given) = (0_u64, None, String::new());
    for item in item.items(errors) {
        let unit = match item.name().as_str() {
            "millis" => (1, "ms"),
            "seconds" => (1_000, "s"),
            "minutes" => (60_000, "m"),
            "hours" => (3_600_000, "h"),
            "days" => (86_400_000, "d"),
            "name" => {
                name = item.text(errors);
                continue;
            }
            _ => {
                clause(&item, row, errors);
                continue;
            }
        };
        if let Some(number) = item.number(errors) {
            millis = millis.saturating_add(number.saturating_mul(unit.0));
            given.push_str(&format!("{number}{}", unit.1));
        }
    }
    if millis == 0 {
        errors.on(
            &item.path,
            "say how long: `timeout(minutes = 15, ..)`; the units are millis, seconds, minutes, hours, days",
        );
    }
    let name = name.unwrap_or(given);
    row.triggers.push(Trigger { kind: TriggerKind::Timer { name, millis }, span: item.span() });
}

fn clause(item: &Item, row: &mut Row, errors: &mut Errors) {
    let mut go = |kind: Option<MoveKind>, errors: &mut Errors| {
        let Some(kind) = kind else { return };
        if row.to.is_some() {
            errors.on(&item.path, "a row leads to one place: this is the second move in it");
        } else {
            row.to = Some(Move { kind, span: item.span() });
        }
    };
    match item.name().as_str() {
        "transition_to" => {
            let targets: Vec<_> = item.items(errors).iter().filter_map(|item| item.ident(errors)).collect();
            if targets.is_empty() && item.args.is_some() {
                errors.on(&item.path, "name the state: `transition_to(State)`");
            }
            go((!targets.is_empty()).then_some(MoveKind::To(targets)), errors);
        }
        "stay" => go(Some(MoveKind::Stay), errors),
        "reenter" => go(Some(MoveKind::Reenter), errors),
        "park" => go(Some(MoveKind::Park), errors),
        "guard" => match item.one_ident("method", errors) {
            Some(_) if row.guard.is_some() => {
                errors.on(&item.path, "a row has one guard: this is the second");
            }
            guard => row.guard = guard,
        },
        "compensate" => row.compensate = Some(item.span()),
        "not_owed" => row.not_owed.extend(paths(item, errors)),
        "waive" => match (&item.args, &mut row.waive) {
            (None, waive) => *waive = Waive::All,
            (Some(_), Waive::Named(named)) => named.extend(paths(item, errors)),
            (Some(_), waive) => *waive = Waive::Named(paths(item, errors)),
        },
        "doc" => row.doc = item.text(errors).unwrap_or_default(),
        _ => {
            let act = act(item, errors);
            match act {
                Some(Some(Act::Run(_))) if row.run().is_some() => {
                    errors.on(&item.path, "a row runs one method: this is the second `run`");
                }
                Some(act) => row.acts.extend(act),
                None => errors.on(&item.path, format!("unknown clause; a row may hold {CLAUSES}")),
            }
        }
    }
}

fn paths(item: &Item, errors: &mut Errors) -> Vec<Path> {
    item.items(errors).into_iter().filter_map(|item| item.only_path(errors)).collect()
}

/// `run`, `send` or `publish`; the outer `None` when it is none of these.
fn act(item: &Item, errors: &mut Errors) -> Option<Option<Act>> {
    Some(match item.name().as_str() {
        "run" => item.one_ident("method", errors).map(Act::Run),
        "send" => built(item, "Command", true, errors).map(|(command, method, each, undo)| Act::Send {
            command,
            method,
            each,
            undo,
        }),
        "publish" => built(item, "Event", false, errors).map(|(event, method, each, _)| Act::Publish {
            event,
            method,
            each,
        }),
        _ => return None,
    })
}

/// A type and its options: `with(method)`, `each`, and for commands `undo(Undo)`.
fn built(
    item: &Item,
    what: &str,
    command: bool,
    errors: &mut Errors,
) -> Option<(Path, syn::Ident, bool, Option<UndoUse>)> {
    let mut list = item.items(errors).into_iter();
    let Some(first) = list.next() else {
        if item.args.is_some() {
            errors.on(&item.path, format!("name what is built: `{}({what})`", item.name()));
        }
        return None;
    };
    let path = first.only_path(errors)?;
    let mut method = method_for(&path);
    let (mut each, mut undo) = (false, None);
    for item in list {
        match item.name().as_str() {
            "with" => method = item.one_ident("method", errors).unwrap_or(method),
            "each" => each = true,
            "undo" if command => undo = undo_use(&item, errors),
            _ => errors.on(
                &item.path,
                if command {
                    "unknown option; `send` takes `with(method)`, `each` and `undo(Undo)`"
                } else {
                    "unknown option; `publish` takes `with(method)` and `each`"
                },
            ),
        }
    }
    Some((path, method, each, undo))
}

/// An undo command with its options: `undo(Undo, with(method))`, `compensate_with(Undo)`.
pub(super) fn undo_use(item: &Item, errors: &mut Errors) -> Option<UndoUse> {
    let mut list = item.items(errors).into_iter();
    let Some(first) = list.next() else {
        if item.args.is_some() {
            errors.on(&item.path, "name the undo command");
        }
        return None;
    };
    let command = first.only_path(errors)?;
    let mut method = method_for(&command);
    for item in list {
        match item.name().as_str() {
            "with" => method = item.one_ident("method", errors).unwrap_or(method),
            _ => errors.on(&item.path, "unknown option; an undo takes `with(method)`"),
        }
    }
    Some(UndoUse { command, method })
}

/// The method named after what it builds, where the type stands.
fn method_for(path: &Path) -> syn::Ident {
    let ident = last_ident(path);
    let name = lower(&ident.to_string(), '_');
    syn::parse_str::<syn::Ident>(&name)
        .map_or_else(|_| syn::Ident::new_raw(&name, ident.span()), |_| syn::Ident::new(&name, ident.span()))
}

/// The clauses of `on_enter` and `on_leave`.
pub(super) fn acts(tokens: TokenStream, errors: &mut Errors) -> Vec<Act> {
    let mut acts = Vec::new();
    for item in items(tokens, errors) {
        match act(&item, errors) {
            Some(act) => acts.extend(act),
            None => errors.on(&item.path, "only `run`, `send` and `publish` can stand here"),
        }
    }
    acts
}

/// `ignore` or `reject`.
pub(super) fn policy(tokens: TokenStream, span: Span, errors: &mut Errors) -> Option<Verdict> {
    let list = items(tokens, errors);
    match list.as_slice() {
        [item] if item.name() == "ignore" => Some(Verdict::Ignore),
        [item] if item.name() == "reject" => Some(Verdict::Reject),
        [item] => {
            errors.on(&item.path, "write `ignore` or `reject`");
            None
        }
        _ => {
            errors.at(span, "write `ignore` or `reject` in it");
            None
        }
    }
}
