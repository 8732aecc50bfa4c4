//! How a dispatcher ends: with its runtime, when it is told to, and with its last handle. The store is free afterwards.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::fs::File;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use saga::error::{InstanceError, PublishError};
use saga::prelude::*;
use saga::store::{MemoryStore, Store};
use saga::testing::ManualClock;
use saga::{Dispatcher, Health, Operator, Position, SqliteStore, WeakDispatcher};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "job", version = 1, data(Job), actions(JobActions))]
#[initially(when(Asked, run(ask), send(Charge), send(Ship), transition_to(Working)))]
#[unhandled(reject)]
pub enum JobState {
    #[during(
        when(Noted, run(note), stay),
        when_all(Charged, Shipped, transition_to(Finished)),
        when(any(failed(Charge), unknown(Charge)), park),
        when(any(failed(Ship), unknown(Ship)), transition_to(Indeterminate))
    )]
    Working,
    #[terminal]
    Finished,
    #[terminal(failure)]
    Indeterminate,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    notes: u32,
}

impl JobActions for Job {
    fn ask(_: &Asked, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { notes: 0 })
    }
    fn note(&mut self, _: &Noted, _: &mut Context) -> ActionResult<()> {
        self.notes += 1;
        Ok(())
    }
    fn charge(&self, _: &Asked, _: &mut Context) -> Charge {
        Charge {}
    }
    fn ship(&self, _: &Asked, _: &mut Context) -> Ship {
        Ship {}
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(job))]
        pub struct $name { job: String }
        impl $name {
            fn of(job: &str) -> Self {
                Self { job: job.to_owned() }
            }
        }
    )*};
}
events! { Asked "job.asked" Noted "job.noted" }

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "job.charged")]
pub struct Charged {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "job.shipped")]
pub struct Shipped {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "charge", replies(Charged))]
pub struct Charge {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ship", replies(Shipped), at_most_once)]
pub struct Ship {}

/// Remembers every call with the number of its attempt.
#[derive(Clone, Default)]
struct World {
    calls: Arc<watch::Sender<Vec<(&'static str, u32)>>>,
    /// Whether calls wait until they are dropped.
    held: Arc<AtomicBool>,
    /// The dispatcher that calls it, if it is to publish there.
    dispatcher: Arc<OnceLock<WeakDispatcher>>,
}

impl World {
    fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    /// All calls so far, in order of their names.
    fn calls(&self) -> Vec<(&'static str, u32)> {
        let mut calls = self.calls.borrow().clone();
        calls.sort_unstable();
        calls
    }

    /// Ends when there have been so many calls.
    async fn called(&self, times: usize) {
        // The sender lives in `self`.
        let _ = self.calls.subscribe().wait_for(|calls| calls.len() >= times).await;
    }

    async fn call(&self, name: &'static str, cx: &HandlerContext) -> Result<(), HandlerError> {
        self.calls.send_modify(|calls| calls.push((name, cx.attempt())));
        if self.held.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if let Some(weak) = self.dispatcher.get() {
            let dispatcher = weak.upgrade().ok_or("the dispatcher has gone")?;
            dispatcher.publish(Noted::of(cx.instance())).await?;
        }
        Ok(())
    }
}

impl Handler<Charge> for World {
    async fn handle(&self, _: Charge, cx: &HandlerContext) -> HandlerResult<Charge> {
        self.call("charge", cx).await?;
        Ok(Charged {}.into())
    }
}

impl Handler<Ship> for World {
    async fn handle(&self, _: Ship, cx: &HandlerContext) -> HandlerResult<Ship> {
        self.call("ship", cx).await?;
        Ok(Shipped {}.into())
    }
}

const SECOND: Duration = Duration::from_secs(1);

async fn start(store: impl Store, world: &World, clock: &ManualClock) -> Dispatcher {
    Dispatcher::builder(store)
        .saga::<JobState>()
        .handler::<Charge>(world.clone())
        .handler::<Ship>(world.clone())
        .clock(clock.clone())
        .start()
        .await
        .unwrap()
}

async fn settled(dispatcher: &Dispatcher, job: &str) -> Position<JobState> {
    dispatcher.settled::<JobState>(job).await.unwrap()
}

/// Waits until it says that it has stopped, and answers why.
async fn stopped(dispatcher: &Dispatcher) -> String {
    loop {
        let changed = dispatcher.health_changed();
        if let Health::Stopped { why, .. } = dispatcher.health() {
            return why;
        }
        changed.await;
    }
}

/// Waits for the thread of a dispatcher that ends by itself.
async fn gone(dispatcher: &Dispatcher) {
    // Whichever comes first, the request or the end.
    let _ = dispatcher.clone().shutdown(SECOND).await;
}

/// A runtime with a thread of its own, which runs handlers although nobody blocks on it.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

/// A runtime that runs nothing unless somebody blocks on it.
fn idle_runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// How an application may end a runtime.
const ENDS: [fn(Runtime); 2] = [drop, Runtime::shutdown_background];

// With its runtime.

#[test]
fn a_dispatcher_whose_runtime_has_ended_says_so_and_takes_nothing_more() {
    for end in ENDS {
        let (here, there) = (runtime(), runtime());
        let dispatcher =
            there.block_on(start(MemoryStore::new(), &World::default(), &ManualClock::default()));
        assert_eq!(dispatcher.health(), Health::Running);
        end(there);
        here.block_on(async {
            let why = stopped(&dispatcher).await;
            assert!(why.contains("runtime") && why.contains("start the dispatcher on"), "{why}");
            let published = dispatcher.publish(Asked::of("1")).await.unwrap_err();
            assert!(matches!(published, PublishError::Stopped), "{published}");
            let aborted =
                dispatcher.abort::<JobState>("1", Operator::new("ann").because("late")).await.unwrap_err();
            assert!(matches!(aborted, InstanceError::Stopped), "{aborted}");
        });
    }
}

#[test]
fn an_attempt_that_never_reached_its_handler_is_not_counted() {
    for end in ENDS {
        let (here, there) = (runtime(), idle_runtime());
        let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
        let dispatcher = there.block_on(start(store.clone(), &world, &clock));
        // Nobody blocks on the runtime of the handlers any more, so that none of them begins.
        here.block_on(dispatcher.publish(Asked::of("1"))).unwrap();
        here.block_on(clock.looked());
        end(there);
        here.block_on(async {
            stopped(&dispatcher).await;
            gone(&dispatcher).await;
            assert_eq!(dispatcher.counters().attempts, 2, "both commands were handed to the runtime");
            assert!(world.calls().is_empty());
            let dispatcher = start(store, &world, &clock).await;
            assert_eq!(settled(&dispatcher, "1").await, Position::In(JobState::Finished));
            assert_eq!(world.calls(), [("charge", 1), ("ship", 1)]);
        });
    }
}

#[test]
fn a_command_that_was_running_when_its_runtime_ended_counts_as_indeterminate() {
    for end in ENDS {
        let (here, there) = (runtime(), runtime());
        let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
        world.hold(true);
        let dispatcher = there.block_on(start(store.clone(), &world, &clock));
        here.block_on(async {
            dispatcher.publish(Asked::of("1")).await.unwrap();
            world.called(2).await;
        });
        end(there);
        here.block_on(async {
            stopped(&dispatcher).await;
            gone(&dispatcher).await;
            world.hold(false);
            let dispatcher = start(store, &world, &clock).await;
            assert_eq!(settled(&dispatcher, "1").await, Position::In(JobState::Indeterminate));
            clock.idle().await;
            assert_eq!(world.calls(), [("charge", 1), ("charge", 2), ("ship", 1)]);
        });
    }
}

#[test]
fn a_static_dispatcher_serves_runtimes_one_after_the_other_while_its_own_lives() {
    static SHARED: OnceLock<(Runtime, Dispatcher)> = OnceLock::new();
    for job in ["1", "2", "3"] {
        let guest = idle_runtime();
        let (_, dispatcher) = SHARED.get_or_init(|| {
            let home = runtime();
            let dispatcher =
                home.block_on(start(MemoryStore::new(), &World::default(), &ManualClock::default()));
            (home, dispatcher)
        });
        guest.block_on(async {
            dispatcher.publish(Asked::of(job)).await.unwrap();
            assert_eq!(settled(dispatcher, job).await, Position::In(JobState::Finished));
        });
        drop(guest);
        assert_eq!(dispatcher.health(), Health::Running);
    }
}

#[test]
fn a_static_dispatcher_is_stopped_for_every_runtime_that_comes_after_its_own() {
    static SHARED: OnceLock<Dispatcher> = OnceLock::new();
    let first = runtime();
    first.block_on(async {
        let dispatcher = start(MemoryStore::new(), &World::default(), &ManualClock::default()).await;
        let dispatcher = SHARED.get_or_init(|| dispatcher);
        dispatcher.publish(Asked::of("1")).await.unwrap();
        assert_eq!(settled(dispatcher, "1").await, Position::In(JobState::Finished));
    });
    drop(first);
    for job in ["2", "3"] {
        let dispatcher = SHARED.get().expect("the first runtime has started it");
        idle_runtime().block_on(async {
            let why = stopped(dispatcher).await;
            assert!(why.contains("runtime"), "{why}");
            let error = dispatcher.publish(Asked::of(job)).await.unwrap_err();
            assert!(matches!(error, PublishError::Stopped), "{error}");
        });
    }
}

// When it is told to, and with its last handle.

struct Yard {
    dir: tempfile::TempDir,
    clock: ManualClock,
}

impl Yard {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: ManualClock::default() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("jobs.db")
    }

    /// Opens the store anew and starts on it. The store is held by nobody but the dispatcher.
    async fn start(&self, world: &World) -> Dispatcher {
        start(SqliteStore::open(self.path()).unwrap(), world, &self.clock).await
    }

    /// Lets time pass, in step with the dispatcher, until `future` ends.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                done = &mut future => return done,
                () = self.clock.advance_to_next() => {}
            }
        }
    }

    /// Nobody holds the right to advance instances.
    fn assert_free(&self) {
        let lock = self.dir.path().join("jobs.db.lock");
        let lock = File::options().read(true).write(true).open(lock).unwrap();
        lock.try_lock().expect("the store is free");
    }
}

#[tokio::test]
async fn kill_and_shutdown_free_the_store_before_they_return() {
    let (yard, world) = (Yard::new(), World::default());
    for round in 0..50_u32 {
        let dispatcher = yard.start(&world).await;
        if let Some(before) = round.checked_sub(1) {
            let position = yard.in_time(settled(&dispatcher, &before.to_string())).await;
            assert!(
                matches!(position, Position::In(JobState::Finished | JobState::Indeterminate)),
                "{position:?}"
            );
        }
        dispatcher.publish(Asked::of(&round.to_string())).await.unwrap();
        if round % 2 == 0 {
            dispatcher.kill().await;
        } else {
            dispatcher.shutdown(SECOND).await.unwrap();
        }
        yard.assert_free();
    }
}

#[tokio::test]
async fn kill_and_shutdown_free_the_store_while_handlers_run() {
    for kill in [true, false] {
        let (yard, world) = (Yard::new(), World::default());
        world.hold(true);
        let dispatcher = yard.start(&world).await;
        dispatcher.publish(Asked::of("1")).await.unwrap();
        world.called(2).await;
        if kill {
            dispatcher.kill().await;
        } else {
            dispatcher.shutdown(Duration::ZERO).await.unwrap();
        }
        yard.assert_free();
        world.hold(false);
        let dispatcher = yard.start(&world).await;
        assert_eq!(settled(&dispatcher, "1").await, Position::In(JobState::Indeterminate));
        world.called(3).await;
        // Nobody knows how many of the three quick attempts a killed process has made.
        let second = if kill { 4 } else { 2 };
        assert_eq!(world.calls(), [("charge", 1), ("charge", second), ("ship", 1)]);
        dispatcher.shutdown(SECOND).await.unwrap();
    }
}

#[tokio::test]
async fn dropping_the_last_handle_frees_the_store_for_the_next_start() {
    let (yard, world) = (Yard::new(), World::default());
    for round in 0..10 {
        let dispatcher = yard.start(&world).await;
        let job = round.to_string();
        dispatcher.publish(Asked::of(&job)).await.unwrap();
        assert_eq!(settled(&dispatcher, &job).await, Position::In(JobState::Finished));
        let other = dispatcher.clone();
        drop(dispatcher);
        assert_eq!(other.health(), Health::Running, "a handle is left");
        drop(other);
    }
}

#[tokio::test]
async fn what_was_running_when_the_last_handle_was_dropped_counts_as_indeterminate() {
    let (yard, world) = (Yard::new(), World::default());
    world.hold(true);
    let dispatcher = yard.start(&world).await;
    dispatcher.publish(Asked::of("1")).await.unwrap();
    world.called(2).await;
    drop(dispatcher);
    world.hold(false);
    let dispatcher = yard.start(&world).await;
    assert_eq!(settled(&dispatcher, "1").await, Position::In(JobState::Indeterminate));
    world.called(3).await;
    assert_eq!(world.calls(), [("charge", 1), ("charge", 2), ("ship", 1)]);
    dispatcher.shutdown(SECOND).await.unwrap();
}

#[tokio::test]
async fn a_handler_with_a_weak_dispatcher_publishes_and_does_not_keep_it_alive() {
    let (yard, world) = (Yard::new(), World::default());
    let dispatcher = yard.start(&world).await;
    let weak = dispatcher.downgrade();
    assert!(world.dispatcher.set(weak.clone()).is_ok());
    dispatcher.publish(Asked::of("1")).await.unwrap();
    assert_eq!(settled(&dispatcher, "1").await, Position::In(JobState::Finished));
    let job = dispatcher.instance::<JobState>("1").await.unwrap().unwrap().data;
    assert_eq!(job.notes, 2, "each of both handlers has published");
    // Handlers that run hold it as little as those that do not.
    world.hold(true);
    dispatcher.publish(Asked::of("2")).await.unwrap();
    world.called(4).await;
    drop(dispatcher);
    assert!(weak.upgrade().is_none());
    let dispatcher = yard.start(&World::default()).await;
    assert_eq!(settled(&dispatcher, "2").await, Position::In(JobState::Indeterminate));
    assert!(weak.upgrade().is_none(), "it is another dispatcher");
    dispatcher.shutdown(SECOND).await.unwrap();
}
