//! A customer sends a hundred orders in one file. Each becomes an order of its own, three at a time; some fail, and
//! that harms no other. When the last one has ended, one event sums up the batch and names the orders that failed. A
//! batch that is called off aborts the orders that run and waits until each has paid back what it took.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use saga::prelude::*;
use saga::{AllFinished, ChildEnd, Finished};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "batch", version = 1, data(Batch), actions(BatchActions))]
#[initially(when(
    BatchReceived,
    run(receive),
    start(OrderState, each, limit = 3, with(orders)),
    transition_to(Processing)
))]
#[unhandled(ignore)]
pub enum BatchState {
    #[during(
        when(finished(OrderState), guard(has_failed), run(note_failure), stay),
        when(all_finished(OrderState), run(sum_up), publish(BatchProcessed), transition_to(Processed)),
        when(BatchCalledOff, compensate, transition_to(CalledOff))
    )]
    Processing,
    #[terminal]
    Processed,
    #[terminal(failure)]
    CalledOff,
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(OrderReceived, run(receive), send(Charge, undo(Refund)), transition_to(Charging)))]
#[unhandled(ignore)]
pub enum OrderState {
    #[during(
        when(Charged, send(Ship), transition_to(Shipping)),
        when(any(Declined, failed(Charge)), not_owed(Refund), transition_to(Failed)),
        when(unknown(Charge), compensate, transition_to(Failed))
    )]
    Charging,
    #[during(
        when(Shipped, transition_to(Delivered)),
        when(failed(Ship), compensate, transition_to(Failed)),
        when(unknown(Ship), park)
    )]
    Shipping,
    #[terminal]
    Delivered,
    #[terminal(failure)]
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    delivered: u32,
    failed: Vec<String>,
}

impl BatchActions for Batch {
    fn receive(_: &BatchReceived, _: &mut Context) -> ActionResult<Self> {
        Ok(Batch { delivered: 0, failed: Vec::new() })
    }

    fn orders(&self, event: &BatchReceived, cx: &mut Context) -> Vec<OrderReceived> {
        let order = |line: &Line| OrderReceived {
            batch: cx.key().to_owned(),
            order: line.order.clone(),
            cents: line.cents,
        };
        event.lines.iter().map(order).collect()
    }

    fn has_failed(&self, event: &Finished<OrderState>, _: &Context) -> bool {
        event.end != ChildEnd::Completed
    }

    fn note_failure(&mut self, event: &Finished<OrderState>, _: &mut Context) -> ActionResult<()> {
        self.failed.push(event.data.order.clone());
        Ok(())
    }

    fn sum_up(&mut self, event: &AllFinished, _: &mut Context) -> ActionResult<()> {
        self.delivered = event.completed;
        Ok(())
    }

    fn batch_processed(&self, _: &AllFinished, cx: &mut Context) -> BatchProcessed {
        BatchProcessed { batch: cx.key().to_owned(), delivered: self.delivered, failed: self.failed.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    order: String,
    cents: u64,
}

impl OrderActions for Order {
    fn receive(event: &OrderReceived, _: &mut Context) -> ActionResult<Self> {
        Ok(Order { order: event.order.clone(), cents: event.cents })
    }

    fn charge(&self, _: &OrderReceived, _: &mut Context) -> Charge {
        Charge { order: self.order.clone(), cents: self.cents }
    }

    fn refund(&self, command: &Charge, _: &mut Context) -> Refund {
        Refund { order: command.order.clone() }
    }

    fn ship(&self, _: &Charged, _: &mut Context) -> Ship {
        Ship { order: self.order.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    order: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "batch.received", key(batch))]
pub struct BatchReceived {
    batch: String,
    lines: Vec<Line>,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "batch.called-off", key(batch))]
pub struct BatchCalledOff {
    batch: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "batch.processed", key(batch))]
pub struct BatchProcessed {
    batch: String,
    delivered: u32,
    failed: Vec<String>,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "order.received", key(batch, order))]
pub struct OrderReceived {
    batch: String,
    order: String,
    cents: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "charge", replies(Charged, Declined))]
pub struct Charge {
    order: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "charged")]
pub struct Charged {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "declined")]
pub struct Declined {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "refund")]
pub struct Refund {
    order: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ship", replies(Shipped))]
pub struct Ship {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "shipped")]
pub struct Shipped {}

/// Bank and carrier: every seventh order is declined, every tenth cannot be shipped.
#[derive(Clone, Default)]
struct World {
    books: Arc<Mutex<Books>>,
    /// Told when the batch is processed.
    processed: Arc<tokio::sync::Notify>,
}

#[derive(Default)]
struct Books {
    /// The keys of the calls that had their effect: one that comes again has none.
    keys: BTreeSet<String>,
    charged: u64,
    refunded: u64,
    at_a_time: usize,
    most: usize,
    report: Option<BatchProcessed>,
}

impl Books {
    fn once(&mut self, cx: &HandlerContext, effect: impl FnOnce(&mut Self)) {
        if self.keys.insert(cx.idempotency_key().to_owned()) {
            effect(self);
        }
    }

    fn kept(&self) -> u64 {
        self.charged - self.refunded
    }
}

impl World {
    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().expect("nobody panics with it")
    }

    fn print(&self) -> Result<(), &'static str> {
        let books = self.books();
        let report = books.report.as_ref().ok_or("there is no report")?;
        println!(
            "delivered {}, failed {}: {}",
            report.delivered,
            report.failed.len(),
            report.failed.join(" ")
        );
        println!("{} orders at a time at most", books.most);
        println!("charged {}, refunded {}, kept {}", books.charged, books.refunded, books.kept());
        assert_eq!(books.kept(), u64::from(report.delivered) * CENTS, "the books balance");
        Ok(())
    }

    fn number(order: &str) -> u32 {
        order.parse().unwrap_or(0)
    }
}

impl Handler<Charge> for World {
    async fn handle(&self, command: Charge, cx: &HandlerContext) -> HandlerResult<Charge> {
        {
            let mut books = self.books();
            books.at_a_time += 1;
            books.most = books.most.max(books.at_a_time);
        }
        tokio::task::yield_now().await;
        let mut books = self.books();
        books.at_a_time -= 1;
        if Self::number(&command.order).is_multiple_of(7) {
            return Ok(Declined {}.into());
        }
        books.once(cx, |books| books.charged += command.cents);
        Ok(Charged {}.into())
    }
}

impl Handler<Refund> for World {
    async fn handle(&self, _: Refund, cx: &HandlerContext) -> HandlerResult<Refund> {
        self.books().once(cx, |books| books.refunded += CENTS);
        Ok(Done.into())
    }
}

impl Handler<Ship> for World {
    async fn handle(&self, command: Ship, _: &HandlerContext) -> HandlerResult<Ship> {
        if Self::number(&command.order).is_multiple_of(10) {
            // Whatever earlier attempts there were, a parcel of this size was never taken.
            return Err(HandlerError::refused_for_good("too large"));
        }
        Ok(Shipped {}.into())
    }
}

impl Subscriber<BatchProcessed> for World {
    async fn handle(&self, event: BatchProcessed, _: &HandlerContext) -> Result<(), HandlerError> {
        self.books().report = Some(event);
        self.processed.notify_one();
        Ok(())
    }
}

/// The price of every order.
const CENTS: u64 = 1_000;

fn batch(orders: u32) -> BatchReceived {
    let line = |n: u32| Line { order: n.to_string(), cents: CENTS };
    BatchReceived { batch: "monday".to_owned(), lines: (1..=orders).map(line).collect() }
}

async fn open(store: saga::SqliteStore, world: &World) -> Result<saga::Dispatcher, saga::error::StartError> {
    saga::Dispatcher::builder(store)
        .saga::<BatchState>()
        .saga::<OrderState>()
        .handler::<Charge>(world.clone())
        .handler::<Refund>(world.clone())
        .handler::<Ship>(world.clone())
        .subscriber::<BatchProcessed>("report", world.clone())
        .start()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let world = World::default();
    let dispatcher = open(saga::SqliteStore::open(folder.path().join("orders.db"))?, &world).await?;
    dispatcher.publish(batch(100)).await?;
    println!("the batch is {:?}", dispatcher.settled::<BatchState>("monday").await?);
    world.processed.notified().await;
    world.print()?;
    dispatcher.shutdown(std::time::Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::Position;
    use saga::testing::Given;

    use super::*;

    fn key(n: u32) -> String {
        format!("monday/{n}")
    }

    fn order(n: u32) -> Order {
        Order { order: n.to_string(), cents: CENTS }
    }

    fn given(orders: u32) -> Given<BatchState> {
        Given::started_as("monday", batch(orders))
    }

    #[test]
    fn three_run_at_a_time_and_the_next_follows_when_one_has_ended() {
        let batch = given(5);
        let running = |batch: &Given<BatchState>| batch.started_children::<OrderReceived>().len();
        assert_eq!(running(&batch), 3);
        let batch = batch.child_finished(&key(2), OrderState::Delivered, order(2));
        assert_eq!(running(&batch), 4);
    }

    #[test]
    fn one_event_sums_up_the_batch_and_names_those_that_failed() {
        let batch = given(3).child_finished(&key(1), OrderState::Delivered, order(1)).child_finished(
            &key(3),
            OrderState::Failed,
            order(3),
        );
        assert!(batch.published::<BatchProcessed>().is_empty());
        let batch = batch.child_finished(&key(2), OrderState::Delivered, order(2));
        assert_eq!(
            batch.published::<BatchProcessed>(),
            [BatchProcessed { batch: "monday".to_owned(), delivered: 2, failed: vec!["3".to_owned()] }]
        );
        assert_eq!(batch.state(), &BatchState::Processed);
    }

    #[test]
    fn an_empty_batch_is_processed_at_once() {
        assert_eq!(given(0).state(), &BatchState::Processed);
    }

    #[test]
    fn a_batch_that_is_called_off_waits_for_the_orders_that_run() {
        let batch = given(4).when(BatchCalledOff { batch: "monday".to_owned() });
        assert_eq!(batch.aborted_children(), [key(1), key(2), key(3)]);
        let batch = batch.child_finished(&key(1), OrderState::Shipping, order(1)).child_finished(
            &key(2),
            OrderState::Delivered,
            order(2),
        );
        assert!(!batch.is_over());
        let batch = batch.child_finished(&key(3), OrderState::Charging, order(3));
        assert_eq!(batch.state(), &BatchState::CalledOff);
        assert_eq!(batch.started_children::<OrderReceived>().len(), 3, "the fourth never began");
    }

    #[test]
    fn an_order_that_cannot_be_shipped_is_paid_back() {
        let received = OrderReceived { batch: "monday".to_owned(), order: "1".to_owned(), cents: CENTS };
        let order =
            Given::<OrderState>::started(received.clone()).when(Charged {}).failed::<Ship>("too large");
        assert_eq!((order.state(), order.sent::<Refund>().len()), (&OrderState::Failed, 1));
        for order in [
            Given::<OrderState>::started(received.clone()).when(Declined {}),
            Given::<OrderState>::started(received.clone()).failed::<Charge>("no such card"),
        ] {
            assert_eq!((order.state(), order.sent::<Refund>().len()), (&OrderState::Failed, 0));
        }
        let order = Given::<OrderState>::started(received.clone()).unknown::<Charge>("no answer");
        assert_eq!((order.state(), order.sent::<Refund>().len()), (&OrderState::Failed, 1));
        let order = Given::<OrderState>::started(received).when(Charged {}).unknown::<Ship>("no answer");
        assert!(order.parked().is_some(), "nobody knows where the parcel is");
    }

    #[tokio::test]
    async fn a_crash_in_the_middle_loses_no_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = saga::SqliteStore::open(folder.path().join("orders.db")).unwrap();
        let world = World::default();
        let dispatcher = open(store.clone(), &world).await.unwrap();
        dispatcher.publish(batch(40)).await.unwrap();
        while world.books().charged < 10 * CENTS {
            tokio::task::yield_now().await;
        }
        dispatcher.kill().await;
        let dispatcher = open(store, &world).await.unwrap();
        let position = dispatcher.settled::<BatchState>("monday").await.unwrap();
        assert_eq!(position, Position::In(BatchState::Processed));
        world.processed.notified().await;
        let report = world.books().report.clone().unwrap();
        // 7, 14, 21, 28 and 35 are declined, 10, 20, 30 and 40 cannot be shipped.
        assert_eq!((report.delivered, report.failed.len()), (31, 9));
        assert_eq!(world.books().kept(), 31 * CENTS, "nobody was charged twice");
        dispatcher.shutdown(std::time::Duration::from_secs(1)).await.unwrap();
    }
}
