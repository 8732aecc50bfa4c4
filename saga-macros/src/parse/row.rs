//! Reads rows with their clauses: `when(..)`, `when_all(..)`, `timeout(..)`, `every(..)`,
//! `ignore(..)`, `reject(..)` and `defer(..)`.

use proc_macro2::{Span, TokenStream};
use syn::Path;
use syn::spanned::Spanned;

use super::item::{Item, Once, items};
use crate::errors::Errors;
use crate::model::{
    Act, DEADLINE, Due, Missing, Move, MoveKind, Origin, Row, Timer, Trigger, TriggerKind, UndoUse, Verdict,
    Waive, last_ident, lower,
};

/// The clauses of a row, for messages.
const CLAUSES: &str = "guard, run, send, publish, start, claim, release, compensate, not_owed, waive, doc, and one of transition_to, stay, \
                       reenter, park";

/// Reads the rows of an attribute.
pub(super) fn rows(list: Vec<Item>, origin: &Origin, errors: &mut Errors) -> Vec<Row> {
    list.iter().map(|item| row(item, origin.clone(), errors)).collect()
}

fn row(item: &Item, origin: Origin, errors: &mut Errors) -> Row {
    let before = errors.len();
    let mut row = empty(origin, item.span());
    match item.name().as_str() {
        "when" => when(item, &mut row, errors),
        "when_all" => when_all(item, &mut row, errors),
        "timeout" => timeout(item, &mut row, errors),
        "every" => every(item, &mut row, errors),
        "ignore" => verdict(item, Verdict::Ignore, &mut row, errors),
        "reject" => verdict(item, Verdict::Reject, &mut row, errors),
        "defer" => verdict(item, Verdict::Defer, &mut row, errors),
        _ => {
            errors.on(
                &item.path,
                "expected a row: `when(..)`, `when_all(..)`, `timeout(..)`, `every(..)`, `ignore(..)`, `reject(..)` or `defer(..)`",
            );
            // The generated code still contains the names in the row. So the unknown keyword causes
            // no errors elsewhere.
            when(item, &mut row, &mut Errors::default());
        }
    }
    moves_somewhere(&row, before, errors);
    row.broken = errors.len() > before;
    row
}

fn empty(origin: Origin, span: Span) -> Row {
    Row {
        origin,
        span,
        triggers: Vec::new(),
        all: false,
        verdict: None,
        guard: None,
        compensate: None,
        not_owed: Vec::new(),
        waive: Waive::Nothing,
        acts: Vec::new(),
        to: None,
        doc: String::new(),
        broken: false,
    }
}

fn when(item: &Item, row: &mut Row, errors: &mut Errors) {
    let mut list = item.items(errors).into_iter();
    match list.next() {
        Some(first) => trigger(first, &mut row.triggers, errors),
        None => errors.on(&item.path, "name the trigger of the row: `when(Event, ..)`"),
    }
    for item in list {
        clause(&item, row, errors);
    }
}

/// Reads `when_all(Event, Event, .., clause, ..)`. The events stand before the clauses.
fn when_all(item: &Item, row: &mut Row, errors: &mut Errors) {
    row.all = true;
    let before = errors.len();
    let mut list = item.items(errors).into_iter().peekable();
    // The name of a type begins with an uppercase letter, and a clause with a lowercase letter.
    while let Some(item) = list.next_if(|item| {
        let name = item.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        name.starts_with(char::is_uppercase)
    }) {
        let span = item.span();
        let path = item.only_path(errors);
        row.triggers.extend(path.map(|path| Trigger {
            kind: TriggerKind::Event(path),
            span,
            superseded: false,
        }));
    }
    if row.triggers.len() < 2 && errors.len() == before {
        errors.on(
            &item.path,
            "a set has at least two events: `when_all(Event, Event, .., clause, ..)`; write `when(Event, ..)` for one event",
        );
    }
    for item in list {
        clause(&item, row, errors);
    }
}

fn verdict(item: &Item, verdict: Verdict, row: &mut Row, errors: &mut Errors) {
    row.verdict = Some(verdict);
    for item in item.some_items(errors) {
        trigger(item, &mut row.triggers, errors);
    }
    for trigger in &row.triggers {
        // An outcome cannot be rejected or deferred (rule R3).
        let event = matches!(trigger.kind, TriggerKind::Event(_)) && !trigger.superseded;
        if verdict == Verdict::Ignore || event {
            continue;
        }
        let what = if verdict == Verdict::Reject { "rejected" } else { "deferred" };
        errors.at(
            trigger.span,
            format!("only events can be {what}; write `ignore(..)` or a row for an outcome"),
        );
    }
}

fn trigger(item: Item, triggers: &mut Vec<Trigger>, errors: &mut Errors) {
    let span = item.span();
    match item.name().as_str() {
        "failed" => {
            let path = item.one_path("Command", errors);
            triggers.extend(path.map(|path| plain(path.span(), TriggerKind::Failed(path))));
        }
        "unknown" => {
            let path = item.one_path("Command", errors);
            triggers.extend(path.map(|path| plain(path.span(), TriggerKind::Unknown(path))));
        }
        "finished" => {
            let path = item.one_path("Child", errors);
            triggers.extend(path.map(|path| plain(path.span(), TriggerKind::Finished(path))));
        }
        "all_finished" => {
            let path = item.one_path("Child", errors);
            triggers.extend(path.map(|path| plain(path.span(), TriggerKind::AllFinished(path))));
        }
        "parked" => {
            let path = item.one_path("Child", errors);
            triggers.extend(path.map(|path| plain(path.span(), TriggerKind::Parked(path))));
        }
        "superseded" => {
            let before = triggers.len();
            for item in item.some_items(errors) {
                trigger(item, triggers, errors);
            }
            for trigger in triggers.iter_mut().skip(before) {
                // The report of a child is not an answer to a command.
                if trigger.kind.child().is_some() {
                    errors.at(
                        trigger.span,
                        "only answers to commands can be superseded: remove `superseded(..)` here",
                    );
                } else {
                    trigger.superseded = true;
                }
            }
        }
        "any" => {
            for item in item.some_items(errors) {
                trigger(item, triggers, errors);
            }
        }
        _ => {
            let path = item.only_path(errors);
            triggers.extend(path.map(|path| plain(span, TriggerKind::Event(path))));
        }
    }
}

fn plain(span: Span, kind: TriggerKind) -> Trigger {
    Trigger { kind, span, superseded: false }
}

/// The time and the name of `timeout(..)`, `every(..)`, `deadline(..)` and
/// `missing_instance(defer(..))`.
#[derive(Default)]
struct Timing {
    millis: u64,
    /// The time as written. This text is the default name of the timer.
    given: String,
    name: Option<String>,
    was: Vec<String>,
    times: Option<u32>,
    method: Option<Due>,
}

impl Timing {
    /// Reads the time and the name. All other items are read as clauses of `row`.
    fn read(item: &Item, row: &mut Row, errors: &mut Errors) -> Self {
        let mut timing = Self::default();
        let repeats = item.name() == "every";
        let mut once = Once::default();
        for item in item.items(errors) {
            if matches!(
                item.name().as_str(),
                "millis" | "seconds" | "minutes" | "hours" | "days" | "name" | "times" | "after" | "at"
            ) {
                once.check(&item, errors);
            }
            let unit = match item.name().as_str() {
                "millis" => (1, "ms"),
                "seconds" => (1_000, "s"),
                "minutes" => (60_000, "m"),
                "hours" => (3_600_000, "h"),
                "days" => (86_400_000, "d"),
                "name" => {
                    timing.name = item.text(errors);
                    if timing.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 100) {
                        errors.on(&item.path, "the name of a timer has 1 to 100 characters");
                    }
                    continue;
                }
                "was" => {
                    timing.was.extend(item.text(errors));
                    continue;
                }
                // Only `every` repeats. Elsewhere `times` is an unknown clause.
                "times" if repeats => {
                    match item.number(errors).map(u32::try_from) {
                        Some(Ok(times)) if times > 0 => timing.times = Some(times),
                        Some(_) => errors.on(&item.path, "a timer fires at least once: `times = 1`"),
                        None => {}
                    }
                    continue;
                }
                // The period of `every` is fixed. There `after` and `at` are unknown clauses.
                "after" | "at" if !repeats => {
                    if timing.method.is_some() {
                        errors.on(&item.path, "the time is given twice: leave out `after` or `at`");
                    }
                    let due = if item.name() == "after" { Due::AfterMethod } else { Due::AtMethod };
                    timing.method = item.one_ident("method", errors).map(due);
                    continue;
                }
                _ => {
                    clause(&item, row, errors);
                    continue;
                }
            };
            if let Some(number) = item.number(errors) {
                timing.millis = timing.millis.saturating_add(number.saturating_mul(unit.0));
                timing.given.push_str(&format!("{number}{}", unit.1));
            }
        }
        timing
    }
}

fn timeout(item: &Item, row: &mut Row, errors: &mut Errors) {
    let before = errors.len();
    let timing = Timing::read(item, row, errors);
    // A unit of zero is a time, too.
    let (due, given) = match (timing.method, !timing.given.is_empty()) {
        (Some(Due::AfterMethod(method) | Due::AtMethod(method)), true) => {
            errors.on(&method, "the time is given twice: leave out the method, or the units");
            return;
        }
        // The name of the method is the default name of the timer.
        (Some(due @ (Due::AfterMethod(_) | Due::AtMethod(_))), false) => {
            let (Due::AfterMethod(method) | Due::AtMethod(method)) = &due else { return };
            let given = method.to_string();
            (due, given)
        }
        _ => (Due::After(timing.millis), timing.given),
    };
    // A unit that could not be read is already reported.
    if due == Due::After(0) && errors.len() == before {
        errors.on(
            &item.path,
            "a time-out needs a time: `timeout(minutes = 15, ..)` with millis, seconds, minutes, hours or days, or \
             `timeout(after(method), ..)`, or `timeout(at(method), ..)`",
        );
    }
    timer(Timer { name: timing.name.unwrap_or(given), was: timing.was, due }, item, row, errors);
}

fn every(item: &Item, row: &mut Row, errors: &mut Errors) {
    let timing = Timing::read(item, row, errors);
    if timing.millis == 0 {
        errors.on(
            &item.path,
            "a repeated timer needs an interval: `every(days = 1, ..)`; the units are millis, seconds, minutes, hours, days",
        );
    }
    let name = timing.name.unwrap_or_else(|| format!("every {}", timing.given));
    let due = Due::Every { millis: timing.millis, times: timing.times };
    timer(Timer { name, was: timing.was, due }, item, row, errors);
}

fn timer(timer: Timer, item: &Item, row: &mut Row, errors: &mut Errors) {
    // The deadline is stored as a timer with this name.
    if std::iter::once(&timer.name).chain(&timer.was).any(|name| name == DEADLINE) {
        errors.on(
            &item.path,
            "`deadline` is the name of the timer of the whole saga; give this timer another name",
        );
    }
    let is_own =
        |name: &str| name == "when_all" || name == "all_finished" || name.starts_with("all_finished ");
    if let Some(name) = std::iter::once(&timer.name).chain(&timer.was).find(|name| is_own(name)) {
        // The machine sets timers with these names for sets and for the ends of children.
        errors.on(
            &item.path,
            format!("`{name}` is reserved for `when_all` and `all_finished`; give this timer another name"),
        );
    }
    row.triggers.push(plain(item.span(), TriggerKind::Timer(timer)));
}

/// Reads `#[deadline(hours = 2, clause, ..)]`. The row applies in the same states as a row of
/// `during_any`.
pub(super) fn deadline(item: &Item, errors: &mut Errors) -> Row {
    let before = errors.len();
    let mut row = empty(Origin::Any { only: None, except: Vec::new() }, item.span());
    let timing = Timing::read(item, &mut row, errors);
    // A deadline has a fixed time, so `after` and `at` are mistakes.
    if timing.millis == 0 || timing.method.is_some() {
        errors.on(
            &item.path,
            "a deadline needs a time after the start: `deadline(hours = 2, ..)`; the units are millis, seconds, minutes, hours, days",
        );
    }
    if timing.name.is_some() {
        errors.on(&item.path, "the name of a deadline is always `deadline`: leave out `name`");
    }
    let due = Due::Deadline(timing.millis);
    let kind = TriggerKind::Timer(Timer { name: DEADLINE.to_owned(), was: timing.was, due });
    row.triggers.push(plain(item.span(), kind));
    moves_somewhere(&row, before, errors);
    row.broken = errors.len() > before;
    row
}

fn moves_somewhere(row: &Row, before: usize, errors: &mut Errors) {
    // After another mistake, the move may be in an item that could not be read.
    if row.verdict.is_none() && row.to.is_none() && errors.len() == before {
        errors.at(row.span, "this row has no move: add `transition_to(State)`, `stay`, `reenter` or `park`");
    }
}

fn clause(item: &Item, row: &mut Row, errors: &mut Errors) {
    let mut go = |kind: Option<MoveKind>, errors: &mut Errors| {
        let Some(kind) = kind else { return };
        if row.to.is_some() {
            errors.on(&item.path, "a row has one move: this is the second");
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
        word @ ("stay" | "reenter" | "park") => {
            item.flag(errors);
            let kind = match word {
                "stay" => MoveKind::Stay,
                "reenter" => MoveKind::Reenter,
                _ => MoveKind::Park,
            };
            go(Some(kind), errors);
        }
        "guard" => match item.one_ident("method", errors) {
            Some(_) if row.guard.is_some() => {
                errors.on(&item.path, "a row has one guard: this is the second");
            }
            guard => row.guard = guard,
        },
        "compensate" => {
            item.flag(errors);
            row.compensate = Some(item.span());
        }
        "not_owed" => row.not_owed.extend(paths(item, errors)),
        "waive" => match (&item.args, &mut row.waive) {
            (None, Waive::Named(_)) | (Some(_), Waive::All) => errors.on(
                &item.path,
                "`waive` drops all obligations, `waive(Undo)` drops one: leave out one of the two",
            ),
            // `waive` without a list drops all obligations (rule R10).
            (None, waive) => *waive = Waive::All,
            (Some(_), Waive::Named(named)) => named.extend(paths(item, errors)),
            (Some(_), waive) => *waive = Waive::Named(paths(item, errors)),
        },
        "doc" => {
            if !row.doc.is_empty() {
                errors.on(&item.path, "`doc` is given twice: leave out one of the two");
            }
            row.doc = item.text(errors).unwrap_or_default();
        }
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
    item.some_items(errors).into_iter().filter_map(|item| item.only_path(errors)).collect()
}

/// Reads `run`, `send`, `publish`, `start`, `claim` or `release`. The outer `None` means another
/// clause. The inner `None` means a mistake.
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
        "start" => start(item, errors),
        word @ ("claim" | "release") => alias(word == "claim", item, errors),
        _ => return None,
    })
}

/// Reads `claim(method)` or `release(method)`, with the option `each`.
fn alias(claim: bool, item: &Item, errors: &mut Errors) -> Option<Act> {
    let word = if claim { "claim" } else { "release" };
    let mut list = item.items(errors).into_iter();
    let Some(first) = list.next() else {
        if item.args.is_some() {
            errors.on(&item.path, format!("name the method that returns the alias: `{word}(method)`"));
        }
        return None;
    };
    let method = first.ident(errors)?;
    let mut each = false;
    for item in list {
        match item.name().as_str() {
            "each" => {
                item.flag(errors);
                each = true;
            }
            _ => errors.on(&item.path, format!("unknown option; `{word}` takes `each`")),
        }
    }
    Some(Act::Alias { claim, method, each })
}

/// Reads `start(Child)` with the options `with(method)`, `each`, `limit = 10` and `detached`.
fn start(item: &Item, errors: &mut Errors) -> Option<Act> {
    let mut list = item.items(errors).into_iter();
    let Some(first) = list.next() else {
        if item.args.is_some() {
            errors.on(&item.path, "name the saga of the child: `start(Child)`");
        }
        return None;
    };
    let child = first.only_path(errors)?;
    let mut method = method_for(&child);
    let (mut each, mut limit, mut detached) = (false, None, false);
    let mut once = Once::default();
    for item in list {
        once.check(&item, errors);
        match item.name().as_str() {
            "with" => method = item.one_ident("method", errors).unwrap_or(method),
            "each" => {
                item.flag(errors);
                each = true;
            }
            "detached" => {
                item.flag(errors);
                detached = true;
            }
            "limit" => match item.number(errors).map(u32::try_from) {
                Some(Ok(number)) if number > 0 => limit = Some(number),
                Some(_) => errors.on(&item.path, "a limit allows at least one child: `limit = 1`"),
                None => {}
            },
            _ => errors.on(
                &item.path,
                "unknown option; `start` takes `with(method)`, `each`, `limit = N` and `detached`",
            ),
        }
    }
    if detached && limit.is_some() {
        errors.on(
            &item.path,
            "a `limit` does not apply to `detached` children: leave out `limit`, or leave out `detached`",
        );
    }
    Some(Act::Start { child, method, each, limit, detached })
}

/// Reads the list of `send(..)` or `publish(..)`: a type with the options `with(method)` and
/// `each`. A command also takes `undo(Undo)`.
fn built(
    item: &Item,
    what: &str,
    command: bool,
    errors: &mut Errors,
) -> Option<(Path, syn::Ident, bool, Option<UndoUse>)> {
    let mut list = item.items(errors).into_iter();
    let Some(first) = list.next() else {
        if item.args.is_some() {
            errors.on(&item.path, format!("name the type: `{}({what})`", item.name()));
        }
        return None;
    };
    let path = first.only_path(errors)?;
    let mut method = method_for(&path);
    let (mut each, mut undo) = (false, None);
    let mut once = Once::default();
    for item in list {
        once.check(&item, errors);
        match item.name().as_str() {
            "with" => method = item.one_ident("method", errors).unwrap_or(method),
            "each" => {
                item.flag(errors);
                each = true;
            }
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

/// Reads the undo command of `undo(Undo)` or `compensate_with(Undo)`, with the option
/// `with(method)`.
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
    let mut once = Once::default();
    for item in list {
        once.check(&item, errors);
        match item.name().as_str() {
            "with" => method = item.one_ident("method", errors).unwrap_or(method),
            _ => errors.on(&item.path, "unknown option; an undo takes `with(method)`"),
        }
    }
    Some(UndoUse { command, method })
}

/// The default method for a type: the name of the type in snake case, with the span of the type.
fn method_for(path: &Path) -> syn::Ident {
    let ident = last_ident(path);
    let name = lower(&ident.to_string(), '_');
    // These four keywords have no raw form.
    if matches!(name.as_str(), "crate" | "self" | "super" | "_") {
        return syn::Ident::new(&format!("{name}_"), ident.span());
    }
    // Another keyword is an identifier only in its raw form.
    syn::parse_str::<syn::Ident>(&name)
        .map_or_else(|_| syn::Ident::new_raw(&name, ident.span()), |_| syn::Ident::new(&name, ident.span()))
}

/// Reads the clauses of `on_enter(..)` or `on_leave(..)`.
pub(super) fn acts(tokens: TokenStream, errors: &mut Errors) -> Vec<Act> {
    let mut acts = Vec::new();
    for item in items(tokens, errors) {
        match act(&item, errors) {
            Some(act) => acts.extend(act),
            None => errors.on(
                &item.path,
                "only `run`, `send`, `publish`, `start`, `claim` and `release` are allowed here",
            ),
        }
    }
    acts
}

/// Reads `ignore`, `reject` or `defer`.
pub(super) fn policy(tokens: TokenStream, span: Span, errors: &mut Errors) -> Option<Verdict> {
    let list = items(tokens, errors);
    match list.as_slice() {
        [item] if matches!(item.name().as_str(), "ignore" | "reject" | "defer") => {
            item.flag(errors);
            Some(match item.name().as_str() {
                "ignore" => Verdict::Ignore,
                "reject" => Verdict::Reject,
                _ => Verdict::Defer,
            })
        }
        [item] => {
            errors.on(&item.path, "write `ignore`, `reject` or `defer`");
            None
        }
        _ => {
            errors.at(span, "write `ignore`, `reject` or `defer` in the list");
            None
        }
    }
}

/// Reads `ignore`, `reject` or `defer(minutes = 5)`.
pub(super) fn missing(tokens: TokenStream, span: Span, errors: &mut Errors) -> Option<Missing> {
    const WRITE: &str = "write `ignore`, `reject` or `defer(minutes = 5)`";
    let list = items(tokens, errors);
    let [item] = list.as_slice() else {
        errors.at(span, format!("{WRITE} in the list"));
        return None;
    };
    match item.name().as_str() {
        "ignore" => {
            item.flag(errors);
            Some(Missing::Ignore)
        }
        "reject" => {
            item.flag(errors);
            Some(Missing::Reject)
        }
        "defer" => {
            // `Timing::read` needs a row for clauses. This row is dropped.
            let mut row = empty(Origin::Initially, span);
            // A missing list gets the message below instead of the message of `Item::items`.
            let timing =
                if item.args.is_some() { Timing::read(item, &mut row, errors) } else { Timing::default() };
            let clauses = row.to.is_some()
                || row.guard.is_some()
                || row.compensate.is_some()
                || !row.acts.is_empty()
                || !row.not_owed.is_empty()
                || !matches!(row.waive, Waive::Nothing)
                || !row.doc.is_empty();
            let named = timing.name.is_some() || !timing.was.is_empty();
            if timing.millis == 0 || timing.method.is_some() || named || clauses {
                errors.on(
                    &item.path,
                    "`defer` takes the time of the wait and nothing else: `defer(minutes = 5)`; the units are millis, \
                     seconds, minutes, hours, days",
                );
            }
            Some(Missing::Defer(timing.millis))
        }
        _ => {
            errors.on(&item.path, WRITE);
            None
        }
    }
}
