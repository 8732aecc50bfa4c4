//! `saga_inbox`: messages that cannot be applied now, and messages from writers other than the lease holder.

use rusqlite::{Connection, Result, Row, params};
use saga_core::message::{Message, MessageId};
use saga_core::store::{Address, InboxId, Mail, MailKind};

use super::value::{address, maybe_name, maybe_task, message, message_id, time, trace, word};

super::statements! {
    COUNT = "SELECT count(*) FROM (SELECT 1 FROM saga_inbox LIMIT ?1)";
    BOUNDS = "SELECT (SELECT min(id) FROM saga_inbox), (SELECT max(id) FROM saga_inbox)";
    NAMES = "SELECT consumer, name, version, kind FROM saga_inbox WHERE id > ?1 AND id <= ?2";
    RENAME = "UPDATE saga_inbox SET consumer = ?2 WHERE consumer = ?1 AND kind <> 'delivery'";
    INSERT = "INSERT INTO saga_inbox (consumer, key, kind, name, version, payload, message, deduplicated, task_seq, task_ord,
                  hops, cause, at, epoch, trace)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    DELETE = "DELETE FROM saga_inbox WHERE id = ?1";
    PAGE = "SELECT id, consumer, key, kind, name, version, payload, message, deduplicated, task_seq, task_ord, hops, cause, at,
                epoch, trace
            FROM saga_inbox WHERE id > ?1 ORDER BY id";
    WAITING = "SELECT id, consumer, key, kind, name, version, payload, message, deduplicated, task_seq, task_ord, hops, cause,
                   at, epoch, trace
               FROM saga_inbox WHERE consumer = ?1 AND key = ?2 ORDER BY id";
    HOLDS = "SELECT 1 FROM saga_inbox WHERE consumer = ?1 AND key = ?2 AND message = ?3 AND name = ?4 AND payload = ?5";
}

pub(crate) fn insert(db: &Connection, mail: &Mail) -> Result<InboxId> {
    db.prepare_cached(INSERT)?.execute(params![
        mail.to.saga,
        mail.to.key.stored(),
        mail.kind.as_str(),
        mail.message.name,
        mail.message.version,
        mail.message.payload.as_str(),
        mail.id.as_ref().map(|id| id.as_str()),
        mail.deduplicated,
        mail.task.map(|task| task.seq),
        mail.task.map(|task| task.ord),
        mail.hops,
        mail.cause,
        mail.at.as_millis(),
        mail.epoch,
        mail.trace.map(|trace| trace.to_string()),
    ])?;
    Ok(InboxId(db.last_insert_rowid()))
}

/// Removes a row. Returns whether the row existed.
pub(crate) fn delete(db: &Connection, id: InboxId) -> Result<bool> {
    Ok(db.prepare_cached(DELETE)?.execute((id.0,))? > 0)
}

/// Returns whether the inbox holds this event under this id.
pub(crate) fn holds(db: &Connection, to: &Address, id: &MessageId, event: &Message) -> Result<bool> {
    let params = (&to.saga, to.key.stored(), id.as_str(), &event.name, event.payload.as_str());
    db.prepare_cached(HOLDS)?.exists(params)
}

/// Reads a row of [`PAGE`] or [`WAITING`].
pub(crate) fn read(row: &Row<'_>) -> Result<(InboxId, Mail)> {
    let mail = Mail {
        to: address(row, 1)?,
        kind: word(row, 3, MailKind::parse)?,
        message: message(row, 4)?,
        id: message_id(row, 7)?,
        deduplicated: row.get(8)?,
        task: maybe_task(row, 9)?,
        hops: row.get(11)?,
        cause: maybe_name(row, 12)?,
        at: time(row, 13)?,
        epoch: row.get(14)?,
        trace: trace(row, 15)?,
    };
    Ok((InboxId(row.get(0)?), mail))
}
