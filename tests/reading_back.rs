//! What is stored reads back as it was written (rules R1, R34): a step that would not is refused before it is stored, and
//! names the field; and what an action sees does not depend on whether a restart lay between.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use saga::error::{InstanceError, PayloadError, PublishError, chain};
use saga::prelude::*;
use saga::store::{Inspect, MemoryStore};
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{Dispatcher, Key, MessageId, Operator, ParkReason, Position, Resolved};

/// A value in all the places where one can be lossy. Which of them are set says the test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Values {
    rate: f64,
    small: f32,
    perhaps: Option<f64>,
    loose: Option<Loose>,
    odd: Odd,
    nested: Vec<BTreeMap<String, Option<f64>>>,
    names: HashSet<String>,
    counts: HashMap<String, Vec<u32>>,
    #[serde(skip)]
    forgotten: u32,
}

/// serde reads the variants from a buffer that holds no numbers of 128 bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Loose {
    Big { big: u128 },
    Text(String),
}

/// The one variant is read as the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Odd {
    #[serde(skip_deserializing)]
    Second,
    #[default]
    #[serde(other)]
    First,
}

/// A field, why it is refused, and how it becomes so.
type Lossy = (&'static str, &'static str, fn(&mut Values));

const LOSSY: [Lossy; 9] = [
    ("rate", "NaN is not a JSON number", |v| v.rate = f64::NAN),
    ("rate", "inf is not a JSON number", |v| v.rate = f64::INFINITY),
    ("small", "-inf is not a JSON number", |v| v.small = f32::NEG_INFINITY),
    ("perhaps", "inf is not a JSON number", |v| v.perhaps = Some(f64::INFINITY)),
    ("perhaps", "NaN is not a JSON number", |v| v.perhaps = Some(f64::NAN)),
    ("nested[1].x", "NaN is not a JSON number", |v| {
        let x = |n| BTreeMap::from([("x".to_owned(), Some(n))]);
        v.nested = vec![x(1.0), x(f64::NAN)];
    }),
    ("loose", "data did not match any variant of untagged enum Loose", |v| {
        v.loose = Some(Loose::Big { big: u128::MAX });
    }),
    ("odd", "another value is read back", |v| v.odd = Odd::Second),
    ("odd", "another value is read back", |v| {
        v.odd = Odd::Second;
        v.names = (0..50).map(|n| n.to_string()).collect();
    }),
];

/// What the refusal of the `nth` says, of a value that holds the fields under `path`.
fn says(nth: usize, path: &str) -> String {
    let (field, why, _) = LOSSY[nth];
    format!("`{path}{field}`: {why}")
}

/// What JSON holds exactly.
const EXACT: [fn(&mut Values); 6] = [
    |v| v.rate = 0.1 + 0.2,
    |v| v.small = f32::MIN_POSITIVE,
    |v| v.perhaps = Some(-0.0),
    |v| v.loose = Some(Loose::Text("x".repeat(1_000))),
    |v| v.names = (0..100).map(|n| n.to_string()).collect(),
    |v| v.counts = (0..100).map(|n| (n.to_string(), vec![n, 3, 2, 1])).collect(),
];

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "probe", version = 1, data(Data), actions(ProbeActions))]
#[initially(when(Begun, run(begin), transition_to(Open)))]
#[unhandled(reject)]
pub enum ProbeState {
    #[during(
        when(IntoData, run(into_data), stay),
        when(IntoState, run(into_state), transition_to(Holding)),
        when(IntoCommand, send(Call), stay),
        when(IntoEvent, publish(Said), stay),
        when(AskedFor, send(Ask), stay),
        when(Answered, transition_to(Done)),
        when(Looked, run(look), stay)
    )]
    Open,
    #[during(
        when(Looked, run(look_held), stay),
        when(IntoData, run(into_held), stay),
        when(AskedFor, transition_to(Done))
    )]
    #[unhandled(ignore)]
    Holding(Values),
    #[terminal]
    Done,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Data {
    values: Values,
    seen: Vec<u32>,
}

fn lossy(nth: usize) -> Values {
    let mut values = Values::default();
    LOSSY[nth].2(&mut values);
    values
}

#[rustfmt::skip]
impl ProbeActions for Data {
    fn begin(_: &Begun, _: &mut Context) -> ActionResult<Self> { Ok(Self::default()) }
    fn into_data(&mut self, event: &IntoData, _: &mut Context) -> ActionResult<()> { self.values = lossy(event.nth); Ok(()) }
    fn into_state(&mut self, event: &IntoState, _: &mut Context) -> ActionResult<Values> { Ok(lossy(event.nth)) }
    fn into_held(&mut self, state: &mut Values, event: &IntoData, _: &mut Context) -> ActionResult<()> { *state = lossy(event.nth); Ok(()) }
    fn call(&self, event: &IntoCommand, _: &mut Context) -> Call { Call { values: lossy(event.nth) } }
    fn said(&self, event: &IntoEvent, cx: &mut Context) -> Said { Said { probe: cx.key().into(), values: lossy(event.nth) } }
    fn ask(&self, event: &AskedFor, _: &mut Context) -> Ask { Ask { nth: event.nth } }
    fn look(&mut self, _: &Looked, _: &mut Context) -> ActionResult<()> {
        self.seen.push(self.values.forgotten);
        self.values.forgotten += 1;
        Ok(())
    }
    fn look_held(&mut self, state: &mut Values, _: &Looked, _: &mut Context) -> ActionResult<()> {
        self.seen.push(state.forgotten);
        state.forgotten += 1;
        Ok(())
    }
}

macro_rules! events {
    ($($name:ident $text:literal),*) => {
        $(
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $text, key(probe))]
            pub struct $name { probe: String, nth: usize }

            impl $name {
                fn nth(nth: usize) -> Self { Self { probe: "test".to_owned(), nth } }
            }
        )*
    };
}
events!(Begun "begun", IntoData "into-data", IntoState "into-state", IntoCommand "into-command", IntoEvent "into-event");
events!(AskedFor "asked-for", Looked "looked");

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "said", key(probe))]
pub struct Said {
    probe: String,
    values: Values,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "answered")]
pub struct Answered {
    values: Values,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "call")]
pub struct Call {
    values: Values,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ask", replies(Answered))]
pub struct Ask {
    nth: usize,
}

fn probe() -> Given<ProbeState> {
    Given::started(Begun::nth(0))
}

/// It is parked at this step, with the field named, and nothing has changed.
#[track_caller]
fn refused(given: &Given<ProbeState>, says: &str) {
    let parked = given.parked().unwrap_or_else(|| panic!("not parked: {says}"));
    assert!(parked.contains(says), "{parked}\n  does not say\n{says}");
    assert_eq!(given.state(), &ProbeState::Open);
    assert_eq!(given.data(), &Data::default());
    assert_eq!(given.sent::<Call>(), []);
    assert!(given.published::<Said>().is_empty());
}

#[test]
fn a_step_whose_data_would_not_read_back_parks_and_names_the_field() {
    for nth in 0..LOSSY.len() {
        let given = probe().when(IntoData::nth(nth));
        refused(&given, &says(nth, "values."));
        assert!(given.parked().unwrap().contains("the data "), "{:?}", given.parked());
    }
}

#[test]
fn a_step_whose_state_would_not_read_back_parks_and_names_the_field() {
    for nth in 0..LOSSY.len() {
        let given = probe().when(IntoState::nth(nth));
        refused(&given, &says(nth, ""));
        assert!(given.parked().unwrap().contains("the state's payload "), "{:?}", given.parked());
    }
}

#[test]
fn a_step_whose_command_would_not_read_back_parks_and_names_the_field() {
    for nth in 0..LOSSY.len() {
        let given = probe().when(IntoCommand::nth(nth));
        refused(&given, &says(nth, "values."));
        assert!(given.parked().unwrap().contains("command `call` "), "{:?}", given.parked());
    }
}

#[test]
fn a_step_whose_event_would_not_read_back_parks_and_names_the_field() {
    for nth in 0..LOSSY.len() {
        let given = probe().when(IntoEvent::nth(nth));
        refused(&given, &says(nth, "values."));
        assert!(given.parked().unwrap().contains("event `said` "), "{:?}", given.parked());
    }
}

#[test]
fn what_json_holds_is_stored_and_the_order_of_sets_and_maps_is_no_loss() {
    for exact in EXACT {
        let mut values = Values::default();
        exact(&mut values);
        let event = Said { probe: "test".to_owned(), values: values.clone() };
        let message = serde_json::to_string(&event.values).unwrap();
        assert_eq!(serde_json::from_str::<Values>(&message).unwrap(), values, "a plain reading agrees");
        assert!(Resolved::reply(&Answered { values }).is_ok());
    }
}

#[test]
fn what_is_not_stored_is_forgotten_after_the_step_and_not_only_after_a_restart() {
    let given = probe().when(Looked::nth(0)).when(Looked::nth(0));
    assert_eq!(given.data().seen, [0, 0]);
}

struct Lossily;

impl Handler<Ask> for Lossily {
    async fn handle(&self, command: Ask, _: &HandlerContext) -> HandlerResult<Ask> {
        Ok(Answered { values: lossy(command.nth) }.into())
    }
}

impl Handler<Call> for Lossily {
    async fn handle(&self, _: Call, _: &HandlerContext) -> HandlerResult<Call> {
        Ok(Done.into())
    }
}

impl Subscriber<Said> for Lossily {
    async fn handle(&self, _: Said, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

async fn house(store: &MemoryStore) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .saga::<ProbeState>()
        .handler::<Ask>(Lossily)
        .handler::<Call>(Lossily)
        .subscriber::<Said>("ear", Lossily)
        .clock(ManualClock::default())
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn an_event_that_would_not_read_back_is_refused_at_the_door() {
    let store = MemoryStore::new();
    let dispatcher = house(&store).await;
    for nth in 0..LOSSY.len() {
        let event = Said { probe: "test".to_owned(), values: lossy(nth) };
        let error = dispatcher.publish_as(MessageId::unique(), event).await.unwrap_err();
        assert!(matches!(error, PublishError::Payload { .. }), "{error}");
        assert!(chain(&error).to_string().contains(&says(nth, "values.")), "{error:?}");
    }
    assert_eq!(
        store.waiting(&saga::store::Address::new("ear", Key::new("test").unwrap()), 10).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn a_reply_that_would_not_read_back_parks_at_once_and_a_person_supplies_one() {
    for (nth, (field, ..)) in LOSSY.iter().enumerate() {
        let store = MemoryStore::new();
        let dispatcher = house(&store).await;
        dispatcher.publish(Begun::nth(0)).await.unwrap();
        dispatcher.publish(AskedFor::nth(nth)).await.unwrap();
        let Position::Parked { reason, detail, .. } = dispatcher.settled::<ProbeState>("test").await.unwrap()
        else {
            panic!("it is not parked over {field}");
        };
        assert_eq!(reason, ParkReason::Unreadable);
        assert!(detail.contains("`ask`: the reply"), "{detail}");
        assert!(detail.contains(&says(nth, "values.")), "{detail}");
        let open = dispatcher.instance::<ProbeState>("test").await.unwrap().unwrap().open;
        let called: Vec<(&str, u32)> = open.iter().map(|open| (&*open.command, open.attempts)).collect();
        assert_eq!(called, [("ask", 1)], "it was called once, and that counts");
        let reply = Resolved::reply(&Answered { values: Values::default() }).unwrap();
        dispatcher.resolve::<ProbeState>("test", reply, Operator::new("ann").because("asked")).await.unwrap();
        assert_eq!(dispatcher.settled::<ProbeState>("test").await.unwrap(), Position::In(ProbeState::Done));
    }
}

#[tokio::test]
async fn what_is_parked_over_a_lossy_step_is_read_after_a_restart() {
    for nth in 0..LOSSY.len() {
        let store = MemoryStore::new();
        let dispatcher = house(&store).await;
        dispatcher.publish(Begun::nth(0)).await.unwrap();
        dispatcher.publish(IntoData::nth(nth)).await.unwrap();
        assert!(dispatcher.settled::<ProbeState>("test").await.unwrap().is_parked());
        dispatcher.kill().await;
        let dispatcher = house(&store).await;
        assert!(dispatcher.settled::<ProbeState>("test").await.unwrap().is_parked());
        dispatcher.skip::<ProbeState>("test", Operator::new("ann").because("no such number")).await.unwrap();
        dispatcher.publish(Looked::nth(0)).await.unwrap();
        let found = dispatcher.instance::<ProbeState>("test").await.unwrap().unwrap();
        assert_eq!(found.data, Data { seen: vec![0], ..Data::default() });
        let again =
            dispatcher.skip::<ProbeState>("test", Operator::new("ann").because("twice")).await.unwrap_err();
        assert!(matches!(again, InstanceError::Declined(_)), "{again}");
    }
}

/// Counts how many of its parts are written.
struct Endless<'a>(usize, &'a AtomicUsize);

impl Serialize for Endless<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0).inspect(|_| {
            self.1.fetch_add(1, Ordering::Relaxed);
        }))
    }
}

#[test]
fn what_is_too_long_is_refused_while_it_is_being_written() {
    let written = AtomicUsize::new(0);
    let error = saga::Payload::encode(&Endless(usize::MAX, &written)).unwrap_err();
    assert_eq!(error, PayloadError::TooLarge { limit: 16 << 20 });
    assert!(written.into_inner() < 16 << 20, "no more than the limit was written");
}

#[tokio::test]
async fn an_event_over_the_limit_of_the_dispatcher_is_refused() {
    let dispatcher = Dispatcher::builder(MemoryStore::new())
        .saga::<ProbeState>()
        .handler::<Ask>(Lossily)
        .handler::<Call>(Lossily)
        .subscriber::<Said>("ear", Lossily)
        .payload_limits(saga::PayloadLimits { bytes: 1_000, depth: 8 })
        .start()
        .await
        .unwrap();
    let values = Values { names: HashSet::from(["x".repeat(1_001)]), ..Values::default() };
    let error = dispatcher.publish(Said { probe: "test".to_owned(), values }).await.unwrap_err();
    assert_eq!(
        chain(&error).to_string(),
        "event `said` cannot be stored: is longer than the limit of 1000 bytes of JSON; send a reference instead of the content"
    );
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}
