//! The small parts of pages: glyphs, states, times and panels.
//!
//! Owns: that a status is a glyph, a word and a colour, and that a time is short and has its exact form. Does not own:
//! colours and shapes (`assets/saga.css`).

use maud::{Markup, html};
use saga_core::message::{Timestamp, visible};
use saga_core::store::{InstanceView, Status};

use crate::text::length;

/// The look of an instance in a list: the class of the style sheet, and the word behind the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) class: &'static str,
    pub(crate) word: &'static str,
}

impl Look {
    const fn new(class: &'static str, word: &'static str) -> Self {
        Self { class, word }
    }

    /// Returns the look of an instance.
    pub(crate) fn of(status: Status, parked: bool, failing: bool) -> Self {
        match status {
            _ if parked => Self::new("parked", "parked"),
            Status::Compensating => Self::new("unwinding", "compensating"),
            Status::Running if failing => Self::new("retrying", "retrying"),
            Status::Running => Self::new("waiting", ""),
            Status::Completed => Self::new("done", ""),
            Status::Failed => Self::new("ended", ""),
            Status::Aborted => Self::new("ended", "aborted"),
        }
    }

    pub(crate) fn of_view(view: &InstanceView) -> Self {
        Self::of(view.status, view.parked.is_some(), !view.errors.is_empty())
    }
}

/// A status: glyph, word and colour.
pub(crate) fn status(class: &str, words: &str) -> Markup {
    html! { span class=(format!("st st-{class}")) { (glyph(class)) (visible(words)) } }
}

/// A field of a search for a text.
pub(crate) fn search_text(name: &str, label: &str, value: &str) -> Markup {
    html! { label.sr for=(name) { (label) } input.field.grow id=(name) name=(name) value=(value) placeholder=(label); }
}

/// A field of a search for one of these words. A chosen word that is not among them stays chosen.
pub(crate) fn search_choice(name: &str, any: &str, chosen: &str, all: &[&str]) -> Markup {
    html! {
        label.sr for=(name) { (name) }
        select.field id=(name) name=(name) {
            option value="" { (any) }
            @if !chosen.is_empty() && !all.contains(&chosen) { option value=(chosen) selected { (visible(chosen)) } }
            @for one in all { option value=(one) selected[*one == chosen] { (visible(one)) } }
        }
    }
}

/// The status of an instance with its state.
pub(crate) fn state(look: Look, state: &str) -> Markup {
    match look.word {
        "" => status(look.class, state),
        word => status(look.class, &format!("{state}, {word}")),
    }
}

/// Returns whether nothing takes the verb back. The person confirms such a verb, and its button is red.
pub(crate) fn is_final(verb: &str) -> bool {
    matches!(verb, "abort" | "purge")
}

pub(crate) fn glyph(name: &str) -> Markup {
    html! { svg.g aria-hidden="true" { use href=(format!("#g-{name}")) {} } }
}

/// A time as its distance from now, with the exact one.
pub(crate) fn time(at: Timestamp, now: Timestamp) -> Markup {
    let (ahead, behind) = (at.since(now), now.since(at));
    let text = if ahead.as_secs() > 0 {
        format!("in {}", length(ahead, false))
    } else if behind.as_secs() > 0 {
        format!("{} ago", length(behind, false))
    } else {
        "just now".to_owned()
    };
    exact(at, &text)
}

/// How long ago a time is, in a sentence.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> Markup {
    exact(at, &length(now.since(at), true))
}

fn exact(at: Timestamp, text: &str) -> Markup {
    let iso = at.to_string();
    let title = iso.replacen('T', " ", 1).replacen('Z', " UTC", 1);
    html! { time datetime=(iso) title=(title) { (text) } }
}

/// Stored text in a typewriter face.
pub(crate) fn id(text: &str) -> Markup {
    html! { span.id title=(visible(text)) { (visible(text)) } }
}

/// A sentence of the library. Names in it stand between backticks, and are shown in a typewriter face.
pub(crate) fn prose(text: &str) -> Markup {
    let parts = text.split('`');
    html! { @for (at, part) in parts.enumerate() { @if at % 2 == 1 { code { (visible(part)) } } @else { (visible(part)) } } }
}

/// A page region with a heading.
pub(crate) fn panel(id: &str, title: &str, beside: Option<Markup>, body: &Markup) -> Markup {
    html! {
        section.panel aria-labelledby=(id) {
            header { h2 id=(id) { (title) } @if let Some(beside) = beside { (beside) } }
            (body)
        }
    }
}

/// An empty list, which says what to do.
pub(crate) fn empty(title: &str, advice: &Markup) -> Markup {
    html! { div.empty { h2 { (title) } p { (advice) } } }
}

/// A bar that shows a share.
pub(crate) fn bar(part: u64, whole: u64, class: &str) -> Markup {
    let percent = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    html! {
        svg.bar viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
            rect width="100" height="4" rx="1" {}
            rect width=(format!("{percent:.1}")) height="4" rx="1" class=(class) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_glyph_a_word_and_a_colour() {
        let parked = state(Look::of(Status::Running, true, true), "paying").into_string();
        assert!(parked.contains("st-parked") && parked.contains("#g-parked"), "{parked}");
        assert!(parked.ends_with("paying, parked</span>"), "{parked}");
    }

    #[test]
    fn stored_text_is_escaped_and_controls_nothing() {
        let hostile = id("<script>\u{202e}\"").into_string();
        assert_eq!(
            hostile,
            "<span class=\"id\" title=\"&lt;script&gt;\\u{202e}&quot;\">&lt;script&gt;\\u{202e}&quot;</span>"
        );
    }

    #[test]
    fn a_time_has_its_exact_form() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let text = time(now.minus(std::time::Duration::from_secs(90)), now).into_string();
        assert_eq!(
            text,
            "<time datetime=\"2023-11-14T22:11:50Z\" title=\"2023-11-14 22:11:50 UTC\">1\u{a0}min ago</time>"
        );
    }
}
