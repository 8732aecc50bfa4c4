//! The order saga through the public API against a hand-written program that does the same work, in one run.
//!
//! Four events, three commands that are answered at once, about 300 bytes of JSON data, durable. Both sides write per
//! step: the instance row, one line of history, the task that ended and the one that begins, what is owed, the timer.
//! The hand-written side is what a careful person would write for this one process: a writer thread with group commit,
//! prepared statements, time-ordered ids, finished tasks deleted. It has no recovery, no retries and no inspection.
//!
//! Rounds alternate, so that noise hits both sides. The ratio is what counts.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub)] // A program, not a library.

mod by_hand;
mod by_saga;
mod order;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use order::Order;

const ROUND: Duration = Duration::from_millis(1500);
const ROUNDS: u32 = 4;
/// Steps of one saga.
const STEPS: f64 = 4.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!(
        "{} bytes of data, {STEPS} steps a saga",
        serde_json::to_string(&Order::new("order-1".to_owned()))?.len()
    );
    println!("{:>10} {:>16} {:>16} {:>8}", "at a time", "saga: steps/s", "by hand: steps/s", "ratio");
    // `cargo bench --bench order -- 256` runs that level only.
    let mut levels: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if levels.is_empty() {
        levels = vec![1, 16, 256];
    }
    for at_a_time in levels {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            ours += runtime.block_on(by_saga::round(at_a_time))?;
            theirs += runtime.block_on(by_hand::round(at_a_time))?;
        }
        let (ours, theirs) = (ours / f64::from(ROUNDS), theirs / f64::from(ROUNDS));
        println!("{at_a_time:>10} {:>16.0} {:>16.0} {:>8.2}", ours * STEPS, theirs * STEPS, ours / theirs);
    }
    Ok(())
}

/// Runs sagas for one round, so many at a time; returns sagas per second.
pub async fn drive<F, R>(at_a_time: usize, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let (one, next) = (Arc::new(one), Arc::new(AtomicU64::new(1)));
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..at_a_time {
        let (one, next) = (Arc::clone(&one), Arc::clone(&next));
        workers.spawn(async move {
            let mut done = 0_u64;
            while started.elapsed() < ROUND {
                one(next.fetch_add(1, Ordering::Relaxed)).await;
                done += 1;
            }
            done
        });
    }
    let mut done = 0;
    while let Some(worker) = workers.join_next().await {
        done += worker.unwrap_or(0);
    }
    // More sagas than 2^52 do not fit into a round.
    #[allow(clippy::cast_precision_loss)]
    let done = done as f64;
    done / started.elapsed().as_secs_f64()
}
