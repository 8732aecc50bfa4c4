//! The order as a saga: the table, its actions, events and commands.

use saga::prelude::*;

use crate::Order;

#[derive(Saga, Clone, Debug)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), send(Pay, undo(Void)), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(Paid, not_owed(Void), run(keep_payment), send(Ship), transition_to(Shipping)),
        timeout(minutes = 15, compensate, transition_to(Cancelled))
    )]
    Paying,
    #[compensate_with(Refund)]
    #[during(
        when(Shipped, run(keep_label), send(Tell), transition_to(Telling)),
        when(failed(Ship), compensate, transition_to(Cancelled))
    )]
    Shipping,
    #[during(when(Told, transition_to(Done)))]
    Telling,
    #[terminal]
    Done,
    #[terminal(failure)]
    Cancelled,
}

impl OrderActions for Order {
    fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self::new(event.order.clone()))
    }
    fn pay(&self, _: &Placed, _: &mut Context) -> Pay {
        Pay { order: self.id.clone(), cents: self.cents }
    }
    fn void(&self, command: &Pay, _: &mut Context) -> Void {
        Void { order: command.order.clone() }
    }
    fn keep_payment(&mut self, event: &Paid, _: &mut Context) -> ActionResult<()> {
        self.payment = Some(event.payment);
        Ok(())
    }
    fn ship(&self, _: &Paid, _: &mut Context) -> Ship {
        Ship { order: self.id.clone() }
    }
    fn refund(&self, _: &mut Context) -> Refund {
        Refund { order: self.id.clone() }
    }
    fn keep_label(&mut self, event: &Shipped, _: &mut Context) -> ActionResult<()> {
        self.label = Some(event.label.clone());
        Ok(())
    }
    fn tell(&self, _: &Shipped, _: &mut Context) -> Tell {
        Tell { order: self.id.clone() }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    pub order: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "paid")]
pub struct Paid {
    pub payment: u64,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "shipped")]
pub struct Shipped {
    pub label: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "told")]
pub struct Told {}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "pay", replies(Paid))]
pub struct Pay {
    pub order: String,
    pub cents: u64,
}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "ship", replies(Shipped))]
pub struct Ship {
    pub order: String,
}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "tell", replies(Told))]
pub struct Tell {
    pub order: String,
}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "void")]
pub struct Void {
    pub order: String,
}
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "refund")]
pub struct Refund {
    pub order: String,
}
