//! durust: a replayed workflow with three activities, in one SQLite file with WAL and `synchronous = FULL`.
//!
//! Variant `run` is `Worker::run` with the settings of the README for throughput and the shortest idle wait that it
//! takes. Variant `drain` calls `run_until_idle` as soon as an order starts, so that no time goes into polling.

#![forbid(unsafe_code)]

mod ends;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use durust::{Client, SqliteBackend, Worker, WorkerEvent, WorkerRunOptions};
use ends::Ends;
use peers_common::{Answer, Args, Measured, Order, activities, check};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Notify;

const QUEUE: &str = "orders";

static ENDS: LazyLock<Ends> = LazyLock::new(Ends::default);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pay {
    cents: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ship {
    order: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tell {
    order: String,
}

#[durust::activity(name = "orders.pay")]
async fn pay(input: Pay) -> durust::Result<u64> {
    Ok(activities::pay(input.cents))
}

#[durust::activity(name = "orders.ship")]
async fn ship(input: Ship) -> durust::Result<String> {
    Ok(activities::ship(&input.order))
}

#[durust::activity(name = "orders.tell")]
async fn tell(input: Tell) -> durust::Result<String> {
    activities::tell();
    Ok(input.order)
}

#[durust::workflow(name = "orders.process", version = 1)]
async fn process(input: Order) -> durust::Result<Order> {
    let mut order = input;
    order.payment = Some(durust::call_activity!(pay(Pay { cents: order.cents })).task_queue(QUEUE).await?);
    order.label =
        Some(durust::call_activity!(ship(Ship { order: order.id.clone() })).task_queue(QUEUE).await?);
    durust::call_activity!(tell(Tell { order: order.id.clone() })).task_queue(QUEUE).await?;
    check(&order);
    ENDS.returned(&order.id);
    Ok(order)
}

/// The numbers are those of the chapter "Worker Registration" of the README, raised to the level of 256 where lower.
fn worker(backend: SqliteBackend) -> Worker<SqliteBackend> {
    Worker::builder(backend)
        .workflow_task_queue(QUEUE)
        .activity_task_queue(QUEUE)
        .register_workflow(process)
        .register_activity(pay)
        .register_activity(ship)
        .register_activity(tell)
        .max_cached_workflows(10_000)
        .max_concurrent_workflow_tasks(256)
        .workflow_task_prefetch_limit(256)
        .workflow_task_commit_batch_size(256)
        .max_concurrent_activities(512)
        .activity_task_batch_size(256)
        .activity_completion_batch_size(256)
        .max_local_activities_per_workflow_task(256)
        .idle_wait(Duration::from_millis(5))
        .max_idle_wait(Duration::from_millis(5))
        .on_event(|event| {
            if let WorkerEvent::WorkflowTaskCommitted { run_id } = event {
                ENDS.committed(&run_id.0);
            }
        })
        .build()
}

async fn work(mut worker: Worker<SqliteBackend>, drain: bool, started: &Notify) -> durust::Result<()> {
    if !drain {
        return worker.run().await;
    }
    loop {
        worker.run_until_idle_with(WorkerRunOptions { max_iterations: usize::MAX }).await?;
        started.notified().await;
    }
}

async fn side(args: Args) -> Answer<Measured> {
    let folder = tempfile::tempdir()?;
    let backend = SqliteBackend::open(folder.path().join("durust.db"))?;
    let drain = match args.variant.as_str() {
        "run" => false,
        "drain" => true,
        other => return Err(format!("no variant {other:?}").into()),
    };
    let (worker, started, runtime) = (worker(backend.clone()), Arc::new(Notify::new()), Handle::current());
    let wake = Arc::clone(&started);
    // A thread: the future of `run_until_idle` cannot move between threads.
    std::thread::spawn(move || {
        let end = runtime.block_on(work(worker, drain, &wake));
        eprintln!("the worker stopped: {end:?}");
        std::process::exit(4);
    });
    let client = Arc::new(Client::new(backend));
    peers_common::drive(&args, move |n| {
        let (client, started) = (Arc::clone(&client), Arc::clone(&started));
        async move {
            let order = peers_common::order(n);
            let id = order.id.clone();
            let run =
                client.start_workflow::<process>(id.clone(), QUEUE, order).await.expect("the order starts");
            let end = ENDS.wait(&run.0, &id);
            started.notify_one();
            end.await.expect("the order ends");
        }
    })
    .await
}

fn main() -> Answer<()> {
    peers_common::main(side)
}
