//! The wall clock is set while the dispatcher runs, and while none does (rule R33). Waits keep their length, times of the
//! wall clock keep their time, and some things go by the other clock.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use saga::prelude::*;
use saga::recurring::ScheduleState;
use saga::store::{DeliveryId, MemoryStore, Store, TaskProgress};
use saga::testing::ManualClock;
use saga::{Clock, Dispatcher, DispatcherBuilder, Disposition, MessageId, Policy, Position, Tick};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long everything waits, and how much of it is over when the clock is set.
const WAIT: Duration = Duration::from_secs(10 * 60);
const PASSED: Duration = MINUTE;

/// The wall clock is set by so many seconds, while the dispatcher runs or between a kill and the next start.
#[derive(Clone, Copy, Debug)]
struct Jump {
    by: i64,
    stopped: bool,
}

/// Half a minute, three hours and a year, forward and back, while it runs and while it does not.
fn jumps() -> impl Iterator<Item = Jump> {
    let both_ways = [30, 3 * 60 * 60, 365 * 24 * 60 * 60].into_iter().flat_map(|by| [by, -by]);
    both_ways.flat_map(|by| [false, true].map(|stopped| Jump { by, stopped }))
}

impl Jump {
    fn length(self) -> Duration {
        Duration::from_secs(self.by.unsigned_abs())
    }

    fn of(self, wall: Timestamp) -> Timestamp {
        if self.by < 0 { wall.minus(self.length()) } else { wall.plus(self.length()) }
    }

    /// When a time of the wall clock comes that was so far away.
    fn until(self, rest: Duration) -> Duration {
        if self.by < 0 { rest + self.length() } else { rest.saturating_sub(self.length()) }
    }

    /// When a wait is over of which so much had passed. If the clock was ahead that has set it, it keeps the rest of its
    /// length, or all of it in a new process.
    fn rest(self, wait: Duration, passed: Duration) -> Duration {
        let was_ahead = self.by < 0 && self.length() > passed + MINUTE;
        match (was_ahead, self.stopped) {
            (true, true) => wait,
            (true, false) => wait - passed,
            (false, _) => self.until(wait - passed),
        }
    }

    /// Whether a message is still known when so much has passed. The slower clock counts; of the time between two
    /// processes only the wall clock knows.
    fn recognised(self, passed: Duration, window: Duration) -> bool {
        let by = if self.stopped { self.by } else { self.by.min(0) };
        let seconds = |time: Duration| i64::try_from(time.as_secs()).expect("it is not that long");
        seconds(passed) + by <= seconds(window)
    }
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "toy", version = 1, data(Toy), actions(ToyActions))]
#[initially(when(Made, run(make), transition_to(Ready)))]
#[missing_instance(defer(minutes = 10))]
#[unhandled(reject)]
pub enum ToyState {
    #[during(
        when(SetFixed, transition_to(Fixed)),
        when(SetAfter, transition_to(After)),
        when(SetAt, transition_to(At)),
        when(SetEvery, transition_to(Every)),
        when(Nudged, stay),
        when(CallWanted, send(Call), stay),
        when(Called, stay),
        when(any(failed(Call), unknown(Call)), park)
    )]
    Ready,
    #[during(timeout(minutes = 10, transition_to(Over)))]
    Fixed,
    #[during(timeout(after(patience), transition_to(Over)))]
    After,
    #[during(timeout(at(moment), transition_to(Over)))]
    At,
    #[during(every(minutes = 10, run(count), stay), when(Nudged, transition_to(Over)))]
    Every,
    #[terminal]
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Toy {
    ticks: u32,
}

impl ToyActions for Toy {
    fn make(_: &Made, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { ticks: 0 })
    }
    fn patience(&self, _: &mut Context) -> Duration {
        WAIT
    }
    fn moment(&self, cx: &mut Context) -> Timestamp {
        cx.now().plus(WAIT)
    }
    fn count(&mut self, _: &Tick, _: &mut Context) -> ActionResult<()> {
        self.ticks += 1;
        Ok(())
    }
    fn call(&self, _: &CallWanted, _: &mut Context) -> Call {
        Call {}
    }
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "whole", version = 1, data(Whole), actions(WholeActions))]
#[initially(when(Begun, run(begin), transition_to(Under)))]
#[deadline(minutes = 10, transition_to(Lapsed))]
#[unhandled(reject)]
pub enum WholeState {
    #[during(when(Ended, transition_to(Finished)))]
    Under,
    #[terminal]
    Finished,
    #[terminal(failure)]
    Lapsed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whole {}

impl WholeActions for Whole {
    fn begin(_: &Begun, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(of))]
        pub struct $name { of: String }
    )*};
}
events! {
    Made "made" SetFixed "set-fixed" SetAfter "set-after" SetAt "set-at" SetEvery "set-every" Nudged "nudged"
    CallWanted "call-wanted" Begun "begun" Ended "ended" Rang "rang" ScheduleDue "schedule-due"
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "called")]
pub struct Called {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "call", replies(Called))]
pub struct Call {}

/// Gives no answer to the first calls.
#[derive(Clone)]
struct World {
    silent: u32,
    calls: Arc<AtomicU32>,
}

impl World {
    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    fn call(&self) -> Result<(), HandlerError> {
        let before = self.calls.fetch_add(1, Ordering::SeqCst);
        if before < self.silent { Err("no answer".into()) } else { Ok(()) }
    }
}

impl Handler<Call> for World {
    async fn handle(&self, _: Call, _: &HandlerContext) -> HandlerResult<Call> {
        self.call()?;
        Ok(Called {}.into())
    }
}

impl Subscriber<Rang> for World {
    async fn handle(&self, _: Rang, _: &HandlerContext) -> Result<(), HandlerError> {
        self.call()
    }
}

impl Subscriber<ScheduleDue> for World {
    async fn handle(&self, _: ScheduleDue, _: &HandlerContext) -> Result<(), HandlerError> {
        self.call()
    }
}

type Build = fn(DispatcherBuilder, World) -> DispatcherBuilder;

fn toys(builder: DispatcherBuilder, world: World) -> DispatcherBuilder {
    toys_with(builder, world, Policy::default())
}

fn toys_with(builder: DispatcherBuilder, world: World, policy: Policy) -> DispatcherBuilder {
    builder.saga::<ToyState>().handler_with::<Call>(world, policy)
}

/// One attempt, and the next one after the wait.
fn patient() -> Policy {
    Policy::default().quick_attempts(1).backoff(WAIT, WAIT)
}

struct House {
    store: MemoryStore,
    clock: ManualClock,
    world: World,
    build: Build,
    dispatcher: Dispatcher,
}

impl House {
    /// With a world that is silent at its first calls.
    async fn open(silent: u32, build: Build) -> Self {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let world = World { silent, calls: Arc::default() };
        let dispatcher = start(&store, &clock, &world, build).await;
        Self { store, clock, world, build, dispatcher }
    }

    async fn with_toy() -> Self {
        let house = Self::open(0, toys).await;
        house.publish(Made { of: "1".to_owned() }).await;
        house
    }

    async fn publish<E: Correlated>(&self, event: E) -> Disposition {
        self.dispatcher.publish(event).await.unwrap().consumers[0].disposition.clone()
    }

    async fn repeat(&self, id: &str) -> Disposition {
        let id = MessageId::new(id).unwrap();
        let receipt = self.dispatcher.publish_as(id, Nudged { of: "1".to_owned() }).await.unwrap();
        receipt.consumers[0].disposition.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.idle().await;
        self.clock.advance(time);
        self.clock.idle().await;
    }

    async fn jump(self, jump: Jump) -> Self {
        let wall = jump.of(self.clock.now().wall);
        if !jump.stopped {
            self.clock.set_wall(wall);
            return self;
        }
        self.dispatcher.kill().await;
        self.clock.set_wall(wall);
        let dispatcher = start(&self.store, &self.clock, &self.world, self.build).await;
        Self { dispatcher, ..self }
    }

    /// Lets time pass until this is so, and answers how long that took.
    async fn until(&self, so: impl AsyncFn() -> bool) -> Duration {
        let began = self.clock.now().mono;
        self.clock.idle().await;
        while !so().await {
            self.clock.advance_to_next().await;
        }
        self.clock.now().mono - began
    }

    async fn until_over(&self) -> Duration {
        let over = async || {
            let toy = self.dispatcher.instance::<ToyState>("1").await.unwrap().unwrap();
            toy.position == Position::In(ToyState::Over)
        };
        self.until(over).await
    }

    async fn until_called(&self, times: u32) -> Duration {
        self.until(async || self.world.calls() >= times).await
    }
}

async fn start(store: &MemoryStore, clock: &ManualClock, world: &World, build: Build) -> Dispatcher {
    // All waits between attempts are as long as they may be.
    let builder = Dispatcher::builder(store.clone()).clock(clock.clone()).random(|| u128::MAX);
    build(builder, world.clone()).start().await.unwrap()
}

fn wait_of(progress: &TaskProgress) -> Duration {
    progress.due.since(progress.armed)
}

// Waits.

#[tokio::test]
async fn a_timeout_of_fixed_length_is_a_wait() {
    for jump in jumps() {
        let house = House::with_toy().await;
        house.publish(SetFixed { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        assert_eq!(house.until_over().await, jump.rest(WAIT, PASSED), "{jump:?}");
    }
}

#[tokio::test]
async fn a_timeout_of_a_length_from_a_method_is_a_wait() {
    for jump in jumps() {
        let house = House::with_toy().await;
        house.publish(SetAfter { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        assert_eq!(house.until_over().await, jump.rest(WAIT, PASSED), "{jump:?}");
    }
}

#[tokio::test]
async fn a_repeating_timer_is_a_wait_and_keeps_its_beat() {
    for jump in jumps() {
        let house = House::with_toy().await;
        house.publish(SetEvery { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        let ticked = async |times: u32| {
            let ticks = async || {
                let toy = house.dispatcher.instance::<ToyState>("1").await.unwrap().unwrap();
                toy.data.ticks >= times
            };
            house.until(ticks).await
        };
        assert_eq!(ticked(1).await, jump.rest(WAIT, PASSED), "{jump:?}");
        // However many were missed, it ticks once, and again when it would have.
        let missed = if jump.by < 0 { Duration::ZERO } else { jump.length().saturating_sub(WAIT - PASSED) };
        let over = Duration::from_secs(missed.as_secs() % WAIT.as_secs());
        assert_eq!(ticked(2).await, WAIT - over, "{jump:?}");
    }
}

#[tokio::test]
async fn a_deadline_is_a_wait() {
    for jump in jumps() {
        let house = House::open(0, |builder, _| builder.saga::<WholeState>()).await;
        house.publish(Begun { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        let lapsed = async || {
            let whole = house.dispatcher.instance::<WholeState>("1").await.unwrap().unwrap();
            whole.position == Position::In(WholeState::Lapsed)
        };
        assert_eq!(house.until(lapsed).await, jump.rest(WAIT, PASSED), "{jump:?}");
    }
}

#[tokio::test]
async fn a_retry_of_a_handler_is_a_wait() {
    for jump in jumps() {
        let house = House::open(1, |builder, world| toys_with(builder, world, patient())).await;
        house.publish(Made { of: "1".to_owned() }).await;
        house.publish(CallWanted { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        let wait = wait_of(&house.store.open_tasks(None, 1).await.unwrap()[0].task.progress);
        assert!(house.world.calls() == 1 && wait > PASSED, "{wait:?}");
        let house = house.jump(jump).await;
        assert_eq!(house.until_called(2).await, jump.rest(wait, PASSED), "{jump:?}");
    }
}

#[tokio::test]
async fn a_retry_of_a_delivery_is_a_wait() {
    for jump in jumps() {
        let subscribed: Build = |builder, world| builder.subscriber_with::<Rang>("bell", world, patient());
        let house = House::open(1, subscribed).await;
        house.publish(Rang { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        let wait = wait_of(&house.store.deliveries(DeliveryId::default(), 1).await.unwrap()[0].1.progress);
        assert!(house.world.calls() == 1 && wait > PASSED, "{wait:?}");
        let house = house.jump(jump).await;
        assert_eq!(house.until_called(2).await, jump.rest(wait, PASSED), "{jump:?}");
    }
}

#[tokio::test]
async fn waiting_for_an_instance_is_a_wait() {
    for jump in jumps() {
        let house = House::open(0, toys).await;
        assert_eq!(house.publish(Nudged { of: "1".to_owned() }).await, Disposition::Deferred);
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        let given_up = async || !house.dispatcher.dead_letters(None).await.unwrap().is_empty();
        assert_eq!(house.until(given_up).await, jump.rest(WAIT, PASSED), "{jump:?}");
    }
}

/// A wait that is over wakes it. Whether the time has come is then seen by the present clock.
#[tokio::test]
async fn a_schedule_runs_once_at_each_time_that_the_present_clock_comes_to() {
    for jump in jumps() {
        // The clock stands at midnight, so the first run is due after the wait.
        let scheduled: Build = |builder, world| {
            builder
                .subscriber::<ScheduleDue>("log", world)
                .recurring("nightly", "10 0 * * *", |due| ScheduleDue { of: due.to_string() })
        };
        let house = House::open(0, scheduled).await;
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        let ran = async || {
            let schedule = house.dispatcher.instance::<ScheduleState>("nightly").await.unwrap().unwrap();
            schedule.data.runs == 1
        };
        let first = match jump.by.unsigned_abs() {
            // The date is another, but the clock comes to the same time of the day.
            by if by % DAY.as_secs() == 0 && jump.by < 0 => jump.rest(WAIT, PASSED),
            _ => jump.until(WAIT - PASSED),
        };
        assert_eq!(house.until(ran).await, first, "{jump:?}");
        house.clock.idle().await;
        assert_eq!(house.world.calls(), 1, "{jump:?}: its event is published and delivered");
        let ran_again = async || house.world.calls() == 2;
        let second = house.until(ran_again).await;
        let at = house.clock.now().wall.as_millis() % 86_400_000;
        assert_eq!(at, 600_000, "{jump:?}: at ten past midnight");
        assert!(second <= DAY, "{jump:?}");
    }
}

#[tokio::test]
async fn a_schedule_that_wakes_early_again_and_again_runs_once() {
    let scheduled: Build = |builder, world| {
        builder
            .subscriber::<ScheduleDue>("log", world)
            .recurring("nightly", "10 0 * * *", |due| ScheduleDue { of: due.to_string() })
    };
    let house = House::open(0, scheduled).await;
    // Each night is an hour longer than the wait that was armed.
    for _ in 0..5 {
        house.pass(5 * MINUTE).await;
        house.clock.set_wall(house.clock.now().wall.minus(HOUR));
        house.pass(10 * MINUTE).await;
        assert_eq!(house.world.calls(), 0);
    }
    house.until(async || house.world.calls() == 1).await;
    assert_eq!(house.clock.now().wall.as_millis() % 86_400_000, 600_000);
    house.pass(23 * HOUR).await;
    assert_eq!(house.world.calls(), 1);
}

// A time of the wall clock.

#[tokio::test]
async fn a_timeout_at_a_time_comes_at_that_time() {
    for jump in jumps() {
        let house = House::with_toy().await;
        house.publish(SetAt { of: "1".to_owned() }).await;
        let due = house.clock.now().wall.plus(WAIT);
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        assert_eq!(house.until_over().await, jump.until(WAIT - PASSED), "{jump:?}");
        assert!(house.clock.now().wall >= due, "{jump:?}: too early");
    }
}

// What goes by the clock that nobody sets. A new process begins to count anew.

fn by_the_other_clock(jump: Jump) -> Duration {
    if jump.stopped { Duration::ZERO } else { WAIT - PASSED }
}

#[tokio::test]
async fn a_rate_goes_by_the_other_clock() {
    for jump in jumps() {
        let limited: Build =
            |builder, world| toys_with(builder, world, Policy::default().rate_limit(1, WAIT));
        let house = House::open(0, limited).await;
        for toy in ["1", "2"] {
            house.publish(Made { of: toy.to_owned() }).await;
            house.publish(CallWanted { of: toy.to_owned() }).await;
        }
        house.pass(PASSED).await;
        assert_eq!(house.world.calls(), 1);
        let house = house.jump(jump).await;
        assert_eq!(house.until_called(2).await, by_the_other_clock(jump), "{jump:?}");
    }
}

#[tokio::test]
async fn a_breaker_goes_by_the_other_clock() {
    for jump in jumps() {
        let guarded: Build = |builder, world| {
            toys_with(builder, world, Policy::default().circuit_breaker(1, WAIT).quick_attempts(5))
        };
        let house = House::open(1, guarded).await;
        house.publish(Made { of: "1".to_owned() }).await;
        house.publish(CallWanted { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        assert_eq!(house.world.calls(), 1, "its quick attempts wait for the breaker");
        let house = house.jump(jump).await;
        assert_eq!(house.until_called(2).await, by_the_other_clock(jump), "{jump:?}");
    }
}

// The slower of both clocks.

#[tokio::test]
async fn the_window_of_duplicates_goes_by_the_slower_clock() {
    for jump in jumps() {
        let short: Build = |builder, world| {
            toys_with(builder, world, Policy::default().max_total_time(HOUR)).dedup_window(DAY)
        };
        let house = House::open(0, short).await;
        house.publish(Made { of: "1".to_owned() }).await;
        for id in ["early", "late"] {
            assert_eq!(house.repeat(id).await, Disposition::Applied, "{jump:?}: it comes for the first time");
        }
        house.pass(PASSED).await;
        let house = house.jump(jump).await;
        let mut passed = PASSED;
        for (id, time) in [("early", 2 * HOUR), ("late", DAY)] {
            house.pass(time).await;
            passed += time;
            let known = house.repeat(id).await == Disposition::Duplicate;
            assert_eq!(known, jump.recognised(passed, DAY), "{jump:?}: {id}");
        }
    }
}

// Instances that are not in memory, and those that are read again after the correction.

#[tokio::test]
async fn a_wait_that_is_longer_than_the_correction_keeps_its_length() {
    let back = Jump { by: -5 * 60, stopped: false };
    for (cache, restart) in [(0, false), (64 << 20, false), (64 << 20, true)] {
        let build: Build = match cache {
            0 => |builder, world| toys(builder, world).cache_bytes(0),
            _ => toys,
        };
        let house = House::open(0, build).await;
        house.publish(Made { of: "1".to_owned() }).await;
        house.publish(SetFixed { of: "1".to_owned() }).await;
        house.pass(PASSED).await;
        let mut house = house.jump(back).await;
        house.pass(PASSED).await;
        if restart {
            house.dispatcher.kill().await;
            house.dispatcher = start(&house.store, &house.clock, &house.world, house.build).await;
        }
        let rest = house.until_over().await;
        assert_eq!(rest, WAIT - 2 * PASSED, "cache of {cache}, restarted: {restart}");
    }
}

#[tokio::test]
async fn an_event_has_its_own_time_to_wait_although_an_earlier_one_has_given_up() {
    let house = House::open(0, toys).await;
    let nudged = || Nudged { of: "1".to_owned() };
    assert_eq!(house.publish(nudged()).await, Disposition::Deferred);
    let house = house.jump(Jump { by: -3 * 60 * 60, stopped: false }).await;
    house.pass(WAIT).await;
    assert_eq!(house.dispatcher.dead_letters(None).await.unwrap().len(), 1, "it has waited long enough");
    assert_eq!(house.publish(nudged()).await, Disposition::Deferred, "it has just come");
    house.pass(WAIT - MINUTE).await;
    assert_eq!(house.dispatcher.dead_letters(None).await.unwrap().len(), 1);
    house.pass(MINUTE).await;
    assert_eq!(house.dispatcher.dead_letters(None).await.unwrap().len(), 2);
}
