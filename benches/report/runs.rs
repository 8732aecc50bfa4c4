//! Runs in a process of their own, because they measure memory or need a fresh start.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::counted::counted;
use crate::counter::{ByHand, CounterState, Opened, Side};

const CALLERS: usize = 256;
const TOUCHES: u64 = 60_000;

pub type Answer<T> = Result<T, Box<dyn std::error::Error>>;

/// Runs this program again with these arguments, and returns the numbers that it prints.
pub fn child(args: &[&str]) -> Answer<Vec<f64>> {
    let output = std::process::Command::new(std::env::current_exe()?).arg("child").args(args).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// The main function of such a process.
pub async fn run(args: &[String]) -> Answer<Vec<f64>> {
    let number = |at: usize| -> Answer<u64> { Ok(args.get(at).ok_or("an argument is missing")?.parse()?) };
    match args.first().map(String::as_str) {
        Some("touches") => touches(&args[1], number(2)?).await,
        Some("latency") => latency(&args[1], number(2)?).await,
        Some("fill") => fill(Path::new(&args[1]), number(2)?).await,
        Some("open") => open(Path::new(&args[1])).await,
        Some("beside") => beside(Path::new(&args[1]), number(2)?).await,
        Some("orders") => orders(number(1)?).await,
        Some("timers") => timers(number(1)?).await,
        _ => Err("no such run".into()),
    }
}

fn key(n: u64) -> String {
    format!("counter-{n}")
}

/// A place that looks random, and visits each instance once before it comes again.
fn place(n: u64, of: u64) -> u64 {
    n.wrapping_mul(2_654_435_761) % of
}

/// One of the two programs on a new file.
async fn side(name: &str, folder: &Path) -> Answer<Side> {
    match name {
        "saga" => Side::by_saga(&folder.join("saga.db")).await,
        _ => Ok(Side::ByHand(ByHand::start(&folder.join("hand.db"))?)),
    }
}

/// Begins so many instances. Returns instances per second.
async fn begin(side: &Side, instances: u64) -> f64 {
    let side = side.clone();
    let one = move |n| {
        let side = side.clone();
        async move { side.open(key(n)).await }
    };
    counted(CALLERS, instances, one).await
}

// No count is above 2^52.
#[allow(clippy::cast_precision_loss)]
fn number(count: u64) -> f64 {
    count as f64
}

/// Memory of this process in MiB.
fn memory() -> f64 {
    number(memory_kib()) / 1024.0
}

pub fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Random events to instances in flight: new instances a second, events a second, MiB.
async fn touches(name: &str, instances: u64) -> Answer<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let side = side(name, folder.path()).await?;
    let new = begin(&side, instances).await;
    let to = side.clone();
    let touched = counted(CALLERS, TOUCHES, move |n| {
        let to = to.clone();
        async move { to.touch(key(place(n, instances))).await }
    });
    let touched = touched.await;
    let memory = memory();
    side.end().await?;
    Ok(vec![new, touched, memory])
}

/// Sends so many events a second for five seconds, whether the earlier ones are answered or not. Returns the wait that
/// 99 % of them do not exceed, in milliseconds.
async fn steadily<F, R>(rate: u64, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let one = Arc::new(one);
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut events = tokio::task::JoinSet::new();
    for round in 0..5_000 {
        tick.tick().await;
        for n in round * rate / 1_000..(round + 1) * rate / 1_000 {
            let one = Arc::clone(&one);
            events.spawn(async move {
                let began = Instant::now();
                one(n).await;
                began.elapsed()
            });
        }
    }
    let mut waits = events.join_all().await;
    waits.sort_unstable();
    waits.get(waits.len() * 99 / 100).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
}

const STEADY: u64 = 1_000;

async fn latency(name: &str, rate: u64) -> Answer<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let side = side(name, folder.path()).await?;
    begin(&side, STEADY).await;
    let to = side.clone();
    let p99 = steadily(rate, move |n| {
        let to = to.clone();
        async move { to.touch(key(place(n, STEADY))).await }
    });
    let p99 = p99.await;
    side.end().await?;
    Ok(vec![p99])
}

/// Fills a file with instances that wait.
async fn fill(path: &Path, instances: u64) -> Answer<Vec<f64>> {
    let side = Side::by_saga(path).await?;
    let new = begin(&side, instances).await;
    side.end().await?;
    Ok(vec![new])
}

/// Begins 50,000 instances in a file with other waiting instances: instances per second. `turn` gives them new keys.
async fn beside(path: &Path, turn: u64) -> Answer<Vec<f64>> {
    let side = Side::by_saga(path).await?;
    // The start compares the names of all instances in the background. The second comparison ends after the first one.
    if let Side::Saga(dispatcher) = &side {
        dispatcher.unknown_names().await?;
    }
    let to = side.clone();
    let new = counted(CALLERS, 50_000, move |n| {
        let to = to.clone();
        async move { to.open(format!("beside-{turn}-{n}")).await }
    });
    let new = new.await;
    side.end().await?;
    Ok(vec![new])
}

/// Opens a file with many waiting instances: milliseconds to the start, milliseconds of the first step, MiB.
async fn open(path: &Path) -> Answer<Vec<f64>> {
    let began = Instant::now();
    let side = Side::by_saga(path).await?;
    let started = began.elapsed();
    side.touch(key(7)).await;
    let stepped = began.elapsed() - started;
    let memory = memory();
    side.end().await?;
    Ok(vec![started.as_secs_f64() * 1e3, stepped.as_secs_f64() * 1e3, memory])
}

/// MiB after so many orders, 256 at a time.
async fn orders(sagas: u64) -> Answer<Vec<f64>> {
    crate::LIMIT.store(sagas, Ordering::SeqCst);
    crate::by_saga::round(CALLERS, true).await?;
    Ok(vec![number(crate::MEMORY.load(Ordering::SeqCst)) / 1024.0])
}

/// So many timers due at once: seconds until all have fired, and the longest of 99 % of other events in milliseconds.
async fn timers(count: u64) -> Answer<Vec<f64>> {
    use crate::timed::{Rung, TimedState};
    let folder = tempfile::tempdir()?;
    let store = saga::SqliteStore::open(folder.path().join("saga.db"))?;
    let dispatcher =
        saga::Dispatcher::builder(store).saga::<TimedState>().saga::<CounterState>().start().await?;
    // All timers are due at one moment, which is late enough for the last of them to be set.
    let due = std::time::SystemTime::now() + Duration::from_secs(10 + count / 8_000);
    let due_ms = u64::try_from(due.duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    let to = dispatcher.clone();
    let set = counted(CALLERS, count, move |n| {
        let to = to.clone();
        async move { drop(to.publish(Rung { key: key(n), due_ms }).await.expect("accepted")) }
    });
    set.await;
    let wait = due
        .duration_since(std::time::SystemTime::now())
        .map_err(|_| "the timers were due before all were set")?;
    tokio::time::sleep(wait).await;
    let began = Instant::now();
    let others = dispatcher.clone();
    let running = Arc::new(AtomicBool::new(true));
    let on = Arc::clone(&running);
    let latencies = tokio::spawn(async move {
        let (mut all, mut n) = (Vec::new(), 0);
        while on.load(Ordering::Relaxed) {
            let began = Instant::now();
            others.publish(Opened { key: key(n) }).await.expect("accepted");
            all.push(began.elapsed());
            n += 1;
        }
        all
    });
    let last = dispatcher.clone();
    let settled = counted(CALLERS, count, move |n| {
        let last = last.clone();
        async move { drop(last.settled::<TimedState>(key(n)).await.expect("settled")) }
    });
    settled.await;
    let drained = began.elapsed();
    running.store(false, Ordering::Relaxed);
    let mut latencies = latencies.await?;
    latencies.sort_unstable();
    let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
    dispatcher.shutdown(Duration::from_secs(5)).await?;
    Ok(vec![drained.as_secs_f64(), p99.as_secs_f64() * 1e3])
}
