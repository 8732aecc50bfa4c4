//! Three processes share the work on one PostgreSQL database.
//!
//! ```text
//! cargo run --example cluster --features postgres
//! ```
//!
//! The example makes a PostgreSQL server for itself, from the programs that are installed (Debian: `postgresql`). It starts
//! three nodes, which share the shards of the store. It places the orders of the order example, and kills one node after the
//! other. The others take its shards over, and it gets its part again when it is back. Every other time the example only freezes
//! the node, until its shards are taken over: such a node must not do anything any more. At the end no node is left, and the
//! report compares every order with the books of the bank.
//!
//! | file | content |
//! |---|---|
//! | `main.rs` | the orders, the blows, and the report |
//! | `node.rs` | a node: it shares the store with the others |
//! | `nodes.rs` | the processes of the nodes |
//! | `options.rs` | the command line |
//!
//! The saga, the handlers and the bank are those of `examples/order`. Only the store is another one.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, unreachable_pub)] // A program, not a library.
#![allow(dead_code)] // The modules of the order example are used in part.

#[path = "../order/bank.rs"]
mod bank;
#[path = "../../saga-postgres/tests/support/mod.rs"]
mod cluster;
#[path = "../order/ledger.rs"]
mod ledger;
mod node;
mod nodes;
mod options;
#[path = "../order/orders.rs"]
mod orders;
#[path = "../order/report.rs"]
mod report;
#[path = "../order/saga.rs"]
mod saga;
#[path = "../order/shop.rs"]
mod shop;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ::saga::error::{PublishError, chain};
use ::saga::store::Inspect;
use ::saga::{MessageId, PostgresStore, StandBy};
use serde::Serialize;

use bank::{Bank, Trouble};
use cluster::Cluster;
use ledger::{Calls, Ledger};
use nodes::Nodes;
use options::{HELP, Mode, Options};
use orders::Orders;
use report::{Figures, Report};
use saga::OrderPlaced;
use shop::Shop;

type Anything = Box<dyn std::error::Error>;

/// The schema of the store.
const SCHEMA: &str = "shop";

fn main() -> ExitCode {
    let mode = match options::parse(std::env::args().skip(1)) {
        Ok(mode) => mode,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| match mode {
        Mode::Help => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Mode::Node(node) => runtime.block_on(node::run(&node)).map(|()| ExitCode::SUCCESS),
        Mode::Cluster(options) => runtime.block_on(run(&options)),
    });
    done.unwrap_or_else(|error| {
        eprintln!("{}", chain(&*error));
        ExitCode::FAILURE
    })
}

/// What the last line says.
#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    figures: Figures,
    /// Nodes that were killed while they ran a shard.
    kills: usize,
    /// Nodes that were frozen while they ran a shard, until the others had taken over.
    freezes: usize,
    /// The longest time from a blow until each shard has an owner again, in milliseconds.
    longest_gap_ms: u128,
    /// How often a shard has moved at most, while the nodes were replaced by those of a later release.
    moves: usize,
    /// How long the owner may be silent, in milliseconds.
    ttl_ms: u128,
}

async fn run(options: &Options) -> Result<ExitCode, Anything> {
    let Some(cluster) = Cluster::start() else {
        return Err(
            "there is no PostgreSQL on this machine; install it (Debian: apt install postgresql)".into()
        );
    };
    let folder = tempfile::tempdir()?;
    let bank = folder.path().join("bank");
    println!("PostgreSQL {}\nbank       {}", cluster.config, bank.display());
    let orders = match options.count {
        Some(count) => Orders::generate(count),
        None => Orders::bundled(),
    };
    let store = store(&cluster.config, options.ttl, Some(options.shards)).await?;
    let mut nodes = Nodes::start(&cluster.config, &bank, options)?;

    // A process that never takes over can publish as well.
    let trouble = Trouble { seed: options.seed, decline: 10, label_refused: 20, flaky: 20 };
    let shop = Shop::new(Bank::open(&bank, trouble)?, Duration::ZERO);
    let publisher = shop.dispatcher(store.clone()).owner("publisher").stand_by().await?;
    let started = Instant::now();
    let placed = tokio::spawn(place(publisher, orders.good.clone(), options.pause));
    let blows = nodes.strike(options).await?;
    placed.await??;
    println!("all {} orders are placed", orders.good.len());
    settled(&store, orders.good.len() as u64).await?;
    let seconds = started.elapsed().as_secs_f64();
    nodes.stop().await?;

    // Nobody runs the sagas now, so the report can.
    let dispatcher = shop.dispatcher(store).join().await?;
    let ledger = Ledger::of(&Calls::read(&bank)?.calls);
    let mut report = Report::draw_up(&dispatcher, &orders.good, &ledger).await?;
    dispatcher.shutdown(Duration::from_secs(10)).await?;
    report.figures.seconds = seconds;
    report.print(false)?;
    let summary = Summary {
        figures: report.figures,
        kills: blows.kills,
        freezes: blows.freezes,
        longest_gap_ms: blows.longest_gap.as_millis(),
        moves: blows.moves,
        ttl_ms: options.ttl.as_millis(),
    };
    println!(
        "{} nodes were killed and {} frozen; after at most {} ms the others had taken over (an owner may be silent for {} ms)",
        summary.kills, summary.freezes, summary.longest_gap_ms, summary.ttl_ms
    );
    if options.json {
        println!("{}", serde_json::to_string(&summary)?);
    }
    Ok(if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opens the store of the shop. The first process creates it with this number of shards.
async fn store(
    config: &str,
    ttl: Duration,
    shards: Option<u16>,
) -> Result<PostgresStore, ::saga::error::StoreError> {
    let options = PostgresStore::options().schema(SCHEMA).ttl(ttl);
    let options = match shards {
        Some(shards) => options.shards(shards),
        None => options,
    };
    options.connect(config).await
}

/// Places the orders one after the other. An order that may have been placed is placed again under the same id.
async fn place(publisher: StandBy, orders: Vec<OrderPlaced>, pause: Duration) -> Result<(), String> {
    for order in orders {
        let id = MessageId::new(&order.order).map_err(|error| error.to_string())?;
        loop {
            match publisher.publish_as(id.clone(), order.clone()).await {
                Ok(_) => break,
                Err(PublishError::NotStored { .. } | PublishError::Unknown { .. }) => {}
                Err(error) => return Err(format!("order {id}: {}", chain(&error))),
            }
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Waits until every order has ended.
async fn settled(store: &PostgresStore, orders: u64) -> Result<(), Anything> {
    loop {
        let counts = store.counts().await?;
        let ended = counts.iter().filter(|count| count.status.is_some_and(|status| status.is_over()));
        if ended.map(|count| count.instances).sum::<u64>() == orders {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
