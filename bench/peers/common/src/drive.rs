//! Runs sagas, so many at a time, and measures how long each takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Answer, Args, process};

/// What one round gave.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From the first start to the last end.
    pub elapsed: Duration,
    /// How long each saga took, from the request to its durable end, in microseconds, sorted.
    pub latencies: Vec<u64>,
    /// CPU time of this process in milliseconds.
    pub cpu_ms: f64,
    /// Bytes that this process caused to be written to the disk.
    pub written: f64,
}

/// Runs `one` for each number from 1, so many at a time. New ones start for the time of `args`, all begun ones end.
///
/// Number 0 runs first and is not measured: it opens connections and prepares statements.
///
/// # Errors
///
/// If a saga fails: a failed saga is not counted as a fast one.
pub async fn drive<F, R>(args: &Args, one: F) -> Answer<Measured>
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    one(0).await;
    let (one, next) = (Arc::new(one), Arc::new(AtomicU64::new(1)));
    let (cpu, written) = (process::cpu_ms(), process::written());
    let (began, lasts) = (Instant::now(), args.lasts);
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..args.at_a_time {
        let (one, next) = (Arc::clone(&one), Arc::clone(&next));
        workers.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < lasts {
                let start = Instant::now();
                one(next.fetch_add(1, Ordering::Relaxed)).await;
                latencies.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            latencies
        });
    }
    let mut latencies = Vec::new();
    while let Some(worker) = workers.join_next().await {
        latencies.extend(worker?);
    }
    let elapsed = began.elapsed();
    latencies.sort_unstable();
    Ok(Measured {
        elapsed,
        latencies,
        cpu_ms: process::cpu_ms() - cpu,
        written: process::written() - written,
    })
}

// No count and no time of a round is above 2^52.
#[allow(clippy::cast_precision_loss)]
impl Measured {
    /// Sagas per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency in milliseconds that so many percent of the sagas do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(at).map_or(0.0, |micros| *micros as f64 / 1000.0)
    }

    /// The line that the driver reads.
    #[must_use]
    pub fn line(&self, args: &Args) -> serde_json::Value {
        let sagas = self.latencies.len();
        serde_json::json!({
            "at_a_time": args.at_a_time,
            "variant": args.variant,
            "sagas": sagas,
            "rate": self.rate(),
            "p50_ms": self.percentile(50),
            "p99_ms": self.percentile(99),
            "cpu_ms": self.cpu_ms / sagas as f64,
            "written_kb": self.written / 1000.0 / sagas as f64,
            "peak_mib": process::peak_mib(),
        })
    }
}
