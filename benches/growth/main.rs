//! What one more open thing costs an instance that has many of them: `cargo bench --bench growth`.
//!
//! Each line has one instance with n open commands, children, obligations, .. and prints the time for each of them. It must
//! stay level from column to column: what a step costs depends on what it touches, not on what is open.

#![allow(missing_docs, clippy::print_stdout, unreachable_pub)] // A program that prints.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use saga::prelude::*;
use saga::sqlite::Durability;
use saga::store::MemoryStore;
use saga::{Dispatcher, DispatcherBuilder, Operator, Policy, SqliteStore};
use tokio::sync::watch;

const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "many", version = 1, data(Many), actions(ManyActions), on_abort(CalledOff))]
#[initially(when(Begun, run(begin), transition_to(Open)))]
#[during_any(when(any(Answered, Noted), run(count), stay), when(any(failed(Ask), unknown(Ask)), park))]
#[unhandled(reject)]
pub enum ManyState {
    #[during(
        when(AskAll, send(Ask, each), stay),
        when(OweAll, send(Book, undo(Cancel), each), stay),
        when(StartAll, start(PartState, each, limit = 50, with(parts)), transition_to(Waiting)),
        when(Failing, run(fails), stay),
        when(Named, claim(name), stay),
        when(Closed, transition_to(Done))
    )]
    Open,
    #[during(when(all_finished(PartState), transition_to(Done)))]
    Waiting,
    #[terminal]
    Done,
    #[terminal(failure)]
    CalledOff,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Many {
    answers: u32,
}

#[rustfmt::skip]
impl ManyActions for Many {
    fn begin(_: &Begun, _: &mut Context) -> ActionResult<Self> { Ok(Self { answers: 0 }) }
    fn count(&mut self, _: &mut Context) -> ActionResult<()> { self.answers += 1; Ok(()) }
    fn fails(&mut self, _: &Failing, _: &mut Context) -> ActionResult<()> { Err("as it was told".into()) }
    fn ask(&self, event: &AskAll, _: &mut Context) -> Vec<Ask> { (0..event.n).map(|n| Ask { n }).collect() }
    fn book(&self, event: &OweAll, _: &mut Context) -> Vec<Book> { (0..event.n).map(|n| Book { n }).collect() }
    fn cancel(&self, command: &Book, _: &mut Context) -> Cancel { Cancel { n: command.n } }
    fn parts(&self, event: &StartAll, _: &mut Context) -> Vec<PartBegun> {
        (0..event.n).map(|n| PartBegun { part: format!("part-{}-{n}", event.n) }).collect()
    }
    fn name(&self, event: &Named, _: &mut Context) -> String { format!("name-{}", event.n) }
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "part", version = 1, data(Part), actions(PartActions))]
#[initially(when(PartBegun, run(part_begins), transition_to(Ended)))]
pub enum PartState {
    #[terminal]
    Ended,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {}

impl PartActions for Part {
    fn part_begins(_: &PartBegun, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

macro_rules! events {
    ($($name:ident $text:literal { $($field:ident: $type:ty),* }),* $(,)?) => {
        $(
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $text, key(many))]
            pub struct $name { many: String, $($field: $type),* }
        )*
    };
}
events! {
    Begun "begun" {},
    AskAll "ask-all" { n: u32 },
    OweAll "owe-all" { n: u32 },
    StartAll "start-all" { n: u32 },
    Named "named" { n: u32 },
    Noted "noted" {},
    Failing "failing" {},
    Closed "closed" {},
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "part-begun", key(part))]
pub struct PartBegun {
    part: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "answered")]
pub struct Answered {}

macro_rules! commands {
    ($($name:ident $text:literal $($replies:ident)?),* $(,)?) => {
        $(
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = $text, $(replies($replies))?)]
            pub struct $name { n: u32 }
        )*
    };
}
commands!(Ask "ask" Answered, Book "book", Cancel "cancel");

/// Counts the calls that have been answered.
#[derive(Clone)]
struct World(Arc<watch::Sender<u32>>);

impl World {
    fn answered(&self) {
        self.0.send_modify(|calls| *calls += 1);
    }
}

impl Handler<Ask> for World {
    async fn handle(&self, _: Ask, _: &HandlerContext) -> HandlerResult<Ask> {
        self.answered();
        Ok(Answered {}.into())
    }
}

impl Handler<Book> for World {
    async fn handle(&self, _: Book, _: &HandlerContext) -> HandlerResult<Book> {
        self.answered();
        Ok(Done.into())
    }
}

impl Handler<Cancel> for World {
    async fn handle(&self, _: Cancel, _: &HandlerContext) -> HandlerResult<Cancel> {
        Ok(Done.into())
    }
}

/// Where the instances are stored. `cargo bench --bench growth -- sqlite` sets a folder.
static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
static FILES: AtomicU32 = AtomicU32::new(0);

/// A dispatcher on a new store, for each line its own, so that none pays for the one before.
fn builder() -> DispatcherBuilder {
    match FOLDER.get() {
        None => Dispatcher::builder(MemoryStore::new()),
        Some(folder) => {
            let file = folder.path().join(format!("{}.db", FILES.fetch_add(1, Ordering::Relaxed)));
            let options = SqliteStore::options().durability(Durability::Relaxed);
            Dispatcher::builder(options.open(file).expect("a new file"))
        }
    }
}

async fn open() -> (Dispatcher, watch::Receiver<u32>) {
    let calls = Arc::new(watch::Sender::new(0));
    let (world, answered) = (World(Arc::clone(&calls)), calls.subscribe());
    let dispatcher = builder()
        .saga::<ManyState>()
        .saga::<PartState>()
        .handler_with::<Ask>(world.clone(), Policy::default().concurrency(256))
        .handler_with::<Book>(world.clone(), Policy::default().concurrency(256))
        .handler::<Cancel>(world)
        .max_waiting_events(usize::MAX)
        .start()
        .await
        .expect("it starts");
    dispatcher.publish(Begun { many: many() }).await.expect("it begins");
    (dispatcher, answered)
}

fn many() -> String {
    "m".to_owned()
}

/// Waits until so many calls have been answered, and all the answers have been taken.
async fn all_answered(dispatcher: &Dispatcher, mut answered: watch::Receiver<u32>, n: u32) {
    answered.wait_for(|calls| *calls == n).await.expect("the handlers live");
    dispatcher.publish(Noted { many: many() }).await.expect("behind them");
}

type Line = (&'static str, fn(u32) -> std::pin::Pin<Box<dyn Future<Output = Duration>>>);

const LINES: [Line; 7] = [
    ("commands sent and answered", |n| Box::pin(commands(n))),
    ("obligations stacked", |n| Box::pin(obligations(n))),
    ("obligations undone", |n| Box::pin(undone(n))),
    ("children, 50 at a time", |n| Box::pin(children(n))),
    ("events waiting at a parked instance", |n| Box::pin(waiting(n))),
    ("aliases claimed", |n| Box::pin(aliases(n))),
    ("timers of as many instances", |n| Box::pin(timers(n))),
];

async fn commands(n: u32) -> Duration {
    let (dispatcher, answered) = open().await;
    let began = Instant::now();
    dispatcher.publish(AskAll { many: many(), n }).await.expect("sent");
    all_answered(&dispatcher, answered, n).await;
    began.elapsed()
}

async fn obligations(n: u32) -> Duration {
    let (dispatcher, answered) = open().await;
    let began = Instant::now();
    dispatcher.publish(OweAll { many: many(), n }).await.expect("sent");
    all_answered(&dispatcher, answered, n).await;
    began.elapsed()
}

async fn undone(n: u32) -> Duration {
    let (dispatcher, answered) = open().await;
    dispatcher.publish(OweAll { many: many(), n }).await.expect("sent");
    all_answered(&dispatcher, answered, n).await;
    let began = Instant::now();
    dispatcher.abort::<ManyState>("m", Operator::new("bench").because("all of it")).await.expect("aborted");
    dispatcher.settled::<ManyState>("m").await.expect("settled");
    began.elapsed()
}

async fn children(n: u32) -> Duration {
    let (dispatcher, _) = open().await;
    let began = Instant::now();
    dispatcher.publish(StartAll { many: many(), n }).await.expect("sent");
    dispatcher.settled::<ManyState>("m").await.expect("settled");
    began.elapsed()
}

async fn waiting(n: u32) -> Duration {
    let (dispatcher, _) = open().await;
    dispatcher.publish(Failing { many: many() }).await.expect("parked");
    for _ in 0..n {
        dispatcher.publish(Noted { many: many() }).await.expect("waits");
    }
    let began = Instant::now();
    dispatcher.skip::<ManyState>("m", Operator::new("bench").because("go on")).await.expect("released");
    dispatcher.publish(Noted { many: many() }).await.expect("behind them");
    began.elapsed()
}

async fn aliases(n: u32) -> Duration {
    let (dispatcher, _) = open().await;
    let began = Instant::now();
    for n in 0..n {
        dispatcher.publish(Named { many: many(), n }).await.expect("claimed");
    }
    began.elapsed()
}

async fn timers(n: u32) -> Duration {
    use timed::{Rung, TimedState};
    let dispatcher = builder().saga::<TimedState>().start().await.expect("it starts");
    let began = Instant::now();
    for key in 0..n {
        dispatcher.publish(Rung { key: key.to_string() }).await.expect("begun");
    }
    dispatcher.settled::<TimedState>((n - 1).to_string()).await.expect("settled");
    began.elapsed()
}

/// A saga that does nothing but wait.
mod timed {
    use super::*;

    #[derive(Saga, Clone, Debug, PartialEq)]
    #[saga(name = "timed", version = 1, data(Timed), actions(TimedActions))]
    #[initially(when(Rung, run(ring), transition_to(Ringing)))]
    #[unhandled(ignore)]
    pub enum TimedState {
        #[during(timeout(millis = 1, transition_to(Silent)))]
        Ringing,
        #[terminal]
        Silent,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Timed {}

    impl TimedActions for Timed {
        fn ring(_: &Rung, _: &mut Context) -> ActionResult<Self> {
            Ok(Self {})
        }
    }

    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "rung", key(key))]
    pub struct Rung {
        pub key: String,
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if args.iter().any(|arg| arg == "sqlite") {
        FOLDER.set(tempfile::tempdir().expect("a folder")).expect("set once");
    }
    let store = if FOLDER.get().is_some() { "in SQLite without fsync" } else { "in memory" };
    println!("microseconds for each, in a release build, on a store {store}\n");
    print!("{:40}", "one instance with so many");
    SIZES.iter().for_each(|n| print!("{n:>10}"));
    println!("{:>20}", "10,000 against 100");
    let only = args.iter().find(|arg| *arg != "sqlite");
    for (name, run) in
        LINES.into_iter().filter(|(name, _)| only.is_none_or(|only| name.contains(only.as_str())))
    {
        print!("{name:40}");
        let mut each = Vec::new();
        for n in SIZES {
            let took = run(n).await;
            each.push(took.as_secs_f64() * 1e6 / f64::from(n));
            print!("{:>10.1}", each[each.len() - 1]);
        }
        println!("{:>20.1}", each[3] / each[1]);
    }
}
