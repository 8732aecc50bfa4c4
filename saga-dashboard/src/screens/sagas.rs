//! What may an instance of a saga do? The table of each saga, as a drawing and row by row.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use saga_core::definition::{StoredClause, StoredDefinition, StoredMove, StoredRow, StoredState, StoredType};
use saga_core::message::visible;
use serde::Deserialize;

use super::overview::legend;
use super::{NoPage, Screen};
use crate::diagram::{Shown, draw};
use crate::parts::{empty, id, panel, status};
use crate::text::{count, query};

#[derive(Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    saga: String,
    version: Option<u32>,
}

pub(crate) async fn sagas(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = page(&screen, &of).await;
    screen.answer(page)
}

async fn page(screen: &Screen, of: &Of) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let definitions = &numbers.definitions;
    let shown = definitions.iter().rev().find(|definition| {
        (of.saga.is_empty() || definition.saga == of.saga)
            && of.version.is_none_or(|version| definition.version == version)
    });
    let to = |definition: &StoredDefinition| {
        let version = definition.version.to_string();
        screen.base.to(&format!("/sagas{}", query(&[("saga", &definition.saga), ("version", &version)])))
    };
    let is_shown = |definition: &StoredDefinition| {
        shown.is_some_and(|shown| (&shown.saga, shown.version) == (&definition.saga, definition.version))
    };
    let body = html! {
        div.head { h1 { "Sagas" } p.lead { (count(definitions.len() as u64, "definition has", "definitions have")) " run on this store." } }
        @if definitions.is_empty() {
            section.panel { (empty("No definition", &html! { "The start of a dispatcher writes the table of each of its sagas into the store." })) }
        } @else {
            div.stack {
                section.panel { div.tools { div.tabs role="group" aria-label="Definitions" {
                    @for definition in definitions {
                        a href=(to(definition)) aria-current=[is_shown(definition).then_some("true")] {
                            (visible(&definition.saga)) " " span.n { "version " (definition.version) }
                        }
                    }
                } } }
                @match shown {
                    Some(definition) => (table(definition)),
                    None => section.panel { (empty("Not here", &html! { "The store has no such definition." })) },
                }
            }
        }
    };
    Ok(screen.page("/sagas", "Sagas", numbers.badges, &body))
}

fn table(definition: &StoredDefinition) -> Markup {
    let drawing = html! {
        @if !definition.doc.is_empty() { p.pad { (visible(&definition.doc)) } }
        div.scroll.pad tabindex="0" role="region" aria-label="State diagram; the table below has the same rows" {
            (draw(definition, &Shown::default()))
        }
        (legend())
    };
    let rows = html! {
        div.scroll { table.cards {
            thead { tr { th scope="col" { "State" } th scope="col" { "When" } th scope="col" { "Does" } th scope="col" { "Then" } } }
            tbody {
                @for &row in &definition.initially { @if let Some(row) = definition.rows.get(row) { (row_of(definition, "start", row)) } }
                @for state in &definition.states {
                    @for &row in &state.rows { @if let Some(row) = definition.rows.get(row) { (row_of(definition, &state.variant, row)) } }
                    @if state.rows.is_empty() { (end_of(state)) }
                }
            }
        } }
    };
    html! {
        (panel("drawing-h", &visible(&definition.saga), None, &drawing))
        (panel("rows-h", "Rows", None, &rows))
        (panel("types-h", "Messages", None, &types(definition)))
    }
}

fn end_of(state: &StoredState) -> Markup {
    html! {
        tr {
            td.title { (visible(&state.variant)) }
            td data-label="When" {} td data-label="Does" {}
            td data-label="Then" { @match state.end.as_deref() { Some("completed") => (status("done", "ends well")), Some(_) => (status("ended", "ends as a failure")), None => {} } }
        }
    }
}

fn row_of(definition: &StoredDefinition, state: &str, row: &StoredRow) -> Markup {
    let triggers: Vec<&str> = row.triggers.iter().map(|trigger| &*trigger.label).collect();
    html! {
        tr {
            td.title { (visible(state)) }
            td data-label="When" {
                (visible(&triggers.join(if row.all { " and " } else { " or " })))
                @if let Some(guard) = &row.guard { span.sub { "if " code { (visible(guard)) } } }
                @if !row.doc.is_empty() { span.sub { (visible(&row.doc)) } }
            }
            td data-label="Does" {
                @if row.compensate { (status("unwinding", "undoes what is owed")) " " }
                @for clause in &row.clauses { (clause_of(clause)) " " }
            }
            td data-label="Then" {
                @match (&row.verdict, &row.to) {
                    (Some(verdict), _) => (visible(verdict)),
                    (None, StoredMove::To(states)) => {
                        @for (at, name) in states.iter().enumerate() {
                            @if at > 0 { " or " }
                            b { (visible(definition.state(name).map_or(name, |state| &state.variant))) }
                        }
                    },
                    (None, StoredMove::Stay) => span.muted { "stays" },
                    (None, StoredMove::Reenter) => span.muted { "enters it again" },
                    (None, StoredMove::Park) => (status("parked", "waits for a person")),
                }
            }
        }
    }
}

fn clause_of(clause: &StoredClause) -> Markup {
    html! {
        span { span.muted { (visible(&clause.what)) " " } (id(if clause.name.is_empty() { &clause.method } else { &clause.name })) }
        @if let Some(undo) = &clause.undo { " " (status("unwinding", &format!("owes {undo}"))) }
    }
}

fn types(definition: &StoredDefinition) -> Markup {
    let row = |what: &str, name: &str, version: u32, of: &StoredType| {
        html! {
            tr {
                td.title { (id(name)) }
                td data-label="Kind" { (what) }
                td.num data-label="Version" { (version) }
                td data-label="Fields" { @for (place, kind) in of.shape.iter().filter(|(place, _)| !place.is_empty()) { code.small { (visible(place)) ": " (kind) } " " } }
            }
        }
    };
    html! {
        div.scroll { table.cards {
            thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th.num scope="col" { "Version" } th scope="col" { "Fields" } } }
            tbody {
                (row("data", &definition.data.type_name, definition.version, &definition.data))
                @for event in &definition.events { (row(if event.keyed { "event" } else { "reply" }, &event.name, event.version, &event.payload)) }
                @for command in &definition.commands { (row(if command.undo { "undo" } else { "command" }, &command.name, command.version, &command.payload)) }
            }
        } }
    }
}
