//! The trait of a derived state enum. Users call only `definition`.

use std::any::Any;
use std::time::Duration;

use super::context::Context;
use super::outbox::Outbox;
use crate::definition::Definition;
use crate::message::{ActionResult, Event, Message, Payload, PayloadError, Timestamp};
use crate::step::Labels;

/// A process definition. `#[derive(Saga)]` implements it on the enum of the states. It is never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a saga",
    label = "not a saga",
    note = "a saga is the enum of its states: `#[derive(Saga)] #[saga(name = \"..\", version = 1, data(..), actions(..))]`"
)]
pub trait Saga: Send + Sync + Sized + 'static {
    /// The data of an instance, as named in `data(..)` of the table. It lives as long as the instance.
    type Data: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static;
    /// The stored name of the saga.
    const NAME: &'static str;
    /// Earlier stored names of the saga. The start of a dispatcher renames data under these names (rule
    /// [R34](crate::rules#r34)).
    const WAS: &'static [&'static str] = &[];
    /// The version of the definition, of the shape of the data, and of the payloads of the states.
    const VERSION: u32;

    /// The whole table as data. It can be printed as Mermaid and as DOT.
    fn definition() -> &'static Definition;

    /// The index of the state in [`Definition::states`].
    #[doc(hidden)]
    fn __index(&self) -> usize;
    /// The payload of the variant as JSON. `None` for a variant without payload.
    #[doc(hidden)]
    fn __encode(&self) -> Result<Option<Payload>, PayloadError>;
    /// Decodes the state `index` with a payload of version `version`.
    #[doc(hidden)]
    fn __decode(index: usize, payload: Option<&Payload>, version: u32) -> Result<Self, PayloadError>;
    /// Decodes the data of version `version`.
    #[doc(hidden)]
    fn __decode_data(data: &Payload, version: u32) -> Result<Self::Data, PayloadError> {
        let _ = version;
        data.decode()
    }
    /// Adds the labels of the data, in the order of the table.
    #[doc(hidden)]
    fn __labels(data: &Self::Data, labels: &mut Labels) {
        let _ = (data, labels);
    }
    /// Evaluates the guard of row `row`. Rows of `initially` have neither data nor state.
    #[doc(hidden)]
    fn __guard(row: usize, on: Option<(&Self::Data, &Self)>, cause: Cause<'_>, cx: &Context) -> bool;
    /// Runs `run` of a row of `initially`. Returns the data and the first state.
    #[doc(hidden)]
    fn __begin(row: usize, cause: Cause<'_>, cx: &mut Context) -> ActionResult<(Self::Data, Self)>;
    /// Runs `run` of another row. `Some` is the state to enter, and `None` keeps the state. `transition_to` returns a
    /// state even without `run`. `reenter` returns a state only with `run`.
    #[doc(hidden)]
    fn __run(
        row: usize,
        data: &mut Self::Data,
        state: &mut Self,
        cause: Cause<'_>,
        cx: &mut Context,
    ) -> ActionResult<Option<Self>>;
    /// Builds the `send` and `publish` clauses of a row, in order. `from` is `None` in `initially`. `to` is the state
    /// to enter, or `None` if the row keeps its state.
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
    /// Performs the `on_enter` clauses of the state `state`.
    #[doc(hidden)]
    fn __enter(
        data: &mut Self::Data,
        state: &mut Self,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()>;
    /// Performs the `on_leave` clauses of the state `state`.
    #[doc(hidden)]
    fn __leave(
        data: &mut Self::Data,
        state: &mut Self,
        cx: &mut Context,
        out: &mut Outbox,
    ) -> ActionResult<()>;
    /// The wait of the timer `timer`, if the table names a method for the timer.
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

/// An event in the table of the saga `S`. `#[derive(Saga)]` implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event of the saga `{S}`",
    label = "the table of `{S}` does not contain this event",
    note = "add `when({Self}, ..)` to a `#[during(..)]` of `{S}`"
)]
pub trait EventOf<S: Saga>: Event {
    /// The index of the event in [`Definition::events`].
    #[doc(hidden)]
    const INDEX: usize;
}

/// The result of a timer's method.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    For(Duration),
    Until(Timestamp),
}

/// The source of an undo.
#[doc(hidden)]
#[derive(Debug)]
pub enum Undone<'a, S> {
    /// The state as the instance left it, or the present state.
    State(&'a S),
    /// The command as it was sent.
    Command(&'a Message),
}

/// The trigger of a row, as a typed value.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Cause<'a>(pub(crate) Option<&'a (dyn Any + Send + Sync)>);

impl<'a> Cause<'a> {
    /// The event, `Failed<C>` or `Unknown<C>` of the row.
    ///
    /// # Panics
    /// The trigger of the row is not a `T`. The derive asks only for the type that its row names.
    pub fn get<T: 'static>(self) -> &'a T {
        self.0.and_then(|value| value.downcast_ref()).unwrap_or_else(|| {
            panic!("a row was triggered by another type than `{}`", std::any::type_name::<T>())
        })
    }
}

impl std::fmt::Debug for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Cause(..)" } else { "Cause(none)" })
    }
}
