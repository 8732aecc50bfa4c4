//! Redaction: a secret of an application is in the store, and in nothing that tools, logs and errors show.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[allow(dead_code)] // Other tests use the rest.
#[path = "support/log.rs"]
mod log;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use saga::error::StartError;
use saga::prelude::*;
use saga::store::{Address, AuditFilter, DeadId, Inspect, InstanceFilter, MemoryStore, Redacted, Store};
use saga::{
    Dispatcher, Key, Operator, OperatorVerb, Payload, Policy, Proposed, Resolved, Sensitive, StoreVerb,
};

/// Every secret of this test contains this text.
const SECRET: &str = "4111-secret";

/// Pays with a card.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(
    name = "payment",
    version = 1,
    data(Payment),
    actions(PaymentActions),
    label(customer),
    history(changes),
    redact(note, "lines[].code")
)]
#[initially(when(Ordered, run(order), send(Charge, undo(Refund)), transition_to(Paying)))]
#[unhandled(reject)]
pub enum PaymentState {
    #[during(
        when(Charged, run(charged), publish(Booked), transition_to(Holding)),
        when(failed(Charge), transition_to(Lost)),
        when(unknown(Charge), park)
    )]
    Paying,
    #[state(redact(receipt))]
    #[compensate_with(Release)]
    #[during(when(Closed, compensate, transition_to(Lost)))]
    Holding(Hold),
    #[terminal(failure)]
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    customer: String,
    card: Sensitive<String>,
    more: Vec<Option<Sensitive<String>>>,
    note: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    code: String,
    cents: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    receipt: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.ordered", key(order), redact(note))]
pub struct Ordered {
    order: String,
    card: Sensitive<String>,
    note: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.closed", key(order), redact(reason))]
pub struct Closed {
    order: String,
    reason: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.charged", redact("receipt"))]
pub struct Charged {
    receipt: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "payment.booked", key(order), redact(receipt))]
pub struct Booked {
    order: String,
    receipt: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "card.charge", replies(Charged), redact(card))]
pub struct Charge {
    card: String,
    cents: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "card.refund")]
pub struct Refund {
    card: Sensitive<String>,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "card.release", redact(receipt))]
pub struct Release {
    receipt: String,
}

impl PaymentActions for Payment {
    fn order(event: &Ordered, _: &mut Context) -> ActionResult<Self> {
        let code = event.card.expose().clone();
        Ok(Self {
            customer: "C-7".to_owned(),
            card: event.card.clone(),
            more: vec![None, Some(event.card.clone())],
            note: event.note.clone(),
            lines: vec![Line { code, cents: 7 }],
        })
    }
    fn charge(&self, _: &Ordered, _: &mut Context) -> Charge {
        Charge { card: self.card.expose().clone(), cents: 7 }
    }
    fn charged(&mut self, event: &Charged, _: &mut Context) -> ActionResult<Hold> {
        Ok(Hold { receipt: event.receipt.clone(), cents: 7 })
    }
    fn booked(&self, _: &Hold, event: &Charged, _: &mut Context) -> Booked {
        Booked { order: "7".to_owned(), receipt: event.receipt.clone() }
    }
    fn refund(&self, command: &Charge, _: &mut Context) -> Refund {
        Refund { card: command.card.clone().into() }
    }
    fn release(&self, state: &Hold, _: &mut Context) -> Release {
        Release { receipt: state.receipt.clone() }
    }
}

#[derive(Clone)]
struct Bank;

impl Handler<Charge> for Bank {
    async fn handle(&self, _: Charge, _: &HandlerContext) -> HandlerResult<Charge> {
        Err("nobody knows".into())
    }
}

impl Handler<Refund> for Bank {
    async fn handle(&self, _: Refund, cx: &HandlerContext) -> HandlerResult<Refund> {
        cx.cancelled().await;
        Err("stopped".into())
    }
}

impl Handler<Release> for Bank {
    async fn handle(&self, _: Release, cx: &HandlerContext) -> HandlerResult<Release> {
        cx.cancelled().await;
        Err("stopped".into())
    }
}

impl Subscriber<Booked> for Bank {
    async fn handle(&self, _: Booked, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

async fn start(store: impl Store) -> Dispatcher {
    Dispatcher::builder(store)
        .saga::<PaymentState>()
        .handler_with::<Charge>(Bank, Policy::default().max_total_time(Duration::ZERO))
        .handler::<Refund>(Bank)
        .handler::<Release>(Bank)
        .subscriber::<Booked>("ledger", Bank)
        .start()
        .await
        .unwrap()
}

fn ordered(order: &str) -> Ordered {
    let card = format!("{SECRET} card").into();
    Ordered { order: order.to_owned(), card, note: format!("{SECRET} note") }
}

fn operator() -> Operator {
    Operator::new("ada").because("a test")
}

fn payment(order: &str) -> Address {
    Address::new("payment", Key::new(order).unwrap())
}

/// Everything that a tool reads about a payment.
async fn everything(store: &dyn Inspect, order: &str) -> String {
    let address = payment(order);
    let all: [&dyn Debug; 6] = [
        &store.instance(&address).await.unwrap(),
        &store.instances(&InstanceFilter::default()).await.unwrap(),
        &store.history(&address, 100).await.unwrap(),
        &store.dead_letters(DeadId::default(), 100).await.unwrap(),
        &store.waiting(&address, 100).await.unwrap(),
        &store.audit(&AuditFilter::default()).await.unwrap(),
    ];
    format!("{all:#?}")
}

/// A payment in the state with an undo, an edited dead letter, and decisions about both.
async fn told(store: &MemoryStore) -> Dispatcher {
    let dispatcher = start(store.clone()).await;
    dispatcher.publish(ordered("7")).await.unwrap();
    dispatcher.settled::<PaymentState>("7").await.unwrap();
    let reply = Resolved::reply(&Charged { receipt: format!("{SECRET} receipt") }).unwrap();
    dispatcher.resolve::<PaymentState>("7", reply, operator()).await.unwrap();
    let early = Closed { order: "8".to_owned(), reason: format!("{SECRET} reason") };
    for _ in 0..2 {
        dispatcher.publish(early.clone()).await.unwrap();
    }
    let letters = dispatcher.dead_letters(None).await.unwrap();
    let payload =
        Payload::encode(&Closed { order: "8".to_owned(), reason: format!("{SECRET} new reason") }).unwrap();
    let edit = StoreVerb::Redrive { letter: letters[0].id, payload: Some(payload) };
    dispatcher.operate(edit, operator()).await.unwrap();
    dispatcher.operate(StoreVerb::Discard { letter: letters[1].id }, operator()).await.unwrap();
    // The first one begins the compensation, and the second one waits for its end.
    for _ in 0..2 {
        dispatcher
            .publish(Closed { order: "7".to_owned(), reason: format!("{SECRET} reason") })
            .await
            .unwrap();
    }
    assert_eq!(store.waiting(&payment("7"), 9).await.unwrap().len(), 1);
    dispatcher
}

#[tokio::test]
async fn no_secret_leaves_the_store_through_the_redacted_reads() {
    let store = MemoryStore::new();
    let dispatcher = told(&store).await;
    let whole = everything(&store, "7").await;
    for secret in ["card", "note", "receipt", "reason", "new reason"] {
        assert!(whole.contains(&format!("{SECRET} {secret}")), "{secret} is in the store: {whole}");
    }
    let shown = Redacted::new(Arc::new(store.clone()) as Arc<dyn Inspect>).await.unwrap();
    let seen = everything(&shown, "7").await;
    assert!(!seen.contains(SECRET), "{seen}");
    for (there, count) in
        [("\"cents\":7", 2), ("\"customer\":\"C-7\"", 1), ("\"receipt\":\"***\"", 2), ("C-7", 2)]
    {
        assert!(seen.matches(there).count() >= count, "{there}: {seen}");
    }
    let data = shown.instance(&payment("7")).await.unwrap().unwrap().instance.data;
    assert_eq!(
        data.as_str(),
        r#"{"customer":"C-7","card":"***","more":["***","***"],"note":"***","lines":[{"code":"***","cents":7}]}"#
    );
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_preview_is_redacted_like_what_it_foresees() {
    let store = MemoryStore::new();
    let dispatcher = start(store.clone()).await;
    dispatcher.publish(ordered("7")).await.unwrap();
    dispatcher.settled::<PaymentState>("7").await.unwrap();
    let abort = Proposed::Verb(OperatorVerb::Abort);
    let mut preview = dispatcher.preview(&payment("7"), abort).await.unwrap();
    assert!(format!("{preview:?}").contains(SECRET));
    let shown = Redacted::new(Arc::new(store) as Arc<dyn Inspect>).await.unwrap();
    preview.redact("payment", shown.redaction());
    assert!(!format!("{preview:?}").contains(SECRET), "{preview:?}");
    assert_eq!(preview.undos[0].payload.as_str(), r#"{"card":"***"}"#);
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}

#[test]
fn debug_shows_no_sensitive_value() {
    let event = ordered("7");
    assert!(!format!("{:?}", event.card).contains(SECRET));
    assert!(format!("{event:?}").contains("card: ***"));
}

#[tokio::test]
async fn an_error_about_a_redacted_type_quotes_no_value() {
    let store = MemoryStore::new();
    let dispatcher = start(store.clone()).await;
    for body in [
        format!(r#"{{"order":"9","card":"c","note":{{"{SECRET}":1}}}}"#),
        format!(r#"{{"order":"9","card":["{SECRET}"],"note":"n"}}"#),
        format!(r#"{{"order":["{SECRET}"],"card":"c","note":"n"}}"#),
    ] {
        let event = saga::Message {
            name: "payment.ordered".into(),
            version: 1,
            payload: Payload::from(body.as_str()),
        };
        let send = StoreVerb::Send { to: payment("9"), event, id: None };
        let error = match dispatcher.operate(send, operator()).await {
            Err(error) => error.to_string(),
            Ok(()) => dispatcher.dead_letters(None).await.unwrap().pop().unwrap().letter.detail,
        };
        assert!(error.contains("is not valid") && !error.contains(SECRET), "{error}");
    }
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}

mod misnamed {
    use super::*;

    #[derive(Saga, Clone, Debug, PartialEq)]
    #[saga(name = "note", version = 1, data(Note), actions(NoteActions), redact(txt, "raw.anything"))]
    #[initially(when(Written, run(write), transition_to(Kept)))]
    #[unhandled(reject)]
    pub enum NoteState {
        #[during(when(Shredded, transition_to(Gone)))]
        Kept,
        #[terminal]
        Gone,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Note {
        text: String,
        raw: serde_json::Value,
    }

    impl NoteActions for Note {
        fn write(_: &Written, _: &mut Context) -> ActionResult<Self> {
            Ok(Self { text: String::new(), raw: serde_json::Value::Null })
        }
    }

    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "note.written", key(note), redact(note, "body"))]
    pub struct Written {
        note: String,
        password: String,
    }

    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "note.shredded", key(note))]
    pub struct Shredded {
        note: String,
    }
}

#[tokio::test]
async fn a_place_that_does_not_exist_is_refused_at_the_start() {
    let error =
        Dispatcher::builder(MemoryStore::new()).saga::<misnamed::NoteState>().start().await.unwrap_err();
    let StartError::Registration { problems, .. } = &error else { panic!("{error}") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "the data of saga `note` has no place `txt` for `redact(..)`: name a place of its JSON, such as raw, text",
            "the event `note.written` has no place `body` for `redact(..)`: name a place of its JSON, such as note, password",
        ]
    );
}

mod exposed {
    use super::*;

    #[derive(Saga, Clone, Debug, PartialEq)]
    #[saga(name = "login", version = 1, data(Login), actions(LoginActions))]
    #[initially(when(Tried, run(begin), transition_to(Kept)))]
    #[unhandled(reject)]
    pub enum LoginState {
        #[during(when(Left, transition_to(Gone)))]
        Kept,
        #[terminal]
        Gone,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Login {
        api_key: Sensitive<String>,
        discarded: bool,
    }

    impl LoginActions for Login {
        fn begin(_: &Tried, _: &mut Context) -> ActionResult<Self> {
            Ok(Self { api_key: String::new().into(), discarded: false })
        }
    }

    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "login.tried", key(user))]
    pub struct Tried {
        user: String,
        password: String,
    }

    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "login.left", key(user), redact(token))]
    pub struct Left {
        user: String,
        token: String,
    }
}

#[tokio::test]
async fn a_place_that_looks_secret_and_is_shown_is_warned_about() {
    log::listen();
    let dispatcher =
        Dispatcher::builder(MemoryStore::new()).saga::<exposed::LoginState>().start().await.unwrap();
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
    let warned = log::lines().into_iter().map(|line| line.message);
    let warned: Vec<_> = warned.filter(|message| message.contains("looks like a secret")).collect();
    let of_login: Vec<_> = warned.iter().filter(|message| message.contains("login")).collect();
    assert_eq!(of_login.len(), 1, "{warned:?}");
    assert!(of_login[0].contains("`password` of event `login.tried`"), "{warned:?}");
}

/// Types in which a shape shows no place for the sensitive value.
mod unseen {
    use std::collections::HashMap;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    pub enum Tagged {
        Card { no: Sensitive<String> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    pub enum Untagged {
        Card { no: Sensitive<String> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Flat {
        card: Sensitive<String>,
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    }

    macro_rules! event {
        ($name:ident $text:literal ($($redact:tt)*) { $($field:ident: $type:ty),* }) => {
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $text, key(id) $($redact)*)]
            pub struct $name { pub id: String, $(pub $field: $type),* }
        };
    }

    event!(OfTagged "tagged" () { way: Tagged });
    event!(OfUntagged "untagged" () { way: Untagged });
    event!(OfFlat "flat" () { way: Flat });
    event!(OfKey "key" () { way: HashMap<Sensitive<String>, u8> });
    event!(Covered "covered" (, redact(way)) { way: Tagged });
    event!(Seen "seen" () { way: (u8, Vec<Option<Sensitive<String>>>) });

    pub fn secret() -> Sensitive<String> {
        SECRET.to_owned().into()
    }
}

impl<E: Event> Subscriber<E> for Anybody {
    async fn handle(&self, _: E, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

struct Anybody;

#[tokio::test]
async fn a_sensitive_value_at_a_place_that_nobody_finds_is_refused() {
    use unseen::*;
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .subscriber::<OfTagged>("a", Anybody)
        .subscriber::<OfUntagged>("b", Anybody)
        .subscriber::<OfFlat>("c", Anybody)
        .subscriber::<OfKey>("d", Anybody)
        .subscriber::<Covered>("e", Anybody)
        .subscriber::<Seen>("f", Anybody)
        .start()
        .await
        .unwrap();
    let id = || "1".to_owned();
    let refused = [
        dispatcher.publish(OfTagged { id: id(), way: Tagged::Card { no: secret() } }).await,
        dispatcher.publish(OfUntagged { id: id(), way: Untagged::Card { no: secret() } }).await,
        dispatcher
            .publish(OfFlat {
                id: id(),
                way: serde_json::from_str(&format!(r#"{{"card":"{SECRET}","x":1}}"#)).unwrap(),
            })
            .await,
        dispatcher.publish(OfKey { id: id(), way: [(secret(), 1)].into() }).await,
    ];
    for error in refused {
        let error = saga::error::chain(&error.unwrap_err()).to_string();
        assert!(error.contains("name `way` in `redact(..)`") && !error.contains(SECRET), "{error}");
    }
    dispatcher.publish(Covered { id: id(), way: Tagged::Card { no: secret() } }).await.unwrap();
    dispatcher.publish(Seen { id: id(), way: (7, vec![None, Some(secret())]) }).await.unwrap();
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_parked_instance_is_redacted_with_its_outcome() {
    let store = MemoryStore::new();
    let dispatcher = start(store.clone()).await;
    dispatcher.publish(ordered("7")).await.unwrap();
    assert!(dispatcher.settled::<PaymentState>("7").await.unwrap().is_parked());
    let shown = Redacted::new(Arc::new(store.clone()) as Arc<dyn Inspect>).await.unwrap();
    let seen = everything(&shown, "7").await;
    assert!(!seen.contains(SECRET), "{seen}");
    let parked = shown.instance(&payment("7")).await.unwrap().unwrap().instance.parked.unwrap();
    assert!(parked.as_str().contains("nobody knows") && !parked.as_str().contains("report"), "{parked:?}");
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}
