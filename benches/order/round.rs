//! One round of a measurement.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs sagas for the time of a round, so many at a time. Returns sagas per second.
pub async fn drive<F, R>(round: Duration, at_a_time: usize, one: F) -> f64
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
            while started.elapsed() < round {
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
