//! Small functions that generated code calls, so that it stays short. Nobody else does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

pub use crate::message::among;
use crate::message::{ActionError, Command, Message, Payload, PayloadError};

/// Decodes the payload of a state that carries one.
///
/// # Errors
/// When there is none, or it is not one.
pub fn payload<T: DeserializeOwned>(payload: Option<&Payload>) -> Result<T, PayloadError> {
    payload.ok_or_else(|| PayloadError::Decode("the state's payload is missing".to_owned()))?.decode()
}

/// Reads what an earlier version wrote, and makes the present shape of it. A payload that was not there is `()`.
///
/// # Errors
/// When it cannot be read, or `upcast` panics.
pub fn upcast<Old: DeserializeOwned, New>(
    payload: Option<&Payload>,
    upcast: impl FnOnce(Old) -> New,
) -> Result<New, PayloadError> {
    let old = payload.map_or_else(|| Payload::from("null").decode(), Payload::decode)?;
    catch_unwind(AssertUnwindSafe(|| upcast(old))).map_err(|panic| {
        PayloadError::Decode(format!("its upcast panicked: {}", crate::message::panic_text(&*panic)))
    })
}

/// A command in its present shape.
///
/// # Errors
/// When it cannot be read.
pub fn command<C: Command>(message: &Message) -> Result<C, PayloadError> {
    message.command()
}

/// The answer to an index that the definition does not have.
///
/// # Errors
/// Always.
pub fn no_such_state<T>(index: usize) -> Result<T, PayloadError> {
    Err(PayloadError::Decode(format!("there is no state number {index}")))
}

/// The answer to a row that the definition does not have.
///
/// # Errors
/// Always.
pub fn no_such_row<T>(row: usize) -> Result<T, ActionError> {
    Err(format!("there is no row number {row} for this").into())
}

/// A row was applied in a state it does not stand for.
///
/// # Panics
/// Always: the machine finds rows by state, so this is a mistake in it.
pub fn wrong_state() -> ! {
    panic!("a row was applied in a state it does not stand for")
}

/// What every row but a starting one has.
///
/// # Panics
/// When it is missing, which is a mistake in the machine.
pub fn there<'a, D, S>(on: Option<(&'a D, &'a S)>) -> (&'a D, &'a S) {
    some(on)
}

/// What the kind of row guarantees to be there.
///
/// # Panics
/// When it is missing, which is a mistake in the machine.
pub fn some<T>(value: Option<T>) -> T {
    value.unwrap_or_else(|| panic!("a row was applied without the state it needs"))
}

/// Whether every name is in the list.
pub const fn all_among(names: &[&str], list: &[&str]) -> bool {
    let mut name = 0;
    while name < names.len() {
        if !among(names[name], &[list]) {
            return false;
        }
        name += 1;
    }
    true
}
