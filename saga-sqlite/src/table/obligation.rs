//! `saga_obligation`: undo commands that are owed, oldest first.

use rusqlite::{Connection, Result, Row, params};
use saga_core::message::Message;
use saga_core::store::{Obligation, ObligationOf, RowId, TaskId};

use super::value::{maybe_payload, maybe_task, name, payload, word};

super::statements! {
    NAMES = "SELECT owner.saga, undo, 0, '' FROM saga_obligation AS owed JOIN saga_instance AS owner ON owner.id = instance
             WHERE instance > ?1 AND instance <= ?2";
    UNDONE = "SELECT owner.saga, owed.name, owed.version, of FROM saga_obligation AS owed JOIN saga_instance AS owner ON owner.id = instance
             WHERE instance > ?1 AND instance <= ?2";
    PUT = "INSERT OR REPLACE INTO saga_obligation (instance, seq, ord, undo, of, of_seq, of_ord, name, version, visit,
               payload, report, task_seq, task_ord)
           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    DROP = "DELETE FROM saga_obligation WHERE instance = ?1 AND seq = ?2 AND ord = ?3";
    DROP_ALL = "DELETE FROM saga_obligation WHERE instance = ?1";
    OF_INSTANCE = "SELECT seq, ord, undo, of, of_seq, of_ord, name, version, visit, payload, report, task_seq, task_ord
                   FROM saga_obligation WHERE instance = ?1 ORDER BY seq, ord";
}

/// The word in the column `of`.
#[derive(Clone, Copy)]
enum Of {
    Command,
    State,
}

impl Of {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "command" => Some(Self::Command),
            "state" => Some(Self::State),
            _ => None,
        }
    }
}

/// Adds the obligation, or replaces the obligation with the same id.
pub(crate) fn put(db: &Connection, instance: RowId, owed: &Obligation) -> Result<()> {
    let (of, task, name, version, visit, payload) = match &owed.of {
        ObligationOf::Command { task, command } => {
            ("command", Some(*task), &command.name, command.version, None, Some(&command.payload))
        }
        ObligationOf::State { state, visit, version, payload } => {
            ("state", None, state, *version, Some(*visit), payload.as_ref())
        }
    };
    db.prepare_cached(PUT)?.execute(params![
        instance.0,
        owed.id.seq,
        owed.id.ord,
        owed.undo,
        of,
        task.map(|task| task.seq),
        task.map(|task| task.ord),
        name,
        version,
        visit,
        payload.map(|payload| payload.as_str()),
        owed.report.as_ref().map(|report| report.as_str()),
        owed.task.map(|task| task.seq),
        owed.task.map(|task| task.ord),
    ])?;
    Ok(())
}

/// Removes the obligation. A missing obligation is not an error.
pub(crate) fn remove(db: &Connection, instance: RowId, id: TaskId) -> Result<()> {
    db.prepare_cached(DROP)?.execute((instance.0, id.seq, id.ord))?;
    Ok(())
}

pub(crate) fn remove_all(db: &Connection, instance: RowId) -> Result<()> {
    db.prepare_cached(DROP_ALL)?.execute((instance.0,))?;
    Ok(())
}

/// Returns the obligations of an instance, oldest first.
pub(crate) fn of_instance(db: &Connection, instance: RowId) -> Result<Vec<Obligation>> {
    let mut statement = db.prepare_cached(OF_INSTANCE)?;
    let rows = statement.query_map((instance.0,), read)?;
    rows.collect()
}

fn read(row: &Row<'_>) -> Result<Obligation> {
    let of = match word(row, 3, Of::parse)? {
        Of::Command => ObligationOf::Command {
            task: TaskId { seq: row.get(4)?, ord: row.get(5)? },
            command: Message { name: name(row, 6)?, version: row.get(7)?, payload: payload(row, 9)? },
        },
        Of::State => ObligationOf::State {
            state: name(row, 6)?,
            visit: row.get(8)?,
            version: row.get(7)?,
            payload: maybe_payload(row, 9)?,
        },
    };
    Ok(Obligation {
        id: TaskId { seq: row.get(0)?, ord: row.get(1)? },
        undo: name(row, 2)?,
        of,
        report: maybe_payload(row, 10)?,
        task: maybe_task(row, 11)?,
    })
}
