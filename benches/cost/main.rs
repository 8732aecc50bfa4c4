//! What one step of the order saga costs in numbers that noise cannot touch: allocations, and bytes written to files.
//!
//! `cargo bench --bench cost` prints them for the saga and for the hand-written program. With `-- check` it fails above the
//! limits. `-- saga 3000 256` runs so many sagas, so many at a time, for a tool that counts instructions. Instead of `saga`:
//! `traced` has a trace context on each event, `noticed` a callback, `read` a page that is read ten times a second, `measured` a
//! recorder of metrics (feature `metrics`), and `watched` all of them.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub)] // A program, not a library.

#[path = "../order/by_hand.rs"]
mod by_hand;
#[path = "../order/by_saga.rs"]
mod by_saga;
#[path = "../order/counted.rs"]
mod counted;
#[path = "../order/order.rs"]
mod order;

use std::alloc::System;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use by_saga::world;
use counted::counted;
pub use order::Order;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Steps of one saga.
const STEPS: u64 = 4;

/// The number of sagas of a run.
static SAGAS: AtomicU64 = AtomicU64::new(0);
static MEASURED: Mutex<Cost> = Mutex::new(Cost { allocations: 0, allocated: 0, written: 0 });

/// The totals of a run.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    allocations: u64,
    allocated: u64,
    written: u64,
}

/// The limits of a step, for one saga at a time and for 256.
const LIMITS: [(u64, u64, Limit); 2] = [
    (1, 500, Limit { allocations: 90.0, written: 19_500.0 }),
    (256, 5_000, Limit { allocations: 46.0, written: 2_000.0 }),
];

#[derive(Debug)]
struct Limit {
    allocations: f64,
    written: f64,
}

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Answer<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let run = |side: &str, sagas: u64, at_a_time: usize| -> Answer<Cost> {
        SAGAS.store(sagas, Ordering::SeqCst);
        let watched = match side {
            "traced" => world::TRACED,
            "noticed" => world::NOTICED,
            "read" => world::READ,
            "watched" => world::TRACED | world::NOTICED | world::READ,
            _ => 0,
        };
        world::WATCHED.store(watched, Ordering::SeqCst);
        #[cfg(feature = "metrics")]
        if ["measured", "watched"].contains(&side) {
            metrics_util::debugging::DebuggingRecorder::new().install()?;
        }
        match side {
            "saga" | "traced" | "noticed" | "read" | "measured" | "watched" => {
                runtime.block_on(by_saga::round(at_a_time, true))?
            }
            _ => runtime.block_on(by_hand::round(at_a_time, by_hand::Layout::Tables, true))?,
        };
        Ok(*MEASURED.lock().expect("no thread panics with the lock"))
    };
    if let [side, sagas, at_a_time] = &args[..] {
        run(side, sagas.parse()?, at_a_time.parse()?)?;
        return Ok(());
    }
    let check = args.iter().any(|arg| arg == "check");
    println!(
        "{:>10} {:>8} {:>14} {:>16} {:>14}",
        "at a time", "", "allocations", "allocated bytes", "written bytes"
    );
    for (at_a_time, sagas, limit) in LIMITS {
        for side in ["saga", "by hand"] {
            let cost = run(side, sagas, usize::try_from(at_a_time)?)?;
            let [allocations, allocated, written] =
                [cost.allocations, cost.allocated, cost.written].map(|total| per_step(total, sagas));
            println!("{at_a_time:>10} {side:>8} {allocations:>14.1} {allocated:>16.0} {written:>14.0}");
            if check && side == "saga" && (allocations > limit.allocations || written > limit.written) {
                return Err(format!("a step costs more than {limit:?} at {at_a_time} sagas at a time").into());
            }
        }
    }
    Ok(())
}

// Totals above 2^52 do not occur.
#[allow(clippy::cast_precision_loss)]
fn per_step(total: u64, sagas: u64) -> f64 {
    total as f64 / (sagas * STEPS) as f64
}

/// Returns the bytes that this process has written to files and pipes.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    field.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Runs the sagas of a run, so many at a time, and measures them without the start and the end of the program.
pub async fn drive<F, R>(at_a_time: usize, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let (region, before) = (Region::new(ALLOCATOR), written());
    let rate = counted(at_a_time, SAGAS.load(Ordering::SeqCst), one).await;
    let change = region.change();
    *MEASURED.lock().expect("no thread panics with the lock") = Cost {
        allocations: (change.allocations + change.reallocations) as u64,
        allocated: change.bytes_allocated as u64,
        written: written() - before,
    };
    rate
}
