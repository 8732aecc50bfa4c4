//! Paused sagas and handlers (R37): nothing begins, nothing is lost, and everything goes on in its order.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use saga::error::InstanceError;
use saga::prelude::*;
use saga::store::{Address, Inspect, Mail, MemoryStore, Store};
use saga::testing::ManualClock;
use saga::{
    DeclinedReason, Dispatcher, Disposition, Key, MessageId, Operator, OperatorVerb, PauseOf, Position,
    StoreVerb,
};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[missing_instance(defer(minutes = 10))]
#[initially(when(Placed, run(place), send(Charge), transition_to(Open)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(Noted, run(note), stay),
        when(Charged, run(charged), stay),
        when(any(failed(Charge), unknown(Charge)), stay),
        when(Closed, publish(Told), transition_to(Done)),
        timeout(minutes = 15, run(late), transition_to(Done))
    )]
    Open,
    #[terminal]
    Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    seen: Vec<String>,
}

impl OrderActions for Order {
    fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.order.clone(), seen: vec!["placed".to_owned()] })
    }
    fn charge(&self, _: &Placed, _: &mut Context) -> Charge {
        Charge { order: self.id.clone() }
    }
    fn note(&mut self, event: &Noted, _: &mut Context) -> ActionResult<()> {
        self.seen.push(format!("note {}", event.number));
        Ok(())
    }
    fn charged(&mut self, _: &Charged, _: &mut Context) -> ActionResult<()> {
        self.seen.push("charged".to_owned());
        Ok(())
    }
    fn late(&mut self, _: &mut Context) -> ActionResult<()> {
        self.seen.push("late".to_owned());
        Ok(())
    }
    fn told(&self, _: &Closed, _: &mut Context) -> Told {
        Told { order: self.id.clone() }
    }
}

macro_rules! event {
    ($name:ident, $text:literal $(, $field:ident: $type:ty)*) => {
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(order))]
        pub struct $name {
            order: String,
            $($field: $type,)*
        }
    };
}

event!(Placed, "placed");
event!(Noted, "noted", number: u32);
event!(Closed, "closed");
event!(Told, "told");

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "charged")]
pub struct Charged {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "charge", replies(Charged))]
pub struct Charge {
    order: String,
}

/// A bank that answers while it is open. It is also the reader of `Told`.
#[derive(Clone)]
struct Bank {
    calls: Arc<Mutex<Vec<String>>>,
    open: Arc<watch::Sender<bool>>,
}

impl Default for Bank {
    fn default() -> Self {
        Self { calls: Arc::default(), open: Arc::new(watch::Sender::new(true)) }
    }
}

impl Bank {
    fn hold(&self) {
        self.open.send_replace(false);
    }

    fn release(&self) {
        self.open.send_replace(true);
    }

    fn calls(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Handler<Charge> for Bank {
    async fn handle(&self, command: Charge, _: &HandlerContext) -> HandlerResult<Charge> {
        self.calls(command.order);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        Ok(Charged {}.into())
    }
}

impl Subscriber<Told> for Bank {
    async fn handle(&self, event: Told, _: &HandlerContext) -> Result<(), HandlerError> {
        self.calls(format!("told of {}", event.order));
        Ok(())
    }
}

struct Bell(Bank);

impl Subscriber<Told> for Bell {
    async fn handle(&self, event: Told, _: &HandlerContext) -> Result<(), HandlerError> {
        self.0.calls(format!("bell {}", event.order));
        Ok(())
    }
}

struct Shop {
    dispatcher: Dispatcher,
    store: MemoryStore,
    clock: ManualClock,
    bank: Bank,
}

impl Shop {
    async fn open() -> Self {
        Self::on(MemoryStore::new(), ManualClock::default(), Bank::default()).await
    }

    async fn on(store: MemoryStore, clock: ManualClock, bank: Bank) -> Self {
        let dispatcher = Dispatcher::builder(store.clone())
            .saga::<OrderState>()
            .handler::<Charge>(bank.clone())
            .subscriber::<Told>("mail", bank.clone())
            .subscriber::<Told>("bell", Bell(bank.clone()))
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        Self { dispatcher, store, clock, bank }
    }

    async fn restarted(self) -> Self {
        self.dispatcher.kill().await;
        Self::on(self.store, self.clock, self.bank).await
    }

    async fn pause(&self, of: &PauseOf) {
        self.dispatcher.pause(of.clone(), operator()).await.unwrap();
    }

    async fn resume(&self, of: &PauseOf) {
        self.dispatcher.resume(of.clone(), operator()).await.unwrap();
        self.clock.idle().await;
    }

    async fn note(&self, order: &str, number: u32) -> Disposition {
        let noted = Noted { order: order.to_owned(), number };
        self.dispatcher.publish(noted).await.unwrap().consumers[0].disposition.clone()
    }

    async fn place(&self, order: &str) -> Disposition {
        let placed = Placed { order: order.to_owned() };
        let disposition = self.dispatcher.publish(placed).await.unwrap().consumers[0].disposition.clone();
        self.clock.idle().await;
        disposition
    }

    async fn seen(&self, order: &str) -> Vec<String> {
        self.clock.idle().await;
        let found = self.dispatcher.instance::<OrderState>(order).await.unwrap();
        found.map(|order| order.data.seen.clone()).unwrap_or_default()
    }

    fn called(&self) -> Vec<String> {
        self.bank.calls.lock().unwrap().clone()
    }
}

fn operator() -> Operator {
    Operator::new("ada").because("the bank is down")
}

fn saga() -> PauseOf {
    PauseOf::Saga("order".to_owned())
}

fn handler() -> PauseOf {
    PauseOf::Handler("charge".to_owned())
}

#[tokio::test]
async fn r37_events_for_a_paused_saga_wait_and_are_applied_in_their_order() {
    let shop = Shop::open().await;
    shop.place("A").await;
    shop.pause(&saga()).await;
    for number in 1..=3 {
        assert_eq!(shop.note("A", number).await, Disposition::Queued);
    }
    assert_eq!(shop.seen("A").await, ["placed", "charged"]);
    shop.dispatcher.resume(saga(), operator()).await.unwrap();
    // Published before the instance has read the rows that wait.
    shop.note("A", 4).await;
    assert_eq!(shop.seen("A").await, ["placed", "charged", "note 1", "note 2", "note 3", "note 4"]);
    assert_eq!(shop.note("A", 5).await, Disposition::Applied, "without a way through the inbox");
}

#[tokio::test]
async fn r37_a_paused_saga_starts_nothing_new() {
    let shop = Shop::open().await;
    shop.pause(&saga()).await;
    assert_eq!(shop.place("A").await, Disposition::Queued);
    assert!(shop.seen("A").await.is_empty() && shop.called().is_empty());
    shop.resume(&saga()).await;
    assert_eq!(shop.seen("A").await, ["placed", "charged"]);
}

#[tokio::test]
async fn r37_a_timer_of_a_paused_saga_fires_after_the_events_that_waited() {
    let shop = Shop::open().await;
    shop.place("A").await;
    shop.pause(&saga()).await;
    shop.note("A", 1).await;
    shop.clock.advance(Duration::from_secs(3_600));
    assert_eq!(shop.seen("A").await, ["placed", "charged"]);
    shop.resume(&saga()).await;
    assert_eq!(shop.seen("A").await, ["placed", "charged", "note 1", "late"]);
}

#[tokio::test]
async fn r37_a_pause_survives_a_crash_with_everything_that_waits() {
    let shop = Shop::open().await;
    shop.place("A").await;
    shop.pause(&saga()).await;
    shop.note("A", 1).await;
    shop.place("B").await;
    let shop = shop.restarted().await;
    shop.note("A", 2).await;
    shop.clock.advance(Duration::from_secs(3_600));
    assert_eq!((shop.seen("A").await.len(), shop.seen("B").await.len()), (2, 0));
    shop.resume(&saga()).await;
    assert_eq!(shop.seen("A").await, ["placed", "charged", "note 1", "note 2", "late"]);
    assert_eq!(shop.seen("B").await, ["placed", "charged"]);
    assert!(shop.store.pauses().await.unwrap().is_empty());
}

#[tokio::test]
async fn r37_a_paused_handler_is_not_called() {
    let shop = Shop::open().await;
    shop.pause(&handler()).await;
    shop.place("A").await;
    assert_eq!(shop.note("A", 1).await, Disposition::Applied, "the saga goes on");
    assert!(shop.called().is_empty());
    let shop = shop.restarted().await;
    shop.clock.advance(Duration::from_secs(60));
    assert!(shop.called().is_empty());
    shop.resume(&handler()).await;
    assert_eq!(shop.called(), ["A"]);
    assert_eq!(shop.seen("A").await, ["placed", "note 1", "charged"]);
}

#[tokio::test]
async fn r37_a_paused_subscriber_gets_its_events_later() {
    let shop = Shop::open().await;
    let mail = PauseOf::Handler("mail".to_owned());
    shop.pause(&mail).await;
    shop.place("A").await;
    shop.dispatcher.publish(Closed { order: "A".to_owned() }).await.unwrap();
    shop.clock.idle().await;
    assert_eq!(shop.called(), ["A", "bell A"]);
    shop.resume(&mail).await;
    assert_eq!(shop.called(), ["A", "bell A", "told of A"]);
}

#[tokio::test]
async fn r37_an_event_waits_for_its_instance_again_after_a_pause() {
    let shop = Shop::open().await;
    assert_eq!(shop.note("A", 1).await, Disposition::Deferred);
    shop.pause(&saga()).await;
    shop.clock.advance(Duration::from_secs(3_600));
    shop.place("A").await;
    shop.resume(&saga()).await;
    assert_eq!(shop.seen("A").await, ["placed", "note 1", "charged"]);
}

#[tokio::test]
async fn r37_an_outcome_waits_behind_older_events() {
    let shop = Shop::open().await;
    shop.bank.hold();
    shop.place("A").await;
    assert_eq!(shop.called(), ["A"]);
    shop.pause(&saga()).await;
    shop.note("A", 1).await;
    shop.bank.release();
    assert_eq!(shop.seen("A").await, ["placed"], "the attempt has ended, and the saga is paused");
    shop.resume(&saga()).await;
    assert_eq!(shop.seen("A").await, ["placed", "note 1", "charged"]);
    assert_eq!(shop.called(), ["A"], "called once");
}

#[tokio::test]
async fn r37_verbs_are_applied_during_a_pause_and_their_work_waits() {
    let shop = Shop::open().await;
    shop.place("A").await;
    shop.pause(&saga()).await;
    let to = Address::new("order", Key::new("A").unwrap());
    shop.dispatcher.decide(to, OperatorVerb::Abort, operator()).await.unwrap();
    shop.resume(&saga()).await;
    let order = shop.dispatcher.instance::<OrderState>("A").await.unwrap().unwrap();
    assert_eq!(order.position, Position::Aborted);
}

#[tokio::test]
async fn r37_the_last_word_counts_also_before_the_first_is_applied() {
    let shop = Shop::open().await;
    let mail = |verb, n: u32| {
        let request = MessageId::new(format!("request-{n}")).unwrap();
        Mail::store_verb(verb, operator(), request, saga::Timestamp::now())
    };
    let both = vec![mail(StoreVerb::Pause(saga()), 1), mail(StoreVerb::Resume(saga()), 2)];
    shop.store.deliver(both).await.unwrap();
    shop.clock.idle().await;
    assert!(shop.store.pauses().await.unwrap().is_empty());
    shop.pause(&saga()).await;
    let both = vec![mail(StoreVerb::Resume(saga()), 3), mail(StoreVerb::Pause(saga()), 4)];
    shop.store.deliver(both).await.unwrap();
    shop.clock.idle().await;
    assert_eq!(shop.store.pauses().await.unwrap().len(), 1);
    assert_eq!(shop.place("A").await, Disposition::Queued);
}

#[tokio::test]
async fn r37_a_paused_subscriber_holds_up_no_other() {
    let shop = Shop::open().await;
    shop.pause(&PauseOf::Handler("mail".to_owned())).await;
    // More than the dispatcher keeps in memory.
    for n in 0..10_050 {
        shop.dispatcher.publish(Told { order: format!("{n}") }).await.unwrap();
    }
    shop.clock.idle().await;
    let called = shop.called();
    assert!(called.iter().all(|call| call.starts_with("bell")), "{:?}", called.first());
    assert_eq!(called.len(), 10_050);
    shop.resume(&PauseOf::Handler("mail".to_owned())).await;
    assert_eq!(shop.called().len(), 2 * 10_050);
}

#[tokio::test]
async fn r37_what_cannot_be_paused_or_resumed_is_declined_with_the_names() {
    let shop = Shop::open().await;
    let declined = async |verb: StoreVerb| match shop.dispatcher.operate(verb, operator()).await {
        Err(InstanceError::Declined(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = declined(StoreVerb::Pause(PauseOf::Saga("parcel".to_owned()))).await;
    assert_eq!(why.to_string(), "there is no saga `parcel` here; known are: order");
    let why = declined(StoreVerb::Pause(PauseOf::Handler("pay".to_owned()))).await;
    assert_eq!(why.to_string(), "there is no handler `pay` here; known are: bell, charge, mail");
    let why = declined(StoreVerb::Resume(saga())).await;
    assert!(matches!(why, DeclinedReason::NotPaused { .. }), "{why}");
    shop.pause(&saga()).await;
    let why = declined(StoreVerb::Pause(saga())).await;
    assert_eq!(why.to_string(), "saga `order` is paused already");
}

#[tokio::test]
async fn r37_another_process_pauses_by_the_inbox() {
    let shop = Shop::open().await;
    let request = MessageId::new("request-1").unwrap();
    let at = saga::Timestamp::now();
    let mail = Mail::store_verb(StoreVerb::Pause(saga()), operator(), request, at);
    shop.store.deliver(vec![mail]).await.unwrap();
    shop.clock.idle().await;
    let pauses = shop.store.pauses().await.unwrap();
    let pause = &pauses[0];
    assert_eq!((&pause.of, &*pause.who, &*pause.why), (&saga(), "ada", "the bank is down"));
    assert!(shop.store.inbox(Default::default(), 10).await.unwrap().is_empty());
}
