//! The clock of a test: where it starts, when it moves, and what is over when nothing is left to do.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use saga::error::AskError;
use saga::prelude::*;
use saga::store::{DeliveryId, MemoryStore, Store};
use saga::testing::ManualClock;
use saga::{Clock, Dispatcher, Disposition, Position};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an attempt may take.
const PATIENCE: Duration = MINUTE;
/// How long the bell may ring.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);
const WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "bell", version = 1, data(Bell), actions(BellActions))]
#[initially(when(Pressed, run(press), send(Ring), transition_to(Ringing)))]
#[unhandled(reject)]
pub enum BellState {
    #[during(
        when(Rung, publish(Heard), transition_to(Quiet)),
        when(any(failed(Ring), unknown(Ring)), park),
        timeout(minutes = 10, transition_to(Forgotten))
    )]
    Ringing,
    #[terminal]
    Quiet,
    #[terminal]
    Forgotten,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bell {}

impl BellActions for Bell {
    fn press(_: &Pressed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn ring(&self, _: &Pressed, _: &mut Context) -> Ring {
        Ring {}
    }
    fn heard(&self, _: &Rung, cx: &mut Context) -> Heard {
        Heard { bell: cx.key().to_owned() }
    }
}

/// Nothing but a timer.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "alarm", version = 1, data(Alarm), actions(AlarmActions))]
#[initially(when(Wound, run(wind), transition_to(Set)))]
#[unhandled(reject)]
pub enum AlarmState {
    #[during(timeout(minutes = 10, transition_to(Over)))]
    Set,
    #[terminal]
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {}

impl AlarmActions for Alarm {
    fn wind(_: &Wound, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "pressed", key(bell))]
pub struct Pressed {
    bell: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "rung")]
pub struct Rung {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "heard", key(bell))]
pub struct Heard {
    bell: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "wound", key(alarm))]
pub struct Wound {
    alarm: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ring", replies(Rung))]
pub struct Ring {}

/// What the attempts to ring do.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// So many end without an answer, the next one rings.
    Fail(u32),
    /// Each has so much to do, one thing after the other, and rings.
    Work(u32),
    /// Each yields to the runtime so often, and rings.
    Yield(u32),
    /// Each waits for something outside that never comes.
    Wait,
}

/// Ready after so many polls, and to be polled again at once until then.
struct Busy(u32);

impl Future for Busy {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            None => Poll::Ready(()),
            Some(left) => {
                self.0 = left;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// When an attempt began and, if it did, when it ended.
type Attempted = (Duration, Option<Duration>);

/// Rings as planned, and hears of it.
#[derive(Clone)]
struct Ringer {
    plan: Plan,
    /// Whether it refuses to hear.
    deaf: bool,
    clock: ManualClock,
    attempts: Arc<Mutex<Vec<Attempted>>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Handler<Ring> for Ringer {
    async fn handle(&self, _: Ring, cx: &HandlerContext) -> HandlerResult<Ring> {
        let began = self.clock.now().mono;
        let nth = {
            let mut attempts = self.attempts.lock().unwrap();
            attempts.push((began, None));
            attempts.len() - 1
        };
        match self.plan {
            Plan::Fail(_) => {}
            Plan::Work(times) => Busy(times).await,
            Plan::Yield(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
            Plan::Wait => std::future::pending().await,
        }
        self.attempts.lock().unwrap()[nth].1 = Some(self.clock.now().mono);
        match self.plan {
            Plan::Fail(times) if cx.attempt() <= times => Err("no current".into()),
            _ => Ok(Rung {}.into()),
        }
    }
}

impl Subscriber<Heard> for Ringer {
    async fn handle(&self, event: Heard, _: &HandlerContext) -> Result<(), HandlerError> {
        if self.deaf {
            return Err(HandlerError::refused("deaf"));
        }
        self.heard.lock().unwrap().push(event.bell);
        Ok(())
    }
}

struct House {
    store: MemoryStore,
    clock: ManualClock,
    ringer: Ringer,
    dispatcher: Dispatcher,
}

impl House {
    async fn open(plan: Plan) -> Self {
        Self::with(plan, false).await
    }

    async fn with(plan: Plan, deaf: bool) -> Self {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let (attempts, heard) = (Arc::default(), Arc::default());
        let ringer = Ringer { plan, deaf, clock: clock.clone(), attempts, heard };
        let dispatcher = Dispatcher::builder(store.clone())
            .saga::<BellState>()
            .saga::<AlarmState>()
            .handler::<Ring>(ringer.clone())
            .subscriber::<Heard>("ear", ringer.clone())
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        Self { store, clock, ringer, dispatcher }
    }

    async fn press(&self) -> Disposition {
        let receipt = self.dispatcher.publish(Pressed { bell: "1".to_owned() }).await.unwrap();
        receipt.consumers[0].disposition.clone()
    }

    /// Lets time pass, whenever nothing is left to do, until the bell has ended.
    async fn ended(&self) -> Position<BellState> {
        let mut settled = pin!(self.dispatcher.settled::<BellState>("1"));
        loop {
            tokio::select! {
                biased;
                position = &mut settled => return position.unwrap(),
                () = self.clock.advance_to_next() => {}
            }
        }
    }

    fn now(&self) -> Duration {
        self.clock.now().mono
    }

    /// When the attempts began.
    fn began(&self) -> Vec<Duration> {
        self.ringer.attempts.lock().unwrap().iter().map(|(began, _)| *began).collect()
    }

    /// Whether the clock has moved while an attempt had something to do.
    fn has_moved_under_an_attempt(&self) -> bool {
        self.ringer.attempts.lock().unwrap().iter().any(|(began, ended)| *ended != Some(*began))
    }

    fn heard(&self) -> Vec<String> {
        self.ringer.heard.lock().unwrap().clone()
    }
}

// When it moves.

#[test]
fn it_starts_at_new_year_of_2026_and_at_zero() {
    let clock = ManualClock::default();
    let now = clock.now();
    assert_eq!((now.wall.to_string().as_str(), now.mono), ("2026-01-01T00:00:00Z", Duration::ZERO));
    clock.advance(SECOND);
    let later = clock.now();
    assert_eq!((later.wall, later.mono), (now.wall.plus(SECOND), SECOND));
    clock.set_wall(now.wall.plus(DAY));
    let set = clock.now();
    assert_eq!((set.wall, set.mono), (now.wall.plus(DAY), SECOND), "the other clock is not set");
}

#[tokio::test]
async fn quick_attempts_take_no_time() {
    for run in 0..100 {
        let house = House::open(Plan::Fail(2)).await;
        house.press().await;
        assert_eq!(house.ended().await, Position::In(BellState::Quiet), "run {run}");
        assert_eq!(house.began(), [Duration::ZERO; 3], "run {run}");
        assert_eq!(house.now(), Duration::ZERO, "run {run}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quick_attempts_take_no_time_on_threads_of_their_own() {
    for run in 0..100 {
        let house = House::open(Plan::Fail(2)).await;
        house.press().await;
        assert_eq!(house.ended().await, Position::In(BellState::Quiet), "run {run}");
        assert_eq!(house.began(), [Duration::ZERO; 3], "run {run}");
        assert_eq!(house.now(), Duration::ZERO, "run {run}");
    }
}

#[tokio::test]
async fn an_attempt_after_the_quick_ones_waits_for_the_clock() {
    let house = House::open(Plan::Fail(3)).await;
    house.press().await;
    assert_eq!(house.ended().await, Position::In(BellState::Quiet));
    let began = house.began();
    assert_eq!(began[..3], [Duration::ZERO; 3]);
    assert!(began.len() == 4 && (Duration::from_millis(1)..=SECOND).contains(&began[3]), "{began:?}");
    assert_eq!(house.now(), began[3], "nothing but that has moved it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_stands_still_while_a_handler_has_something_to_do() {
    for _ in 0..10 {
        let house = House::open(Plan::Work(10_000)).await;
        house.press().await;
        assert_eq!(house.ended().await, Position::In(BellState::Quiet));
        assert!(!house.has_moved_under_an_attempt());
        assert_eq!((house.began().len(), house.now()), (1, Duration::ZERO));
    }
}

#[tokio::test]
async fn time_stands_still_while_a_handler_yields_to_the_runtime() {
    let house = House::open(Plan::Yield(10_000)).await;
    house.press().await;
    assert_eq!(house.ended().await, Position::In(BellState::Quiet));
    assert!(!house.has_moved_under_an_attempt());
    assert_eq!((house.began().len(), house.now()), (1, Duration::ZERO));
}

#[tokio::test]
async fn advance_to_next_stops_at_a_timer_and_at_no_look_of_the_dispatcher() {
    let house = House::open(Plan::Wait).await;
    house.dispatcher.publish(Wound { alarm: "1".to_owned() }).await.unwrap();
    house.clock.advance_to_next().await;
    assert_eq!(house.now(), TIMEOUT);
    let alarm = house.dispatcher.instance::<AlarmState>("1").await.unwrap().unwrap();
    assert_eq!(alarm.position, Position::In(AlarmState::Over), "and what was due is done");
}

#[tokio::test]
async fn advance_to_next_stops_at_the_time_limit_of_an_attempt() {
    let house = House::open(Plan::Wait).await;
    house.press().await;
    house.clock.advance_to_next().await;
    assert_eq!((house.now(), house.began()), (PATIENCE, vec![Duration::ZERO, PATIENCE]));
}

#[tokio::test]
async fn advance_to_next_stops_at_the_deadline_of_a_caller() {
    let house = House::open(Plan::Wait).await;
    house.dispatcher.publish(Wound { alarm: "1".to_owned() }).await.unwrap();
    let mut asking = pin!(house.dispatcher.wait_for::<AlarmState, ()>("1", MINUTE, |_| None));
    let waits = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_pending())).await;
    assert!(waits);
    house.clock.advance_to_next().await;
    assert_eq!(house.now(), MINUTE);
    let late = asking.await.unwrap_err();
    assert!(matches!(late, AskError::Late { .. }), "{late}");
}

// What is over when nothing is left to do.

#[tokio::test]
async fn idle_has_seen_the_instance_end_and_its_delivery_made() {
    let house = House::open(Plan::Fail(2)).await;
    assert_eq!(house.press().await, Disposition::Applied);
    house.clock.idle().await;
    let bell = house.dispatcher.instance::<BellState>("1").await.unwrap().unwrap();
    assert_eq!(bell.position, Position::In(BellState::Quiet));
    assert_eq!(house.heard(), ["1"]);
    assert_eq!(house.store.deliveries(DeliveryId::default(), 9).await.unwrap(), [], "and that is durable");
}

#[tokio::test]
async fn idle_has_seen_a_delivery_made_that_was_published_by_nobodys_saga() {
    let house = House::open(Plan::Wait).await;
    let receipt = house.dispatcher.publish(Heard { bell: "2".to_owned() }).await.unwrap();
    assert_eq!(receipt.consumers[0].disposition, Disposition::Queued);
    house.clock.idle().await;
    assert_eq!(house.heard(), ["2"]);
}

#[tokio::test]
async fn idle_has_seen_a_dead_letter_kept() {
    let house = House::with(Plan::Fail(0), true).await;
    house.press().await;
    house.clock.idle().await;
    let letters = house.dispatcher.dead_letters(None).await.unwrap();
    let reasons: Vec<_> = letters.iter().map(|row| row.letter.reason.as_str()).collect();
    assert_eq!(reasons, ["refused"]);
    assert!(house.heard().is_empty());
}

#[tokio::test]
async fn idle_has_seen_what_is_past_its_window_removed() {
    let house = House::open(Plan::Fail(0)).await;
    house.press().await;
    house.clock.idle().await;
    house.clock.advance(WINDOW + HOUR + SECOND);
    house.clock.idle().await;
    assert!(house.dispatcher.instance::<BellState>("1").await.unwrap().is_none());
}

#[tokio::test]
async fn idle_has_seen_it_removed_also_when_the_dispatcher_had_looked_before() {
    let house = House::open(Plan::Fail(0)).await;
    house.press().await;
    house.clock.idle().await;
    // The first look, after which nothing is committed any more.
    house.clock.advance(SECOND);
    house.clock.idle().await;
    house.clock.advance(WINDOW + HOUR + SECOND);
    house.clock.idle().await;
    assert!(house.dispatcher.instance::<BellState>("1").await.unwrap().is_none());
}
