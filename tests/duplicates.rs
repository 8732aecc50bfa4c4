//! An event that is published again under its id changes nothing, also not for commands that are running (rule R7).

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::Arc;

use saga::error::PublishError;
use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Disposition, MessageId, Position};
use tokio::sync::{Notify, Semaphore};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "box", version = 1, data(Counts), actions(BoxActions))]
#[initially(when(Packed, run(pack), transition_to(Open)))]
#[unhandled(reject)]
pub enum BoxState {
    #[during(
        when(Sent, send(Ship), reenter),
        when(Shipped, run(count), stay),
        when(any(failed(Ship), unknown(Ship)), transition_to(Gone))
    )]
    Open,
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    shipped: u32,
}

impl BoxActions for Counts {
    fn pack(_: &Packed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { shipped: 0 })
    }
    fn ship(&self, event: &Sent, _: &mut Context) -> Ship {
        Ship { to: event.to.clone() }
    }
    fn count(&mut self, _: &Shipped, _: &mut Context) -> ActionResult<()> {
        self.shipped += 1;
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "packed", key(by(one)))]
pub struct Packed {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "sent", key(by(one)))]
pub struct Sent {
    to: String,
}

impl Packed {
    fn one(&self) -> String {
        "1".to_owned()
    }
}

impl Sent {
    fn one(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "shipped")]
pub struct Shipped {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ship", replies(Shipped))]
pub struct Ship {
    to: String,
}

/// Answers when it is told to.
#[derive(Clone)]
struct Carrier {
    called: Arc<Notify>,
    answers: Arc<Semaphore>,
}

impl Handler<Ship> for Carrier {
    async fn handle(&self, _: Ship, _: &HandlerContext) -> HandlerResult<Ship> {
        self.called.notify_one();
        self.answers.acquire().await.expect("it is never closed").forget();
        Ok(Shipped {}.into())
    }
}

/// Publishes an event, and again `second` under the same id while the command of the first is running.
async fn published_twice(second: &str) -> Result<Disposition, PublishError> {
    let carrier = Carrier { called: Arc::default(), answers: Arc::new(Semaphore::new(0)) };
    let clock = ManualClock::default();
    let builder = Dispatcher::builder(MemoryStore::new()).saga::<BoxState>();
    let builder = builder.handler::<Ship>(carrier.clone()).clock(clock.clone());
    let dispatcher = builder.start().await.unwrap();
    dispatcher.publish(Packed {}).await.unwrap();
    let id = || MessageId::new("m-1").unwrap();
    dispatcher.publish_as(id(), Sent { to: "ada".to_owned() }).await.unwrap();
    carrier.called.notified().await;
    let again = dispatcher.publish_as(id(), Sent { to: second.to_owned() }).await;
    carrier.answers.add_permits(1);
    clock.idle().await;
    let found = dispatcher.instance::<BoxState>("1").await.unwrap().unwrap();
    assert_eq!(found.position, Position::In(BoxState::Open), "the answer of the running command is taken");
    assert_eq!((found.data.shipped, found.open.len()), (1, 0));
    again.map(|receipt| receipt.consumers[0].disposition.clone())
}

#[tokio::test]
async fn a_repetition_leaves_the_running_command_as_it_is() {
    let again = published_twice("ada").await.unwrap();
    assert_eq!(again, Disposition::Duplicate);
}

#[tokio::test]
async fn other_content_under_the_same_id_leaves_the_running_command_as_it_is() {
    let again = published_twice("bob").await.unwrap_err();
    assert!(matches!(again, PublishError::IdConflict { .. }), "{again}");
}
