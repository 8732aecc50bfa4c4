//! A `HandlerContext` for unit tests of handlers, without a dispatcher.
//!
//! Owns: the answers that a dispatcher would give to saves and published events. Does not own: attempts, retries and time,
//! which need a dispatcher with a manual clock.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::attempt_channel::AttemptChannel;
use super::clock::SystemClock;
use super::handler::HandlerContext;
use super::run::Request;
use crate::engine::{Answer, Consumer, ConsumerAnswer, In, Registry};
use crate::message::{Correlated, Event, HandlerError, Message, Payload, PayloadLimits};
use crate::store::Address;

/// Makes a [`TestContext`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TestContextBuilder {
    key: String,
    saga: String,
    instance: String,
    attempt: u32,
    saved: Option<Payload>,
    events: Vec<&'static str>,
}

/// A [`HandlerContext`] for a unit test of a handler. It remembers what the handler saves and publishes.
#[derive(Debug)]
pub struct TestContext {
    cx: HandlerContext,
    made: TestContextBuilder,
    heard: Arc<Mutex<Heard>>,
    /// Answers as long as this lives.
    _requests: UnboundedSender<Request>,
}

#[derive(Debug, Default)]
struct Heard {
    saved: Option<Payload>,
    published: Vec<Message>,
}

impl HandlerContext {
    /// A context for a unit test: the first attempt, with the idempotency key `test`, of the instance `test` of the saga
    /// `test`.
    pub fn builder() -> TestContextBuilder {
        let text = || "test".to_owned();
        TestContextBuilder {
            key: text(),
            saga: text(),
            instance: text(),
            attempt: 1,
            saved: None,
            events: Vec::new(),
        }
    }
}

impl TestContextBuilder {
    /// The idempotency key.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// The stored name of the saga, and the key of the instance that has sent the command.
    pub fn instance(mut self, saga: impl Into<String>, key: impl Into<String>) -> Self {
        (self.saga, self.instance) = (saga.into(), key.into());
        self
    }

    /// The number of the attempt, from 1.
    pub fn attempt(mut self, number: u32) -> Self {
        self.attempt = number;
        self
    }

    /// The event `E` has a consumer, so that the handler can publish it.
    pub fn consumer_of<E: Event>(mut self) -> Self {
        self.events.push(E::NAME);
        self
    }

    /// Makes the context.
    ///
    /// # Panics
    /// When the system cannot start a thread.
    pub fn build(self) -> TestContext {
        let (sender, requests) = unbounded_channel();
        let heard = Arc::new(Mutex::new(Heard { saved: self.saved.clone(), published: Vec::new() }));
        let own = Arc::clone(&heard);
        // A thread, so that the test needs no runtime of a certain kind. The last sender ends it.
        let thread = std::thread::Builder::new().name("saga-test-context".to_owned());
        thread.spawn(move || answer(requests, &own)).expect("the system starts a thread");
        let mut registry = Registry::default();
        for event in &self.events {
            registry.consumers.insert((*event).into(), vec![Consumer::Subscriber("test".into())]);
        }
        let cx = HandlerContext {
            key: (&*self.key).into(),
            attempt: self.attempt,
            saga: (&*self.saga).into(),
            instance: (&*self.instance).into(),
            cancelled: CancellationToken::new(),
            channel: AttemptChannel::new(
                1,
                sender.downgrade(),
                self.saved.clone(),
                PayloadLimits::DEFAULT,
                Arc::new(registry),
                Arc::new(SystemClock::default()),
            ),
        };
        TestContext { cx, made: self, heard, _requests: sender }
    }
}

impl TestContext {
    /// The next attempt, with everything that this one has saved.
    pub fn next_attempt(&self) -> Self {
        let saved = self.heard().saved.clone();
        TestContextBuilder { attempt: self.made.attempt + 1, saved, ..self.made.clone() }.build()
    }

    /// The progress that was saved last.
    ///
    /// # Errors
    /// When what was saved is no `T`.
    pub fn saved<T: DeserializeOwned>(&self) -> Result<Option<T>, HandlerError> {
        self.next_attempt().progress()
    }

    /// The events `E` that were published, in order.
    ///
    /// # Panics
    /// When an event cannot be read back.
    pub fn published<E: Correlated>(&self) -> Vec<E> {
        let heard = self.heard();
        let named = heard.published.iter().filter(|message| message.name == E::NAME);
        named.map(|message| message.event().expect("it was checked when it was published")).collect()
    }

    /// Tells the handler that its outcome is no longer wanted.
    pub fn cancel(&self) {
        self.cx.cancelled.cancel();
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        // Replaced field by field as a whole, so a poisoned one is whole as well.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for TestContext {
    type Target = HandlerContext;

    fn deref(&self) -> &HandlerContext {
        &self.cx
    }
}

/// Answers as a dispatcher whose store is well.
fn answer(mut requests: UnboundedReceiver<Request>, heard: &Mutex<Heard>) {
    while let Some(request) = requests.blocking_recv() {
        let Request::Ask(ask, answer, _busy) = request else { continue };
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = match ask(1) {
            In::Save { saved, .. } => {
                heard.saved = Some(saved);
                Answer::Saved(true)
            }
            In::Publish { event, .. } => {
                let to = |(consumer, key): (Consumer, _)| Address::new(consumer.name().to_string(), key);
                let consumers = event.consumers.into_iter().map(|found| (to(found), ConsumerAnswer::Queued));
                heard.published.push(event.message);
                Answer::Published(consumers.collect())
            }
            _ => Answer::Stopped,
        };
        // The handler may have been dropped.
        let _ = answer.send(answered);
    }
}
