//! Small functions that keep generated code short. Only generated code calls them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

pub use crate::message::name_in;
use crate::message::{ActionError, Command, Message, Payload, PayloadError};

/// Decodes the payload of a state that carries one.
///
/// # Errors
/// The payload is missing or cannot be decoded.
pub fn payload<T: DeserializeOwned>(payload: Option<&Payload>) -> Result<T, PayloadError> {
    payload.ok_or_else(|| PayloadError::Decode("the state's payload is missing".to_owned()))?.decode()
}

/// Decodes a payload of an earlier version and converts it to the present shape. A missing payload is decoded as `()`.
///
/// # Errors
/// The payload cannot be decoded, or `upcast` panics.
pub fn upcast<Old: DeserializeOwned, New>(
    payload: Option<&Payload>,
    upcast: impl FnOnce(Old) -> New,
) -> Result<New, PayloadError> {
    let old = payload.map_or_else(|| Payload::from("null").decode(), Payload::decode)?;
    catch_unwind(AssertUnwindSafe(|| upcast(old))).map_err(|panic| {
        PayloadError::Decode(format!("the upcast panicked: {}", crate::message::panic_text(&*panic)))
    })
}

/// Decodes a command in its present shape.
///
/// # Errors
/// The command cannot be decoded.
pub fn command<C: Command>(message: &Message) -> Result<C, PayloadError> {
    message.command()
}

/// The error for an index that the definition does not have.
///
/// # Errors
/// Always.
pub fn no_such_state<T>(index: usize) -> Result<T, PayloadError> {
    Err(PayloadError::Decode(format!("there is no state number {index}")))
}

/// The error for a row that the definition does not have.
///
/// # Errors
/// Always.
pub fn no_such_row<T>(row: usize) -> Result<T, ActionError> {
    Err(format!("the table has no row number {row} for this action").into())
}

/// Panics, because a row was applied in a state that does not have the row.
///
/// # Panics
/// Always. The machine finds rows by state, so the call is a bug in the machine.
pub fn wrong_state() -> ! {
    panic!("a row was applied in a state without this row")
}

/// Returns the data and the state, which every row except a starting row has.
///
/// # Panics
/// The value is missing, which is a bug in the machine.
pub fn expect_on<'a, D, S>(on: Option<(&'a D, &'a S)>) -> (&'a D, &'a S) {
    expect_present(on)
}

/// Returns a value that the kind of row guarantees.
///
/// # Panics
/// The value is missing, which is a bug in the machine.
pub fn expect_present<T>(value: Option<T>) -> T {
    value.unwrap_or_else(|| panic!("a row was applied without its data and state"))
}

/// Returns whether every name is in the list.
pub const fn all_names_in(names: &[&str], list: &[&str]) -> bool {
    let mut name = 0;
    while name < names.len() {
        if !name_in(names[name], &[list]) {
            return false;
        }
        name += 1;
    }
    true
}
