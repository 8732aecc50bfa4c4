//! What runs commands and receives events: async code of the user, called through an object.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::attempt_channel::AttemptChannel;
use super::error::PublishError;
use super::receipt::Receipt;
use crate::engine::AttemptEnd;
use crate::message::{
    Command, Correlated, Event, HandlerError, HandlerErrorKind, HandlerResult, Message, PayloadLimits,
};

/// Runs the command `C`: the only code that talks to the outside world.
///
/// It is called **at least once** per command with the same arguments and the same idempotency key every time, or, when
/// the command is `at_most_once`, at most once. Any `?` is an indeterminate outcome: the engine tries again by the handler's
/// [`Policy`](crate::engine::Policy).
///
/// What it logs with `tracing` carries the saga, the key, the command, the attempt and the idempotency key.
///
/// # Cancellation
/// The future is dropped when it takes longer than the policy's timeout, and when the dispatcher stops. A call already
/// on the wire may still land; the idempotency key is the protection.
///
/// # Panics
/// A panic counts as an indeterminate outcome. With `panic = "abort"` it ends the process, and the command is tried again a
/// few times before its instance is parked.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the command `{C}`",
    note = "implement it: `impl Handler<{C}> for {Self}`, with `async fn handle(..)`"
)]
pub trait Handler<C: Command>: Send + Sync + 'static {
    /// Does what `command` asks for and answers with one of its replies, or `Done`. Write it as an `async fn`.
    fn handle(&self, command: C, cx: &HandlerContext) -> impl Future<Output = HandlerResult<C>> + Send;
}

/// Receives the event `E` outside of any saga: at least once, in accepted order per key (rule R22).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not subscribe to the event `{E}`",
    note = "implement it: `impl Subscriber<{E}> for {Self}`, with `async fn handle(..)`"
)]
pub trait Subscriber<E: Event>: Send + Sync + 'static {
    /// Takes `event`. A later event of the same key waits until this one was taken or given up. Write it as an `async fn`.
    fn handle(&self, event: E, cx: &HandlerContext) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<C: Command, H: Handler<C>> Handler<C> for Arc<H> {
    async fn handle(&self, command: C, cx: &HandlerContext) -> HandlerResult<C> {
        (**self).handle(command, cx).await
    }
}

impl<E: Event, H: Subscriber<E>> Subscriber<E> for Arc<H> {
    async fn handle(&self, event: E, cx: &HandlerContext) -> Result<(), HandlerError> {
        (**self).handle(event, cx).await
    }
}

/// What a handler knows about its attempt.
#[derive(Clone, Debug)]
pub struct HandlerContext {
    pub(crate) key: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) saga: Arc<str>,
    pub(crate) instance: Arc<str>,
    pub(crate) cancelled: CancellationToken,
    pub(crate) channel: AttemptChannel,
}

impl HandlerContext {
    /// The same for every attempt of this command, different for every other; for a subscriber the message id. Pass it
    /// to the outside world, so that a repeated call is recognised there.
    pub fn idempotency_key(&self) -> &str {
        &self.key
    }

    /// A key for one of several calls that this command makes, such as one mail of many: the same for every attempt,
    /// different for every `item`.
    pub fn idempotency_key_for(&self, item: impl std::fmt::Display) -> String {
        let name = format!("{}\0{item}", self.key);
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    }

    /// What [`save_progress`](Self::save_progress) has saved last, in this attempt or an earlier one.
    ///
    /// # Errors
    /// When what was saved is no `T`.
    pub fn progress<T: DeserializeOwned>(&self) -> Result<Option<T>, HandlerError> {
        self.channel.progress()
    }

    /// Saves how far the work is, in place of what was saved before; durable when it returns. An attempt that is tried
    /// again, also after a crash, goes on from there.
    ///
    /// What was done since the last save is done again: save the item to do *next*, and give the call its
    /// [`idempotency_key_for`](Self::idempotency_key_for) the item.
    ///
    /// # Errors
    /// When the attempt is over, the dispatcher has stopped, or it is over the limits. Answer with `?`.
    pub async fn save_progress<T: Serialize>(&self, progress: &T) -> Result<(), HandlerError> {
        self.channel.save_progress(progress).await
    }

    /// Does something once for all attempts and remembers its result: an attempt that is tried again gets the result
    /// without doing it again. A crash between the doing and the remembering does it again.
    ///
    /// # Errors
    /// Those of `work`, and those of [`save_progress`](Self::save_progress).
    pub async fn run_once<T, F>(&self, name: &str, work: impl FnOnce() -> F + Send) -> Result<T, HandlerError>
    where
        T: Serialize + DeserializeOwned + Send,
        F: Future<Output = Result<T, HandlerError>> + Send,
    {
        if let Some(known) = self.channel.result(name).await? {
            return Ok(known);
        }
        let result = work().await?;
        self.channel.keep_result(name, &result).await?;
        Ok(result)
    }

    /// Publishes an event; durable when it returns, whatever becomes of the attempt. The same event of another attempt is
    /// recognised and changes nothing: its message id is made of the idempotency key and of what the event says. One that
    /// another attempt would write differently, because it holds the time for example, is published with
    /// [`publish_for`](Self::publish_for).
    ///
    /// # Errors
    /// [`PublishError`]; [`PublishError::Stopped`] also while the dispatcher shuts down. Answer with `?`.
    pub async fn publish<E: Correlated>(&self, event: E) -> Result<Receipt, PublishError> {
        self.channel.publish(&self.key, event).await
    }

    /// As [`publish`](Self::publish), for one of several items that this command is about: one event of its kind for each
    /// `item`, whatever it says.
    ///
    /// # Errors
    /// As for `publish`, and [`PublishError::IdConflict`] when an earlier attempt has published something else for it.
    pub async fn publish_for<E: Correlated>(
        &self,
        item: impl std::fmt::Display,
        event: E,
    ) -> Result<Receipt, PublishError> {
        self.channel.publish_for(&self.idempotency_key_for(item), event).await
    }

    /// Says that the attempt is alive: its timeout counts from now. For long work that is bounded by how it gets on.
    pub fn heartbeat(&self) {
        self.channel.heartbeat();
    }

    /// The number of this attempt, counted from 1. It rises with every attempt of the command, or of the delivery to a
    /// subscriber. No number is given twice, also not after a kill: 1 says that no earlier attempt has begun.
    ///
    /// It is no count. Quick attempts are not written down, so after a kill the numbers that they may have had are left
    /// out: at most as many as [`Policy::quick_attempts`](crate::engine::Policy::quick_attempts) each time. With 3 of them,
    /// an attempt 1 that was killed is followed by attempt 4. A clean restart leaves nothing out. How many attempts are
    /// known to have ended is in [`Unknown::attempts`](crate::message::Unknown::attempts).
    ///
    /// An operator's `retry` goes on with the next number. A dead letter that is redriven to its subscriber is a new delivery
    /// and begins with 1. A build that has fewer quick attempts than the one that was killed may give numbers again.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The stored name of the saga that sent the command; for a subscriber its own name.
    pub fn saga(&self) -> &str {
        &self.saga
    }

    /// The key of the instance that sent the command; for a subscriber the key of the event.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Ends when the outcome is no longer wanted, because the instance turned or the dispatcher stops. A handler that
    /// can stop early should then return an error, which counts as indeterminate.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Whether the outcome is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }
}

/// A future that runs one attempt.
pub(crate) type Attempting = Pin<Box<dyn Future<Output = AttemptEnd> + Send + 'static>>;

/// A handler or subscriber whose type is known at run time only.
pub(crate) trait AnyHandler: Send + Sync {
    fn attempt(self: Arc<Self>, message: Message, cx: HandlerContext, limits: PayloadLimits) -> Attempting;
}

/// A handler of `C`.
pub(crate) struct ForCommand<C, H>(H, PhantomData<fn(C)>);

/// A subscriber to `E`.
pub(crate) struct ForEvent<E, H>(H, PhantomData<fn(E)>);

impl<C, H> ForCommand<C, H> {
    pub(crate) fn new(handler: H) -> Self {
        Self(handler, PhantomData)
    }
}

impl<E, H> ForEvent<E, H> {
    pub(crate) fn new(handler: H) -> Self {
        Self(handler, PhantomData)
    }
}

impl<C: Command, H: Handler<C>> AnyHandler for ForCommand<C, H> {
    fn attempt(self: Arc<Self>, message: Message, cx: HandlerContext, limits: PayloadLimits) -> Attempting {
        Box::pin(async move {
            let command: C = match message.command() {
                Ok(command) => command,
                Err(error) => return AttemptEnd::Unreadable(format!("command `{}` {error}", C::NAME)),
            };
            match self.0.handle(command, &cx).await {
                Err(error) => ended_with(&error),
                Ok(reply) => match reply.into_message() {
                    Ok(None) => AttemptEnd::Replied(None),
                    Ok(Some(message)) => match message.payload.check(limits) {
                        Ok(()) => AttemptEnd::Replied(Some(message)),
                        Err(error) => AttemptEnd::BadReply(format!("its reply `{}` {error}", message.name)),
                    },
                    Err(error) => AttemptEnd::BadReply(format!("its reply {error}")),
                },
            }
        })
    }
}

impl<E: Event, H: Subscriber<E>> AnyHandler for ForEvent<E, H> {
    fn attempt(self: Arc<Self>, message: Message, cx: HandlerContext, _: PayloadLimits) -> Attempting {
        Box::pin(async move {
            let event: E = match message.event() {
                Ok(event) => event,
                Err(error) => return AttemptEnd::Unreadable(format!("event `{}` {error}", E::NAME)),
            };
            match self.0.handle(event, &cx).await {
                Ok(()) => AttemptEnd::Replied(None),
                Err(error) => ended_with(&error),
            }
        })
    }
}

fn ended_with(error: &HandlerError) -> AttemptEnd {
    match error.kind() {
        HandlerErrorKind::Refused => AttemptEnd::Refused(error.to_string()),
        HandlerErrorKind::RefusedForGood => AttemptEnd::RefusedForGood(error.to_string()),
        HandlerErrorKind::Indeterminate => AttemptEnd::Indeterminate(error.to_string()),
        HandlerErrorKind::Unreadable => AttemptEnd::Unreadable(error.to_string()),
        HandlerErrorKind::BadReply => AttemptEnd::BadReply(error.to_string()),
    }
}
