//! `saga_task` of schema 4.

use rusqlite::{Connection, Result, Row};
use saga_core::store::{RowId, Task, TaskId, TaskKind};

use crate::table::progress;
use crate::table::value::{message, word};

const OF_INSTANCE: &str =
    "SELECT seq, ord, kind, name, version, payload, visit, stage, attempts, recoveries, since,
        spent_ms, epoch, armed_at, due_at, superseded, error, saved, left_out
    FROM saga_task_4 WHERE instance = ?1 ORDER BY seq, ord";

/// Returns the tasks of an instance, ordered by id.
pub(super) fn of_instance(db: &Connection, instance: RowId) -> Result<Vec<Task>> {
    let mut statement = db.prepare_cached(OF_INSTANCE)?;
    let rows = statement.query_map((instance.0,), read)?;
    rows.collect()
}

/// Returns whether the instance has a task.
pub(super) fn any(db: &Connection, instance: RowId) -> Result<bool> {
    db.prepare_cached("SELECT 1 FROM saga_task_4 WHERE instance = ?1 LIMIT 1")?.exists((instance.0,))
}

fn read(row: &Row<'_>) -> Result<Task> {
    Ok(Task {
        id: TaskId { seq: row.get(0)?, ord: row.get(1)? },
        kind: word(row, 2, TaskKind::parse)?,
        command: message(row, 3)?,
        visit: row.get(6)?,
        trace: None,
        progress: progress::read(row, 7)?,
    })
}
