//! The result of an event that was published under an id: asked later, and waited for. On the memory store, with a clock
//! that stands still.

mod support;
#[path = "support/world.rs"]
mod world;

use saga_core::store::DeadLetterReason;
use std::sync::Arc;
use std::time::Duration;

use saga_core::dispatcher::{
    Dispatcher, DispatcherBuilder, Disposition, HandlerContext, ManualClock, PublishError, ReceiptError,
    Subscriber,
};
use saga_core::machine::Operator;
use saga_core::machine::Position;
use saga_core::message::{Correlated, HandlerError, Message, MessageId, PayloadLimits, Timestamp};
use saga_core::store::{Address, Fault, InboxId, Mail, MailKind, MemoryStore, Store};
use support::*;
use tokio::sync::Notify;
use world::{Plan, World, builder, in_time};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Takes an event when the test lets it.
#[derive(Clone, Default)]
struct Ears(Arc<Notify>);

impl Subscriber<Stray> for Ears {
    async fn handle(&self, _: Stray, _: &HandlerContext) -> Result<(), HandlerError> {
        self.0.notified().await;
        Ok(())
    }
}

impl Subscriber<Nudged> for Ears {
    async fn handle(&self, _: Nudged, _: &HandlerContext) -> Result<(), HandlerError> {
        self.0.notified().await;
        Ok(())
    }
}

struct Shop {
    store: MemoryStore,
    world: World,
    clock: ManualClock,
    ears: Ears,
    dispatcher: Dispatcher,
}

impl Shop {
    async fn open() -> Self {
        Self::on(MemoryStore::new()).await
    }

    async fn on(store: MemoryStore) -> Self {
        let (world, clock, ears) = (World::default(), ManualClock::default(), Ears::default());
        let dispatcher = dispatcher(&store, &world, &clock, &ears).start().await.unwrap();
        Self { store, world, clock, ears, dispatcher }
    }

    /// The process dies; another one starts on the same store.
    async fn crash(self) -> Self {
        self.dispatcher.kill().await;
        let dispatcher = dispatcher(&self.store, &self.world, &self.clock, &self.ears).start().await.unwrap();
        Self { dispatcher, ..self }
    }

    /// Somebody else writes an event into the inbox, as a transaction of the application does.
    async fn write<E: Correlated>(&self, consumer: &'static str, id: &str, event: &E) {
        write(&self.store, consumer, vec![(id, event)]).await;
    }

    async fn receipt<E: Correlated>(&self, id: &str, event: &E) -> Option<Disposition> {
        let receipt = self.dispatcher.receipt(&message_id(id), event).await.unwrap()?;
        assert_eq!(receipt.id, Some(message_id(id)));
        Some(receipt.consumers[0].disposition.clone())
    }

    async fn taken_up<E: Correlated>(&self, id: &str, event: &E) -> Option<Disposition> {
        let receipt = self.dispatcher.taken_up(&message_id(id), event).await.unwrap()?;
        Some(receipt.consumers[0].disposition.clone())
    }

    async fn nudges(&self, order: &str) -> u32 {
        self.dispatcher.instance::<OrderState>(order).await.unwrap().unwrap().data.nudges
    }
}

fn dispatcher(store: &MemoryStore, world: &World, clock: &ManualClock, ears: &Ears) -> DispatcherBuilder {
    builder(store.clone(), world, clock).subscriber::<Stray>("ears", ears.clone()).dedup_window(30 * HOUR)
}

async fn write<E: Correlated>(store: &MemoryStore, consumer: &'static str, events: Vec<(&str, &E)>) {
    let kind = if consumer == "ears" { MailKind::Delivery } else { MailKind::Event };
    let mail = |(id, event): (&str, &E)| {
        let to = Address::new(consumer, event.correlation(consumer).unwrap());
        let message = Message::published(event, PayloadLimits::DEFAULT).unwrap();
        Mail { id: Some(message_id(id)), ..Mail::new(to, kind, message, Timestamp::EPOCH) }
    };
    store.deliver(events.into_iter().map(mail).collect()).await.unwrap();
}

fn message_id(id: &str) -> MessageId {
    MessageId::new(id).unwrap()
}

fn stray(order: &str) -> Stray {
    Stray { order: order.to_owned() }
}

fn is_dead(became: Option<Disposition>, why: &str) -> bool {
    matches!(became, Some(Disposition::Dead { reason, .. }) if reason.as_str() == why)
}

#[tokio::test]
async fn r24_a_receipt_says_later_what_became_of_a_published_event() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    let gently = nudge("1", "gently");
    assert_eq!(shop.receipt("n", &gently).await, None, "nobody has published it");
    shop.dispatcher.publish_as(message_id("p"), placed("1")).await.unwrap();
    shop.dispatcher.publish_as(message_id("n"), gently.clone()).await.unwrap();
    assert_eq!(shop.receipt("p", &placed("1")).await, Some(Disposition::Taken));
    assert_eq!(shop.receipt("n", &gently).await, Some(Disposition::Taken));
    let firmly = nudge("1", "firmly");
    assert_eq!(shop.receipt("n", &firmly).await, Some(Disposition::Conflict), "another event had the id");
    assert_eq!(shop.receipt("n", &nudge("2", "gently")).await, None, "of another order nothing is known");
    let shop = shop.crash().await;
    assert_eq!(shop.receipt("n", &gently).await, Some(Disposition::Taken));
}

#[tokio::test]
async fn r23_whoever_waits_until_an_event_is_taken_up_reads_their_own_writes() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.write("order", "p", &placed("1")).await;
    assert_eq!(shop.taken_up("p", &placed("1")).await, Some(Disposition::Taken));
    for nth in 1..=20_u32 {
        let (id, nudged) = (format!("n-{nth}"), nudge("1", &nth.to_string()));
        shop.write("order", &id, &nudged).await;
        assert_eq!(shop.taken_up(&id, &nudged).await, Some(Disposition::Taken));
        assert_eq!(shop.nudges("1").await, nth);
    }
}

#[tokio::test]
async fn r23_what_was_written_while_nobody_ran_is_taken_up_by_the_next_start() {
    let store = MemoryStore::new();
    write(&store, "order", vec![("p", &placed("1"))]).await;
    let shop = Shop::on(store).await;
    assert_eq!(shop.taken_up("p", &placed("1")).await, Some(Disposition::Taken));
    assert!(shop.dispatcher.instance::<OrderState>("1").await.unwrap().is_some());
}

#[tokio::test]
async fn r23_it_is_waited_for_behind_everything_that_lies_before_it() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.dispatcher.publish(placed("1")).await.unwrap();
    // More than one page of the inbox holds.
    let all: Vec<(String, Nudged)> =
        (1..=1_200).map(|nth: u32| (format!("n-{nth}"), nudge("1", &nth.to_string()))).collect();
    write(&shop.store, "order", all.iter().map(|(id, nudged)| (&**id, nudged)).collect()).await;
    let (id, last) = &all[1_199];
    assert_eq!(shop.taken_up(id, last).await, Some(Disposition::Taken));
    assert_eq!(shop.nudges("1").await, 1_200);
}

#[tokio::test]
async fn r23_many_may_wait_at_the_same_time() {
    let shop = Arc::new(Shop::open().await);
    let mut waiting = tokio::task::JoinSet::new();
    for nth in 0..100 {
        let shop = Arc::clone(&shop);
        waiting.spawn(async move {
            let (id, order) = (format!("p-{nth}"), format!("order-{nth}"));
            shop.write("order", &id, &placed(&order)).await;
            assert_eq!(shop.taken_up(&id, &placed(&order)).await, Some(Disposition::Taken));
            assert!(shop.dispatcher.instance::<OrderState>(&order).await.unwrap().is_some());
        });
    }
    while let Some(waited) = waiting.join_next().await {
        waited.unwrap();
    }
}

#[tokio::test]
async fn r26_a_conflict_and_a_repetition_from_a_transaction_are_answered_to_whoever_waits() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    let (gently, firmly) = (nudge("1", "gently"), nudge("1", "firmly"));
    shop.dispatcher.publish(placed("1")).await.unwrap();
    shop.dispatcher.publish_as(message_id("n"), gently.clone()).await.unwrap();
    shop.write("order", "n", &firmly).await;
    assert_eq!(shop.taken_up("n", &firmly).await, Some(Disposition::Conflict));
    let letters = shop.dispatcher.dead_letters(None).await.unwrap();
    assert_eq!(letters.len(), 1, "it is durable when that is answered");
    assert_eq!(letters[0].letter.reason, DeadLetterReason::IdConflict);
    shop.write("order", "n", &gently).await;
    assert_eq!(shop.taken_up("n", &gently).await, Some(Disposition::Taken));
    assert_eq!(shop.nudges("1").await, 1);
    assert!(shop.store.inbox(InboxId(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn r24_an_event_that_nobody_could_take_is_answered_to_be_dead() {
    let shop = Shop::open().await;
    shop.write("order", "c", &cancel("9")).await;
    assert!(is_dead(shop.taken_up("c", &cancel("9")).await, "missing-instance"));
    assert!(is_dead(shop.receipt("c", &cancel("9")).await, "missing-instance"));
}

#[tokio::test]
async fn r22_an_event_is_queued_until_its_subscriber_has_taken_it() {
    let shop = Shop::open().await;
    shop.dispatcher.publish_as(message_id("s"), stray("1")).await.unwrap();
    shop.write("ears", "t", &stray("2")).await;
    for (id, order) in [("s", "1"), ("t", "2")] {
        assert_eq!(shop.taken_up(id, &stray(order)).await, Some(Disposition::Queued));
        // Once more, by somebody else.
        shop.write("ears", id, &stray(order)).await;
        assert_eq!(shop.taken_up(id, &stray(order)).await, Some(Disposition::Queued));
        shop.ears.0.notify_one();
        shop.clock.idle().await;
        assert_eq!(shop.receipt(id, &stray(order)).await, Some(Disposition::Taken));
    }
    assert!(shop.store.inbox(InboxId(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn r24_each_consumer_has_its_own_line() {
    let (store, world, clock, ears) =
        (MemoryStore::new(), World::default(), ManualClock::default(), Ears::default());
    let dispatcher = builder(store, &world, &clock).subscriber::<Nudged>("ears", ears.clone());
    let dispatcher = dispatcher.start().await.unwrap();
    world.plan::<MakePayment>(&[Plan::Hang]);
    dispatcher.publish(placed("1")).await.unwrap();
    let (id, nudged) = (message_id("n"), nudge("1", "gently"));
    dispatcher.publish_as(id.clone(), nudged.clone()).await.unwrap();
    let receipt = dispatcher.taken_up(&id, &nudged).await.unwrap().expect("it was published");
    let lines: Vec<_> = receipt.consumers.iter().map(|line| (&*line.consumer, &line.disposition)).collect();
    assert_eq!(lines, [("order", &Disposition::Taken), ("ears", &Disposition::Queued)]);
    assert!(receipt.is_accepted());
}

#[tokio::test]
async fn r16_an_event_that_waits_at_a_parked_instance_is_taken_up_and_queued() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.dispatcher.publish(placed("1")).await.unwrap();
    shop.dispatcher.publish(nudge("1", "err")).await.unwrap();
    let gently = nudge("1", "gently");
    shop.write("order", "n", &gently).await;
    assert_eq!(shop.taken_up("n", &gently).await, Some(Disposition::Queued));
    shop.dispatcher.skip::<OrderState>("1", Operator::new("ann").because("the wrong way")).await.unwrap();
    shop.clock.idle().await;
    assert_eq!(shop.receipt("n", &gently).await, Some(Disposition::Taken));
    shop.world.let_go();
    let position = shop.dispatcher.settled::<OrderState>("1").await.unwrap();
    assert_eq!(position, Position::In(OrderState::Completed));
}

#[tokio::test]
async fn r26_nothing_is_known_of_what_was_never_published_or_is_past_the_window() {
    let shop = Shop::open().await;
    assert_eq!(shop.taken_up("s", &stray("1")).await, None);
    shop.dispatcher.publish_as(message_id("s"), stray("1")).await.unwrap();
    shop.ears.0.notify_one();
    shop.clock.idle().await;
    assert_eq!(shop.receipt("s", &stray("1")).await, Some(Disposition::Taken));
    shop.clock.advance(32 * HOUR);
    shop.clock.idle().await;
    assert_eq!(shop.receipt("s", &stray("1")).await, None);
}

#[tokio::test]
async fn what_cannot_be_told_is_an_error_that_says_why() {
    let (world, clock) = (World::default(), ManualClock::default());
    let dispatcher = builder(MemoryStore::new(), &world, &clock).start().await.unwrap();
    let nobody = dispatcher.receipt(&message_id("s"), &stray("1")).await.unwrap_err();
    assert!(matches!(nobody, ReceiptError::Event(PublishError::NoConsumer { event: "stray" })), "{nobody}");
    dispatcher.clone().shutdown(Duration::from_secs(1)).await.unwrap();
    let stopped = dispatcher.taken_up(&message_id("p"), &placed("1")).await.unwrap_err();
    assert!(matches!(stopped, ReceiptError::Stopped), "{stopped}");
}

#[tokio::test]
async fn waiting_ends_within_the_limit_of_a_call_and_loses_nothing() {
    let shop = Shop::open().await;
    let order = placed("1");
    shop.store.fail_next_commits(usize::MAX, Fault::BeforeCommit);
    shop.write("order", "p", &order).await;
    let id = message_id("p");
    let late = in_time(&shop.clock, shop.dispatcher.taken_up(&id, &order)).await.unwrap_err();
    assert!(matches!(late, ReceiptError::NotAnswered { .. }), "{late}");
    let said = late.to_string();
    assert!(said.starts_with("the result of the event is not known: no answer within 30s"), "{said}");
    assert!(shop.store.faults_fired() > 0);
    shop.store.fail_next_commits(0, Fault::BeforeCommit);
    assert_eq!(in_time(&shop.clock, shop.taken_up("p", &order)).await, Some(Disposition::Taken));
}

#[tokio::test]
async fn r26_a_repetition_of_a_skipped_event_from_the_inbox_is_recognised() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.dispatcher.publish(placed("1")).await.unwrap();
    shop.write("order", "n", &nudge("1", "err")).await;
    assert_eq!(
        shop.taken_up("n", &nudge("1", "err")).await,
        Some(Disposition::Queued),
        "it is parked over it"
    );
    let operator = Operator::new("ann").because("it never works");
    shop.dispatcher.skip::<OrderState>("1", operator).await.unwrap();
    let again = shop.dispatcher.publish_as(message_id("n"), nudge("1", "err")).await.unwrap();
    assert_eq!(again.consumers[0].disposition, Disposition::Duplicate);
    assert_eq!(shop.receipt("n", &nudge("1", "gently")).await, Some(Disposition::Conflict), "its id is used");
    shop.dispatcher.publish(nudge("1", "gently")).await.unwrap();
    assert_eq!(shop.nudges("1").await, 1, "the instance goes on");
}
