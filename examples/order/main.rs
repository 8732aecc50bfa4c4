//! A small shop. Orders are paid, shipped, and undone when something fails; the bank declines some payments, the
//! carrier refuses some parcels, and now and then an answer gets lost.
//!
//! This is where we are going: whatever happens, and wherever this process is killed, every order is charged once or
//! not at all, and every order that does not leave the house gets its money back exactly once. The whole process is
//! this table; the actions it names are in `saga.rs`.
//!
//! ```
//! #[derive(Saga, Clone, Debug, PartialEq, Serialize, Deserialize)]
//! #[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
//! #[initially(when(
//!     OrderPlaced,
//!     run(place),
//!     send(MakePayment, undo(VoidPayment)),
//!     transition_to(AwaitingPayment)
//! ))]
//! #[during_any(when(CancelRequested, compensate, transition_to(Cancelled)))]
//! #[unhandled(reject)]
//! pub enum OrderState {
//!     #[during(
//!         when(
//!             PaymentCompleted,
//!             not_owed(VoidPayment),
//!             run(keep_receipt),
//!             send(CreateShippingLabel, undo(VoidLabel)),
//!             transition_to(AwaitingShipment)
//!         ),
//!         when(any(PaymentDeclined, failed(MakePayment)), not_owed(VoidPayment), transition_to(PaymentFailed)),
//!         when(unknown(MakePayment), compensate, transition_to(PaymentFailed)),
//!         timeout(minutes = 15, compensate, transition_to(Cancelled))
//!     )]
//!     AwaitingPayment,
//!
//!     #[compensate_with(RefundPayment)]
//!     #[during(
//!         when(LabelCreated, publish(OrderCompleted), transition_to(Completed)),
//!         when(any(LabelRefused, failed(CreateShippingLabel)), compensate, transition_to(Cancelled)),
//!         when(unknown(CreateShippingLabel), park)
//!     )]
//!     AwaitingShipment(Paid),
//!
//!     #[terminal]
//!     Completed,
//!     #[terminal(failure)]
//!     PaymentFailed,
//!     #[terminal(failure)]
//!     #[on_enter(publish(OrderCancelled))]
//!     Cancelled,
//! }
//! ```
//!
//! `bank.rs` is the outside world with its own memory (`ledger.rs`), `shop.rs` the handlers that call it, `orders.rs`
//! where orders come from, `report.rs` the end of the day. `cargo run --release --example order -- --help` lists the
//! options.

#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub)] // A program, not a library.

mod bank;
mod ledger;
mod options;
mod orders;
mod report;
mod saga;
mod shop;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::saga::error::PublishError;
use ::saga::{Dispatcher, Health, MessageId, SqliteStore};
use tokio::task::{JoinError, JoinSet};

use bank::{Bank, Trouble};
use ledger::{Calls, Ledger};
use options::{HELP, Options};
use orders::Orders;
use report::Report;
use saga::{OrderPlaced, OrderState};
use shop::{AT_ONCE, Shop};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let run = async {
        let orders = orders(&options)?;
        let report = run(&options, &orders.good).await?;
        report.print(options.json)?;
        Ok::<_, Box<dyn std::error::Error>>(match (report.wrong.is_empty(), orders.malformed.is_empty()) {
            (false, _) => ExitCode::FAILURE,
            (true, false) => ExitCode::from(3),
            (true, true) => ExitCode::SUCCESS,
        })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run)).unwrap_or_else(|error| {
        eprintln!("{}", ::saga::error::chain(&*error));
        ExitCode::FAILURE
    })
}

fn orders(options: &Options) -> Result<Orders, String> {
    let orders = match (&options.orders, options.count) {
        (Some(path), _) => Orders::read(path)?,
        (None, Some(count)) => Orders::generate(count),
        (None, None) => Orders::bundled(),
    };
    for malformed in &orders.malformed {
        eprintln!("{malformed}");
    }
    Ok(orders)
}

/// Runs the orders until each has settled, and draws up the report.
async fn run(options: &Options, orders: &[OrderPlaced]) -> Result<Report, Box<dyn std::error::Error>> {
    for path in [&options.db, &options.bank] {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    println!("database {}\nbank     {}", options.db.display(), options.bank.display());
    let dispatcher = open(options).await?;
    tokio::spawn(tell_of_trouble(dispatcher.clone()));

    let started = Instant::now();
    let wrong = drive(&dispatcher, orders).await;
    let seconds = started.elapsed().as_secs_f64();

    let ledger = Ledger::of(&Calls::read(&options.bank)?.calls);
    let mut report = Report::draw_up(&dispatcher, orders, &ledger).await?;
    report.wrong.extend(wrong);
    let counts = dispatcher.clone();
    if let Err(error) = dispatcher.shutdown(Duration::from_secs(10)).await {
        report.wrong.push(format!("the shop does not close: {}", ::saga::error::chain(&error)));
    }
    report.figures.steps = counts.counters().steps;
    report.figures.seconds = seconds;
    Ok(report)
}

async fn open(options: &Options) -> Result<Dispatcher, Box<dyn std::error::Error>> {
    let Options { seed, decline, label_refused, flaky, .. } = *options;
    let bank = Bank::open(&options.bank, Trouble { seed, decline, label_refused, flaky })
        .map_err(|error| format!("{}: {error}", options.bank.display()))?;
    let shop = Shop::new(bank, Duration::from_millis(options.delay_ms));
    Ok(shop.dispatcher(SqliteStore::open(&options.db)?).start().await?)
}

/// Places the orders and waits for each to settle; returns what went wrong.
async fn drive(dispatcher: &Dispatcher, orders: &[OrderPlaced]) -> Vec<String> {
    let (total, settled) = (orders.len(), Arc::new(AtomicUsize::new(0)));
    let mut wrong = Vec::new();
    let mut under_way = JoinSet::new();
    for order in orders {
        if under_way.len() >= AT_ONCE {
            wrong.extend(under_way.join_next().await.and_then(trouble));
        }
        let (dispatcher, order, settled) = (dispatcher.clone(), order.clone(), Arc::clone(&settled));
        under_way.spawn(async move {
            settle(&dispatcher, order).await?;
            let done = settled.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(100) || done == total {
                eprintln!("{done} of {total} orders are settled");
            }
            Ok(())
        });
    }
    while let Some(joined) = under_way.join_next().await {
        wrong.extend(trouble(joined));
    }
    wrong
}

/// Places one order, which changes nothing when it has been placed before, and waits for its end.
async fn settle(dispatcher: &Dispatcher, order: OrderPlaced) -> Result<(), String> {
    let number = order.order.clone();
    let says = |error: &dyn std::fmt::Display| format!("order {number}: {error}");
    let id = MessageId::new(&number).map_err(|error| says(&error))?;
    let receipt = dispatcher.publish_as(id, order).await.map_err(|error| match error {
        PublishError::IdConflict { .. } => says(&"it has been placed before with other contents"),
        error => says(&error),
    })?;
    if !receipt.is_accepted() {
        return Err(says(&"it could not be started and lies with the dead letters"));
    }
    dispatcher.settled::<OrderState>(&number).await.map_err(|error| says(&error))?;
    Ok(())
}

fn trouble(joined: Result<Result<(), String>, JoinError>) -> Option<String> {
    match joined {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(error) => Some(error.to_string()),
    }
}

/// Says on stderr why nothing moves, while that is so.
async fn tell_of_trouble(dispatcher: Dispatcher) {
    loop {
        match dispatcher.health_changed().await {
            Health::Running => eprintln!("the database is back"),
            Health::Degraded { why, .. } => eprintln!("waiting for the database: {why}"),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_story_shows_the_table_as_it_is() {
        let story = include_str!("main.rs").split("//! ```\n").nth(1).expect("a block of code");
        let shown = story.lines().map(|line| line.trim_start_matches("//!"));
        let table = include_str!("saga.rs");
        let table = &table[table.find("#[derive(Saga").expect("a saga")..];
        let real = table.lines().filter(|line| !line.trim_start().starts_with("///"));
        for (shown, real) in shown.zip(real) {
            assert_eq!(shown.strip_prefix(' ').unwrap_or(shown), real);
        }
    }
}
