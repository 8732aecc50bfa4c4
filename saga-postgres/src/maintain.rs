//! The removal of ended instances and old deduplication records, in small portions.

use saga_core::store::{Purged, ShardId};
use tokio_postgres::{Error, Transaction};

use crate::shard::{number, owns};

/// The most lines of history that one transaction removes.
const LINES: i32 = 20_000;

/// What one transaction has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) purged: Purged,
    /// Another transaction is needed, because the histories are long.
    pub(crate) more: bool,
}

/// Removes ended instances of the shard and deduplication records, the oldest first, and at most so many of each. All of them
/// are older than `before`.
pub(crate) async fn purge(
    tx: &Transaction<'_>,
    shard: Option<ShardId>,
    before: i64,
    (instances, records): (i64, i64),
) -> Result<Portion, Error> {
    let own = owns("i.id", shard);
    let over = format!(
        "SELECT i.id, i.seq FROM saga_instance i WHERE i.over_at IS NOT NULL AND i.over_at < $1 AND {own}
         AND NOT EXISTS (SELECT FROM saga_item t WHERE t.instance = i.id AND t.seq IS NOT NULL)
         ORDER BY i.over_at LIMIT $2"
    );
    // One shard is never behind the row of another. A handle without a shard does not purge.
    const DEDUP: &str = "DELETE FROM saga_dedup WHERE (consumer, key, message) IN
        (SELECT consumer, key, message FROM saga_dedup WHERE shard = $3 AND at < $1 ORDER BY at LIMIT $2)";
    let number = shard.map_or(0, number);
    let (mut ended, mut lines, mut more) = (Vec::new(), 0i64, false);
    for row in tx.query(&over, &[&before, &instances]).await? {
        let (id, seq): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        // A step has few lines, and mostly one.
        lines = lines.saturating_add(seq);
        if lines > LINES.into() {
            more = !ended.is_empty();
            if more {
                break;
            }
            if shorten(tx, id).await? {
                return Ok(Portion { more: true, ..Portion::default() });
            }
        }
        ended.push(id);
    }
    // The last portion of a call removes the records.
    let dedup = if more { 0 } else { tx.execute(DEDUP, &[&before, &records, &number]).await? };
    // The counts come last, because the commits of other shards wait for them.
    if !ended.is_empty() {
        for sql in GONE {
            tx.execute(sql, &[&ended]).await?;
        }
    }
    let dedup = usize::try_from(dedup).unwrap_or(usize::MAX);
    Ok(Portion { purged: Purged { instances: ended.len(), dedup }, more })
}

/// Removes the newest lines of an instance. Returns `false` if it had no more of them.
async fn shorten(tx: &Transaction<'_>, instance: i64) -> Result<bool, Error> {
    const NEWEST: &str = "WITH RECURSIVE chain AS (
            SELECT h.id, h.instance, h.prev, 1 AS n FROM saga_instance i
            JOIN saga_history h ON h.id = i.last AND h.instance = i.id WHERE i.id = $1
            UNION ALL SELECT h.id, h.instance, h.prev, n + 1 FROM chain c
            JOIN saga_history h ON h.id = c.prev AND h.instance = c.instance AND h.id < c.id WHERE n < $2),
        gone AS (DELETE FROM saga_history WHERE id IN (SELECT id FROM chain))
        UPDATE saga_instance i SET last = c.prev FROM chain c WHERE i.id = $1 AND c.n = $2 AND c.prev IS NOT NULL";
    Ok(tx.execute(NEWEST, &[&instance, &LINES]).await? == 1)
}

/// The rows of instances, and at last the instances.
const GONE: [&str; 5] = [
    // Also the chain of a damaged instance is found: its end is in the row.
    "WITH RECURSIVE chain AS (
        SELECT h.id, h.instance, h.prev FROM saga_instance i JOIN saga_history h ON h.id = i.last AND h.instance = i.id
        WHERE i.id = ANY($1)
        UNION ALL SELECT h.id, h.instance, h.prev FROM chain c
        JOIN saga_history h ON h.id = c.prev AND h.instance = c.instance AND h.id < c.id)
     DELETE FROM saga_history WHERE id IN (SELECT id FROM chain)",
    "DELETE FROM saga_alias WHERE instance = ANY($1)",
    "DELETE FROM saga_label WHERE instance = ANY($1)",
    "DELETE FROM saga_item WHERE instance = ANY($1)",
    "WITH gone AS (DELETE FROM saga_instance WHERE id = ANY($1) RETURNING saga, state, status, parked)
     INSERT INTO saga_count AS c (saga, state, status, parked, instances)
     SELECT saga, state, status, parked, -count(*) FROM gone GROUP BY saga, state, status, parked
     ORDER BY saga, state, status, parked
     ON CONFLICT (saga, state, status, parked) DO UPDATE SET instances = c.instances + excluded.instances",
];
