//! The decision about one instance, and what all forms have in common.
//!
//! Owns: the reading and the checks of a form. Does not own: the effect of a verb, which the instance decides, or a decision
//! about many instances (`batch`).

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use saga_core::definition::Redaction;
use saga_core::machine::{Operator, OperatorVerb, Resolved};
use saga_core::message::{Key, Message, Payload, Timestamp};
use saga_core::store::Address;
use subtle::ConstantTimeEq;

use crate::Dashboard;
use crate::parts::is_final;
use crate::screens::{Said, Screen, instance_page};
use crate::session::Session;
use crate::source::{Decided, NotDecided};
use crate::text::query;

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

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
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
            let to = match (decided, verb) {
                // The instance is about to be gone, and its audit stays.
                (Decided::Done, "purge") => format!("/audit{}", query(&[("saga", saga), ("key", key)])),
                (Decided::Done, done) => {
                    format!("/instance{}", query(&[("saga", saga), ("key", key), ("done", done)]))
                }
                (Decided::HandedOver, _) => {
                    format!("/instance{}", query(&[("saga", saga), ("key", key), ("done", "handed-over")]))
                }
            };
            return Redirect::to(&screen.base.to(&to)).into_response();
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
    let mut operator = fields.operator(session).map_err(Refused::Form)?.at_step(seq);
    if let Ok(created) = fields.get("created").parse() {
        operator = operator.created_at(Timestamp::from_millis(created));
    }
    let verb_name = fields.get("verb");
    if is_final(verb_name) && fields.get("confirm") != fields.get("key") {
        return Err(Refused::Form(format!("type the key of the instance to confirm the {verb_name}")));
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
        "purge" => OperatorVerb::Purge,
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
