//! The counts of instances by saga, state, status and park.
//!
//! A statement of a commit adds its changes as rows. Owns: the fold of these rows into the counts, and the read of both. Does
//! not own: the changes of a statement (`statement`).

use saga_core::store::ShardId;
use tokio_postgres::{Client, Error};

use super::Held;
use crate::shard::number;

/// The statements between two folds. A read adds up the changes of at most so many.
const STATEMENTS: i64 = 512;

/// Reads the counts with the changes that are not folded yet.
pub(crate) const READ: &str = "SELECT n.name, c.state, c.status, c.parked, sum(c.instances)::int8
    FROM (SELECT saga, state, status, parked, instances FROM saga_count
        UNION ALL SELECT c.saga, c.state, c.status, c.parked, c.change FROM saga_shard l
        JOIN saga_count_change c ON c.shard = l.id AND (c.epoch, c.number) > (l.epoch, l.number)) c
    JOIN saga_name n ON n.id = c.saga
    GROUP BY n.name, c.state, c.status, c.parked HAVING sum(c.instances) > 0";

pub(super) const FOLD: &str =
    "WITH fence AS MATERIALIZED (SELECT 1 FROM saga_lease WHERE epoch = $1 AND gen = $2 AND shard = $4 FOR SHARE),
    last AS MATERIALIZED (SELECT l.id, l.epoch, l.number FROM saga_shard l, fence WHERE l.id = $4),
    gone AS (DELETE FROM saga_count_change c USING last
        WHERE c.shard = last.id AND (c.epoch, c.number) > (last.epoch, last.number) RETURNING c.*),
    folded AS (INSERT INTO saga_count AS c (saga, state, status, parked, instances)
        SELECT saga, state, status, parked, sum(change) FROM gone GROUP BY saga, state, status, parked
        HAVING sum(change) <> 0 ORDER BY saga, state, status, parked
        ON CONFLICT (saga, state, status, parked) DO UPDATE SET instances = c.instances + excluded.instances)
    UPDATE saga_shard SET epoch = $1, number = $3, row_number = greatest(row_number, $5) FROM fence WHERE id = $4";

/// Folds the changes, if there are many since the last fold. A repeated fold finds nothing.
pub(super) async fn fold(client: &Client, held: &mut Held, shard: ShardId) -> Result<(), Error> {
    if held.folded.is_some_and(|folded| held.number - folded < STATEMENTS) {
        return Ok(());
    }
    client
        .execute(FOLD, &[&held.epoch, &held.generation, &held.number, &number(shard), &held.numbers.last()])
        .await?;
    held.folded = Some(held.number);
    Ok(())
}
