//! The time of one page of a list, among many instances: `cargo bench --bench lists [-- 1000000]`.
//!
//! One instance of twenty runs, one of a thousand is parked, and the others have ended. Each line is one condition in one
//! order. The last column is the time to the end of the list, over all its pages, for conditions that few instances meet.

#![allow(missing_docs, clippy::print_stdout, unreachable_pub)] // A program that prints.

use std::sync::Arc;
use std::time::{Duration, Instant};

use saga::sqlite::Durability;
use saga::store::{
    Address, AliasChange, Inspect, InstanceFilter, InstanceOrder, LabelCondition, LabelTest,
    ObligationChange, PageFrom, Status, Step, TaskChange, TimeRange, TimerChange,
};
use saga::testing::conformance::{Driver, create, labelled, obligation, task, time, timer};
use saga::{Alias, Key, LabelValue, SqliteStore};

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

const BATCH: u64 = 20_000;

fn instance(n: u64) -> Answer<Step> {
    let mut step = create(&Address::new("order", Key::new(format!("order-{n:08}"))?));
    // Twenty instances of a million have one customer, and every seventh has one size.
    step = labelled(step, "customer", Some(LabelValue::text(format!("C-{}", n % 50_000))));
    step = labelled(step, "size", Some(LabelValue::Integer(i64::try_from(n % 7)?)));
    let change = step.instance.as_mut().ok_or("a start")?;
    let at = time(i64::try_from(n)?);
    (change.created_at, change.changed_at) = (at, at);
    if !n.is_multiple_of(20) {
        (change.status, change.state) = (Status::Completed, "done".into());
        if n % 500 == 1 {
            (change.status, change.state) = (Status::Failed, "refunded".into());
        }
        return Ok(step);
    }
    change.state = "paying".into();
    if n.is_multiple_of(1_000) {
        change.parked = Some(
            r#"{"reason":"undo-refused","detail":"the bank said no","at":5000,"subject":"nothing"}"#.into(),
        );
        step.aliases = vec![AliasChange::Claim(Alias::new(format!("invoice-{n}"))?)];
    }
    let mut open = task(1, 0);
    open.progress.error = (n % 100_000 == 20).then(|| "connection reset".to_owned());
    step.tasks = vec![TaskChange::Add(open)];
    step.obligations = vec![ObligationChange::Put(obligation(1, 0))];
    step.timers = vec![TimerChange::Set(timer("timeout", i64::try_from(n)? + 900_000))];
    Ok(step)
}

async fn fill(store: &SqliteStore, instances: u64) -> Answer<()> {
    let mut driver = Driver::lease(Arc::new(store.clone())).await;
    for from in (0..instances).step_by(usize::try_from(BATCH)?) {
        let steps: Answer<Vec<Step>> = (from..(from + BATCH).min(instances)).map(instance).collect();
        driver.commit(steps?).await;
    }
    Ok(())
}

/// The conditions, with what each is called.
fn conditions() -> Vec<(&'static str, InstanceFilter)> {
    let filter = |set: fn(&mut InstanceFilter)| {
        let mut filter = InstanceFilter::default();
        set(&mut filter);
        filter
    };
    let some = |text: &str| Some(text.to_owned());
    let mut all = vec![
        ("all", filter(|_| {})),
        ("status running", filter(|filter| filter.status = Some(Status::Running))),
        ("status completed", filter(|filter| filter.status = Some(Status::Completed))),
        ("status failed", filter(|filter| filter.status = Some(Status::Failed))),
        ("status aborted (none)", filter(|filter| filter.status = Some(Status::Aborted))),
        ("parked", filter(|filter| filter.parked = Some(true))),
        ("with an obligation", filter(|filter| filter.owed = Some(true))),
        (
            "due in a range",
            filter(|filter| filter.due = TimeRange { from: None, until: Some(time(950_000)) }),
        ),
        (
            "created in a range",
            filter(|filter| filter.created = TimeRange { from: Some(time(500_000)), until: None }),
        ),
    ];
    let mut text = |name, set: &dyn Fn(&mut InstanceFilter)| {
        let mut filter = InstanceFilter::default();
        set(&mut filter);
        all.push((name, filter));
    };
    text("saga", &|filter| filter.saga = some("order"));
    text("state paying", &|filter| filter.state = some("paying"));
    text("state, none", &|filter| filter.state = some("none"));
    text("text of an error, 10 of a million", &|filter| filter.error = some("RESET"));
    text("waiting for a command", &|filter| filter.waiting_for = some("payment.make"));
    text("key prefix", &|filter| filter.key_prefix = some("order-0005"));
    text("alias", &|filter| filter.alias = some("invoice-500000"));
    text("label, 20 of a million", &|filter| {
        filter.labels = vec![LabelCondition::equal("customer", "C-500")];
    });
    text("label, a seventh", &|filter| filter.labels = vec![LabelCondition::equal("size", 3)]);
    text("label, prefix", &|filter| {
        filter.labels = vec![LabelCondition::new("customer", LabelTest::Prefix("C-49".to_owned()))];
    });
    text("label, range", &|filter| filter.labels = vec![LabelCondition::new("size", LabelTest::AtLeast(6))]);
    all
}

/// The time of the slowest page, and of all pages together, until the list has 50 lines or has ended.
async fn measure(store: &SqliteStore, filter: &InstanceFilter) -> Answer<(usize, Duration, Duration)> {
    let mut filter = filter.clone();
    let (mut lines, mut slowest, mut whole) = (0, Duration::ZERO, Duration::ZERO);
    loop {
        let began = Instant::now();
        let page = store.instances(&filter).await?;
        let took = began.elapsed();
        (slowest, whole) = (slowest.max(took), whole + took);
        lines += page.instances.len();
        match page.more {
            Some(more) if lines < 50 => filter.from = Some(PageFrom::After(more)),
            _ => return Ok((lines, slowest, whole)),
        }
    }
}

fn main() -> Answer<()> {
    let instances = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let store =
        SqliteStore::options().durability(Durability::Relaxed).open(folder.path().join("lists.db"))?;
    runtime.block_on(async {
        fill(&store, instances).await?;
        let began = Instant::now();
        let counts = store.counts().await?;
        println!(
            "{instances} instances in {} counts, read in {:.1} ms",
            counts.len(),
            millis(began.elapsed())
        );
        println!(
            "{:<36} {:<8} {:>6} {:>16} {:>14}",
            "condition", "order", "lines", "slowest page ms", "all pages ms"
        );
        for (name, condition) in conditions() {
            for order in
                [InstanceOrder::Created, InstanceOrder::Changed, InstanceOrder::Key, InstanceOrder::Due]
            {
                let mut filter = condition.clone();
                filter.order = order;
                filter.descending = true;
                let (lines, slowest, whole) = measure(&store, &filter).await?;
                let order = format!("{order:?}").to_lowercase();
                println!(
                    "{name:<36} {order:<8} {lines:>6} {:>16.1} {:>14.1}",
                    millis(slowest),
                    millis(whole)
                );
            }
        }
        Ok(())
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
