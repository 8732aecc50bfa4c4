//! The handlers of the order saga, and one round through the public API on any store.

use saga::Dispatcher;
use saga::prelude::*;
use saga::store::Store;

#[path = "order_saga.rs"]
mod order_saga;

use order_saga::*;

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

/// Runs one round on an empty store. Returns sagas per second.
pub async fn round(store: impl Store, at_a_time: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let policy = || saga::Policy::default().concurrency(1024);
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
