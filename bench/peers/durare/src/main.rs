//! durare: a replayed workflow with three checkpointed steps, in one SQLite file.
//!
//! Variant `normal` is its own `SqliteProvider::connect`: WAL and `synchronous = NORMAL`, which has no fsync for each
//! commit. Variant `full` hands it a pool that differs in this one setting.

#![forbid(unsafe_code)]

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use durare::{DurableContext, DurableEngine, Result, SqliteProvider, WorkflowOptions};
use peers_common::{Answer, Args, Measured, Order, activities, check, order};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

#[durare::step]
async fn pay(ctx: &DurableContext, cents: u64) -> Result<u64> {
    Ok(activities::pay(cents))
}

#[durare::step]
async fn ship(ctx: &DurableContext, order: String) -> Result<String> {
    Ok(activities::ship(&order))
}

#[durare::step]
async fn tell(ctx: &DurableContext) -> Result<()> {
    activities::tell();
    Ok(())
}

#[durare::workflow]
async fn process_order(ctx: DurableContext, order: Order) -> Result<Order> {
    let mut order = order;
    order.payment = Some(pay(&ctx, order.cents).await?);
    order.label = Some(ship(&ctx, order.id.clone()).await?);
    tell(&ctx).await?;
    Ok(order)
}

/// The settings of `SqliteProvider::connect`, except for `synchronous`.
async fn full(url: &str) -> Answer<SqliteProvider> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new().max_connections(5).connect_with(options).await?;
    Ok(SqliteProvider::from_pool(pool))
}

async fn side(args: Args) -> Answer<Measured> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("durare.db").display());
    let provider = match args.variant.as_str() {
        "normal" => SqliteProvider::connect(&url).await?,
        "full" => full(&url).await?,
        other => return Err(format!("no variant {other:?}").into()),
    };
    let engine = Arc::new(DurableEngine::builder(Arc::new(provider)).build().await?);
    engine.launch().await?;
    let running = Arc::clone(&engine);
    let measured = peers_common::drive(&args, move |n| {
        let engine = Arc::clone(&running);
        async move {
            let order = order(n);
            let options = WorkflowOptions::with_id(order.id.clone());
            let handle = engine.start_with(ProcessOrder, order, options).await.expect("the order starts");
            check(&handle.await.expect("the order ends"));
        }
    })
    .await?;
    engine.shutdown(Duration::from_secs(5)).await?;
    Ok(measured)
}

fn main() -> Answer<()> {
    peers_common::main(side)
}
