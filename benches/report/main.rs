//! Measures what `docs/performance.md` shows, and writes its figures: `cargo bench --bench report`.
//!
//! The tables go between the marks in the document, and the chart beside it. `cargo bench --bench cost` and `cargo bench
//! --bench growth -- sqlite` run as parts of it. The run takes about eight minutes.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, missing_docs, unreachable_pub)] // A program, not a library.

#[path = "../order/by_hand.rs"]
mod by_hand;
#[path = "../order/by_saga.rs"]
mod by_saga;
#[path = "../order/counted.rs"]
mod counted;
mod counter;
#[path = "../order/order.rs"]
mod order;
mod plot;
#[path = "../order/rates.rs"]
mod rates;
mod runs;
mod timed;

use std::fmt::Write;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

pub use order::Order;
use plot::Bar;
use rates::{Rates, STEPS, rates};
use runs::{Answer, child};

/// The number of orders of a run that counts them. 0 for a run by time.
static LIMIT: AtomicU64 = AtomicU64::new(0);
/// The memory after such a run, in KiB.
static MEMORY: AtomicU64 = AtomicU64::new(0);

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md");
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.svg");
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

fn main() -> Answer<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some((first, rest)) = args.split_first()
        && first == "child"
    {
        let numbers = runtime.block_on(runs::run(rest))?;
        println!("{}", numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
        return Ok(());
    }
    let mut tables = String::new();
    let (durable, relaxed) = (all_rates(&runtime, true)?, all_rates(&runtime, false)?);
    for (title, rates) in [("each commit durable", &durable), ("no fsync for each commit", &relaxed)] {
        write_rates(&mut tables, title, rates)?;
    }
    write_touches(&mut tables)?;
    write_rest(&mut tables)?;
    for (title, bench, args) in [
        ("Cost of a step", "cost", vec![]),
        ("One instance with many open things", "growth", vec!["--", "sqlite"]),
    ] {
        let output = std::process::Command::new(env!("CARGO"))
            .args(["bench", "--quiet", "--bench", bench])
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()?;
        write!(tables, "### {title}\n\n```text\n{}\n```\n\n", String::from_utf8(output.stdout)?.trim_end())?;
    }
    let document = std::fs::read_to_string(DOCUMENT)?;
    let (before, rest) = document.split_once(BEGIN).ok_or("the document has no begin mark")?;
    let (_, after) = rest.split_once(END).ok_or("the document has no end mark")?;
    std::fs::write(DOCUMENT, format!("{before}{BEGIN}\n{}{END}{after}", tables.trim_start()))?;
    std::fs::write(CHART, chart(&durable, &relaxed))?;
    print!("{tables}");
    Ok(())
}

fn all_rates(runtime: &tokio::runtime::Runtime, durable: bool) -> Answer<Vec<Rates>> {
    [1, 16, 256].into_iter().map(|at_a_time| rates(runtime, at_a_time, durable)).collect()
}

fn write_rates(out: &mut String, title: &str, all: &[Rates]) -> Answer<()> {
    writeln!(out, "### The order saga, {title}\n")?;
    writeln!(
        out,
        "| at a time | saga: steps/s | by hand | ratio | narrow rows by hand | ratio | CPU ms a saga | by hand |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for Rates { at_a_time, saga, by_hand, by_hand_narrow: narrow } in all {
        writeln!(
            out,
            "| {at_a_time} | {:.0} | {:.0} | **{:.2}** | {:.0} | {:.2} | {:.3} | {:.3} |",
            saga.sagas * STEPS,
            by_hand.sagas * STEPS,
            saga.sagas / by_hand.sagas,
            narrow.sagas * STEPS,
            saga.sagas / narrow.sagas,
            saga.cpu_ms,
            by_hand.cpu_ms
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn write_touches(out: &mut String) -> Answer<()> {
    writeln!(out, "### Random events to instances that wait\n")?;
    writeln!(
        out,
        "| in flight | saga: new/s | events/s | by hand: events/s | ratio | saga: MiB | by hand: MiB |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    let mut half = String::new();
    for instances in ["1000", "100000", "1000000"] {
        let ours = child(&["touches", "saga", instances])?;
        let hand = child(&["touches", "by-hand", instances])?;
        if half.is_empty() {
            half = format!("{:.0}", ours[1] / 2.0);
        }
        let ratio = ours[1] / hand[1];
        writeln!(
            out,
            "| {instances} | {:.0} | {:.0} | {:.0} | **{ratio:.2}** | {:.0} | {:.0} |",
            ours[0], ours[1], hand[1], ours[2], hand[2]
        )?;
    }
    let (ours, hand) = (child(&["latency", "saga", &half])?[0], child(&["latency", "by-hand", &half])?[0]);
    writeln!(
        out,
        "\nAt {half} events a second to 1,000 instances, 99 % of the events are durable within {ours:.1} ms (by hand \
         {hand:.1} ms, ratio **{:.1}**).\n",
        ours / hand
    )?;
    Ok(())
}

fn write_rest(out: &mut String) -> Answer<()> {
    writeln!(out, "### Memory, start and timers\n")?;
    writeln!(out, "| what | measured |")?;
    writeln!(out, "|---|---|")?;
    writeln!(
        out,
        "| memory after 200,000 orders, 256 at a time | {:.0} MiB |",
        child(&["orders", "200000"])?[0]
    )?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("saga.db");
    let path = path.to_str().ok_or("a path in UTF-8")?;
    child(&["fill", path, "1000000"])?;
    let opened = child(&["open", path])?;
    writeln!(out, "| start with 1,000,000 waiting instances | {:.0} ms |", opened[0])?;
    writeln!(out, "| first step after it | {:.0} ms |", opened[1])?;
    writeln!(out, "| memory then | {:.0} MiB |", opened[2])?;
    let ratio = new_beside(path)?;
    writeln!(
        out,
        "| new instances a second beside 1,000,000 waiting ones, ratio to beside 1,000 | {ratio:.2} |"
    )?;
    let timers = child(&["timers", "100000"])?;
    writeln!(out, "| 100,000 timers due at once: all have fired after | {:.1} s |", timers[0])?;
    writeln!(out, "| longest wait of 99 % of other events meanwhile | {:.0} ms |", timers[1])?;
    writeln!(out)?;
    Ok(())
}

/// The median of five ratios: new instances a second beside the many of the file at `path`, to beside 1,000.
fn new_beside(path: &str) -> Answer<f64> {
    let folder = tempfile::tempdir()?;
    let few = folder.path().join("saga.db");
    let few = few.to_str().ok_or("a path in UTF-8")?;
    child(&["fill", few, "1000"])?;
    let mut ratios = Vec::new();
    for turn in ["1", "2", "3", "4", "5"] {
        let (many, few) = (child(&["beside", path, turn])?[0], child(&["beside", few, turn])?[0]);
        ratios.push(many / few);
    }
    ratios.sort_by(f64::total_cmp);
    ratios.get(2).copied().ok_or_else(|| "there are five ratios".into())
}

fn chart(durable: &[Rates], relaxed: &[Rates]) -> String {
    let ratio = |rates: &Rates| rates.saga.sagas / rates.by_hand.sagas;
    let groups: Vec<(String, Vec<Bar>)> = durable
        .iter()
        .zip(relaxed)
        .map(|(durable, relaxed)| {
            let bars = vec![
                Bar { name: "each commit durable", value: ratio(durable) },
                Bar { name: "no fsync for each commit", value: ratio(relaxed) },
            ];
            (format!("{} at a time", durable.at_a_time), bars)
        })
        .collect();
    plot::bars("Steps per second, by hand = 1", &groups)
}

/// Runs orders by time, or a number of them.
pub async fn drive<F, R>(at_a_time: usize, one: F) -> f64
where
    F: Fn(u64) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let limit = LIMIT.load(Ordering::SeqCst);
    if limit == 0 {
        return rates::drive(at_a_time, one).await;
    }
    let rate = counted::counted(at_a_time, limit, one).await;
    MEMORY.store(runs::memory_kib(), Ordering::SeqCst);
    rate
}
