//! Decisions: about one instance, and about many.
//!
//! Owns: the reading and the checks of a form. Does not own: the effect of a verb, which the instance decides.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use saga_core::definition::Redaction;
use saga_core::machine::{Operator, OperatorVerb, Resolved};
use saga_core::message::{Key, Message, Payload, Timestamp, visible};
use saga_core::store::{Address, Inspect, PageFrom};
use subtle::ConstantTimeEq;

use crate::Dashboard;
use crate::parts::{empty, id, panel};
use crate::screens::{Filter, NoPage, Said, Screen, instance_page};
use crate::session::Session;
use crate::source::{Decided, NotDecided};
use crate::text::{count, instance_address, number, query};

/// The most instances of one decision.
const MOST: usize = 500;
/// The pages of the store that are read for one decision, because a rare condition makes pages short.
const READS: usize = 200;
/// The declined ones that are shown.
const SHOWN: usize = 20;

/// The fields of a form, in order. A name may come more than once.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// Returns a value as it was sent. Keys with space around them are other keys.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Returns the person and the reason. A form does not replace the person whom the proxy has named.
    pub(crate) fn operator(&self, session: &Session) -> Result<Operator, String> {
        let who = session.user.as_deref().unwrap_or_else(|| self.get("who").trim());
        let why = self.get("why").trim();
        if who.is_empty() || why.chars().count() < 4 {
            return Err("say who decides, and why in at least four characters".to_owned());
        }
        Ok(Operator::new(who).because(why))
    }
}

/// Whether a page of the dashboard has sent the form. A program with a token needs no proof.
pub(crate) fn is_proven(screen: &Screen, fields: &Fields) -> bool {
    let proof = &screen.session.proof;
    proof.is_empty() || proof.as_bytes().ct_eq(fields.get("proof").as_bytes()).into()
}

pub(crate) fn unproven() -> Response {
    (StatusCode::FORBIDDEN, "the form belongs to another session; read the page again").into_response()
}

/// Presses the button of the application.
pub(crate) async fn button(screen: Screen, Form(fields): Form<Vec<(String, String)>>) -> Response {
    if !is_proven(&screen, &Fields(fields)) {
        return unproven();
    }
    if let Some(button) = &screen.dashboard.options.button {
        (button.press)();
    }
    Redirect::to(&screen.base.to("/")).into_response()
}

/// Decides about one instance.
pub(crate) async fn decide(
    screen: Screen,
    State(dashboard): State<Arc<Dashboard>>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let fields = Fields(fields);
    if !is_proven(&screen, &fields) {
        return unproven();
    }
    let (saga, key, verb) = (fields.get("saga"), fields.get("key"), fields.get("verb"));
    let decided = one(&dashboard, &screen.session, &fields).await;
    dashboard.problems.forget().await;
    let refused = match decided {
        Ok(decided) => {
            let done = if decided == Decided::Done { verb } else { "handed-over" };
            let to = query(&[("saga", saga), ("key", key), ("done", done)]);
            return Redirect::to(&screen.base.to(&format!("/instance{to}"))).into_response();
        }
        Err(refused) => refused,
    };
    let (status, said) = refused.said(&fields);
    let of = crate::screens::Of::new(saga, key, verb);
    let page = instance_page(&screen, &of, Some(said)).await;
    (status, screen.answer(page)).into_response()
}

/// Why a decision was not applied.
pub(crate) enum Refused {
    /// The form cannot be read.
    Form(String),
    Decision(NotDecided),
}

impl Refused {
    /// Returns the status of the answer, and what the page says. The form keeps what the person has written.
    pub(crate) fn said(self, fields: &Fields) -> (StatusCode, Said) {
        let (status, known, text) = match self {
            Self::Form(why) => (StatusCode::UNPROCESSABLE_ENTITY, true, why),
            Self::Decision(refused) => (refused.status(), refused.is_known(), refused.to_string()),
        };
        let field = |name: &str| fields.get(name).to_owned();
        (status, Said { text, known, who: field("who"), why: field("why"), body: field("body") })
    }
}

async fn one(dashboard: &Dashboard, session: &Session, fields: &Fields) -> Result<Decided, Refused> {
    let key = Key::new(fields.get("key")).map_err(|error| Refused::Form(error.to_string()))?;
    let to = Address::new(fields.get("saga").to_owned(), key);
    let seq: u64 = fields.get("seq").parse().map_err(|_| Refused::Form("the form has no step".to_owned()))?;
    let operator = fields.operator(session).map_err(Refused::Form)?.at_step(seq);
    if fields.get("verb") == "abort" && fields.get("confirm") != fields.get("key") {
        return Err(Refused::Form("type the key of the instance to confirm the abort".to_owned()));
    }
    let verb = verb(dashboard, fields).await.map_err(Refused::Form)?;
    dashboard.source.decide(to, verb, operator).await.map_err(Refused::Decision)
}

async fn verb(dashboard: &Dashboard, fields: &Fields) -> Result<OperatorVerb, String> {
    let timer = || match fields.get("timer") {
        "" => Err("name the timer".to_owned()),
        timer => Ok(timer.to_owned()),
    };
    Ok(match fields.get("verb") {
        "retry" => OperatorVerb::Retry,
        "skip" => OperatorVerb::Skip,
        "abort" => OperatorVerb::Abort,
        "fire" => OperatorVerb::Fire { timer: timer()? },
        "postpone" => OperatorVerb::Postpone { timer: timer()?, until: until(fields.get("until").trim())? },
        "resolve" => OperatorVerb::Resolve(outcome(dashboard, fields).await?),
        other => return Err(format!("there is no verb `{other}`")),
    })
}

/// Reads a time of a form, which has no zone and perhaps no seconds.
fn until(text: &str) -> Result<Timestamp, String> {
    let forms = [text.to_owned(), format!("{text}Z"), format!("{text}:00Z")];
    let until: Option<Timestamp> = forms.iter().find_map(|form| form.parse().ok());
    let until = until.ok_or("the time must be like 2026-12-01T09:00, in UTC")?;
    let now = Timestamp::now();
    if until <= now {
        // A local time that was taken for UTC would fire the timer.
        return Err(format!("{until} is not in the future; it is {now} in UTC now"));
    }
    Ok(until)
}

/// Reads the outcome of a command, and checks the body of a reply against the stored shape.
async fn outcome(dashboard: &Dashboard, fields: &Fields) -> Result<Resolved, String> {
    let reply = match fields.get("outcome") {
        "done" => return Ok(Resolved::done()),
        "refused" => return Ok(Resolved::refused()),
        other => other.strip_prefix("reply:").ok_or("choose the outcome")?,
    };
    let saga = fields.get("saga");
    let store = dashboard.source.open().ok_or("the dispatcher has stopped")?;
    let definitions = store.definitions().await.map_err(|error| error.to_string())?;
    // The newest version that has the reply, because the form shows the version of the instance.
    let mut newest_first = definitions.iter().rev().filter(|definition| definition.saga == saga);
    let event = newest_first.find_map(|definition| definition.event(reply));
    let event = event.ok_or_else(|| format!("`{saga}` has no event `{reply}`"))?;
    let body = match fields.get("body").trim() {
        "" => "{}",
        body => body,
    };
    let json: serde_json::Value =
        serde_json::from_str(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let misfits = event.payload.misfits(&json);
    if !misfits.is_empty() {
        return Err(format!("the body is no `{}`: {}", event.payload.type_name, misfits.join("; ")));
    }
    let body = Payload::from(body);
    is_whole(&Redaction::of(&definitions), &event.name, &body)?;
    let message = Message { name: event.name.clone().into(), version: event.version, payload: body };
    Ok(Resolved::replied(&message))
}

/// Refuses a body with the mask instead of a value.
pub(crate) fn is_whole(places: &Redaction, name: &str, body: &Payload) -> Result<(), String> {
    places.still_masked(name, body).map_or(Ok(()), |place| {
        Err(format!("the body has `***` at `{place}`, which is redacted; write the value"))
    })
}

/// An instance as the operator has seen it.
struct Seen {
    to: Address,
    seq: u64,
}

/// Decides about many instances: the first request shows which, and the second one does it.
pub(crate) async fn batch(
    screen: Screen,
    State(dashboard): State<Arc<Dashboard>>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let fields = Fields(fields);
    if !is_proven(&screen, &fields) {
        return unproven();
    }
    let page = many(&screen, &dashboard, &fields).await;
    screen.answer(page)
}

async fn many(screen: &Screen, dashboard: &Arc<Dashboard>, fields: &Fields) -> Result<Markup, NoPage> {
    let (name, verb) = match fields.get("verb") {
        "retry" => ("Retry", OperatorVerb::Retry),
        "skip" => ("Skip", OperatorVerb::Skip),
        "abort" => ("Abort", OperatorVerb::Abort),
        other => return Err(NoPage::Bad(format!("there is no verb `{other}` for many instances"))),
    };
    let store = screen.store().await?;
    let numbers = screen.numbers(&store).await?;
    let (found, more) = match fields.get("scope") {
        "all" => select(&*store, fields, &verb).await?,
        _ => (fields.all("pick").filter_map(picked).take(MOST).collect(), false),
    };
    let body = if found.is_empty() {
        let what =
            if verb == OperatorVerb::Abort { "an instance that has not ended" } else { "a parked instance" };
        html! { section.panel { (empty("Nothing to decide", &html! { "Tick " (what) ", or choose all that match." })) } }
    } else if fields.get("confirmed") == "yes" && fields.get("scope") == "ticked" {
        match fields.operator(&screen.session) {
            Ok(operator) => done(screen, dashboard, name, &verb, &operator, found).await,
            Err(why) => preview(screen, fields, name, &found, more, Some(&why)),
        }
    } else {
        preview(screen, fields, name, &found, more, None)
    };
    Ok(screen.page("/instances", name, numbers.badges, &body))
}

fn picked(text: &str) -> Option<Seen> {
    let mut parts = text.splitn(3, '\n').map(|part| part.trim_end_matches('\r'));
    let (saga, seq, key) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Seen { to: Address::new(saga.to_owned(), Key::new(key).ok()?), seq: seq.parse().ok()? })
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
    if *verb != OperatorVerb::Abort {
        filter.parked = Some(true);
    }
    filter.limit = 200;
    let mut found = Vec::new();
    for _ in 0..READS {
        let page = store.instances(&filter).await?;
        let views = page.instances.into_iter().filter(|view| of.takes(view));
        let views = views.filter(|view| *verb != OperatorVerb::Abort || !view.status.is_over());
        found.extend(views.map(|view| Seen { to: view.address, seq: view.seq }));
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
                @for one in found { input type="hidden" name="pick" value=(format!("{}\n{}\n{}", one.to.saga, one.seq, one.to.key.text())); }
                (screen.ask_who(fields.get("who")))
                label { "Why" textarea.field name="why" required minlength="4" maxlength="1000" { (fields.get("why")) } }
                button class=(if verb == "abort" { "btn btn-danger is-armed" } else { "btn btn-main" }) { (name) ", " (these) }
                p.small.muted { "An instance that has moved on declines." }
            }
        }
    };
    panel("batch-h", "What would happen", None, &body)
}

/// Applies the verb to all of them. The decisions go on when the person closes the page.
async fn done(
    screen: &Screen,
    dashboard: &Arc<Dashboard>,
    name: &str,
    verb: &OperatorVerb,
    operator: &Operator,
    found: Vec<Seen>,
) -> Markup {
    let decisions: Vec<_> =
        found.into_iter().map(|one| (one.to, operator.clone().at_step(one.seq))).collect();
    let (source, verb) = (dashboard.source.clone(), verb.clone());
    let decided = tokio::spawn(async move { source.decide_all(decisions, &verb).await }).await;
    dashboard.problems.forget().await;
    let Ok(decided) = decided else {
        let text = html! { p.pad role="alert" { "The decisions ended with a panic. Read the instances before you decide again." } };
        return panel("done-h", name, None, &text);
    };
    let with = |is: &dyn Fn(&Result<Decided, NotDecided>) -> bool| {
        decided.iter().filter(|(_, outcome)| is(outcome)).count() as u64
    };
    let applied = with(&|outcome| matches!(outcome, Ok(Decided::Done)));
    let handed_over = with(&|outcome| matches!(outcome, Ok(Decided::HandedOver)));
    let declined = with(&|outcome| matches!(outcome, Err(NotDecided::Declined(_))));
    let not_done = with(&|outcome| matches!(outcome, Err(NotDecided::NotDone(_))));
    let unknown = with(&|outcome| matches!(outcome, Err(NotDecided::Unknown(_))));
    let failures = decided.iter().filter_map(|(to, outcome)| outcome.as_ref().err().map(|why| (to, why)));
    let body = html! {
        div.pad role="status" {
            @if applied > 0 { p { b { (count(applied, "instance", "instances")) } " took it." } }
            @if handed_over > 0 { p { b { (count(handed_over, "decision", "decisions")) } " went to the inbox. The dispatcher of the store applies them." } }
            @if declined > 0 { p { b { (count(declined, "instance", "instances")) } " declined." } }
            @if not_done > 0 { p { b { (count(not_done, "decision", "decisions")) } " could not be applied, and nothing was done." } }
            @if unknown > 0 { p.note.note-parked { b { (count(unknown, "outcome is", "outcomes are")) } " not known. Read these instances before you decide again." } }
            ul.steps { @for (to, why) in failures.take(SHOWN) { li { div { a href=(screen.base.to(&instance_address(to, &[]))) { (id(to.key.text())) } " " span.muted { (visible(&why.to_string())) } } } } }
            p { a href=(screen.base.to("/instances")) { "Instances" } }
        }
    };
    panel("done-h", name, None, &body)
}
