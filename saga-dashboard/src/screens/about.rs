//! Which store is this, and is its dispatcher well?

use std::collections::BTreeSet;

use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;
use saga_core::store::Meeting;

use super::{NoPage, Screen};
use crate::parts::{panel, status};
use crate::source::Condition;
use crate::text::number;

pub(crate) async fn about(screen: Screen) -> Response {
    let page = page(&screen).await;
    screen.answer(page)
}

async fn page(screen: &Screen) -> Result<Markup, NoPage> {
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let options = &screen.dashboard.options;
    let facts = html! {
        dl.kv.pad {
            dt { "Store" } dd { (visible(&options.name)) @if options.name.is_empty() { span.muted { "no name" } } }
            dt { "Instances" } dd { (number(numbers.of(|_| true))) }
            dt { "Dispatcher" } dd { (condition(screen.dashboard.source.condition())) }
            dt { "Decisions" } dd {
                @if options.read_only { "none; this dashboard only shows the store" }
                @else if screen.dashboard.source.condition() != Condition::Elsewhere { "applied by the dispatcher in this process" }
                @else { "through the inbox, for the dispatcher of another process" }
            }
            dt { "Dashboard" } dd { "version " (env!("CARGO_PKG_VERSION")) }
        }
    };
    let body = html! {
        div.head {
            h1 { "About" }
            p.lead { "Which store this is, and whether its dispatcher is well." }
        }
        (panel("about-h", "This dashboard", None, &facts))
        @if let Some(meeting) = store.meeting().await?.filter(|meeting| !meeting.nodes.is_empty()) {
            (panel("nodes-h", "Nodes", None, &nodes(&meeting)))
        }
    };
    Ok(screen.page("/about", "About", numbers.badges, &body))
}

/// The processes that share the store, with their shards.
fn nodes(meeting: &Meeting) -> Markup {
    let owned = |name: &str| {
        let of = (0..).zip(&meeting.owners);
        let of = of.filter(|(_, owner)| owner.as_ref().is_some_and(|owner| owner.what == name));
        of.map(|(number, _): (u16, _)| number.to_string()).collect::<Vec<_>>().join(" ")
    };
    let joined = |name: &str| meeting.nodes.iter().any(|node| node.what.name == name);
    let alone: BTreeSet<&str> =
        meeting.owners.iter().flatten().map(|owner| &*owner.what).filter(|name| !joined(name)).collect();
    let free = meeting.owners.iter().filter(|owner| owner.is_none()).count();
    html! {
        table {
            thead { tr { th { "Node" } th { "Release" } th { "Shards" } } }
            tbody {
                @for node in &meeting.nodes {
                    tr {
                        td data-label="Node" { (visible(&node.what.name)) }
                        td data-label="Release" { (node.what.build) }
                        td data-label="Shards" { (owned(&node.what.name)) }
                    }
                }
                @for name in alone {
                    tr {
                        td data-label="Node" { (visible(name)) }
                        td data-label="Release" { span.muted { "does not share" } }
                        td data-label="Shards" { (owned(name)) }
                    }
                }
            }
        }
        p.pad.muted { (free) " of " (meeting.owners.len()) " shards have no owner" }
    }
}

fn condition(condition: Condition) -> Markup {
    match condition {
        Condition::Elsewhere => html! { span.muted { "in another process, if one runs" } },
        Condition::Running => status("done", "running"),
        Condition::Degraded(why) => {
            html! { (status("overdue", "the store does not answer")) " " span.err { (visible(&why)) } }
        }
        Condition::Stopped(why) => html! { (status("dead", "stopped")) " " span.err { (visible(&why)) } },
    }
}
