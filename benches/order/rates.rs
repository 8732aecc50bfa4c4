//! Sagas per second of each side, in rounds that alternate.

use std::future::Future;
use std::time::Duration;

use crate::by_hand::{self, Layout};
use crate::by_saga;

#[path = "round.rs"]
mod round;

const ROUND: Duration = Duration::from_millis(1500);
const ROUNDS: u32 = 4;
/// Steps of one saga.
pub const STEPS: f64 = 4.0;

/// What one side does at one level.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// Sagas per second.
    pub sagas: f64,
    /// Milliseconds of CPU for each saga.
    pub cpu_ms: f64,
}

/// The three sides at one level, in one run.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub at_a_time: usize,
    pub saga: Rate,
    pub by_hand: Rate,
    pub by_hand_narrow: Rate,
}

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures one level.
pub fn rates(runtime: &tokio::runtime::Runtime, at_a_time: usize, durable: bool) -> Answer<Rates> {
    let [mut saga, mut by_hand, mut by_hand_narrow] = [Rate::default(); 3];
    for _ in 0..ROUNDS {
        saga.add(|| runtime.block_on(by_saga::round(at_a_time, durable)))?;
        by_hand.add(|| runtime.block_on(by_hand::round(at_a_time, Layout::Tables, durable)))?;
        by_hand_narrow.add(|| runtime.block_on(by_hand::round(at_a_time, Layout::Narrow, durable)))?;
    }
    Ok(Rates { at_a_time, saga, by_hand, by_hand_narrow })
}

impl Rate {
    fn add(&mut self, round: impl FnOnce() -> Answer<f64>) -> Answer<()> {
        let before = cpu_ms();
        let sagas = round()?;
        let done = sagas * ROUND.as_secs_f64();
        self.sagas += sagas / f64::from(ROUNDS);
        self.cpu_ms += (cpu_ms() - before) / done / f64::from(ROUNDS);
        Ok(())
    }
}

/// The CPU time of this process in milliseconds, where the system tells it.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may hold spaces, and ends with the last bracket.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    // A tick is a hundredth of a second on Linux.
    ticks.sum::<f64>() * 10.0
}

/// Runs sagas for one round, so many at a time. Returns sagas per second.
pub async fn drive<F, R>(at_a_time: usize, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    round::drive(ROUND, at_a_time, one).await
}
