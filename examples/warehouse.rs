//! An order, a payment service and a warehouse that know nothing of each other: the order takes their events and sends
//! them commands, and asks no database for anything. A service that is down only delays. Its command waits in the file
//! and is tried again, under the same key, until the service is back, also when this process is stopped meanwhile.
//! What the table has no row for, a payment that was refused, say, waits for a person.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "warehouse-order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(OrderPlaced, run(place), send(MakePayment), transition_to(AwaitingPayment)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(when(PaymentCompleted, send(CreateShippingLabel), transition_to(AwaitingLabel)))]
    AwaitingPayment,

    #[during(when(ShippingLabelCreated, transition_to(Done)))]
    AwaitingLabel,

    #[terminal]
    Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    cents: u64,
}

impl OrderActions for Order {
    fn place(event: &OrderPlaced, _: &mut Context) -> ActionResult<Self> {
        Ok(Order { id: event.order.clone(), cents: event.cents })
    }

    fn make_payment(&self, _: &OrderPlaced, _: &mut Context) -> MakePayment {
        MakePayment { order: self.id.clone(), cents: self.cents }
    }

    fn create_shipping_label(&self, _: &PaymentCompleted, _: &mut Context) -> CreateShippingLabel {
        CreateShippingLabel { order: self.id.clone() }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.placed", key(order))]
pub struct OrderPlaced {
    order: String,
    cents: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "payment.make", replies(PaymentCompleted))]
pub struct MakePayment {
    order: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.completed")]
pub struct PaymentCompleted {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "label.create", replies(ShippingLabelCreated))]
pub struct CreateShippingLabel {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "label.created")]
pub struct ShippingLabelCreated {}

// The two services.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::StartError;
use saga::{Dispatcher, Policy, SqliteStore};
use tokio::sync::watch;

/// Takes each payment once, however often it is asked with the same key.
#[derive(Clone)]
struct Payments {
    down: Arc<watch::Sender<bool>>,
    in_vain: Arc<watch::Sender<u32>>,
    taken: Arc<Mutex<BTreeSet<String>>>,
}

impl Payments {
    fn down() -> Self {
        Self { down: Arc::new(watch::Sender::new(true)), in_vain: Arc::default(), taken: Arc::default() }
    }

    /// Ends after so many calls in vain.
    async fn called_in_vain(&self, times: u32) {
        // The sender lives in `self`.
        let _ = self.in_vain.subscribe().wait_for(|calls| *calls >= times).await;
    }
}

impl Handler<MakePayment> for Payments {
    async fn handle(&self, command: MakePayment, cx: &HandlerContext) -> HandlerResult<MakePayment> {
        if *self.down.borrow() {
            self.in_vain.send_modify(|calls| *calls += 1);
            return Err("connection refused".into());
        }
        if self.taken.lock().unwrap().insert(cx.idempotency_key().to_owned()) {
            println!("    payment of {} cents for {}", command.cents, command.order);
        }
        Ok(PaymentCompleted {}.into())
    }
}

struct Warehouse;

impl Handler<CreateShippingLabel> for Warehouse {
    async fn handle(
        &self,
        command: CreateShippingLabel,
        _: &HandlerContext,
    ) -> HandlerResult<CreateShippingLabel> {
        println!("    shipping label for {}", command.order);
        Ok(ShippingLabelCreated {}.into())
    }
}

async fn open(store: &SqliteStore, payments: &Payments) -> Result<Dispatcher, StartError> {
    // The default waits up to five minutes between two attempts; nobody watches a demonstration for so long.
    let soon = Policy::default().backoff(Duration::from_millis(10), Duration::from_millis(100));
    Dispatcher::builder(store.clone())
        .saga::<OrderState>()
        .handler_with::<MakePayment>(payments.clone(), soon)
        .handler::<CreateShippingLabel>(Warehouse)
        .start()
        .await
}

const ORDERS: [&str; 3] = ["ada", "berta", "carla"];

async fn place_all(shop: &Dispatcher) -> Result<(), saga::error::PublishError> {
    for order in ORDERS {
        shop.publish(OrderPlaced { order: order.into(), cents: 4_200 }).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("orders.db"))?;
    let payments = Payments::down();
    let shop = open(&store, &payments).await?;

    println!("the payment service is down; three orders are placed");
    place_all(&shop).await?;
    payments.called_in_vain(12).await;
    println!("it was called twelve times in vain; this process is stopped, and started again");
    shop.shutdown(Duration::from_secs(10)).await?;
    let shop = open(&store, &payments).await?;
    for order in ORDERS {
        let found = shop.instance::<OrderState>(order).await?.ok_or("the order is lost")?;
        println!("  {order} is {:?}", found.position);
    }
    println!("the payment service is back");
    payments.down.send_replace(false);
    for order in ORDERS {
        println!("  {order} is {:?}", shop.settled::<OrderState>(order).await?);
    }
    shop.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::Position;
    use saga::testing::{Given, days};

    use super::*;

    fn placed() -> Given<OrderState> {
        Given::started(OrderPlaced { order: "7".into(), cents: 4_200 })
    }

    #[test]
    fn paid_and_labelled_is_done() {
        let order = placed().when(PaymentCompleted {}).when(ShippingLabelCreated {});
        assert_eq!(order.state(), &OrderState::Done);
        assert_eq!(order.sent::<CreateShippingLabel>(), [CreateShippingLabel { order: "7".into() }]);
    }

    #[test]
    fn an_order_waits_as_long_as_it_takes() {
        let order = placed().elapsed(days(30)).when(PaymentCompleted {});
        assert_eq!(order.state(), &OrderState::AwaitingLabel);
    }

    #[test]
    fn a_refused_payment_waits_for_a_person_who_has_it_tried_again() {
        let order = placed().failed::<MakePayment>("the card has expired");
        assert!(order.position().is_parked());
        assert_eq!(order.retry().when(PaymentCompleted {}).state(), &OrderState::AwaitingLabel);
    }

    #[test]
    fn a_label_without_an_answer_waits_for_a_person_who_knows_it() {
        let order = placed().when(PaymentCompleted {}).unknown::<CreateShippingLabel>("no answer");
        assert!(order.position().is_parked());
        assert_eq!(order.resolve(ShippingLabelCreated {}).state(), &OrderState::Done);
    }

    #[tokio::test]
    async fn a_service_that_is_down_only_delays() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("orders.db")).unwrap();
        let payments = Payments::down();
        let shop = open(&store, &payments).await.unwrap();
        place_all(&shop).await.unwrap();
        payments.called_in_vain(9).await;
        shop.kill().await;
        let shop = open(&store, &payments).await.unwrap();
        payments.down.send_replace(false);
        for order in ORDERS {
            let settled = shop.settled::<OrderState>(order).await.unwrap();
            assert_eq!(settled, Position::In(OrderState::Done));
        }
        assert_eq!(payments.taken.lock().unwrap().len(), ORDERS.len(), "each was paid once");
        shop.shutdown(Duration::from_secs(1)).await.unwrap();
    }
}
