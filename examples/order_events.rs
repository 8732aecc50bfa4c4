//! An order over messages: each service takes requests from its queue and answers with an event some time later, or
//! never. The order has the funds reserved, the products shipped, the funds captured and a confirmation sent, and waits
//! for each answer only so long. A request is undone from the moment it is in the queue, because nobody knows whether a
//! service that keeps silent has done what it was asked for. Once the funds are captured nothing is undone any more: a
//! confirmation that fails or takes too long changes nothing.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order-events", version = 1, data(Order), actions(OrderActions))]
#[initially(when(OrderPlaced, run(place), send(ReserveFunds, undo(ReleaseFunds)), transition_to(Reserving)))]
#[unhandled(ignore)] // An answer that comes late or twice.
pub enum OrderState {
    #[during(
        when(FundsReserved, send(ShipProducts, undo(CancelShipment)), transition_to(Shipping)),
        when(ReservationFailed, not_owed(ReleaseFunds), transition_to(Cancelled)),
        timeout(seconds = 10, compensate, transition_to(Cancelled))
    )]
    Reserving,

    #[during(
        when(ProductsShipped, run(track), send(CaptureFunds, undo(ReturnFunds)), transition_to(Capturing)),
        when(ShipmentFailed, not_owed(CancelShipment), compensate, transition_to(Cancelled)),
        timeout(minutes = 5, compensate, transition_to(Cancelled))
    )]
    Shipping,

    #[during(
        when(FundsCaptured, waive, send(SendConfirmation), transition_to(Confirming)),
        when(CaptureFailed, not_owed(ReturnFunds), compensate, transition_to(Cancelled)),
        timeout(seconds = 10, compensate, transition_to(Cancelled))
    )]
    Capturing(TrackAndTrace),

    #[during(
        when(any(ConfirmationSent, ConfirmationFailed), transition_to(Completed)),
        timeout(minutes = 5, transition_to(Completed))
    )]
    Confirming,

    #[terminal]
    Completed,
    #[terminal(failure)]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    cents: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackAndTrace {
    number: String,
}

impl OrderActions for Order {
    fn place(event: &OrderPlaced, _: &mut Context) -> ActionResult<Self> {
        Ok(Order { id: event.order.clone(), cents: event.cents })
    }

    fn reserve_funds(&self, _: &OrderPlaced, _: &mut Context) -> ReserveFunds {
        ReserveFunds { order: self.id.clone(), cents: self.cents }
    }

    fn release_funds(&self, command: &ReserveFunds, _: &mut Context) -> ReleaseFunds {
        ReleaseFunds { order: command.order.clone() }
    }

    fn ship_products(&self, _: &FundsReserved, _: &mut Context) -> ShipProducts {
        ShipProducts { order: self.id.clone() }
    }

    fn cancel_shipment(&self, command: &ShipProducts, _: &mut Context) -> CancelShipment {
        CancelShipment { order: command.order.clone() }
    }

    fn track(&mut self, event: &ProductsShipped, _: &mut Context) -> ActionResult<TrackAndTrace> {
        Ok(TrackAndTrace { number: event.track_and_trace.clone() })
    }

    fn capture_funds(&self, _: &TrackAndTrace, _: &ProductsShipped, _: &mut Context) -> CaptureFunds {
        CaptureFunds { order: self.id.clone(), cents: self.cents }
    }

    fn return_funds(&self, command: &CaptureFunds, _: &mut Context) -> ReturnFunds {
        ReturnFunds { order: command.order.clone() }
    }

    fn send_confirmation(
        &self,
        from: &TrackAndTrace,
        _: &FundsCaptured,
        _: &mut Context,
    ) -> SendConfirmation {
        SendConfirmation { order: self.id.clone(), track_and_trace: from.number.clone() }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.placed", key(order))]
pub struct OrderPlaced {
    order: String,
    cents: u64,
}

// The requests declare no replies: their handler only puts them into a queue. The answers find the order by its key.

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "funds.reserve")]
pub struct ReserveFunds {
    order: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "funds.reserved", key(order))]
pub struct FundsReserved {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "funds.reservation-failed", key(order))]
pub struct ReservationFailed {
    order: String,
    why: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "funds.release")]
pub struct ReleaseFunds {
    order: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "products.ship")]
pub struct ShipProducts {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "products.shipped", key(order))]
pub struct ProductsShipped {
    order: String,
    track_and_trace: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "products.shipment-failed", key(order))]
pub struct ShipmentFailed {
    order: String,
    why: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "products.cancel-shipment")]
pub struct CancelShipment {
    order: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "funds.capture")]
pub struct CaptureFunds {
    order: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "funds.captured", key(order))]
pub struct FundsCaptured {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "funds.capture-failed", key(order))]
pub struct CaptureFailed {
    order: String,
    why: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "funds.return")]
pub struct ReturnFunds {
    order: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "confirmation.send")]
pub struct SendConfirmation {
    order: String,
    track_and_trace: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "confirmation.sent", key(order))]
pub struct ConfirmationSent {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "confirmation.failed", key(order))]
pub struct ConfirmationFailed {
    order: String,
    why: String,
}

// The outside world: a broker that takes requests, and the services behind it.

use std::time::Duration;

use saga::error::PublishError;
use saga::testing::ManualClock;
use saga::{Dispatcher, Receipt, SqliteStore};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A request in a queue: its stored name and the order it is about.
type Request = (&'static str, String);

#[derive(Clone)]
struct Broker(UnboundedSender<Request>);

/// Every handler does the same: what it was given is in the queue when it answers.
macro_rules! queued {
    ($($command:ident),*) => {$(
                impl Handler<$command> for Broker {
            async fn handle(&self, command: $command, _: &HandlerContext) -> HandlerResult<$command> {
                self.0.send(($command::NAME, command.order))?;
                Ok(Done.into())
            }
        }
    )*};
}

queued!(
    ReserveFunds,
    ReleaseFunds,
    ShipProducts,
    CancelShipment,
    CaptureFunds,
    ReturnFunds,
    SendConfirmation
);

/// Takes requests out of the queue and answers as the name of the order says. A service that keeps silent is told to
/// `silent`, where `main` lets the time pass.
async fn serve(mut queue: UnboundedReceiver<Request>, shop: Dispatcher, silent: UnboundedSender<()>) {
    while let Some((request, order)) = queue.recv().await {
        println!("    {request}");
        let answered = match (request, &*order) {
            ("products.ship", "silent-carrier") | ("confirmation.send", "silent-mail") => {
                let _ = silent.send(());
                continue;
            }
            ("funds.reserve", "no-funds") => {
                shop.publish(ReservationFailed { order, why: "the account is empty".into() }).await
            }
            ("products.ship", "not-in-stock") => {
                shop.publish(ShipmentFailed { order, why: "not in stock".into() }).await
            }
            ("funds.reserve", _) => shop.publish(FundsReserved { order }).await,
            ("products.ship", _) => {
                let track_and_trace = format!("T-{order}");
                shop.publish(ProductsShipped { order, track_and_trace }).await
            }
            ("funds.capture", _) => shop.publish(FundsCaptured { order }).await,
            ("confirmation.send", _) => shop.publish(ConfirmationSent { order }).await,
            // Undoing is not answered: it is done when it is in the queue, behind the request it undoes.
            _ => continue,
        };
        tell(answered);
    }
}

fn tell(answered: Result<Receipt, PublishError>) {
    if let Err(error) = answered {
        println!("    the answer did not arrive: {error}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (requests, queue) = unbounded_channel();
    let (silent, mut silence) = unbounded_channel();
    let clock = ManualClock::default();
    let broker = Broker(requests);
    let shop = Dispatcher::builder(SqliteStore::open(folder.path().join("orders.db"))?)
        .saga::<OrderState>()
        .handler::<ReserveFunds>(broker.clone())
        .handler::<ReleaseFunds>(broker.clone())
        .handler::<ShipProducts>(broker.clone())
        .handler::<CancelShipment>(broker.clone())
        .handler::<CaptureFunds>(broker.clone())
        .handler::<ReturnFunds>(broker.clone())
        .handler::<SendConfirmation>(broker)
        .clock(clock.clone())
        .start()
        .await?;
    tokio::spawn(serve(queue, shop.clone(), silent));

    for order in ["fine", "no-funds", "not-in-stock", "silent-carrier", "silent-mail"] {
        println!("order {order}");
        shop.publish(OrderPlaced { order: order.into(), cents: 4_200 }).await?;
        if order.starts_with("silent") {
            silence.recv().await;
            println!("    five minutes pass");
            clock.advance(Duration::from_secs(5 * 60));
        }
        println!("  ends {:?}", shop.settled::<OrderState>(order).await?);
    }
    shop.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::testing::{Given, minutes, seconds};

    use super::*;

    fn order() -> String {
        "7".to_owned()
    }

    fn why() -> String {
        "no".to_owned()
    }

    fn reserving() -> Given<OrderState> {
        Given::started(OrderPlaced { order: order(), cents: 4_200 })
    }

    fn shipping() -> Given<OrderState> {
        reserving().when(FundsReserved { order: order() })
    }

    fn capturing() -> Given<OrderState> {
        shipping().when(ProductsShipped { order: order(), track_and_trace: "T-7".into() })
    }

    fn confirming() -> Given<OrderState> {
        capturing().when(FundsCaptured { order: order() })
    }

    /// Undone, in order.
    fn undone(order: &Given<OrderState>) -> Vec<String> {
        let history = order.history();
        history.iter().filter_map(|line| line.strip_prefix("undone ")).map(str::to_owned).collect()
    }

    #[test]
    fn every_answer_in_time_completes_the_order() {
        let order = confirming().when(ConfirmationSent { order: order() });
        assert_eq!(order.state(), &OrderState::Completed);
        assert_eq!(order.sent::<SendConfirmation>()[0].track_and_trace, "T-7");
        assert!(undone(&order).is_empty());
    }

    #[test]
    fn a_failed_reservation_owes_nothing() {
        let order = reserving().when(ReservationFailed { order: order(), why: why() });
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert!(undone(&order).is_empty());
    }

    #[test]
    fn a_reservation_nobody_answers_is_released() {
        let order = reserving().elapsed(seconds(10));
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(undone(&order), ["funds.release"]);
    }

    #[test]
    fn a_failed_shipment_releases_the_funds() {
        let order = shipping().when(ShipmentFailed { order: order(), why: why() });
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(undone(&order), ["funds.release"]);
    }

    #[test]
    fn a_shipment_nobody_answers_is_cancelled_too() {
        let order = shipping().elapsed(minutes(5));
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(undone(&order), ["products.cancel-shipment", "funds.release"]);
    }

    #[test]
    fn the_ten_seconds_of_the_reservation_end_with_its_answer() {
        let order = shipping().elapsed(seconds(11));
        assert_eq!(order.state(), &OrderState::Shipping);
    }

    #[test]
    fn a_failed_capture_calls_the_products_back() {
        let order = capturing().when(CaptureFailed { order: order(), why: why() });
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(undone(&order), ["products.cancel-shipment", "funds.release"]);
    }

    #[test]
    fn a_capture_nobody_answers_is_returned_too() {
        let order = capturing().elapsed(seconds(10));
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(undone(&order), ["funds.return", "products.cancel-shipment", "funds.release"]);
    }

    #[test]
    fn a_confirmation_never_undoes_anything() {
        for order in [
            confirming().when(ConfirmationFailed { order: order(), why: why() }),
            confirming().elapsed(minutes(5)),
        ] {
            assert_eq!(order.state(), &OrderState::Completed);
            assert!(undone(&order).is_empty());
        }
    }

    #[test]
    fn answers_that_come_twice_or_late_change_nothing() {
        let twice = capturing().when(FundsReserved { order: order() });
        assert!(matches!(twice.state(), OrderState::Capturing(_)));
        assert_eq!(twice.sent::<ShipProducts>().len(), 1);
        let late = shipping()
            .elapsed(minutes(5))
            .when(ProductsShipped { order: order(), track_and_trace: "T".into() });
        assert_eq!(late.state(), &OrderState::Cancelled);
        assert!(late.sent::<CaptureFunds>().is_empty());
    }

    #[test]
    fn a_request_still_waiting_for_its_queue_is_withdrawn() {
        let order = reserving().not_begun::<ReserveFunds>().elapsed(seconds(10));
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert!(undone(&order).is_empty());
    }
}
