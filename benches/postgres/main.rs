//! The order saga on PostgreSQL against a hand-written program that does the same work on the same server, in one run.
//!
//! The hand-written program is what a careful person would write for this one process: one writer with group commit, and one
//! prepared statement over arrays for a batch. It has no lease, no recovery, no retries and no inspection. Rounds alternate, so
//! that noise hits both sides. The ratio is what counts.
//!
//! The benchmark makes a server for itself, durable, on a socket. `cargo bench --bench postgres --features postgres -- 256` runs one
//! level.

#![allow(clippy::print_stdout, dead_code, missing_docs, unreachable_pub)] // A program, not a library.

mod by_hand;
mod by_saga;
#[path = "../../saga-postgres/tests/support/mod.rs"]
mod cluster;
#[path = "../order/order.rs"]
mod order;
#[path = "../order/round.rs"]
mod round;

use std::future::Future;
use std::time::Duration;

use cluster::Cluster;
pub use order::Order;

const ROUND: Duration = Duration::from_millis(2500);
const ROUNDS: u32 = 4;
/// Steps of one saga.
const STEPS: f64 = 4.0;
/// How many sagas run at a time while several nodes share them.
const SHARED: usize = 256;
/// The settings of a server that loses nothing.
const DURABLE: &str =
    "fsync = on\nfull_page_writes = on\nsynchronous_commit = on\nshared_buffers = 256MB\nmax_wal_size = 4GB";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(cluster) = Cluster::start_with(DURABLE, &[]) else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut levels: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if levels.is_empty() {
        levels = vec![1, 16, 256];
    }
    println!("{STEPS} steps a saga, steps per second, each commit durable");
    println!("{:>10} {:>10} {:>10} {:>7}", "at a time", "saga", "by hand", "ratio");
    for at_a_time in levels {
        let (mut saga, mut hand) = (0.0, 0.0);
        for number in 0..ROUNDS {
            let schema = format!("bench_{at_a_time}_{number}");
            saga += runtime.block_on(by_saga::round(&cluster.config, &schema, at_a_time))?;
            hand += runtime.block_on(by_hand::round(&cluster.config, &schema, at_a_time))?;
        }
        let rate = |sagas: f64| sagas * STEPS / f64::from(ROUNDS);
        println!("{at_a_time:>10} {:>10.0} {:>10.0} {:>7.2}", rate(saga), rate(hand), saga / hand);
    }
    println!(
        "\nshared by several nodes in this process, {SHARED} at a time, against one node with one shard"
    );
    println!("{:>10} {:>10} {:>10} {:>7}", "shards", "nodes", "saga", "ratio");
    let mut alone = 0.0;
    for (shards, nodes) in [(1, 1), (4, 1), (12, 1), (12, 3)] {
        let mut saga = 0.0;
        for number in 0..ROUNDS {
            let schema = format!("shared_{shards}_{nodes}_{number}");
            saga += runtime.block_on(by_saga::shared(&cluster.config, &schema, (shards, nodes), SHARED))?;
        }
        if shards == 1 {
            alone = saga;
        }
        println!("{shards:>10} {nodes:>10} {:>10.0} {:>7.2}", saga * STEPS / f64::from(ROUNDS), saga / alone);
    }
    Ok(())
}

/// Runs sagas for one round, so many at a time. Returns sagas per second.
pub async fn drive<F, R>(at_a_time: usize, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    round::drive(ROUND, at_a_time, one).await
}
