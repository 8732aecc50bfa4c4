//! What does the instance wait for, since when, and what may I do? Then: what is owed, where it is, and its history.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::definition::StoredDefinition;
use saga_core::machine::{OperatorVerb, Preview};
use saga_core::message::{Alias, InstanceName, Key, Message, Timestamp, visible};
use saga_core::store::{
    Address, HistoryKind, HistoryRow, InboxId, Mail, MailKind, ObligationOf, Parked, ParkedOver, Snapshot,
    Status, Task, TaskKind, TaskStage, TimerRow,
};
use serde::Deserialize;

use super::timeline::timeline;
use super::{NoPage, Screen};
use crate::diagram::{Shown, draw};
use crate::parts::{Look, empty, glyph, id, panel, state, status, time};
use crate::text::{count, instance_address, length, number, query};

/// The history lines of a page.
const LINES: usize = 200;
/// The waiting rows of a page.
const WAITING: usize = 50;
/// The commands, timers and obligations of a page.
const OPEN: usize = 200;
/// The history lines of the longest page.
const MOST_LINES: usize = 10_000;
/// The timers of which a preview is shown.
const TIMERS: usize = 4;

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
}

impl Seen {
    /// Returns the name of a state in the source, or the stored name if the definition has no such state.
    fn variant<'a>(&'a self, name: &'a str) -> &'a str {
        let state = self.definition.as_ref().and_then(|definition| definition.state(name));
        state.map_or(name, |state| &state.variant)
    }
}

pub(crate) async fn page(screen: &Screen, of: &Of, said: Option<Said>) -> Result<Markup, NoPage> {
    let store = screen.store()?;
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
        snapshot,
    };
    let record = &seen.snapshot.instance;
    let key = record.address.key.text();
    let decides = screen.decides();
    let verb = chosen(of, &seen).filter(|_| decides);
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
        @if decides { (verbs(screen, of, &seen)) }
        div.stack {
            div.split {
                div.stack {
                    @if let Some(verb) = verb { (form(screen, verb, &seen, &previews, said.as_ref())) }
                    (over_time(screen, &seen))
                    (where_it_is(screen, &seen))
                    (open_work(screen, &seen))
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
        " " (capital(&parked.reason.to_string())) ": " span.err { (visible(&parked.detail)) } "."
        @if !record.status.is_over() { " To go on, " (ways) "." }
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

/// A verb with its words.
struct Verb {
    name: &'static str,
    title: &'static str,
    /// What the verb does, in words.
    effect: &'static str,
}

const VERBS: [Verb; 6] = [
    Verb {
        name: "retry",
        title: "Retry",
        effect: "repeats exactly what failed: the event, the timer, or the command under the same idempotency key.",
    },
    Verb {
        name: "resolve",
        title: "Resolve",
        effect: "supplies the outcome of the command that parked the instance. Its row is applied as if the handler had answered.",
    },
    Verb {
        name: "skip",
        title: "Skip",
        effect: "goes on without what failed. An event becomes a dead letter, a timer is used up, and an undo is given up.",
    },
    Verb {
        name: "fire",
        title: "Fire timer",
        effect: "makes a set timer due now. A periodic timer counts its next periods from now.",
    },
    Verb { name: "postpone", title: "Postpone timer", effect: "gives a set timer another due time." },
    Verb {
        name: "abort",
        title: "Abort",
        effect: "undoes what is owed, newest first, and ends the instance.",
    },
];

/// Returns the verbs that the instance may take now.
fn possible(seen: &Seen) -> Vec<&'static Verb> {
    let over = seen.snapshot.instance.status.is_over();
    let what = seen.parked.as_ref().map(|parked| &parked.what);
    let has_timer = seen.snapshot.instance.status == Status::Running && !own_timers(seen).is_empty();
    let can = |verb: &&Verb| match verb.name {
        "retry" => what.is_some_and(|what| *what != ParkedOver::Unreadable),
        "skip" => what.is_some_and(|what| *what != ParkedOver::Unreadable),
        "resolve" => what == Some(&ParkedOver::Command),
        "fire" | "postpone" => has_timer,
        _ => !over,
    };
    VERBS.iter().filter(can).collect()
}

/// The timers of the table. The machine sets others for itself, which a person cannot move.
fn own_timers(seen: &Seen) -> Vec<&TimerRow> {
    seen.snapshot.timers.iter().filter(|timer| !timer.is_internal()).collect()
}

/// The time of the day, to compare with.
fn utc(now: Timestamp) -> String {
    let now = now.to_string();
    now.get(11..16).unwrap_or_default().to_owned()
}

fn chosen(of: &Of, seen: &Seen) -> Option<&'static Verb> {
    possible(seen).into_iter().find(|verb| verb.name == of.verb)
}

fn verbs(screen: &Screen, of: &Of, seen: &Seen) -> Markup {
    let record = &seen.snapshot.instance;
    let to = |verb: &str| screen.base.to(&instance_address(&record.address, &[("verb", verb)]));
    let possible = possible(seen);
    html! {
        @if !possible.is_empty() {
            div.verbs {
                @for verb in &possible {
                    @let class = match verb.name { "abort" => "btn btn-danger", "retry" => "btn btn-main", _ => "btn" };
                    @if verb.name == "abort" && possible.len() > 1 { span.gap {} }
                    a class=(class) href=(to(verb.name)) aria-current=[(of.verb == verb.name).then_some("true")] { (verb.title) "…" }
                }
                span.small.faint { "Every verb says what it does, before it does it." }
            }
        }
    }
}

/// What the verb would do, decided on a copy of the instance. A timer has its name before it.
async fn preview(screen: &Screen, verb: &Verb, seen: &Seen) -> Vec<(String, Preview)> {
    let timers = || own_timers(seen).into_iter().take(TIMERS);
    let verbs: Vec<(String, OperatorVerb)> = match verb.name {
        "retry" => vec![(String::new(), OperatorVerb::Retry)],
        "skip" => vec![(String::new(), OperatorVerb::Skip)],
        "abort" => vec![(String::new(), OperatorVerb::Abort)],
        "fire" => {
            let fire = |name: &str| (name.to_owned(), OperatorVerb::Fire { timer: name.to_owned() });
            timers().map(|timer| fire(&timer.name)).collect()
        }
        _ => Vec::new(),
    };
    let mut previews = Vec::new();
    for (name, verb) in verbs {
        let address = &seen.snapshot.instance.address;
        previews.extend(screen.dashboard.source.preview(address, verb).await.map(|preview| (name, preview)));
    }
    previews
}

/// The effect of the verb, and the form beside it.
fn form(
    screen: &Screen,
    verb: &Verb,
    seen: &Seen,
    previews: &[(String, Preview)],
    said: Option<&Said>,
) -> Markup {
    let written = |field: fn(&Said) -> &str| said.map_or("", field);
    let record = &seen.snapshot.instance;
    let key = record.address.key.text();
    let timers = own_timers(seen);
    let body = html! {
        div.decide {
            div { (effect(screen, verb, seen, previews)) }
            form.form method="post" action=(screen.base.to("/decide")) {
                input type="hidden" name="proof" value=(screen.session.proof);
                input type="hidden" name="saga" value=(record.address.saga);
                input type="hidden" name="key" value=(key);
                input type="hidden" name="seq" value=(record.seq);
                input type="hidden" name="verb" value=(verb.name);
                h3 { (verb.title) " " (visible(key)) }
                label { "Who" input.field name="who" required maxlength="100" autocomplete="username" value=(written(|said| &said.who)); }
                label { "Why" textarea.field name="why" required minlength="4" maxlength="1000" { (written(|said| &said.why)) } }
                @if matches!(verb.name, "fire" | "postpone") {
                    label { "Timer" select.field name="timer" { @for timer in &timers { option value=(timer.name) { (visible(&timer.name)) } } } }
                }
                @if verb.name == "postpone" { label { "Until, in UTC (it is " (utc(screen.now)) " now)" input.field type="datetime-local" name="until" required; } }
                @if verb.name == "resolve" { (outcomes(seen, written(|said| &said.body))) }
                @if verb.name == "abort" {
                    label { "Type the key to confirm" input.field.id name="confirm" required placeholder=(visible(key)) autocomplete="off"; }
                }
                button class=(if verb.name == "abort" { "btn btn-danger is-armed" } else { "btn btn-main" }) { (button(verb, seen, previews)) }
                p.small.muted { "Declined if the instance has moved on from step " (record.seq) "." }
            }
        }
    };
    panel("verb-h", "What would happen", None, &body)
}

fn button(verb: &Verb, seen: &Seen, previews: &[(String, Preview)]) -> String {
    // An obligation may turn out as not owed, because its command surely had no effect.
    let owed = previews.first().map_or(seen.snapshot.obligations.len(), |(_, preview)| preview.undos.len());
    match verb.name {
        "abort" if owed > 0 => format!("Abort, {}", count(owed as u64, "undo", "undos")),
        _ => verb.title.to_owned(),
    }
}

fn effect(screen: &Screen, verb: &Verb, seen: &Seen, previews: &[(String, Preview)]) -> Markup {
    let record = &seen.snapshot.instance;
    let end = seen.definition.as_ref().and_then(|definition| {
        let end = definition.on_abort.as_ref()?;
        definition.state(end).map(|state| state.variant.clone())
    });
    html! {
        p { b { (verb.title) " at step " (record.seq) } " " (verb.effect) " " span.muted { "Nothing has been written." } }
        @for (timer, preview) in previews {
            @if !timer.is_empty() { h3 { "Timer " (id(timer)) } }
            (previewed(screen, seen, preview))
        }
        @if verb.name == "abort" && previews.is_empty() {
            ol.steps {
                @for owed in seen.snapshot.obligations.iter().rev() {
                    li { div { span.id { (visible(&owed.undo)) } " " span.muted { "for " (undone(&owed.of)) } } }
                }
                li { div { @match &end { Some(end) => { "arrive in " b { (end) } }, None => { "end as " b { "aborted" } } } } }
            }
            @if !seen.snapshot.obligations.is_empty() {
                p.note.note-unwinding.small { "An undo is tried until it is done. If it is refused, the instance is parked there, and the rest stays owed." }
            }
        }
        @if let (true, Some(parked)) = (matches!(verb.name, "retry" | "skip"), &seen.parked) {
            p.note.small { "It was parked because " (parked.reason) ": " span.err { (visible(&parked.detail)) } }
        }
    }
}

/// The steps that would follow, in their order.
fn previewed(screen: &Screen, seen: &Seen, preview: &Preview) -> Markup {
    let messages = |verb: &str, messages: &[Message]| {
        html! { @for message in messages {
            li { div { (verb) " " (id(&message.name)) details.small { summary { "body" } (screen.payload(message.payload.as_str())) } } }
        } }
    };
    let arrives = preview.state != *seen.snapshot.instance.state || preview.status.is_over();
    html! {
        @if let Some(why) = &preview.declined { p.note.note-parked { "It would be declined: " (visible(why)) } }
        @else {
            ol.steps {
                @for command in &preview.again { li { div { "call " (id(command)) " again, under the same idempotency key" } } }
                (messages("undo with", &preview.undos))
                @if arrives { li { div { "arrive in " b { (visible(seen.variant(&preview.state))) } } } }
                (messages("send", &preview.commands))
                (messages("publish", &preview.published))
                @for (reason, detail) in &preview.dead { li { div { "a dead letter: " (visible(reason.as_str())) " " span.err { (visible(detail)) } } } }
                @if let Some(parked) = &preview.parked { li { div { (status("parked", "parked")) " " span.err { (visible(parked)) } } } }
                @for (timer, due) in preview.timers.iter().filter(|_| arrives) { li { div { "set the timer " (id(timer)) ", due " (time(*due, screen.now)) } } }
            }
            @if preview.cut_off { p.muted { "and more" } }
            p.small.muted { "Decided on a copy of the instance. Each undo counts as answered, and each open command as begun." }
        }
    }
}

fn outcomes(seen: &Seen, body: &str) -> Markup {
    let task = seen.snapshot.tasks.iter().find(|task| task.progress.stage == TaskStage::Held);
    let command = task.or(seen.snapshot.tasks.first()).map(|task| &*task.command.name);
    let definition = seen.definition.as_ref();
    let replies =
        command.and_then(|name| definition?.command(name)).map_or(&[][..], |command| &command.replies);
    html! {
        label { "Outcome"
            select.field name="outcome" {
                @for reply in replies { option value=(format!("reply:{reply}")) { "answered with " (visible(reply)) } }
                @if replies.is_empty() { option value="done" { "done" } }
                option value="refused" { "certainly had no effect" }
            }
        }
        @if !replies.is_empty() {
            label { "JSON of the reply" textarea.field.id name="body" placeholder="{}" { (body) } }
            @for reply in replies {
                @if let Some(event) = definition.and_then(|definition| definition.event(reply)) {
                    p.small.muted {
                        (visible(reply)) ": "
                        @for (place, kind) in event.payload.shape.iter().filter(|(place, _)| !place.is_empty()) { code { (visible(place)) ": " (kind) } " " }
                    }
                }
            }
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
    html! { div data-live="timeline" { @if let Some(timeline) = timeline(&seen.history, end, &variant) { (timeline) } } }
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

fn about(screen: &Screen, seen: &Seen) -> Markup {
    let record = &seen.snapshot.instance;
    let body = html! {
        dl.kv.pad {
            @for alias in &seen.snapshot.aliases { dt { "Alias" } dd { (id(alias.as_str())) } }
            dt { "Status" } dd { (record.status.as_str()) }
            dt { "State" } dd { (id(&record.state)) }
            dt { "Visit" } dd { (record.visit) }
            dt { "Changed" } dd { (time(record.changed_at, screen.now)) }
            dt { "Created" } dd { (time(record.created_at, screen.now)) }
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

fn history(screen: &Screen, of: &Of, seen: &Seen, limit: usize) -> Markup {
    let lines = &seen.history;
    let record = &seen.snapshot.instance;
    let all = {
        let lines = (limit * 10).to_string();
        screen.base.to(&instance_address(&record.address, &[("verb", &of.verb), ("lines", &lines)]))
    };
    let beside = html! { span.small { "newest first" } };
    let body = html! {
        @if lines.is_empty() { (empty("No history", &html! { "The lines of this instance were removed." })) }
        @else {
            div.hist {
                div.h { "Step" } div.h { "Came in" } div.h { "Became" } div.h { "Note" }
                @let mut later: Option<Timestamp> = None;
                @for row in lines.iter().rev() {
                    (history_line(screen, row, later))
                    @let _ = later.insert(row.entry.at);
                }
            }
        }
        @if lines.len() == limit && limit < MOST_LINES { footer { "These are the newest " (number(limit as u64)) " lines. " a href=(all) { "Show more" } } }
    };
    html! { div data-live="history" { (panel("history-h", "History", Some(beside), &body)) } }
}

fn history_line(screen: &Screen, row: &HistoryRow, later: Option<Timestamp>) -> Markup {
    let HistoryRow { seq, entry } = row;
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
                @if let Some(payload) = &entry.payload {
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
            }
            div data-col="Note" { @if let Some(note) = &entry.note { span.err { (visible(note)) } } }
        }
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
        other => visible(other.as_str()).replace('-', " "),
    }
}
