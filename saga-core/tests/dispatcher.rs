//! The rules of running: attempts, commits, recovery, back-pressure; on the memory store, with a clock that stands
//! still.

mod support;
#[path = "support/world.rs"]
mod world;

use saga_core::store::{DeadLetterReason, HistoryKind, IgnoredReason};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga_core::dispatcher::{
    Dispatcher, Disposition, HandlerContext, Health, InstanceError, ManualClock, PublishError,
    PublishOptions, Resolved, StartError, Subscriber,
};
use saga_core::engine::Policy;
use saga_core::machine::Operator;
use saga_core::machine::Position;
use saga_core::message::{HandlerError, Key, Message, MessageId, PayloadLimits, Timestamp, chain};
use saga_core::store::{Address, Fault, Inspect, Mail, MailKind, MemoryStore, Store};
use support::*;
use world::{Call, Plan, World, builder, builder_with, in_time, without_mail};

const MINUTE: Duration = Duration::from_secs(60);

struct Shop {
    store: MemoryStore,
    world: World,
    clock: ManualClock,
    dispatcher: Dispatcher,
}

impl Shop {
    async fn open() -> Self {
        Self::on(MemoryStore::new(), World::default()).await
    }

    async fn on(store: MemoryStore, world: World) -> Self {
        let clock = ManualClock::default();
        let dispatcher = builder(store.clone(), &world, &clock).start().await.unwrap();
        Self { store, world, clock, dispatcher }
    }

    /// The process dies; another one starts on the same store.
    async fn crash(self) -> Self {
        self.dispatcher.kill().await;
        let world = self.world;
        let clock = self.clock;
        let dispatcher = builder(self.store.clone(), &world, &clock).start().await.unwrap();
        Self { store: self.store, world, clock, dispatcher }
    }

    async fn restart(self) -> Self {
        self.dispatcher.shutdown(MINUTE).await.unwrap();
        let dispatcher = builder(self.store.clone(), &self.world, &self.clock).start().await.unwrap();
        Self { store: self.store, world: self.world, clock: self.clock, dispatcher }
    }

    async fn place(&self, order: &str) -> Disposition {
        let receipt = self.dispatcher.publish(placed(order)).await.unwrap();
        receipt.consumers[0].disposition.clone()
    }

    async fn settled(&self, order: &str) -> Position<OrderState> {
        self.dispatcher.settled::<OrderState>(order).await.unwrap()
    }

    async fn history(&self, order: &str) -> Vec<String> {
        let rows = self.dispatcher.history::<OrderState>(order).await.unwrap();
        rows.into_iter().map(|row| format!("{} {} {}", row.seq, row.entry.kind, row.entry.name)).collect()
    }

    async fn dead(&self) -> Vec<String> {
        let letters = self.dispatcher.dead_letters(None).await.unwrap();
        letters.into_iter().map(|row| format!("{} {}", row.letter.message.name, row.letter.reason)).collect()
    }
}

#[tokio::test]
async fn the_happy_path_takes_four_steps() {
    let shop = Shop::open().await;
    assert_eq!(shop.place("1").await, Disposition::Applied);
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    assert_eq!(
        shop.history("1").await,
        ["1 started order.placed", "2 applied payment.completed", "3 applied label.created"]
    );
    shop.world.delivered_times(1).await;
    assert_eq!(shop.world.names(), ["payment.make", "label.create"]);
    shop.dispatcher.shutdown(MINUTE).await.unwrap();
}

#[tokio::test]
async fn r11_a_refused_label_is_compensated() {
    let shop = Shop::open().await;
    shop.world.plan::<CreateShippingLabel>(&[Plan::Decline]);
    shop.place("1").await;
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Cancelled));
    assert_eq!(shop.world.names(), ["payment.make", "label.create", "payment.refund", "label.void"]);
}

#[tokio::test]
async fn r12_a_failure_end_with_nothing_owed_is_entered() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Refuse]);
    shop.place("1").await;
    assert_eq!(shop.settled("1").await, Position::In(OrderState::PaymentFailed));
}

#[tokio::test]
async fn r13_the_undo_waits_until_a_running_command_has_ended() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(1).await;
    shop.dispatcher.publish(cancel("1")).await.unwrap();
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    assert!(matches!(order.position, Position::Compensating { .. }), "{:?}", order.position);
    assert_eq!(shop.world.names(), ["payment.make"]);
    shop.world.let_go();
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Cancelled));
    assert_eq!(shop.world.names(), ["payment.make", "payment.void"]);
}

#[tokio::test]
async fn r13_a_running_command_is_dropped_at_its_timeout_and_then_undone() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(1).await;
    shop.dispatcher.publish(cancel("1")).await.unwrap();
    shop.clock.advance(MINUTE);
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Cancelled));
    assert_eq!(shop.world.names(), ["payment.make", "payment.void"]);
}

#[tokio::test]
async fn r13_after_a_crash_a_forward_command_of_a_compensating_instance_never_runs() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(1).await;
    shop.dispatcher.publish(cancel("1")).await.unwrap();
    let shop = shop.crash().await;
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Cancelled));
    assert_eq!(shop.world.names(), ["payment.make", "payment.void"]);
}

#[tokio::test]
async fn r14_undo_attempts_are_unlimited() {
    let shop = Shop::open().await;
    shop.world.plan::<CreateShippingLabel>(&[Plan::Decline]).plan::<RefundPayment>(&vec![Plan::Lose; 50]);
    shop.place("1").await;
    let position = in_time(&shop.clock, shop.settled("1")).await;
    assert_eq!(position, Position::In(OrderState::Cancelled));
    assert_eq!(shop.world.calls_of::<RefundPayment>().len(), 51);
    let keys: std::collections::BTreeSet<String> =
        shop.world.calls_of::<RefundPayment>().into_iter().map(|call| call.key).collect();
    assert_eq!(keys.len(), 1, "one key for all attempts");
}

#[tokio::test]
async fn r15_abort_undoes_and_ends() {
    let shop = Shop::open().await;
    shop.world.plan::<CreateShippingLabel>(&[Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<CreateShippingLabel>(1).await;
    shop.dispatcher.abort::<OrderState>("1", Operator::new("ann").because("fraud")).await.unwrap();
    shop.clock.advance(MINUTE);
    assert_eq!(shop.settled("1").await, Position::Aborted);
    let error =
        shop.dispatcher.abort::<OrderState>("1", Operator::new("ann").because("fraud")).await.unwrap_err();
    assert_eq!(error.to_string(), "order `1` has ended as aborted");
    assert!(matches!(
        shop.dispatcher.abort::<OrderState>("2", Operator::new("ann").because("x")).await,
        Err(InstanceError::Declined(_))
    ));
}

#[tokio::test]
async fn r16_a_parked_instance_loses_nothing() {
    let shop = Shop::open().await;
    shop.world.plan::<CreateShippingLabel>(&[Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<CreateShippingLabel>(1).await;
    let parked = shop.dispatcher.publish(nudge("1", "err")).await.unwrap();
    assert_eq!(parked.consumers[0].disposition, Disposition::Queued);
    assert!(shop.settled("1").await.is_parked());
    let later = shop.dispatcher.publish(nudge("1", "gently")).await.unwrap();
    assert_eq!(later.consumers[0].disposition, Disposition::Queued);
    // Committed commands run on, and their reports wait.
    shop.world.let_go();
    let shop = shop.crash().await;
    assert!(shop.settled("1").await.is_parked());
    shop.dispatcher.skip::<OrderState>("1", Operator::new("ann").because("wrong nudge")).await.unwrap();
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    assert_eq!(order.data.nudges, 1);
    assert_eq!(shop.dead().await, ["order.nudged skipped"]);
}

#[tokio::test]
async fn r16_resolve_and_retry_of_a_parked_command() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let policy = Policy::default().max_total_time(2 * MINUTE);
    let dispatcher = builder_with(store.clone(), &world, &clock, policy).start().await.unwrap();
    let shop = Shop { store, world, clock, dispatcher };
    shop.world.plan::<CreateShippingLabel>(&vec![Plan::Lose; 4_000]);
    shop.place("1").await;
    shop.world.called::<CreateShippingLabel>(1).await;
    assert!(in_time(&shop.clock, shop.settled("1")).await.is_parked());
    let before = shop.world.calls_of::<CreateShippingLabel>();
    let wrong = shop
        .dispatcher
        .resolve::<OrderState>("1", Resolved::done(), Operator::new("ann").because("asked"))
        .await
        .unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "`label.create` needs a reply; resolve the command with one of: label.created, label.refused"
    );
    let reply = Resolved::reply(&LabelCreated {}).unwrap();
    shop.dispatcher
        .resolve::<OrderState>("1", reply, Operator::new("ann").because("asked the carrier"))
        .await
        .unwrap();
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    assert_eq!(shop.world.calls_of::<CreateShippingLabel>(), before, "nobody called again");
}

#[tokio::test]
async fn r17_refused_after_an_indeterminate_attempt_is_unknown() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Lose, Plan::Refuse]);
    shop.place("1").await;
    assert_eq!(shop.settled("1").await, Position::In(OrderState::PaymentFailed));
    assert_eq!(shop.world.names(), ["payment.make", "payment.make", "payment.void"], "so it is undone");
}

#[tokio::test]
async fn r17_a_panicking_handler_is_indeterminate_and_harms_nobody() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Panic]);
    shop.place("1").await;
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 2);
}

#[tokio::test]
async fn r17_a_hanging_handler_is_dropped_at_its_timeout_and_tried_again() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(1).await;
    shop.clock.advance(MINUTE);
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 2);
}

#[tokio::test]
async fn r17_no_more_attempts_run_at_a_time_than_the_policy_allows() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let policy = Policy::default().concurrency(1);
    let dispatcher = builder_with(store, &world, &clock, policy).start().await.unwrap();
    world.plan::<MakePayment>(&[Plan::Hang]);
    dispatcher.publish(placed("1")).await.unwrap();
    world.called::<MakePayment>(1).await;
    dispatcher.publish(placed("2")).await.unwrap();
    // Once this is applied the second payment could have begun.
    dispatcher.publish(nudge("2", "gently")).await.unwrap();
    assert_eq!(world.calls_of::<MakePayment>().len(), 1);
    world.let_go();
    for order in ["1", "2"] {
        let position = dispatcher.settled::<OrderState>(order).await.unwrap();
        assert_eq!(position, Position::In(OrderState::Completed));
    }
    assert_eq!(world.calls_of::<MakePayment>().len(), 2);
}

#[tokio::test]
async fn r17_an_attempt_has_60_seconds_unless_set_otherwise() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let dispatcher = builder_with(store, &world, &clock, Policy::default()).start().await.unwrap();
    world.plan::<MakePayment>(&[Plan::Hang]);
    dispatcher.publish(placed("1")).await.unwrap();
    world.called::<MakePayment>(1).await;
    in_time(&clock, world.called::<MakePayment>(2)).await;
    let second = saga_core::dispatcher::Clock::now(&clock).mono;
    assert!((MINUTE..2 * MINUTE).contains(&second), "{second:?}");
}

/// Lets time pass until the one open command is due again.
async fn until_it_is_due(store: &MemoryStore, clock: &ManualClock) {
    loop {
        let now = saga_core::dispatcher::Clock::now(clock).wall;
        let open = store.open_tasks(None, 1).await.unwrap();
        if let Some(due) = open.first().map(|open| open.task.progress.due).filter(|due| *due > now) {
            clock.advance(due.since(now));
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn r17_a_command_is_unknown_after_24_hours_of_attempts_and_waits_unless_set_otherwise() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let dispatcher = builder_with(store.clone(), &world, &clock, Policy::default()).start().await.unwrap();
    world.plan::<CreateShippingLabel>(&vec![Plan::Lose; 100_000]);
    dispatcher.publish(placed("1")).await.unwrap();
    let settled = dispatcher.settled::<OrderState>("1");
    tokio::pin!(settled);
    let position = loop {
        tokio::select! {
            biased;
            position = &mut settled => break position.unwrap(),
            () = until_it_is_due(&store, &clock) => {}
        }
    };
    let Position::Parked { detail, .. } = position else { panic!("{position:?}") };
    assert!(detail.starts_with("unknown(CreateShippingLabel): "), "{detail}");
    // Time has passed in the waits only, and none of them is longer than five minutes.
    let charged = saga_core::dispatcher::Clock::now(&clock).mono;
    assert!((24 * 60 * MINUTE..(24 * 60 + 5) * MINUTE).contains(&charged), "{charged:?}");
}

#[tokio::test]
async fn r17_a_rate_limit_costs_no_attempt() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let policy = Policy::default().rate_limit(2, MINUTE).timeout(60 * MINUTE);
    let dispatcher = builder_with(store, &world, &clock, policy).start().await.unwrap();
    for order in ["1", "2", "3", "4"] {
        dispatcher.publish(placed(order)).await.unwrap();
    }
    let began = saga_core::dispatcher::Clock::now(&clock).mono;
    world.called::<MakePayment>(2).await;
    in_time(&clock, world.called::<MakePayment>(3)).await;
    let third = saga_core::dispatcher::Clock::now(&clock).mono - began;
    assert!(third >= MINUTE, "two of them started within the minute before: {third:?}");
    in_time(&clock, world.called::<MakePayment>(4)).await;
    assert!(saga_core::dispatcher::Clock::now(&clock).mono - began >= MINUTE);
    assert!(world.calls_of::<MakePayment>().iter().all(|call| call.attempt == 1));
}

#[tokio::test]
async fn r17_an_open_breaker_costs_no_attempt() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    world.plan::<MakePayment>(&vec![Plan::Lose; 4]);
    let policy = Policy::default().circuit_breaker(3, 2 * MINUTE).concurrency(1).timeout(60 * MINUTE);
    let dispatcher = builder_with(store, &world, &clock, policy).start().await.unwrap();
    let began = saga_core::dispatcher::Clock::now(&clock).mono;
    dispatcher.publish(placed("1")).await.unwrap();
    world.called::<MakePayment>(3).await;
    dispatcher.publish(placed("2")).await.unwrap();
    in_time(&clock, world.called::<MakePayment>(4)).await;
    let probe = saga_core::dispatcher::Clock::now(&clock).mono - began;
    assert!(probe >= 2 * MINUTE, "{probe:?}");
    in_time(&clock, world.called::<MakePayment>(5)).await;
    let second = saga_core::dispatcher::Clock::now(&clock).mono - began;
    assert!(second >= 4 * MINUTE, "the probe has failed, so it stays open: {second:?}");
    let other = in_time(&clock, dispatcher.settled::<OrderState>("2")).await.unwrap();
    assert!(matches!(other, Position::In(_)), "{other:?}");
    let attempts: u32 = world.calls_of::<MakePayment>().iter().map(|call| call.attempt).max().unwrap();
    assert!(attempts <= 5, "waiting was no attempt: {attempts}");
}

#[tokio::test]
async fn r19_a_command_found_begun_after_a_crash_is_counted_before_it_runs() {
    let mut shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&vec![Plan::Hang; 20]);
    shop.place("1").await;
    for crashes in 1..=8 {
        in_time(&shop.clock, shop.world.called::<MakePayment>(crashes)).await;
        shop = shop.crash().await;
    }
    in_time(&shop.clock, shop.world.called::<MakePayment>(9)).await;
    let attempts: Vec<u32> =
        shop.world.calls_of::<MakePayment>().into_iter().map(|call| call.attempt).collect();
    // Each is an attempt more; the numbers that quick attempts may have had besides are left out.
    assert_eq!(attempts, [1, 4, 6, 7, 8, 9, 10, 11, 12]);
    let shop = shop.crash().await;
    let position = in_time(&shop.clock, shop.settled("1")).await;
    let Position::Parked { detail, .. } = position else { panic!("not parked") };
    assert_eq!(detail, "`payment.make`: the command was found begun after 9 crashes in a row");
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 9, "it does not run again by itself");
}

#[tokio::test]
async fn r19_a_process_that_is_killed_again_and_again_convicts_nobody() {
    let mut shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&vec![Plan::Hang; 4]);
    shop.place("1").await;
    for calls in 1..=4 {
        shop.world.called::<MakePayment>(calls).await;
        shop = shop.crash().await;
    }
    for _ in 0..20 {
        // It lives too short a time to prove anything.
        assert!(!shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap().position.is_parked());
        shop = shop.crash().await;
    }
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 4, "it waits until the process has proved itself");
    assert_eq!(in_time(&shop.clock, shop.settled("1")).await, Position::In(OrderState::Completed));
}

#[tokio::test]
async fn r19_a_clean_restart_counts_nothing() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Lose, Plan::Lose, Plan::Lose]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(3).await;
    let shop = shop.restart().await;
    shop.clock.advance(MINUTE);
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    let attempts: Vec<u32> =
        shop.world.calls_of::<MakePayment>().into_iter().map(|call| call.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
}

#[tokio::test]
async fn an_open_command_tells_its_last_error_and_when_it_is_tried_again() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Lose, Plan::Lose, Plan::Lose]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(3).await;
    shop.clock.idle().await;
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    let [open] = &order.open[..] else { panic!("{:?}", order.open) };
    assert_eq!((&*open.command, open.attempts, open.undo), ("payment.make", 3, false));
    assert_eq!(open.error.as_deref(), Some("the answer was lost"));
    let now = saga_core::dispatcher::Clock::now(&shop.clock).wall;
    let next = open.next_attempt.expect("it waits");
    assert!(next > now && next <= now.plus(Duration::from_secs(1)), "{next} after {now}");
    assert_eq!(in_time(&shop.clock, shop.settled("1")).await, Position::In(OrderState::Completed));
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    assert!(order.open.is_empty(), "{:?}", order.open);
}

#[tokio::test]
async fn the_first_failure_is_there_to_be_seen_although_the_next_attempt_follows_at_once() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Lose, Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(2).await;
    shop.clock.idle().await;
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    let [open] = &order.open[..] else { panic!("{:?}", order.open) };
    assert_eq!((open.attempts, open.error.as_deref()), (1, Some("the answer was lost")));
    assert_eq!(open.next_attempt, None, "it is running");
}

#[tokio::test]
async fn an_undo_that_fails_is_told_apart_from_a_command() {
    let shop = Shop::open().await;
    shop.world.plan::<CreateShippingLabel>(&[Plan::Decline]).plan::<RefundPayment>(&vec![Plan::Lose; 3]);
    shop.place("1").await;
    shop.world.called::<RefundPayment>(3).await;
    shop.clock.idle().await;
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    let [open] = &order.open[..] else { panic!("{:?}", order.open) };
    assert_eq!((&*open.command, open.undo), ("payment.refund", true));
    assert_eq!(open.error.as_deref(), Some("the answer was lost"));
}

#[tokio::test]
async fn r20_a_command_keeps_its_key_over_attempts_and_crashes() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Lose, Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(2).await;
    let shop = shop.crash().await;
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    let calls = shop.world.calls_of::<MakePayment>();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call: &Call| call.key == calls[0].key));
    shop.place("2").await;
    shop.settled("2").await;
    assert_ne!(shop.world.calls_of::<MakePayment>()[3].key, calls[0].key);
}

#[tokio::test]
async fn r22_a_failing_delivery_holds_back_its_own_key_only() {
    let shop = Shop::open().await;
    shop.world.plan_mail(&[Plan::Lose, Plan::Lose, Plan::Lose]);
    shop.place("1").await;
    shop.settled("1").await;
    shop.world.delivered_times(3).await;
    shop.place("2").await;
    shop.settled("2").await;
    shop.world.delivered_times(4).await;
    shop.clock.advance(MINUTE);
    shop.world.delivered_times(5).await;
    assert_eq!(shop.world.delivered(), ["1", "1", "1", "2", "1"]);
}

#[tokio::test]
async fn r22_a_refused_delivery_is_a_dead_letter_and_can_be_redriven() {
    let shop = Shop::open().await;
    shop.world.plan_mail(&[Plan::Refuse]);
    shop.place("1").await;
    shop.world.delivered_times(1).await;
    shop.clock.idle().await;
    let letter = shop.dispatcher.dead_letters(None).await.unwrap().remove(0);
    assert_eq!(letter.letter.reason, DeadLetterReason::Refused);
    shop.dispatcher.redrive(letter.id, Operator::new("op")).await.unwrap();
    shop.world.delivered_times(2).await;
    assert!(shop.dead().await.is_empty());
    let again = shop.dispatcher.redrive(letter.id, Operator::new("op")).await.unwrap_err();
    assert!(again.to_string().contains("already redriven or discarded"), "{again}");
}

#[tokio::test]
async fn r24_a_published_event_outlives_a_crash() {
    let shop = Shop::open().await;
    shop.place("1").await;
    let shop = shop.crash().await;
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
}

#[tokio::test]
async fn r26_a_duplicate_changes_nothing_and_other_content_is_a_conflict() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.place("1").await;
    let id = || MessageId::new("m-1").unwrap();
    let first = shop.dispatcher.publish_as(id(), nudge("1", "gently")).await.unwrap();
    assert_eq!(first.consumers[0].disposition, Disposition::Applied);
    let second = shop.dispatcher.publish_as(id(), nudge("1", "gently")).await.unwrap();
    assert_eq!(second.consumers[0].disposition, Disposition::Duplicate);
    let other = shop.dispatcher.publish_as(id(), nudge("1", "firmly")).await.unwrap_err();
    assert!(matches!(other, PublishError::IdConflict { .. }), "{other}");
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    assert_eq!(order.data.nudges, 1);
    shop.world.let_go();
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    assert_eq!(shop.dead().await, ["order.nudged id-conflict"]);
}

#[tokio::test]
async fn r26_ten_thousand_conflicting_repeats_of_one_message_leave_one_dead_letter() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.place("1").await;
    let id = || MessageId::new("m-1").unwrap();
    shop.dispatcher.publish_as(id(), nudge("1", "gently")).await.unwrap();
    for n in 1..=10_000 {
        let other = nudge("1", &format!("for time {n}"));
        let error = shop.dispatcher.publish_as(id(), other).await.unwrap_err();
        assert!(matches!(error, PublishError::IdConflict { .. }), "{error}");
    }
    shop.clock.idle().await;
    let letters = shop.dispatcher.dead_letters(None).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0].letter;
    assert_eq!(letter.times, 10_000);
    assert_eq!(letter.message.payload.as_str(), r#"{"order":"1","how":"for time 1"}"#, "the first one");
    // It is put on its way as what it is, and the next conflict has a letter anew.
    shop.dispatcher.redrive(letters[0].id, Operator::new("op")).await.unwrap();
    shop.clock.idle().await;
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    assert_eq!(order.data.nudges, 2);
    shop.dispatcher.publish_as(id(), nudge("1", "firmly")).await.unwrap_err();
    shop.clock.idle().await;
    let letters = shop.dispatcher.dead_letters(None).await.unwrap();
    assert_eq!(letters.iter().map(|row| row.letter.times).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn r26_a_conflicting_event_with_several_consumers_is_a_dead_letter_for_each() {
    struct Ears;
    impl Subscriber<Nudged> for Ears {
        async fn handle(&self, _: Nudged, _: &HandlerContext) -> Result<(), HandlerError> {
            Ok(())
        }
    }
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let dispatcher = builder(store, &world, &clock).subscriber::<Nudged>("ears", Ears).start().await.unwrap();
    dispatcher.publish(placed("1")).await.unwrap();
    let id = || MessageId::new("one-id").unwrap();
    dispatcher.publish_as(id(), nudge("1", "")).await.unwrap();
    let error = dispatcher.publish_as(id(), nudge("1", "harder")).await.unwrap_err();
    assert!(matches!(error, PublishError::IdConflict { .. }), "{error}");
    clock.idle().await;
    let letters = dispatcher.dead_letters(None).await.unwrap();
    assert_eq!(letters.len(), 2);
    let mut kept: Vec<(String, String)> = letters
        .into_iter()
        .map(|row| (row.letter.to.saga.to_string(), row.letter.reason.to_string()))
        .collect();
    kept.sort();
    let conflict = |consumer: &str| (consumer.to_owned(), "id-conflict".to_owned());
    assert_eq!(kept, [conflict("ears"), conflict("order")]);
}

#[tokio::test]
async fn r22_a_subscriber_gets_an_event_after_the_mail_that_came_before_it() {
    #[derive(Clone, Default)]
    struct Ears(Arc<Mutex<Vec<String>>>);
    impl Subscriber<Nudged> for Ears {
        async fn handle(&self, nudged: Nudged, _: &HandlerContext) -> Result<(), HandlerError> {
            self.0.lock().unwrap().push(nudged.how);
            Ok(())
        }
    }
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let ears = Ears::default();
    let dispatcher = builder(store.clone(), &world, &clock)
        .subscriber::<Nudged>("ears", ears.clone())
        .start()
        .await
        .unwrap();
    for round in 0..50 {
        let key = round.to_string();
        let mail = |how| {
            let message = Message::published(&nudge(&key, how), PayloadLimits::DEFAULT).unwrap();
            let to = Address::new("ears", Key::new(&*key).unwrap());
            Mail::new(to, MailKind::Delivery, message, Timestamp::EPOCH)
        };
        store.deliver(vec![mail("first"), mail("second")]).await.unwrap();
        dispatcher.publish(nudge(&key, "last")).await.unwrap();
        clock.idle().await;
        assert_eq!(
            std::mem::take(&mut *ears.0.lock().unwrap()),
            ["first", "second", "last"],
            "round {round}"
        );
    }
}

#[tokio::test]
async fn r27_a_repeated_starting_event_does_not_start_an_ended_instance_again() {
    let shop = Shop::open().await;
    shop.place("1").await;
    shop.settled("1").await;
    let ended = |disposition| matches!(disposition, Disposition::Ignored { why: IgnoredReason::Ended, .. });
    assert!(ended(shop.place("1").await));
    let shop = shop.restart().await;
    assert!(ended(shop.place("1").await));
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 1);
}

#[tokio::test]
async fn r27_an_event_for_a_missing_instance_is_a_dead_letter() {
    let shop = Shop::open().await;
    let receipt = shop.dispatcher.publish(cancel("9")).await.unwrap();
    assert!(!receipt.is_accepted());
    assert_eq!(shop.dead().await, ["order.cancel missing-instance"]);
    assert!(matches!(shop.dispatcher.settled::<OrderState>("9").await, Err(InstanceError::Missing { .. })));
}

#[tokio::test]
async fn r08_a_starting_action_that_fails_is_a_dead_letter_and_redrivable() {
    let shop = Shop::open().await;
    let free = OrderPlaced { order: "1".into(), cents: 0 };
    let receipt = shop.dispatcher.publish(free).await.unwrap();
    assert!(!receipt.is_accepted());
    let letter = shop.dispatcher.dead_letters(None).await.unwrap().remove(0);
    assert_eq!(letter.letter.reason, DeadLetterReason::StartFailed);
    assert_eq!(letter.letter.detail, "`order.placed` could not start order `1`: an order needs a price");
    shop.dispatcher.redrive(letter.id, Operator::new("op")).await.unwrap();
    shop.clock.idle().await;
    assert_eq!(shop.place("1").await, Disposition::Applied);
}

#[tokio::test]
async fn r28_a_consumer_that_this_build_does_not_have_keeps_its_deliveries() {
    let shop = Shop::open().await;
    shop.dispatcher.shutdown(MINUTE).await.unwrap();
    let dispatcher = without_mail(shop.store.clone(), &shop.world, &shop.clock, Policy::default());
    let dispatcher = dispatcher.start().await.unwrap();
    dispatcher.publish(placed("1")).await.unwrap();
    assert_eq!(dispatcher.settled::<OrderState>("1").await.unwrap(), Position::In(OrderState::Completed));
    dispatcher.shutdown(MINUTE).await.unwrap();
    assert!(shop.world.delivered().is_empty());
    let shop = Shop::on(shop.store, shop.world).await;
    shop.world.delivered_times(1).await;
    assert_eq!(shop.world.delivered(), ["1"], "it was kept for the build that has the subscriber again");
}

#[tokio::test]
async fn r29_a_full_instance_refuses_events_from_outside_and_nothing_else() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let dispatcher = builder(store, &world, &clock).max_waiting_events(2).start().await.unwrap();
    world.plan::<MakePayment>(&[Plan::Hang]);
    dispatcher.publish(placed("1")).await.unwrap();
    dispatcher.publish(nudge("1", "err")).await.unwrap();
    dispatcher.publish(nudge("1", "gently")).await.unwrap();
    let full = dispatcher.publish(nudge("1", "gently")).await.unwrap_err();
    assert!(matches!(full, PublishError::InstanceFull { waiting: 2, .. }), "{full}");
    world.let_go();
    dispatcher.skip::<OrderState>("1", Operator::new("ann").because("wrong")).await.unwrap();
    assert_eq!(dispatcher.settled::<OrderState>("1").await.unwrap(), Position::In(OrderState::Completed));
}

#[tokio::test]
async fn r30_an_unknown_commit_is_decided_by_the_store_and_never_applied_twice() {
    for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
        let shop = Shop::open().await;
        shop.store.fail_next_commits(2, fault);
        let receipt = in_time(&shop.clock, shop.dispatcher.publish(placed("1"))).await.unwrap();
        assert_eq!(receipt.consumers[0].disposition, Disposition::Applied);
        assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
        assert_eq!(shop.world.calls_of::<MakePayment>().len(), 1);
        assert_eq!(shop.store.faults_fired(), 2);
        assert_eq!(shop.dispatcher.health(), Health::Running);
    }
}

#[tokio::test]
async fn r30_publish_ends_by_its_deadline_while_nobody_knows() {
    let shop = Shop::open().await;
    shop.store.fail_next_commits(1_000, Fault::BeforeCommit);
    let options = PublishOptions::new().deadline(MINUTE).message_id(MessageId::new("m").unwrap());
    let publishing = shop.dispatcher.publish_with(placed("1"), options);
    tokio::pin!(publishing);
    tokio::select! {
        biased;
        receipt = &mut publishing => panic!("{receipt:?}"),
        health = shop.dispatcher.health_changed() => assert!(matches!(health, Health::Degraded { .. }), "{health:?}"),
    }
    let error = loop {
        tokio::select! {
            biased;
            receipt = &mut publishing => break receipt.unwrap_err(),
            () = shop.clock.advance_to_next() => {}
        }
    };
    assert!(matches!(error, PublishError::Unknown { id: Some(_), .. }), "{error}");
    assert!(matches!(shop.dispatcher.health(), Health::Degraded { .. }));
    assert!(shop.store.faults_fired() > 0);
}

#[tokio::test]
async fn r31_a_step_the_store_refuses_is_quarantined_and_the_rest_goes_on() {
    let shop = Shop::open().await;
    shop.store.fail_next_commits(1, Fault::RefuseStep);
    let refused = shop.dispatcher.publish(placed("1")).await.unwrap_err();
    assert!(matches!(refused, PublishError::Refused(_)), "{refused}");
    assert_eq!(shop.store.faults_fired(), 1);
    assert_eq!(shop.place("2").await, Disposition::Applied);
    assert_eq!(shop.settled("2").await, Position::In(OrderState::Completed));
}

#[tokio::test]
async fn r33_a_clock_set_back_neither_fires_early_nor_wedges() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&vec![Plan::Hang; 50]);
    shop.place("1").await;
    shop.world.called::<MakePayment>(1).await;
    let now = saga_core::dispatcher::Clock::now(&shop.clock).wall;
    shop.clock.set_wall(now.minus(120 * MINUTE));
    let shop = shop.crash().await;
    shop.world.called::<MakePayment>(2).await;
    shop.clock.advance(14 * MINUTE);
    let order = shop.dispatcher.instance::<OrderState>("1").await.unwrap().unwrap();
    assert!(!matches!(order.position, Position::In(OrderState::Cancelled)));
    let position = in_time(&shop.clock, shop.settled("1")).await;
    assert_eq!(position, Position::In(OrderState::Cancelled));
    let took = saga_core::dispatcher::Clock::now(&shop.clock).mono;
    assert!(took < 20 * MINUTE, "15 minutes, not two hours and 15 minutes: {took:?}");
}

#[tokio::test]
async fn an_idle_dispatcher_wakes_once_a_second_and_reads_once_a_minute() {
    let shop = Shop::open().await;
    shop.place("1").await;
    shop.settled("1").await;
    let seconds = async |n: u32| {
        for _ in 0..n {
            shop.clock.advance(Duration::from_secs(1));
            shop.clock.idle().await;
        }
        saga_core::dispatcher::Clock::now(&shop.clock).mono
    };
    // What follows the first commits is over by then.
    let began = seconds(100).await;
    let uses = shop.store.uses();
    assert_eq!(seconds(600).await - began, Duration::from_secs(600), "one wake-up a second");
    // The feature reads the counts and the sizes every 15 seconds.
    let measured = if cfg!(feature = "metrics") { 40 * 2 } else { 0 };
    assert_eq!(shop.store.uses() - uses, 10 + measured, "one scan of the inbox a minute, and nothing else");
}

#[tokio::test]
async fn start_names_everything_that_is_missing() {
    let error = Dispatcher::builder(MemoryStore::new())
        .saga::<OrderState>()
        .saga::<OrderState>()
        .handler::<MakePayment>(World::default())
        .start()
        .await
        .unwrap_err();
    let StartError::Registration { problems } = error else { panic!("{error}") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "two sagas are called `order`: give one of them another `#[saga(name = \"..\")]`",
            "command `payment.void` of saga `order` has no handler: add `.handler::<VoidPayment>(..)`",
            "command `label.create` of saga `order` has no handler: add `.handler::<CreateShippingLabel>(..)`",
            "command `label.void` of saga `order` has no handler: add `.handler::<VoidLabel>(..)`",
            "command `payment.refund` of saga `order` has no handler: add `.handler::<RefundPayment>(..)`",
            "event `order.completed` of saga `order` has no consumer: add `.subscriber::<OrderCompleted>(\"..\", ..)`",
        ]
    );
}

#[tokio::test]
async fn bad_keys_and_payloads_are_refused_at_the_door() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let limits = PayloadLimits { bytes: 200, depth: 8 };
    let dispatcher = builder(store, &world, &clock).payload_limits(limits).start().await.unwrap();
    let error = dispatcher.publish(placed("")).await.unwrap_err();
    assert_eq!(
        chain(&error).to_string(),
        "event `order.placed` has no usable key for `order`: the key is empty; a key must have at least one character"
    );
    let error = dispatcher.publish(placed(&"k".repeat(10_000))).await.unwrap_err();
    assert!(matches!(error, PublishError::Key { .. }), "{error}");
    let error = dispatcher.publish(nudge("1", &"x".repeat(300))).await.unwrap_err();
    assert!(chain(&error).to_string().contains("longer than the limit of 200 bytes of JSON"), "{error:?}");
    assert!(dispatcher.dead_letters(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn many_instances_at_once_all_finish() {
    let shop = Shop::open().await;
    let mut running = tokio::task::JoinSet::new();
    for n in 0..500 {
        let dispatcher = shop.dispatcher.clone();
        running.spawn(async move {
            let order = format!("order-{n}");
            dispatcher.publish(placed(&order)).await.unwrap();
            dispatcher.settled::<OrderState>(&order).await.unwrap()
        });
    }
    while let Some(position) = running.join_next().await {
        assert_eq!(position.unwrap(), Position::In(OrderState::Completed));
    }
    assert_eq!(shop.world.calls().len(), 1_000);
    shop.dispatcher.shutdown(MINUTE).await.unwrap();
}

#[tokio::test]
async fn an_event_nobody_takes_is_refused() {
    let shop = Shop::open().await;
    let error = shop.dispatcher.publish(Stray { order: "1".into() }).await.unwrap_err();
    assert!(matches!(error, PublishError::NoConsumer { event: "stray" }), "{error}");
}

#[tokio::test]
async fn bytes_that_cannot_be_read_are_dead_letters_and_harm_nobody() {
    let shop = Shop::open().await;
    shop.world.plan::<MakePayment>(&[Plan::Hang]);
    shop.place("1").await;
    let mail = |name: &'static str, payload: &str| {
        let message = Message { name: name.into(), version: 1, payload: payload.into() };
        Mail::event(Address::new("order", Key::new("1").unwrap()), message, Timestamp::EPOCH)
    };
    let outside = vec![
        mail("order.nudged", "{\"order\":1}"),
        mail("order.unheard-of", "{}"),
        mail("order.nudged", "{\"order\":\"1\",\"how\":\"gently\"}"),
    ];
    shop.store.deliver(outside).await.unwrap();
    shop.clock.idle().await;
    assert_eq!(shop.dead().await, ["order.nudged undecodable", "order.unheard-of unknown-event"]);
    shop.world.let_go();
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
}

#[tokio::test]
async fn a_payload_nested_too_deeply_is_refused() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let limits = PayloadLimits { bytes: 1_000, depth: 0 };
    let dispatcher = builder(store, &world, &clock).payload_limits(limits).start().await.unwrap();
    let error = dispatcher.publish(placed("1")).await.unwrap_err();
    assert_eq!(
        chain(&error).to_string(),
        "event `order.placed` cannot be stored: nests deeper than the limit of 0 levels"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_block_every_worker_stop_nobody_else() {
    let (store, world, clock) = (MemoryStore::new(), World::default(), ManualClock::default());
    let dispatcher = builder(store.clone(), &world, &clock).start().await.unwrap();
    let shop = Shop { store, world, clock, dispatcher };
    shop.world.plan::<MakePayment>(&[Plan::Block, Plan::Block]);
    shop.place("1").await;
    shop.place("2").await;
    shop.world.called::<MakePayment>(2).await;
    shop.place("3").await;
    // The attempts of the third find no worker. They are looked for once a second.
    shop.clock.looked().await;
    shop.clock.advance(Duration::from_secs(1));
    shop.world.called::<MakePayment>(3).await;
    let paid = |order: &saga_core::dispatcher::Instance<OrderState>| {
        matches!(order.position, Position::In(OrderState::AwaitingShipment(_))).then_some(())
    };
    shop.dispatcher.wait_for("3", MINUTE, paid).await.unwrap();
    shop.clock.looked().await;
    shop.clock.advance(Duration::from_secs(1));
    assert_eq!(shop.settled("3").await, Position::In(OrderState::Completed));
    assert_eq!(shop.world.calls_of::<MakePayment>().len(), 3);
    shop.world.unblock();
}

#[tokio::test]
async fn a_full_store_makes_callers_wait_and_loses_nothing() {
    let shop = Shop::open().await;
    shop.store.fail_next_commits(3, Fault::Full);
    let publishing = shop.dispatcher.publish(placed("1"));
    tokio::pin!(publishing);
    let mut degraded = false;
    let receipt = loop {
        tokio::select! {
            biased;
            receipt = &mut publishing => break receipt.unwrap(),
            () = shop.clock.advance_to_next() => {
                degraded |= matches!(shop.dispatcher.health(), Health::Degraded { .. });
            }
        }
    };
    assert!(degraded && receipt.is_accepted());
    assert_eq!(shop.store.faults_fired(), 3);
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Completed));
    assert_eq!(shop.dispatcher.health(), Health::Running);
}

#[tokio::test]
async fn r23_a_fenced_dispatcher_stops_and_says_so() {
    let shop = Shop::open().await;
    let other = Dispatcher::builder(shop.store.clone())
        .saga::<OrderState>()
        .handler::<MakePayment>(shop.world.clone())
        .handler::<CreateShippingLabel>(shop.world.clone())
        .handler::<VoidPayment>(shop.world.clone())
        .handler::<VoidLabel>(shop.world.clone())
        .handler::<RefundPayment>(shop.world.clone())
        .subscriber::<OrderCompleted>("mail", shop.world.clone())
        .start()
        .await
        .unwrap();
    let error = shop.dispatcher.publish(placed("1")).await.unwrap_err();
    assert!(matches!(error, PublishError::Unknown { .. }), "{error}");
    assert!(matches!(shop.dispatcher.health(), Health::Stopped { .. }));
    assert!(shop.world.calls().is_empty(), "no effect starts on a guess");
    other.publish(placed("1")).await.unwrap();
    assert_eq!(other.settled::<OrderState>("1").await.unwrap(), Position::In(OrderState::Completed));
}

#[tokio::test]
async fn r11_an_event_that_waits_behind_a_compensation_follows_once_after_a_crash() {
    let shop = Shop::open().await;
    shop.world.plan::<CreateShippingLabel>(&[Plan::Decline]).plan::<RefundPayment>(&[Plan::Hang, Plan::Hang]);
    shop.place("1").await;
    shop.world.called::<RefundPayment>(1).await;
    for _ in 0..3 {
        let queued = shop.dispatcher.publish(nudge("1", "gently")).await.unwrap();
        assert_eq!(queued.consumers[0].disposition, Disposition::Queued);
    }
    let shop = shop.crash().await;
    shop.world.called::<RefundPayment>(2).await;
    shop.world.let_go();
    assert_eq!(shop.settled("1").await, Position::In(OrderState::Cancelled));
    while shop.history("1").await.iter().filter(|line| line.contains("ignored")).count() < 3 {
        tokio::task::yield_now().await;
    }
    shop.dispatcher.shutdown(MINUTE).await.unwrap();
    let rows = shop.store.history(&Address::new("order", Key::new("1").unwrap()), 100).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.entry.kind == HistoryKind::Ignored).count(), 3, "each once");
}
