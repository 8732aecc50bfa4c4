//! One instance's typed state and data behind an object, so that the machine is compiled once for all sagas.

#[cfg(any(test, feature = "testing"))]
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use super::context::Context;
use super::outbox::Outbox;
use super::saga::{Cause, Saga, Undone, Wait};
use crate::definition::Definition;
use crate::message::{Message, Payload, PayloadError, Result, not_newer};

/// A saga whose type is known at run time only.
pub(crate) trait Program: Send + Sync {
    fn definition(&self) -> &'static Definition;
    fn decode(
        &self,
        state: usize,
        payload: Option<&Payload>,
        data: &Payload,
        version: u32,
    ) -> Result<Box<dyn Live>, PayloadError>;
    fn guard_start(&self, row: usize, cause: Cause<'_>, cx: &Context) -> bool;
    fn begin(
        &self,
        row: usize,
        cause: Cause<'_>,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> Result<Box<dyn Live>>;
}

/// The typed part of an instance.
pub(crate) trait Live: Send + Sync {
    /// The state it is in, as an index.
    fn state(&self) -> usize;
    fn encode_state(&self) -> Result<Option<Payload>, PayloadError>;
    fn encode_data(&self) -> Result<Payload, PayloadError>;
    fn guard(&self, row: usize, cause: Cause<'_>, cx: &Context) -> bool;
    /// Runs the row's `run` and remembers the state it made.
    fn run(&mut self, row: usize, cause: Cause<'_>, cx: &mut Context) -> Result<()>;
    fn build(&self, row: usize, cause: Cause<'_>, cx: &mut Context, out: &mut Outbox) -> Result<()>;
    /// Moves to the state that `run` made, if it made one.
    fn advance(&mut self);
    /// Moves to a state without payload.
    fn go(&mut self, state: usize) -> Result<(), PayloadError>;
    fn enter(&mut self, cx: &mut Context, out: &mut Outbox) -> Result<()>;
    fn leave(&mut self, cx: &mut Context, out: &mut Outbox) -> Result<()>;
    /// When a timer of the present state is due whose table names a method.
    fn due(&self, timer: usize, cx: &mut Context) -> Result<Wait>;
    /// Builds the undo of a visit that left the state `state` with this payload, which version `version` wrote.
    fn undo_state(
        &self,
        undo: usize,
        state: usize,
        payload: Option<&Payload>,
        version: u32,
        cx: &mut Context,
    ) -> Result<Message>;
    fn undo_command(&self, undo: usize, command: &Message, cx: &mut Context) -> Result<Message>;
    /// For tests, which know its type.
    #[cfg(any(test, feature = "testing"))]
    fn as_any(&self) -> &dyn Any;
}

/// The program of the saga `S`.
pub(crate) struct Typed<S>(PhantomData<fn() -> S>);

impl<S: Saga> Typed<S> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// State and data of an instance of `S`.
pub(crate) struct TypedLive<S: Saga> {
    pub(crate) data: S::Data,
    pub(crate) state: S,
    next: Option<S>,
}

impl<S: Saga> Program for Typed<S> {
    fn definition(&self) -> &'static Definition {
        S::definition()
    }

    fn decode(
        &self,
        state: usize,
        payload: Option<&Payload>,
        data: &Payload,
        version: u32,
    ) -> Result<Box<dyn Live>, PayloadError> {
        let data = S::__decode_data(data, version)?;
        Ok(Box::new(TypedLive { data, state: S::__decode(state, payload, version)?, next: None }))
    }

    fn guard_start(&self, row: usize, cause: Cause<'_>, cx: &Context) -> bool {
        S::__guard(row, None, cause, cx)
    }

    fn begin(
        &self,
        row: usize,
        cause: Cause<'_>,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> Result<Box<dyn Live>> {
        let (data, state) = S::__begin(row, cause, cx)?;
        S::__build(row, &data, None, Some(&state), cause, cx, out)?;
        Ok(Box::new(TypedLive::<S> { data, state, next: None }))
    }
}

impl<S: Saga> Live for TypedLive<S> {
    fn state(&self) -> usize {
        self.state.__index()
    }

    fn encode_state(&self) -> Result<Option<Payload>, PayloadError> {
        self.state.__encode()
    }

    fn encode_data(&self) -> Result<Payload, PayloadError> {
        Payload::encode(&self.data)
    }

    fn guard(&self, row: usize, cause: Cause<'_>, cx: &Context) -> bool {
        S::__guard(row, Some((&self.data, &self.state)), cause, cx)
    }

    fn run(&mut self, row: usize, cause: Cause<'_>, cx: &mut Context) -> Result<()> {
        self.next = S::__run(row, &mut self.data, &mut self.state, cause, cx)?;
        Ok(())
    }

    fn build(&self, row: usize, cause: Cause<'_>, cx: &mut Context, out: &mut Outbox) -> Result<()> {
        S::__build(row, &self.data, Some(&self.state), self.next.as_ref(), cause, cx, out)
    }

    fn advance(&mut self) {
        if let Some(next) = self.next.take() {
            self.state = next;
        }
    }

    fn go(&mut self, state: usize) -> Result<(), PayloadError> {
        self.next = None;
        self.state = S::__decode(state, None, S::VERSION)?;
        Ok(())
    }

    fn enter(&mut self, cx: &mut Context, out: &mut Outbox) -> Result<()> {
        S::__enter(&mut self.data, &mut self.state, cx, out)
    }

    fn leave(&mut self, cx: &mut Context, out: &mut Outbox) -> Result<()> {
        S::__leave(&mut self.data, &mut self.state, cx, out)
    }

    fn due(&self, timer: usize, cx: &mut Context) -> Result<Wait> {
        S::__due(timer, &self.data, &self.state, cx)
    }

    fn undo_state(
        &self,
        undo: usize,
        state: usize,
        payload: Option<&Payload>,
        version: u32,
        cx: &mut Context,
    ) -> Result<Message> {
        not_newer(version, S::VERSION)?;
        let state = S::__decode(state, payload, version)?;
        S::__undo(undo, &self.data, Undone::State(&state), cx)
    }

    fn undo_command(&self, undo: usize, command: &Message, cx: &mut Context) -> Result<Message> {
        S::__undo(undo, &self.data, Undone::Command(command), cx)
    }

    #[cfg(any(test, feature = "testing"))]
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<S> fmt::Debug for Typed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed")
    }
}
