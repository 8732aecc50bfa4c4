//! Who gets which event?

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{
    ConsumerRow, Delivery, DeliveryFilter, DeliveryId, DeliveryPage, DeliveryRow, Inspect, PauseOf,
    StoreError,
};
use serde::Deserialize;

use super::handlers::link;
use super::{NoPage, Screen};
use crate::parts::{age, empty, id, panel, search_choice, search_text, status, time};
use crate::text::{number, query};

/// The deliveries that are counted for the lag of each subscriber.
const COUNTED: usize = 1_000;
/// The deliveries of one read.
const PORTION: usize = 200;

/// Which deliveries to list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Of {
    consumer: String,
    event: String,
    key: String,
    /// `failing`, or empty for all.
    tries: String,
    after: String,
}

impl Of {
    fn filter(&self) -> Result<DeliveryFilter, NoPage> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut filter = DeliveryFilter::default();
        (filter.consumer, filter.event) = (some(&self.consumer), some(&self.event));
        filter.key_prefix = some(&self.key);
        filter.failing = (self.tries == "failing").then_some(true);
        let bad = || NoPage::Bad(format!("`{}` is no number of a delivery", self.after));
        filter.after =
            some(&self.after).map(|after| after.parse().map_err(|_| bad())).transpose()?.map(DeliveryId);
        Ok(filter)
    }

    /// Returns the address of the page behind a delivery.
    fn next(&self, DeliveryId(after): DeliveryId) -> String {
        let Self { consumer, event, key, tries, .. } = self;
        let after = after.to_string();
        query(&[("consumer", consumer), ("event", event), ("key", key), ("tries", tries), ("after", &after)])
    }
}

pub(crate) async fn subscribers(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of).await;
    screen.answer(page)
}

/// The oldest open deliveries, to count the lag of each subscriber.
struct Lag {
    rows: Vec<DeliveryRow>,
    more: bool,
}

impl Lag {
    async fn read(store: &dyn Inspect) -> Result<Self, StoreError> {
        let mut rows: Vec<DeliveryRow> = Vec::new();
        while rows.len() < COUNTED {
            let after = rows.last().map_or(DeliveryId::default(), |row| row.id);
            let portion = store.open_deliveries(after, PORTION).await?;
            let last = portion.len() < PORTION;
            rows.extend(portion);
            if last {
                return Ok(Self { rows, more: false });
            }
        }
        Ok(Self { rows, more: true })
    }

    /// The open deliveries of one event to a subscriber, and the age of the oldest one.
    fn of(&self, screen: &Screen, of: &ConsumerRow) -> Markup {
        let mut own = self
            .rows
            .iter()
            .map(|row| &row.delivery)
            .filter(|delivery| *delivery.to.saga == *of.consumer && *delivery.event.name == *of.event)
            .peekable();
        let oldest = own.peek().map(|delivery| delivery.progress.since);
        html! {
            @match oldest {
                Some(oldest) => { (number(own.count() as u64)) @if self.more { "+" } ", oldest " (age(oldest, screen.now)) },
                None if !of.subscriber || self.more => {},
                None => span.muted { "none" },
            }
        }
    }
}

async fn page(screen: &Screen, of: &Of) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let consumers = store.consumers().await?;
    let lag = Lag::read(&*store).await?;
    let found = of.filter()?.page(&*store).await?;
    let retired = |row: &ConsumerRow| numbers.pauses.iter().any(|pause| pause.retires(&row.consumer));
    let body = html! {
        div.head { h1 { "Subscribers" } p.lead { "Each event with its consumers. A consumer stays here after its build has gone, so that its events wait. Retire it if no build will have it again." } }
        div.stack { section.panel aria-label="Consumers" {
            @if consumers.is_empty() { (empty("No consumer is registered", &html! { "The start of a dispatcher registers its sagas and subscribers." })) }
            @else {
                div.scroll { table.cards {
                    thead { tr { th scope="col" { "Event" } th scope="col" { "Consumer" } th scope="col" { "Kind" } th scope="col" { "Condition" } th scope="col" { "Open" } @if screen.decides() { th scope="col" { span.sr { "Decide" } } } } }
                    tbody { @for row in &consumers {
                        tr {
                            td.title { (id(&row.event)) }
                            td data-label="Consumer" { (visible(&row.consumer)) }
                            td data-label="Kind" { @if row.subscriber { "subscriber" } @else { "saga" } }
                            td data-label="Condition" { @if retired(row) { (status("over", "retired")) } @else { (status("moving", "gets events")) } }
                            td data-label="Open" { (lag.of(screen, row)) }
                            @if screen.decides() { td.fit { @if !screen.dashboard.source.has_consumer(&row.consumer) { (link(screen, &PauseOf::Consumer(row.consumer.clone()), retired(row))) } } }
                        }
                    } }
                } }
            }
        }
        (deliveries(screen, of, &found, &consumers)) }
    };
    Ok(screen.page("/subscribers", "Subscribers", numbers.badges, &body))
}

/// The open deliveries that meet the conditions, the oldest first.
fn deliveries(screen: &Screen, of: &Of, found: &DeliveryPage, consumers: &[ConsumerRow]) -> Markup {
    let mut names: Vec<&str> =
        consumers.iter().filter(|row| row.subscriber).map(|row| &*row.consumer).collect();
    names.sort_unstable();
    names.dedup();
    let body = html! {
        form.tools action=(screen.base.to("/subscribers")) role="search" aria-label="Deliveries" {
            (search_choice("consumer", "any subscriber", &of.consumer, &names))
            (search_text("event", "Event", &of.event))
            (search_text("key", "Key begins with", &of.key))
            (search_choice("tries", "all", &of.tries, &["failing"]))
            button.btn { "Search" }
        }
        @if let (true, Some(after)) = (found.rows.is_empty(), found.more) {
            (empty("None among these deliveries", &html! { "The search looks at 5,000 deliveries at a time. " a href=(screen.base.to(&format!("/subscribers{}", of.next(after)))) { "Search on" } }))
        } @else if found.rows.is_empty() { (empty("No open delivery", &html! { "A delivery is open from the publish of its event to the success of its subscriber." })) }
        @else {
            div.scroll { table.cards {
                thead { tr { th scope="col" { "Subscriber" } th scope="col" { "Key" } th scope="col" { "Event" } th.num scope="col" { "Tries" } th.num scope="col" { "Next" } th.num scope="col" { "Since" } } }
                tbody { @for DeliveryRow { delivery, .. } in &found.rows { (delivery_row(screen, delivery)) } }
            } }
            @if let Some(after) = found.more { footer { a href=(screen.base.to(&format!("/subscribers{}", of.next(after)))) { "More" } } }
        }
    };
    let beside = html! { span.small { "oldest first" } };
    html! { div data-live="deliveries" { (panel("deliveries-h", "Open deliveries", Some(beside), &body)) } }
}

fn delivery_row(screen: &Screen, delivery: &Delivery) -> Markup {
    let progress = &delivery.progress;
    let waits = progress.due > screen.now;
    html! {
        tr {
            td.title { (visible(&delivery.to.saga)) }
            td data-label="Key" { (id(delivery.to.key.text())) }
            td data-label="Event" {
                (id(&delivery.event.name))
                @if let Some(error) = &progress.error { span.sub.err { (visible(error)) } }
                details.small { summary { "body, " (number(delivery.event.payload.as_str().len() as u64)) "\u{a0}B" } (screen.payload(delivery.event.payload.as_str())) }
            }
            td.num data-label="Tries" { (progress.attempts) }
            td.num data-label="Next" { @if waits { (time(progress.due, screen.now)) } }
            td.num data-label="Since" { (time(progress.since, screen.now)) }
        }
    }
}
