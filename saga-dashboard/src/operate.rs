//! Decisions about dead letters, sagas and handlers.
//!
//! Owns: the reading and the checks of their form. Does not own: the effect of a verb, or the look of the form.

use axum::Form;
use axum::response::{IntoResponse, Redirect, Response};
use saga_core::engine::StoreVerb;
use saga_core::message::Payload;
use saga_core::store::{DeadId, DeadLetterRow, PauseOf};

use crate::screens::{HandlersOf, LetterOf, Screen, handlers_page, letter_page};
use crate::source::Decided;
use crate::text::query;
use crate::verbs::{Fields, Refused, is_proven, is_whole, unproven};

pub(crate) async fn operate(screen: Screen, Form(fields): Form<Vec<(String, String)>>) -> Response {
    let fields = Fields::new(fields);
    if !is_proven(&screen, &fields) {
        return unproven();
    }
    let verb = fields.get("verb");
    let of_letter = !matches!(verb, "pause" | "resume");
    let decided = decide(&screen, &fields).await;
    screen.dashboard.problems.forget().await;
    screen.dashboard.letters.forget().await;
    let refused = match decided {
        Ok(decided) => {
            let done = if decided == Decided::Done { verb } else { "handed-over" };
            let path = if of_letter { "/dead" } else { "/handlers" };
            let to = format!("{path}{}", query(&[("done", done)]));
            return Redirect::to(&screen.base.to(&to)).into_response();
        }
        Err(refused) => refused,
    };
    let (status, said) = refused.said(&fields);
    let field = |name: &str| fields.get(name).to_owned();
    let page = if of_letter {
        let of = LetterOf { id: fields.get("id").parse().unwrap_or_default(), verb: field("verb") };
        letter_page(&screen, &of, Some(said)).await
    } else {
        let (kind, name, verb) = (field("kind"), field("name"), field("verb"));
        handlers_page(&screen, &HandlersOf { kind, name, verb, ..HandlersOf::default() }, Some(said)).await
    };
    match page {
        Ok(page) => (status, page).into_response(),
        // The letter is gone.
        Err(why) => screen.answer(Err(why)),
    }
}

async fn decide(screen: &Screen, fields: &Fields) -> Result<Decided, Refused> {
    let verb = verb(fields).map_err(Refused::Form)?;
    if let StoreVerb::Redrive { letter, payload: Some(body) } = &verb {
        is_edited(screen, *letter, body).await.map_err(Refused::Form)?;
    }
    let operator = fields.operator(&screen.session).map_err(Refused::Form)?;
    screen.dashboard.source.operate(verb, operator).await.map_err(Refused::Decision)
}

/// Refuses a body with the mask instead of a value.
async fn is_edited(screen: &Screen, letter: DeadId, body: &Payload) -> Result<(), String> {
    let unread = "the dead letter cannot be read".to_owned();
    let Ok(store) = screen.store().await else { return Err(unread) };
    let Ok(row) = DeadLetterRow::read(&*store, letter).await else { return Err(unread) };
    match row.zip(store.redaction()) {
        Some((row, places)) => is_whole(places, &row.letter.message.name, body),
        None => Ok(()),
    }
}

fn verb(fields: &Fields) -> Result<StoreVerb, String> {
    let letter =
        || fields.get("id").parse().map(DeadId).map_err(|_| "the form names no dead letter".to_owned());
    let of = || {
        PauseOf::from_stored(fields.get("kind"), fields.get("name"))
            .ok_or_else(|| "the form names no saga, no handler and no consumer".to_owned())
    };
    Ok(match fields.get("verb") {
        "redrive" => StoreVerb::Redrive { letter: letter()?, payload: None },
        "edit" => StoreVerb::Redrive { letter: letter()?, payload: Some(body(fields.get("body"))?) },
        "discard" => StoreVerb::Discard { letter: letter()? },
        "pause" => StoreVerb::Pause(of()?),
        "resume" => StoreVerb::Resume(of()?),
        other => return Err(format!("there is no verb `{other}`")),
    })
}

/// Reads the body of a message. The form shows the JSON in lines, and the message gets it without them.
fn body(text: &str) -> Result<Payload, String> {
    let json: Box<serde_json::value::RawValue> =
        serde_json::from_str(text).map_err(|error| format!("the body is not JSON: {error}"))?;
    Ok(Payload::from(json.get()))
}
