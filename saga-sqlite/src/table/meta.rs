//! `saga_meta`: one row with the schema version and the lease.

use rusqlite::{Connection, OptionalExtension, Result};

super::statements! {
    FENCE = "UPDATE saga_meta SET batch = ?2 WHERE id = 1 AND epoch = ?1";
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

/// Checks that `epoch` still holds the lease, and records the number of the batch. Both happen in one statement.
pub(crate) fn fence(db: &Connection, epoch: u64, batch: u64) -> Result<bool> {
    Ok(db.prepare_cached(FENCE)?.execute((epoch, batch))? == 1)
}

/// Returns whether `epoch` holds the lease.
pub(crate) fn holds(db: &Connection, epoch: u64) -> Result<bool> {
    db.prepare_cached(HOLDS)?.exists((epoch,))
}

/// Begins a new lease. Returns its epoch, and the last epoch without a release.
pub(crate) fn take(db: &Connection, holder: &str, owner: &str) -> Result<(u64, u64)> {
    db.prepare_cached(TAKE)?.query_row((holder, owner), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Moves the lease of this process to a new epoch. Returns the epoch and the last durable batch. Returns `None` if the
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

/// The highest numbers in use. Only the lease holder adds rows to these tables. It therefore counts by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) instance: i64,
    pub(crate) history: i64,
    pub(crate) delivery: i64,
}

impl Numbers {
    /// Reads the numbers from the tables. The numbers never decrease.
    pub(crate) fn raise(&mut self, db: &Connection) -> Result<()> {
        let max = |sql| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
        self.instance = self.instance.max(max(LAST_INSTANCE)?.unwrap_or(0));
        self.history = self.history.max(max(LAST_HISTORY)?.unwrap_or(0));
        self.delivery = self.delivery.max(max(LAST_DELIVERY)?.unwrap_or(0));
        Ok(())
    }
}
