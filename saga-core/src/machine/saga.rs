//! The trait a derived state enum implements. Users call nothing here but `definition`.

use std::any::Any;
use std::time::Duration;

use super::context::Context;
use super::outbox::Outbox;
use crate::definition::Definition;
use crate::message::{ActionResult, Event, Message, Payload, PayloadError, Timestamp};

/// A process definition. Implemented by `#[derive(Saga)]` on the enum of the process's states, never by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a saga",
    label = "not a saga",
    note = "a saga is the enum of its states: `#[derive(Saga)] #[saga(name = \"..\", version = 1, data(..), actions(..))]`"
)]
pub trait Saga: Send + Sync + Sized + 'static {
    /// The struct that lives as long as the instance; `data(..)` of the table.
    type Data: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static;
    /// The stored name.
    const NAME: &'static str;
    /// Names under which it was stored before; what is stored under one is renamed at the start of a dispatcher (rule R34).
    const WAS: &'static [&'static str] = &[];
    /// The version of the definition, and of the shape of its data and of what its states carry.
    const VERSION: u32;

    /// The whole table as data; it prints itself as Mermaid and DOT.
    fn definition() -> &'static Definition;

    /// The state as index into [`Definition::states`].
    #[doc(hidden)]
    fn __index(&self) -> usize;
    /// The variant's payload as JSON; `None` for variants without one.
    #[doc(hidden)]
    fn __encode(&self) -> Result<Option<Payload>, PayloadError>;
    /// The state `index` with this payload, which version `version` wrote.
    #[doc(hidden)]
    fn __decode(index: usize, payload: Option<&Payload>, version: u32) -> Result<Self, PayloadError>;
    /// The data, which version `version` wrote.
    #[doc(hidden)]
    fn __decode_data(data: &Payload, version: u32) -> Result<Self::Data, PayloadError> {
        let _ = version;
        data.decode()
    }
    /// The guard of row `row`; rows of `initially` have neither data nor state.
    #[doc(hidden)]
    fn __guard(row: usize, on: Option<(&Self::Data, &Self)>, cause: Cause<'_>, cx: &Context) -> bool;
    /// `run` of a row of `initially`: the data and the first state.
    #[doc(hidden)]
    fn __begin(row: usize, cause: Cause<'_>, cx: &mut Context) -> ActionResult<(Self::Data, Self)>;
    /// `run` of another row. `Some` is the state to enter (for `transition_to`, also without a `run`; for `reenter`
    /// only with one), `None` keeps the state.
    #[doc(hidden)]
    fn __run(
        row: usize,
        data: &mut Self::Data,
        state: &mut Self,
        cause: Cause<'_>,
        cx: &mut Context,
    ) -> ActionResult<Option<Self>>;
    /// The `send` and `publish` clauses of a row, in order. `from` is `None` in `initially`; `to` is the state about
    /// to be entered, `None` when the row keeps its state.
    #[doc(hidden)]
    fn __build(
        row: usize,
        data: &Self::Data,
        from: Option<&Self>,
        to: Option<&Self>,
        cause: Cause<'_>,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()>;
    /// The `on_enter` clauses of the state `state` is in.
    #[doc(hidden)]
    fn __enter(
        data: &mut Self::Data,
        state: &mut Self,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()>;
    /// The `on_leave` clauses of the state `state` is in.
    #[doc(hidden)]
    fn __leave(
        data: &mut Self::Data,
        state: &mut Self,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()>;
    /// When the timer `timer` is due, for those whose table names a method.
    #[doc(hidden)]
    fn __due(timer: usize, data: &Self::Data, state: &Self, cx: &mut Context) -> ActionResult<Wait>;
    /// Builds the undo command of [`Definition::undos`]`[undo]`.
    #[doc(hidden)]
    fn __undo(
        undo: usize,
        data: &Self::Data,
        of: Undone<'_, Self>,
        cx: &mut Context,
    ) -> ActionResult<Message>;
}

/// `E` is in the table of the saga `S`; written by `#[derive(Saga)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event of the saga `{S}`",
    label = "the table of `{S}` does not mention it",
    note = "add `when({Self}, ..)` to a `#[during(..)]` of `{S}`"
)]
pub trait EventOf<S: Saga>: Event {
    /// Its index in [`Definition::events`].
    #[doc(hidden)]
    const INDEX: usize;
}

/// What a timer's method returned.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    For(Duration),
    Until(Timestamp),
}

/// What an undo is built from.
#[doc(hidden)]
#[derive(Debug)]
pub enum Undone<'a, S> {
    /// The state as it was left, or as it is now.
    State(&'a S),
    /// The command as it was sent.
    Command(&'a Message),
}

/// What a row was triggered by, as a typed value.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Cause<'a>(pub(crate) Option<&'a (dyn Any + Send + Sync)>);

impl<'a> Cause<'a> {
    /// The event, `Failed<C>` or `Unknown<C>` of the row.
    ///
    /// # Panics
    /// When the row was not triggered by a `T`: the derive asks only for the type its row names.
    pub fn get<T: 'static>(self) -> &'a T {
        self.0.and_then(|value| value.downcast_ref()).unwrap_or_else(|| {
            panic!("a row was triggered by something else than `{}`", std::any::type_name::<T>())
        })
    }
}

impl std::fmt::Debug for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Cause(..)" } else { "Cause(none)" })
    }
}
