//! What piles up while a store, a handler or a subscriber is slow: limits hold, nothing is lost, nothing spins.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[path = "support/faulty.rs"]
mod faulty;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use faulty::{Condition, Faulty};
use saga::prelude::*;
use saga::store::{Address, Inspect, Mail, MemoryStore, Store};
use saga::testing::ManualClock;
use saga::{Clock, Dispatcher, DispatcherBuilder, Key, Message, Operator, PayloadLimits, Policy, Position};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "job", version = 1, data(Job), actions(JobActions))]
#[initially(when(Posted, run(post), transition_to(Open)))]
#[unhandled(reject)]
pub enum JobState {
    #[during(
        when(Called, send(Call), stay),
        when(any(failed(Call), unknown(Call)), transition_to(Shut)),
        when(Tried, send(Try), stay),
        when(Counted, run(count), stay),
        when(Broken, run(fail), stay)
    )]
    Open,
    #[terminal]
    Shut,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    counted: u32,
}

/// Whether the action of `Broken` works.
static MENDED: AtomicBool = AtomicBool::new(false);

impl JobActions for Job {
    fn post(_: &Posted, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { counted: 0 })
    }
    fn call(&self, _: &Called, _: &mut Context) -> Call {
        Call {}
    }
    fn r#try(&self, _: &Tried, _: &mut Context) -> Try {
        Try {}
    }
    fn count(&mut self, _: &Counted, _: &mut Context) -> ActionResult<()> {
        self.counted += 1;
        Ok(())
    }
    fn fail(&mut self, _: &Broken, _: &mut Context) -> ActionResult<()> {
        if MENDED.load(Ordering::SeqCst) { Ok(()) } else { Err("it is broken".into()) }
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(of))]
        pub struct $name { of: String }
        impl $name {
            fn of(of: impl ToString) -> Self {
                Self { of: of.to_string() }
            }
        }
    )*};
}
events! { Posted "posted" Called "called" Tried "tried" Counted "counted" Broken "broken" }

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "news", key(of))]
pub struct News {
    of: String,
    n: usize,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "call", at_most_once)]
pub struct Call {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "try", best_effort)]
pub struct Try {}

/// What is called, and when.
#[derive(Clone)]
struct World {
    clock: ManualClock,
    calls: Arc<Mutex<Vec<Duration>>>,
    news: Arc<Mutex<BTreeMap<String, Vec<usize>>>>,
    hears: Arc<AtomicBool>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self { clock, calls: Arc::default(), news: Arc::default(), hears: Arc::default() }
    }

    fn calls(&self) -> Vec<Duration> {
        self.calls.lock().unwrap().clone()
    }

    fn builder(&self, store: impl Store, policy: Policy) -> DispatcherBuilder {
        Dispatcher::builder(store)
            .saga::<JobState>()
            .handler_with::<Call>(self.clone(), policy)
            .handler::<Try>(self.clone())
            .subscriber::<News>("reader", self.clone())
            .clock(self.clock.clone())
    }
}

impl Handler<Call> for World {
    async fn handle(&self, _: Call, _: &HandlerContext) -> HandlerResult<Call> {
        self.calls.lock().unwrap().push(self.clock.now().mono);
        Ok(Done.into())
    }
}

/// The first attempt hangs, and every other one gets no answer.
impl Handler<Try> for World {
    async fn handle(&self, _: Try, cx: &HandlerContext) -> HandlerResult<Try> {
        if cx.instance() == "hangs" {
            std::future::pending::<()>().await;
        }
        Err("no answer".into())
    }
}

impl Subscriber<News> for World {
    async fn handle(&self, news: News, _: &HandlerContext) -> Result<(), HandlerError> {
        if !self.hears.load(Ordering::SeqCst) {
            return Err("it does not hear".into());
        }
        self.news.lock().unwrap().entry(news.of).or_default().push(news.n);
        Ok(())
    }
}

#[tokio::test]
async fn the_rate_holds_for_calls_that_had_to_wait_for_the_store() {
    let (world, faulty) = (World::new(), Faulty::new(MemoryStore::new()));
    let policy = Policy::default().rate_limit(2, SECOND);
    let dispatcher = world.builder(faulty.clone(), policy).start().await.unwrap();
    for n in 0..8 {
        dispatcher.publish(Posted::of(n)).await.unwrap();
        dispatcher.publish(Called::of(n)).await.unwrap();
    }
    world.clock.idle().await;
    assert_eq!(world.calls().len(), 2, "at once");
    faulty.set(Condition::Locked);
    for _ in 0..10 {
        world.clock.advance_to_next().await;
    }
    assert!(faulty.struck() > 0);
    assert_eq!(world.calls().len(), 2, "a call that must not be repeated waits for its mark");
    faulty.set(Condition::Fine);
    while world.calls().len() < 8 {
        world.clock.advance_to_next().await;
    }
    for first in world.calls() {
        let within = world.calls().iter().filter(|call| (first..first + SECOND).contains(call)).count();
        assert!(within <= 2, "{:?}", world.calls());
    }
}

#[tokio::test]
async fn an_attempt_that_is_due_while_the_dispatcher_stops_keeps_nobody_awake() {
    let (world, store) = (World::new(), MemoryStore::new());
    let dispatcher = world.builder(store, Policy::default()).start().await.unwrap();
    for job in ["fails", "hangs"] {
        dispatcher.publish(Posted::of(job)).await.unwrap();
        dispatcher.publish(Tried::of(job)).await.unwrap();
    }
    // What fails waits to be tried again.
    world.clock.looked().await;
    let mut stopping = pin!(dispatcher.shutdown(10 * SECOND));
    let polled = poll_fn(|cx| Poll::Ready(stopping.as_mut().poll(cx).is_ready())).await;
    assert!(!polled, "one hangs");
    world.clock.looked().await;
    world.clock.advance(5 * SECOND);
    world.clock.looked().await;
    world.clock.advance(5 * SECOND);
    stopping.await.unwrap();
}

#[tokio::test]
async fn everybody_who_stops_it_waits_for_the_end() {
    let (world, store) = (World::new(), MemoryStore::new());
    let dispatcher = world.builder(store.clone(), Policy::default()).start().await.unwrap();
    dispatcher.publish(Posted::of("hangs")).await.unwrap();
    dispatcher.publish(Tried::of("hangs")).await.unwrap();
    let other = dispatcher.clone();
    let both = async { tokio::join!(dispatcher.shutdown(SECOND), other.shutdown(60 * SECOND)) };
    let mut both = pin!(both);
    assert!(!poll_fn(|cx| Poll::Ready(both.as_mut().poll(cx).is_ready())).await);
    world.clock.looked().await;
    world.clock.advance(SECOND);
    let (one, other) = both.await;
    assert!(one.is_ok() && other.is_ok(), "{one:?}, {other:?}");
    world.builder(store, Policy::default()).start().await.unwrap();
}

#[tokio::test]
async fn as_many_publishers_as_anybody_can_count() {
    let world = World::new();
    let builder = world.builder(MemoryStore::new(), Policy::default()).max_in_flight_publishes(usize::MAX);
    let dispatcher = builder.start().await.unwrap();
    dispatcher.publish(Posted::of(1)).await.unwrap();
}

/// More than are kept in memory.
#[tokio::test]
async fn a_subscriber_that_was_away_gets_everything_in_order() {
    const KEYS: usize = 3;
    const NEWS: usize = 12_000;
    let (world, store) = (World::new(), MemoryStore::new());
    let dispatcher = world.builder(store, Policy::default()).start().await.unwrap();
    for n in 0..NEWS {
        dispatcher.publish(News { of: (n % KEYS).to_string(), n }).await.unwrap();
    }
    world.hears.store(true, Ordering::SeqCst);
    let heard = || world.news.lock().unwrap().values().map(Vec::len).sum::<usize>();
    while heard() < NEWS {
        world.clock.advance_to_next().await;
    }
    for (key, heard) in world.news.lock().unwrap().iter() {
        let first: usize = key.parse().unwrap();
        assert!(heard.iter().copied().eq((first..NEWS).step_by(KEYS)), "{key}: in order, and once");
    }
    dispatcher.shutdown(SECOND).await.unwrap();
}

/// More than are read at a time. Other processes are held to no number.
#[tokio::test]
async fn everything_that_waits_for_a_parked_instance_is_taken_up_when_it_is_released() {
    const WAITING: u32 = 50_100;
    let (world, store) = (World::new(), MemoryStore::new());
    let dispatcher = world.builder(store.clone(), Policy::default()).start().await.unwrap();
    dispatcher.publish(Posted::of(1)).await.unwrap();
    dispatcher.publish(Broken::of(1)).await.unwrap();
    dispatcher.kill().await;
    let message = Message::published(&Counted::of(1), PayloadLimits::DEFAULT).unwrap();
    let address = Address::new("job", Key::new("1").unwrap());
    let mail = |_| Mail::event(address.clone(), message.clone(), world.clock.now().wall);
    store.deliver((0..WAITING).map(mail).collect()).await.unwrap();
    let dispatcher = world.builder(store.clone(), Policy::default()).start().await.unwrap();
    world.clock.idle().await;
    MENDED.store(true, Ordering::SeqCst);
    dispatcher.retry::<JobState>("1", Operator::new("ann").because("it is mended")).await.unwrap();
    world.clock.idle().await;
    let job = dispatcher.instance::<JobState>("1").await.unwrap().unwrap();
    assert_eq!((job.position, job.data.counted), (Position::In(JobState::Open), WAITING));
    assert!(store.waiting(&address, 1).await.unwrap().is_empty());
}
