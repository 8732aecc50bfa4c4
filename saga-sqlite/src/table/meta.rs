//! `saga_meta`: one row with the schema version and the lease.

use rusqlite::{Connection, OptionalExtension, Result};

super::statements! {
    SET_BATCH = "UPDATE saga_meta SET batch = ?1 WHERE id = 1";
    TAKE = "UPDATE saga_meta SET unclean = iif(clean, unclean, epoch), epoch = epoch + 1, batch = 0, holder = ?1,
                owner = ?2, clean = 0
            WHERE id = 1 RETURNING epoch, unclean";
    RENEW = "UPDATE saga_meta SET epoch = epoch + 1, clean = 0 WHERE id = 1 AND holder = ?1 RETURNING epoch, batch";
    RELEASE = "UPDATE saga_meta SET owner = NULL, clean = 1 WHERE id = 1 AND epoch = ?1";
    HOLDS = "SELECT 1 FROM saga_meta WHERE id = 1 AND epoch = ?1";
    LAST_INSTANCE = "SELECT max(id) FROM saga_instance";
    LAST_HISTORY = "SELECT max(id) FROM saga_history";
    LAST_DELIVERY = "SELECT max(id) FROM saga_delivery";
}

/// Records the number of a batch. Only a batch that changes no instance needs this record (`writer`).
pub(crate) fn set_batch(db: &Connection, batch: u64) -> Result<()> {
    db.prepare_cached(SET_BATCH)?.execute((batch,))?;
    Ok(())
}

/// Returns whether `epoch` holds the lease.
pub(crate) fn holds(db: &Connection, epoch: u64) -> Result<bool> {
    db.prepare_cached(HOLDS)?.exists((epoch,))
}

/// Begins a new lease. Returns its epoch, and the last epoch without a release.
pub(crate) fn take(db: &Connection, holder: &str, owner: &str) -> Result<(u64, u64)> {
    db.prepare_cached(TAKE)?.query_row((holder, owner), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Moves the lease of this process to a new epoch. Returns the epoch and the last recorded batch. Returns `None` if the
/// lease was taken over.
///
/// The check uses the holder instead of the epoch, because an earlier renewal may be durable without an answer.
pub(crate) fn renew(db: &Connection, holder: &str) -> Result<Option<(u64, u64)>> {
    db.prepare_cached(RENEW)?.query_row((holder,), |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// Releases the lease. Returns `false` if the lease was taken over.
///
/// The holder stays in the row. A release with a failed COMMIT can therefore be repeated.
pub(crate) fn release(db: &Connection, epoch: u64) -> Result<bool> {
    Ok(db.prepare_cached(RELEASE)?.execute((epoch,))? == 1)
}
