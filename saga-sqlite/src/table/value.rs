//! Helpers for reading single values from columns.

use std::borrow::Cow;

use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{Error, Result, Row};
use saga_core::message::{InstanceName, Key, Message, MessageId, Name, Payload, Timestamp, TraceContext};
use saga_core::store::{Address, TaskId};

/// Returns text borrowed from the row.
pub(crate) fn text<'r>(row: &'r Row<'_>, at: usize) -> Result<&'r str> {
    row.get_ref(at)?.as_str().map_err(|error| bad(at, error))
}

pub(crate) fn maybe_text<'r>(row: &'r Row<'_>, at: usize) -> Result<Option<&'r str>> {
    row.get_ref(at)?.as_str_or_null().map_err(|error| bad(at, error))
}

pub(crate) fn name(row: &Row<'_>, at: usize) -> Result<Name> {
    text(row, at).map(|text| Cow::Owned(text.to_owned()))
}

pub(crate) fn maybe_name(row: &Row<'_>, at: usize) -> Result<Option<Name>> {
    Ok(maybe_text(row, at)?.map(|text| Cow::Owned(text.to_owned())))
}

pub(crate) fn payload(row: &Row<'_>, at: usize) -> Result<Payload> {
    text(row, at).map(Payload::from)
}

pub(crate) fn maybe_payload(row: &Row<'_>, at: usize) -> Result<Option<Payload>> {
    Ok(maybe_text(row, at)?.map(Payload::from))
}

/// Reads a text for people. Invalid UTF-8 is replaced. The row therefore stays visible.
pub(crate) fn lossy<'r>(row: &'r Row<'_>, at: usize) -> Result<Cow<'r, str>> {
    row.get_ref(at)?.as_bytes().map(String::from_utf8_lossy).map_err(|error| bad(at, error))
}

pub(crate) fn time(row: &Row<'_>, at: usize) -> Result<Timestamp> {
    row.get(at).map(Timestamp::from_millis)
}

/// Reads name, version and payload, in this order.
pub(crate) fn message(row: &Row<'_>, at: usize) -> Result<Message> {
    Ok(Message { name: name(row, at)?, version: row.get(at + 1)?, payload: payload(row, at + 2)? })
}

pub(crate) fn message_id(row: &Row<'_>, at: usize) -> Result<Option<MessageId>> {
    maybe_text(row, at)?.map(MessageId::new).transpose().map_err(|error| bad(at, error))
}

/// Reads saga or subscriber, then key.
pub(crate) fn address(row: &Row<'_>, at: usize) -> Result<Address> {
    Ok(Address { saga: name(row, at)?, key: key(row, at + 1)? })
}

/// Reads the name of an instance: a key or an alias.
pub(crate) fn key(row: &Row<'_>, at: usize) -> Result<InstanceName> {
    InstanceName::from_stored(text(row, at)?).map_err(|error| bad(at, error))
}

/// Reads the key of an instance. An alias there is damage.
pub(crate) fn key_only(row: &Row<'_>, at: usize) -> Result<Key> {
    key(row, at)?.as_key().ok_or_else(|| bad(at, StoredUnderAlias))
}

pub(crate) fn maybe_task(row: &Row<'_>, at: usize) -> Result<Option<TaskId>> {
    match (row.get(at)?, row.get(at + 1)?) {
        (Some(seq), Some(ord)) => Ok(Some(TaskId { seq, ord })),
        _ => Ok(None),
    }
}

/// Reads a word with the function `parse`. An unknown word is an error.
pub(crate) fn word<T>(row: &Row<'_>, at: usize, parse: fn(&str) -> Option<T>) -> Result<T> {
    let text = text(row, at)?;
    parse(text).ok_or_else(|| bad(at, Unknown(text.to_owned())))
}

/// Reads sixteen bytes as a number.
pub(crate) fn bits(row: &Row<'_>, at: usize) -> Result<u128> {
    match row.get_ref(at)? {
        ValueRef::Blob(bytes) => match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => Ok(u128::from_be_bytes(bytes)),
            Err(error) => Err(bad(at, error)),
        },
        _ => Err(bad(at, FromSqlError::InvalidType)),
    }
}

pub(crate) fn bad(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(at, Type::Text, Box::new(error))
}

#[derive(Debug, thiserror::Error)]
#[error("the instance is stored under an alias")]
struct StoredUnderAlias;

#[derive(Debug, thiserror::Error)]
#[error("this version does not know the stored word `{0}`")]
struct Unknown(String);

/// Reads a trace context. A damaged one is as none: it decides nothing.
pub(crate) fn trace(row: &Row<'_>, at: usize) -> Result<Option<TraceContext>> {
    Ok(maybe_text(row, at)?.and_then(|text| text.parse().ok()))
}
