//! What each side of the comparison shares: the order, the activities, the arguments, the clock and the printed line.
//!
//! This crate has no database and no engine, so that it resolves together with each peer.

#![forbid(unsafe_code)]

mod args;
mod drive;
#[path = "../../../../benches/order/order.rs"]
mod order;
mod process;

pub use args::Args;
pub use drive::{Measured, drive};
pub use order::Order;

/// How a side answers: a reason in words is shown in the table.
pub type Answer<T> = Result<T, Box<dyn std::error::Error>>;

/// The activities of the order. They answer at once, so that the engine is measured and not the work.
pub mod activities {
    /// Takes the money. Returns the number of the payment.
    #[must_use]
    pub fn pay(cents: u64) -> u64 {
        cents
    }

    /// Orders the parcel. Returns its label.
    #[must_use]
    pub fn ship(order: &str) -> String {
        order.to_owned()
    }

    /// Tells the customer.
    pub fn tell() {}
}

/// The order that a side starts with.
#[must_use]
pub fn order(n: u64) -> Order {
    Order::new(order_id(n))
}

/// The key of an order.
#[must_use]
pub fn order_id(n: u64) -> String {
    format!("order-{n}")
}

/// Stops the program if an order did not run through all its steps: a fast wrong side must not be in the table.
///
/// # Panics
///
/// If the payment or the label is not the one of this order.
pub fn check(order: &Order) {
    assert_eq!(order.payment, Some(order.cents), "order {} is paid", order.id);
    assert_eq!(order.label.as_deref(), Some(order.id.as_str()), "order {} is shipped", order.id);
}

/// Runs one side: reads the arguments, measures on a runtime with its default number of threads, prints one line.
///
/// # Errors
///
/// The error of the side, or of the runtime.
pub fn main<F, R>(side: F) -> Answer<()>
where
    F: FnOnce(Args) -> R,
    R: Future<Output = Answer<Measured>>,
{
    let args = Args::read()?;
    process::end_after(args.limit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let line = runtime.block_on(side(args.clone()))?.line(&args);
    println!("{line}");
    // The databases lie in folders that are removed by now. What still runs in the background would find nothing.
    std::process::exit(0)
}
