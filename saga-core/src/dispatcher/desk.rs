//! What an attempt keeps for the attempts to come: the handler's side of [`In::Save`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::sync::oneshot;

use super::run::Request;
use crate::engine::{Answer, In};
use crate::message::{HandlerError, Payload, PayloadLimits};

/// What is stored with the command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Saved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    once: BTreeMap<String, Box<RawValue>>,
}

/// One attempt's line to the engine.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    attempt: u64,
    requests: WeakUnboundedSender<Request>,
    limits: PayloadLimits,
    /// `Err` when what is stored cannot be read.
    saved: Arc<Mutex<Result<Saved, String>>>,
}

impl Desk {
    pub(super) fn new(
        attempt: u64,
        requests: WeakUnboundedSender<Request>,
        saved: Option<Payload>,
        limits: PayloadLimits,
    ) -> Self {
        let saved = match saved {
            None => Ok(Saved::default()),
            Some(saved) => saved.decode().map_err(|error| format!("what was saved {error}")),
        };
        Self { attempt, requests, limits, saved: Arc::new(Mutex::new(saved)) }
    }

    pub(super) fn progress<T: DeserializeOwned>(&self) -> Result<Option<T>, HandlerError> {
        let saved = self.saved()?;
        saved.progress.map(|progress| read("the saved progress", &progress)).transpose()
    }

    pub(super) async fn save_progress<T: Serialize>(&self, progress: &T) -> Result<(), HandlerError> {
        let mut saved = self.saved()?;
        saved.progress = Some(write("the progress", progress)?);
        self.save(saved).await
    }

    pub(super) fn result<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, HandlerError> {
        let saved = self.saved()?;
        saved.once.get(name).map(|result| read(&format!("the result of `{name}`"), result)).transpose()
    }

    pub(super) async fn keep_result<T: Serialize>(&self, name: &str, result: &T) -> Result<(), HandlerError> {
        let mut saved = self.saved()?;
        saved.once.insert(name.to_owned(), write(&format!("the result of `{name}`"), result)?);
        self.save(saved).await
    }

    pub(super) fn heartbeat(&self) {
        if let Some(requests) = self.requests.upgrade() {
            // A dispatcher that has gone drops the attempt anyway.
            let _ = requests.send(Request::Tell(In::Heartbeat { attempt: self.attempt }));
        }
    }

    async fn save(&self, saved: Saved) -> Result<(), HandlerError> {
        let payload = Payload::encode(&saved)
            .and_then(|payload| payload.check(self.limits).map(|()| payload))
            .map_err(|error| HandlerError::from(format!("what the handler saves {error}")))?;
        let (answer, answered) = oneshot::channel();
        let attempt = self.attempt;
        let ask = Box::new(move |ticket| In::Save { attempt, saved: payload, ticket });
        let sent = self.requests.upgrade().is_some_and(|to| to.send(Request::Ask(ask, answer)).is_ok());
        match answered.await {
            Ok(Answer::Saved(true)) if sent => {
                *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Ok(saved);
                Ok(())
            }
            Ok(Answer::Saved(_)) => Err("the attempt is over, so nothing was saved".into()),
            _ => Err("the dispatcher has stopped, so nothing was saved".into()),
        }
    }

    fn saved(&self) -> Result<Saved, HandlerError> {
        // Replaced as a whole, so a poisoned one is whole as well.
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        saved.clone().map_err(HandlerError::from)
    }
}

fn read<T: DeserializeOwned>(what: &str, json: &RawValue) -> Result<T, HandlerError> {
    serde_json::from_str(json.get()).map_err(|error| format!("{what} is of another shape: {error}").into())
}

fn write<T: Serialize>(what: &str, value: &T) -> Result<Box<RawValue>, HandlerError> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| format!("{what} cannot be written as JSON: {error}").into())
}
