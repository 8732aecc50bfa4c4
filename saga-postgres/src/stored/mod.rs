//! The JSON of rows that belong to no instance: inbox rows, deliveries, dead letters, pauses and the audit.
//!
//! A text of PostgreSQL cannot hold the character U+0000, and JSON writes it as an escape. Texts of people are therefore in
//! the JSON, and columns hold only what an index needs.

mod audit;
mod delivery;
mod letter;
mod mail;
mod pause;

pub(crate) use audit::{read_audit, write_audit};
pub(crate) use delivery::{read_delivery, write_delivery};
pub(crate) use letter::{Columns as LetterColumns, read_letter, write_letter};
pub(crate) use mail::{read_mail, write_mail};
pub(crate) use pause::{read_pause, write_pause};

use saga_core::message::{Message, Payload};
use saga_stored::json;

/// Begins an object with a message: its name, version and payload.
fn begin(message: &Message) -> String {
    let mut out = String::with_capacity(message.payload.len() + message.name.len() + 96);
    out.push_str("{\"name\":");
    json::string(&mut out, &message.name);
    json::number(&mut out, "version", message.version);
    json::payload(&mut out, "payload", &message.payload);
    out
}

/// Returns the message of the fields that `begin` has written.
fn message(name: String, version: u32, payload: Payload) -> Message {
    Message { name: name.into(), version, payload }
}
