//! Which messages could not be applied, and why?

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{DeadId, DeadLetterFilter, DeadLetterPage, DeadLetterReason, DeadLetterRow};
use serde::Deserialize;

use super::operate::notice;
use super::{NoPage, Screen};
use crate::parts::{empty, id, search_choice, search_text, status, time};
use crate::text::{instance_address, number, query};

/// The letters of a page.
const LINES: usize = 50;

#[derive(Clone, Default, Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    after: String,
    #[serde(default)]
    consumer: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    done: String,
}

impl Of {
    fn filter(&self) -> Result<DeadLetterFilter, NoPage> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut filter = DeadLetterFilter::default();
        filter.consumer = text(&self.consumer);
        filter.reason = text(&self.reason).map(DeadLetterReason::from_word);
        filter.message = text(&self.message);
        filter.key_prefix = text(&self.key);
        filter.detail = text(&self.error);
        let bad = |_| NoPage::Bad(format!("`{}` is no number of a dead letter.", self.after));
        filter.after = text(&self.after).map(|after| after.parse().map(DeadId)).transpose().map_err(bad)?;
        filter.limit = LINES;
        Ok(filter)
    }

    /// The address of the list with these conditions, after this letter.
    fn to(&self, after: &str) -> String {
        let fields = [
            ("consumer", &*self.consumer),
            ("reason", &self.reason),
            ("message", &self.message),
            ("key", &self.key),
            ("error", &self.error),
            ("after", after),
        ];
        let set: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        format!("/dead{}", query(&set))
    }
}

pub(crate) async fn dead_letters(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of).await;
    screen.answer(page)
}

async fn page(screen: &Screen, of: &Of) -> Result<Markup, NoPage> {
    let filter = of.filter()?;
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let DeadLetterPage { rows, more, .. } = filter.page(&*store).await?;
    let next = more.map(|after| of.to(&after.0.to_string()));
    let body = html! {
        div.head {
            h1 { "Dead letters" }
            p.lead { "A dead letter is a message that could not be applied. Nothing of it is lost." }
        }
        (notice(None, &of.done))
        section.panel aria-label="Dead letters" {
            (search(screen, of))
            @if rows.is_empty() {
                @match (&next, filter.is_empty()) {
                    (Some(next), _) => (empty("None among these letters", &html! { "The search looks at 5,000 letters at a time. " a href=(screen.base.to(next)) { "Search on" } })),
                    (None, false) => (empty("No dead letter meets the conditions", &html! { a href=(screen.base.to("/dead")) { "Show all dead letters" } })),
                    (None, true) => (empty("No dead letters", &html! { "An event for an ended or missing instance, or one that a state rejects, is kept here with its body." })),
                }
            } @else {
                div.scroll { table.cards {
                    thead { tr {
                        th.num.fit scope="col" { "No." } th scope="col" { "Message" } th scope="col" { "Consumer" } th scope="col" { "Key" }
                        th scope="col" { "Reason" } th.num scope="col" { "Times" } th.num scope="col" { "When" }
                        th scope="col" { span.sr { "Open" } }
                    } }
                    tbody data-live="rows" { @for row in &rows { (line(screen, row)) } }
                } }
            }
            footer.pager {
                span { @if !of.after.is_empty() { a href=(screen.base.to(&of.to(""))) { "← First page" } } }
                span { @if let Some(next) = next { a href=(screen.base.to(&next)) rel="next" { "After →" } } }
            }
        }
    };
    Ok(screen.page("/dead", "Dead letters", numbers.badges, &body))
}

fn search(screen: &Screen, of: &Of) -> Markup {
    let reasons: Vec<&str> = DeadLetterReason::KNOWN.iter().map(DeadLetterReason::as_str).collect();
    html! {
        form.tools method="get" action=(screen.base.to("/dead")) role="search" aria-label="Dead letters" {
            (search_text("key", "Key begins with", &of.key))
            (search_text("error", "Text of the detail", &of.error))
            (search_text("message", "Message", &of.message))
            (search_text("consumer", "Saga or subscriber", &of.consumer))
            (search_choice("reason", "any reason", &of.reason, &reasons))
            button.btn.btn-main { "Search" }
        }
    }
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
