//! The order saga through the public API against hand-written programs that do the same work, in one run.
//!
//! Four events, three commands that are answered at once, about 300 bytes of JSON data. All sides write per step: the
//! instance, one line of history, the task that ended and the one that begins, the obligation, the timer. The
//! hand-written sides are what a careful person would write for this one process: a writer thread with group commit,
//! prepared statements, time-ordered ids, finished tasks deleted. They have no recovery, no retries and no inspection.
//!
//! Rounds alternate, so that noise hits all sides. The ratio is what counts. `cargo bench --bench order -- 256 relaxed`
//! runs one level without an fsync for each commit.

#![allow(clippy::print_stdout, missing_docs, unreachable_pub)] // A program, not a library.

mod by_hand;
mod by_saga;
mod order;
mod rates;

pub use order::Order;
pub use rates::drive;
use rates::{STEPS, rates};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let args: Vec<String> = std::env::args().collect();
    let durable = !args.iter().any(|arg| arg == "relaxed");
    println!(
        "{} bytes of data, {STEPS} steps a saga, steps per second, {}",
        serde_json::to_string(&Order::new("order-1".to_owned()))?.len(),
        if durable { "each commit durable" } else { "no fsync for each commit" }
    );
    println!(
        "{:>10} {:>10} {:>10} {:>7} {:>10} {:>7}",
        "at a time", "saga", "by hand", "ratio", "narrow", "ratio"
    );
    let mut levels: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    if levels.is_empty() {
        levels = vec![1, 16, 256];
    }
    for at_a_time in levels {
        let found = rates(&runtime, at_a_time, durable)?;
        let [saga, hand, narrow] = [found.saga, found.by_hand, found.by_hand_narrow].map(|rate| rate.sagas);
        println!(
            "{:>10} {:>10.0} {:>10.0} {:>7.2} {:>10.0} {:>7.2}",
            found.at_a_time,
            saga * STEPS,
            hand * STEPS,
            saga / hand,
            narrow * STEPS,
            saga / narrow
        );
    }
    Ok(())
}
