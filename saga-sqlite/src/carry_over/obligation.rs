//! `saga_obligation` of schema 4.

use rusqlite::{Connection, Result, Row};
use saga_core::message::Message;
use saga_core::store::{Obligation, ObligationOf, RowId, TaskId};

use crate::table::value::{maybe_payload, maybe_task, name, payload, word};

const OF_INSTANCE: &str =
    "SELECT seq, ord, undo, of, of_seq, of_ord, name, version, visit, payload, report, task_seq,
        task_ord
    FROM saga_obligation_4 WHERE instance = ?1 ORDER BY seq, ord";

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

/// Returns the obligations of an instance, oldest first.
pub(super) fn of_instance(db: &Connection, instance: RowId) -> Result<Vec<Obligation>> {
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
