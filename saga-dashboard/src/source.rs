//! The store behind the pages, and the way of a decision.
//!
//! Owns: the difference between a dispatcher in this process and a file of another one. Does not own: the reads
//! (`Inspect`), or the effect of a verb.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use saga_core::definition::Redaction;
use saga_core::dispatcher::{Dispatcher, Health, InstanceError, Proposed, WeakDispatcher};
use saga_core::engine::{HandlerStatus, StoreVerb};
use saga_core::machine::{Operator, OperatorVerb, Preview};
use saga_core::message::{MessageId, Timestamp, chain};
use saga_core::store::{Address, Inspect, Mail, Redacted, StoreError};

/// Puts rows into the inbox of a store that another process may own.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Writes the rows, as [`Store::deliver`](saga_core::store::Store::deliver) does.
    async fn deliver(&self, mail: Vec<Mail>) -> Result<(), StoreError>;
}

/// The store that a dashboard shows, and how its decisions are applied.
#[derive(Clone)]
pub struct Source(Kind);

#[derive(Clone)]
enum Kind {
    Dispatcher(WeakDispatcher),
    Store { store: Arc<dyn Inspect>, inbox: Option<Arc<dyn Inbox>> },
}

/// The condition of the dispatcher of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Condition {
    /// Another process has it, if one runs.
    Elsewhere,
    Running,
    Degraded(String),
    Stopped(String),
}

/// Why a decision was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDecided {
    /// The instance has declined it.
    #[error("{0}")]
    Declined(String),
    /// Nobody could apply it, and nothing was done.
    #[error("{0}")]
    NotDone(String),
    /// Nobody knows whether it was applied.
    #[error("{0}")]
    Unknown(String),
}

impl NotDecided {
    /// Returns whether it is known that nothing has changed.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Declined(_) => StatusCode::CONFLICT,
            Self::NotDone(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// Where a decision is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// It is a step of the instance.
    Done,
    /// It waits in the inbox for the dispatcher of the store.
    HandedOver,
}

/// The store, while a request uses it.
pub(crate) enum Opened {
    Dispatcher(Dispatcher),
    Store(Arc<dyn Inspect>),
    /// Without the values that must not be shown.
    Redacted(Box<Redacted<Opened>>),
}

impl Opened {
    /// Returns the places that are hidden.
    pub(crate) fn redaction(&self) -> Option<&Redaction> {
        match self {
            Self::Redacted(store) => Some(store.redaction()),
            _ => None,
        }
    }
}

impl Deref for Opened {
    type Target = dyn Inspect;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Dispatcher(dispatcher) => dispatcher.store(),
            Self::Store(store) => &**store,
            Self::Redacted(store) => &**store,
        }
    }
}

impl Source {
    /// Shows the store of a dispatcher in this process, which applies the decisions at once. The dashboard does not keep the
    /// dispatcher alive.
    pub fn dispatcher(dispatcher: &Dispatcher) -> Self {
        Self(Kind::Dispatcher(dispatcher.downgrade()))
    }

    /// Shows a store, and decides nothing.
    pub fn store(store: impl Inspect) -> Self {
        Self(Kind::Store { store: Arc::new(store), inbox: None })
    }

    /// Shows a store that another process may own. A decision goes through the inbox, and the dispatcher of that process
    /// applies it.
    pub fn store_with_inbox(store: impl Inspect, inbox: impl Inbox) -> Self {
        Self(Kind::Store { store: Arc::new(store), inbox: Some(Arc::new(inbox)) })
    }

    pub(crate) fn decides(&self) -> bool {
        !matches!(self.0, Kind::Store { inbox: None, .. })
    }

    /// Returns the store. `None` after the end of the dispatcher.
    pub(crate) fn open(&self) -> Option<Opened> {
        match &self.0 {
            Kind::Dispatcher(dispatcher) => dispatcher.upgrade().map(Opened::Dispatcher),
            Kind::Store { store, .. } => Some(Opened::Store(Arc::clone(store))),
        }
    }

    /// Returns the condition of the dispatcher.
    pub(crate) fn condition(&self) -> Condition {
        match &self.0 {
            Kind::Dispatcher(dispatcher) => {
                match dispatcher.upgrade().map(|dispatcher| dispatcher.health()) {
                    Some(Health::Running) => Condition::Running,
                    Some(Health::Degraded { why, .. }) => Condition::Degraded(why),
                    Some(Health::Stopped { why, .. }) => Condition::Stopped(why),
                    Some(other) => Condition::Degraded(format!("{other:?}")),
                    None => Condition::Stopped("the last handle of the dispatcher was dropped".to_owned()),
                }
            }
            Kind::Store { .. } => Condition::Elsewhere,
        }
    }

    /// Returns what a verb would do. `None` without the dispatcher, which alone has the actions of the saga.
    pub(crate) async fn preview(&self, address: &Address, verb: OperatorVerb) -> Option<Preview> {
        let Kind::Dispatcher(dispatcher) = &self.0 else { return None };
        // A failed preview only leaves the page with its words.
        dispatcher.upgrade()?.preview(address, Proposed::Verb(verb)).await.ok()
    }

    /// Applies a verb, or hands it over.
    pub(crate) async fn decide(
        &self,
        to: Address,
        verb: OperatorVerb,
        operator: Operator,
    ) -> Result<Decided, NotDecided> {
        match &self.0 {
            Kind::Dispatcher(dispatcher) => {
                let Some(dispatcher) = dispatcher.upgrade() else {
                    return Err(NotDecided::NotDone("the dispatcher has stopped".to_owned()));
                };
                dispatcher.decide(to, verb, operator).await.map(|()| Decided::Done).map_err(not_decided)
            }
            Kind::Store { inbox: Some(inbox), .. } => {
                let mail = Mail::operator(to, verb, operator, Timestamp::now());
                let delivered = inbox.deliver(vec![mail]).await;
                delivered.map(|()| Decided::HandedOver).map_err(|error| not_delivered(&error))
            }
            Kind::Store { inbox: None, .. } => Err(only_shows()),
        }
    }

    /// Returns the condition of each handler. `None` when they are in another process, or have stopped.
    pub(crate) fn handlers(&self) -> Option<Arc<[HandlerStatus]>> {
        match &self.0 {
            Kind::Dispatcher(dispatcher) => dispatcher.upgrade().map(|dispatcher| dispatcher.handlers()),
            Kind::Store { .. } => None,
        }
    }

    /// Returns whether the dispatcher of this process has the consumer. `false` when the dispatcher is in another process, so
    /// that nobody knows.
    pub(crate) fn has_consumer(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Dispatcher(dispatcher) => {
                dispatcher.upgrade().is_some_and(|dispatcher| dispatcher.has_consumer(name))
            }
            Kind::Store { .. } => false,
        }
    }

    /// Applies a verb on a dead letter, a saga or a handler, or hands it over.
    pub(crate) async fn operate(&self, verb: StoreVerb, operator: Operator) -> Result<Decided, NotDecided> {
        match &self.0 {
            Kind::Dispatcher(dispatcher) => {
                let Some(dispatcher) = dispatcher.upgrade() else {
                    return Err(NotDecided::NotDone("the dispatcher has stopped".to_owned()));
                };
                dispatcher.operate(verb, operator).await.map(|()| Decided::Done).map_err(not_decided)
            }
            Kind::Store { inbox: Some(inbox), .. } => {
                let mail = Mail::store_verb(verb, operator, MessageId::unique(), Timestamp::now());
                let delivered = inbox.deliver(vec![mail]).await;
                delivered.map(|()| Decided::HandedOver).map_err(|error| not_delivered(&error))
            }
            Kind::Store { inbox: None, .. } => Err(only_shows()),
        }
    }

    /// Returns whether decisions go through the inbox.
    pub(crate) fn is_inbox(&self) -> bool {
        matches!(self.0, Kind::Store { inbox: Some(_), .. })
    }

    /// Hands a verb on many instances over, in one transaction.
    pub(crate) async fn hand_over(
        &self,
        decisions: Vec<(Address, Operator)>,
        verb: &OperatorVerb,
    ) -> Vec<(Address, Result<Decided, NotDecided>)> {
        let Kind::Store { inbox: Some(inbox), .. } = &self.0 else {
            return decisions.into_iter().map(|(to, _)| (to, Err(only_shows()))).collect();
        };
        let at = Timestamp::now();
        let mail = |(to, operator): &(Address, Operator)| {
            Mail::operator(to.clone(), verb.clone(), operator.clone(), at)
        };
        let outcome = inbox.deliver(decisions.iter().map(mail).collect()).await;
        let each = |(to, _)| {
            let outcome = match &outcome {
                Ok(()) => Ok(Decided::HandedOver),
                Err(error) => Err(not_delivered(error)),
            };
            (to, outcome)
        };
        decisions.into_iter().map(each).collect()
    }
}

fn not_decided(error: InstanceError) -> NotDecided {
    match error {
        InstanceError::Declined(why) => NotDecided::Declined(why.to_string()),
        error @ InstanceError::Unknown { .. } => NotDecided::Unknown(chain(&error).to_string()),
        error => NotDecided::NotDone(chain(&error).to_string()),
    }
}

/// After a temporary error, the rows may be in the inbox.
fn not_delivered(error: &StoreError) -> NotDecided {
    let why = chain(error).to_string();
    if error.is_temporary() { NotDecided::Unknown(why) } else { NotDecided::NotDone(why) }
}

fn only_shows() -> NotDecided {
    NotDecided::NotDone("this dashboard only shows the store".to_owned())
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Dispatcher(_) => "Source(dispatcher)",
            Kind::Store { .. } => "Source(store)",
        })
    }
}
