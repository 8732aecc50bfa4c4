//! Retired consumers (R28): a consumer that no release has any more gets no events, and its waiting ones are dead letters.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::{InstanceError, PublishError, StartError, StartProblem};
use saga::prelude::*;
use saga::store::{
    Address, AuditFilter, Batch, DeadLetterReason, DeadLetterRow, DeliveryId, InboxId, Inspect, Mail,
    MailKind, MemoryStore, Pause, PauseChange, Step, Store,
};
use saga::testing::ManualClock;
use saga::{
    DeclinedReason, Dispatcher, DispatcherBuilder, Key, MessageId, Operator, PauseOf, StoreVerb, Timestamp,
};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), publish(Told), transition_to(Done)))]
#[unhandled(ignore)]
pub enum OrderState {
    #[terminal]
    Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
}

impl OrderActions for Order {
    fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.order.clone() })
    }
    fn told(&self, _: &Placed, _: &mut Context) -> Told {
        Told { order: self.id.clone() }
    }
}

/// Thanks each customer, and waits for a last word.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "thanks", version = 1, data(Thanks), actions(ThanksActions))]
#[initially(when(Told, run(begin), transition_to(Waiting)))]
#[unhandled(ignore)]
pub enum ThanksState {
    #[during(when(Heard, transition_to(Over)))]
    Waiting,
    #[terminal]
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thanks {}

impl ThanksActions for Thanks {
    fn begin(_: &Told, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

macro_rules! event {
    ($name:ident, $text:literal) => {
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(order))]
        pub struct $name {
            order: String,
        }
    };
}

event!(Placed, "placed");
event!(Told, "told");
event!(Heard, "heard");

#[derive(Clone, Default)]
struct Reader(Arc<Mutex<Vec<String>>>);

struct Named(&'static str, Reader);

impl Subscriber<Told> for Named {
    async fn handle(&self, event: Told, _: &HandlerContext) -> Result<(), HandlerError> {
        self.1.0.lock().unwrap().push(format!("{} {}", self.0, event.order));
        Ok(())
    }
}

/// The consumers of a release.
#[derive(Clone, Copy, PartialEq)]
enum Release {
    /// The saga `thanks` and the subscribers `mail` and `bell`.
    Full,
    /// The subscriber `bell` alone.
    Lean,
    /// No consumer of `told`.
    Bare,
}

struct Shop {
    dispatcher: Dispatcher,
    store: MemoryStore,
    clock: ManualClock,
    reader: Reader,
}

impl Shop {
    async fn open(release: Release) -> Self {
        Self::on(release, MemoryStore::new(), ManualClock::default(), Reader::default()).await
    }

    fn builder(
        release: Release,
        store: &MemoryStore,
        clock: &ManualClock,
        reader: &Reader,
    ) -> DispatcherBuilder {
        let builder = Dispatcher::builder(store.clone()).saga::<OrderState>().clock(clock.clone());
        match release {
            Release::Full => builder
                .saga::<ThanksState>()
                .subscriber::<Told>("mail", Named("mail", reader.clone()))
                .subscriber::<Told>("bell", Named("bell", reader.clone())),
            Release::Lean => builder.subscriber::<Told>("bell", Named("bell", reader.clone())),
            Release::Bare => builder,
        }
    }

    async fn on(release: Release, store: MemoryStore, clock: ManualClock, reader: Reader) -> Self {
        let dispatcher = Self::builder(release, &store, &clock, &reader).start().await.unwrap();
        clock.idle().await;
        Self { dispatcher, store, clock, reader }
    }

    /// A crash, and the start of another release.
    async fn then(self, release: Release) -> Self {
        self.dispatcher.kill().await;
        Self::on(release, self.store, self.clock, self.reader).await
    }

    async fn place(&self, order: &str) {
        self.dispatcher.publish(Placed { order: order.to_owned() }).await.unwrap();
        self.clock.idle().await;
    }

    async fn hear(&self, order: &str) {
        self.dispatcher.publish(Heard { order: order.to_owned() }).await.unwrap();
        self.clock.idle().await;
    }

    async fn retire(&self, consumer: &str) {
        self.dispatcher.retire(consumer, operator()).await.unwrap();
        self.clock.idle().await;
    }

    async fn declined(&self, consumer: &str) -> DeclinedReason {
        match self.dispatcher.retire(consumer, operator()).await {
            Err(InstanceError::Declined(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    /// The dead letters: consumer and key.
    async fn dead(&self) -> Vec<(String, String)> {
        let letters = self.letters().await;
        assert!(letters.iter().all(|row| row.letter.reason == DeadLetterReason::Retired), "{letters:?}");
        letters.iter().map(|row| (row.letter.to.saga.to_string(), row.letter.to.key.to_string())).collect()
    }

    async fn letters(&self) -> Vec<DeadLetterRow> {
        self.clock.idle().await;
        self.dispatcher.dead_letters(None).await.unwrap()
    }

    fn read(&self) -> Vec<String> {
        self.reader.0.lock().unwrap().clone()
    }

    async fn deliveries(&self) -> usize {
        self.store.deliveries(DeliveryId::default(), 100).await.unwrap().len()
    }

    async fn inbox(&self) -> usize {
        self.store.inbox(InboxId::default(), 100).await.unwrap().len()
    }
}

fn operator() -> Operator {
    Operator::new("ada").because("the mail has gone")
}

/// Writes the retirement of consumers, as the commit of the verbs does.
async fn retired_in(store: &MemoryStore, consumers: &[&str]) {
    let lease = store.lease("another process").await.unwrap();
    let pause = |consumer: &&str| {
        let of = PauseOf::Consumer((*consumer).to_owned());
        PauseChange::Pause(Pause { of, who: "ada".to_owned(), why: String::new(), at: Timestamp::now() })
    };
    let step = Step { pauses: consumers.iter().map(pause).collect(), ..Step::default() };
    store.commit(&lease, Arc::new(Batch { number: 1, steps: vec![step] })).await.unwrap();
    store.abandon(&lease);
}

/// An inbox row of another process for the saga `thanks`.
fn told(order: &str, id: &str, key: &str) -> Mail {
    let to = Address::new("thanks", Key::new(key).unwrap());
    let told = Told { order: order.to_owned() };
    let message = saga::Message::published(&told, saga::PayloadLimits::DEFAULT).unwrap();
    Mail {
        id: Some(MessageId::new(id).unwrap()),
        ..Mail::new(to, MailKind::Event, message, Timestamp::now())
    }
}

fn of(consumer: &str, keys: &[&str]) -> Vec<(String, String)> {
    keys.iter().map(|key| (consumer.to_owned(), (*key).to_owned())).collect()
}

#[tokio::test]
async fn r28_a_retired_subscriber_gets_no_events_and_its_waiting_ones_are_dead_letters() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    for order in ["A", "B", "C"] {
        shop.place(order).await;
    }
    assert_eq!((shop.deliveries().await, shop.inbox().await), (3, 3), "for `mail` and for `thanks`");
    shop.retire("mail").await;
    assert_eq!(shop.dead().await, of("mail", &["A", "B", "C"]));
    shop.place("D").await;
    assert_eq!((shop.deliveries().await, shop.inbox().await), (0, 4), "nothing more for `mail`");
    assert_eq!(shop.read(), ["bell A", "bell B", "bell C", "bell D"]);
    let audit = shop.store.audit(&AuditFilter::default()).await.unwrap();
    assert_eq!((&*audit[0].entry.verb, &*audit[0].entry.object), ("retire", "consumer `mail`"));
}

#[tokio::test]
async fn r28_the_waiting_events_of_a_retired_saga_are_dead_letters() {
    let shop = Shop::open(Release::Full).await;
    shop.place("A").await;
    shop.hear("A").await;
    let shop = shop.then(Release::Lean).await;
    shop.place("B").await;
    shop.place("C").await;
    assert_eq!(shop.inbox().await, 2);
    shop.retire("thanks").await;
    assert_eq!(shop.dead().await, of("thanks", &["B", "C"]));
    shop.place("D").await;
    assert_eq!(shop.inbox().await, 0);
    let heard = shop.dispatcher.publish(Heard { order: "A".to_owned() }).await;
    assert!(matches!(heard, Err(PublishError::NoConsumer { event: "heard" })), "{heard:?}");
}

#[tokio::test]
async fn r28_rows_of_other_processes_for_a_retired_saga_are_dead_letters() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.retire("thanks").await;
    let to = Address::new("thanks", Key::new("Z").unwrap());
    let told =
        saga::Message::published(&Told { order: "Z".to_owned() }, saga::PayloadLimits::DEFAULT).unwrap();
    shop.store.deliver(vec![Mail::new(to, MailKind::Event, told, Timestamp::now())]).await.unwrap();
    assert_eq!(shop.dead().await, of("thanks", &["Z"]));
}

#[tokio::test]
async fn r28_a_crash_right_after_the_retirement_leaves_nothing_behind() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    for order in ["A", "B", "C"] {
        shop.place(order).await;
    }
    shop.dispatcher.kill().await;
    // The only commit before the crash.
    retired_in(&shop.store, &["mail", "thanks"]).await;
    let shop = Shop::on(Release::Lean, shop.store, shop.clock, shop.reader).await;
    let mut dead = shop.dead().await;
    dead.sort();
    assert_eq!(dead, [of("mail", &["A", "B", "C"]), of("thanks", &["A", "B", "C"])].concat());
    assert_eq!((shop.deliveries().await, shop.inbox().await), (0, 0));
}

#[tokio::test]
async fn r28_what_cannot_be_retired_is_declined() {
    let shop = Shop::open(Release::Full).await;
    shop.place("A").await;
    let present = shop.declined("mail").await;
    assert!(matches!(present, DeclinedReason::ConsumerPresent { .. }), "{present}");
    let shop = shop.then(Release::Lean).await;
    let unknown = shop.declined("post").await;
    assert!(
        matches!(&unknown, DeclinedReason::Unknown { known, .. } if *known == ["mail", "thanks"]),
        "{unknown}"
    );
    let live = shop.declined("thanks").await;
    assert!(matches!(live, DeclinedReason::HasInstances { instances: 1, .. }), "{live}");
    shop.retire("mail").await;
    let again = shop.declined("mail").await;
    assert_eq!(again.to_string(), "consumer `mail` is retired already");
    assert_eq!(shop.store.pauses().await.unwrap().len(), 1);
}

#[tokio::test]
async fn r28_the_only_consumer_of_a_published_event_is_not_retired() {
    let shop = Shop::open(Release::Lean).await.then(Release::Bare).await;
    let only = shop.declined("bell").await;
    let text = "saga `order` publishes `told`, and only `bell` takes this event, so the event would be lost";
    assert_eq!(only.to_string(), text);
}

#[tokio::test]
async fn r28_a_release_with_the_consumer_ends_its_retirement() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.place("A").await;
    shop.retire("mail").await;
    let shop = shop.then(Release::Full).await;
    assert!(shop.store.pauses().await.unwrap().is_empty());
    shop.place("B").await;
    assert!(shop.read().contains(&"mail B".to_owned()));
    // The buried event is delivered at the wish of an operator.
    let letter = shop.letters().await[0].id;
    shop.dispatcher.redrive(letter, operator()).await.unwrap();
    shop.clock.idle().await;
    assert!(shop.read().contains(&"mail A".to_owned()));
}

#[tokio::test]
async fn r28_a_retired_consumer_is_resumed() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.retire("mail").await;
    let shop = shop.then(Release::Lean).await;
    let mail = PauseOf::Consumer("mail".to_owned());
    shop.dispatcher.resume(mail, operator()).await.unwrap();
    shop.place("A").await;
    assert_eq!(shop.deliveries().await, 1, "it waits for a release with the subscriber again");
    assert!(shop.letters().await.is_empty());
}

#[tokio::test]
async fn r28_another_process_retires_by_the_inbox() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.place("A").await;
    let verb = StoreVerb::Pause(PauseOf::Consumer("mail".to_owned()));
    let mail = Mail::store_verb(verb, operator(), MessageId::unique(), Timestamp::now());
    shop.store.deliver(vec![mail]).await.unwrap();
    assert_eq!(shop.dead().await, of("mail", &["A"]));
}

#[tokio::test]
async fn r28_the_same_event_of_other_processes_is_one_dead_letter() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.retire("thanks").await;
    shop.store
        .deliver(vec![told("Z", "m-1", "Z"), told("Z", "m-1", "Z"), told("Y", "m-1", "Z")])
        .await
        .unwrap();
    let letters = shop.letters().await;
    let reasons: Vec<_> = letters.iter().map(|row| row.letter.reason.as_str().to_owned()).collect();
    assert_eq!(
        reasons,
        ["retired", "id-conflict"],
        "the second is a duplicate, and the third has other content"
    );
    assert_eq!(shop.inbox().await, 0);
}

#[tokio::test]
async fn r28_a_shutdown_leaves_the_rest_to_the_next_start() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    for order in 0..40 {
        shop.place(&format!("order-{order}")).await;
    }
    shop.dispatcher.retire("mail", operator()).await.unwrap();
    let Shop { dispatcher, store, clock, reader } = shop;
    dispatcher.shutdown(Duration::from_secs(5)).await.unwrap();
    let shop = Shop::on(Release::Lean, store, clock, reader).await;
    assert_eq!(shop.dead().await.len(), 40);
    assert_eq!(shop.deliveries().await, 0);
}

#[tokio::test]
async fn r28_a_release_that_publishes_only_for_a_retired_consumer_does_not_start() {
    let shop = Shop::open(Release::Full).await;
    shop.dispatcher.kill().await;
    retired_in(&shop.store, &["mail", "thanks", "bell"]).await;
    let start = Shop::builder(Release::Bare, &shop.store, &shop.clock, &shop.reader).start().await;
    let Err(StartError::Registration { problems }) = start else { panic!("{start:?}") };
    assert!(
        matches!(&problems[..], [StartProblem::NoConsumer { event, .. }] if event == "told"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn r28_the_retirement_has_ended_when_the_start_returns() {
    let shop = Shop::open(Release::Full).await;
    shop.dispatcher.kill().await;
    retired_in(&shop.store, &["mail"]).await;
    let started = Shop::builder(Release::Full, &shop.store, &shop.clock, &shop.reader).start().await.unwrap();
    assert!(
        shop.store.pauses().await.unwrap().is_empty(),
        "a transaction of the application finds all consumers"
    );
    started.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn r28_a_stand_by_records_no_event_for_what_the_running_release_has_retired() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.retire("mail").await;
    shop.retire("thanks").await;
    let waiting =
        Shop::builder(Release::Full, &shop.store, &shop.clock, &shop.reader).stand_by().await.unwrap();
    let receipt = waiting.publish(Told { order: "S".to_owned() }).await.unwrap();
    let consumers: Vec<_> = receipt.consumers.iter().map(|consumer| &*consumer.consumer).collect();
    assert_eq!(consumers, ["bell"]);
    assert!(shop.letters().await.is_empty());
}

#[tokio::test]
async fn r28_a_dead_letter_is_not_delivered_to_a_retired_consumer() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.place("A").await;
    shop.retire("mail").await;
    let letter = shop.letters().await[0].id;
    let declined = shop.dispatcher.redrive(letter, operator()).await;
    assert!(
        matches!(&declined, Err(InstanceError::Declined(DeclinedReason::ConsumerRetired { consumer, .. })) if consumer == "mail"),
        "{declined:?}"
    );
    assert_eq!(shop.letters().await[0].id, letter);
}

#[tokio::test]
async fn r28_a_resume_does_not_overtake_the_retirement() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    let mail = || PauseOf::Consumer("mail".to_owned());
    let verb = |verb| Mail::store_verb(verb, operator(), MessageId::unique(), Timestamp::now());
    shop.store.deliver(vec![verb(StoreVerb::Pause(mail())), verb(StoreVerb::Resume(mail()))]).await.unwrap();
    shop.clock.idle().await;
    let audit = shop.store.audit(&AuditFilter::default()).await.unwrap();
    let declined: Vec<_> = audit.iter().filter_map(|row| row.entry.declined.as_deref()).collect();
    assert_eq!(declined, ["consumer `mail` is being retired; resume it after that"]);
    shop.dispatcher.resume(mail(), operator()).await.unwrap();
}

#[tokio::test]
async fn r28_a_receipt_leaves_out_a_retired_consumer() {
    let shop = Shop::open(Release::Full).await.then(Release::Lean).await;
    shop.retire("mail").await;
    shop.retire("thanks").await;
    let (id, told) = (MessageId::new("m-7").unwrap(), Told { order: "A".to_owned() });
    shop.dispatcher.publish_as(id.clone(), told.clone()).await.unwrap();
    let receipt = shop.dispatcher.taken_up(&id, &told).await.unwrap().unwrap();
    assert!(receipt.is_accepted() && receipt.consumers.len() == 1, "{receipt:?}");
}
