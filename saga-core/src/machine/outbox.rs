//! The outbox of one step: everything that its actions send, publish, start and claim.

use std::fmt;

use super::family::Child;
use super::instance::guarded;
use crate::message::{
    ActionResult, Alias, Command, Correlated, Event, InstanceName, Key, Message, PayloadError,
};
use crate::step::AliasChange;

/// Collects the commands, events, children and aliases of one step.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Outbox {
    pub(crate) sent: Vec<Sent>,
    pub(crate) published: Vec<Published>,
    /// The children with a `start` clause in this step, by index into
    /// [`Definition::children`](crate::definition::Definition::children). The number of started children may be zero.
    pub(crate) starting: Vec<usize>,
    pub(crate) started: Vec<Started>,
    pub(crate) aliases: Vec<AliasChange>,
}

/// A child to start.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) child: usize,
    pub(crate) key: Key,
    pub(crate) message: Message,
    pub(crate) limit: Option<u32>,
    pub(crate) detached: bool,
}

/// A command to queue.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) undo: Option<usize>,
    pub(crate) message: Message,
}

/// An event for its consumers. The value is kept, because each consumer may read another key from it.
pub(crate) struct Published {
    pub(crate) message: Message,
    pub(crate) event: Box<dyn AnyEvent>,
}

/// A correlated event with a type that is known only at run time.
pub(crate) trait AnyEvent: Send + Sync {
    /// The key for a saga. `Err` if the key is invalid, or if the event panics.
    fn correlation(&self, saga: &str) -> Result<InstanceName, String>;
}

impl<E: Correlated> AnyEvent for E {
    fn correlation(&self, saga: &str) -> Result<InstanceName, String> {
        guarded(|| Ok(Correlated::correlation(self, saga)?))
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl Outbox {
    /// Queues `command`, together with the obligation of
    /// [`Definition::undos`](crate::definition::Definition::undos)`[undo]`.
    pub fn send<C: Command>(&mut self, undo: Option<usize>, command: &C) -> ActionResult<()> {
        let message = encode_command(command).map_err(|error| format!("command `{}` {error}", C::NAME))?;
        self.sent.push(Sent { undo, message });
        Ok(())
    }

    /// Announces any number of `start` calls for this child, including zero.
    pub fn starts(&mut self, child: usize) {
        self.starting.push(child);
    }

    /// Starts a child with `event`.
    pub fn start<S: Child>(
        &mut self,
        child: usize,
        limit: Option<u32>,
        detached: bool,
        event: &S::Start,
    ) -> ActionResult<()> {
        let name = <S::Start as Event>::NAME;
        let key = Correlated::correlation(event, S::NAME)
            .map_err(|error| format!("the event `{name}` cannot start a child: {error}"))?;
        // The derive refuses such a table, but `correlation` can be written by hand.
        let key =
            key.as_key().ok_or_else(|| format!("the event `{name}` cannot start a child by an alias"))?;
        let message = Message::of_event(event).map_err(|error| format!("event `{name}` {error}"))?;
        self.started.push(Started { child, key, message, limit, detached });
        Ok(())
    }

    /// Claims the alias `alias` for this instance.
    pub fn claim(&mut self, alias: &str) -> ActionResult<()> {
        self.aliases.push(AliasChange::Claim(alias_of("claim", alias)?));
        Ok(())
    }

    /// Releases the alias `alias`, if this instance holds it.
    pub fn release(&mut self, alias: &str) -> ActionResult<()> {
        self.aliases.push(AliasChange::Release(alias_of("release", alias)?));
        Ok(())
    }

    /// Publishes `event` to its consumers.
    pub fn publish<E: Correlated>(&mut self, event: E) -> ActionResult<()> {
        let message = Message::of_event(&event).map_err(|error| format!("event `{}` {error}", E::NAME))?;
        self.published.push(Published { message, event: Box::new(event) });
        Ok(())
    }
}

fn alias_of(what: &str, alias: &str) -> ActionResult<Alias> {
    Ok(Alias::new(alias).map_err(|error| format!("cannot {what} the alias `{alias}`: {error}"))?)
}

/// Encodes a command into its stored form.
#[doc(hidden)]
pub fn encode_command<C: Command>(command: &C) -> Result<Message, PayloadError> {
    Message::of_command(command)
}
