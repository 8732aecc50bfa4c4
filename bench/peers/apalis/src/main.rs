//! apalis: a flow of four steps by apalis-workflow, each a job in one SQLite file.
//!
//! Variant `setup` is `SqliteStorage::setup` as its documents show it, which sets `synchronous = OFF`. Variant `full` has
//! WAL and FULL instead. Both have a pool of one connection: with more, writers wait for the lock of the database.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use apalis::prelude::*;
use apalis_sqlite::{Config, SqlitePoolOptions, SqliteStorage};
use apalis_workflow::{SteppedFlow, WorkflowSink};
use peers_common::{Answer, Args, Measured, Order, activities, check};
use tokio::sync::oneshot;

/// Who waits for which order. A flow is a new job for each step, so no identifier leads from the first to the last.
static WAITING: LazyLock<Mutex<HashMap<String, oneshot::Sender<()>>>> = LazyLock::new(Mutex::default);

fn waiting() -> std::sync::MutexGuard<'static, HashMap<String, oneshot::Sender<()>>> {
    WAITING.lock().expect("nothing panics under this lock")
}

async fn place(order: Order) -> Result<Order, BoxDynError> {
    Ok(order)
}

async fn pay(mut order: Order) -> Result<Order, BoxDynError> {
    order.payment = Some(activities::pay(order.cents));
    Ok(order)
}

async fn ship(mut order: Order) -> Result<Order, BoxDynError> {
    order.label = Some(activities::ship(&order.id));
    Ok(order)
}

async fn tell(order: Order) -> Result<(), BoxDynError> {
    activities::tell();
    check(&order);
    if let Some(sender) = waiting().remove(&order.id) {
        // A waiter that has gone needs no answer.
        let _ = sender.send(());
    }
    Ok(())
}

async fn side(args: Args) -> Answer<Measured> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("apalis.db").display());
    // Each pragma of `setup` reaches one connection of a pool, so only a pool of one has them all.
    let pool = SqlitePoolOptions::new().max_connections(1).connect(&url).await?;
    SqliteStorage::setup(&pool).await?;
    match args.variant.as_str() {
        "setup" => {}
        "full" => {
            sqlx::query("PRAGMA synchronous = FULL").execute(&pool).await?;
        }
        other => return Err(format!("no variant {other:?}").into()),
    }
    let config = Config::default().queue("orders").batch_size(256).lock_tasks(false);
    let storage =
        SqliteStorage::<Order>::new(&pool).with_config(config).poll_with_interval(Duration::from_millis(5));
    let starts = storage.clone();
    let flow = SteppedFlow::new("orders").and_then(place).and_then(pay).and_then(ship).and_then(tell);
    let worker = WorkerBuilder::new("orders").backend(storage).concurrency(256).build(flow);
    let working = tokio::spawn(worker.run());
    let measured = peers_common::drive(&args, move |n| {
        let mut starts = starts.clone();
        async move {
            let order = peers_common::order(n);
            let (sender, end) = oneshot::channel();
            waiting().insert(order.id.clone(), sender);
            starts.push_start(order).await.expect("the order starts");
            end.await.expect("the order ends");
        }
    })
    .await;
    if working.is_finished() {
        return Err(format!("the worker stopped: {:?}", working.await).into());
    }
    working.abort();
    measured
}

fn main() -> Answer<()> {
    peers_common::main(side)
}
