//! Calls by number: so many in all, so many at a time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Calls `one` with each number below `count`. Returns calls per second.
pub async fn counted<F, R>(at_a_time: usize, count: u64, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let (one, next, began) = (Arc::new(one), Arc::new(AtomicU64::new(0)), Instant::now());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..at_a_time {
        let (one, next) = (Arc::clone(&one), Arc::clone(&next));
        callers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    break;
                }
                one(n).await;
            }
        });
    }
    while callers.join_next().await.is_some() {}
    // No count is above 2^52.
    #[allow(clippy::cast_precision_loss)]
    let count = count as f64;
    count / began.elapsed().as_secs_f64()
}
