//! Is work still moving, and does anybody need me? Then: where are all instances, and what has just happened?

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::definition::StoredDefinition;
use saga_core::message::{Timestamp, visible};
use saga_core::store::{InstanceFilter, InstanceOrder, InstanceView, Problem, Problems, Status};
use serde::Deserialize;

use super::{NoPage, Numbers, Screen, has, is_active};
use crate::diagram::{InState, Shown, draw};
use crate::parts::{Look, age, bar, empty, id, panel, prose, state, status, time};
use crate::text::{count, instance_address, number, query};
use crate::trend::spark;

/// The most groups of problems on this page.
const GROUPS: usize = 6;
/// The most recent steps on this page.
const RECENT: usize = 12;

#[derive(Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    saga: String,
}

pub(crate) async fn overview(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of.saga).await;
    screen.answer(page)
}

async fn page(screen: &Screen, saga: &str) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let definitions = newest(&numbers.definitions);
    let problems = screen.problems(&store).await?;
    let mut filter = InstanceFilter::default();
    (filter.order, filter.descending, filter.limit) = (InstanceOrder::Changed, true, RECENT);
    let recent = store.instances(&filter).await?.instances;
    let mut due = InstanceFilter::default();
    (due.order, due.limit, due.status) = (InstanceOrder::Due, 1, Some(Status::Running));
    // A parked instance keeps its due timers until a person releases it.
    due.parked = Some(false);
    let due = store.instances(&due).await?.instances.into_iter().next();
    let sagas = sagas(&numbers, &definitions);
    let shown = sagas.iter().find(|(name, _)| *name == saga).or(sagas.first()).map(|(name, _)| name.clone());
    let body = html! {
        div.head { h1.sr { "Overview" } (lead(screen, &numbers, &problems, recent.first(), due.as_ref())) }
        div.stack {
            (figures(screen, &numbers))
            (rates(screen))
            @if sagas.is_empty() {
                section.panel {
                    (empty("No saga has run here yet", &html! {
                        "Start a dispatcher on this store and publish an event that starts a saga. This page then shows where the instances are."
                    }))
                }
            } @else {
                (attention(screen, &problems))
                @if let Some(shown) = shown { (map(screen, &shown, &sagas, &definitions, &numbers)) }
            }
            (activity(screen, &recent, &numbers))
        }
    };
    Ok(screen.page("/", "Overview", numbers.badges, &body))
}

/// Returns the newest definition of each saga.
fn newest(definitions: &[StoredDefinition]) -> BTreeMap<&str, &StoredDefinition> {
    // The list is in order of the versions, so the last one stays.
    definitions.iter().map(|definition| (&*definition.saga, definition)).collect()
}

/// Returns the sagas with their active instances: those with instances first.
fn sagas(numbers: &Numbers, definitions: &BTreeMap<&str, &StoredDefinition>) -> Vec<(String, u64)> {
    let mut sagas: BTreeMap<String, (u64, u64)> =
        definitions.keys().map(|name| ((*name).to_owned(), (0, 0))).collect();
    for count in &numbers.counts {
        let (active, all) = sagas.entry(count.saga.clone()).or_default();
        *all += count.instances;
        *active += if is_active(count) { count.instances } else { 0 };
    }
    let mut sagas: Vec<_> = sagas.into_iter().collect();
    sagas.sort_by(|(one, (_, of_one)), (other, (_, of_other))| of_other.cmp(of_one).then(one.cmp(other)));
    sagas.into_iter().map(|(name, (active, _))| (name, active)).collect()
}

fn lead(
    screen: &Screen,
    numbers: &Numbers,
    problems: &Problems,
    newest: Option<&InstanceView>,
    due: Option<&InstanceView>,
) -> Markup {
    let now = screen.now;
    let waiting: usize = problems.groups.iter().map(|group| group.count).sum();
    let oldest: Option<Timestamp> = problems.groups.iter().map(|group| group.oldest).min();
    let late = due.and_then(|view| view.due).filter(|due| now.since(*due).as_secs() >= 5);
    html! {
        p.lead data-live="lead" {
            @match (late, newest) {
                (Some(late), _) => { b { "Work is late." } " A timer is due since " b { (age(late, now)) } ". " },
                (None, Some(newest)) => {
                    @if numbers.of(is_active) == 0 { b { "All instances have ended." } } @else { b { "Nothing is late." } }
                    " The last step was " (time(newest.changed_at, now)) ". "
                },
                (None, None) => { "No instance has been started. " },
            }
            @match (waiting as u64, oldest) {
                (0, _) | (_, None) => { "Nothing waits for a person." },
                (waiting, Some(oldest)) => {
                    b { (count(waiting, "thing", "things")) } @if waiting == 1 { " waits" } @else { " wait" }
                    " for a person, the oldest for " (age(oldest, now)) "."
                },
            }
            @if numbers.badges.paused > 0 {
                " " a href=(screen.base.to("/handlers")) { b { (count(numbers.badges.paused, "pause", "pauses")) } }
                @if numbers.badges.paused == 1 { " is" } @else { " are" } " in force."
            }
        }
    }
}

fn figures(screen: &Screen, numbers: &Numbers) -> Markup {
    let base = &screen.base;
    let (stored, active) = (numbers.of(|_| true), numbers.of(is_active));
    let parked = numbers.of(|count| count.parked);
    let unwinding = numbers.of(|count| has(count, Status::Compensating));
    let failed = numbers.of(|count| has(count, Status::Failed) || has(count, Status::Aborted));
    let completed = numbers.of(|count| has(count, Status::Completed));
    let (dead, more) = numbers.badges.dead.unwrap_or_default();
    let figure = |name: &str, to: String, value: String, below: String| {
        html! { div { dt { (name) } dd { a.v href=(base.to(&to)) { (value) } } dd { (below) } } }
    };
    html! {
        section.panel aria-label="Figures" data-live="figures" {
            dl.figures.even {
                (figure("Active", "/instances?status=active".to_owned(), number(active), format!("of {} stored", number(stored))))
                (figure("Compensating", "/instances?status=compensating".to_owned(), number(unwinding), "undo what is owed".to_owned()))
                (figure("Need a person", "/attention".to_owned(), number(parked), "parked instances".to_owned()))
                (figure("Dead letters", "/dead".to_owned(), format!("{}{}", number(dead), if more { "+" } else { "" }), "events that could not be applied".to_owned()))
                (figure("Ended", "/instances?status=completed".to_owned(), number(completed), format!("completed; {} failed or aborted", number(failed))))
            }
        }
    }
}

/// How fast instances start and end, if the page has been open for a moment.
fn rates(screen: &Screen) -> Markup {
    let rates = screen.dashboard.trend.rates();
    let figure = |name: &str, rates: &[(f64, f64)]| {
        // A mean of the last minute is steadier than the last sample.
        let last: Vec<f64> =
            rates.iter().rev().take_while(|(age, _)| *age <= 60.0).map(|(_, rate)| *rate).collect();
        let mean = last.iter().sum::<f64>() / last.len().max(1) as f64;
        html! {
            div {
                dt { (name) }
                dd.with-spark { span.v { (format!("{mean:.0}")) small { " a minute" } } (spark(rates, name)) }
            }
        }
    };
    html! {
        div data-live="rates" {
            @if rates.started.len() > 1 {
                section.panel aria-label="Rates" {
                    dl.figures.two { (figure("Started", &rates.started)) (figure("Ended", &rates.ended)) }
                }
            }
        }
    }
}

fn attention(screen: &Screen, problems: &Problems) -> Markup {
    let base = &screen.base;
    let all: usize = problems.groups.iter().map(|group| group.count).sum();
    let body = html! {
        @if problems.groups.is_empty() {
            p.pad.muted { "Nothing waits for a person. Parked instances and dead letters are listed here, grouped by their error." }
        } @else {
            ol.list {
                @for group in problems.groups.iter().take(GROUPS) {
                    li {
                        div.row { (kind(group)) span { b { (number(group.count as u64)) } " " span.faint { (visible(&group.consumer)) } } }
                        a.err.clamp href=(base.to(&group_address(group))) { (shape(group)) }
                        span.small.muted { "oldest " (age(group.oldest, screen.now)) ", newest " (time(group.newest, screen.now)) }
                    }
                }
            }
        }
    };
    let beside = html! { a href=(base.to("/attention")) { "All " (number(all as u64)) } };
    html! { div data-live="attention" { (panel("attention-h", "Attention", Some(beside), &body)) } }
}

pub(super) fn kind(group: &Problem) -> Markup {
    match group.kind {
        saga_core::store::ProblemKind::Parked => status("parked", "parked"),
        _ => status("dead", "dead letter"),
    }
}

/// The error of a group, with its left out parts marked.
pub(super) fn shape(group: &Problem) -> Markup {
    html! {
        (prose(&group.reason))
        @if !group.error.is_empty() {
            ": "
            @for (at, word) in group.error.split('#').enumerate() {
                @if at > 0 { mark { "#" } }
                (visible(word))
            }
        }
    }
}

pub(super) fn group_address(group: &Problem) -> String {
    match group.kind {
        saga_core::store::ProblemKind::Parked => "/attention".to_owned(),
        _ => "/dead".to_owned(),
    }
}

fn map(
    screen: &Screen,
    saga: &str,
    sagas: &[(String, u64)],
    definitions: &BTreeMap<&str, &StoredDefinition>,
    numbers: &Numbers,
) -> Markup {
    let base = &screen.base;
    let mut states: BTreeMap<String, InState> = BTreeMap::new();
    for count in numbers.counts.iter().filter(|count| count.saga == saga) {
        let in_state = states.entry(count.state.clone()).or_default();
        in_state.instances += count.instances;
        in_state.parked += if count.parked { count.instances } else { 0 };
    }
    let definition = definitions.get(saga).copied();
    let link = |state: &str| base.to(&format!("/instances{}", query(&[("saga", saga), ("state", state)])));
    let whole: u64 = states.values().map(|state| state.instances).sum();
    // The states of the table first, and then those that only earlier versions have.
    let known = definition.map(|definition| &*definition.states).unwrap_or_default();
    let others = states.keys().filter(|name| !known.iter().any(|state| state.name == **name));
    let rows: Vec<(&str, &str)> = known
        .iter()
        .map(|state| (&*state.name, &*state.variant))
        .chain(others.map(|name| (&**name, &**name)))
        .collect();
    html! {
        section.panel aria-labelledby="map-h" data-live="map" {
            header {
                h2.sr #map-h { "Sagas, counted by state" }
                div.tabs {
                    @for (name, active) in sagas {
                        a href=(base.to(&format!("/{}", query(&[("saga", name)])))) aria-current=[(name == saga).then_some("true")] {
                            (visible(name)) " " span.n { (number(*active)) }
                        }
                    }
                }
                @if let Some(definition) = definition {
                    a.small href=(base.to(&format!("/sagas{}", query(&[("saga", saga)])))) { "version " (definition.version) }
                }
            }
            @if let Some(definition) = definition {
                div.scroll.pad tabindex="0" role="region" aria-label=(format!("State diagram of {saga}; the table below has the same numbers")) {
                    (draw(definition, &Shown { counts: Some(&states), here: None, link: Some(&link) }))
                }
                (legend())
            }
            div.scroll {
                table.cards {
                    caption.sr { (visible(saga)) " by state" }
                    thead { tr {
                        th.name-col scope="col" { "State" } th.num scope="col" { "Now" } th scope="col" { "Share" } th.num scope="col" { "Parked" }
                    } }
                    tbody {
                        @for (name, variant) in rows {
                            @let in_state = states.get(name).copied().unwrap_or_default();
                            tr {
                                td.title { a href=(link(name)) { (visible(variant)) } }
                                td.num data-label="Now" { (number(in_state.instances)) }
                                td data-label="Share" { (bar(in_state.instances, whole, "f-accent")) }
                                td.num data-label="Parked" {
                                    @if in_state.parked > 0 { a href=(base.to("/attention")) { (number(in_state.parked)) } } @else { span.faint { "0" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn legend() -> Markup {
    html! {
        footer.legend {
            @for (class, text) in [("edge", "forward"), ("edge edge-undo", "undoes what is owed, then arrives")] {
                span { svg.dia width="26" height="8" viewBox="0 0 26 8" aria-hidden="true" { path class=(class) d="M0 4h26" {} } (text) }
            }
            span { "Rows that stay in their state are in the table of the saga." }
        }
    }
}

fn activity(screen: &Screen, recent: &[InstanceView], numbers: &Numbers) -> Markup {
    let base = &screen.base;
    let body = html! {
        @if recent.is_empty() {
            (empty("Nothing has happened yet", &html! { "The newest steps of all instances appear here." }))
        } @else {
            div.scroll { table.cards {
                thead { tr { th.fit scope="col" { "When" } th scope="col" { "Saga" } th scope="col" { "Instance" } th scope="col" { "State" } th scope="col" { "Waits for" } } }
                tbody {
                    @for view in recent {
                        tr {
                            td.fit.muted data-label="When" { (time(view.changed_at, screen.now)) }
                            td data-label="Saga" { (visible(&view.address.saga)) }
                            td.key.wide data-label="Instance" { a href=(base.to(&instance_address(&view.address, &[]))) { (id(view.address.key.text())) } }
                            td data-label="State" { (state(Look::of_view(view), numbers.variant(view))) }
                            td data-label="Waits for" { @for name in &view.waiting_for { (id(name)) " " } }
                        }
                    }
                }
            } }
        }
    };
    html! { div data-live="activity" { (panel("activity-h", "Recent steps", None, &body)) } }
}
