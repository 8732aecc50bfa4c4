//! The table of a saga as a drawing: states as boxes, moves as arrows, and the number of instances in each state.
//!
//! Owns: the SVG. Does not own: the places of boxes and arrows (`layout`), or colours (`assets/saga.css`).

mod layout;

use std::collections::BTreeMap;
use std::fmt::Write;

use maud::{Markup, html};
use saga_core::definition::StoredDefinition;

use layout::{Arrow, Layout, Style};

/// The instances in one state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InState {
    pub(crate) instances: u64,
    pub(crate) parked: u64,
}

/// What a drawing shows besides the table.
#[derive(Default)]
pub(crate) struct Shown<'a> {
    /// The instances by the stored name of the state. Without it, no box has a number.
    pub(crate) counts: Option<&'a BTreeMap<String, InState>>,
    /// The state of the one instance that the page is about.
    pub(crate) here: Option<&'a str>,
    /// The address behind a box, by the stored name of the state.
    pub(crate) link: Option<&'a dyn Fn(&str) -> String>,
}

/// Returns the drawing of a table as an SVG document, with its colours.
pub fn svg(definition: &StoredDefinition) -> String {
    const STYLE: &str = include_str!("../../assets/diagram.css");
    let drawing = draw(definition, &Shown::default()).into_string();
    let style = format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><style>{STYLE}</style>");
    let mut document = drawing.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1);
    if let Some(end) = document.find('>') {
        document.insert_str(end + 1, style.split_once('>').map_or("", |(_, style)| style));
    }
    document
}

/// Returns the drawing as a part of a page.
pub(crate) fn draw(definition: &StoredDefinition, shown: &Shown<'_>) -> Markup {
    let layout = Layout::of(definition);
    let (width, height) = (layout.width, layout.height);
    // The smallest type is then just above 10.5 pixels. A wider drawing scrolls.
    let scaled = |length: i32| format!("{:.0}", f64::from(length) * 0.9);
    html! {
        svg.dia width=(scaled(width)) height=(scaled(height)) viewBox=(format!("0 0 {width} {height}")) role=(if shown.link.is_some() { "group" } else { "img" }) aria-label=(described(definition, shown)) {
            defs {
                @for (id, class) in [("tip", "tip"), ("tip-undo", "tip-undo")] {
                    marker id=(id) viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse" {
                        path class=(class) d="M0 0 8 4 0 8z" {}
                    }
                }
            }
            @if let Some((x, y)) = layout.start { circle.f-muted cx=(x) cy=(y) r="5" {} }
            @for arrow in &layout.arrows { (arrow_of(arrow)) }
            @for (state, at) in definition.states.iter().zip(&layout.boxes) {
                @let inner = boxed(definition, state, *at, shown);
                @match shown.link {
                    Some(link) => a href=(link(&state.name)) { (inner) },
                    None => (inner),
                }
            }
        }
    }
}

fn arrow_of(arrow: &Arrow) -> Markup {
    let (edge, label, tip) = match arrow.style {
        Style::Forward => ("edge", "lab", "url(#tip)"),
        Style::Undo => ("edge edge-undo", "lab-undo", "url(#tip-undo)"),
    };
    html! {
        path class=(edge) d=(arrow.path) marker-end=(tip) {}
        text class=(label) x=(arrow.label.0) y=(arrow.label.1) text-anchor="end" {
            title { (arrow.text) }
            (layout::clipped(&arrow.text))
        }
    }
}

fn boxed(
    definition: &StoredDefinition,
    state: &saga_core::definition::StoredState,
    at: layout::Box,
    shown: &Shown<'_>,
) -> Markup {
    let counted = shown.counts.map(|counts| counts.get(&state.name).copied().unwrap_or_default());
    let class = match (&state.end, shown.here == Some(&*state.name)) {
        (_, true) => "box box-now",
        (Some(_), false) => "box box-end",
        (None, false) => "box",
    };
    let layout::Box { x, y, width, height } = at;
    html! {
        g {
            title { (state.variant) @if !state.doc.is_empty() { ": " (state.doc.trim()) } }
            rect class=(class) x=(x) y=(y) width=(width) height=(height) rx="5" {}
            text.name x=(x + 12) y=(y + 23) { (layout::cut(&state.variant, if counted.is_some() { 16 } else { 19 })) }
            @if let Some(InState { instances, parked }) = counted {
                @if instances > 0 || state.end.is_none() {
                    text.count x=(x + width - 12) y=(y + 24) text-anchor="end" { (crate::text::number(instances)) }
                }
                @if parked > 0 { text.lab-parked x=(x + 12) y=(y + 42) { (crate::text::number(parked)) " parked" } }
            }
            @let owed = owed(definition, state);
            @if !owed.is_empty() {
                text.lab-undo x=(x + 12) y=(y + height - 10) { "owes " (layout::cut(&owed, 18)) }
            }
        }
    }
}

fn owed(definition: &StoredDefinition, state: &saga_core::definition::StoredState) -> String {
    let named = |undo: &String| {
        definition.command(undo).map_or_else(|| undo.clone(), |command| command.payload.type_name.clone())
    };
    state.owes.iter().map(named).collect::<Vec<_>>().join(", ")
}

/// The drawing in words, for those who do not see it.
fn described(definition: &StoredDefinition, shown: &Shown<'_>) -> String {
    let mut text = format!("{}: ", definition.saga);
    for (at, state) in definition.states.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}{}", state.variant);
        if let Some(counts) = shown.counts {
            let _ = write!(text, " {}", counts.get(&state.name).copied().unwrap_or_default().instances);
        }
    }
    if let Some(here) = shown.here.and_then(|here| definition.state(here)) {
        let _ = write!(text, "; the instance is in {}", here.variant);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_its_own_colours_and_escapes_names() {
        let definition: StoredDefinition = serde_json::from_value(serde_json::json!({
            "saga": "x", "version": 1, "data": { "type_name": "Data" },
            "states": [{ "name": "a", "variant": "<script>", "rows": [0] }],
            "initially": [0], "rows": [{ "triggers": [], "to": { "to": ["a"] } }],
            "events": [], "commands": [], "ended_instance": "ignore", "missing_instance": "reject",
        }))
        .unwrap();
        let document = svg(&definition);
        assert!(
            document.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"dia\""),
            "{document}"
        );
        assert!(document.contains("<style>") && !document.contains("<script>"), "{document}");
        assert_eq!(document.matches("<svg").count(), 1);
    }
}
