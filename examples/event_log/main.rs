//! A real process, replayed. Two hundred thousand events of a bank's loan applications, as its systems recorded them,
//! go through the dispatcher in the order of time, into SQLite. The saga in `loan.rs` says what the bank's process
//! allows; the report says how many applications ended how, and which events the process had no place for.
//!
//! Without `--log` it replays a bundled excerpt of 20 invented cases. The whole log is that of the BPI Challenge 2012
//! (van Dongen, 4TU.ResearchData, doi:10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f). The `A_*` and `O_*` activities
//! are modelled; the work items (`W_*`) are skipped.

#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs, unreachable_pub)] // A program, not a library.

mod loan;
mod log;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use saga::{Dispatcher, Disposition, MessageId, Position, SqliteStore};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use loan::LoanState;
use log::Entry;

const HELP: &str = "\
event_log [--log FILE.xes[.gz]] [--db FILE] [--at-once N] [--json]

--log FILE    the log to replay; without it the bundled excerpt
--db FILE     the database; without it a temporary one. The same log twice applies nothing new
--at-once N   cases under way at the same time (64)
--json        the last line is one JSON object with the figures";

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Options {
    log: PathBuf,
    db: Option<PathBuf>,
    at_once: usize,
    json: bool,
}

impl Options {
    /// `None` when only the help is wanted.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/event_log/excerpt.xes");
        let mut options = Self { log: bundled.into(), db: None, at_once: 64, json: false };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--log" => options.log = value()?.into(),
                "--db" => options.db = Some(value()?.into()),
                "--at-once" => {
                    options.at_once = value()?
                        .parse()
                        .ok()
                        .filter(|n| *n > 0)
                        .ok_or("--at-once needs a number from 1 on")?;
                }
                "--json" => options.json = true,
                "--help" => return Ok(None),
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        Ok(Some(options))
    }
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Figures {
    /// Instances by the state they are in.
    states: BTreeMap<String, u64>,
    /// Events by their result.
    events: BTreeMap<String, u64>,
}

impl Figures {
    fn count(&mut self, what: impl Into<String>) {
        *self.events.entry(what.into()).or_default() += 1;
    }

    /// By the `A_*` activities: declined, cancelled, activated, undecided.
    fn outcomes(&self) -> [(&'static str, u64); 4] {
        let of = |state: &str| self.states.get(state).copied().unwrap_or(0);
        let (declined, cancelled, paid) = (of("DeclinedByBank"), of("CancelledByCustomer"), of("Paid"));
        let all: u64 = self.states.values().sum();
        [
            ("declined", declined),
            ("cancelled", cancelled),
            ("activated", paid),
            ("undecided", all - declined - cancelled - paid),
        ]
    }
}

async fn replay(entries: Vec<Entry>, store: SqliteStore, at_once: usize) -> Result<Figures, Failure> {
    let dispatcher = Dispatcher::builder(store).saga::<LoanState>().start().await?;
    let mut cases: Vec<String> = entries.iter().map(|entry| entry.case.clone()).collect();
    cases.sort();
    cases.dedup();
    // Each case belongs to one worker, so its events stay in order; all workers are fed in the order of time.
    let mut workers: JoinSet<Result<Figures, Failure>> = JoinSet::new();
    let queues: Vec<mpsc::Sender<Entry>> = (0..at_once)
        .map(|_| {
            let (queue, entries) = mpsc::channel(64);
            workers.spawn(work(dispatcher.clone(), entries));
            queue
        })
        .collect();
    for entry in entries {
        let mut hasher = DefaultHasher::new();
        entry.case.hash(&mut hasher);
        let worker = usize::try_from(hasher.finish() % queues.len() as u64).unwrap_or(0);
        if queues[worker].send(entry).await.is_err() {
            break; // It has failed, and says so below.
        }
    }
    drop(queues);
    let mut figures = Figures::default();
    while let Some(worker) = workers.join_next().await {
        for (what, n) in worker??.events {
            *figures.events.entry(what).or_default() += n;
        }
    }
    for case in &cases {
        let state = match dispatcher.instance::<LoanState>(case).await?.map(|found| found.position) {
            Some(Position::In(state)) => format!("{state:?}"),
            Some(other) => format!("{other:?}"),
            None => continue,
        };
        *figures.states.entry(state).or_default() += 1;
    }
    dispatcher.shutdown(Duration::from_secs(10)).await?;
    Ok(figures)
}

async fn work(dispatcher: Dispatcher, mut entries: mpsc::Receiver<Entry>) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    while let Some(Entry { case, position, activity, .. }) = entries.recv().await {
        // The same event of the same log is the same message, also in the next run.
        let id = MessageId::new(format!("{case}-{position}"))?;
        let Some(receipt) = loan::publish(&dispatcher, id, &activity, case).await else {
            figures.count(if activity.starts_with("W_") { "skipped: work item" } else { "skipped: unknown" });
            continue;
        };
        match &receipt?.consumers[0].disposition {
            Disposition::Applied => figures.count("applied"),
            Disposition::Ignored { why, .. } => figures.count(format!("ignored: {why}")),
            Disposition::Dead { reason, .. } => figures.count(format!("rejected: {reason} ({activity})")),
            Disposition::Duplicate => figures.count("known already"),
            other => figures.count(format!("{other:?}")),
        }
    }
    Ok(figures)
}

async fn run(options: &Options) -> Result<(), Failure> {
    let entries = log::read(&options.log)?;
    let count = entries.len();
    println!("{count} events in {}", options.log.display());
    let folder = tempfile::tempdir()?;
    let db = options.db.clone().unwrap_or_else(|| folder.path().join("loans.db"));
    let started = Instant::now();
    let figures = replay(entries, SqliteStore::open(db)?, options.at_once).await?;
    let seconds = started.elapsed().as_secs_f64();
    // More events than 2^52 do not fit into a log.
    #[allow(clippy::cast_precision_loss)]
    let rate = count as f64 / seconds;
    println!("\ninstances");
    for (state, n) in &figures.states {
        println!("  {state:<24} {n:>8}");
    }
    println!("\nby their A_* activities");
    for (outcome, n) in figures.outcomes() {
        println!("  {outcome:<24} {n:>8}");
    }
    println!("\nevents");
    for (what, n) in &figures.events {
        println!("  {what:<48} {n:>8}");
    }
    println!("\n{seconds:.1} s, {rate:.0} events per second");
    if options.json {
        let outcomes: BTreeMap<&str, u64> = figures.outcomes().into_iter().collect();
        let (states, events) = (&figures.states, &figures.events);
        println!(
            "{}",
            serde_json::json!({ "outcomes": outcomes, "states": states, "events": events, "seconds": seconds })
        );
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
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
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_excerpt_ends_as_it_should_and_twice_is_once() {
        let options = Options::parse(std::iter::empty()).unwrap().unwrap();
        let entries = log::read(&options.log).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("loans.db");
        let first = replay(entries.clone(), SqliteStore::open(&db).unwrap(), 4).await.unwrap();
        let expected = [("declined", 9), ("cancelled", 4), ("activated", 4), ("undecided", 3)];
        assert_eq!(first.outcomes(), expected);
        assert_eq!(first.events["rejected: unhandled (A_FINALIZED)"], 1, "it was final already");
        let second = replay(entries, SqliteStore::open(&db).unwrap(), 4).await.unwrap();
        assert_eq!(second.states, first.states);
        assert!(!second.events.contains_key("applied"), "{:?}", second.events);
    }

    #[test]
    fn wrong_usage_is_named() {
        let parse = |args: &[&str]| Options::parse(args.iter().map(ToString::to_string)).err();
        assert_eq!(parse(&["--at-once", "0"]).unwrap(), "--at-once needs a number from 1 on");
        assert_eq!(parse(&["--frob"]).unwrap(), "unknown option --frob");
        assert_eq!(parse(&["--log"]).unwrap(), "--log needs a value");
    }
}
