//! The order saga: states, table, actions, and what travels.

use saga::prelude::*;

/// Where an order is.
#[derive(Saga, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(
    OrderPlaced,
    run(place),
    send(MakePayment, undo(VoidPayment)),
    transition_to(AwaitingPayment)
))]
#[during_any(when(CancelRequested, compensate, transition_to(Cancelled)))]
#[unhandled(reject)]
pub enum OrderState {
    /// The bank has been asked for the money.
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
        timeout(minutes = 15, compensate, transition_to(Cancelled))
    )]
    AwaitingPayment,

    /// Paid; the carrier has been asked for a label.
    #[compensate_with(RefundPayment)]
    #[during(
        when(LabelCreated, publish(OrderCompleted), transition_to(Completed)),
        when(any(LabelRefused, failed(CreateShippingLabel)), compensate, transition_to(Cancelled)),
        when(unknown(CreateShippingLabel), park)
    )]
    AwaitingShipment(Paid),

    /// Paid and on its way.
    #[terminal]
    Completed,
    /// Nothing was charged, or what was charged has been given back.
    #[terminal(failure)]
    PaymentFailed,
    /// Everything has been undone.
    #[terminal(failure)]
    #[on_enter(publish(OrderCancelled))]
    Cancelled,
}

/// What lives as long as the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: String,
    /// Its price in cents.
    pub cents: u64,
    /// What is in it.
    pub items: Vec<Item>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The article.
    pub sku: String,
    /// How many of it.
    pub count: u32,
}

/// The proof of a payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paid {
    /// The bank's name for the payment.
    pub payment: String,
}

impl OrderActions for Order {
    fn place(event: &OrderPlaced, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.order.clone(), cents: event.cents, items: event.items.clone() })
    }

    fn make_payment(&self, _: &OrderPlaced, _: &mut Context) -> MakePayment {
        MakePayment { order: self.id.clone(), cents: self.cents }
    }

    fn void_payment(&self, command: &MakePayment, _: &mut Context) -> VoidPayment {
        VoidPayment { order: command.order.clone(), cents: command.cents }
    }

    fn keep_receipt(&mut self, event: &PaymentCompleted, _: &mut Context) -> ActionResult<Paid> {
        Ok(Paid { payment: event.payment.clone() })
    }

    fn create_shipping_label(&self, _: &Paid, _: &PaymentCompleted, _: &mut Context) -> CreateShippingLabel {
        CreateShippingLabel { order: self.id.clone() }
    }

    fn void_label(&self, command: &CreateShippingLabel, _: &mut Context) -> VoidLabel {
        VoidLabel { order: command.order.clone() }
    }

    fn order_completed(&self, from: &Paid, _: &LabelCreated, _: &mut Context) -> OrderCompleted {
        OrderCompleted { order: self.id.clone(), payment: from.payment.clone() }
    }

    fn refund_payment(&self, state: &Paid, _: &mut Context) -> RefundPayment {
        RefundPayment { order: self.id.clone(), payment: state.payment.clone(), cents: self.cents }
    }

    fn order_cancelled(&self, _: &mut Context) -> OrderCancelled {
        OrderCancelled { order: self.id.clone() }
    }
}

/// A customer has placed an order.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "order.placed", key(order))]
pub struct OrderPlaced {
    /// Its number.
    pub order: String,
    /// Its price in cents.
    pub cents: u64,
    /// What is in it.
    pub items: Vec<Item>,
}

/// The customer has changed their mind.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "order.cancel-requested", key(order))]
pub struct CancelRequested {
    /// The order's number.
    pub order: String,
}

/// An order is paid and on its way.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "order.completed", key(order))]
pub struct OrderCompleted {
    /// The order's number.
    pub order: String,
    /// The bank's name for the payment.
    pub payment: String,
}

/// An order was cancelled; everything has been undone.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "order.cancelled", key(order))]
pub struct OrderCancelled {
    /// The order's number.
    pub order: String,
}

/// The bank has taken the money.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "payment.completed")]
pub struct PaymentCompleted {
    /// The bank's name for the payment.
    pub payment: String,
}

/// The bank will not take the money.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "payment.declined")]
pub struct PaymentDeclined {
    /// Why not.
    pub why: String,
}

/// The carrier will fetch the parcel.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "label.created")]
pub struct LabelCreated {
    /// The label.
    pub label: String,
}

/// The carrier does not deliver there.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "label.refused")]
pub struct LabelRefused {
    /// Why not.
    pub why: String,
}

/// Take the money.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "payment.make", replies(PaymentCompleted, PaymentDeclined))]
pub struct MakePayment {
    /// The order's number.
    pub order: String,
    /// How much.
    pub cents: u64,
}

/// Leaves nothing charged, whatever the outcome of the payment.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "payment.void")]
pub struct VoidPayment {
    /// The order's number.
    pub order: String,
    /// How much was asked for.
    pub cents: u64,
}

/// Give the money back.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "payment.refund")]
pub struct RefundPayment {
    /// The order's number.
    pub order: String,
    /// The bank's name for the payment.
    pub payment: String,
    /// How much.
    pub cents: u64,
}

/// Have the parcel fetched.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "label.create", replies(LabelCreated, LabelRefused))]
pub struct CreateShippingLabel {
    /// The order's number.
    pub order: String,
}

/// Leaves no label in force, whatever the outcome of the command.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "label.void")]
pub struct VoidLabel {
    /// The order's number.
    pub order: String,
}

#[cfg(test)]
mod tests {
    use saga::testing::{Given, minutes};

    use super::*;

    fn placed() -> Given<OrderState> {
        Given::started(OrderPlaced { order: "7".into(), cents: 3_000, items: Vec::new() })
    }

    fn paid() -> Given<OrderState> {
        placed().when(PaymentCompleted { payment: "p-99".into() })
    }

    fn refund() -> RefundPayment {
        RefundPayment { order: "7".into(), payment: "p-99".into(), cents: 3_000 }
    }

    #[test]
    fn paid_and_shipped_is_completed() {
        let order = paid().when(LabelCreated { label: "l-1".into() });
        assert_eq!(order.state(), &OrderState::Completed);
        assert_eq!(order.published::<OrderCompleted>().len(), 1);
        assert!(order.obligations().is_empty());
        assert!(order.sent::<RefundPayment>().is_empty());
    }

    #[test]
    fn a_declined_payment_owes_nothing() {
        let order = placed().when(PaymentDeclined { why: "no cover".into() });
        assert_eq!(order.state(), &OrderState::PaymentFailed);
        assert!(order.sent::<VoidPayment>().is_empty());
    }

    #[test]
    fn an_unknown_payment_is_voided() {
        let order = placed().unknown::<MakePayment>("no answer");
        assert_eq!(order.state(), &OrderState::PaymentFailed);
        assert_eq!(order.sent::<VoidPayment>(), [VoidPayment { order: "7".into(), cents: 3_000 }]);
    }

    #[test]
    fn a_payment_that_takes_too_long_is_voided() {
        let order = placed().elapsed(minutes(15));
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(order.sent::<VoidPayment>().len(), 1);
        assert_eq!(order.published::<OrderCancelled>().len(), 1);
    }

    #[test]
    fn a_refused_label_is_refunded() {
        let order = paid().when(LabelRefused { why: "island".into() });
        assert_eq!(order.state(), &OrderState::Cancelled);
        assert_eq!(order.sent::<RefundPayment>(), [refund()]);
    }

    #[test]
    fn an_unknown_label_waits_for_a_person() {
        let order = paid().unknown::<CreateShippingLabel>("no answer");
        assert!(order.position().is_parked());
        assert_eq!(order.obligations(), ["label.void", "payment.refund"]);
        assert_eq!(order.resolve(LabelCreated { label: "l-1".into() }).state(), &OrderState::Completed);
    }

    #[test]
    fn a_cancelled_order_is_undone_newest_first() {
        let order = paid().holding_undos().when(CancelRequested { order: "7".into() });
        assert_eq!(order.sent::<RefundPayment>(), [refund()]);
        assert!(order.sent::<VoidLabel>().is_empty(), "one at a time");
        let order = order.done::<RefundPayment>().done::<VoidLabel>();
        assert_eq!(order.state(), &OrderState::Cancelled);
    }

    #[test]
    fn the_table_draws_itself() {
        let drawing = OrderState::definition().mermaid();
        assert!(
            drawing.contains(
                "AwaitingPayment --> AwaitingShipment: PaymentCompleted / send CreateShippingLabel"
            )
        );
    }
}
