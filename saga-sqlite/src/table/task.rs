//! `saga_task`: open commands, undos and children. Finished tasks are deleted. The table holds only open tasks.

use rusqlite::{Connection, Result, Row, params};
use saga_core::store::{OpenTask, RowId, Task, TaskId, TaskKind, TaskProgress};

use super::progress;
use super::value::{address, message, word};

super::statements! {
    NAMES = "SELECT owner.saga, task.name, task.version, task.kind FROM saga_task AS task JOIN saga_instance AS owner ON owner.id = instance
             WHERE instance > ?1 AND instance <= ?2";
    INSERT = "INSERT INTO saga_task (instance, seq, ord, kind, name, version, payload, visit, stage, attempts,
                  recoveries, since, spent_ms, epoch, armed_at, due_at, superseded, error, saved, left_out)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
              ON CONFLICT DO NOTHING";
    PROGRESS = "UPDATE saga_task SET stage = ?4, attempts = ?5, recoveries = ?6, since = ?7, spent_ms = ?8, epoch = ?9,
                    armed_at = ?10, due_at = ?11, superseded = ?12, error = ?13, saved = ?14,
                    left_out = ?15
                WHERE instance = ?1 AND seq = ?2 AND ord = ?3";
    DELETE = "DELETE FROM saga_task WHERE instance = ?1 AND seq = ?2 AND ord = ?3";
    OF_INSTANCE = "SELECT seq, ord, kind, name, version, payload, visit, stage, attempts, recoveries, since, spent_ms,
                       epoch, armed_at, due_at, superseded, error, saved, left_out
                   FROM saga_task WHERE instance = ?1 ORDER BY seq, ord";
    OPEN = "SELECT task.seq, task.ord, task.kind, task.name, task.version, task.payload, task.visit, stage, attempts,
                recoveries, since, spent_ms, epoch, armed_at, due_at, superseded, error, saved, left_out, instance,
                saga, key
            FROM saga_task AS task JOIN saga_instance AS owner ON owner.id = task.instance
            WHERE (instance, task.seq, task.ord) > (?1, ?2, ?3)
            ORDER BY instance, task.seq, task.ord";
}

/// Queues the task. Returns `false` if a task with this id exists.
pub(crate) fn insert(db: &Connection, instance: RowId, task: &Task) -> Result<bool> {
    let progress = &task.progress;
    let added = db.prepare_cached(INSERT)?.execute(params![
        instance.0,
        task.id.seq,
        task.id.ord,
        task.kind.as_str(),
        task.command.name,
        task.command.version,
        task.command.payload.as_str(),
        task.visit,
        progress.stage.as_str(),
        progress.attempts,
        progress.recoveries,
        progress.since.as_millis(),
        progress.spent_ms,
        progress.epoch,
        progress.armed.as_millis(),
        progress.due.as_millis(),
        progress.superseded,
        progress.error,
        progress.saved.as_ref().map(|saved| saved.as_str()),
        progress.left_out,
    ])?;
    Ok(added == 1)
}

/// Replaces the progress. A missing task is not an error.
pub(crate) fn progress(db: &Connection, instance: RowId, id: TaskId, progress: &TaskProgress) -> Result<()> {
    db.prepare_cached(PROGRESS)?.execute(params![
        instance.0,
        id.seq,
        id.ord,
        progress.stage.as_str(),
        progress.attempts,
        progress.recoveries,
        progress.since.as_millis(),
        progress.spent_ms,
        progress.epoch,
        progress.armed.as_millis(),
        progress.due.as_millis(),
        progress.superseded,
        progress.error,
        progress.saved.as_ref().map(|saved| saved.as_str()),
        progress.left_out,
    ])?;
    Ok(())
}

/// Removes the task. A missing task is not an error.
pub(crate) fn delete(db: &Connection, instance: RowId, id: TaskId) -> Result<()> {
    db.prepare_cached(DELETE)?.execute((instance.0, id.seq, id.ord))?;
    Ok(())
}

/// Returns the tasks of an instance, ordered by id.
pub(crate) fn of_instance(db: &Connection, instance: RowId) -> Result<Vec<Task>> {
    let mut statement = db.prepare_cached(OF_INSTANCE)?;
    let rows = statement.query_map((instance.0,), read)?;
    rows.collect()
}

fn read(row: &Row<'_>) -> Result<Task> {
    Ok(Task {
        id: TaskId { seq: row.get(0)?, ord: row.get(1)? },
        kind: word(row, 2, TaskKind::parse)?,
        command: message(row, 3)?,
        visit: row.get(6)?,
        progress: progress::read(row, 7)?,
    })
}

/// Reads a row of [`OPEN`].
pub(crate) fn open(row: &Row<'_>) -> Result<OpenTask> {
    Ok(OpenTask { row: RowId(row.get(19)?), address: address(row, 20)?, task: read(row)? })
}
