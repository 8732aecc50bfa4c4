//! Events of sagas that could not go their way, and what may be put back on it (R26).

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};

use saga::Dispatcher;
use saga::error::InstanceError;
use saga::prelude::*;
use saga::store::{MailKind, MemoryStore};
use saga::testing::ManualClock;
use saga::{DeclinedReason, Operator};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "basket", version = 1, data(Basket), actions(BasketActions))]
#[initially(when(Filled, run(fill), publish(Ordered), transition_to(Bought)))]
#[unhandled(reject)]
pub enum BasketState {
    #[terminal]
    Bought,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basket {
    customer: String,
}

impl BasketActions for Basket {
    fn fill(event: &Filled, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { customer: event.customer.clone() })
    }
    fn ordered(&self, _: &Filled, _: &mut Context) -> Ordered {
        Ordered { customer: self.customer.clone() }
    }
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "account", version = 1, data(Account), actions(AccountActions))]
#[initially(when(Ordered, run(open), transition_to(Open)))]
#[unhandled(reject)]
pub enum AccountState {
    #[terminal]
    Open,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {}

impl AccountActions for Account {
    fn open(_: &Ordered, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "filled", key(basket))]
pub struct Filled {
    basket: String,
    customer: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "ordered", key(customer))]
pub struct Ordered {
    customer: String,
}

#[derive(Clone, Default)]
struct Letters(Arc<Mutex<Vec<String>>>);

impl Subscriber<Ordered> for Letters {
    async fn handle(&self, event: Ordered, _: &HandlerContext) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(event.customer);
        Ok(())
    }
}

/// The result of the event that `basket-1` publishes for `customer`, which may come through so many sagas.
async fn ordered(customer: &str, hops: u32) -> (Dispatcher, ManualClock, Letters) {
    let (clock, letters) = (ManualClock::default(), Letters::default());
    let builder = Dispatcher::builder(MemoryStore::new()).saga::<BasketState>().saga::<AccountState>();
    let builder =
        builder.subscriber::<Ordered>("letters", letters.clone()).max_hops(hops).clock(clock.clone());
    let dispatcher = builder.start().await.unwrap();
    dispatcher.publish(Filled { basket: "basket-1".into(), customer: customer.into() }).await.unwrap();
    clock.idle().await;
    (dispatcher, clock, letters)
}

async fn dead(dispatcher: &Dispatcher) -> Vec<(String, MailKind)> {
    let rows = dispatcher.dead_letters(None).await.unwrap();
    let mut dead: Vec<_> = rows
        .iter()
        .map(|row| (format!("{} {}", row.letter.to, row.letter.reason), row.letter.kind))
        .collect();
    dead.sort_by(|one, other| one.0.cmp(&other.0));
    dead
}

#[tokio::test]
async fn an_event_without_a_key_is_kept_and_put_on_no_way() {
    let (dispatcher, clock, letters) = ordered("", 100).await;
    let kept = [
        ("account `basket-1` bad-key".to_owned(), MailKind::Event),
        ("letters `basket-1` bad-key".to_owned(), MailKind::Delivery),
    ];
    assert_eq!(dead(&dispatcher).await, kept);
    for row in dispatcher.dead_letters(None).await.unwrap() {
        let error = dispatcher.redrive(row.id, Operator::new("op")).await.unwrap_err();
        assert!(matches!(&error, InstanceError::Declined(DeclinedReason::NoKey)), "{error}");
    }
    clock.idle().await;
    assert_eq!(dead(&dispatcher).await, kept);
    assert!(dispatcher.instance::<AccountState>("basket-1").await.unwrap().is_none());
    assert!(letters.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_event_that_came_too_far_is_put_back_on_its_own_way() {
    let (dispatcher, clock, letters) = ordered("ada", 0).await;
    let kept = [
        ("account `ada` too-many-hops".to_owned(), MailKind::Event),
        ("letters `ada` too-many-hops".to_owned(), MailKind::Delivery),
    ];
    assert_eq!(dead(&dispatcher).await, kept);
    for row in dispatcher.dead_letters(None).await.unwrap() {
        dispatcher.redrive(row.id, Operator::new("op")).await.unwrap();
    }
    clock.idle().await;
    assert!(dead(&dispatcher).await.is_empty());
    assert!(dispatcher.instance::<AccountState>("ada").await.unwrap().is_some());
    assert!(dispatcher.instance::<AccountState>("basket-1").await.unwrap().is_none());
    assert_eq!(*letters.0.lock().unwrap(), ["ada"]);
}
