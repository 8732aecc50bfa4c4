//! The history of an instance, line by line.
//!
//! Owns: the words of a line. Does not own: the drawing of the same lines over time (`timeline`).

use maud::{Markup, html};
use saga_core::message::{Timestamp, visible};
use saga_core::store::{Changes, FieldChange, HistoryKind, HistoryRow, OutKind, WentOut};

use super::{Of, Seen};
use crate::parts::{empty, glyph, id, panel, status};
use crate::screens::Screen;
use crate::text::{instance_address, length, number};

/// The changed places that a step shows.
const PLACES: usize = 20;
/// The characters of a value that a changed place shows.
const VALUE: usize = 200;
/// The history lines of the longest page.
pub(super) const MOST_LINES: usize = 10_000;

pub(super) fn history(screen: &Screen, of: &Of, seen: &Seen, limit: usize) -> Markup {
    let lines = &seen.history;
    let record = &seen.snapshot.instance;
    let all = {
        let lines = (limit * 10).to_string();
        screen.base.to(&instance_address(&record.address, &[("verb", &of.verb), ("lines", &lines)]))
    };
    let changes: Vec<Option<Changes>> = lines.iter().map(|row| Changes::of(&row.entry)).collect();
    let keeps = seen.definition.as_ref().is_some_and(|definition| definition.keeps_changes);
    let beside = html! { span.small { "newest first" } };
    let body = html! {
        @if lines.is_empty() { (empty("No history", &html! { "The lines of this instance were removed." })) }
        @else {
            div.hist {
                div.h { "Step" } div.h { "Came in" } div.h { "Became" } div.h { (if keeps { "Went out" } else { "Note" }) }
                @let mut later: Option<Timestamp> = None;
                @for (nth, row) in lines.iter().enumerate().rev() {
                    @if !is_beside(lines, &changes, nth) {
                        @let beside = nth + usize::from(is_beside(lines, &changes, nth + 1));
                        (history_line(screen, (row, changes[beside].as_ref()), later, keeps))
                        @let _ = later.insert(row.entry.at);
                    }
                }
            }
        }
        @if lines.len() == limit && limit < MOST_LINES { footer { "These are the newest " (number(limit as u64)) " lines. " a href=(all) { "Show more" } } }
    };
    html! { div data-live="history" { (panel("history-h", "History", Some(beside), &body)) } }
}

/// Returns whether the line has the changes of a step, which are shown beside the line before it.
fn is_beside(lines: &[HistoryRow], changes: &[Option<Changes>], nth: usize) -> bool {
    let has_changes = |nth: usize| changes.get(nth).is_some_and(Option::is_some);
    let follows = |before: usize| lines[before].seq == lines[nth].seq && !has_changes(before);
    has_changes(nth) && nth.checked_sub(1).is_some_and(follows)
}

fn history_line(
    screen: &Screen,
    (row, changes): (&HistoryRow, Option<&Changes>),
    later: Option<Timestamp>,
    keeps: bool,
) -> Markup {
    let HistoryRow { seq, entry } = row;
    let own_body = entry.payload.as_ref().filter(|_| entry.kind != HistoryKind::Changed || changes.is_none());
    let person = matches!(entry.kind, HistoryKind::Verb | HistoryKind::Declined);
    let at = entry.at.to_string();
    let clock = at.split_once('T').map_or(&*at, |(_, clock)| clock.trim_end_matches('Z'));
    html! {
        div class=(if person { "step quiet" } else { "step" }) {
            div.at {
                b { "step " (number(*seq)) }
                time datetime=(at) title=(at) { (clock) }
                @if let Some(later) = later.filter(|later| later.since(entry.at).as_secs() > 0) { span { "then " (length(later.since(entry.at), false)) } }
            }
            div data-col="Came in" {
                @if person { (glyph("person")) " " }
                @if !entry.name.is_empty() { b.id { (visible(&entry.name)) } " " }
                span.kind { (kind(&entry.kind)) }
                @if let Some(cause) = entry.cause.as_deref().filter(|cause| !cause.is_empty()) {
                    p.small.muted { @if person { "by " } @else { "cause " } span.id { (visible(cause)) } }
                }
                @if let Some(note) = entry.note.as_ref().filter(|_| keeps) { p.err { (visible(note)) } }
                @if let Some(payload) = own_body {
                    details.small { summary { "body, " (number(payload.as_str().len() as u64)) "\u{a0}B" } (screen.payload(payload.as_str())) }
                }
            }
            div data-col="Became" {
                @match &entry.kind {
                    HistoryKind::Parked => (status("parked", "parked")),
                    HistoryKind::Compensating => (status("unwinding", "compensating")),
                    _ if entry.from != entry.to && !entry.to.is_empty() => {
                        @if !entry.from.is_empty() { span.muted { (visible(&entry.from)) " → " } }
                        b { (visible(&entry.to)) }
                    },
                    _ => span.faint { (visible(&entry.to)) },
                }
                @if let Some(changes) = changes { (diff(screen, changes)) }
            }
            @if keeps {
                div.out data-col="Went out" {
                    @for WentOut { kind, name, count } in changes.iter().flat_map(|changes| &changes.out) {
                        div { (went_out(kind)) " " (id(name)) @if *count > 1 { span.muted { " × " (number(*count as u64)) } } }
                    }
                }
            } @else { div data-col="Note" { @if let Some(note) = &entry.note { span.err { (visible(note)) } } } }
        }
    }
}

/// The changed places with their values before and after.
fn diff(screen: &Screen, changes: &Changes) -> Markup {
    let fields = changes.fields();
    if !screen.sees_payloads() {
        // The name of a place can be the key of a map, which is a value.
        return html! {
            div.diff {
                @if changes.data.is_some() { div.same { "data changed" } }
                @if changes.state.is_some() { div.same { "state changed" } }
            }
        };
    }
    html! {
        div.diff {
            @for FieldChange { place, was, now } in fields.iter().take(PLACES) {
                @if was.is_none() && now.is_none() { div.same { (visible(place)) ": changed, too long to keep" } }
                @else {
                    @if let Some(was) = was { div.del { "− " (visible(place)) ": " (cut(was)) } }
                    @if let Some(now) = now { div.add { "+ " (visible(place)) ": " (cut(now)) } }
                }
            }
            @if fields.len() > PLACES { div.same { "and " (number((fields.len() - PLACES) as u64)) " more" } }
        }
    }
}

/// What went out, before its name.
fn went_out(kind: &OutKind) -> Markup {
    match kind {
        OutKind::Command => html! { "command" },
        OutKind::Undo => status("unwinding", "undo"),
        OutKind::Child => html! { "child" },
        OutKind::Event => html! { "event" },
        OutKind::Owed => status("unwinding", "owes"),
        OutKind::Timer => html! { (glyph("timer")) " timer" },
        other => html! { (visible(other.as_str())) },
    }
}

/// The beginning of a value.
fn cut(value: &str) -> String {
    match value.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", visible(&value[..end])),
        None => visible(value).into_owned(),
    }
}

/// The kind of a line in words.
fn kind(kind: &HistoryKind) -> String {
    match kind {
        HistoryKind::Started => "started the instance".to_owned(),
        HistoryKind::Applied => "applied".to_owned(),
        HistoryKind::Joined => "one event of a set".to_owned(),
        HistoryKind::Verb => "decided".to_owned(),
        HistoryKind::Declined => "declined".to_owned(),
        HistoryKind::Parked => String::new(),
        HistoryKind::Compensating => "begins to compensate".to_owned(),
        HistoryKind::Compensated => "all undos are done".to_owned(),
        HistoryKind::Undoing => "undo sent".to_owned(),
        HistoryKind::Undone => "undo done".to_owned(),
        HistoryKind::Changed => "data changed".to_owned(),
        other => visible(other.as_str()).replace('-', " "),
    }
}
