//! The typed state and data of an instance as a trait object, so that the machine is compiled once for all sagas.

#[cfg(any(test, feature = "testing"))]
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use super::context::Context;
use super::outbox::Outbox;
use super::saga::{Cause, Saga, Undone, Wait};
use crate::definition::Definition;
use crate::message::{ActionResult, Message, Payload, PayloadError, PayloadLimits, not_newer};
use crate::step::{InstanceChange, Labels};

/// A saga with a type that is known only at run time.
pub(crate) trait Program: Send + Sync {
    fn definition(&self) -> &'static Definition;
    fn decode(
        &self,
        state: usize,
        payload: Option<&Payload>,
        data: &Payload,
        version: u32,
    ) -> Result<Box<dyn Live>, PayloadError>;
    /// Builds an undo from the data alone, for an instance with an unreadable state.
    fn undo_unread(
        &self,
        data: (&Payload, u32),
        undo: usize,
        of: UndoFrom<'_>,
        cx: &mut Context,
    ) -> ActionResult<Message>;
    fn guard_start(&self, row: usize, cause: Cause<'_>, cx: &Context) -> bool;
    fn begin(
        &self,
        row: usize,
        cause: Cause<'_>,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<Box<dyn Live>>;
}

/// The source of an undo, besides the data.
#[derive(Clone, Copy)]
pub(crate) enum UndoFrom<'a> {
    /// The state that a visit left: its index, its payload and the version that wrote the payload.
    State(usize, Option<&'a Payload>, u32),
    Command(&'a Message),
}

/// The typed state and data of an instance.
pub(crate) trait Live: Send + Sync {
    /// The index of the present state.
    fn state(&self) -> usize;
    /// Returns the stored form of the state. From here on the state is the value read from that form, as after a
    /// restart.
    ///
    /// # Errors
    /// The state would not be read back as it was written. The error names the field.
    fn keep_state(&mut self) -> ActionResult<Option<Payload>>;
    /// Does the same for the data.
    fn keep_data(&mut self) -> ActionResult<Kept>;
    /// Returns the labels of the data.
    fn labels(&self) -> Labels;
    fn guard(&self, row: usize, cause: Cause<'_>, cx: &Context) -> bool;
    /// Runs `run` of the row and remembers the state that it returned.
    fn run(&mut self, row: usize, cause: Cause<'_>, cx: &mut Context) -> ActionResult<()>;
    fn build(&self, row: usize, cause: Cause<'_>, cx: &mut Context, out: &mut Outbox) -> ActionResult<()>;
    /// Moves to the state that `run` returned, if there is one.
    fn advance(&mut self);
    /// Moves to a state without payload.
    fn go(&mut self, state: usize) -> Result<(), PayloadError>;
    fn enter(&mut self, cx: &mut Context, out: &mut Outbox) -> ActionResult<()>;
    fn leave(&mut self, cx: &mut Context, out: &mut Outbox) -> ActionResult<()>;
    /// The wait of a timer of the present state, if the table names a method for the timer.
    fn due(&self, timer: usize, cx: &mut Context) -> ActionResult<Wait>;
    fn undo(&self, undo: usize, of: UndoFrom<'_>, cx: &mut Context) -> ActionResult<Message>;
    /// For tests that know the type.
    #[cfg(any(test, feature = "testing"))]
    fn as_any(&self) -> &dyn Any;
}

/// The stored form of the data.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) data: Payload,
    pub(crate) labels: Labels,
}

impl Kept {
    /// Returns the data of a record, unchanged.
    pub(super) fn of(record: &InstanceChange) -> Self {
        Self { data: record.data.clone(), labels: record.labels.clone() }
    }
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
        let data = decode_data::<S>(data, version)?;
        Ok(Box::new(TypedLive { data, state: decode_state::<S>(state, payload, version)?, next: None }))
    }

    fn undo_unread(
        &self,
        (data, version): (&Payload, u32),
        undo: usize,
        of: UndoFrom<'_>,
        cx: &mut Context,
    ) -> ActionResult<Message> {
        not_newer(version, S::VERSION)?;
        let data = decode_data::<S>(data, version).map_err(|error| format!("the data {error}"))?;
        build_undo::<S>(&data, undo, of, cx)
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
    ) -> ActionResult<Box<dyn Live>> {
        let (data, state) = S::__begin(row, cause, cx)?;
        S::__build(row, &data, None, Some(&state), cause, cx, out)?;
        Ok(Box::new(TypedLive::<S> { data, state, next: None }))
    }
}

impl<S: Saga> Live for TypedLive<S> {
    fn state(&self) -> usize {
        self.state.__index()
    }

    fn keep_state(&mut self) -> ActionResult<Option<Payload>> {
        match kept_state(&self.state) {
            Ok(None) => Ok(None),
            Ok(Some((written, read))) => {
                self.state = read;
                Ok(Some(written))
            }
            Err(error) => Err(format!("the state's payload {error}").into()),
        }
    }

    fn keep_data(&mut self) -> ActionResult<Kept> {
        let limit = PayloadLimits::CEILING.bytes;
        let of = S::definition().data.redacting_places();
        let (written, read) =
            Payload::read_back(&self.data, limit, of, |json| decode_data::<S>(json, S::VERSION))
                .map_err(|error| format!("the data {error}"))?;
        self.data = read;
        Ok(Kept { data: written, labels: self.labels() })
    }

    fn labels(&self) -> Labels {
        let mut labels = Labels::new();
        S::__labels(&self.data, &mut labels);
        labels
    }

    fn guard(&self, row: usize, cause: Cause<'_>, cx: &Context) -> bool {
        S::__guard(row, Some((&self.data, &self.state)), cause, cx)
    }

    fn run(&mut self, row: usize, cause: Cause<'_>, cx: &mut Context) -> ActionResult<()> {
        self.next = S::__run(row, &mut self.data, &mut self.state, cause, cx)?;
        Ok(())
    }

    fn build(&self, row: usize, cause: Cause<'_>, cx: &mut Context, out: &mut Outbox) -> ActionResult<()> {
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

    fn enter(&mut self, cx: &mut Context, out: &mut Outbox) -> ActionResult<()> {
        S::__enter(&mut self.data, &mut self.state, cx, out)
    }

    fn leave(&mut self, cx: &mut Context, out: &mut Outbox) -> ActionResult<()> {
        S::__leave(&mut self.data, &mut self.state, cx, out)
    }

    fn due(&self, timer: usize, cx: &mut Context) -> ActionResult<Wait> {
        S::__due(timer, &self.data, &self.state, cx)
    }

    fn undo(&self, undo: usize, of: UndoFrom<'_>, cx: &mut Context) -> ActionResult<Message> {
        build_undo::<S>(&self.data, undo, of, cx)
    }

    #[cfg(any(test, feature = "testing"))]
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn build_undo<S: Saga>(
    data: &S::Data,
    undo: usize,
    of: UndoFrom<'_>,
    cx: &mut Context,
) -> ActionResult<Message> {
    match of {
        UndoFrom::Command(command) => S::__undo(undo, data, Undone::Command(command), cx),
        UndoFrom::State(state, payload, version) => {
            not_newer(version, S::VERSION)?;
            let state = decode_state::<S>(state, payload, version)?;
            S::__undo(undo, data, Undone::State(&state), cx)
        }
    }
}

/// Decodes the data. An error of redacted data quotes no value.
pub(crate) fn decode_data<S: Saga>(data: &Payload, version: u32) -> Result<S::Data, PayloadError> {
    S::__decode_data(data, version).map_err(|error| error.without_values(S::definition().data.redact))
}

/// Decodes a state. An error of a redacted payload quotes no value.
pub(crate) fn decode_state<S: Saga>(
    state: usize,
    payload: Option<&Payload>,
    version: u32,
) -> Result<S, PayloadError> {
    S::__decode(state, payload, version).map_err(|error| {
        let of = S::definition().states.get(state).and_then(|state| state.payload);
        error.without_values(of.map_or(&[], |payload| payload.redact))
    })
}

/// The stored form of a state, and the state that is read from this form.
fn kept_state<S: Saga>(state: &S) -> Result<Option<(Payload, S)>, PayloadError> {
    let of = S::definition().states.get(state.__index()).and_then(|state| state.payload);
    let written = match of {
        Some(of) => Payload::hiding(of.redacting_places(), || state.__encode())?,
        None => state.__encode()?,
    };
    let Some(written) = written else { return Ok(None) };
    let read = decode_state::<S>(state.__index(), Some(&written), S::VERSION)
        .map_err(PayloadError::not_read_back)?;
    written.same_as(read.__encode()?.as_ref())?;
    Ok(Some((written, read)))
}

impl<S> fmt::Debug for Typed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed")
    }
}
