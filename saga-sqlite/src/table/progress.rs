//! The progress columns, common to tasks and deliveries.

use rusqlite::{Result, Row};
use saga_core::store::{TaskProgress, TaskStage};

use super::value::{maybe_payload, maybe_text, time, word};

/// Reads the progress columns, starting at column `at`.
pub(crate) fn read(row: &Row<'_>, at: usize) -> Result<TaskProgress> {
    Ok(TaskProgress {
        stage: word(row, at, TaskStage::parse)?,
        attempts: row.get(at + 1)?,
        recoveries: row.get(at + 2)?,
        since: time(row, at + 3)?,
        spent_ms: row.get(at + 4)?,
        epoch: row.get(at + 5)?,
        armed: time(row, at + 6)?,
        due: time(row, at + 7)?,
        superseded: row.get(at + 8)?,
        error: maybe_text(row, at + 9)?.map(str::to_owned),
        saved: maybe_payload(row, at + 10)?,
        left_out: row.get(at + 11)?,
    })
}
