//! What one step sends and publishes, collected while its actions run.

use std::fmt;

use crate::message::{Command, Correlated, Message, Name, Payload, PayloadError};

/// Collects the commands and events of one step.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Outbox {
    pub(crate) sent: Vec<Sent>,
    pub(crate) published: Vec<Published>,
}

/// A command to be queued.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) undo: Option<usize>,
    pub(crate) message: Message,
}

/// An event for its takers. Keeps the value, because each taker may read another key from it.
pub(crate) struct Published {
    pub(crate) message: Message,
    pub(crate) event: Box<dyn AnyEvent>,
}

/// A correlated event whose type is known at run time only.
pub(crate) trait AnyEvent: Send + Sync {
    fn key(&self, saga: &str) -> String;
}

impl<E: Correlated> AnyEvent for E {
    fn key(&self, saga: &str) -> String {
        Correlated::key(self, saga)
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl Outbox {
    /// Queues `command`, and with it the debt of
    /// [`Definition::undos`](crate::definition::Definition::undos)`[undo]`.
    pub fn send<C: Command>(&mut self, undo: Option<usize>, command: &C) -> Result<(), PayloadError> {
        let message = encode_command(command)?;
        self.sent.push(Sent { undo, message });
        Ok(())
    }

    /// Publishes `event` to its takers.
    pub fn publish<E: Correlated>(&mut self, event: E) -> Result<(), PayloadError> {
        let payload = Payload::encode(&event)?;
        let message = Message { name: Name::Borrowed(E::NAME), version: E::VERSION, payload };
        self.published.push(Published { message, event: Box::new(event) });
        Ok(())
    }
}

/// The stored form of a command.
#[doc(hidden)]
pub fn encode_command<C: Command>(command: &C) -> Result<Message, PayloadError> {
    Ok(Message { name: Name::Borrowed(C::NAME), version: C::VERSION, payload: Payload::encode(command)? })
}
