//! Leases that end although their holder lives (R36): a holder that may have lost its lease begins nothing, and the next one
//! waits until the attempts of the last one have ended.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::Arc;
use std::time::Duration;

use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Operator, Policy, Position};
use tokio::sync::watch;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions), on_abort(Cancelled))]
#[initially(when(Placed, run(place), send(Pay, undo(Refund)), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(when(Paid, send(Ship), transition_to(Shipping)), when(any(failed(Pay), unknown(Pay)), park))]
    Paying,
    #[during(when(Shipped, transition_to(Done)), when(any(failed(Ship), unknown(Ship)), park))]
    Shipping,
    #[terminal]
    Done,
    #[terminal(failure)]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {}

impl OrderActions for Order {
    fn place(_: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn pay(&self, _: &Placed, _: &mut Context) -> Pay {
        Pay {}
    }
    fn refund(&self, _: &Pay, _: &mut Context) -> Refund {
        Refund {}
    }
    fn ship(&self, _: &Paid, _: &mut Context) -> Ship {
        Ship {}
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "paid")]
pub struct Paid {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "shipped")]
pub struct Shipped {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "pay", replies(Paid))]
pub struct Pay {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "refund")]
pub struct Refund {}

/// The carrier knows no keys: it is called at most once.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ship", replies(Shipped), at_most_once)]
pub struct Ship {}

/// What a handler does when it is called.
#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Answer,
    /// Answers when it is asked to stop.
    AnswerWhenAsked,
    Hang,
    HangAtShip,
    /// Hangs, and reports that it is alive at each nudge.
    Beat,
}

#[derive(Clone)]
struct World {
    calls: Arc<watch::Sender<Vec<&'static str>>>,
    plan: Arc<watch::Sender<Plan>>,
    nudges: Arc<watch::Sender<u32>>,
}

impl World {
    fn new(plan: Plan) -> Self {
        Self { calls: Arc::default(), plan: Arc::new(watch::Sender::new(plan)), nudges: Arc::default() }
    }

    fn calls(&self) -> Vec<&'static str> {
        self.calls.borrow().clone()
    }

    async fn call(&self, name: &'static str, cx: &HandlerContext) {
        self.calls.send_modify(|calls| calls.push(name));
        let plan = *self.plan.borrow();
        match plan {
            Plan::Answer => {}
            Plan::HangAtShip if name != "ship" => {}
            Plan::AnswerWhenAsked => cx.cancelled().await,
            Plan::Hang | Plan::HangAtShip => std::future::pending().await,
            Plan::Beat => {
                let mut nudges = self.nudges.subscribe();
                // The sender lives in `self`.
                while nudges.changed().await.is_ok() {
                    cx.heartbeat();
                }
            }
        }
    }
}

impl Handler<Pay> for World {
    async fn handle(&self, _: Pay, cx: &HandlerContext) -> HandlerResult<Pay> {
        self.call("pay", cx).await;
        Ok(Paid {}.into())
    }
}

impl Handler<Refund> for World {
    async fn handle(&self, _: Refund, cx: &HandlerContext) -> HandlerResult<Refund> {
        self.call("refund", cx).await;
        Ok(saga::Done.into())
    }
}

impl Handler<Ship> for World {
    async fn handle(&self, _: Ship, cx: &HandlerContext) -> HandlerResult<Ship> {
        self.call("ship", cx).await;
        Ok(Shipped {}.into())
    }
}

struct Shop {
    dispatcher: Dispatcher,
    store: MemoryStore,
    clock: ManualClock,
    world: World,
}

const SECOND: Duration = Duration::from_secs(1);
/// A wait is rounded up by some milliseconds.
const ROUNDED: Duration = Duration::from_millis(5);
/// The timeout of each handler.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Shop {
    async fn open(plan: Plan) -> Self {
        Self::on(MemoryStore::new(), ManualClock::default(), World::new(plan)).await
    }

    async fn on(store: MemoryStore, clock: ManualClock, world: World) -> Self {
        let policy = || Policy::default().timeout(TIMEOUT);
        let dispatcher = Dispatcher::builder(store.clone())
            .saga::<OrderState>()
            .handler_with::<Pay>(world.clone(), policy())
            .handler_with::<Refund>(world.clone(), policy())
            .handler_with::<Ship>(world.clone(), policy())
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        clock.idle().await;
        Self { dispatcher, store, clock, world }
    }

    /// The end of this process, and the start of the next one.
    async fn taken_over(self, plan: Plan, linger: Duration) -> Self {
        self.dispatcher.kill().await;
        self.store.set_linger(linger);
        Self::on(self.store, self.clock, World::new(plan)).await
    }

    async fn place(&self) {
        self.dispatcher.publish(Placed { order: "A".to_owned() }).await.unwrap();
        self.clock.idle().await;
    }

    async fn lapse(&self, lapsed: bool) {
        self.store.set_lapsed(lapsed);
        self.pass(SECOND).await;
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.clock.idle().await;
    }

    async fn position(&self) -> Position<OrderState> {
        self.clock.idle().await;
        self.dispatcher.instance::<OrderState>("A").await.unwrap().unwrap().position.clone()
    }
}

fn operator() -> Operator {
    Operator::new("ada").because("the customer has changed their mind")
}

#[tokio::test]
async fn r36_a_lapsed_holder_begins_no_attempt() {
    let shop = Shop::open(Plan::Answer).await;
    shop.lapse(true).await;
    shop.place().await;
    shop.pass(10 * SECOND).await;
    assert_eq!(
        shop.position().await,
        Position::In(OrderState::Paying),
        "steps are decided by the fence alone"
    );
    assert!(shop.world.calls().is_empty());
    shop.lapse(false).await;
    assert_eq!(shop.position().await, Position::In(OrderState::Done));
    assert_eq!(shop.world.calls(), ["pay", "ship"]);
}

#[tokio::test]
async fn r36_an_attempt_that_was_released_before_the_lapse_is_not_begun() {
    let shop = Shop::open(Plan::Answer).await;
    // The dispatcher has not looked yet. The check is made when the handler is about to be called.
    shop.store.set_lapsed(true);
    shop.place().await;
    assert!(shop.world.calls().is_empty());
    shop.lapse(false).await;
    assert_eq!(shop.world.calls(), ["pay", "ship"]);
}

#[tokio::test]
async fn r36_a_running_attempt_is_asked_to_stop_and_its_outcome_counts() {
    let shop = Shop::open(Plan::AnswerWhenAsked).await;
    shop.place().await;
    assert_eq!(shop.world.calls(), ["pay"]);
    shop.lapse(true).await;
    assert_eq!(shop.position().await, Position::In(OrderState::Shipping));
    assert_eq!(shop.world.calls(), ["pay"], "the next command waits");
    shop.world.plan.send_replace(Plan::Answer);
    shop.lapse(false).await;
    assert_eq!(shop.position().await, Position::In(OrderState::Done));
}

#[tokio::test]
async fn r36_a_heartbeat_counts_only_while_the_lease_stands() {
    for lapsed in [false, true] {
        let shop = Shop::open(Plan::Beat).await;
        shop.place().await;
        shop.lapse(lapsed).await;
        shop.pass(TIMEOUT / 2).await;
        shop.world.nudges.send_modify(|nudges| *nudges += 1);
        shop.pass(Duration::ZERO).await;
        shop.pass(TIMEOUT / 2).await;
        // The figures are written once a second.
        shop.pass(SECOND).await;
        let handlers = shop.dispatcher.handlers();
        let pay = handlers.iter().find(|handler| handler.name == "pay").unwrap();
        assert_eq!(pay.running, usize::from(!lapsed), "lapsed: {lapsed}");
    }
}

#[tokio::test]
async fn r36_an_at_most_once_command_is_unknown_after_its_timeout_and_the_ttl() {
    for (linger, wait) in [(10 * SECOND, TIMEOUT), (2 * TIMEOUT, 2 * TIMEOUT)] {
        let shop = Shop::open(Plan::HangAtShip).await;
        shop.place().await;
        assert_eq!(shop.world.calls(), ["pay", "ship"]);
        let shop = shop.taken_over(Plan::Answer, linger).await;
        shop.pass(wait - SECOND).await;
        assert_eq!(shop.position().await, Position::In(OrderState::Shipping), "it may still run");
        shop.pass(SECOND + ROUNDED).await;
        assert!(matches!(shop.position().await, Position::Parked { .. }));
        assert!(shop.world.calls().is_empty(), "never called again");
    }
}

#[tokio::test]
async fn r36_no_undo_begins_while_its_command_may_still_run() {
    let shop = Shop::open(Plan::Hang).await;
    shop.place().await;
    shop.dispatcher.abort::<OrderState>("A", operator()).await.unwrap();
    let shop = shop.taken_over(Plan::Answer, 10 * SECOND).await;
    shop.pass(TIMEOUT - SECOND).await;
    assert!(shop.world.calls().is_empty(), "the payment may still arrive");
    // Another start waits anew, because it does not know when the lease has ended.
    let shop = shop.taken_over(Plan::Answer, 10 * SECOND).await;
    shop.pass(TIMEOUT - SECOND).await;
    assert!(shop.world.calls().is_empty());
    shop.pass(SECOND + ROUNDED).await;
    assert_eq!(shop.world.calls(), ["refund"]);
    assert_eq!(shop.position().await, Position::In(OrderState::Cancelled));
}

#[tokio::test]
async fn r36_a_lease_that_ends_with_its_process_waits_for_nothing() {
    let shop = Shop::open(Plan::Hang).await;
    shop.place().await;
    shop.dispatcher.abort::<OrderState>("A", operator()).await.unwrap();
    let shop = shop.taken_over(Plan::Answer, Duration::ZERO).await;
    assert_eq!(shop.world.calls(), ["refund"]);
}

#[tokio::test]
async fn r36_a_command_that_may_be_repeated_is_repeated_at_once() {
    let shop = Shop::open(Plan::Hang).await;
    shop.place().await;
    let shop = shop.taken_over(Plan::Answer, 10 * SECOND).await;
    assert_eq!(shop.world.calls(), ["pay", "ship"], "with the same key as before");
}

#[tokio::test]
async fn r36_a_turn_during_the_wait_undoes_nothing_before_its_end() {
    let shop = Shop::open(Plan::HangAtShip).await;
    shop.place().await;
    let shop = shop.taken_over(Plan::Answer, 10 * SECOND).await;
    shop.pass(5 * SECOND).await;
    shop.dispatcher.abort::<OrderState>("A", operator()).await.unwrap();
    shop.pass(TIMEOUT - 6 * SECOND).await;
    assert!(shop.world.calls().is_empty(), "the shipment may still begin");
    shop.pass(2 * SECOND).await;
    assert_eq!(shop.world.calls(), ["refund"]);
    assert_eq!(shop.position().await, Position::In(OrderState::Cancelled));
}

#[tokio::test]
async fn r36_the_wait_ends_also_between_two_milliseconds() {
    let shop = Shop::open(Plan::HangAtShip).await;
    shop.place().await;
    shop.pass(Duration::from_nanos(400_300)).await;
    let shop = shop.taken_over(Plan::Answer, 10 * SECOND).await;
    shop.pass(Duration::from_nanos(1_000_500_700)).await;
    shop.pass(TIMEOUT - Duration::from_nanos(1_000_900_000)).await;
    for _ in 0..20 {
        shop.pass(Duration::from_micros(300)).await;
    }
    shop.pass(SECOND).await;
    assert!(matches!(shop.position().await, Position::Parked { .. }));
}

#[tokio::test]
async fn r36_other_commands_of_the_instance_go_on_during_the_wait() {
    let shop = Shop::open(Plan::HangAtShip).await;
    shop.place().await;
    let shop = shop.taken_over(Plan::Answer, 10 * SECOND).await;
    shop.dispatcher.publish(Placed { order: "B".to_owned() }).await.unwrap();
    shop.clock.idle().await;
    assert_eq!(shop.world.calls(), ["pay", "ship"], "those of another instance");
    shop.pass(TIMEOUT + SECOND).await;
    assert!(matches!(shop.position().await, Position::Parked { .. }));
}
