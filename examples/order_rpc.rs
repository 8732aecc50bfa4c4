//! An order over remote calls: reserve the funds, ship, capture the funds, send a mail. The bank knows every
//! transaction by an id, so calling it again is harmless, also after a crash. The carrier knows no ids and every call
//! sends a parcel, so it is called at most once; when its answer got lost a person finds out, and nothing is undone
//! meanwhile, because the parcel may be on its way. Only when shipping surely failed is the reservation cancelled. A
//! mail that cannot be sent changes nothing.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order-rpc", version = 1, data(Order), actions(OrderActions))]
#[initially(when(
    OrderPlaced,
    run(place),
    send(ReserveFunds, undo(CancelReservation)),
    transition_to(Reserving)
))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(FundsReserved, send(ShipProducts), transition_to(Shipping)),
        when(failed(ReserveFunds), transition_to(Declined)),
        when(unknown(ReserveFunds), compensate, transition_to(Declined))
    )]
    Reserving,

    #[during(
        when(ProductsShipped, run(keep_tracking), send(CaptureFunds), transition_to(Capturing)),
        when(failed(ShipProducts), compensate, transition_to(Cancelled)),
        when(unknown(ShipProducts), park)
    )]
    Shipping,

    #[during(
        when(FundsCaptured, not_owed(CancelReservation), send(SendMail), transition_to(Completed)),
        when(any(failed(CaptureFunds), unknown(CaptureFunds)), park)
    )]
    Capturing(Tracking),

    #[terminal]
    Completed,
    #[terminal(failure)]
    Declined,
    #[terminal(failure)]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    cents: u64,
    /// Made once, in the step that starts the order, and stored with it: whatever restarts, it stays the same.
    transaction: Id,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracking {
    number: String,
}

impl OrderActions for Order {
    fn place(event: &OrderPlaced, cx: &mut Context) -> ActionResult<Self> {
        Ok(Order { id: event.order.clone(), cents: event.cents, transaction: cx.new_id() })
    }

    fn reserve_funds(&self, _: &OrderPlaced, _: &mut Context) -> ReserveFunds {
        ReserveFunds { transaction: self.transaction, cents: self.cents }
    }

    fn cancel_reservation(&self, command: &ReserveFunds, _: &mut Context) -> CancelReservation {
        CancelReservation { transaction: command.transaction }
    }

    fn ship_products(&self, _: &FundsReserved, _: &mut Context) -> ShipProducts {
        ShipProducts { order: self.id.clone() }
    }

    fn keep_tracking(&mut self, event: &ProductsShipped, _: &mut Context) -> ActionResult<Tracking> {
        Ok(Tracking { number: event.tracking.clone() })
    }

    fn capture_funds(&self, _: &Tracking, _: &ProductsShipped, _: &mut Context) -> CaptureFunds {
        CaptureFunds { transaction: self.transaction, cents: self.cents }
    }

    fn send_mail(&self, from: &Tracking, _: &FundsCaptured, _: &mut Context) -> SendMail {
        SendMail { order: self.id.clone(), tracking: from.number.clone() }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.placed", key(order))]
pub struct OrderPlaced {
    order: String,
    cents: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "funds.reserve", replies(FundsReserved))]
pub struct ReserveFunds {
    transaction: Id,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "funds.reserved")]
pub struct FundsReserved {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "funds.cancel-reservation")]
pub struct CancelReservation {
    transaction: Id,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "products.ship", replies(ProductsShipped), at_most_once)]
pub struct ShipProducts {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "products.shipped")]
pub struct ProductsShipped {
    tracking: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "funds.capture", replies(FundsCaptured))]
pub struct CaptureFunds {
    transaction: Id,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "funds.captured")]
pub struct FundsCaptured {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.send", best_effort)]
pub struct SendMail {
    order: String,
    tracking: String,
}

// The outside world, and handlers that call it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::{Dispatcher, Id, Operator, Resolved, SqliteStore};
use tokio::sync::Notify;

/// Prints and remembers who was called with what.
#[derive(Clone, Default)]
struct World {
    calls: Arc<Mutex<Vec<String>>>,
    dies_in: Arc<Mutex<Option<&'static str>>>,
    called: Arc<Notify>,
}

impl World {
    async fn call(&self, service: &'static str, what: String) {
        println!("    {service}: {what}");
        self.calls.lock().unwrap().push(format!("{service}: {what}"));
        // The process is about to die in this call: it has been made, and nobody will see the answer.
        if self.dies_in.lock().unwrap().take_if(|dies_in| *dies_in == service).is_some() {
            self.called.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl Handler<ReserveFunds> for World {
    async fn handle(&self, command: ReserveFunds, _: &HandlerContext) -> HandlerResult<ReserveFunds> {
        self.call("bank", format!("reserve {} under {}", command.cents, command.transaction)).await;
        if command.cents > 100_000 {
            return Err(HandlerError::refused("not so much money in the account"));
        }
        Ok(FundsReserved {}.into())
    }
}

impl Handler<CancelReservation> for World {
    async fn handle(
        &self,
        command: CancelReservation,
        _: &HandlerContext,
    ) -> HandlerResult<CancelReservation> {
        self.call("bank", format!("cancel {}", command.transaction)).await;
        Ok(Done.into())
    }
}

impl Handler<ShipProducts> for World {
    async fn handle(&self, command: ShipProducts, _: &HandlerContext) -> HandlerResult<ShipProducts> {
        if command.order == "no-address" {
            // Seen before the carrier was called, so it is certain that no parcel left.
            return Err(HandlerError::refused("the order has no address"));
        }
        self.call("carrier", format!("fetch the parcel of {}", command.order)).await;
        Ok(ProductsShipped { tracking: format!("T-{}", command.order) }.into())
    }
}

impl Handler<CaptureFunds> for World {
    async fn handle(&self, command: CaptureFunds, _: &HandlerContext) -> HandlerResult<CaptureFunds> {
        self.call("bank", format!("capture {} under {}", command.cents, command.transaction)).await;
        Ok(FundsCaptured {}.into())
    }
}

impl Handler<SendMail> for World {
    async fn handle(&self, command: SendMail, _: &HandlerContext) -> HandlerResult<SendMail> {
        self.call("mail", format!("{} is on its way as {}", command.order, command.tracking)).await;
        match command.order.as_str() {
            "no-mailbox" => Err(HandlerError::refused("there is no such mailbox")),
            _ => Ok(Done.into()),
        }
    }
}

async fn open(store: &SqliteStore, world: &World) -> Result<Dispatcher, saga::error::StartError> {
    Dispatcher::builder(store.clone())
        .saga::<OrderState>()
        .handler::<ReserveFunds>(world.clone())
        .handler::<CancelReservation>(world.clone())
        .handler::<ShipProducts>(world.clone())
        .handler::<CaptureFunds>(world.clone())
        .handler::<SendMail>(world.clone())
        .start()
        .await
}

/// Places an order, kills the process in the call to `service`, and starts another on the same file.
async fn die_in(
    service: &'static str,
    order: &str,
    shop: Dispatcher,
    store: &SqliteStore,
    world: &World,
) -> Result<Dispatcher, Box<dyn std::error::Error>> {
    *world.dies_in.lock().unwrap() = Some(service);
    shop.publish(OrderPlaced { order: order.into(), cents: 4_200 }).await?;
    world.called.notified().await;
    shop.kill().await;
    Ok(open(store, world).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("orders.db"))?;
    let world = World::default();
    let shop = open(&store, &world).await?;

    for (order, cents) in
        [("fine", 4_200), ("too-dear", 200_000), ("no-address", 4_200), ("no-mailbox", 4_200)]
    {
        println!("order {order}");
        shop.publish(OrderPlaced { order: order.into(), cents }).await?;
        println!("  ends {:?}", shop.settled::<OrderState>(order).await?);
    }

    println!("order bank-crash: the process dies while the bank is called");
    let shop = die_in("bank", "bank-crash", shop, &store, &world).await?;
    println!("  ends {:?}", shop.settled::<OrderState>("bank-crash").await?);

    println!("order carrier-crash: the process dies while the carrier is called");
    let shop = die_in("carrier", "carrier-crash", shop, &store, &world).await?;
    println!("  waits {:?}", shop.settled::<OrderState>("carrier-crash").await?);
    println!("  the clerk calls the carrier: the parcel was fetched, its number is T-17");
    let shipped = Resolved::reply(&ProductsShipped { tracking: "T-17".into() })?;
    shop.resolve::<OrderState>(
        "carrier-crash",
        shipped,
        Operator::new("the clerk").because("called the carrier"),
    )
    .await?;
    println!("  ends {:?}", shop.settled::<OrderState>("carrier-crash").await?);

    shop.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::Position;
    use saga::testing::Given;

    use super::*;

    fn placed() -> Given<OrderState> {
        Given::started(OrderPlaced { order: "7".into(), cents: 4_200 })
    }

    fn shipping() -> Given<OrderState> {
        placed().when(FundsReserved {})
    }

    fn shipped() -> ProductsShipped {
        ProductsShipped { tracking: "T-7".into() }
    }

    #[test]
    fn reserved_shipped_captured_and_told() {
        let order = shipping().when(shipped()).when(FundsCaptured {});
        assert_eq!(order.state(), &OrderState::Completed);
        assert_eq!(order.sent::<SendMail>(), [SendMail { order: "7".into(), tracking: "T-7".into() }]);
        assert!(order.sent::<CancelReservation>().is_empty());
        assert!(order.obligations().is_empty());
    }

    #[test]
    fn the_bank_sees_one_transaction_id_in_every_call() {
        let order = shipping().when(shipped());
        let transaction = order.data().transaction;
        assert_eq!(order.sent::<ReserveFunds>()[0].transaction, transaction);
        assert_eq!(order.sent::<CaptureFunds>()[0].transaction, transaction);
        let order = shipping().failed::<ShipProducts>("no address");
        assert_eq!(order.sent::<CancelReservation>(), [CancelReservation { transaction }]);
    }

    #[test]
    fn a_refused_reservation_owes_nothing() {
        let order = placed().failed::<ReserveFunds>("no money");
        assert_eq!(order.state(), &OrderState::Declined);
        assert!(order.sent::<CancelReservation>().is_empty());
    }

    #[test]
    fn an_unknown_reservation_is_cancelled() {
        let order = placed().unknown::<ReserveFunds>("no answer");
        assert_eq!(order.state(), &OrderState::Declined);
        assert_eq!(order.sent::<CancelReservation>().len(), 1);
    }

    #[test]
    fn what_surely_was_not_shipped_is_cancelled() {
        let order = shipping().failed::<ShipProducts>("no address");
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(order.sent::<CancelReservation>().len(), 1);
    }

    #[test]
    fn what_was_perhaps_shipped_waits_for_a_person() {
        let order = || shipping().unknown::<ShipProducts>("no answer");
        assert!(order().position().is_parked());
        assert!(order().sent::<CancelReservation>().is_empty(), "unknown is not failed");
        assert_eq!(order().resolve(shipped()).when(FundsCaptured {}).state(), &OrderState::Completed);
        assert_eq!(order().resolve_refused().state(), &OrderState::Cancelled);
    }

    #[test]
    fn a_capture_without_an_answer_waits_for_a_person() {
        for order in [
            shipping().when(shipped()).failed::<CaptureFunds>("reservation expired"),
            shipping().when(shipped()).unknown::<CaptureFunds>("no answer"),
        ] {
            assert!(order.position().is_parked());
            assert!(order.sent::<CancelReservation>().is_empty(), "the parcel is on its way");
        }
    }

    #[test]
    fn a_mail_that_fails_changes_nothing() {
        let order = shipping().when(shipped()).when(FundsCaptured {}).failed::<SendMail>("no mailbox");
        assert_eq!(order.state(), &OrderState::Completed);
        assert!(order.sent::<CancelReservation>().is_empty());
    }

    #[tokio::test]
    async fn a_restart_calls_the_bank_again_with_the_same_id_and_the_carrier_never_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("orders.db")).unwrap();
        let world = World::default();
        let shop = open(&store, &world).await.unwrap();
        let shop = die_in("bank", "1", shop, &store, &world).await.unwrap();
        assert_eq!(shop.settled::<OrderState>("1").await.unwrap(), Position::In(OrderState::Completed));
        let calls = world.calls.lock().unwrap().clone();
        assert_eq!(calls[0], calls[1], "the reservation, twice under one id");

        let shop = die_in("carrier", "2", shop, &store, &world).await.unwrap();
        assert!(shop.settled::<OrderState>("2").await.unwrap().is_parked());
        shop.shutdown(Duration::from_secs(1)).await.unwrap();
        let calls = world.calls.lock().unwrap().clone();
        assert_eq!(calls.iter().filter(|call| call.contains("parcel of 2")).count(), 1);
    }
}
