//! The removal of ended instances and old deduplication records, in small portions.

use saga_core::store::Purged;
use tokio_postgres::{Error, Transaction};

/// Removes at most `limit` ended instances and `limit` deduplication records, the oldest first. All of them are older than
/// `before`.
pub(crate) async fn purge(tx: &Transaction<'_>, before: i64, limit: i64) -> Result<Purged, Error> {
    const OVER: &str = "SELECT i.id FROM saga_instance i WHERE i.over_at IS NOT NULL AND i.over_at < $1
        AND NOT EXISTS (SELECT FROM saga_item t WHERE t.instance = i.id AND t.seq IS NOT NULL)
        ORDER BY i.over_at LIMIT $2";
    const DEDUP: &str = "DELETE FROM saga_dedup WHERE (consumer, key, message) IN
        (SELECT consumer, key, message FROM saga_dedup WHERE at < $1 ORDER BY at LIMIT $2)";
    let rows = tx.query(OVER, &[&before, &limit]).await?;
    let over = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    if !over.is_empty() {
        for sql in GONE {
            tx.execute(sql, &[&over]).await?;
        }
    }
    let dedup = tx.execute(DEDUP, &[&before, &limit]).await?;
    Ok(Purged { instances: over.len(), dedup: usize::try_from(dedup).unwrap_or(usize::MAX) })
}

/// The rows of instances, and at last the instances.
const GONE: [&str; 6] = [
    // Also the chain of a damaged instance is found: its end is in the row.
    "WITH RECURSIVE chain AS (
        SELECT h.id, h.instance, h.prev FROM saga_instance i JOIN saga_history h ON h.id = i.last AND h.instance = i.id
        WHERE i.id = ANY($1)
        UNION ALL SELECT h.id, h.instance, h.prev FROM chain c
        JOIN saga_history h ON h.id = c.prev AND h.instance = c.instance AND h.id < c.id)
     DELETE FROM saga_history WHERE id IN (SELECT id FROM chain)",
    "INSERT INTO saga_count AS c (saga, state, status, parked, instances)
     SELECT saga, state, status, parked, -count(*) FROM saga_instance WHERE id = ANY($1) GROUP BY saga, state, status, parked
     ORDER BY saga, state, status, parked
     ON CONFLICT (saga, state, status, parked) DO UPDATE SET instances = c.instances + excluded.instances",
    "DELETE FROM saga_alias WHERE instance = ANY($1)",
    "DELETE FROM saga_label WHERE instance = ANY($1)",
    "DELETE FROM saga_item WHERE instance = ANY($1)",
    "DELETE FROM saga_instance WHERE id = ANY($1)",
];
