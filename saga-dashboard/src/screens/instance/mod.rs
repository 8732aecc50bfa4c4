//! What does the instance wait for, since when, and what may I do? Then: what is owed, where it is, and its history.
//!
//! Owns: the reads of the page, and the parts without a form. Does not own: the verbs (`decide`), or the lines of the
//! history (`history`).

mod decide;
mod family;
mod history;

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::definition::{Redaction, StoredDefinition};
use saga_core::message::{Alias, InstanceName, Key, Timestamp, visible};
use saga_core::store::{
    Address, HistoryRow, InboxId, InstanceChange, Mail, MailKind, ObligationOf, Parked, ParkedOver, PauseOf,
    Snapshot, Task, TaskKind, TaskStage,
};
use serde::Deserialize;

use self::decide::{VERBS, chosen, form, preview, verbs};
use self::family::Family;
use self::history::{MOST_LINES, history};
use super::instances::same_label;
use super::timeline::timeline;
use super::{NoPage, Numbers, Screen};
use crate::diagram::{Shown, draw};
use crate::parts::{Look, glyph, id, panel, prose, state, status, time};
use crate::text::{length, number, query};

/// The history lines of a page.
const LINES: usize = 200;
/// The waiting rows of a page.
const WAITING: usize = 50;
/// The commands, timers and obligations of a page.
const OPEN: usize = 200;

/// Which instance, and what to show of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Of {
    pub(crate) saga: String,
    pub(crate) key: String,
    alias: String,
    /// The verb of the form.
    verb: String,
    /// A verb that was just done, or handed over.
    done: String,
    lines: Option<usize>,
}

/// What the page says about a decision that was not applied.
pub(crate) struct Said {
    pub(crate) text: String,
    /// Whether it is known that nothing has changed.
    pub(crate) known: bool,
    // The fields of the form, so that the person need not write them again.
    pub(crate) who: String,
    pub(crate) why: String,
    pub(crate) body: String,
}

pub(crate) async fn instance(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of, None).await;
    screen.answer(page)
}

impl Of {
    pub(crate) fn new(saga: &str, key: &str, verb: &str) -> Self {
        Self { saga: saga.to_owned(), key: key.to_owned(), verb: verb.to_owned(), ..Self::default() }
    }

    fn address(&self) -> Result<Address, NoPage> {
        let name: InstanceName = if self.alias.is_empty() {
            Key::new(&self.key)
                .map_err(|error| NoPage::Bad(format!("The key is not valid: {error}.")))?
                .into()
        } else {
            Alias::new(&self.alias)
                .map_err(|error| NoPage::Bad(format!("The alias is not valid: {error}.")))?
                .into()
        };
        Ok(Address::new(self.saga.clone(), name))
    }
}

/// Everything about one instance.
struct Seen {
    snapshot: Snapshot,
    parked: Option<Parked>,
    definition: Option<StoredDefinition>,
    history: Vec<HistoryRow>,
    waiting: Vec<(InboxId, Mail)>,
    redaction: Option<Redaction>,
}

impl Seen {
    /// Returns the name of a state in the source, or the stored name if the definition has no such state.
    fn variant<'a>(&'a self, name: &'a str) -> &'a str {
        let state = self.definition.as_ref().and_then(|definition| definition.state(name));
        state.map_or(name, |state| &state.variant)
    }
}

pub(crate) async fn page(screen: &Screen, of: &Of, said: Option<Said>) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let Some(snapshot) = store.instance(&of.address()?).await? else {
        let name = if of.alias.is_empty() { &of.key } else { &of.alias };
        return Err(NoPage::NotFound(format!("{} has no instance {}.", visible(&of.saga), visible(name))));
    };
    let address = &snapshot.instance.address;
    let version = snapshot.instance.version;
    let definitions = numbers.definitions.iter().filter(|known| address.saga == known.saga);
    let limit = of.lines.unwrap_or(LINES).clamp(1, MOST_LINES);
    let seen = Seen {
        parked: snapshot
            .instance
            .parked
            .as_ref()
            .map(|parked| Parked::from_stored(parked, snapshot.instance.changed_at)),
        // The definition that wrote the instance, or else the newest one.
        definition: definitions
            .reduce(|one, other| if one.version == version { one } else { other })
            .cloned(),
        history: store.history(address, limit).await?,
        waiting: store.waiting(address, WAITING).await?,
        redaction: store.redaction().cloned(),
        snapshot,
    };
    let record = &seen.snapshot.instance;
    let key = record.address.key.text();
    let decides = screen.decides();
    let verb = chosen(of, &seen).filter(|_| decides);
    let family = Family::read(&*store, &seen).await?;
    let previews = match verb {
        Some(verb) => preview(screen, verb, &seen).await,
        None => Vec::new(),
    };
    let crumbs = html! {
        a href=(screen.base.to("/instances")) { "Instances" } span aria-hidden="true" { "/" }
        a href=(screen.base.to(&format!("/instances{}", query(&[("saga", &record.address.saga)])))) { (visible(&record.address.saga)) }
        span aria-hidden="true" { "/" } span aria-current="page" { (visible(key)) }
    };
    let body = html! {
        div data-live="head" {
            div.who {
                h1 { (visible(key)) }
                (state(look(&seen), seen.variant(&record.state)))
                span.muted {
                    (visible(&record.address.saga)) " version " (record.version) " · step " (number(record.seq))
                    " · started " (time(record.created_at, screen.now))
                }
            }
            p.sentence { (sentence(&seen, screen.now)) }
        }
        (notice(of, said.as_ref()))
        (paused(screen, &numbers, &record.address.saga))
        @if decides { (verbs(screen, of, &seen)) }
        div.stack {
            div.split {
                div.stack {
                    @if let Some(verb) = verb { (form(screen, verb, &seen, &previews, said.as_ref())) }
                    (over_time(screen, &seen))
                    (where_it_is(screen, &seen))
                    (open_work(screen, &seen))
                    (family.panel(screen, &numbers))
                    (history(screen, of, &seen, limit))
                }
                div.stack.pair { (owed(&seen)) (data(screen, &seen)) (about(screen, &seen)) }
            }
        }
    };
    Ok(screen.page_at("/instances", &visible(key), numbers.badges, &crumbs, &body))
}

fn look(seen: &Seen) -> Look {
    let failing = seen.snapshot.tasks.iter().any(|task| task.progress.error.is_some());
    Look::of(seen.snapshot.instance.status, seen.parked.is_some(), failing)
}

/// The page's first sentence: what the instance waits for, since when, and what would continue it.
fn sentence(seen: &Seen, now: Timestamp) -> Markup {
    let record = &seen.snapshot.instance;
    let Some(parked) = &seen.parked else {
        let waiting = seen.snapshot.waiting();
        return html! { (capital(&visible(&waiting))) "." };
    };
    let ways = match parked.what {
        ParkedOver::Command => {
            "retry it under the same idempotency key, resolve it with what the other system shows, skip it, or abort the instance"
        }
        ParkedOver::Unwinding => "retry it, or abort the instance",
        ParkedOver::Unreadable => "run a build that can read the record, or abort the instance",
        _ => "retry it, skip it, or abort the instance",
    };
    html! {
        b { "Has waited for a person for " time datetime=(parked.since.to_string()) title=(parked.since.to_string()) { (length(now.since(parked.since), true)) } "." }
        " " (prose(&capital(&parked.reason.to_string()))) ": " span.err { (visible(&parked.detail)) } "."
        @if !record.status.is_over() { " To go on, " (ways) "." }
    }
}

/// The pause of the saga, which holds back everything but verbs.
fn paused(screen: &Screen, numbers: &Numbers, saga: &str) -> Markup {
    let of = PauseOf::Saga(saga.to_owned());
    html! {
        @if let Some(pause) = numbers.pauses.iter().find(|pause| pause.of == of) {
            p.note.note-parked.apart {
                b { "The saga is paused. " } (visible(&pause.who)) " has paused it " (time(pause.at, screen.now)) ": " (visible(&pause.why)) ". "
                a href=(screen.base.to("/handlers")) { "Handlers" } " shows every pause."
            }
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn notice(of: &Of, said: Option<&Said>) -> Markup {
    html! {
        @if let Some(Said { text, known, .. }) = said {
            p.note.note-parked role="alert" {
                b { @if *known { "This request has changed nothing. " } @else { "Nobody knows whether it was done. " } }
                (visible(text))
                @if *known { " The history below shows who has decided meanwhile." } @else { " Read the history below before you decide again." }
            }
        }
        @match &*of.done {
            "" => {},
            "handed-over" => p.note role="status" { "The decision is in the inbox. A running dispatcher applies it within a second, and without one it waits." },
            verb => @if let Some(verb) = VERBS.iter().find(|known| known.name == verb) {
                p.note.note-done role="status" { (verb.title) " is done. The history below has the step." }
            },
        }
    }
}

fn undone(of: &ObligationOf) -> Markup {
    match of {
        ObligationOf::Command { command, .. } => html! { "sending " (id(&command.name)) },
        ObligationOf::State { state, .. } => html! { "being in " b { (visible(state)) } },
    }
}

fn owed(seen: &Seen) -> Markup {
    let obligations = &seen.snapshot.obligations;
    let body = html! {
        @if obligations.is_empty() { p.pad.muted { "Nothing. An abort would undo nothing." } }
        @else {
            ol.owed { @for (at, owed) in obligations.iter().rev().enumerate().take(OPEN) {
                li {
                    span.n { (at + 1) } (id(&owed.undo))
                    span { @if owed.task.is_some() && seen.parked.is_none() { (status("unwinding", "runs")) } }
                    span.sub { "for " (undone(&owed.of)) }
                }
            } }
        }
    };
    html! { div data-live="owed" { (panel("owed-h", "Owed", Some(html! { span.small { "undone from the top" } }), &body)) } }
}

fn where_it_is(screen: &Screen, seen: &Seen) -> Markup {
    let saga = &*seen.snapshot.instance.address.saga;
    let beside =
        html! { a href=(screen.base.to(&format!("/sagas{}", query(&[("saga", saga)])))) { "Table" } };
    let body = html! {
        div.scroll.pad tabindex="0" role="region" aria-label="State diagram" {
            @match &seen.definition {
                Some(definition) => (draw(definition, &Shown { here: Some(&seen.snapshot.instance.state), ..Shown::default() })),
                None => p.muted { "The store has no definition of this saga. A dispatcher with the saga writes it at its start." },
            }
        }
    };
    html! { div data-live="where" { (panel("where-h", "Where it is", Some(beside), &body)) } }
}

fn over_time(screen: &Screen, seen: &Seen) -> Markup {
    let record = &seen.snapshot.instance;
    let end = if record.status.is_over() { record.changed_at } else { screen.now };
    let variant = |name: &str| seen.variant(name).to_owned();
    html! { div data-live="timeline" { @if let Some(timeline) = timeline(&seen.history, (&seen.snapshot.tasks, &seen.snapshot.timers), end, &variant) { (timeline) } } }
}

fn data(screen: &Screen, seen: &Seen) -> Markup {
    let record = &seen.snapshot.instance;
    let body = html! {
        div.pad {
            (screen.payload(record.data.as_str()))
            @if let Some(payload) = &record.payload { h3 { "State" } (screen.payload(payload.as_str())) }
        }
    };
    html! { div data-live="data" { (panel("data-h", "Data", None, &body)) } }
}

/// The links of the application for this instance. A link with an unknown place is left out.
fn links<'a>(screen: &'a Screen, record: &'a InstanceChange) -> impl Iterator<Item = (&'a str, String)> {
    let value = |name: &str| match name {
        "saga" => Some(record.address.saga.to_string()),
        "key" => Some(record.address.key.text().to_owned()),
        label if screen.sees_payloads() => record.labels.get(label).map(ToString::to_string),
        _ => None,
    };
    screen.dashboard.options.links.iter().filter_map(move |link| Some((&*link.name, link.to(value)?)))
}

fn about(screen: &Screen, seen: &Seen) -> Markup {
    let record = &seen.snapshot.instance;
    let body = html! {
        dl.kv.pad {
            @for alias in &seen.snapshot.aliases { dt { "Alias" } dd { (id(alias.as_str())) } }
            @for (name, value) in record.labels.iter().filter(|_| screen.sees_payloads()) {
                @let same = same_label(name, value);
                dt { (visible(name)) }
                dd { a href=(screen.base.to(&format!("/instances{}", query(&[("label", &same)])))) title="All instances with this label" { (id(&value.to_string())) } }
            }
            @for (name, to) in links(screen, record) { dt { "Link" } dd { a href=(to) rel="noreferrer" { (name) } } }
            dt { "Status" } dd { (record.status.as_str()) }
            dt { "State" } dd { (id(&record.state)) }
            dt { "Visit" } dd { (record.visit) }
            dt { "Changed" } dd { (time(record.changed_at, screen.now)) }
            dt { "Created" } dd { (time(record.created_at, screen.now)) }
            @if let Some(trace) = record.trace { dt { "Trace" } dd { (id(&format!("{:032x}", trace.trace_id()))) } }
            dt { "Decisions" } dd { a href=(screen.base.to(&format!("/audit{}", query(&[("saga", &record.address.saga), ("key", record.address.key.text())])))) { "audit" } }
            dt { "Data" } dd { (number(record.data.as_str().len() as u64)) "\u{a0}B" }
        }
    };
    html! { div data-live="about" { (panel("about-h", "About it", None, &body)) } }
}

/// Commands, children, timers and waiting rows.
fn open_work(screen: &Screen, seen: &Seen) -> Markup {
    let Snapshot { tasks, timers, .. } = &seen.snapshot;
    let rows = tasks.len() + timers.len() + seen.waiting.len();
    let body = html! {
        @if tasks.len() > OPEN { p.pad.muted { "These are the first " (OPEN) " of " (number(tasks.len() as u64)) " commands and children." } }
        @if rows == 0 { p.pad.muted { "No command, child, timer or waiting message." } }
        @else {
            div.scroll { table.cards {
                thead { tr { th scope="col" { "What" } th scope="col" { "Name" } th scope="col" { "State" } th.num scope="col" { "Tries" } th.num scope="col" { "Next" } } }
                tbody {
                    @for task in tasks.iter().take(OPEN) { (task_row(screen, seen, task)) }
                    @for timer in timers.iter().take(OPEN) {
                        tr {
                            td.fit data-label="What" { (glyph("timer")) " timer" } td data-label="Name" { (id(&timer.name)) }
                            td data-label="State" { (status("waiting", "set")) } td.num data-label="Tries" { @if timer.fired > 0 { (timer.fired) } }
                            td.num data-label="Next" { (time(timer.due, screen.now)) }
                        }
                    }
                    @for (_, mail) in &seen.waiting {
                        tr {
                            td.fit data-label="What" { @match mail.kind { MailKind::Event => "event", MailKind::Verb => "verb", MailKind::Report => "outcome", _ => "message" } }
                            td data-label="Name" { (id(&mail.message.name)) }
                            td data-label="State" { (status("waiting", "waits in the inbox")) } td {} td.num data-label="Since" { (time(mail.at, screen.now)) }
                        }
                    }
                }
            } }
        }
    };
    html! { div data-live="open" { (panel("open-h", "Open", Some(html! { span.small { (number(rows as u64)) } }), &body)) } }
}

fn task_row(screen: &Screen, seen: &Seen, task: &Task) -> Markup {
    let progress = &task.progress;
    let waits = progress.due > screen.now;
    let (class, word) = match progress.stage {
        TaskStage::Held => ("parked", "held for a person"),
        TaskStage::Answered => ("done", "answered"),
        _ if task.kind == TaskKind::Child => ("waiting", "not ended"),
        _ if seen.parked.is_some() && progress.error.is_none() => ("waiting", "queued"),
        _ if progress.error.is_some() => ("retrying", "failed, goes on"),
        TaskStage::Started => ("moving", "begun"),
        _ if waits => ("waiting", "waits"),
        _ => ("moving", "queued or running"),
    };
    html! {
        tr {
            td.fit data-label="What" { (task.kind.as_str()) }
            td data-label="Name" {
                (id(&task.command.name))
                @if let Some(error) = &progress.error { span.sub.err { (visible(error)) } }
                @if task.kind != TaskKind::Child {
                    details.small { summary { "body, " (number(task.command.payload.as_str().len() as u64)) "\u{a0}B" } (screen.payload(task.command.payload.as_str())) }
                }
            }
            td data-label="State" { (status(class, word)) }
            td.num data-label="Tries" { @if progress.attempts > 0 { (progress.attempts) } }
            td.num data-label="Next" { @if waits { (time(progress.due, screen.now)) } }
        }
    }
}
