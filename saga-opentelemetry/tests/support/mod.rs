//! One order that is paid, with its receipt, under a span of a web server. And the spans that this makes.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use saga::Dispatcher;
use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga_opentelemetry::OpenTelemetry;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(OrderPlaced, run(place), send(MakePayment), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(Paid, publish(OrderPaid), transition_to(Done_)),
        when(any(failed(MakePayment), unknown(MakePayment)), park)
    )]
    Paying,
    #[terminal]
    Done_,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.placed", key(order))]
pub struct OrderPlaced {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "order.paid", key(order))]
pub struct OrderPaid {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "paid")]
pub struct Paid {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "payment.make", replies(Paid))]
pub struct MakePayment {}

impl OrderActions for Order {
    fn place(event: &OrderPlaced, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.order.clone() })
    }
    fn make_payment(&self, _: &OrderPlaced, _: &mut Context) -> MakePayment {
        MakePayment {}
    }
    fn order_paid(&self, _: &Paid, _: &mut Context) -> OrderPaid {
        OrderPaid { order: self.id.clone() }
    }
}

struct World;

impl Handler<MakePayment> for World {
    async fn handle(&self, _: MakePayment, _: &HandlerContext) -> HandlerResult<MakePayment> {
        tracing::info_span!("call of the bank").in_scope(|| {});
        Ok(Paid {}.into())
    }
}

impl Subscriber<OrderPaid> for World {
    async fn handle(&self, _: OrderPaid, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// Runs one order, and returns its spans in the order of their starts.
///
/// # Panics
/// If a subscriber of `tracing` is set already.
pub async fn spans_of_one_order() -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("example"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .expect("nobody else listens");
    let clock = ManualClock::default();
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .saga::<OrderState>()
        .handler::<MakePayment>(World)
        .subscriber::<OrderPaid>("mailer", World)
        .tracer(OpenTelemetry::new())
        .clock(clock.clone())
        .start()
        .await
        .expect("the dispatcher starts");
    let request = tracing::info_span!("request of a customer");
    let order = OrderPlaced { order: "A-1".to_owned() };
    dispatcher.publish(order).instrument(request).await.expect("the event is stored");
    clock.idle().await;
    dispatcher.shutdown(std::time::Duration::from_secs(1)).await.expect("the dispatcher stops");
    drop(provider.force_flush());
    let mut spans = exporter.get_finished_spans().expect("the exporter keeps the spans");
    spans.sort_by_key(|span| span.start_time);
    spans
}

/// Returns the name of a span, with what caused it.
pub fn name(span: &SpanData) -> String {
    let value = |name: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
        found.map(|attribute| format!(" {}", attribute.value))
    };
    let of = ["trigger", "command", "event"].iter().find_map(|name| value(name));
    format!("{}{}", span.name, of.unwrap_or_default())
}
