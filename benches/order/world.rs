//! The handlers of the order saga, and one round through the public API on any store.

use std::sync::atomic::{AtomicU8, Ordering};

use saga::prelude::*;
use saga::store::Store;
use saga::{Dispatcher, DispatcherBuilder, TraceContext, Traced, Tracer};

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

/// How a round is watched: the sum of these.
pub static WATCHED: AtomicU8 = AtomicU8::new(0);
/// A tracer, with a trace context on each event.
pub const TRACED: u8 = 1;
/// A callback for what needs attention.
pub const NOTICED: u8 = 2;
/// A page that is read again and again.
pub const READ: u8 = 4;

/// Gives each event the same context, and joins no span to another system. So the work of the library alone counts.
struct OneTrace(TraceContext);

impl Tracer for OneTrace {
    fn current(&self) -> Option<TraceContext> {
        Some(self.0)
    }

    fn join(&self, _: &tracing::Span, _: &Traced<'_>) -> Option<TraceContext> {
        None
    }
}

/// Reads what an open page of the dashboard shows, ten times a second.
async fn read_again_and_again(dispatcher: Dispatcher) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let store = dispatcher.store();
        let read = async {
            store.counts().await?;
            store.dead_letters(saga::store::DeadId::default(), 50).await?;
            store.instances(&saga::store::InstanceFilter::default()).await
        };
        std::hint::black_box((dispatcher.health_report(), dispatcher.handlers(), read.await.is_ok()));
    }
}

/// Adds the saga with its handlers.
pub fn with_sagas(builder: DispatcherBuilder) -> DispatcherBuilder {
    let policy = || saga::Policy::default().concurrency(1024);
    builder
        .saga::<OrderState>()
        .handler_with::<Pay>(World, policy())
        .handler_with::<Ship>(World, policy())
        .handler_with::<Tell>(World, policy())
        .handler::<Void>(World)
        .handler::<Refund>(World)
}

/// Runs one saga to its end.
pub async fn one(dispatcher: &Dispatcher, order: String) {
    dispatcher.publish(Placed { order: order.clone() }).await.expect("accepted");
    // `Telling` has no effects left but the end: settled means all four steps are durable.
    dispatcher.settled::<OrderState>(&order).await.expect("settled");
}

/// Runs one round on an empty store. Returns sagas per second.
pub async fn round(store: impl Store, at_a_time: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let watched = WATCHED.load(Ordering::SeqCst);
    let builder = Dispatcher::builder(store);
    let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?;
    let builder = if watched & TRACED > 0 { builder.tracer(OneTrace(context)) } else { builder };
    let builder = if watched & NOTICED > 0 { builder.on_attention(|_| {}) } else { builder };
    let dispatcher = with_sagas(builder).start().await?;
    let reader = (watched & READ > 0).then(|| tokio::spawn(read_again_and_again(dispatcher.clone())));
    let running = dispatcher.clone();
    let rate = crate::drive(at_a_time, move |n| {
        let dispatcher = running.clone();
        async move {
            one(&dispatcher, format!("order-{n}")).await;
        }
    })
    .await;
    if let Some(reader) = reader {
        reader.abort();
    }
    dispatcher.shutdown(std::time::Duration::from_secs(5)).await?;
    Ok(rate)
}
