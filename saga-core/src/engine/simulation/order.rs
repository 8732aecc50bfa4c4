//! The order saga: payment, label, and undos. The tests of the machine and of the dispatcher use it, too.
//!
//! Beside the rows of a shop, an order is nudged in every state, and a note is deferred until the order is paid.

#![allow(dead_code, unreachable_pub, missing_docs)] // Each user uses its own part of it.

use saga_core::machine::Context;
use saga_core::message::ActionResult;
use saga_macros::{Command, Event, Saga};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Saga)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions), crate(saga_core))]
#[initially(when(
    OrderPlaced,
    run(place),
    send(MakePayment, undo(VoidPayment)),
    transition_to(AwaitingPayment)
))]
#[during_any(when(CancelRequested, compensate, transition_to(Cancelled)), when(Nudged, run(nudge), stay))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(
            PaymentCompleted,
            not_owed(VoidPayment),
            run(keep_receipt),
            send(CreateShippingLabel, undo(VoidLabel)),
            transition_to(AwaitingShipment)
        ),
        when(any(PaymentDeclined, failed(MakePayment)), not_owed(VoidPayment), transition_to(PaymentFailed)),
        when(unknown(MakePayment), compensate, transition_to(PaymentFailed)),
        timeout(minutes = 15, compensate, transition_to(Cancelled)),
        defer(Noted)
    )]
    AwaitingPayment,
    #[compensate_with(RefundPayment)]
    #[during(
        when(LabelCreated, publish(OrderCompleted), transition_to(Completed)),
        when(any(LabelRefused, failed(CreateShippingLabel)), compensate, transition_to(Cancelled)),
        when(unknown(CreateShippingLabel), park),
        when(Noted, run(note), stay)
    )]
    AwaitingShipment(Paid),
    #[terminal]
    Completed,
    #[terminal(failure)]
    PaymentFailed,
    #[terminal(failure)]
    Cancelled,
}

thread_local! {
    /// Whether the build that runs has mended the action that fails over a nudge `err`.
    pub static MENDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub cents: u64,
    pub nudges: u32,
    #[serde(default)]
    pub notes: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paid {
    pub payment: u64,
}

impl OrderActions for Order {
    fn place(event: &OrderPlaced, _: &mut Context) -> ActionResult<Self> {
        if event.cents == 0 {
            return Err("an order needs a price".into());
        }
        Ok(Self { id: event.order.clone(), cents: event.cents, nudges: 0, notes: 0 })
    }

    fn make_payment(&self, _: &OrderPlaced, _: &mut Context) -> MakePayment {
        MakePayment { order: self.id.clone(), cents: self.cents }
    }

    fn void_payment(&self, command: &MakePayment, cx: &mut Context) -> VoidPayment {
        let report = match cx.report::<MakePayment>() {
            None => "none".to_owned(),
            Some(report) => format!("{report:?}").chars().take_while(char::is_ascii_alphabetic).collect(),
        };
        VoidPayment { order: command.order.clone(), report }
    }

    fn nudge(&mut self, event: &Nudged, _: &mut Context) -> ActionResult<()> {
        self.nudges += 1;
        match &*event.how {
            "panic" => panic!("nudged too hard"),
            "err" if !MENDED.get() => Err("nudged the wrong way".into()),
            _ => Ok(()),
        }
    }

    fn keep_receipt(&mut self, event: &PaymentCompleted, _: &mut Context) -> ActionResult<Paid> {
        Ok(Paid { payment: event.payment })
    }

    fn create_shipping_label(&self, _: &Paid, _: &PaymentCompleted, _: &mut Context) -> CreateShippingLabel {
        CreateShippingLabel { order: self.id.clone() }
    }

    fn void_label(&self, _: &CreateShippingLabel, _: &mut Context) -> VoidLabel {
        VoidLabel { order: self.id.clone() }
    }

    fn order_completed(&self, _: &Paid, _: &LabelCreated, _: &mut Context) -> OrderCompleted {
        OrderCompleted { order: self.id.clone() }
    }

    fn refund_payment(&self, state: &Paid, _: &mut Context) -> RefundPayment {
        RefundPayment { payment: state.payment }
    }

    fn note(&mut self, _: &mut Paid, _: &Noted, _: &mut Context) -> ActionResult<()> {
        self.notes += 1;
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "order.placed", key(order), crate(saga_core))]
pub struct OrderPlaced {
    pub order: String,
    pub cents: u64,
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "order.cancel", key(order), crate(saga_core))]
pub struct CancelRequested {
    pub order: String,
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "order.nudged", key(order), crate(saga_core))]
pub struct Nudged {
    pub order: String,
    /// An action that is given `panic` panics, and one that is given `err` fails.
    pub how: String,
}

/// Deferred until the order is paid.
#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "order.joined", key(order), crate(saga_core))]
pub struct Noted {
    pub order: String,
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "order.completed", key(order), crate(saga_core))]
pub struct OrderCompleted {
    pub order: String,
}

/// An event without a consumer.
#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "stray", key(order), crate(saga_core))]
pub struct Stray {
    pub order: String,
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "payment.completed", crate(saga_core))]
pub struct PaymentCompleted {
    pub payment: u64,
}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "payment.declined", crate(saga_core))]
pub struct PaymentDeclined {}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "label.created", crate(saga_core))]
pub struct LabelCreated {}

#[derive(Clone, Debug, PartialEq, Event, Serialize, Deserialize)]
#[event(name = "label.refused", crate(saga_core))]
pub struct LabelRefused {}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "payment.make", replies(PaymentCompleted, PaymentDeclined), crate(saga_core))]
pub struct MakePayment {
    pub order: String,
    pub cents: u64,
}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "payment.void", crate(saga_core))]
pub struct VoidPayment {
    pub order: String,
    pub report: String,
}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "label.create", replies(LabelCreated, LabelRefused), crate(saga_core))]
pub struct CreateShippingLabel {
    pub order: String,
}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "label.void", crate(saga_core))]
pub struct VoidLabel {
    pub order: String,
}

#[derive(Clone, Debug, PartialEq, Command, Serialize, Deserialize)]
#[command(name = "payment.refund", crate(saga_core))]
pub struct RefundPayment {
    pub payment: u64,
}

pub fn placed(order: &str) -> OrderPlaced {
    OrderPlaced { order: order.to_owned(), cents: 4_200 }
}

pub fn cancel(order: &str) -> CancelRequested {
    CancelRequested { order: order.to_owned() }
}

pub fn note(order: &str) -> Noted {
    Noted { order: order.to_owned() }
}

pub fn nudge(order: &str, how: &str) -> Nudged {
    Nudged { order: order.to_owned(), how: how.to_owned() }
}
