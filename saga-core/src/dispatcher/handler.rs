//! Traits for the async code of the user that runs commands and receives events. The dispatcher calls it through an
//! object.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::attempt_channel::AttemptChannel;
use super::error::PublishError;
use super::receipt::Receipt;
use crate::engine::{AttemptEnd, AttemptKey};
use crate::message::{
    Command, Correlated, Event, HandlerError, HandlerErrorKind, HandlerResult, Message, PayloadLimits,
    TraceContext, name_matches,
};
use crate::store::Address;

/// Runs the command `C`. Only handlers call external systems.
///
/// The dispatcher calls a handler **at least once** per command. Every call has the same arguments and the same
/// idempotency key. When the command is `at_most_once`, the dispatcher calls the handler at most once. Any error
/// returned with `?` is an indeterminate outcome. The engine then tries again according to the handler's
/// [`Policy`](crate::engine::Policy).
///
/// Log records that the handler writes with `tracing` carry the saga, the key, the command, the attempt and the
/// idempotency key.
///
/// # Cancellation
/// The dispatcher drops the future at the timeout of the policy and when the dispatcher stops. A request that was
/// already sent may still take effect. The idempotency key protects against a second effect.
///
/// # Panics
/// A panic counts as an indeterminate outcome. With `panic = "abort"`, a panic ends the process. The command is then
/// tried again a few times before its instance is parked.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the command `{C}`",
    note = "implement it: `impl Handler<{C}> for {Self}`, with `async fn handle(..)`"
)]
pub trait Handler<C: Command>: Send + Sync + 'static {
    /// Runs `command` and returns one of its replies, or `Done`. Implement this method as an `async fn`.
    fn handle(&self, command: C, cx: &HandlerContext) -> impl Future<Output = HandlerResult<C>> + Send;
}

/// Receives the event `E` outside any saga. Delivery is at least once, in accepted order per key (rule R22).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not subscribe to the event `{E}`",
    note = "implement it: `impl Subscriber<{E}> for {Self}`, with `async fn handle(..)`"
)]
pub trait Subscriber<E: Event>: Send + Sync + 'static {
    /// Processes `event`. A later event of the same key waits until this event has been processed or given up.
    /// Implement this method as an `async fn`.
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

/// The context of one attempt of a handler. A clone is the context of the same attempt.
#[derive(Clone, Debug)]
pub struct HandlerContext(Arc<Shared>);

/// The parts of the context, in one allocation. A part that few handlers use is made at its first use.
#[derive(Debug)]
struct Shared {
    key: AttemptKey,
    key_text: OnceLock<Box<str>>,
    attempt: u32,
    of: Address,
    cancelled: AtomicBool,
    cancellation: OnceLock<CancellationToken>,
    channel: AttemptChannel,
}

impl HandlerContext {
    pub(super) fn new(key: AttemptKey, attempt: u32, of: Address, channel: AttemptChannel) -> Self {
        Self(Arc::new(Shared {
            key,
            key_text: OnceLock::new(),
            attempt,
            of,
            cancelled: AtomicBool::new(false),
            cancellation: OnceLock::new(),
            channel,
        }))
    }

    /// Signals that the outcome is no longer wanted.
    pub(super) fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        // A handler begins to wait in the opposite order. Between the fences, one side sees what the other side wrote.
        fence(Ordering::SeqCst);
        if let Some(cancellation) = self.0.cancellation.get() {
            cancellation.cancel();
        }
    }

    /// Returns the idempotency key. It is the same for every attempt of this command and different for every other
    /// command. For a subscriber, it is the message id. Pass the key to the external system, so that this system
    /// recognises a repeated call.
    pub fn idempotency_key(&self) -> &str {
        self.0.key_text.get_or_init(|| self.0.key.to_string().into())
    }

    /// Returns a key for one of several calls that this command makes, such as one of many mails. The key is the same
    /// for every attempt and different for every `item`.
    pub fn idempotency_key_for(&self, item: impl std::fmt::Display) -> String {
        let name = format!("{}\0{item}", self.idempotency_key());
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    }

    /// Returns the last progress that [`save_progress`](Self::save_progress) has saved, in this attempt or an earlier
    /// one.
    ///
    /// # Errors
    /// An error when the saved value cannot be read as a `T`.
    pub fn progress<T: DeserializeOwned>(&self) -> Result<Option<T>, HandlerError> {
        self.0.channel.progress()
    }

    /// Saves the progress of the work and replaces the progress saved before. The progress is durable when this method
    /// returns. A repeated attempt can continue from the saved progress, also after a crash.
    ///
    /// The work since the last save is done again. Therefore save the *next* item to process. Give the call its
    /// [`idempotency_key_for`](Self::idempotency_key_for) the item.
    ///
    /// # Errors
    /// An error when the attempt is over, when the dispatcher has stopped, or when the progress exceeds the payload
    /// limits. Return the error with `?`.
    pub async fn save_progress<T: Serialize>(&self, progress: &T) -> Result<(), HandlerError> {
        self.0.channel.save_progress(progress).await
    }

    /// Runs `work` once for all attempts and saves its result under `name`. A repeated attempt gets the saved result
    /// and does not run `work`. After a crash between the work and the save, the next attempt runs `work` again.
    ///
    /// # Errors
    /// The errors of `work`, and those of [`save_progress`](Self::save_progress).
    pub async fn run_once<T, F>(&self, name: &str, work: impl FnOnce() -> F + Send) -> Result<T, HandlerError>
    where
        T: Serialize + DeserializeOwned + Send,
        F: Future<Output = Result<T, HandlerError>> + Send,
    {
        if let Some(known) = self.0.channel.result(name).await? {
            return Ok(known);
        }
        let result = work().await?;
        self.0.channel.keep_result(name, &result).await?;
        Ok(result)
    }

    /// Publishes an event. The event is durable when this method returns, whatever the outcome of the attempt.
    ///
    /// The message id is derived from the idempotency key and the content of the event. The same event of another
    /// attempt is therefore recognised and changes nothing. The content may differ between attempts, for example when
    /// the event holds the time. Publish such an event with [`publish_for`](Self::publish_for).
    ///
    /// # Errors
    /// [`PublishError`]. [`PublishError::Stopped`] is also returned while the dispatcher shuts down. Return the error
    /// with `?`.
    pub async fn publish<E: Correlated>(&self, event: E) -> Result<Receipt, PublishError> {
        self.0.channel.publish(self.idempotency_key(), event).await
    }

    /// Publishes like [`publish`](Self::publish), for one of several items of this command. One event of this type is
    /// published for each `item`, whatever its content.
    ///
    /// # Errors
    /// The errors of `publish`. [`PublishError::IdConflict`] when an earlier attempt has published other content for
    /// the item.
    pub async fn publish_for<E: Correlated>(
        &self,
        item: impl std::fmt::Display,
        event: E,
    ) -> Result<Receipt, PublishError> {
        self.0.channel.publish_for(&self.idempotency_key_for(item), event).await
    }

    /// Restarts the timeout of the attempt from now. Use it for long work with an unknown total duration.
    pub fn heartbeat(&self) {
        self.0.channel.heartbeat();
    }

    /// Returns the number of this attempt, starting with 1. The number rises with every attempt of the command, or of
    /// the delivery to a subscriber. No number is used twice, also after a kill. The number 1 means that no earlier
    /// attempt has begun.
    ///
    /// The number is not a count of attempts. Quick attempts are not stored, so a restart after a kill skips their
    /// possible numbers. Each kill skips at most [`Policy::quick_attempts`](crate::engine::Policy::quick_attempts)
    /// numbers. With 3 quick attempts, attempt 4 follows a killed attempt 1. A clean restart skips no number. The
    /// number of attempts known to have ended is in [`Unknown::attempts`](crate::message::Unknown::attempts).
    ///
    /// An operator's `retry` continues with the next number. A redriven dead letter of a subscriber is a new delivery
    /// and starts with 1. A build with fewer quick attempts than the killed build may use numbers again.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Returns the stored name of the saga that sent the command. For a subscriber, returns its own name.
    pub fn saga(&self) -> &str {
        &self.0.of.saga
    }

    /// Returns the key of the instance that sent the command. For a subscriber, returns the key of the event.
    pub fn instance(&self) -> &str {
        self.0.of.key.text()
    }

    /// Returns the trace context of this attempt. Pass it to the external system as the HTTP header `traceparent`, so that
    /// one trace shows both systems. `None` if neither the publisher nor a [`Tracer`](crate::engine::Tracer) has set one.
    pub fn trace(&self) -> Option<TraceContext> {
        self.0.channel.trace
    }

    /// Waits until the outcome is no longer wanted, because the instance turned or the dispatcher stops. A handler that
    /// can stop early should then return an error. The error counts as indeterminate.
    pub async fn cancelled(&self) {
        let cancellation = self.0.cancellation.get_or_init(CancellationToken::new);
        fence(Ordering::SeqCst);
        if !self.is_cancelled() {
            cancellation.cancelled().await;
        }
    }

    /// Returns whether the outcome is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }
}

/// A future that runs one attempt.
pub(crate) type Attempting = Pin<Box<dyn Future<Output = AttemptEnd> + Send + 'static>>;

/// A handler or subscriber with its type erased.
pub(crate) trait AnyHandler: Send + Sync {
    fn attempt(self: Arc<Self>, message: Message, cx: HandlerContext, limits: PayloadLimits) -> Attempting;
}

/// The type-erased form of a handler of `C`.
pub(crate) struct ForCommand<C, H>(H, PhantomData<fn(C)>);

/// The type-erased form of a subscriber to `E`.
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
                        Err(error) => AttemptEnd::BadReply(format!("the reply `{}` {error}", message.name)),
                    },
                    Err(error) => AttemptEnd::BadReply(format!("the reply {error}")),
                },
            }
        })
    }
}

impl<E: Event, H: Subscriber<E>> AnyHandler for ForEvent<E, H> {
    fn attempt(self: Arc<Self>, message: Message, cx: HandlerContext, _: PayloadLimits) -> Attempting {
        Box::pin(async move {
            // A subscriber may have another event in another release. Similar JSON must not be taken for it.
            if !name_matches(&message.name, E::NAME, E::WAS) {
                let (takes, found) = (E::NAME, &message.name);
                return AttemptEnd::Unreadable(format!(
                    "the subscriber takes event `{takes}`, and this is `{found}`"
                ));
            }
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
