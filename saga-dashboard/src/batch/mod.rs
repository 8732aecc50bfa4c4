//! One decision about many instances: the selection with its count, the work, and the progress.
//!
//! Owns: the two requests, and the page of the progress. Does not own: the work itself (`job`), or the outcome of each
//! decision, which the history and the audit have.

mod job;

pub(crate) use job::Jobs;

use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use saga_core::machine::OperatorVerb;
use saga_core::message::{Key, Timestamp, visible};
use saga_core::store::{Address, Inspect, PageFrom};
use serde::Deserialize;

use self::job::{Figures, Job};
use crate::Dashboard;
use crate::parts::{empty, id, is_final, panel, time};
use crate::screens::{Filter, NoPage, Screen};
use crate::text::{count, instance_address, number, pick};
use crate::verbs::{Fields, is_proven, unproven};

/// The most instances of one decision.
const MOST: usize = 2_000;
/// The pages of the store that are read for one decision, because a rare condition makes pages short.
const READS: usize = 200;
/// The instances that are shown.
const SHOWN: usize = 20;
/// How long the answer waits for the end of the work. Longer work is followed on its page.
const PATIENCE: Duration = Duration::from_millis(500);

/// An instance as the operator has seen it.
struct Seen {
    to: Address,
    seq: u64,
    created: Timestamp,
}

/// Which work to show.
#[derive(Deserialize)]
pub(crate) struct Of {
    job: u64,
}

/// Decides about many instances: the first request shows which, and the second one does it.
pub(crate) async fn batch(
    screen: Screen,
    State(dashboard): State<Arc<Dashboard>>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let fields = Fields::new(fields);
    if !is_proven(&screen, &fields) {
        return unproven();
    }
    match many(&screen, &dashboard, &fields).await {
        Ok(Next::Page(page)) => screen.answer(Ok(page)),
        Ok(Next::Follow(job)) => Redirect::to(&screen.base.to(&format!("/batch?job={job}"))).into_response(),
        Err(why) => screen.answer(Err(why)),
    }
}

/// Shows how far the work of a decision is.
pub(crate) async fn progress(screen: Screen, Query(of): Query<Of>) -> Response {
    let page = follow(&screen, of.job).await;
    screen.answer(page)
}

/// The answer to a form.
enum Next {
    Page(Markup),
    Follow(u64),
}

async fn many(screen: &Screen, dashboard: &Arc<Dashboard>, fields: &Fields) -> Result<Next, NoPage> {
    let (name, verb) = match fields.get("verb") {
        "retry" => ("Retry", OperatorVerb::Retry),
        "skip" => ("Skip", OperatorVerb::Skip),
        "abort" => ("Abort", OperatorVerb::Abort),
        "purge" => ("Purge", OperatorVerb::Purge),
        other => return Err(NoPage::Bad(format!("there is no verb `{other}` for many instances"))),
    };
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let (found, more) = match fields.get("scope") {
        "all" => select(&*store, fields, &verb).await?,
        _ => (fields.all("pick").filter_map(picked).take(MOST).collect(), false),
    };
    let body = if found.is_empty() {
        let what = match verb {
            OperatorVerb::Abort => "an instance that has not ended",
            OperatorVerb::Purge => "an ended instance",
            _ => "a parked instance",
        };
        html! { section.panel { (empty("Nothing to decide", &html! { "Tick " (what) ", or choose all that match." })) } }
    } else if fields.get("confirmed") == "yes" && fields.get("scope") == "ticked" {
        match fields.operator(&screen.session) {
            Ok(operator) => {
                let decisions = found.into_iter().map(|one| {
                    let operator = operator.clone().at_step(one.seq).created_at(one.created);
                    (one.to, operator)
                });
                let job = dashboard.jobs.begin(name, decisions.collect(), screen.now);
                let work = Arc::clone(&job).run(dashboard.source.clone(), verb);
                // The work goes on when the person closes the page.
                let work = tokio::spawn(work);
                let _ = tokio::time::timeout(PATIENCE, work).await;
                dashboard.problems.forget().await;
                return Ok(Next::Follow(job.id));
            }
            Err(why) => preview(screen, fields, name, &found, more, Some(&why)),
        }
    } else {
        preview(screen, fields, name, &found, more, None)
    };
    Ok(Next::Page(screen.page("/instances", name, numbers.badges, &body)))
}

fn picked(text: &str) -> Option<Seen> {
    let mut parts = text.splitn(4, '\n').map(|part| part.trim_end_matches('\r'));
    let (saga, seq, created, key) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let created = Timestamp::from_millis(created.parse().ok()?);
    Some(Seen { to: Address::new(saga.to_owned(), Key::new(key).ok()?), seq: seq.parse().ok()?, created })
}

/// Returns the instances that match and can take the verb, and whether there are more.
async fn select(
    store: &dyn Inspect,
    fields: &Fields,
    verb: &OperatorVerb,
) -> Result<(Vec<Seen>, bool), NoPage> {
    let of = |name: &str| fields.get(name).to_owned();
    let of = Filter {
        saga: of("saga"),
        state: of("state"),
        status: of("status"),
        reason: of("reason"),
        key: of("key"),
        alias: of("alias"),
        label: of("label"),
        error: of("error"),
        waiting: of("waiting"),
        owed: of("owed"),
        sort: "created".to_owned(),
        ..Filter::default()
    };
    let mut filter = of.parse()?;
    filter.parked = verb.wants_parked().or(filter.parked);
    filter.limit = 200;
    let mut found = Vec::new();
    for _ in 0..READS {
        let page = store.instances(&filter).await?;
        let views = page.instances.into_iter().filter(|view| of.takes(view));
        let views = views.filter(|view| verb.fits(view.status, view.parked.is_some()));
        found.extend(views.map(|view| Seen { to: view.address, seq: view.seq, created: view.created_at }));
        if found.len() > MOST {
            found.truncate(MOST);
            return Ok((found, true));
        }
        let Some(more) = page.more else { return Ok((found, false)) };
        filter.from = Some(PageFrom::After(more));
    }
    Ok((found, true))
}

fn preview(
    screen: &Screen,
    fields: &Fields,
    name: &str,
    found: &[Seen],
    more: bool,
    wrong: Option<&str>,
) -> Markup {
    let verb = fields.get("verb");
    let these = count(found.len() as u64, "instance", "instances");
    let body = html! {
        div.decide {
            div {
                p { b { (name) " " (these) } ". " span.muted { "Nothing has been written." } }
                @if more { p.note.note-parked { "More instances match, or were not looked at. One decision takes at most " (number(MOST as u64)) "; decide again for the others." } }
                @if verb == "abort" { p.note.note-unwinding { "Each instance undoes what it owes, and ends." } }
                @if verb == "purge" { p.note.note-parked { "Each instance is removed with its history. The audit and the deduplication records stay, and dead letters of the same key." } }
                ol.steps { @for one in found.iter().take(SHOWN) { li { div { (id(one.to.key.text())) " " span.muted { (visible(&one.to.saga)) ", step " (one.seq) } } } } }
                @if found.len() > SHOWN { p.muted { "and " (number((found.len() - SHOWN) as u64)) " more" } }
            }
            form.form method="post" action=(screen.base.to("/batch")) {
                @if let Some(wrong) = wrong { p.note.note-parked role="alert" { (visible(wrong)) } }
                input type="hidden" name="proof" value=(screen.session.proof);
                input type="hidden" name="confirmed" value="yes";
                input type="hidden" name="verb" value=(verb);
                // The same instances as shown, each at the step that was seen.
                input type="hidden" name="scope" value="ticked";
                @for one in found { input type="hidden" name="pick" value=(pick(&one.to, one.seq, one.created)); }
                (screen.ask_who(fields.get("who")))
                label { "Why" textarea.field name="why" required minlength="4" maxlength="1000" { (fields.get("why")) } }
                button class=(if is_final(verb) { "btn btn-danger is-armed" } else { "btn btn-main" }) { (name) ", " (these) }
                p.small.muted { "An instance that has moved on declines." }
            }
        }
    };
    panel("batch-h", "What would happen", None, &body)
}

async fn follow(screen: &Screen, job: u64) -> Result<Markup, NoPage> {
    let job = screen.dashboard.jobs.get(job).filter(|_| screen.decides());
    let job = job
        .ok_or_else(|| NoPage::NotFound("This work is too old, or it ended with its process.".to_owned()))?;
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    Ok(screen.page("/instances", job.name, numbers.badges, &shown(screen, &job)))
}

/// The progress of the work, and its failures.
fn shown(screen: &Screen, job: &Job) -> Markup {
    let figures = job.figures();
    let Figures { applied, handed_over, declined, not_done, unknown, ended, .. } = figures;
    let done = figures.done();
    let lost = job.total as u64 - done;
    let state = match (ended, lost) {
        (true, 0) => "all are decided",
        (true, _) => "ended",
        (false, _) => "under way",
    };
    let body = html! {
        div.pad.stack role="status" {
            p { b { (number(done)) " of " (count(job.total as u64, "instance", "instances")) } ", " (state) ". " span.muted { "Begun " (time(job.began, screen.now)) "." } }
            progress.wide max=(job.total) value=(done) aria-label="Decided instances" {}
            @if applied > 0 { p { b { (count(applied, "instance", "instances")) } " took it." } }
            @if handed_over > 0 { p { b { (count(handed_over, "decision", "decisions")) } " went to the inbox. The dispatcher of the store applies them." } }
            @if declined > 0 { p { b { (count(declined, "instance", "instances")) } " declined." } }
            @if not_done > 0 { p { b { (count(not_done, "decision", "decisions")) } " could not be applied, and nothing was done." } }
            @if unknown > 0 { p.note.note-parked { b { (count(unknown, "outcome is", "outcomes are")) } " not known. Read these instances before you decide again." } }
            @if ended && lost > 0 { p.note.note-parked { b { (count(lost, "instance was", "instances were")) } " not reached, because the work ended with an error. Read the instances before you decide again." } }
            @if !figures.failures.is_empty() {
                ul.steps { @for (to, why) in &figures.failures { li { div { a href=(screen.base.to(&instance_address(to, &[]))) { (id(to.key.text())) } " " span.muted { (visible(why)) } } } } }
            }
            @if !ended { p.small.muted { "The work goes on when you close this page. " a href=(screen.base.to(&format!("/batch?job={}", job.id))) { "Read again" } } }
            p { a href=(screen.base.to("/instances")) { "Instances" } }
        }
    };
    html! { div data-live="job" { (panel("job-h", job.name, None, &body)) } }
}
