//! A rolling restart under load: processes stand by, take over when the owner stops or is killed, and no accepted event is
//! lost or applied twice. The workers are this test program itself.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![cfg(feature = "sqlite")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use saga::error::StartError;
use saga::prelude::*;
use saga::store::Address;
use saga::{Dispatcher, Done, Health, Key, SqliteStore, StandBy};

/// The counters among which the load is spread.
const COUNTERS: u32 = 8;
/// Names the file for a worker.
const FILE: &str = "SAGA_TEST_STANDING_BY";
const NAME: &str = "SAGA_TEST_STANDING_BY_NAME";

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "counter", version = 1, data(Counter), actions(CounterActions))]
#[initially(when(Counted, run(begin), send(Look), transition_to(Counting)))]
#[unhandled(reject)]
pub enum CounterState {
    #[during(
        when(Counted, run(count), send(Look), stay),
        when(any(failed(Look), unknown(Look)), park),
        when(Closed, transition_to(Over))
    )]
    Counting,
    #[terminal]
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    counted: Vec<String>,
}

impl CounterActions for Counter {
    fn begin(event: &Counted, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { counted: vec![event.id.clone()] })
    }
    fn count(&mut self, event: &Counted, _: &mut Context) -> ActionResult<()> {
        self.counted.push(event.id.clone());
        Ok(())
    }
    fn look(&self, _: &Counted, _: &mut Context) -> Look {
        Look {}
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "counted", key(counter))]
pub struct Counted {
    counter: String,
    id: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "closed", key(counter))]
pub struct Closed {
    counter: String,
}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "look")]
pub struct Look {}

struct Eye;

impl Handler<Look> for Eye {
    async fn handle(&self, _: Look, _: &HandlerContext) -> HandlerResult<Look> {
        Ok(Done.into())
    }
}

async fn stand_by(file: &Path, name: &str) -> StandBy {
    let store = SqliteStore::open(file).unwrap();
    let builder = Dispatcher::builder(store).saga::<CounterState>().handler::<Look>(Eye).owner(name);
    builder.stand_by().await.unwrap()
}

/// A worker publishes without a pause, as a stand-by and then as the owner, until its standard input says `stop`. It prints
/// the id of each accepted event.
#[test]
fn worker() {
    let Ok(file) = std::env::var(FILE) else { return };
    let name = std::env::var(NAME).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        let _ = stop.send(true);
    });
    runtime.block_on(async move {
        let waiting = stand_by(Path::new(&file), &name).await;
        say("standing by");
        let mut taking_over = tokio::spawn({
            let waiting = waiting.clone();
            async move { waiting.takes_over().await.unwrap() }
        });
        let mut dispatcher: Option<Dispatcher> = None;
        for n in 0.. {
            if *stopped.borrow_and_update() {
                break;
            }
            if dispatcher.is_none() && taking_over.is_finished() {
                dispatcher = Some((&mut taking_over).await.unwrap());
                say("owner");
            }
            let id = format!("{name}-{n}");
            let event = Counted { counter: format!("c-{}", n % COUNTERS), id: id.clone() };
            match &dispatcher {
                Some(dispatcher) => dispatcher.publish(event).await.unwrap(),
                None => waiting.publish(event).await.unwrap(),
            };
            say(&format!("ok {id}"));
        }
        let dispatcher = match dispatcher {
            Some(dispatcher) => dispatcher,
            None => taking_over.await.unwrap(),
        };
        drop(waiting);
        dispatcher.shutdown(Duration::from_secs(10)).await.unwrap();
        say("stopped");
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{line}").unwrap();
    out.flush().unwrap();
}

struct Worker {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    accepted: BTreeSet<String>,
}

impl Worker {
    fn start(file: &Path, name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["worker", "--exact", "--nocapture", "--test-threads=1"])
            .env(FILE, file)
            .env(NAME, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Some((_, line)) = line.split_once('@') else { continue };
                if to.send(line.to_owned()).is_err() {
                    return;
                }
            }
        });
        let mut worker = Self { child, stdin, lines, accepted: BTreeSet::new() };
        worker.until("standing by");
        worker
    }

    /// Reads lines until this one.
    fn until(&mut self, wanted: &str) {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).expect("the worker goes on");
            self.take(&line);
            if line == wanted {
                return;
            }
        }
    }

    /// Reads lines until so many further events are accepted.
    fn accepts(&mut self, events: usize) {
        let until = self.accepted.len() + events;
        while self.accepted.len() < until {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).expect("the worker goes on");
            self.take(&line);
        }
    }

    fn take(&mut self, line: &str) {
        if let Some(id) = line.strip_prefix("ok ") {
            assert!(self.accepted.insert(id.to_owned()));
        }
    }

    fn stop(mut self) -> BTreeSet<String> {
        writeln!(self.stdin, "stop").unwrap();
        self.until("stopped");
        assert!(self.child.wait().unwrap().success());
        self.accepted
    }

    fn kill(mut self) -> BTreeSet<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv() {
            self.take(&line);
        }
        self.accepted
    }
}

#[test]
fn no_accepted_event_is_lost_or_doubled_when_processes_take_over_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saga.db");
    let mut accepted = BTreeSet::new();

    let mut first = Worker::start(&file, "first");
    first.until("owner");
    first.accepts(200);
    let mut second = Worker::start(&file, "second");
    second.accepts(100);
    accepted.extend(first.stop());
    second.until("owner");
    second.accepts(200);
    let mut third = Worker::start(&file, "third");
    third.accepts(100);
    accepted.extend(second.kill());
    third.until("owner");
    third.accepts(200);
    accepted.extend(third.stop());
    assert!(accepted.len() >= 800, "{}", accepted.len());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let dispatcher = stand_by(&file, "last").await.takes_over().await.unwrap();
        for n in 0..COUNTERS {
            let closed = Closed { counter: format!("c-{n}") };
            let id = saga::MessageId::unique();
            dispatcher.publish_as(id.clone(), closed.clone()).await.unwrap();
            // Every event before it has been taken up.
            dispatcher.taken_up(&id, &closed).await.unwrap();
        }
        let mut counted: BTreeMap<String, u32> = BTreeMap::new();
        for n in 0..COUNTERS {
            let counter = dispatcher.instance::<CounterState>(format!("c-{n}")).await.unwrap().unwrap();
            counter.data.counted.into_iter().for_each(|id| *counted.entry(id).or_default() += 1);
        }
        let doubled: Vec<_> = counted.iter().filter(|(_, times)| **times > 1).collect();
        assert!(doubled.is_empty(), "{doubled:?}");
        let lost: Vec<_> = accepted.iter().filter(|id| !counted.contains_key(*id)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), accepted.len());
        let letters = dispatcher.dead_letters(None).await.unwrap();
        assert!(letters.is_empty(), "{letters:?}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_by_reads_and_says_who_runs_the_sagas() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saga.db");
    let mut owner = tokio::task::spawn_blocking({
        let file = file.clone();
        move || {
            let mut owner = Worker::start(&file, "the owner");
            owner.until("owner");
            owner
        }
    })
    .await
    .unwrap();
    let waiting = stand_by(&file, "me").await;
    let taking_over = tokio::spawn({
        let waiting = waiting.clone();
        async move { waiting.takes_over().await }
    });
    let owned = loop {
        match waiting.health() {
            Health::StandingBy { owner, .. } if !owner.is_empty() => break owner,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(owned.starts_with("the owner (process "), "{owned}");
    let again = waiting.takes_over().await.unwrap_err();
    assert!(matches!(again, StartError::Setting(_)), "{again}");
    let receipt = waiting.publish(Counted { counter: "mine".to_owned(), id: "1".to_owned() }).await.unwrap();
    assert!(receipt.is_accepted());
    let mine = Address::new("counter", Key::new("mine").unwrap());
    while waiting.store().instance(&mine).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    tokio::task::spawn_blocking(move || {
        owner.accepts(1);
        owner.stop()
    })
    .await
    .unwrap();
    let dispatcher = taking_over.await.unwrap().unwrap();
    assert_eq!((dispatcher.health(), waiting.health()), (Health::Running, Health::Running));
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_release_that_could_not_take_over_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("saga.db")).unwrap();
    let error = Dispatcher::builder(store).saga::<CounterState>().stand_by().await.unwrap_err();
    assert!(matches!(error, StartError::Registration { .. }), "{error}");
    assert!(error.to_string().contains("look"), "it names the command without a handler: {error}");
}
