//! The audit (R38): one row for each decision of an operator, also for a declined one, durable with its effect.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::error::InstanceError;
use saga::prelude::*;
use saga::store::{
    Address, AuditEntry, AuditFilter, AuditLink, AuditRow, DeadId, Inspect, Mail, MemoryStore, Store,
};
use saga::testing::ManualClock;
use saga::{
    Dispatcher, Key, Message, MessageId, Operator, OperatorVerb, PauseOf, Payload, StoreVerb, Timestamp,
};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), transition_to(Open)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(when(Noted, run(note), stay), timeout(minutes = 15, transition_to(Done)))]
    Open,
    #[terminal]
    Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    notes: Vec<String>,
}

impl OrderActions for Order {
    fn place(_: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { notes: Vec::new() })
    }
    fn note(&mut self, event: &Noted, _: &mut Context) -> ActionResult<()> {
        self.notes.push(event.text.clone());
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    order: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "noted", key(order))]
pub struct Noted {
    order: String,
    text: String,
}

struct Shop {
    dispatcher: Dispatcher,
    store: MemoryStore,
    clock: ManualClock,
}

impl Shop {
    /// A shop with the order `A`, and a dead letter for the order `gone`.
    async fn open() -> Self {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let builder = Dispatcher::builder(store.clone()).saga::<OrderState>().clock(clock.clone());
        let shop = Self { dispatcher: builder.start().await.unwrap(), store, clock };
        shop.dispatcher.publish(Placed { order: "A".to_owned() }).await.unwrap();
        let noted = Noted { order: "gone".to_owned(), text: "hello".to_owned() };
        shop.dispatcher.publish(noted).await.unwrap();
        shop
    }

    async fn operate(&self, verb: StoreVerb) -> Result<(), InstanceError> {
        self.dispatcher.operate(verb, operator()).await
    }

    /// The rows of the audit, with an unbroken chain.
    async fn audit(&self) -> Vec<AuditEntry> {
        self.clock.idle().await;
        let rows = self.store.audit(&AuditFilter::default()).await.unwrap();
        let mut link = AuditLink::FIRST;
        for row in &rows {
            assert!(row.follows(&link), "{row:?}");
            link = row.link;
        }
        rows.into_iter().map(|row: AuditRow| row.entry).collect()
    }

    async fn letter(&self) -> DeadId {
        self.clock.idle().await;
        self.dispatcher.dead_letters(None).await.unwrap()[0].id
    }

    async fn notes(&self, order: &str) -> Option<Vec<String>> {
        self.clock.idle().await;
        self.dispatcher.instance::<OrderState>(order).await.unwrap().map(|order| order.data.notes)
    }
}

fn operator() -> Operator {
    Operator::new("ada").because("ticket 7")
}

fn order(key: &str) -> Address {
    Address::new("order", Key::new(key).unwrap())
}

/// What a row says in one line.
fn line(entry: &AuditEntry) -> String {
    let to = entry.to.as_ref().map(ToString::to_string).unwrap_or_default();
    let declined = entry.declined.as_ref().map(|why| format!("declined: {why}")).unwrap_or_default();
    format!("{}|{to}|{}|{declined}", entry.verb, entry.object)
}

#[tokio::test]
async fn r38_a_verb_on_an_instance_has_one_row_applied_or_declined() {
    let shop = Shop::open().await;
    let verb = OperatorVerb::Fire { timer: "15m".to_owned() };
    shop.dispatcher.decide(order("A"), OperatorVerb::Skip, operator()).await.unwrap_err();
    shop.dispatcher.decide(order("none"), OperatorVerb::Abort, operator()).await.unwrap_err();
    shop.dispatcher.decide(order("A"), verb, operator()).await.unwrap();
    let rows = shop.audit().await;
    let lines: Vec<String> = rows.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "skip|order `A`||declined: order `A` is not parked; `skip` needs a parked instance",
            "abort|order `none`||declined: order `none` does not exist",
            "fire|order `A`|15m|",
        ]
    );
    assert!(rows.iter().all(|row| (&*row.who, &*row.why) == ("ada", "ticket 7")));
}

#[tokio::test]
async fn r38_a_verb_of_another_process_has_one_row_as_well() {
    let shop = Shop::open().await;
    let at = Timestamp::now();
    let request = MessageId::new("request-1").unwrap();
    let discard = StoreVerb::Discard { letter: DeadId(99) };
    let mails = vec![
        Mail::operator(order("A"), OperatorVerb::Retry, operator(), at),
        Mail::operator(order("A"), OperatorVerb::Abort, operator(), at),
        Mail::operator(order("none"), OperatorVerb::Abort, operator(), at),
        Mail::store_verb(discard, operator(), request.clone(), at),
    ];
    shop.store.deliver(mails).await.unwrap();
    let rows = shop.audit().await;
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "abort|order `A`||",
            "abort|order `none`||declined: order `none` does not exist",
            "discard||dead letter 99|declined: dead letter 99 does not exist; the letter was already redriven or discarded",
            "retry|order `A`||declined: order `A` is not parked; `retry` needs a parked instance",
        ]
    );
    let answered: Vec<_> = rows.iter().filter(|row| row.request.as_ref() == Some(&request)).collect();
    assert_eq!(answered.len(), 1);
    assert!(shop.store.inbox(Default::default(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn r38_a_discarded_letter_is_kept_in_the_audit() {
    let shop = Shop::open().await;
    let letter = shop.letter().await;
    shop.dispatcher.discard(letter, operator()).await.unwrap();
    assert!(shop.dispatcher.dead_letters(None).await.unwrap().is_empty());
    let again = shop.dispatcher.discard(letter, operator()).await.unwrap_err();
    assert!(again.to_string().contains("already redriven or discarded"), "{again}");
    let rows = shop.audit().await;
    assert_eq!(line(&rows[0]), "discard|order `gone`|dead letter 1, noted|");
    assert_eq!(rows[0].payload.as_ref().unwrap().as_str(), r#"{"order":"gone","text":"hello"}"#);
    assert!(rows[1].declined.is_some() && rows.len() == 2);
}

#[tokio::test]
async fn r38_an_edited_letter_is_checked_and_delivered_with_its_new_body() {
    let shop = Shop::open().await;
    let letter = shop.letter().await;
    shop.dispatcher.publish(Placed { order: "gone".to_owned() }).await.unwrap();
    let bad = Payload::from(r#"{"order":"gone"}"#);
    let error = shop.dispatcher.redrive_edited(letter, bad, operator()).await.unwrap_err();
    assert!(error.to_string().starts_with("`noted` cannot have this body: "), "{error}");
    let good = Payload::from(r#"{"order":"gone","text":"mended"}"#);
    shop.dispatcher.redrive_edited(letter, good.clone(), operator()).await.unwrap();
    assert_eq!(shop.notes("gone").await.unwrap(), ["mended"]);
    assert!(shop.dispatcher.dead_letters(None).await.unwrap().is_empty());
    let rows = shop.audit().await;
    assert!(rows[0].declined.is_some());
    let both = format!(r#"{{"was":{{"order":"gone","text":"hello"}},"now":{}}}"#, good.as_str());
    assert_eq!((&*rows[1].verb, rows[1].payload.as_ref().unwrap().as_str()), ("edit", &*both));
}

#[tokio::test]
async fn r38_an_event_that_an_operator_sends_is_checked_and_recorded() {
    let shop = Shop::open().await;
    let send = |key: &str, name: &'static str, body: &str, id: Option<&str>| StoreVerb::Send {
        to: order(key),
        event: Message { name: name.into(), version: 1, payload: Payload::from(body) },
        id: id.map(|id| MessageId::new(id).unwrap()),
    };
    let body = r#"{"order":"A","text":"by hand"}"#;
    shop.operate(send("A", "noted", body, Some("m-1"))).await.unwrap();
    assert_eq!(shop.notes("A").await.unwrap(), ["by hand"]);
    let again = shop.operate(send("A", "noted", body, Some("m-1"))).await.unwrap_err();
    assert!(again.to_string().contains("already taken"), "{again}");
    let unknown = shop.operate(send("A", "notde", body, None)).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no event `notde` here; known are: noted, placed");
    shop.operate(send("B", "placed", r#"{"order":"B"}"#, None)).await.unwrap();
    assert_eq!(shop.notes("B").await.unwrap(), Vec::<String>::new());
    assert_eq!(shop.notes("A").await.unwrap(), ["by hand"]);
    let lines: Vec<String> = shop.audit().await.iter().map(line).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!((&*lines[0], &*lines[3]), ("send|order `A`|noted|", "send|order `B`|placed|"));
}

#[tokio::test]
async fn r38_pauses_are_recorded_with_their_end() {
    let shop = Shop::open().await;
    let of = PauseOf::Saga("order".to_owned());
    shop.dispatcher.pause(of.clone(), operator()).await.unwrap();
    shop.dispatcher.resume(of.clone(), operator()).await.unwrap();
    shop.dispatcher.resume(of, operator()).await.unwrap_err();
    let lines: Vec<String> = shop.audit().await.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "pause||saga `order`|",
            "resume||saga `order`|",
            "resume||saga `order`|declined: saga `order` is not paused"
        ]
    );
}
