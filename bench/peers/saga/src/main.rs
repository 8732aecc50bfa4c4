//! This library: the order saga of `benches/order`, durable, through the public API.
//!
//! The saga is the file of that benchmark itself, so that both measure the same program.

#![forbid(unsafe_code)]

#[path = "../../../../benches/order/by_saga.rs"]
#[allow(unreachable_pub)] // A module of a library's benchmark.
mod by_saga;

use std::sync::OnceLock;

pub use peers_common::Order;
use peers_common::{Answer, Args, Measured};

/// The arguments, and what the round gave: `by_saga::round` knows only its rate.
static ARGS: OnceLock<Args> = OnceLock::new();
static MEASURED: OnceLock<Measured> = OnceLock::new();

fn main() -> Answer<()> {
    peers_common::main(|args| async move {
        let at_a_time = args.at_a_time;
        ARGS.set(args).expect("set once");
        by_saga::round(at_a_time, true).await?;
        Ok(MEASURED.get().cloned().expect("a round drives"))
    })
}

/// What `by_saga` calls with its saga. Returns sagas per second.
pub async fn drive<F, R>(_: usize, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let args = ARGS.get().expect("set by main");
    let measured = peers_common::drive(args, one).await.expect("each saga ends");
    let rate = measured.rate();
    MEASURED.set(measured).expect("set once");
    rate
}
