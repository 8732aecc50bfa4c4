//! duroxide: a replayed orchestration with three activities, in one SQLite file.
//!
//! Its provider fixes the settings of SQLite: WAL, a pool of five, and `PRAGMA synchronous = WAL`. That is no value of
//! this pragma, so SQLite takes NORMAL, which has no fsync for each commit.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use peers_common::{Answer, Args, Measured, Order, activities, check, order};

async fn process(ctx: OrchestrationContext, input: String) -> Result<String, String> {
    let mut order: Order = serde_json::from_str(&input).map_err(|error| error.to_string())?;
    let payment = ctx.schedule_activity("Pay", order.cents.to_string()).await?;
    order.payment = payment.parse().ok();
    order.label = Some(ctx.schedule_activity("Ship", order.id.clone()).await?);
    ctx.schedule_activity("Tell", order.id.clone()).await?;
    serde_json::to_string(&order).map_err(|error| error.to_string())
}

fn activities() -> ActivityRegistry {
    ActivityRegistry::builder()
        .register("Pay", |_: ActivityContext, cents: String| async move {
            let cents = cents.parse().map_err(|error| format!("{error}"))?;
            Ok(activities::pay(cents).to_string())
        })
        .register("Ship", |_: ActivityContext, order: String| async move { Ok(activities::ship(&order)) })
        .register("Tell", |_: ActivityContext, _: String| async move {
            activities::tell();
            Ok(String::new())
        })
        .build()
}

/// Waits as `Client::wait_for_orchestration` does, but asks more often when few wait: that call backs off to 100 ms.
async fn end(client: &Client, id: &str, pause: Duration) -> Order {
    loop {
        match client.get_orchestration_status(id).await.expect("the status is read") {
            OrchestrationStatus::Completed { output, .. } => {
                return serde_json::from_str(&output).expect("the output is an order");
            }
            OrchestrationStatus::Failed { details, .. } => panic!("{id}: {}", details.display_message()),
            _ => tokio::time::sleep(pause).await,
        }
    }
}

/// Dispatchers of each kind and their pause, the fastest of those tried. Defaults are 2 and 100 ms, for few queries.
///
/// Idle dispatchers lock the database too. With 16 at level 256 orders failed, because it was locked for too long.
fn options(level: usize) -> RuntimeOptions {
    let (dispatchers, pause) = match level {
        ..16 => (2, 1),
        16..256 => (32, 10),
        256.. => (8, 1),
    };
    RuntimeOptions {
        dispatcher_min_poll_interval: Duration::from_millis(pause),
        orchestration_concurrency: dispatchers,
        worker_concurrency: dispatchers,
        ..RuntimeOptions::default()
    }
}

async fn side(args: Args) -> Answer<Measured> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("duroxide.db");
    std::fs::File::create(&path)?;
    let store = Arc::new(SqliteProvider::new(&format!("sqlite:{}", path.display()), None).await?);
    let orchestrations = OrchestrationRegistry::builder().register("Process", process).build();
    let runtime = Runtime::start_with_options(
        Arc::clone(&store) as _,
        activities(),
        orchestrations,
        options(args.at_a_time),
    )
    .await;
    let client = Client::new(store);
    let pause = Duration::from_millis(args.at_a_time.clamp(1, 100) as u64);
    let measured = peers_common::drive(&args, move |n| {
        let client = client.clone();
        async move {
            let order = order(n);
            let input = serde_json::to_string(&order).expect("an order is JSON");
            client.start_orchestration(&order.id, "Process", input).await.expect("the order starts");
            check(&end(&client, &order.id, pause).await);
        }
    })
    .await?;
    runtime.shutdown(Some(1000)).await;
    Ok(measured)
}

fn main() -> Answer<()> {
    peers_common::main(side)
}
