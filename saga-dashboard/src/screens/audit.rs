//! Who has decided what, when and why?

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::{Key, visible};
use saga_core::store::{Address, AuditFilter, AuditFrom, AuditId, AuditRow};
use serde::Deserialize;

use super::{NoPage, Screen};
use crate::parts::{empty, id, prose, status, time};
use crate::text::{instance_address, query};

/// The rows of a page.
const LINES: usize = 50;

/// The filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Of {
    saga: String,
    key: String,
    who: String,
    before: Option<i64>,
}

pub(crate) async fn audit(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of).await;
    screen.answer(page)
}

async fn page(screen: &Screen, of: &Of) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let mut filter = AuditFilter::default();
    if !of.saga.is_empty() && !of.key.is_empty() {
        let key = Key::new(&of.key).map_err(|error| NoPage::Bad(error.to_string()))?;
        filter.to = Some(Address::new(of.saga.clone(), key));
    }
    filter.who = Some(of.who.trim().to_owned()).filter(|who| !who.is_empty());
    filter.from = of.before.map_or(AuditFrom::NEWEST, |before| AuditFrom::Before(AuditId(before)));
    filter.limit = LINES;
    let rows = store.audit(&filter).await?;
    let next = rows.last().filter(|_| rows.len() == LINES).map(|row| row.id.0.to_string());
    let page = |before: &str| {
        let of = [("saga", &*of.saga), ("key", &of.key), ("who", &of.who), ("before", before)];
        screen.base.to(&format!("/audit{}", query(&of)))
    };
    let body = html! {
        div.head {
            h1 { "Audit" }
            p.lead { "Each decision of a person, also a declined one. Rows are never changed, and " code { "saga check" } " proves it." }
        }
        section.panel aria-label="Decisions" {
            form.tools action=(screen.base.to("/audit")) role="search" aria-label="Decisions" {
                label { span.sr { "Who" } input.field name="who" placeholder="Who" value=(of.who); }
                label { span.sr { "Saga" } input.field name="saga" placeholder="Saga" value=(of.saga); }
                label { span.sr { "Key" } input.field name="key" placeholder="Key" value=(of.key); }
                button.btn { "Show" }
            }
            @if rows.is_empty() {
                (empty("No decision", &html! { "Retry, skip, abort, resolve, pause and the others are kept here with the person and the reason." }))
            } @else {
                div.scroll { table.cards {
                    thead { tr {
                        th.num.fit scope="col" { "No." } th scope="col" { "Verb" } th scope="col" { "Of" } th scope="col" { "Who" }
                        th scope="col" { "Why" } th scope="col" { "Outcome" } th.num scope="col" { "When" }
                    } }
                    tbody data-live="rows" { @for row in &rows { (line(screen, row)) } }
                } }
            }
            footer.pager {
                span { @if of.before.is_some() { a href=(page("")) { "← Newest" } } }
                span { @if let Some(next) = next { a href=(page(&next)) rel="next" { "Older →" } } }
            }
        }
    };
    Ok(screen.page("/audit", "Audit", numbers.badges, &body))
}

fn line(screen: &Screen, AuditRow { id: number, entry, .. }: &AuditRow) -> Markup {
    html! {
        tr {
            td.num.fit data-label="No." { (number.0) }
            td.title { b { (visible(&entry.verb)) } @if !entry.object.is_empty() { span.sub { (prose(&entry.object)) } } }
            td.key.wide data-label="Of" {
                @match &entry.to {
                    Some(to) => a href=(screen.base.to(&instance_address(to, &[]))) { (id(to.key.text())) span.sub { (visible(&to.saga)) } },
                    None => "–",
                }
            }
            td data-label="Who" { (visible(&entry.who)) }
            td.wide data-label="Why" {
                (visible(&entry.why))
                @if let Some(payload) = &entry.payload { details.small { summary { "body" } (screen.payload(payload.as_str())) } }
            }
            td data-label="Outcome" {
                @match &entry.declined {
                    None => (status("done", "applied")),
                    Some(why) => { (status("ended", "declined")) span.sub.err { (visible(why)) } },
                }
            }
            td.num data-label="When" { (time(entry.at, screen.now)) }
        }
    }
}
