//! What is in this dead letter, why is it here, and what may I do with it?

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{DeadId, DeadLetter, DeadLetterReason, DeadLetterRow, MailKind};
use serde::Deserialize;

use super::operate::{Asked, form, notice};
use super::{NoPage, Said, Screen};
use crate::parts::{id, panel, status, time};
use crate::text::{instance_address, pretty, query};

/// Which letter, and the verb of the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Of {
    pub(crate) id: i64,
    pub(crate) verb: String,
}

/// A verb on a letter, with its words.
struct Verb {
    name: &'static str,
    title: &'static str,
    effect: &'static str,
}

const VERBS: [Verb; 3] = [
    Verb {
        name: "redrive",
        title: "Deliver again",
        effect: "removes the letter and delivers its message again. If the message still cannot be applied, it comes back as a new letter.",
    },
    Verb {
        name: "edit",
        title: "Edit and deliver",
        effect: "delivers the message with the body that you write. The consumer must be able to read the body.",
    },
    Verb { name: "discard", title: "Discard", effect: "removes the letter. The audit keeps its body." },
];

pub(crate) async fn letter(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of, None).await;
    screen.answer(page)
}

/// Returns the page of a letter. `said` is about a decision that was not applied.
pub(crate) async fn page(screen: &Screen, of: &Of, said: Option<Said>) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let Some(DeadLetterRow { letter, .. }) = DeadLetterRow::read(&*store, DeadId(of.id)).await? else {
        return Err(NoPage::NotFound(format!(
            "There is no dead letter {}. Somebody may have delivered or discarded it.",
            of.id
        )));
    };
    let possible: Vec<&Verb> = if screen.decides() { possible(&letter) } else { Vec::new() };
    let chosen = possible.iter().find(|verb| verb.name == of.verb);
    let to = |verb: &str| {
        screen.base.to(&format!("/letter{}", query(&[("id", &of.id.to_string()), ("verb", verb)])))
    };
    let body = html! {
        div.head {
            h1 { "Dead letter " (of.id) }
            p.lead { (visible(&letter.message.name)) " for " a href=(screen.base.to(&instance_address(&letter.to, &[]))) { (visible(&letter.to.saga)) " " code { (visible(letter.to.key.text())) } } }
        }
        div.stack {
            (notice(said.as_ref(), ""))
            @if !possible.is_empty() {
                div.verbs {
                    @for verb in &possible {
                        @let class = match verb.name { "discard" => "btn btn-danger", "redrive" => "btn btn-main", _ => "btn" };
                        a class=(class) href=(to(verb.name)) aria-current=[(of.verb == verb.name).then_some("true")] { (verb.title) "…" }
                    }
                }
            }
            @if let Some(verb) = chosen { (ask(screen, of.id, verb, &letter, said.as_ref())) }
            (facts(screen, &letter))
        }
    };
    let crumbs = html! { a href=(screen.base.to("/dead")) { "Dead letters" } " / " span aria-current="page" { (of.id) } };
    Ok(screen.page_at("/dead", &format!("Dead letter {}", of.id), numbers.badges, &crumbs, &body))
}

/// Returns the verbs that the letter may take. An outcome and a declined verb are only records.
fn possible(letter: &DeadLetter) -> Vec<&'static Verb> {
    let delivers = matches!(letter.kind, MailKind::Event | MailKind::Delivery)
        && letter.reason != DeadLetterReason::BadKey;
    VERBS.iter().filter(|verb| delivers || verb.name == "discard").collect()
}

fn ask(screen: &Screen, number: i64, verb: &Verb, letter: &DeadLetter, said: Option<&Said>) -> Markup {
    let body = said.map_or_else(|| pretty(letter.message.payload.as_str()), |said| said.body.clone());
    let more = html! {
        @if verb.name == "edit" {
            label.small.muted { "Body, JSON of version " (letter.message.version) textarea.field.json name="body" form="verb" rows="10" spellcheck="false" { (body) } }
        }
    };
    let asked = Asked {
        verb: verb.name,
        title: verb.title,
        effect: verb.effect,
        about: &format!("letter {number}"),
        hidden: &[("id", &number.to_string())],
        more: &more,
        danger: verb.name == "discard",
    };
    form(screen, &asked, said)
}

fn facts(screen: &Screen, letter: &DeadLetter) -> Markup {
    let body = html! {
        dl.kv.pad {
            dt { "Reason" } dd { (status("dead", letter.reason.as_str())) @if !letter.detail.is_empty() { " " span.err { (visible(&letter.detail)) } } }
            dt { "Kind" } dd { (letter.kind.as_str()) }
            dt { "When" } dd { (time(letter.at, screen.now)) @if letter.times > 1 { ", " (letter.times) " times" } }
            @if let Some(message) = &letter.id { dt { "Message id" } dd { (id(message.as_str())) } }
            dt { "Version" } dd { (letter.message.version) }
        }
        div.pad { (screen.payload(letter.message.payload.as_str())) }
    };
    panel("letter-h", "Message", None, &body)
}
