//! Nanoseconds of a pure step: a hand-written `match`, `statig`, and the saga in its test kit.
//!
//! `cargo run --release --manifest-path bench/peers/step/Cargo.toml`. Rounds alternate, and the best one of each side
//! counts.

#![forbid(unsafe_code)]
#![allow(dead_code)] // Some values are only built.

mod by_match;
mod by_saga;
mod by_statig;
#[path = "../../../../benches/order/order.rs"]
mod order;
#[path = "../../../../benches/order/order_saga.rs"]
mod order_saga;

use std::hint::black_box;
use std::time::Instant;

use by_match::{Machine, State};
pub use order::Order;

/// The inputs of an order.
#[derive(Clone, Debug)]
pub enum Event {
    Placed {
        order: String,
    },
    Paid {
        payment: u64,
    },
    Shipped {
        label: String,
    },
    Told,
    /// No run has it. Without it the compiler would know each state.
    TimedOut,
}

const STEPS: u32 = 4;
const ORDERS: u32 = 20_000;
const ROUNDS: usize = 7;

fn events() -> [Event; 4] {
    black_box([
        Event::Placed { order: "order-1".to_owned() },
        Event::Paid { payment: 129_900 },
        Event::Shipped { label: "order-1".to_owned() },
        Event::Told,
    ])
}

fn transition() {
    let end = events().iter().fold(State::New, Machine::next);
    assert_eq!(end, State::Done);
}

fn whole_step() {
    let mut machine = Machine::new();
    events().into_iter().for_each(|event| machine.step(event));
    assert_eq!((machine.state, machine.commands.len()), (State::Done, 3));
}

fn encoded_step() {
    let mut machine = Machine::new();
    for event in events() {
        machine.step(event);
        black_box(machine.keep());
    }
    assert_eq!(machine.state, State::Done);
}

fn statig() {
    assert_eq!(by_statig::run(events()), 7);
}

fn saga() {
    assert!(by_saga::run(events()));
}

/// Nanoseconds of a step.
fn measure(order: fn()) -> f64 {
    let began = Instant::now();
    for _ in 0..ORDERS {
        order();
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(ORDERS * STEPS)
}

fn main() {
    let sides: [(&str, fn()); 5] = [
        ("match: the transition alone", transition),
        ("statig: data, commands, undos, history", statig),
        ("match: data, commands, undos, history", whole_step),
        ("match: the same, encoded, data read back", encoded_step),
        ("saga: everything, encoded, read back, compared", saga),
    ];
    let mut best = [f64::INFINITY; 5];
    for _ in 0..ROUNDS {
        for (best, (_, order)) in best.iter_mut().zip(sides) {
            *best = best.min(measure(order));
        }
    }
    println!("| nanoseconds of a step, with the events made anew for each order | ns |\n|---|---|");
    for (best, (name, _)) in best.iter().zip(sides) {
        println!("| {name} | {best:.0} |");
    }
}
