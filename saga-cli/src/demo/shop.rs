//! The shop of the demo: an order is paid, labelled, delivered, and undone when something fails.
//!
//! Its bank and its carrier are made up. Whether a call fails depends on the number of the order alone, so that each kind of
//! trouble appears again and again.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use saga::prelude::*;
use saga::store::{Inspect, InstanceFilter, InstanceOrder};
use saga::{Dispatcher, Done, SqliteStore, handler::Policy};

/// Where an order is.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(
    name = "order",
    version = 1,
    data(Order),
    actions(OrderActions),
    label(customer, cents),
    history(changes),
    on_abort(Cancelled)
)]
#[initially(when(OrderPlaced, run(place), send(TakePayment, undo(Refund)), transition_to(AwaitingPayment)))]
#[during_any(when(OrderCancelled, compensate, transition_to(Cancelled)))]
#[unhandled(reject)]
enum OrderState {
    /// The bank has been asked for the money.
    #[during(
        when(PaymentTaken, run(paid), send(CreateLabel, undo(VoidLabel)), transition_to(AwaitingShipment)),
        when(failed(TakePayment), transition_to(PaymentFailed)),
        when(unknown(TakePayment), park),
        timeout(minutes = 15, compensate, transition_to(Cancelled))
    )]
    AwaitingPayment,
    /// Paid. The carrier has been asked for a label.
    #[during(
        when(LabelCreated, run(labelled), send(Deliver), transition_to(AwaitingDelivery)),
        when(failed(CreateLabel), compensate, transition_to(Cancelled)),
        when(unknown(CreateLabel), park),
        timeout(hours = 2, park)
    )]
    AwaitingShipment,
    /// The parcel is on its way.
    #[during(
        when(ParcelDelivered, transition_to(Completed)),
        when(any(failed(Deliver), unknown(Deliver)), park),
        timeout(days = 3, park)
    )]
    AwaitingDelivery,
    /// The customer has the parcel.
    #[terminal]
    Completed,
    /// Nothing was charged.
    #[terminal(failure)]
    PaymentFailed,
    /// Everything has been undone.
    #[terminal(failure)]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u64,
    customer: String,
    cents: u64,
    payment: Option<String>,
    label: Option<String>,
}

impl OrderActions for Order {
    fn place(event: &OrderPlaced, _: &mut Context) -> ActionResult<Self> {
        let OrderPlaced { number, customer, cents, .. } = event.clone();
        Ok(Self { number, customer, cents, payment: None, label: None })
    }
    fn take_payment(&self, _: &OrderPlaced, _: &mut Context) -> TakePayment {
        TakePayment { number: self.number, cents: self.cents }
    }
    fn refund(&self, command: &TakePayment, _: &mut Context) -> Refund {
        Refund { number: command.number, cents: command.cents }
    }
    fn paid(&mut self, event: &PaymentTaken, _: &mut Context) -> ActionResult<()> {
        self.payment = Some(event.payment.clone());
        Ok(())
    }
    fn create_label(&self, _: &PaymentTaken, _: &mut Context) -> CreateLabel {
        CreateLabel { number: self.number }
    }
    fn void_label(&self, command: &CreateLabel, _: &mut Context) -> VoidLabel {
        VoidLabel { number: command.number }
    }
    fn labelled(&mut self, event: &LabelCreated, _: &mut Context) -> ActionResult<()> {
        self.label = Some(event.label.clone());
        Ok(())
    }
    fn deliver(&self, event: &LabelCreated, _: &mut Context) -> Deliver {
        Deliver { number: self.number, label: event.label.clone() }
    }
}

#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.placed", key(order))]
struct OrderPlaced {
    order: String,
    number: u64,
    customer: String,
    cents: u64,
}

#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.cancelled", key(order))]
struct OrderCancelled {
    order: String,
}

#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.taken")]
struct PaymentTaken {
    payment: String,
}

#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "label.created")]
struct LabelCreated {
    label: String,
}

#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "parcel.delivered")]
struct ParcelDelivered {}

macro_rules! commands {
    ($($name:ident $text:literal $(replies($reply:ident))? { $($field:ident: $type:ty),* })*) => {$(
        #[derive(saga::Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[command(name = $text $(, replies($reply))?)]
        struct $name { $($field: $type),* }
    )*};
}
commands! {
    TakePayment "payment.take" replies(PaymentTaken) { number: u64, cents: u64 }
    Refund "payment.refund" { number: u64, cents: u64 }
    CreateLabel "label.create" replies(LabelCreated) { number: u64 }
    VoidLabel "label.void" { number: u64 }
    Deliver "parcel.deliver" replies(ParcelDelivered) { number: u64, label: String }
}

/// The bank and the carrier.
#[derive(Clone, Copy)]
struct World;

impl World {
    /// A call that takes some time. One in `failing` orders gets no answer at its first `times` attempts.
    async fn call(
        number: u64,
        cx: &HandlerContext,
        (least, most): (u64, u64),
        (failing, times): (u64, u32),
        error: &str,
    ) -> Result<(), HandlerError> {
        let chance = spread(number, least);
        tokio::time::sleep(Duration::from_millis(least + chance % (most - least))).await;
        if failing > 0 && chance.is_multiple_of(failing) && cx.attempt() <= times {
            return Err(format!("{error} (request {:08x})", spread(chance, u64::from(cx.attempt()))).into());
        }
        Ok(())
    }
}

impl Handler<TakePayment> for World {
    async fn handle(&self, command: TakePayment, cx: &HandlerContext) -> HandlerResult<TakePayment> {
        Self::call(command.number, cx, (300, 2_500), (5, 2), "bank: connection reset by peer").await?;
        if command.number.is_multiple_of(17) {
            return Err(HandlerError::refused_for_good("the card was declined"));
        }
        Ok(PaymentTaken { payment: format!("p-{:06x}", spread(command.number, 7) & 0xff_ffff) }.into())
    }
}

impl Handler<Refund> for World {
    async fn handle(&self, command: Refund, cx: &HandlerContext) -> HandlerResult<Refund> {
        Self::call(command.number, cx, (800, 6_000), (3, 2), "bank: HTTP 503").await?;
        if command.number.is_multiple_of(26) {
            return Err(HandlerError::refused_for_good("the account is closed"));
        }
        Ok(Done.into())
    }
}

impl Handler<CreateLabel> for World {
    async fn handle(&self, command: CreateLabel, cx: &HandlerContext) -> HandlerResult<CreateLabel> {
        let times = if command.number.is_multiple_of(19) { u32::MAX } else { 3 };
        let failing = if times == u32::MAX { 1 } else { 4 };
        let error = "carrier: no answer within 1 s";
        Self::call(command.number, cx, (400, 3_000), (failing, times), error).await?;
        if command.number.is_multiple_of(13) {
            return Err(HandlerError::refused_for_good("the carrier does not deliver there"));
        }
        Ok(LabelCreated { label: format!("L-{:08}", spread(command.number, 3) % 100_000_000) }.into())
    }
}

impl Handler<VoidLabel> for World {
    async fn handle(&self, command: VoidLabel, cx: &HandlerContext) -> HandlerResult<VoidLabel> {
        Self::call(command.number, cx, (500, 4_000), (2, 1), "carrier: maintenance").await?;
        Ok(Done.into())
    }
}

impl Handler<Deliver> for World {
    async fn handle(&self, command: Deliver, cx: &HandlerContext) -> HandlerResult<Deliver> {
        Self::call(command.number, cx, (8_000, 40_000), (0, 0), "").await?;
        Ok(ParcelDelivered {}.into())
    }
}

/// A number that looks like chance and is always the same.
fn spread(number: u64, salt: u64) -> u64 {
    let mut mixed = (number ^ salt.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11
}

/// Runs the shop until the process ends.
pub(super) async fn run(file: &Path) -> Result<()> {
    let store = SqliteStore::open(file)?;
    let mut number = last_number(&store).await?;
    let policy = || {
        Policy::default()
            .timeout(Duration::from_secs(60))
            .backoff(Duration::from_secs(2), Duration::from_secs(10))
            .max_total_time(Duration::from_secs(20))
    };
    let dispatcher = Dispatcher::builder(store)
        .saga::<OrderState>()
        .handler_with::<TakePayment>(World, policy())
        .handler_with::<Refund>(World, policy())
        .handler_with::<CreateLabel>(World, policy())
        .handler_with::<VoidLabel>(World, policy())
        .handler::<Deliver>(World)
        .start()
        .await?;
    loop {
        number += 1;
        let order = format!("order-{number:05}");
        let customer = format!("C-{:05}", spread(number, 5) % 40);
        let cents = 500 + spread(number, 9) % 20_000;
        dispatcher.publish(OrderPlaced { order: order.clone(), number, customer, cents }).await?;
        if number.is_multiple_of(11) {
            dispatcher
                .publish(OrderCancelled { order: format!("order-{:05}", number.saturating_sub(4)) })
                .await?;
        }
        tokio::time::sleep(Duration::from_millis(400 + spread(number, 1) % 900)).await;
    }
}

/// Returns the number of the newest order in the file.
async fn last_number(store: &SqliteStore) -> Result<u64> {
    let mut newest = InstanceFilter::default();
    (newest.order, newest.descending, newest.limit) = (InstanceOrder::Created, true, 1);
    let newest = store.instances(&newest).await?.instances.into_iter().next();
    let key = newest.as_ref().map(|view| view.address.key.text());
    Ok(key.and_then(|key| key.strip_prefix("order-")?.parse().ok()).unwrap_or_default())
}
