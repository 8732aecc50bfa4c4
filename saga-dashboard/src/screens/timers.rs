//! What is due next? The instances in the order of their next timer.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{InstanceFilter, InstanceOrder, InstanceView, PageFrom, Position};
use serde::Deserialize;

use super::{NoPage, Numbers, Screen};
use crate::parts::{Look, empty, id, state, status, time};
use crate::text::{instance_address, query};

#[derive(Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    after: String,
}

pub(crate) async fn timers(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of.after).await;
    screen.answer(page)
}

async fn page(screen: &Screen, after: &str) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let mut filter = InstanceFilter::default();
    filter.order = InstanceOrder::Due;
    if !after.is_empty() {
        let position: Position = after.parse().map_err(|error| NoPage::Bad(format!("{error}")))?;
        filter.from = Some(PageFrom::After(position));
    }
    let found = store.instances(&filter).await?;
    let body = html! {
        div.head { h1 { "Timers" } p.lead { "Each instance with a timer, the next one first. Open an instance to fire or postpone its timer." } }
        section.panel aria-label="Timers" {
            @if found.instances.is_empty() {
                (empty("No timer is set", &html! { "A state with " code { "timeout(..)" } " or " code { "every(..)" } " sets a timer when an instance enters it." }))
            } @else {
                div.scroll { table.cards {
                    thead { tr { th scope="col" { "Due" } th scope="col" { "Key" } th scope="col" { "Saga" } th scope="col" { "State" } } }
                    tbody data-live="rows" { @for view in &found.instances { (line(screen, view, &numbers)) } }
                } }
            }
            footer.pager {
                span { @if !after.is_empty() { a href=(screen.base.to("/timers")) { "← First page" } } }
                span { @if let Some(more) = &found.more { a href=(screen.base.to(&format!("/timers{}", query(&[("after", &more.to_string())])))) rel="next" { "After →" } } }
            }
        }
    };
    Ok(screen.page("/timers", "Timers", numbers.badges, &body))
}

fn line(screen: &Screen, view: &InstanceView, numbers: &Numbers) -> Markup {
    html! {
        tr {
            td.fit data-label="Due" {
                @if let Some(due) = view.due {
                    @if screen.now.since(due).as_secs() >= 5 && view.parked.is_none() { (status("overdue", "late")) " " }
                    (time(due, screen.now))
                }
            }
            td.title.key.wide { a href=(screen.base.to(&instance_address(&view.address, &[]))) { (id(view.address.key.text())) } }
            td data-label="Saga" { (visible(&view.address.saga)) }
            td data-label="State" { (state(Look::of_view(view), numbers.variant(view))) }
        }
    }
}
