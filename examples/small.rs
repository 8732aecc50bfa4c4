//! The small order saga of the README, whole: run it, or run its test.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // As a reader of the README would write it.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(OrderPlaced, run(place), send(TakePayment), transition_to(AwaitingPayment)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(PaymentTaken, run(keep_receipt), send(ShipParcel), transition_to(AwaitingShipment)),
        when(PaymentDeclined, transition_to(Declined))
    )]
    AwaitingPayment,

    #[compensate_with(RefundPayment)]
    #[during(
        when(ParcelShipped, transition_to(Completed)),
        when(failed(ShipParcel), compensate, transition_to(Refunded))
    )]
    AwaitingShipment(Receipt),

    #[terminal]
    Completed,
    #[terminal(failure)]
    Declined,
    #[terminal(failure)]
    Refunded,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    cents: u64,
}

#[rustfmt::skip]
impl OrderActions for Order {    // the derive writes this trait; your editor fills in the methods
    fn place(event: &OrderPlaced, _: &mut Context) -> ActionResult<Self> { Ok(Order { id: event.order.clone(), cents: event.cents }) }
    fn take_payment(&self, _: &OrderPlaced, _: &mut Context) -> TakePayment { TakePayment { cents: self.cents } }
    fn keep_receipt(&mut self, event: &PaymentTaken, _: &mut Context) -> ActionResult<Receipt> { Ok(Receipt { number: event.number }) }
    fn ship_parcel(&self, _: &Receipt, _: &PaymentTaken, _: &mut Context) -> ShipParcel { ShipParcel { order: self.id.clone() } }
    fn refund_payment(&self, state: &Receipt, _: &mut Context) -> RefundPayment { RefundPayment { number: state.number } }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    number: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.placed", key(order))]
pub struct OrderPlaced {
    order: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.taken")]
pub struct PaymentTaken {
    number: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.declined")]
pub struct PaymentDeclined;

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "parcel.shipped")]
pub struct ParcelShipped;

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "payment.take", replies(PaymentTaken, PaymentDeclined))]
pub struct TakePayment {
    cents: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "parcel.ship", replies(ParcelShipped))]
pub struct ShipParcel {
    order: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "payment.refund")]
pub struct RefundPayment {
    number: u64,
}

#[test]
fn a_parcel_that_cannot_be_shipped_is_refunded() {
    let order =
        saga::testing::Given::<OrderState>::started(OrderPlaced { order: "1017".into(), cents: 4_200 })
            .when(PaymentTaken { number: 99 })
            .failed::<ShipParcel>("no such address");
    assert_eq!(order.state(), &OrderState::Refunded);
    assert_eq!(order.sent::<RefundPayment>(), [RefundPayment { number: 99 }]);
    assert!(order.obligations().is_empty());
}

struct Shop;

impl Handler<TakePayment> for Shop {
    async fn handle(&self, command: TakePayment, cx: &HandlerContext) -> HandlerResult<TakePayment> {
        println!("taking {} cents under key {}", command.cents, cx.idempotency_key());
        Ok(PaymentTaken { number: 99 }.into())
    }
}

impl Handler<ShipParcel> for Shop {
    async fn handle(&self, command: ShipParcel, _: &HandlerContext) -> HandlerResult<ShipParcel> {
        Err(HandlerError::refused(format!("no address for order {}", command.order)))
    }
}

impl Handler<RefundPayment> for Shop {
    async fn handle(&self, command: RefundPayment, _: &HandlerContext) -> HandlerResult<RefundPayment> {
        println!("refunding payment {}", command.number);
        Ok(Done.into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let dispatcher = saga::Dispatcher::builder(saga::SqliteStore::open(folder.path().join("orders.db"))?)
        .saga::<OrderState>()
        .handler::<TakePayment>(Shop)
        .handler::<ShipParcel>(Shop)
        .handler::<RefundPayment>(Shop)
        .start()
        .await?; // names every command without a handler
    dispatcher.publish(OrderPlaced { order: "1017".into(), cents: 4_200 }).await?; // durable when it returns
    println!("{:?}", dispatcher.settled::<OrderState>("1017").await?); // In(Refunded)
    dispatcher.shutdown(std::time::Duration::from_secs(10)).await?;
    Ok(())
}
