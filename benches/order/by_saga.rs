//! The order saga through the public API.

use saga::prelude::*;
use saga::sqlite::Durability;
use saga::{Dispatcher, SqliteStore};

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

struct World;

impl Handler<Pay> for World {
    async fn handle(&self, command: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        Ok(Paid { payment: command.cents }.into())
    }
}
impl Handler<Ship> for World {
    async fn handle(&self, command: Ship, _: &HandlerContext) -> HandlerResult<Ship> {
        Ok(Shipped { label: command.order }.into())
    }
}
impl Handler<Tell> for World {
    async fn handle(&self, _: Tell, _: &HandlerContext) -> HandlerResult<Tell> {
        Ok(Told {}.into())
    }
}
impl Handler<Void> for World {
    async fn handle(&self, _: Void, _: &HandlerContext) -> HandlerResult<Void> {
        Ok(Done.into())
    }
}
impl Handler<Refund> for World {
    async fn handle(&self, _: Refund, _: &HandlerContext) -> HandlerResult<Refund> {
        Ok(Done.into())
    }
}

/// Sagas per second in one round on a fresh database.
pub async fn round(at_a_time: usize, durable: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let policy = || saga::Policy::default().concurrency(1024);
    let durability = if durable { Durability::Durable } else { Durability::Relaxed };
    let store = SqliteStore::options().durability(durability).open(folder.path().join("saga.db"))?;
    let dispatcher = Dispatcher::builder(store)
        .saga::<OrderState>()
        .handler_with::<Pay>(World, policy())
        .handler_with::<Ship>(World, policy())
        .handler_with::<Tell>(World, policy())
        .handler::<Void>(World)
        .handler::<Refund>(World)
        .start()
        .await?;
    let running = dispatcher.clone();
    let rate = crate::drive(at_a_time, move |n| {
        let dispatcher = running.clone();
        async move {
            let order = format!("order-{n}");
            dispatcher.publish(Placed { order: order.clone() }).await.expect("accepted");
            // `Telling` has no effects left but the end: settled means all four steps are durable.
            dispatcher.settled::<OrderState>(&order).await.expect("settled");
        }
    })
    .await;
    dispatcher.shutdown(std::time::Duration::from_secs(5)).await?;
    Ok(rate)
}
