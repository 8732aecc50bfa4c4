//! The form of a verb on a dead letter, a saga or a handler, and the words about its outcome.
//!
//! Owns: the look of the form. Does not own: the check of the fields (`operate`), or the effect of the verb.

use maud::{Markup, html};
use saga_core::message::visible;

use super::{Said, Screen};
use crate::parts::{panel, prose};

/// A verb that the form asks about.
pub(super) struct Asked<'a> {
    pub(super) verb: &'a str,
    pub(super) title: &'a str,
    pub(super) effect: &'a str,
    /// The object in words.
    pub(super) about: &'a str,
    /// The fields that name the object.
    pub(super) hidden: &'a [(&'a str, &'a str)],
    /// Further fields of the verb, beside the form. They name the form `verb`.
    pub(super) more: &'a Markup,
    /// Whether the verb removes or stops something.
    pub(super) danger: bool,
}

pub(super) fn form(screen: &Screen, asked: &Asked<'_>, said: Option<&Said>) -> Markup {
    let written = |field: fn(&Said) -> &str| said.map_or("", field);
    let body = html! {
        div.decide {
            div.stack {
                p { b { (asked.title) } " " (asked.effect) " " span.muted { "Nothing has been written." } }
                (asked.more)
            }
            form.form #verb method="post" action=(screen.base.to("/operate")) {
                input type="hidden" name="proof" value=(screen.session.proof);
                input type="hidden" name="verb" value=(asked.verb);
                @for (name, value) in asked.hidden { input type="hidden" name=(name) value=(value); }
                h3 { (asked.title) ", " (prose(asked.about)) }
                (screen.ask_who(written(|said| &said.who)))
                label { "Why" textarea.field name="why" required minlength="4" maxlength="1000" { (written(|said| &said.why)) } }
                button class=(if asked.danger { "btn btn-danger is-armed" } else { "btn btn-main" }) { (asked.title) }
                p.small.muted { "The audit keeps who has decided, and why." }
            }
        }
    };
    panel("verb-h", "What would happen", None, &body)
}

/// The outcome of a decision. `done` is the word in the address after a form.
pub(super) fn notice(said: Option<&Said>, done: &str) -> Markup {
    html! {
        @if let Some(Said { text, known, .. }) = said {
            p.note.note-parked role="alert" {
                b { @if *known { "This request has changed nothing. " } @else { "Nobody knows whether it was done. " } }
                (visible(text))
                @if !known { " Read the audit before you decide again." }
            }
        }
        @match done {
            "redrive" | "edit" => p.note.note-done role="status" { "The message is delivered again. If it cannot be applied now, it comes back." },
            "discard" => p.note.note-done role="status" { "The letter is discarded. The audit keeps its body." },
            "pause" => p.note.note-done role="status" { "Paused. New events wait, and nothing is lost." },
            "resume" => p.note.note-done role="status" { "Resumed. Everything that waited is taken up in its order." },
            "handed-over" => p.note role="status" { "The decision is in the inbox. A running dispatcher applies it within a second, and without one it waits." },
            _ => {},
        }
    }
}
