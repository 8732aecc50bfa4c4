//! Which schedules are there, and when does each run next?

use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{Address, InstanceFilter, ScheduleLine};

use super::{NoPage, Numbers, Screen};
use crate::parts::{empty, id, status, time};
use crate::text::{instance_address, number};

/// The most schedules of a page.
const MOST: usize = 200;

pub(crate) async fn schedules(screen: Screen) -> Response {
    let page = page(&screen).await;
    screen.answer(page)
}

async fn page(screen: &Screen) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let mut filter = InstanceFilter::default();
    filter.limit = MOST;
    let found = ScheduleLine::page(&*store, &filter).await?;
    let body = html! {
        div.head { h1 { "Schedules" } p.lead { "Each schedule with its next run. Its page has every run and skip." } }
        section.panel aria-label="Schedules" {
            @if found.lines.is_empty() {
                (empty("No schedule is registered", &html! { code { "DispatcherBuilder::recurring" } " publishes an event at the times of a cron expression." }))
            } @else {
                div.scroll { table.cards {
                    caption.sr { "Schedules" }
                    thead { tr {
                        th scope="col" { "Name" } th scope="col" { "Times" } th scope="col" { "State" } th.num scope="col" { "Next" }
                        th.num scope="col" { "Runs" } th.num scope="col" { "Skipped" } th scope="col" { "Last run" }
                    } }
                    tbody data-live="rows" { @for line in &found.lines { (schedule(screen, line, &numbers)) } }
                } }
                @if found.more.is_some() { p.small.muted.pad { "The first " (MOST) " schedules are shown. " code { "saga schedules" } " prints all of them." } }
            }
        }
    };
    Ok(screen.page("/schedules", "Schedules", numbers.badges, &body))
}

fn schedule(screen: &Screen, line: &ScheduleLine, numbers: &Numbers) -> Markup {
    // A subscriber has no page of its own.
    let is_saga = |of: &Address| numbers.counts.iter().any(|count| count.saga == *of.saga);
    let word = if line.parked { "parked" } else { &*line.state };
    let (look, name) = match word {
        "waiting" => ("waiting", "waiting"),
        "starting" => ("moving", "starting"),
        "retired" => ("overdue", "not registered"),
        "removed" => ("ended", "removed"),
        other => ("parked", other),
    };
    html! {
        tr {
            td.title.key.wide { a href=(screen.base.to(&instance_address(&line.address, &[]))) { (id(line.address.key.text())) } }
            td data-label="Times" { (id(&line.cron)) }
            td.fit data-label="State" { (status(look, &visible(name))) }
            td.num data-label="Next" { @if let Some(due) = line.due { (time(due, screen.now)) } }
            td.num data-label="Runs" { (number(line.runs)) }
            td.num data-label="Skipped" {
                @if line.skipped > 0 {
                    (number(line.skipped))
                    @if let Some(why) = &line.why_skipped { span.sub { (visible(why)) } }
                }
            }
            td.long data-label="Last run" {
                @for one in &line.last {
                    @if is_saga(one) { a href=(screen.base.to(&instance_address(one, &[]))) { (id(&one.to_string())) } } @else { (id(&one.to_string())) }
                    " "
                }
            }
        }
    }
}
