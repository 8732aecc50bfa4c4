//! A `HandlerContext` for unit tests of handlers, without a dispatcher.
//!
//! Owns: the answers to saves and published events, as a dispatcher would give them. Does not own: attempts, retries
//! and time. These need a dispatcher with a manual clock.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::de::DeserializeOwned;

use super::attempt_channel::{AttemptChannel, Services};
use super::clock::SystemClock;
use super::handler::HandlerContext;
use super::mailbox::{Mailbox, Request, Requests};
use crate::engine::{Answer, AttemptKey, Consumer, Disposition, In, Registry};
use crate::message::{Correlated, Event, HandlerError, Key, Message, Payload, PayloadLimits, TraceContext};
use crate::store::{Address, MemoryStore};

/// Builds a [`TestContext`].
#[derive(Clone, Debug)]
#[must_use]
pub struct TestContextBuilder {
    key: String,
    saga: String,
    instance: String,
    attempt: u32,
    saved: Option<Payload>,
    events: Vec<&'static str>,
    trace: Option<TraceContext>,
}

/// A [`HandlerContext`] for a unit test of a handler. It records the handler's saved progress and published events.
#[derive(Debug)]
pub struct TestContext {
    cx: HandlerContext,
    made: TestContextBuilder,
    heard: Arc<Mutex<Heard>>,
    /// The context answers while this value lives.
    _mailbox: Mailbox,
}

#[derive(Debug, Default)]
struct Heard {
    saved: Option<Payload>,
    published: Vec<Message>,
}

impl HandlerContext {
    /// Returns a builder for the context of a unit test. The defaults are attempt 1, the idempotency key `test`, the
    /// saga `test` and the instance `test`.
    pub fn builder() -> TestContextBuilder {
        let text = || "test".to_owned();
        TestContextBuilder {
            key: text(),
            saga: text(),
            instance: text(),
            attempt: 1,
            saved: None,
            events: Vec::new(),
            trace: None,
        }
    }
}

impl TestContextBuilder {
    /// Sets the idempotency key.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Sets the stored name of the saga, and the key of the instance that has sent the command.
    pub fn instance(mut self, saga: impl Into<String>, key: impl Into<String>) -> Self {
        (self.saga, self.instance) = (saga.into(), key.into());
        self
    }

    /// Sets the number of the attempt, starting with 1.
    pub fn attempt(mut self, number: u32) -> Self {
        self.attempt = number;
        self
    }

    /// Sets the trace context of the attempt.
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Declares a consumer of the event `E`, so that the handler can publish this event.
    pub fn consumer_of<E: Event>(mut self) -> Self {
        self.events.push(E::NAME);
        self
    }

    /// Builds the context.
    ///
    /// # Panics
    /// When the key of the instance is no key, or when the system cannot start a thread.
    pub fn build(self) -> TestContext {
        let (mailbox, requests) = Mailbox::new();
        let heard = Arc::new(Mutex::new(Heard { saved: self.saved.clone(), published: Vec::new() }));
        let own = Arc::clone(&heard);
        // A separate thread works with every kind of test runtime. The drop of the last sender ends the thread.
        let thread = std::thread::Builder::new().name("saga-test-context".to_owned());
        thread.spawn(move || answer(requests, &own)).expect("the system starts a thread");
        let mut registry = Registry::default();
        for event in &self.events {
            registry.consumers.insert((*event).into(), vec![Consumer::Subscriber("test".into())]);
        }
        let services = Services {
            mailbox: mailbox.downgrade(),
            limits: PayloadLimits::DEFAULT,
            registry: Arc::new(registry),
            clock: Arc::new(SystemClock::default()),
            store: Weak::<MemoryStore>::new(),
        };
        let channel = AttemptChannel::new(1, self.saved.clone(), self.trace, Arc::new(services));
        let key = AttemptKey::Text(self.key.clone());
        let instance = Key::new(&self.instance)
            .unwrap_or_else(|error| panic!("`{}` is no key of an instance: {error}", self.instance));
        let of = Address::new(self.saga.clone(), instance);
        let cx = HandlerContext::new(key, self.attempt, of, channel);
        TestContext { cx, made: self, heard, _mailbox: mailbox }
    }
}

impl TestContext {
    /// Returns the context of the next attempt, with all progress that this attempt has saved.
    pub fn next_attempt(&self) -> Self {
        let saved = self.heard().saved.clone();
        TestContextBuilder { attempt: self.made.attempt + 1, saved, ..self.made.clone() }.build()
    }

    /// Returns the last saved progress, or `None` when no progress was saved.
    ///
    /// # Errors
    /// An error when the saved value cannot be read as a `T`.
    pub fn saved<T: DeserializeOwned>(&self) -> Result<Option<T>, HandlerError> {
        self.next_attempt().progress()
    }

    /// Returns the published events of type `E`, in order.
    ///
    /// # Panics
    /// When an event cannot be deserialized.
    pub fn published<E: Correlated>(&self) -> Vec<E> {
        let heard = self.heard();
        let named = heard.published.iter().filter(|message| message.name == E::NAME);
        named.map(|message| message.event().expect("a published event can be read back")).collect()
    }

    /// Signals to the handler that its outcome is no longer wanted.
    pub fn cancel(&self) {
        self.cx.cancel();
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        // Each field is replaced as a whole, so a poisoned lock still holds valid state.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for TestContext {
    type Target = HandlerContext;

    fn deref(&self) -> &HandlerContext {
        &self.cx
    }
}

/// Answers like a dispatcher with an available store.
fn answer(mut requests: Requests, heard: &Mutex<Heard>) {
    while let Some(request) = requests.blocking_recv() {
        let Request::Ask { question, answer, .. } = request else { continue };
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = match question(1) {
            In::Save { saved, .. } => {
                heard.saved = Some(saved);
                Answer::Saved(true)
            }
            In::Publish { event, .. } => {
                let to = |(consumer, key): (Consumer, _)| Address::new(consumer.name().to_string(), key);
                let consumers = event.consumers.into_iter().map(|found| (to(found), Ok(Disposition::Queued)));
                heard.published.push(event.message);
                Answer::Published(consumers.collect())
            }
            _ => Answer::Stopped,
        };
        // The handler may have been dropped.
        let _ = answer.send(answered);
    }
}
