//! Which store is this, and is its dispatcher well?

use axum::response::Response;
use maud::{Markup, html};
use saga_core::message::visible;

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
    };
    Ok(screen.page("/about", "About", numbers.badges, &body))
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
