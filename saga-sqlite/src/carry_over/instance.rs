//! `saga_instance` of schema 4.

use rusqlite::{Result, Row};
use saga_core::message::{Id, Incarnation};
use saga_core::store::{InstanceChange, Labels, Status};

use super::checksum::Checksum;
use crate::table::value::{address, bits, maybe_payload, name, payload, time, word};

/// The columns of [`read`], and then the row number and the newest line of the history.
pub(super) const ALL: &str =
    "SELECT saga, key, incarnation, created_at, seq, step, version, status, state, payload, data,
        visit, turn, parked, changed_at, checksum, joined, family, id, last
    FROM saga_instance_4 ORDER BY id";

/// Returns the instance in a row. Returns `None` for a wrong checksum.
pub(super) fn read(row: &Row<'_>) -> Result<Option<InstanceChange>> {
    let change = InstanceChange {
        address: address(row, 0)?,
        incarnation: Incarnation::from_u128(bits(row, 2)?),
        created_at: time(row, 3)?,
        seq: row.get(4)?,
        step: Id::from_u128(bits(row, 5)?),
        version: row.get(6)?,
        status: word(row, 7, Status::parse)?,
        state: name(row, 8)?,
        payload: maybe_payload(row, 9)?,
        data: payload(row, 10)?,
        labels: Labels::new(),
        trace: None,
        visit: row.get(11)?,
        turn: maybe_payload(row, 12)?,
        parked: maybe_payload(row, 13)?,
        changed_at: time(row, 14)?,
        joined: maybe_payload(row, 16)?,
        family: maybe_payload(row, 17)?,
    };
    let right = row.get::<_, i64>(15)? == checksum(&change);
    Ok(right.then_some(change))
}

fn checksum(change: &InstanceChange) -> i64 {
    Checksum::new()
        .text(&change.address.saga)
        .text(change.address.key.stored())
        .bytes(&change.incarnation.as_u128().to_be_bytes())
        .number(change.created_at.as_millis())
        .number(change.seq.cast_signed())
        .bytes(&change.step.to_bytes())
        .number(change.version.into())
        .text(change.status.as_str())
        .text(&change.state)
        .maybe(change.payload.as_ref().map(|payload| payload.as_str()))
        .text(change.data.as_str())
        .number(change.visit.into())
        .maybe(change.turn.as_ref().map(|turn| turn.as_str()))
        .maybe(change.parked.as_ref().map(|parked| parked.as_str()))
        .maybe(change.joined.as_ref().map(|noted| noted.as_str()))
        .maybe(change.family.as_ref().map(|family| family.as_str()))
        .number(change.changed_at.as_millis())
        .end()
}
