//! The processes that share the shards of a store, and the signs of life that they see of each other.
//!
//! Owns: the rows of these processes, and since when a count has not changed. A silence is measured by the clock of the process
//! that looks, as for the end of a lease (`lease`). Does not own: the end of a silent lease.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use saga_core::store::{Meeting, Node, Seen};
use tokio_postgres::Error;

use crate::read::{Reader, query};

/// The counts that this process has seen, each with its value and the time of the first look with this value.
#[derive(Debug, Default)]
pub(crate) struct Silences(HashMap<Counted, (i64, Instant)>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Node(String),
    Lease(i64),
}

impl Silences {
    /// Returns how long the count has had this value.
    fn of(&mut self, what: Counted, beats: i64, now: Instant) -> Duration {
        let seen = self.0.entry(what).or_insert((beats, now));
        if seen.0 != beats {
            *seen = (beats, now);
        }
        now - seen.1
    }
}

/// Shows that `node` lives.
pub(crate) async fn beat(client: &Reader, node: &Node) -> Result<(), Error> {
    const BEAT: &str = "INSERT INTO saga_node AS n (name, build, consumers, beats) VALUES ($1, $2, $3, 0)
        ON CONFLICT (name) DO UPDATE SET build = excluded.build, consumers = excluded.consumers, beats = n.beats + 1";
    let build = i64::try_from(node.build).unwrap_or(i64::MAX);
    let consumers = i64::try_from(node.consumers).unwrap_or(i64::MAX);
    query(client, BEAT, &[&node.name, &build, &consumers]).await.map(drop)
}

/// Reads all nodes and leases in one moment.
pub(crate) async fn look(
    client: &Reader,
    shards: u16,
    silences: &parking_lot::Mutex<Silences>,
) -> Result<Meeting, Error> {
    const LOOK: &str = "SELECT 'node', name, build, beats, consumers FROM saga_node
        UNION ALL SELECT 'lease', l.owner, l.shard::int8, coalesce(b.beats, 0), l.epoch
        FROM saga_lease l LEFT JOIN saga_beat b ON b.epoch = l.epoch
        UNION ALL SELECT 'consumers', '', count(*), 0, 0 FROM saga_consumer
        UNION ALL SELECT 'retired', name, 0, 0, 0 FROM saga_pause WHERE kind = 'consumer' ORDER BY 2";
    let rows = query(client, LOOK, &[]).await?;
    let now = Instant::now();
    let mut silences = silences.lock();
    let mut still = Silences::default();
    let mut meeting = Meeting { owners: vec![None; usize::from(shards)], ..Meeting::default() };
    for row in &rows {
        let (kind, name, number): (&str, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (beats, epoch): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        let counted = match kind {
            "node" => Counted::Node(name.clone()),
            "lease" => Counted::Lease(epoch),
            "consumers" => {
                meeting.consumers = number.cast_unsigned();
                continue;
            }
            _ => {
                meeting.retired.push(name);
                continue;
            }
        };
        let silent = silences.of(counted.clone(), beats, now);
        if let Some(seen) = silences.0.get(&counted) {
            still.0.insert(counted, *seen);
        }
        if kind == "node" {
            let (build, consumers) = (number.cast_unsigned(), epoch.cast_unsigned());
            meeting.nodes.push(Seen { what: Node { name, build, consumers }, silent });
        } else if let Some(place) = usize::try_from(number).ok().and_then(|at| meeting.owners.get_mut(at)) {
            *place = Some(Seen { what: name, silent });
        }
    }
    // What is gone is forgotten.
    *silences = still;
    Ok(meeting)
}

/// Removes the row of `node`.
pub(crate) async fn leave(client: &Reader, node: &Node) -> Result<(), Error> {
    query(client, "DELETE FROM saga_node WHERE name = $1", &[&node.name]).await.map(drop)
}

/// Removes the row of a node that has the same count as at the last look.
pub(crate) async fn forget(client: &Reader, gone: &[(String, i64)]) -> Result<(), Error> {
    const FORGET: &str = "DELETE FROM saga_node n USING unnest($1::text[], $2::int8[]) AS g(name, beats)
        WHERE n.name = g.name AND n.beats = g.beats";
    let names: Vec<&str> = gone.iter().map(|(name, _)| &**name).collect();
    let beats: Vec<i64> = gone.iter().map(|(_, beats)| *beats).collect();
    query(client, FORGET, &[&names, &beats]).await.map(drop)
}

impl Silences {
    /// The nodes that have been silent for so long, with their counts.
    pub(crate) fn silent_nodes(&self, silent: Duration) -> Vec<(String, i64)> {
        let now = Instant::now();
        let nodes = self.0.iter().filter(|(_, (_, since))| now - *since >= silent);
        let nodes = nodes.filter_map(|(counted, (beats, _))| match counted {
            Counted::Node(name) => Some((name.clone(), *beats)),
            Counted::Lease(_) => None,
        });
        nodes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_lasts_until_the_count_changes() {
        let (mut silences, start) = (Silences::default(), Instant::now());
        let node = || Counted::Node("a".to_owned());
        let at = |seconds| start + Duration::from_secs(seconds);
        let seen: Vec<u64> = [(7, 0), (7, 3), (8, 4), (8, 9), (7, 10)]
            .into_iter()
            .map(|(beats, seconds)| silences.of(node(), beats, at(seconds)).as_secs())
            .collect();
        assert_eq!(seen, [0, 3, 0, 5, 0]);
    }
}
