//! What the application is told at once, and how repetitions are left out.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Attention, Dispatcher, Done, Notice, Operator, Policy};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[path = "support/faulty.rs"]
mod faulty;

use faulty::{Condition, Faulty};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), send(Pay, undo(Void)), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(any(failed(Pay), unknown(Pay)), park),
        when(Noted, guard(wants_notes), stay),
        when(Closed, transition_to(Done_))
    )]
    Paying,
    #[terminal]
    Done_,
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
    fn wants_notes(&self, _: &Noted, _: &Context) -> bool {
        false
    }
    fn void(&self, _: &Pay, _: &mut Context) -> Void {
        Void {}
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    order: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "closed", key(order))]
pub struct Closed {
    order: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "noted", key(order))]
pub struct Noted {
    order: String,
}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "pay")]
pub struct Pay {}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "void")]
pub struct Void {}

/// Pays or refuses, and never undoes.
#[derive(Clone, Default)]
struct Bank(Arc<AtomicBool>);

impl Handler<Pay> for Bank {
    async fn handle(&self, _: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        if self.0.load(Ordering::SeqCst) { Ok(Done.into()) } else { Err(HandlerError::refused("no money")) }
    }
}
impl Handler<Void> for Bank {
    async fn handle(&self, _: Void, _: &HandlerContext) -> HandlerResult<Void> {
        Err("the line is dead".into())
    }
}

struct Shop {
    dispatcher: Dispatcher,
    clock: ManualClock,
    pays: Arc<AtomicBool>,
    notices: UnboundedReceiver<Notice>,
}

impl Shop {
    async fn open(store: impl saga::store::Store) -> Self {
        let (clock, bank) = (ManualClock::default(), Bank::default());
        let (told, notices) = unbounded_channel();
        let dispatcher = Dispatcher::builder(store)
            .saga::<OrderState>()
            .handler::<Pay>(bank.clone())
            .handler_with::<Void>(bank.clone(), Policy::default().circuit_breaker(5, Duration::from_secs(1)))
            .clock(clock.clone())
            .on_attention(move |notice| drop(told.send(notice)))
            .start()
            .await
            .unwrap();
        Self { dispatcher, clock, pays: bank.0, notices }
    }

    async fn place(&self, order: &str) {
        self.dispatcher.publish(Placed { order: order.to_owned() }).await.unwrap();
        self.clock.idle().await;
    }

    async fn told(&mut self) -> (String, u64) {
        let notice = self.notices.recv().await.unwrap();
        (notice.what.to_string(), notice.left_out)
    }
}

#[tokio::test]
async fn a_park_is_told_at_once_and_repetitions_are_counted() {
    let mut shop = Shop::open(MemoryStore::new()).await;
    shop.place("A").await;
    let first = "order `A` is parked and waits for a person: the row has `park`: failed(Pay): no money";
    assert_eq!(shop.told().await, (first.to_owned(), 0));
    for order in ["B", "C", "D"] {
        shop.place(order).await;
    }
    assert!(shop.notices.try_recv().is_err(), "the group is quiet for a minute");
    shop.clock.advance(Duration::from_secs(61));
    let (last, left_out) = shop.told().await;
    assert!(last.starts_with("order `D` is parked") && left_out == 2, "{last}, {left_out}");
    shop.clock.advance(Duration::from_secs(180));
    shop.clock.idle().await;
    shop.place("E").await;
    assert!(shop.told().await.0.starts_with("order `E` is parked"), "the group was forgotten");
}

#[tokio::test]
async fn dead_letters_of_another_reason_are_another_group() {
    let mut shop = Shop::open(MemoryStore::new()).await;
    shop.dispatcher.publish(Noted { order: "none".to_owned() }).await.unwrap();
    let (text, _) = shop.told().await;
    assert!(text.starts_with("`noted` for order `none` is a dead letter: missing-instance"), "{text}");
    shop.pays.store(true, Ordering::SeqCst);
    shop.place("A").await;
    shop.dispatcher.publish(Noted { order: "A".to_owned() }).await.unwrap();
    let (text, _) = shop.told().await;
    assert!(text.starts_with("`noted` for order `A` is a dead letter: unhandled"), "{text}");
}

#[tokio::test]
async fn an_undo_that_is_tried_for_a_day_is_told_once() {
    let mut shop = Shop::open(MemoryStore::new()).await;
    shop.pays.store(true, Ordering::SeqCst);
    shop.place("A").await;
    shop.dispatcher.abort::<OrderState>("A", Operator::new("ada")).await.unwrap();
    let mut overdue = 0;
    for _ in 0..26 * 12 {
        shop.clock.advance(Duration::from_secs(300));
        shop.clock.idle().await;
        while let Ok(notice) = shop.notices.try_recv() {
            match notice.what {
                Attention::Overdue { instance, undo, error, .. } => {
                    assert_eq!((&*instance.saga, &*undo, &*error), ("order", "void", "the line is dead"));
                    overdue += 1;
                }
                Attention::BreakerOpen { handler, .. } => assert_eq!(handler, "void"),
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(overdue, 1);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_and_its_return_too() {
    let store = Faulty::new(MemoryStore::new());
    let mut shop = Shop::open(store.clone()).await;
    store.set(Condition::Locked);
    let publishing = tokio::spawn({
        let dispatcher = shop.dispatcher.clone();
        async move { dispatcher.publish(Placed { order: "A".to_owned() }).await }
    });
    let (text, _) = shop.told().await;
    assert!(text.starts_with("the store does not answer: "), "{text}");
    store.set(Condition::Fine);
    while !publishing.is_finished() {
        shop.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let recovered = async {
        loop {
            if shop.notices.recv().await.unwrap().what == Attention::Recovered {
                break;
            }
        }
    };
    recovered.await;
}

#[tokio::test]
async fn a_dispatcher_that_fails_is_told_and_one_that_is_shut_down_is_not() {
    let store = Faulty::new(MemoryStore::new());
    let mut shop = Shop::open(store.clone()).await;
    store.set(Condition::Gone);
    let _ = shop.dispatcher.publish(Placed { order: "A".to_owned() }).await;
    let (text, _) = shop.told().await;
    assert!(text.starts_with("the dispatcher has stopped: "), "{text}");
    assert_eq!(shop.notices.recv().await, None, "it is told once");

    let mut shop = Shop::open(MemoryStore::new()).await;
    shop.dispatcher.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!(shop.notices.recv().await, None, "the task has ended without a word");
}

#[tokio::test]
async fn a_health_report_has_reasons_for_probes_and_pages() {
    let store = Faulty::new(MemoryStore::new());
    let shop = Shop::open(store.clone()).await;
    shop.clock.idle().await;
    let report = shop.dispatcher.health_report();
    assert!(report.is_live() && report.is_ready() && report.reasons.is_empty(), "{report:?}");
    shop.dispatcher.pause(saga::PauseOf::Handler("void".to_owned()), Operator::new("ada")).await.unwrap();
    shop.clock.advance(Duration::from_secs(2));
    shop.clock.idle().await;
    let reasons = shop.dispatcher.health_report().reasons;
    assert_eq!(reasons.iter().map(ToString::to_string).collect::<Vec<_>>(), ["the handler `void` is paused"]);

    store.set(Condition::Hung);
    let _publishing = tokio::spawn({
        let dispatcher = shop.dispatcher.clone();
        async move { dispatcher.publish(Placed { order: "A".to_owned() }).await }
    });
    store.until_struck(1).await;
    for _ in 0..10 {
        shop.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let late =
        |report: &saga::HealthReport| report.reasons.iter().any(|reason| reason.as_str() == "late-work");
    while !late(&shop.dispatcher.health_report()) {
        shop.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    store.set(Condition::Gone);
    let mut health = shop.dispatcher.health();
    while !matches!(health, saga::Health::Stopped { .. }) {
        health = shop.dispatcher.health_changed().await;
    }
    let report = shop.dispatcher.health_report();
    assert!(!report.is_live() && !report.is_ready());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["health"], &json["live"]), (&"stopped".into(), &false.into()));
    assert_eq!(json["reasons"][0]["reason"], "stopped");
}
