//! A small shop. Orders are paid, shipped, and undone when something fails; the bank declines some payments, the
//! carrier refuses some parcels, and now and then an answer gets lost.
//!
//! This is where we are going: whatever happens, and wherever this process is killed, every order is charged once or
//! not at all, and every order that does not leave the house gets its money back exactly once.
//!
//! ```text
//! start ──OrderPlaced──▶ AwaitingPayment ──PaymentCompleted──▶ AwaitingShipment ──LabelCreated──▶ Completed
//!                          │ declined, refused      │ unknown, 15 min, cancel    │ refused, cancel
//!                          ▼                        ▼ void the payment           ▼ refund it, void the label
//!                     PaymentFailed            PaymentFailed, Cancelled       Cancelled
//! ```
//!
//! The table is in `saga.rs`. `cargo run --release --example order -- --help` lists the options.

#![allow(clippy::print_stdout, clippy::print_stderr, unreachable_pub)] // A program, not a library.

mod bank;
mod options;
mod orders;
mod report;
mod saga;
mod shop;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::saga::{Dispatcher, Policy, SqliteStore};
use tokio::task::JoinSet;

use bank::{Bank, Ledger, Trouble};
use options::{HELP, Options};
use orders::Orders;
use saga::{
    CreateShippingLabel, MakePayment, OrderPlaced, OrderState, RefundPayment, VoidLabel, VoidPayment,
};
use shop::{MailRoom, Shop};

/// Orders under way at the same time.
const AT_ONCE: usize = 256;

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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&options)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let orders = match (&options.orders, options.count) {
        (Some(path), _) => Orders::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
        (None, Some(count)) => Orders::generate(count),
        (None, None) => Orders::bundled(),
    };
    for malformed in &orders.malformed {
        eprintln!("{malformed}");
    }
    // The same order twice in one file is one order.
    let mut seen = HashSet::new();
    let good: Vec<OrderPlaced> =
        orders.good.into_iter().filter(|order| seen.insert(order.order.clone())).collect();
    for path in [&options.db, &options.bank] {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
    }
    println!("database {}\nbank     {}", options.db.display(), options.bank.display());

    let started = Instant::now();
    let dispatcher = open(options).await?;
    let settled = drive(&dispatcher, &good).await;
    let counts = dispatcher.clone();
    let seconds = started.elapsed().as_secs_f64();
    let ledger = Ledger::read(&options.bank)?;
    let mut report = report::draw_up(&dispatcher, &good, &ledger).await?;
    report.wrong.extend(settled);
    dispatcher.shutdown(Duration::from_secs(10)).await?;
    report.figures.steps = counts.tally().steps;
    report.figures.seconds = seconds;
    report.print(options.json)?;
    Ok(match (report.wrong.is_empty(), orders.malformed.is_empty()) {
        (false, _) => ExitCode::FAILURE,
        (true, false) => ExitCode::from(3),
        (true, true) => ExitCode::SUCCESS,
    })
}

async fn open(options: &Options) -> Result<Dispatcher, Box<dyn std::error::Error>> {
    let Options { seed, decline, label_refused, flaky, .. } = *options;
    let bank = Bank::open(&options.bank, Trouble { seed, decline, label_refused, flaky })?;
    let shop = Shop::new(bank, Duration::from_millis(options.delay_ms));
    // The defaults try for a day; a demonstration should not.
    let policy =
        || Policy::default().backoff(Duration::from_millis(20), Duration::from_millis(500)).concurrency(256);
    Ok(Dispatcher::builder(SqliteStore::open(&options.db)?)
        .saga::<OrderState>()
        .handler_with::<MakePayment>(shop.clone(), policy())
        .handler_with::<VoidPayment>(shop.clone(), policy())
        .handler_with::<RefundPayment>(shop.clone(), policy())
        .handler_with::<CreateShippingLabel>(shop.clone(), policy())
        .handler_with::<VoidLabel>(shop, policy())
        .subscribe::<saga::OrderCompleted>("completed-mail", MailRoom)
        .subscribe::<saga::OrderCancelled>("cancelled-mail", MailRoom)
        .start()
        .await?)
}

/// Places the orders and waits for each to settle; returns what went wrong.
async fn drive(dispatcher: &Dispatcher, orders: &[OrderPlaced]) -> Vec<String> {
    let settled = Arc::new(AtomicU64::new(0));
    let mut wrong = Vec::new();
    let mut under_way = JoinSet::new();
    let total = orders.len();
    for order in orders {
        if under_way.len() >= AT_ONCE {
            wrong.extend(under_way.join_next().await.and_then(outcome));
        }
        let (dispatcher, order, settled) = (dispatcher.clone(), order.clone(), Arc::clone(&settled));
        under_way.spawn(async move {
            let id = order.order.clone();
            dispatcher.publish(order).await.map_err(|error| format!("order {id}: {error}"))?;
            dispatcher.settled::<OrderState>(&id).await.map_err(|error| format!("order {id}: {error}"))?;
            let done = settled.fetch_add(1, Ordering::Relaxed) + 1;
            if done % 100 == 0 || done == total as u64 {
                eprintln!("{done} of {total} orders are settled");
            }
            Ok(())
        });
    }
    while let Some(joined) = under_way.join_next().await {
        wrong.extend(outcome(joined));
    }
    wrong
}

fn outcome(joined: Result<Result<(), String>, tokio::task::JoinError>) -> Option<String> {
    match joined {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(error) => Some(error.to_string()),
    }
}
