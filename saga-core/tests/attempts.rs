//! The numbers of attempts: they rise and none is given twice, whenever the process is killed. On the memory store, with a
//! clock that stands still.

mod support;
#[path = "support/world.rs"]
mod world;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga_core::dispatcher::{Dispatcher, HandlerContext, ManualClock, Subscriber};
use saga_core::engine::Policy;
use saga_core::machine::Position;
use saga_core::message::HandlerError;
use saga_core::store::{Fault, MemoryStore};
use support::*;
use tokio::sync::{Notify, watch};
use world::{Plan, World, builder_with, in_time};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// An order whose payment is attempted by one process after the other.
struct Shop {
    store: MemoryStore,
    world: World,
    clock: ManualClock,
    policy: Policy,
}

impl Shop {
    fn new(policy: Policy, payments: &[Plan]) -> Self {
        let world = World::default();
        world.plan::<MakePayment>(payments);
        Self { store: MemoryStore::new(), world, clock: ManualClock::default(), policy }
    }

    async fn start(&self) -> Dispatcher {
        builder_with(self.store.clone(), &self.world, &self.clock, self.policy.clone()).start().await.unwrap()
    }

    /// The numbers of the attempts, once there are so many.
    async fn numbers(&self, attempts: usize) -> Vec<u32> {
        in_time(&self.clock, self.world.called::<MakePayment>(attempts)).await;
        self.world.calls_of::<MakePayment>().into_iter().map(|call| call.attempt).collect()
    }
}

#[tokio::test]
async fn r19_after_a_kill_the_numbers_go_on_behind_the_quick_attempts_that_nobody_wrote_down() {
    use Plan::{Hang, Lose};
    let shop = Shop::new(Policy::default(), &[Lose, Lose, Hang, Lose, Hang, Hang]);
    let dispatcher = shop.start().await;
    dispatcher.publish(placed("1")).await.unwrap();
    assert_eq!(shop.numbers(3).await, [1, 2, 3], "none of them is written down");
    dispatcher.kill().await;
    let dispatcher = shop.start().await;
    assert_eq!(shop.numbers(5).await, [1, 2, 3, 4, 5]);
    dispatcher.kill().await;
    let dispatcher = shop.start().await;
    assert_eq!(shop.numbers(6).await, [1, 2, 3, 4, 5, 6]);
    shop.world.let_go();
    let position = dispatcher.settled::<OrderState>("1").await.unwrap();
    assert_eq!(position, Position::In(OrderState::Completed));
}

#[tokio::test]
async fn r19_a_command_that_was_killed_before_it_could_begin_does_not_begin_with_attempt_1() {
    let shop = Shop::new(Policy::default().concurrency(1), &[Plan::Hang]);
    let dispatcher = shop.start().await;
    dispatcher.publish(placed("1")).await.unwrap();
    assert_eq!(shop.numbers(1).await, [1]);
    dispatcher.publish(placed("2")).await.unwrap();
    shop.clock.idle().await;
    dispatcher.kill().await;
    let _dispatcher = shop.start().await;
    assert_eq!(shop.numbers(3).await, [1, 4, 4], "nobody knows that the second one waited for its place");
}

#[tokio::test]
async fn r19_a_command_that_was_killed_while_it_waited_leaves_out_one_number() {
    let policy = Policy::default().quick_attempts(2).backoff(SECOND, SECOND);
    let shop = Shop::new(policy, &[Plan::Lose, Plan::Lose]);
    let dispatcher = shop.start().await;
    dispatcher.publish(placed("1")).await.unwrap();
    shop.world.called::<MakePayment>(2).await;
    shop.clock.idle().await;
    dispatcher.kill().await;
    let _dispatcher = shop.start().await;
    assert_eq!(
        shop.numbers(3).await,
        [1, 2, 4],
        "two attempts were written down, and a third may have begun"
    );
}

#[tokio::test]
async fn r19_an_attempt_that_is_not_quick_waits_until_the_one_before_it_is_durable() {
    let policy = Policy::default().quick_attempts(1).backoff(SECOND, SECOND).timeout(MINUTE);
    let shop = Shop::new(policy, &[Plan::Hang, Plan::Hang]);
    let dispatcher = shop.start().await;
    dispatcher.publish(placed("1")).await.unwrap();
    shop.world.called::<MakePayment>(1).await;
    shop.clock.idle().await;
    shop.store.fail_next_commits(usize::MAX, Fault::BeforeCommit);
    // It is dropped, and what came of it cannot be written down.
    shop.clock.advance(MINUTE);
    for _ in 0..12 {
        shop.clock.advance_to_next().await;
    }
    assert!(shop.store.faults_fired() > 8);
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 1, "it was due after a second");
    shop.store.fail_next_commits(0, Fault::BeforeCommit);
    assert_eq!(shop.numbers(2).await, [1, 2]);
    dispatcher.kill().await;
    let _dispatcher = shop.start().await;
    assert_eq!(shop.numbers(3).await, [1, 2, 3]);
}

/// What a delivery comes to.
enum Deed {
    /// It is lost at once.
    Lose,
    /// It is lost when the test says so.
    LoseLater,
    /// It waits until it is dropped.
    Hang,
}

/// Hears of strays, and notes the number of every attempt.
#[derive(Clone)]
struct Ears(Arc<Inner>);

struct Inner {
    deeds: Mutex<VecDeque<Deed>>,
    heard: watch::Sender<Vec<(String, u32)>>,
    go: Notify,
}

impl Ears {
    /// The next deliveries come to this, the ones after are taken.
    fn new(deeds: impl IntoIterator<Item = Deed>) -> Self {
        let deeds = Mutex::new(deeds.into_iter().collect());
        Self(Arc::new(Inner { deeds, heard: watch::Sender::new(Vec::new()), go: Notify::new() }))
    }

    async fn start(&self, store: &MemoryStore, clock: &ManualClock) -> Dispatcher {
        Dispatcher::builder(store.clone())
            .subscriber_with::<Stray>("ears", self.clone(), Policy::default().concurrency(1))
            .clock(clock.clone())
            .start()
            .await
            .unwrap()
    }

    /// The attempts, once there are so many.
    async fn heard(&self, attempts: usize) -> Vec<(String, u32)> {
        let mut heard = self.0.heard.subscribe();
        let found = heard.wait_for(|heard| heard.len() >= attempts).await.unwrap();
        found.clone()
    }

    async fn numbers(&self, attempts: usize) -> Vec<u32> {
        self.heard(attempts).await.into_iter().map(|(_, number)| number).collect()
    }
}

impl Subscriber<Stray> for Ears {
    async fn handle(&self, event: Stray, cx: &HandlerContext) -> Result<(), HandlerError> {
        let deed = self.0.deeds.lock().unwrap().pop_front();
        self.0.heard.send_modify(|heard| heard.push((event.order, cx.attempt())));
        match deed {
            None => Ok(()),
            Some(Deed::Lose) => Err("misheard".into()),
            Some(Deed::LoseLater) => {
                self.0.go.notified().await;
                Err("misheard".into())
            }
            Some(Deed::Hang) => std::future::pending().await,
        }
    }
}

fn stray(order: &str) -> Stray {
    Stray { order: order.to_owned() }
}

#[tokio::test]
async fn r22_the_numbers_of_a_delivery_rise_over_kills_as_those_of_a_command_do() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let ears = Ears::new([Deed::Lose, Deed::Hang, Deed::Hang]);
    let dispatcher = ears.start(&store, &clock).await;
    dispatcher.publish(stray("1")).await.unwrap();
    assert_eq!(ears.numbers(2).await, [1, 2]);
    dispatcher.kill().await;
    let dispatcher = ears.start(&store, &clock).await;
    assert_eq!(ears.numbers(3).await, [1, 2, 4], "the third quick attempt may have begun");
    dispatcher.kill().await;
    let _dispatcher = ears.start(&store, &clock).await;
    assert_eq!(ears.numbers(4).await, [1, 2, 4, 6]);
}

#[tokio::test]
async fn r22_a_delivery_that_waits_to_be_tried_again_is_counted_over_a_clean_restart() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let ears = Ears::new([Deed::LoseLater, Deed::Hang]);
    let dispatcher = ears.start(&store, &clock).await;
    dispatcher.publish(stray("1")).await.unwrap();
    ears.heard(1).await;
    dispatcher.publish(stray("2")).await.unwrap();
    clock.idle().await;
    // The first one waits behind the second one for the only place.
    ears.0.go.notify_one();
    assert_eq!(ears.heard(2).await, [("1".to_owned(), 1), ("2".to_owned(), 1)]);
    clock.idle().await;
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
    let _dispatcher = ears.start(&store, &clock).await;
    let mut heard = ears.heard(4).await.split_off(2);
    heard.sort();
    assert_eq!(heard, [("1".to_owned(), 2), ("2".to_owned(), 2)]);
}
