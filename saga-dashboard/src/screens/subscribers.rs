//! Who gets which event?

use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{ConsumerRow, PauseOf};

use super::handlers::link;
use super::{NoPage, Screen};
use crate::parts::{empty, id, status};

pub(crate) async fn subscribers(screen: Screen) -> Response {
    let page = page(&screen).await;
    screen.answer(page)
}

async fn page(screen: &Screen) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let consumers = store.consumers().await?;
    let retired = |row: &ConsumerRow| numbers.pauses.iter().any(|pause| pause.retires(&row.consumer));
    let body = html! {
        div.head { h1 { "Subscribers" } p.lead { "Each event with its consumers. A consumer stays here after its build has gone, so that its events wait. Retire it if no build will have it again." } }
        section.panel aria-label="Consumers" {
            @if consumers.is_empty() { (empty("No consumer is registered", &html! { "The start of a dispatcher registers its sagas and subscribers." })) }
            @else {
                div.scroll { table.cards {
                    thead { tr { th scope="col" { "Event" } th scope="col" { "Consumer" } th scope="col" { "Kind" } th scope="col" { "Condition" } @if screen.decides() { th scope="col" { span.sr { "Decide" } } } } }
                    tbody { @for row in &consumers {
                        tr {
                            td.title { (id(&row.event)) }
                            td data-label="Consumer" { (visible(&row.consumer)) }
                            td data-label="Kind" { @if row.subscriber { "subscriber" } @else { "saga" } }
                            td data-label="Condition" { @if retired(row) { (status("over", "retired")) } @else { (status("moving", "gets events")) } }
                            @if screen.decides() { td.fit { @if !screen.dashboard.source.has_consumer(&row.consumer) { (link(screen, &PauseOf::Consumer(row.consumer.clone()), retired(row))) } } }
                        }
                    } }
                } }
            }
        }
    };
    Ok(screen.page("/subscribers", "Subscribers", numbers.badges, &body))
}
