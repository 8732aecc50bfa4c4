//! Which messages could not be applied, and why?

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{DeadId, DeadLetterRow};
use serde::Deserialize;

use super::operate::notice;
use super::{NoPage, Screen};
use crate::parts::{empty, id, status, time};
use crate::text::{instance_address, number, query};

/// The letters of a page.
const LINES: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    after: i64,
    #[serde(default)]
    done: String,
}

pub(crate) async fn dead_letters(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of).await;
    screen.answer(page)
}

async fn page(screen: &Screen, of: &Of) -> Result<Markup, NoPage> {
    let after = of.after;
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let letters = store.dead_letters(DeadId(after), LINES).await?;
    let next = letters.last().filter(|_| letters.len() == LINES).map(|row| row.id.0.to_string());
    let body = html! {
        div.head {
            h1 { "Dead letters" }
            p.lead { "A dead letter is a message that could not be applied. Nothing of it is lost." }
        }
        (notice(None, &of.done))
        section.panel aria-label="Dead letters" {
            @if letters.is_empty() {
                (empty("No dead letters", &html! { "An event for an ended or missing instance, or one that a state rejects, is kept here with its body." }))
            } @else {
                div.scroll { table.cards {
                    thead { tr {
                        th.num.fit scope="col" { "No." } th scope="col" { "Message" } th scope="col" { "Consumer" } th scope="col" { "Key" }
                        th scope="col" { "Reason" } th.num scope="col" { "Times" } th.num scope="col" { "When" }
                        th scope="col" { span.sr { "Open" } }
                    } }
                    tbody data-live="rows" { @for row in &letters { (line(screen, row)) } }
                } }
            }
            footer.pager {
                span { @if after > 0 { a href=(screen.base.to("/dead")) { "← First page" } } }
                span { @if let Some(next) = next { a href=(screen.base.to(&format!("/dead{}", query(&[("after", &next)])))) rel="next" { "After →" } } }
            }
        }
    };
    Ok(screen.page("/dead", "Dead letters", numbers.badges, &body))
}

fn line(screen: &Screen, DeadLetterRow { id: number_of, letter }: &DeadLetterRow) -> Markup {
    let to = &letter.to;
    html! {
        tr {
            td.num.fit data-label="No." { (number_of.0) }
            td.title {
                (id(&letter.message.name))
                details.small { summary { "body, " (number(letter.message.payload.as_str().len() as u64)) "\u{a0}B" } (screen.payload(letter.message.payload.as_str())) }
            }
            td data-label="Consumer" { (visible(&to.saga)) }
            td.key.wide data-label="Key" { a href=(screen.base.to(&instance_address(to, &[]))) { (id(to.key.text())) } }
            td data-label="Reason" { (status("dead", letter.reason.as_str())) @if !letter.detail.is_empty() { span.sub.err { (visible(&letter.detail)) } } }
            td.num data-label="Times" { (letter.times) }
            td.num data-label="When" { (time(letter.at, screen.now)) }
            td.fit { a.btn href=(screen.base.to(&format!("/letter{}", query(&[("id", &number_of.0.to_string())])))) { "Open" span.sr { " letter " (number_of.0) } } }
        }
    }
}
