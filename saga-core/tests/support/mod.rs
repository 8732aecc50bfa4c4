//! The order saga of the simulation, for the tests of the machine and of the dispatcher.

#![allow(dead_code, unreachable_pub)] // Each test file uses its own part of it.

#[path = "../../src/engine/simulation/order.rs"]
mod order;

pub use order::*;
