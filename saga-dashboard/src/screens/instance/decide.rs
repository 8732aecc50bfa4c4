//! The verbs of an instance: which of them are possible, what each would do, and the form.
//!
//! Owns: the words of a verb. Does not own: the effect, which the machine decides on a copy (`Source::preview`), or the
//! reading of the form (`verbs`).

use maud::{Markup, html};
use saga_core::machine::{OperatorVerb, Preview};
use saga_core::message::{Message, Timestamp, visible};
use saga_core::store::{ParkedOver, Status, TaskStage, TimerRow};

use super::{Of, Said, Seen, undone};
use crate::parts::{id, is_final, panel, prose, status, time};
use crate::screens::Screen;
use crate::text::{count, instance_address};

/// The timers of which a preview is shown.
const TIMERS: usize = 4;

/// A verb with its words.
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What the verb does, in words.
    effect: &'static str,
}

pub(super) const VERBS: [Verb; 7] = [
    Verb {
        name: "retry",
        title: "Retry",
        effect: "repeats exactly what failed: the event, the timer, or the command under the same idempotency key.",
    },
    Verb {
        name: "resolve",
        title: "Resolve",
        effect: "supplies the outcome of the command that parked the instance. Its row is applied as if the handler had answered.",
    },
    Verb {
        name: "skip",
        title: "Skip",
        effect: "goes on without what failed. An event becomes a dead letter, a timer is used up, and an undo is given up.",
    },
    Verb {
        name: "fire",
        title: "Fire timer",
        effect: "makes a set timer due now. A periodic timer counts its next periods from now.",
    },
    Verb { name: "postpone", title: "Postpone timer", effect: "gives a set timer another due time." },
    Verb {
        name: "abort",
        title: "Abort",
        effect: "undoes what is owed, newest first, and ends the instance.",
    },
    Verb {
        name: "purge",
        title: "Purge",
        effect: "removes the ended instance with its history, before its retention is over. The audit keeps the decision.",
    },
];

/// Returns the verbs that the instance may take now.
fn possible(seen: &Seen) -> Vec<&'static Verb> {
    let over = seen.snapshot.instance.status.is_over();
    let what = seen.parked.as_ref().map(|parked| &parked.what);
    let has_timer = seen.snapshot.instance.status == Status::Running && !own_timers(seen).is_empty();
    let can = |verb: &&Verb| match verb.name {
        "retry" => what.is_some_and(|what| *what != ParkedOver::Unreadable),
        "skip" => what.is_some_and(|what| *what != ParkedOver::Unreadable),
        "resolve" => what == Some(&ParkedOver::Command),
        "fire" | "postpone" => has_timer,
        "purge" => over && seen.parked.is_none() && seen.snapshot.tasks.is_empty(),
        _ => !over,
    };
    VERBS.iter().filter(can).collect()
}

/// The timers of the table. The machine sets others for itself, which a person cannot move.
fn own_timers(seen: &Seen) -> Vec<&TimerRow> {
    seen.snapshot.timers.iter().filter(|timer| !timer.is_internal()).collect()
}

/// The time of the day, to compare with.
fn utc(now: Timestamp) -> String {
    let now = now.to_string();
    now.get(11..16).unwrap_or_default().to_owned()
}

pub(super) fn chosen(of: &Of, seen: &Seen) -> Option<&'static Verb> {
    possible(seen).into_iter().find(|verb| verb.name == of.verb)
}

pub(super) fn verbs(screen: &Screen, of: &Of, seen: &Seen) -> Markup {
    let record = &seen.snapshot.instance;
    let to = |verb: &str| screen.base.to(&instance_address(&record.address, &[("verb", verb)]));
    let possible = possible(seen);
    html! {
        @if !possible.is_empty() {
            div.verbs {
                @for verb in &possible {
                    @let class = match verb.name { "abort" | "purge" => "btn btn-danger", "retry" => "btn btn-main", _ => "btn" };
                    @if is_final(verb.name) && possible.len() > 1 { span.gap {} }
                    a class=(class) href=(to(verb.name)) aria-current=[(of.verb == verb.name).then_some("true")] { (verb.title) "…" }
                }
                span.small.faint { "Every verb says what it does, before it does it." }
            }
        }
    }
}

/// What the verb would do, decided on a copy of the instance. A timer has its name before it.
pub(super) async fn preview(screen: &Screen, verb: &Verb, seen: &Seen) -> Vec<(String, Preview)> {
    let timers = || own_timers(seen).into_iter().take(TIMERS);
    let verbs: Vec<(String, OperatorVerb)> = match verb.name {
        "retry" => vec![(String::new(), OperatorVerb::Retry)],
        "skip" => vec![(String::new(), OperatorVerb::Skip)],
        "abort" => vec![(String::new(), OperatorVerb::Abort)],
        "purge" => vec![(String::new(), OperatorVerb::Purge)],
        "fire" => {
            let fire = |name: &str| (name.to_owned(), OperatorVerb::Fire { timer: name.to_owned() });
            timers().map(|timer| fire(&timer.name)).collect()
        }
        _ => Vec::new(),
    };
    let mut previews = Vec::new();
    for (name, verb) in verbs {
        let address = &seen.snapshot.instance.address;
        let Some(mut preview) = screen.dashboard.source.preview(address, verb).await else { continue };
        if let Some(places) = &seen.redaction {
            preview.redact(&address.saga, places);
        }
        previews.push((name, preview));
    }
    previews
}

/// The effect of the verb, and the form beside it.
pub(super) fn form(
    screen: &Screen,
    verb: &Verb,
    seen: &Seen,
    previews: &[(String, Preview)],
    said: Option<&Said>,
) -> Markup {
    let written = |field: fn(&Said) -> &str| said.map_or("", field);
    let record = &seen.snapshot.instance;
    let key = record.address.key.text();
    let timers = own_timers(seen);
    let body = html! {
        div.decide {
            div { (effect(screen, verb, seen, previews)) }
            form.form method="post" action=(screen.base.to("/decide")) {
                input type="hidden" name="proof" value=(screen.session.proof);
                input type="hidden" name="saga" value=(record.address.saga);
                input type="hidden" name="key" value=(key);
                input type="hidden" name="seq" value=(record.seq);
                input type="hidden" name="created" value=(record.created_at.as_millis());
                input type="hidden" name="verb" value=(verb.name);
                h3 { (verb.title) " " (visible(key)) }
                (screen.ask_who(written(|said| &said.who)))
                label { "Why" textarea.field name="why" required minlength="4" maxlength="1000" { (written(|said| &said.why)) } }
                @if matches!(verb.name, "fire" | "postpone") {
                    label { "Timer" select.field name="timer" { @for timer in &timers { option value=(timer.name) { (visible(&timer.name)) } } } }
                }
                @if verb.name == "postpone" { label { "Until, in UTC (it is " (utc(screen.now)) " now)" input.field type="datetime-local" name="until" required; } }
                @if verb.name == "resolve" { (outcomes(seen, written(|said| &said.body))) }
                @if is_final(verb.name) {
                    label { "Type the key to confirm" input.field.id name="confirm" required placeholder=(visible(key)) autocomplete="off"; }
                }
                button class=(if is_final(verb.name) { "btn btn-danger is-armed" } else { "btn btn-main" }) { (button(verb, seen, previews)) }
                p.small.muted { "Declined if the instance has moved on from step " (record.seq) "." }
            }
        }
    };
    panel("verb-h", "What would happen", None, &body)
}

fn button(verb: &Verb, seen: &Seen, previews: &[(String, Preview)]) -> String {
    // An obligation may turn out as not owed, because its command surely had no effect.
    let owed = previews.first().map_or(seen.snapshot.obligations.len(), |(_, preview)| preview.undos.len());
    match verb.name {
        "abort" if owed > 0 => format!("Abort, {}", count(owed as u64, "undo", "undos")),
        _ => verb.title.to_owned(),
    }
}

fn effect(screen: &Screen, verb: &Verb, seen: &Seen, previews: &[(String, Preview)]) -> Markup {
    let record = &seen.snapshot.instance;
    let end = seen.definition.as_ref().and_then(|definition| {
        let end = definition.on_abort.as_ref()?;
        definition.state(end).map(|state| state.variant.clone())
    });
    html! {
        p { b { (verb.title) " at step " (record.seq) } " " (verb.effect) " " span.muted { "Nothing has been written." } }
        @for (timer, preview) in previews {
            @if !timer.is_empty() { h3 { "Timer " (id(timer)) } }
            (previewed(screen, seen, preview))
        }
        @if verb.name == "abort" && previews.is_empty() {
            ol.steps {
                @for owed in seen.snapshot.obligations.iter().rev() {
                    li { div { span.id { (visible(&owed.undo)) } " " span.muted { "for " (undone(&owed.of)) } } }
                }
                li { div { @match &end { Some(end) => { "arrive in " b { (end) } }, None => { "end as " b { "aborted" } } } } }
            }
            @if !seen.snapshot.obligations.is_empty() {
                p.note.note-unwinding.small { "An undo is tried until it is done. If it is refused, the instance is parked there, and the rest stays owed." }
            }
        }
        @if let (true, Some(parked)) = (matches!(verb.name, "retry" | "skip"), &seen.parked) {
            p.note.small { "It was parked because " (prose(&parked.reason.to_string())) ": " span.err { (visible(&parked.detail)) } }
        }
    }
}

/// The steps that would follow, in their order.
fn previewed(screen: &Screen, seen: &Seen, preview: &Preview) -> Markup {
    let messages = |verb: &str, messages: &[Message]| {
        html! { @for message in messages {
            li { div { (verb) " " (id(&message.name)) details.small { summary { "body" } (screen.payload(message.payload.as_str())) } } }
        } }
    };
    let before = &seen.snapshot.instance;
    let arrives = preview.state != *before.state || preview.status != before.status;
    html! {
        @if let Some(why) = &preview.declined { p.note.note-parked { "It would be declined: " (visible(why)) } }
        @else {
            ol.steps {
                @for command in &preview.again { li { div { "call " (id(command)) " again, under the same idempotency key" } } }
                (messages("undo with", &preview.undos))
                @if arrives { li { div { "arrive in " b { (visible(seen.variant(&preview.state))) } } } }
                (messages("send", &preview.commands))
                (messages("publish", &preview.published))
                @for (reason, detail) in &preview.dead { li { div { "a dead letter: " (visible(reason.as_str())) " " span.err { (visible(detail)) } } } }
                @if preview.removed { li { div { "remove the instance with its history" } } }
                @if let Some(parked) = &preview.parked { li { div { (status("parked", "parked")) " " span.err { (visible(parked)) } } } }
                @for (timer, due) in preview.timers.iter().filter(|_| arrives) { li { div { "set the timer " (id(timer)) ", due " (time(*due, screen.now)) } } }
            }
            @if preview.cut_off { p.muted { "and more" } }
            p.small.muted { "Decided on a copy of the instance. Each undo counts as answered, and each open command as begun." }
        }
    }
}

fn outcomes(seen: &Seen, body: &str) -> Markup {
    let task = seen.snapshot.tasks.iter().find(|task| task.progress.stage == TaskStage::Held);
    let command = task.or(seen.snapshot.tasks.first()).map(|task| &*task.command.name);
    let definition = seen.definition.as_ref();
    let replies =
        command.and_then(|name| definition?.command(name)).map_or(&[][..], |command| &command.replies);
    html! {
        label { "Outcome"
            select.field name="outcome" {
                @for reply in replies { option value=(format!("reply:{reply}")) { "answered with " (visible(reply)) } }
                @if replies.is_empty() { option value="done" { "done" } }
                option value="refused" { "certainly had no effect" }
            }
        }
        @if !replies.is_empty() {
            label { "JSON of the reply" textarea.field.id name="body" placeholder="{}" { (body) } }
            @for reply in replies {
                @if let Some(event) = definition.and_then(|definition| definition.event(reply)) {
                    p.small.muted {
                        (visible(reply)) ": "
                        @for (place, kind) in event.payload.shape.iter().filter(|(place, _)| !place.is_empty()) { code { (visible(place)) ": " (kind) } " " }
                    }
                }
            }
        }
    }
}
