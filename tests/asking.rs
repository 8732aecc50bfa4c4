//! Asking a saga: a typed answer, a deadline that loses nothing; and handlers that publish.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::DeadLetterReason;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::{AskError, InstanceError, PublishError};
use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Disposition, Operator, Policy, Position};
use tokio::sync::Notify;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "quote", version = 1, data(Quote), actions(QuoteActions))]
#[initially(when(QuoteAsked, run(begin), send(Calculate), transition_to(Calculating)))]
#[unhandled(reject)]
pub enum QuoteState {
    #[during(
        when(Calculated, run(keep), transition_to(Offered)),
        when(any(failed(Calculate), unknown(Calculate)), transition_to(Declined))
    )]
    Calculating,
    #[during(when(Accepted, transition_to(Closed)))]
    Offered,
    #[terminal]
    Closed,
    #[terminal(failure)]
    Declined,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    cents: Option<u64>,
}

impl QuoteActions for Quote {
    fn begin(event: &QuoteAsked, _: &mut Context) -> ActionResult<Self> {
        if event.risk == 0 {
            return Err("there is no risk".into());
        }
        Ok(Self { cents: None })
    }
    fn calculate(&self, event: &QuoteAsked, _: &mut Context) -> Calculate {
        Calculate { risk: event.risk }
    }
    fn keep(&mut self, event: &Calculated, _: &mut Context) -> ActionResult<()> {
        self.cents = Some(event.cents);
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "quote.asked", key(quote))]
pub struct QuoteAsked {
    quote: String,
    risk: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "quote.accepted", key(quote))]
pub struct Accepted {
    quote: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "quote.calculated")]
pub struct Calculated {
    cents: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "quote.calculate", replies(Calculated))]
pub struct Calculate {
    risk: u64,
}

/// What a handler published along the way.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "quote.looked-up", key(what))]
pub struct LookedUp {
    what: String,
}

/// Publishes two events, and answers once it may; the first attempts end without an answer.
#[derive(Clone, Default)]
struct Actuary {
    indeterminate: u32,
    open: Arc<Notify>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Handler<Calculate> for Actuary {
    async fn handle(&self, command: Calculate, cx: &HandlerContext) -> HandlerResult<Calculate> {
        // Another order in every attempt: what the event says is what counts.
        let mut looked_up = ["table", "age"];
        looked_up.rotate_left(cx.attempt() as usize % 2);
        for what in looked_up {
            let receipt = cx.publish(LookedUp { what: what.to_owned() }).await?;
            let again = receipt.consumers[0].disposition == Disposition::Duplicate;
            assert_eq!(again, cx.attempt() > 1, "{receipt:?}");
        }
        let receipt = cx.publish_for("risk", LookedUp { what: "risk".to_owned() }).await?;
        assert_eq!(receipt.consumers[0].disposition == Disposition::Duplicate, cx.attempt() > 1);
        if cx.attempt() <= self.indeterminate {
            return Err("no answer".into());
        }
        self.open.notified().await;
        Ok(Calculated { cents: command.risk * 100 }.into())
    }
}

impl Subscriber<LookedUp> for Actuary {
    async fn handle(&self, event: LookedUp, _: &HandlerContext) -> Result<(), HandlerError> {
        self.seen.lock().unwrap().push(event.what);
        Ok(())
    }
}

struct Desk {
    clock: ManualClock,
    actuary: Actuary,
    dispatcher: Dispatcher,
}

impl Desk {
    async fn open(indeterminate: u32) -> Self {
        let (clock, actuary) = (ManualClock::default(), Actuary { indeterminate, ..Actuary::default() });
        let dispatcher = Dispatcher::builder(MemoryStore::new())
            .saga::<QuoteState>()
            .handler_with::<Calculate>(
                actuary.clone(),
                Policy::default()
                    .timeout(24 * HOUR)
                    .backoff(Duration::from_millis(1), Duration::from_millis(1)),
            )
            .subscriber::<LookedUp>("seen", actuary.clone())
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        Self { clock, actuary, dispatcher }
    }

    async fn seen(&self, count: usize) -> Vec<String> {
        while self.actuary.seen.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
        let mut seen = self.actuary.seen.lock().unwrap().clone();
        seen.sort();
        seen
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

fn asked(risk: u64) -> QuoteAsked {
    QuoteAsked { quote: "7".to_owned(), risk }
}

fn price(quote: &saga::Instance<QuoteState>) -> Option<u64> {
    quote.data.cents
}

#[tokio::test]
async fn the_answer_is_read_off_the_instance_as_soon_as_it_is_there() {
    let desk = Desk::open(0).await;
    desk.actuary.open.notify_one();
    let cents = desk.dispatcher.ask::<QuoteState, _, _>(asked(3), HOUR, price).await.unwrap();
    assert_eq!(cents, 300);
    let offered = desk.dispatcher.wait_for::<QuoteState, _>("7", HOUR, |quote| {
        (quote.position == Position::In(QuoteState::Offered)).then_some(())
    });
    offered.await.unwrap();
}

#[tokio::test]
async fn a_late_answer_loses_nothing() {
    let desk = Desk::open(0).await;
    let looked = Arc::new(Notify::new());
    let asking = tokio::spawn({
        let (dispatcher, looked) = (desk.dispatcher.clone(), Arc::clone(&looked));
        async move {
            let answer = |quote: &saga::Instance<QuoteState>| {
                looked.notify_one();
                price(quote)
            };
            dispatcher.ask::<QuoteState, _, _>(asked(3), HOUR, answer).await
        }
    });
    looked.notified().await;
    desk.clock.advance(HOUR);
    let late = asking.await.unwrap().unwrap_err();
    assert_eq!(
        late.to_string(),
        "quote `7` did not answer within 3600s; the work continues; wait for the answer with `wait_for`"
    );
    assert!(matches!(late, AskError::Late { .. }));
    desk.actuary.open.notify_one();
    assert_eq!(desk.dispatcher.wait_for::<QuoteState, _>("7", HOUR, price).await.unwrap(), 300);
    // An event that starts an instance may be asked again.
    assert_eq!(desk.dispatcher.ask::<QuoteState, _, _>(asked(3), HOUR, price).await.unwrap(), 300);
}

#[tokio::test]
async fn one_may_wait_for_an_instance_that_does_not_exist_yet() {
    let desk = Desk::open(0).await;
    desk.actuary.open.notify_one();
    let answer = tokio::spawn({
        let dispatcher = desk.dispatcher.clone();
        async move { dispatcher.wait_for::<QuoteState, _>("7", HOUR, price).await }
    });
    tokio::task::yield_now().await;
    desk.dispatcher.publish(asked(5)).await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap(), 500);
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let desk = Desk::open(0).await;
    let dead = desk.dispatcher.ask::<QuoteState, _, _>(asked(0), HOUR, price).await.unwrap_err();
    assert_eq!(
        dead.to_string(),
        "`quote` did not take event `quote.asked`: start-failed; the event is a dead letter"
    );
    let nameless = QuoteAsked { quote: String::new(), risk: 1 };
    let bad = desk.dispatcher.ask::<QuoteState, _, _>(nameless, HOUR, price).await.unwrap_err();
    assert!(matches!(bad, AskError::Publish(PublishError::Key { .. })), "{bad}");
    desk.dispatcher.clone().shutdown(Duration::from_secs(1)).await.unwrap();
    let stopped = desk.dispatcher.wait_for::<QuoteState, _>("7", HOUR, price).await.unwrap_err();
    assert!(matches!(stopped, AskError::Instance(InstanceError::Stopped)), "{stopped}");
}

/// What is told to a lamp that nobody has bought is ignored.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "lamp", version = 1, data(Lamp), actions(LampActions))]
#[initially(when(LampBought, run(unpack), transition_to(Dark)))]
#[missing_instance(ignore)]
#[unhandled(ignore)]
pub enum LampState {
    #[during(when(SwitchedOn, transition_to(Lit)), when(Knocked, run(fall), stay))]
    Dark,
    #[during(when(Broken, transition_to(Gone)))]
    Lit,
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lamp {}

impl LampActions for Lamp {
    fn unpack(_: &LampBought, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn fall(&mut self, _: &Knocked, _: &mut Context) -> ActionResult<()> {
        Err("it fell".into())
    }
}

/// What is told to a heater that nobody has bought waits for that.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "heater", version = 1, data(Heater), actions(HeaterActions))]
#[initially(when(HeaterBought, run(unpack), transition_to(Cold)))]
#[missing_instance(defer(minutes = 5))]
#[unhandled(reject)]
pub enum HeaterState {
    #[during(when(TurnedUp, transition_to(Warm)))]
    Cold,
    #[terminal]
    Warm,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heater {}

impl HeaterActions for Heater {
    fn unpack(_: &HeaterBought, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

macro_rules! events {
    ($($name:ident $wire:literal),*) => {
        $(
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $wire, key(room))]
            pub struct $name { room: String }
        )*
    };
}
events!(
    LampBought "lamp.bought", SwitchedOn "lamp.on", Broken "lamp.broken", Knocked "lamp.knocked",
    HeaterBought "heater.bought", TurnedUp "heater.up"
);

fn hall() -> String {
    "hall".to_owned()
}

/// A dispatcher that runs both, and a subscriber to what is bought.
async fn household() -> (Dispatcher, ManualClock) {
    struct Till;
    impl Subscriber<HeaterBought> for Till {
        async fn handle(&self, _: HeaterBought, _: &HandlerContext) -> Result<(), HandlerError> {
            Ok(())
        }
    }
    let clock = ManualClock::default();
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .saga::<LampState>()
        .saga::<HeaterState>()
        .subscriber::<HeaterBought>("till", Till)
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    (dispatcher, clock)
}

fn lamp(lamp: &saga::Instance<LampState>) -> Option<LampState> {
    lamp.position.state().cloned()
}

fn heater(heater: &saga::Instance<HeaterState>) -> Option<HeaterState> {
    heater.position.state().cloned()
}

#[tokio::test]
async fn ignored_without_an_instance_means_that_no_answer_will_come() {
    let (house, _) = household().await;
    let ignored = house.ask::<LampState, _, _>(SwitchedOn { room: hall() }, HOUR, lamp).await.unwrap_err();
    assert!(matches!(ignored, AskError::NoInstance { event: "lamp.on", saga: "lamp", .. }), "{ignored:?}");
    assert_eq!(
        ignored.to_string(),
        "lamp `hall` will not answer event `lamp.on`: the instance does not exist; the saga ignores events without an instance; publish the starting event first, or defer such events with `#[missing_instance(defer(..))]`"
    );
}

#[tokio::test]
async fn applied_and_ignored_by_an_instance_are_answered_by_it() {
    let (house, _) = household().await;
    let bought = || LampBought { room: hall() };
    let answer = house.ask::<LampState, _, _>(bought(), HOUR, lamp).await.unwrap();
    assert_eq!(answer, LampState::Dark, "applied");
    let answer = house.ask::<LampState, _, _>(Broken { room: hall() }, HOUR, lamp).await.unwrap();
    assert_eq!(answer, LampState::Dark, "ignored, as its table says");
    let answer = house.ask::<LampState, _, _>(bought(), HOUR, lamp).await.unwrap();
    assert_eq!(answer, LampState::Dark, "already started");
    house.ask::<LampState, _, _>(SwitchedOn { room: hall() }, HOUR, lamp).await.unwrap();
    house.ask::<LampState, _, _>(Broken { room: hall() }, HOUR, lamp).await.unwrap();
    let answer = house.ask::<LampState, _, _>(bought(), HOUR, lamp).await.unwrap();
    assert_eq!(answer, LampState::Gone, "the instance has ended");
}

#[tokio::test]
async fn dead_means_that_no_answer_will_come_whether_or_not_there_is_an_instance() {
    let desk = Desk::open(0).await;
    let accepted = || Accepted { quote: "7".to_owned() };
    let dead = desk.dispatcher.ask::<QuoteState, _, _>(accepted(), HOUR, price).await.unwrap_err();
    assert_eq!(
        dead.to_string(),
        "`quote` did not take event `quote.accepted`: missing-instance; the event is a dead letter"
    );
    desk.dispatcher.publish(asked(3)).await.unwrap();
    let dead = desk.dispatcher.ask::<QuoteState, _, _>(accepted(), HOUR, price).await.unwrap_err();
    assert!(
        matches!(&dead, AskError::Dead { reason, .. } if *reason == DeadLetterReason::Unhandled),
        "{dead:?}"
    );
}

#[tokio::test]
async fn deferred_waits_for_the_instance_to_come() {
    let (house, clock) = household().await;
    let asking = tokio::spawn({
        let house = house.clone();
        let warm =
            |found: &saga::Instance<HeaterState>| heater(found).filter(|state| *state == HeaterState::Warm);
        async move { house.ask::<HeaterState, _, _>(TurnedUp { room: hall() }, HOUR, warm).await }
    });
    tokio::task::yield_now().await;
    clock.idle().await;
    assert!(!asking.is_finished());
    house.publish(HeaterBought { room: hall() }).await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap(), HeaterState::Warm);
}

#[tokio::test]
async fn queued_waits_for_its_turn() {
    let (house, clock) = household().await;
    // Two take it, so nobody has looked at it when the receipt is there.
    let bought = HeaterBought { room: hall() };
    assert_eq!(house.ask::<HeaterState, _, _>(bought, HOUR, heater).await.unwrap(), HeaterState::Cold);
    // A parked instance takes nothing until it is released.
    house.publish(LampBought { room: hall() }).await.unwrap();
    house.publish(Knocked { room: hall() }).await.unwrap();
    let asking = tokio::spawn({
        let house = house.clone();
        let lit = |found: &saga::Instance<LampState>| lamp(found).filter(|state| *state == LampState::Lit);
        async move { house.ask::<LampState, _, _>(SwitchedOn { room: hall() }, HOUR, lit).await }
    });
    tokio::task::yield_now().await;
    clock.idle().await;
    assert!(!asking.is_finished());
    house.skip::<LampState>("hall", Operator::new("ann").because("picked up")).await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap(), LampState::Lit);
}

#[tokio::test]
async fn a_duplicate_is_answered_by_whoever_took_it_before() {
    let (house, _) = household().await;
    let id = || saga::MessageId::new("once").unwrap();
    house.publish_as(id(), LampBought { room: hall() }).await.unwrap();
    let again = house.publish_as(id(), LampBought { room: hall() }).await.unwrap();
    assert_eq!(again.consumers[0].disposition, Disposition::Duplicate);
    let answer = house.wait_for::<LampState, _>(again.consumers[0].key.text(), HOUR, lamp).await.unwrap();
    assert_eq!(answer, LampState::Dark);
}

#[tokio::test]
async fn a_saga_that_does_not_run_here_gives_no_answer() {
    struct Ear;
    impl Subscriber<SwitchedOn> for Ear {
        async fn handle(&self, _: SwitchedOn, _: &HandlerContext) -> Result<(), HandlerError> {
            Ok(())
        }
    }
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .subscriber::<SwitchedOn>("ear", Ear)
        .clock(ManualClock::default())
        .start()
        .await
        .unwrap();
    let heard = dispatcher.ask::<LampState, _, _>(SwitchedOn { room: hall() }, HOUR, lamp).await.unwrap_err();
    assert_eq!(
        heard.to_string(),
        "lamp `hall` will not answer event `lamp.on`: this dispatcher does not run the saga; register the saga with `.saga::<..>()`"
    );
}

#[tokio::test]
async fn r26_what_a_handler_publishes_again_in_another_attempt_is_a_duplicate() {
    let desk = Desk::open(2).await;
    desk.actuary.open.notify_one();
    // Its quick attempts follow without a pause.
    let cents = desk.dispatcher.ask::<QuoteState, _, _>(asked(3), HOUR, price).await.unwrap();
    assert_eq!(cents, 300);
    assert_eq!(desk.seen(3).await, ["age", "risk", "table"], "each once, of three attempts");
}
