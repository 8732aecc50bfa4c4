//! Several dispatchers that share the shards of one store, on the memory store, with a clock that stands still.

mod support;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use saga_core::dispatcher::{
    Clock, Dispatcher, Disposition, HandlerContext, Health, InstanceError, ManualClock, Nodes, PublishError,
    StartError, Subscriber,
};
use saga_core::machine::{DeclinedReason, Operator, Position};
use saga_core::message::{HandlerError, Key, MessageId};
use saga_core::store::{Address, AuditFilter, Inspect, MemoryStore, PauseOf, ShardId};
use support::*;
use world::{Plan, World, builder, in_time};

const SHARDS: u16 = 4;

/// A store with some shards, and the dispatchers on it.
struct Shop {
    store: MemoryStore,
    world: World,
    clock: ManualClock,
}

impl Shop {
    fn with_shards(shards: u16) -> Self {
        Self {
            store: MemoryStore::with_shards(shards),
            world: World::default(),
            clock: ManualClock::default(),
        }
    }

    fn open() -> Self {
        Self::with_shards(SHARDS)
    }

    /// Another process joins.
    async fn join(&self, name: &str) -> Dispatcher {
        self.join_as(name, 0).await
    }

    async fn join_as(&self, name: &str, build: u64) -> Dispatcher {
        let joined = builder(self.store.clone(), &self.world, &self.clock).owner(name).build(build).join();
        self.in_time(joined).await.unwrap()
    }

    /// Lets time pass, in step with the dispatchers, until `future` ends.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> T {
        in_time(&self.clock, future).await
    }

    /// Lets time pass until the process sees this.
    async fn until(&self, dispatcher: &Dispatcher, sees: impl Fn(&Nodes) -> bool) {
        for _ in 0..10_000 {
            if sees(&dispatcher.nodes().unwrap()) {
                return;
            }
            self.clock.advance_to_next().await;
            tokio::task::yield_now().await;
        }
        panic!("it never sees this: {:?}", dispatcher.nodes());
    }

    /// Lets time pass until each of these processes has this many shards.
    async fn shares(&self, of: &[(&Dispatcher, usize)]) {
        for (dispatcher, share) in of {
            self.until(dispatcher, |nodes| own(nodes).len() == *share && nodes.free.is_empty()).await;
        }
    }

    async fn settled(&self, dispatcher: &Dispatcher, order: &str) -> Position<OrderState> {
        self.in_time(dispatcher.settled::<OrderState>(order)).await.unwrap()
    }
}

/// The shards of the process that looks.
fn own(nodes: &Nodes) -> Vec<u16> {
    nodes.nodes.iter().find(|node| node.is_self).map(|node| node.shards.clone()).unwrap_or_default()
}

/// An order whose instance a process has.
fn order_of(dispatcher: &Dispatcher) -> String {
    orders_of(dispatcher).next().unwrap()
}

/// Orders in the shards of this process.
fn orders_of(dispatcher: &Dispatcher) -> impl Iterator<Item = String> {
    let own = own(&dispatcher.nodes().unwrap());
    let shard = |order: &String| ShardId::of_address(&at(order), SHARDS).number();
    (0..).map(|n| format!("order-{n}")).filter(move |order| own.contains(&shard(order)))
}

fn at(order: &str) -> Address {
    Address::new("order", Key::new(order).unwrap())
}

fn id(text: &str) -> MessageId {
    MessageId::new(text).unwrap()
}

fn only(disposition: &saga_core::dispatcher::Receipt) -> &Disposition {
    let [consumer] = &disposition.consumers[..] else { panic!("{disposition:?}") };
    &consumer.disposition
}

#[tokio::test]
async fn one_process_has_all_shards_and_takes_events_the_short_way() {
    let shop = Shop::open();
    let alone = shop.join("alone").await;
    let nodes = alone.nodes().unwrap();
    assert_eq!(own(&nodes), [0, 1, 2, 3], "from the first moment: {nodes:?}");
    for n in 0..8 {
        let order = format!("order-{n}");
        assert_eq!(only(&alone.publish(placed(&order)).await.unwrap()), &Disposition::Applied);
        assert_eq!(shop.settled(&alone, &order).await, Position::In(OrderState::Completed));
    }
    assert_eq!(alone.counters().parked, 0);
    alone.shutdown(Duration::ZERO).await.unwrap();
    let next = shop.join("next").await;
    assert_eq!(own(&next.nodes().unwrap()), [0, 1, 2, 3], "the shards are free after a shutdown");
}

#[tokio::test]
async fn two_processes_have_equal_shares_and_publish_to_each_other() {
    let shop = Shop::open();
    let (first, second) = (shop.join("first").await, shop.join("second").await);
    shop.shares(&[(&first, 2), (&second, 2)]).await;
    shop.in_time(first.balanced()).await;
    let all: BTreeSet<u16> =
        own(&first.nodes().unwrap()).into_iter().chain(own(&second.nodes().unwrap())).collect();
    assert_eq!(all.len(), usize::from(SHARDS));
    let theirs = order_of(&second);
    let receipt = first.publish_as(id("there"), placed(&theirs)).await.unwrap();
    assert_eq!(only(&receipt), &Disposition::Queued);
    assert_eq!(
        shop.settled(&first, &theirs).await,
        Position::In(OrderState::Completed),
        "one waits for it from anywhere"
    );
    // The owner has the record, wherever a repetition comes from.
    let receipt = shop.in_time(first.taken_up(&id("there"), &placed(&theirs))).await.unwrap().unwrap();
    assert_eq!(only(&receipt), &Disposition::Taken);
    assert_eq!(
        only(&second.publish_as(id("there"), placed(&theirs)).await.unwrap()),
        &Disposition::Duplicate
    );
    let owner = first.owner::<OrderState>(&theirs).unwrap().unwrap();
    assert!(!owner.is_self && owner.name.starts_with("second ("), "{owner:?}");
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 1);
}

#[tokio::test]
async fn the_shards_of_a_dead_process_go_to_the_others_with_their_work() {
    let shop = Shop::open();
    let (first, second) = (shop.join("first").await, shop.join("second").await);
    shop.shares(&[(&first, 2), (&second, 2)]).await;
    let order = order_of(&second);
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    assert_eq!(only(&second.publish(placed(&order)).await.unwrap()), &Disposition::Applied);
    shop.world.called::<MakePayment>(1).await;
    second.kill().await;
    shop.shares(&[(&first, 4)]).await;
    assert_eq!(shop.settled(&first, &order).await, Position::In(OrderState::Completed));
    let keys: BTreeSet<String> =
        shop.world.calls_of::<MakePayment>().into_iter().map(|call| call.key).collect();
    assert_eq!(keys.len(), 1, "the payment has the same key in both processes");
}

#[tokio::test]
async fn a_hand_over_waits_for_attempts_and_never_ends_one() {
    let shop = Shop::with_shards(1);
    let old = shop.join_as("old", 1).await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    old.publish(placed("1")).await.unwrap();
    shop.world.called::<MakePayment>(1).await;
    let new = shop.join_as("new", 2).await;
    // The hand-over is given up, and tried again. The attempt may run for ten seconds.
    shop.in_time(shop.clock.sleep(Duration::from_secs(8))).await;
    assert_eq!(own(&old.nodes().unwrap()), [0]);
    assert_eq!(
        only(&old.publish(nudge("1", "")).await.unwrap()),
        &Disposition::Applied,
        "events are applied"
    );
    shop.world.let_go();
    shop.shares(&[(&new, 1), (&old, 0)]).await;
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 1, "the attempt has ended by itself");
    assert_eq!(shop.settled(&old, "1").await, Position::In(OrderState::Completed));
    assert_eq!(
        only(&old.publish(nudge("1", "late")).await.unwrap()),
        &Disposition::Queued,
        "it publishes on"
    );
}

#[tokio::test]
async fn a_stop_gives_the_shards_to_the_others() {
    let shop = Shop::open();
    let (first, second) = (shop.join("first").await, shop.join("second").await);
    shop.shares(&[(&first, 2), (&second, 2)]).await;
    second.shutdown(Duration::ZERO).await.unwrap();
    shop.shares(&[(&first, 4)]).await;
    assert_eq!(first.nodes().unwrap().nodes.len(), 1, "it has left");
    drop(first);
    let third = shop.join("third").await;
    shop.shares(&[(&third, 4)]).await;
}

#[tokio::test]
async fn a_stopped_process_refuses_calls() {
    let shop = Shop::open();
    let only = shop.join("only").await;
    let handle = only.clone();
    only.shutdown(Duration::ZERO).await.unwrap();
    assert!(matches!(handle.publish(placed("1")).await, Err(PublishError::Stopped)));
    assert!(matches!(handle.settled::<OrderState>("1").await, Err(InstanceError::Stopped)));
    assert!(matches!(handle.health(), Health::Stopped { .. }));
}

#[tokio::test]
async fn verbs_reach_the_instances_of_other_processes() {
    let shop = Shop::open();
    let (first, second) = (shop.join("first").await, shop.join("second").await);
    shop.shares(&[(&first, 2), (&second, 2)]).await;
    let order = order_of(&second);
    shop.world.plan::<MakePayment>(&[Plan::Lose, Plan::Lose, Plan::Lose]);
    second.publish(placed(&order)).await.unwrap();
    let operator = || Operator::new("ann").because("the customer has called");
    let aborted = shop.in_time(first.abort::<OrderState>(&order, operator())).await;
    aborted.unwrap();
    shop.settled(&first, &order).await;
    let again = shop.in_time(first.abort::<OrderState>(&order, operator())).await.unwrap_err();
    assert!(
        matches!(&again, InstanceError::Declined(DeclinedReason::Refused { why, .. }) if why.contains("ended")),
        "{again}"
    );
    let audit = shop.store.audit(&AuditFilter::default()).await.unwrap();
    assert_eq!(audit.len(), 2);
    assert!(audit.iter().all(|row| row.entry.who == "ann" && row.entry.request.is_some()), "{audit:?}");
}

#[tokio::test]
async fn a_pause_holds_in_all_shards() {
    let shop = Shop::open();
    let (first, second) = (shop.join("first").await, shop.join("second").await);
    shop.shares(&[(&first, 2), (&second, 2)]).await;
    let of = || PauseOf::Saga("order".to_owned());
    shop.in_time(first.pause(of(), Operator::new("ann"))).await.unwrap();
    let again = shop.in_time(second.pause(of(), Operator::new("bob"))).await;
    assert!(matches!(again, Err(InstanceError::Declined(DeclinedReason::AlreadyPaused { .. }))), "{again:?}");
    let mut paused = Vec::new();
    for dispatcher in [&first, &second] {
        // Each process reads the pauses when it hears of the change.
        let mut others = orders_of(dispatcher);
        let waits = shop.in_time(async {
            loop {
                let order = others.next().unwrap();
                if only(&dispatcher.publish(placed(&order)).await.unwrap()) == &Disposition::Queued {
                    return order;
                }
                tokio::task::yield_now().await;
            }
        });
        let order = waits.await;
        assert!(dispatcher.instance::<OrderState>(&order).await.unwrap().is_none());
        paused.push(order);
    }
    shop.in_time(first.resume(of(), Operator::new("ann"))).await.unwrap();
    for (dispatcher, order) in [&first, &second].into_iter().zip(paused) {
        assert_eq!(shop.settled(dispatcher, &order).await, Position::In(OrderState::Completed));
    }
}

#[tokio::test]
async fn a_process_without_a_shard_publishes_and_waits_for_its_turn() {
    let shop = Shop::with_shards(1);
    let (owner, other) = (shop.join("owner").await, shop.join("other").await);
    shop.until(&other, |nodes| nodes.nodes.len() == 2 && nodes.free.is_empty()).await;
    assert_eq!((own(&owner.nodes().unwrap()).len(), own(&other.nodes().unwrap()).len()), (1, 0));
    assert_eq!(other.health(), Health::Running);
    assert_eq!(only(&other.publish(placed("1")).await.unwrap()), &Disposition::Queued);
    assert_eq!(shop.settled(&other, "1").await, Position::In(OrderState::Completed));
    let paused = shop.in_time(other.pause(PauseOf::Saga("order".to_owned()), Operator::new("ann"))).await;
    paused.unwrap();
    let resumed = shop.in_time(other.resume(PauseOf::Saga("order".to_owned()), Operator::new("ann"))).await;
    resumed.unwrap();
    owner.kill().await;
    shop.shares(&[(&other, 1)]).await;
    assert_eq!(only(&other.publish(placed("2")).await.unwrap()), &Disposition::Applied);
}

#[tokio::test]
async fn start_needs_the_whole_store() {
    let shop = Shop::open();
    let refused = builder(shop.store.clone(), &shop.world, &shop.clock).start().await.unwrap_err();
    assert!(
        matches!(&refused, StartError::Store(error) if error.to_string().contains("4 shards")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn events_of_one_task_keep_their_order_while_shards_move() {
    let shop = Shop::open();
    let first = shop.join("first").await;
    shop.world.plan::<MakePayment>(&vec![Plan::Lose; 1_000]);
    first.publish(placed("1")).await.unwrap();
    let mut others = Vec::new();
    for round in 0..40_u32 {
        if round % 10 == 0 {
            others.push(shop.join(&format!("other-{round}")).await);
        }
        first.publish_as(id(&format!("n-{round}")), nudge("1", "")).await.unwrap();
        shop.clock.advance_to_next().await;
    }
    shop.in_time(first.balanced()).await;
    let order = at("1");
    let nudges = loop {
        let lines = shop.store.history(&order, 1_000).await.unwrap();
        let nudges: Vec<String> = lines
            .iter()
            .filter_map(|line| line.entry.cause.as_deref().filter(|cause| cause.starts_with("n-")))
            .map(str::to_owned)
            .collect();
        if nudges.len() == 40 {
            break nudges;
        }
        shop.clock.advance_to_next().await;
    };
    let expected: Vec<String> = (0..40).map(|round| format!("n-{round}")).collect();
    assert_eq!(nudges, expected);
    drop(others);
}

/// Takes the events of a later release.
#[derive(Clone, Default)]
struct Ears(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Subscriber<Nudged> for Ears {
    async fn handle(&self, event: Nudged, _: &HandlerContext) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(event.order);
        Ok(())
    }
}

#[tokio::test]
async fn r28_what_is_published_after_a_start_reaches_its_new_consumers() {
    let shop = Shop::open();
    let old = shop.join_as("old", 1).await;
    let ears = Ears::default();
    let new = builder(shop.store.clone(), &shop.world, &shop.clock)
        .owner("new")
        .build(2)
        .subscriber::<Nudged>("ears", ears.clone())
        .join();
    let new = shop.in_time(new).await.unwrap();
    // The earlier release does not have the consumer, and publishes for it from now on.
    let receipt = old.publish(nudge("1", "")).await.unwrap();
    let consumers: Vec<&str> = receipt.consumers.iter().map(|consumer| &*consumer.consumer).collect();
    assert!(consumers.contains(&"ears"), "{receipt:?}");
    shop.shares(&[(&new, 4), (&old, 0)]).await;
    shop.until(&new, |_| !ears.0.lock().unwrap().is_empty()).await;
    assert_eq!(*ears.0.lock().unwrap(), ["1"], "once");
}

#[tokio::test]
async fn a_later_release_gets_all_shards_one_after_the_other() {
    let shop = Shop::open();
    let (first, second) = (shop.join_as("first", 1).await, shop.join_as("second", 1).await);
    shop.shares(&[(&first, 2), (&second, 2)]).await;
    let (third, fourth) = (shop.join_as("third", 2).await, shop.join_as("fourth", 2).await);
    shop.shares(&[(&first, 0), (&second, 0), (&third, 2), (&fourth, 2)]).await;
    first.shutdown(Duration::ZERO).await.unwrap();
    second.shutdown(Duration::ZERO).await.unwrap();
    shop.shares(&[(&third, 2), (&fourth, 2)]).await;
}

#[tokio::test]
async fn the_last_handle_ends_its_shards_in_the_background() {
    let shop = Shop::open();
    let (first, second) = (shop.join("first").await, shop.join("second").await);
    shop.shares(&[(&first, 2), (&second, 2)]).await;
    let weak = second.downgrade();
    drop(second);
    shop.shares(&[(&first, 4)]).await;
    assert!(weak.upgrade().is_none());
    shop.until(&first, |nodes| nodes.nodes.len() == 1).await;
}
