//! The order as a saga, in the test kit: the pure machine without a store, a dispatcher and a clock.

use saga::testing::Given;

use crate::Event;
use crate::order_saga::{OrderState, Paid, Placed, Shipped, Told};

/// Runs one order. Returns whether it has ended.
pub fn run(events: [Event; 4]) -> bool {
    let [Event::Placed { order }, Event::Paid { payment }, Event::Shipped { label }, Event::Told] = events
    else {
        return false;
    };
    let given = Given::<OrderState>::started(Placed { order });
    given.when(Paid { payment }).when(Shipped { label }).when(Told {}).is_over()
}
