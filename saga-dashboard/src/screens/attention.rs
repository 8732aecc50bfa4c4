//! How many causes are there? Then: the groups of what waits for a person, with the instances of each.

use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::{InstanceFilter, InstanceView, Problem};

use super::overview::{kind, shape};
use super::{NoPage, Numbers, Screen};
use crate::parts::{Look, age, empty, id, state, time};
use crate::text::{count, instance_address, number, query};

/// The groups of a page.
const GROUPS: usize = 100;
/// The instances that are shown of all groups together.
const INSTANCES: usize = 200;

pub(crate) async fn attention(screen: Screen) -> Response {
    let page = page(&screen).await;
    screen.answer(page)
}

async fn page(screen: &Screen) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let problems = screen.problems(&store).await?;
    let mut filter = InstanceFilter::default();
    (filter.parked, filter.limit, filter.descending) = (Some(true), INSTANCES, true);
    let parked = store.instances(&filter).await?.instances;
    let all: usize = problems.groups.iter().map(|group| group.count).sum();
    let body = html! {
        div.head {
            h1 { "Attention" }
            p.lead data-live="lead" {
                @if all == 0 { "Nothing waits for a person." }
                @else {
                    b { (count(problems.groups.len() as u64, "cause", "causes")) } " for "
                    b { (count(all as u64, "thing", "things")) } " that " @if all == 1 { "waits" } @else { "wait" } " for a person."
                    @if !problems.complete { " There are more than could be read; these are the oldest." }
                }
            }
        }
        section.panel aria-label="Groups" data-live="groups" {
            @if problems.groups.is_empty() {
                (empty("All is well", &html! { "An instance is parked when it cannot go on without a decision. It appears here with its cause." }))
            }
            @for group in problems.groups.iter().take(GROUPS) { (group_of(screen, group, &parked, &numbers)) }
        }
    };
    Ok(screen.page("/attention", "Attention", numbers.badges, &body))
}

fn group_of(screen: &Screen, group: &Problem, parked: &[InstanceView], numbers: &Numbers) -> Markup {
    let of_group: Vec<&InstanceView> = parked.iter().filter(|view| group.holds(view)).take(20).collect();
    // The longest part of the error without a number tells the group from others with the same reason.
    let part = group.error.split('#').map(str::trim).max_by_key(|part| part.len()).unwrap_or_default();
    let to = match group.park_reason {
        Some(reason) => {
            let word = serde_json::to_value(reason).ok();
            let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
            format!(
                "/instances{}",
                query(&[("saga", &group.consumer), ("status", "parked"), ("reason", word), ("error", part)])
            )
        }
        None => "/dead".to_owned(),
    };
    html! {
        details.group {
            summary {
                span { (kind(group)) " " span.faint { (visible(&group.consumer)) } span.err.clamp { (shape(group)) } }
                span.n { (number(group.count as u64)) }
                span.span.small.muted { "oldest " (age(group.oldest, screen.now)) br; "newest " (time(group.newest, screen.now)) }
                span {}
            }
            div.body {
                @if of_group.is_empty() {
                    p.pad { a href=(screen.base.to(&to)) { "Show all " (number(group.count as u64)) } }
                } @else {
                    div.scroll { table.cards {
                        thead { tr { th scope="col" { "Key" } th scope="col" { "State" } th scope="col" { "Because" } th.num scope="col" { "Since" } } }
                        tbody { @for view in of_group { (line(screen, view, numbers)) } }
                    } }
                    p.pad { a.btn href=(screen.base.to(&to)) { "Decide about them…" } }
                }
            }
        }
    }
}

fn line(screen: &Screen, view: &InstanceView, numbers: &Numbers) -> Markup {
    let parked = view.parked.as_ref();
    html! {
        tr {
            td.title.key.wide { a href=(screen.base.to(&instance_address(&view.address, &[]))) { (id(view.address.key.text())) } }
            td.fit data-label="State" { (state(Look::of_view(view), numbers.variant(view))) }
            td data-label="Because" { @if let Some(parked) = parked { span.err { (visible(&parked.detail)) } } }
            td.num data-label="Since" { @if let Some(parked) = parked { (time(parked.since, screen.now)) } }
        }
    }
}
