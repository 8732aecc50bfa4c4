//! `saga_audit`: the decisions of operators, chained by hash.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use saga_core::store::{Address, AuditEntry, AuditFilter, AuditFrom, AuditId, AuditLink, AuditRow};

use super::value::{bad, key, maybe_payload, message_id, name, text, time};

super::statements! {
    LAST = "SELECT link FROM saga_audit WHERE id = (SELECT max(id) FROM saga_audit)";
    INSERT = "INSERT INTO saga_audit (at, who, why, verb, consumer, key, object, payload, declined, request, link)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    AFTER = "SELECT id, at, who, why, verb, consumer, key, object, payload, declined, request, link
             FROM saga_audit WHERE id > ?1 ORDER BY id";
    BEFORE = "SELECT id, at, who, why, verb, consumer, key, object, payload, declined, request, link
              FROM saga_audit WHERE id < ?1 ORDER BY id DESC";
    AFTER_OF = "SELECT id, at, who, why, verb, consumer, key, object, payload, declined, request, link
                FROM saga_audit WHERE consumer = ?2 AND key = ?3 AND id > ?1 ORDER BY id";
    BEFORE_OF = "SELECT id, at, who, why, verb, consumer, key, object, payload, declined, request, link
                 FROM saga_audit WHERE consumer = ?2 AND key = ?3 AND id < ?1 ORDER BY id DESC";
    OF_REQUEST = "SELECT id, at, who, why, verb, consumer, key, object, payload, declined, request, link
                  FROM saga_audit WHERE request = ?1 LIMIT 1";
}

/// Adds an entry behind the last row.
pub(crate) fn append(db: &Connection, entry: &AuditEntry) -> Result<()> {
    let last = db.prepare_cached(LAST)?.query_row([], |row| link(row, 0)).optional()?;
    let link = last.unwrap_or(AuditLink::FIRST).next(entry);
    db.prepare_cached(INSERT)?.execute(params![
        entry.at.as_millis(),
        entry.who,
        entry.why,
        entry.verb,
        entry.to.as_ref().map(|to| &to.saga),
        entry.to.as_ref().map(|to| to.key.stored()),
        entry.object,
        entry.payload.as_ref().map(|payload| payload.as_str()),
        entry.declined,
        entry.request.as_ref().map(|request| request.as_str()),
        link.0,
    ])?;
    Ok(())
}

/// Reads the page of a filter.
pub(crate) fn rows(db: &Connection, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
    if let Some(request) = &filter.request {
        let row = db.prepare_cached(OF_REQUEST)?.query_row((request.as_str(),), read).optional()?;
        return Ok(row.into_iter().filter(|row| filter.matches(row)).take(filter.limit).collect());
    }
    let (after, from) = match filter.from {
        AuditFrom::After(id) => (true, id),
        AuditFrom::Before(id) => (false, id),
    };
    let of = filter.to.as_ref();
    let sql = match (after, of) {
        (true, None) => AFTER,
        (false, None) => BEFORE,
        (true, Some(_)) => AFTER_OF,
        (false, Some(_)) => BEFORE_OF,
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = match of {
        None => statement.query_map((from.0,), read)?,
        Some(to) => statement.query_map((from.0, &to.saga, to.key.stored()), read)?,
    };
    // An unreadable row is an error, so that no decision is missing without a word.
    rows.filter(|row| row.as_ref().map_or(true, |row| filter.matches(row))).take(filter.limit).collect()
}

fn read(row: &Row<'_>) -> Result<AuditRow> {
    let to = match row.get_ref(5)? {
        ValueRef::Null => None,
        _ => Some(Address { saga: name(row, 5)?, key: key(row, 6)? }),
    };
    let entry = AuditEntry {
        at: time(row, 1)?,
        who: text(row, 2)?.to_owned(),
        why: text(row, 3)?.to_owned(),
        verb: name(row, 4)?,
        to,
        object: text(row, 7)?.to_owned(),
        payload: maybe_payload(row, 8)?,
        declined: row.get(9)?,
        request: message_id(row, 10)?,
    };
    Ok(AuditRow { id: AuditId(row.get(0)?), entry, link: link(row, 11)?, chain: 0 })
}

fn link(row: &Row<'_>, at: usize) -> Result<AuditLink> {
    let bytes = row.get_ref(at)?.as_blob().map_err(|error| bad(at, error))?;
    bytes.try_into().map(AuditLink).map_err(|error| bad(at, error))
}
