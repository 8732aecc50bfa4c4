//! Do the handlers keep up, which of them fail, and what is paused?

use std::collections::BTreeSet;

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::engine::HandlerStatus;
use saga_core::message::visible;
use saga_core::store::{Pause, PauseOf};
use serde::Deserialize;

use super::operate::{Asked, form, notice};
use super::{NoPage, Said, Screen};
use crate::parts::{empty, id, panel, status, time};
use crate::text::{length, number, query};

/// The object and the verb of the form, or a verb that was just done.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Of {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) verb: String,
    pub(crate) done: String,
}

pub(crate) async fn handlers(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of, None).await;
    screen.answer(page)
}

/// Returns the page. `said` is about a decision that was not applied.
pub(crate) async fn page(screen: &Screen, of: &Of, said: Option<Said>) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let pauses = &numbers.pauses;
    let sagas: BTreeSet<&str> = numbers.definitions.iter().map(|definition| &*definition.saga).collect();
    let handlers = screen.dashboard.source.handlers();
    let body = html! {
        div.head {
            h1 { "Handlers" }
            p.lead { "What runs the commands and receives the events. A pause keeps new work in the store until somebody resumes it." }
        }
        div.stack {
            (notice(said.as_ref(), &of.done))
            @if screen.decides() && let Some(asked) = PauseOf::from_stored(&of.kind, of.name.clone()) { (ask(screen, of, &asked, said.as_ref())) }
            @if !pauses.is_empty() { (paused(screen, pauses)) }
            @match &handlers {
                Some(handlers) => (table(screen, handlers)),
                None => section.panel { (empty("The handlers are in another process", &html! { "This dashboard reads the file. The dashboard of the application shows its handlers." })) },
            }
            (panel("sagas-h", "Sagas", None, &html! {
                @if sagas.is_empty() { (empty("No saga", &html! { "The start of a dispatcher writes the table of each of its sagas into the store." })) }
                @else {
                    div.scroll { table.cards {
                        thead { tr { th scope="col" { "Saga" } th scope="col" { "Condition" } @if screen.decides() { th scope="col" { span.sr { "Decide" } } } } }
                        tbody { @for saga in &sagas {
                            @let of = PauseOf::Saga((*saga).to_owned());
                            @let is = pauses.iter().any(|pause| pause.of == of);
                            tr {
                                td.title { (visible(saga)) }
                                td data-label="Condition" { (condition(is)) }
                                @if screen.decides() { td.fit { (link(screen, &of, is)) } }
                            }
                        } }
                    } }
                }
            }))
        }
    };
    Ok(screen.page("/handlers", "Handlers", numbers.badges, &body))
}

fn condition(is_paused: bool) -> Markup {
    if is_paused { status("parked", "paused") } else { status("moving", "works") }
}

/// Links to the form that pauses, retires or resumes an object.
pub(super) fn link(screen: &Screen, of: &PauseOf, is_paused: bool) -> Markup {
    let (verb, title) = match (is_paused, of) {
        (true, _) => ("resume", "Resume…"),
        (false, PauseOf::Consumer(_)) => ("pause", "Retire…"),
        (false, _) => ("pause", "Pause…"),
    };
    let to = query(&[("kind", of.kind()), ("name", of.name()), ("verb", verb)]);
    html! { a.btn href=(screen.base.to(&format!("/handlers{to}"))) { (title) span.sr { " " (visible(of.name())) } } }
}

fn ask(screen: &Screen, of: &Of, object: &PauseOf, said: Option<&Said>) -> Markup {
    let (title, effect) = match (&*of.verb, object) {
        ("resume", PauseOf::Consumer(_)) => ("Resume", "records new events for this consumer again."),
        ("resume", _) => ("Resume", "takes up everything that waits, in its order."),
        (_, PauseOf::Consumer(_)) => (
            "Retire",
            "records no event for this consumer. Its waiting events become dead letters. A release with the consumer ends this.",
        ),
        (_, PauseOf::Saga(_)) => (
            "Pause",
            "takes no events, fires no timers and starts no attempts of this saga. Running attempts end. New events are accepted and wait.",
        ),
        (_, PauseOf::Handler(_)) => {
            ("Pause", "starts no attempts of this handler. Running attempts end, and the sagas go on.")
        }
    };
    let asked = Asked {
        verb: if of.verb == "resume" { "resume" } else { "pause" },
        title,
        effect,
        about: &object.to_string(),
        hidden: &[("kind", object.kind()), ("name", object.name())],
        more: &html! {},
        danger: of.verb != "resume",
    };
    form(screen, &asked, said)
}

fn paused(screen: &Screen, pauses: &[Pause]) -> Markup {
    let body = html! {
        div.scroll { table.cards {
            thead { tr { th scope="col" { "Object" } th scope="col" { "By" } th scope="col" { "Why" } th.num scope="col" { "Since" } @if screen.decides() { th scope="col" { span.sr { "Resume" } } } } }
            tbody { @for pause in pauses {
                tr {
                    td.title { (status("parked", pause.of.kind())) " " (id(pause.of.name())) }
                    td data-label="By" { (visible(&pause.who)) }
                    td.wide data-label="Why" { (visible(&pause.why)) }
                    td.num data-label="Since" { (time(pause.at, screen.now)) }
                    @if screen.decides() { td.fit { (link(screen, &pause.of, true)) } }
                }
            } }
        } }
    };
    panel("paused-h", "Paused and retired", None, &body)
}

fn table(screen: &Screen, handlers: &[HandlerStatus]) -> Markup {
    let body = html! {
        @if handlers.is_empty() { (empty("No handler", &html! { "Register handlers and subscribers at the builder of the dispatcher." })) }
        @else {
            div.scroll { table.cards {
                thead { tr {
                    th scope="col" { "Handler" } th scope="col" { "Condition" } th.num scope="col" { "Running" } th.num scope="col" { "Waiting" }
                    th.num scope="col" { "Attempts" } th.num scope="col" { "Failed" } th.num scope="col" { "Half within" } th.num scope="col" { "99 % within" }
                    th scope="col" { "Last error" } @if screen.decides() { th scope="col" { span.sr { "Decide" } } }
                } }
                tbody data-live="rows" { @for handler in handlers { (line(screen, handler)) } }
            } }
            p.pad.small.muted { "Counts begin at the start of the dispatcher." }
        }
    };
    panel("handlers-h", "Commands and subscribers", None, &body)
}

fn line(screen: &Screen, handler: &HandlerStatus) -> Markup {
    let of = PauseOf::Handler(handler.name.clone());
    let within = |share| handler.durations.at_most(share).map(|limit| length(limit, false));
    html! {
        tr {
            td.title { (id(&handler.name)) @if handler.subscriber { span.sub { "subscriber" } } }
            td data-label="Condition" {
                @if handler.paused { (status("parked", "paused")) }
                @else if handler.breaker_open == Some(true) { (status("retrying", "breaker open")) }
                @else { (condition(false)) }
                @if let Some((most, per)) = handler.rate { span.sub { "at most " (most) " in " (length(per, false)) } }
            }
            td.num data-label="Running" { (handler.running) span.faint { " of " (handler.concurrency) } }
            td.num data-label="Waiting" { (number(handler.waiting as u64)) }
            td.num data-label="Attempts" { (number(handler.ended.all())) }
            td.num data-label="Failed" { (number(handler.ended.failed())) }
            td.num data-label="Half within" { (within(0.5).unwrap_or_else(|| "–".to_owned())) }
            td.num data-label="99 % within" { (within(0.99).unwrap_or_else(|| "–".to_owned())) }
            td.wide data-label="Last error" {
                @match &handler.last_error { Some((at, error)) => { span.err { (visible(error)) } " " span.sub { (time(*at, screen.now)) } }, None => "–" }
            }
            @if screen.decides() { td.fit { (link(screen, &of, handler.paused)) } }
        }
    }
}
