//! Verbs with a body that a person writes: the reply of a command, and an event.
//!
//! Owns: the check of the body against the stored definition. Does not own: the decision of the instance, which reads the
//! body with the type of the application.

use anyhow::{Context, Result, bail, ensure};
use saga_core::definition::{Redaction, StoredDefinition, StoredEvent};
use saga_core::engine::StoreVerb;
use saga_core::machine::{OperatorVerb, Resolved};
use saga_core::message::{Message, MessageId, Payload};
use saga_core::store::Inspect;

use crate::Ended;
use crate::args::{Resolve, Send};
use crate::decide::decide;
use crate::operate::operate;
use crate::output::{Output, plain};
use crate::source::Source;
use crate::verbs::address;

pub(crate) async fn resolve(resolve: &Resolve, store: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let outcome = match (&resolve.reply, &resolve.body) {
        (Some(reply), Some(body)) => {
            let definition = newest(&**store, &resolve.decide.of.saga).await?;
            Resolved::replied(&message(&definition, reply, body)?)
        }
        _ if resolve.refused => Resolved::refused(),
        _ => Resolved::done(),
    };
    decide(OperatorVerb::Resolve(outcome), &resolve.decide, store, output).await
}

/// Sends an event to an instance.
pub(crate) async fn send(send: &Send, reader: &Source, output: &mut Output<'_>) -> Result<Ended> {
    let definition = newest(&**reader, &send.of.saga).await?;
    let message = message(&definition, &send.event, &send.body)?;
    let id = match &send.id {
        Some(id) => MessageId::new(id).context("the message id is not valid")?,
        None => MessageId::unique(),
    };
    let to = address(&send.of)?;
    let found = reader.instance(&to).await?;
    let about = match &found {
        Some(found) => {
            format!("{to} is {} in `{}`", found.instance.status.as_str(), found.instance.state)
        }
        None => format!("{to} does not exist"),
    };
    let verb = StoreVerb::Send { to, event: message, id: Some(id) };
    let question = format!("send {}?", plain(&send.event));
    operate(vec![verb], &send.operate, (&question, &plain(&about)), reader, output).await
}

/// Returns the definition with the highest version.
async fn newest(store: &dyn Inspect, saga: &str) -> Result<StoredDefinition> {
    let found = store.definitions().await?.into_iter().rfind(|definition| definition.saga == saga);
    found.with_context(|| {
        format!("the store has no definition of `{saga}`; a dispatcher with the saga writes it at its start")
    })
}

/// Checks the body, and returns the message with the present version of the event.
fn message(definition: &StoredDefinition, event: &str, body: &str) -> Result<Message> {
    let Some(StoredEvent { name, version, payload, .. }) = definition.event(event) else {
        let known: Vec<&str> = definition.events.iter().map(|event| &*event.name).collect();
        bail!("`{}` has no event `{event}`; its events are: {}", definition.saga, known.join(", "));
    };
    let json: serde_json::Value = serde_json::from_str(body).context("the body is not JSON")?;
    let misfits = payload.misfits(&json);
    ensure!(misfits.is_empty(), "the body is no `{}`: {}", payload.type_name, misfits.join("; "));
    let body = Payload::from(body);
    is_whole(&Redaction::of(std::slice::from_ref(definition)), name, &body)?;
    Ok(Message { name: name.clone().into(), version: *version, payload: body })
}

/// Refuses a body with the mask instead of a value.
pub(crate) fn is_whole(places: &Redaction, name: &str, body: &Payload) -> Result<()> {
    match places.still_masked(name, body) {
        None => Ok(()),
        Some(place) => bail!(
            "the body has `***` at `{place}`, which is redacted; write the value, or read it with --reveal"
        ),
    }
}
