//! The changes of the data in the history: `history(changes)` of the table.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::time::Duration;

use saga::prelude::*;
use saga::store::{Address, Changes, HistoryRow, MemoryStore, Store};
use saga::testing::{Given, ManualClock};
use saga::{Dispatcher, HistoryKind, Key, Operator, SqliteStore};

/// Keeps a basket.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "basket", version = 1, data(Basket), actions(BasketActions), history(changes))]
#[initially(when(Opened, run(open), transition_to(Filling)))]
#[unhandled(reject)]
pub enum BasketState {
    #[during(
        when(Put, run(put), stay),
        when(Looked, stay),
        when(Ordered, send(Pay), stay),
        when(Paid, run(paid), transition_to(Holding)),
        when(failed(Pay), transition_to(Lost))
    )]
    Filling,
    #[during(when(Sent, compensate, transition_to(Lost)))]
    Holding(Receipt),
    #[terminal(failure)]
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basket {
    owner: String,
    cents: u64,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    items: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    number: u32,
}

macro_rules! events {
    ($($name:ident $stored:literal { $($field:ident: $type:ty),* })*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $stored, key(basket))]
        pub struct $name { basket: String, $($field: $type),* }
    )*};
}
events! {
    Opened "basket.opened" { owner: String }
    Put "basket.put" { item: String, cents: u64 }
    Looked "basket.looked" {}
    Ordered "basket.ordered" {}
    Sent "basket.sent" {}
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "basket.pay", replies(Paid))]
pub struct Pay {
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "basket.paid")]
pub struct Paid {
    number: u32,
}

impl BasketActions for Basket {
    fn open(event: &Opened, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { owner: event.owner.clone(), cents: 0, items: Vec::new() })
    }
    fn put(&mut self, event: &Put, _: &mut Context) -> ActionResult<()> {
        self.cents += event.cents;
        self.items.push(event.item.clone());
        Ok(())
    }
    fn pay(&self, _: &Ordered, _: &mut Context) -> Pay {
        Pay { cents: self.cents }
    }
    fn paid(&mut self, event: &Paid, _: &mut Context) -> ActionResult<Receipt> {
        Ok(Receipt { number: event.number })
    }
}

struct Bank;

impl Handler<Pay> for Bank {
    async fn handle(&self, _: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        Ok(Paid { number: 7 }.into())
    }
}

fn basket() -> String {
    "B-1".to_owned()
}

fn opened() -> Opened {
    Opened { basket: basket(), owner: "ada".to_owned() }
}

fn put(cents: u64) -> Put {
    Put { basket: basket(), item: "pen".to_owned(), cents }
}

async fn start(store: impl Store, clock: &ManualClock) -> Dispatcher {
    let builder = Dispatcher::builder(store).clock(clock.clone());
    builder.saga::<BasketState>().handler::<Pay>(Bank).start().await.unwrap()
}

/// The changes of each step, as lines.
fn changes(history: &[HistoryRow]) -> Vec<String> {
    let line = |row: &HistoryRow| {
        let changes = Changes::of(&row.entry)?;
        let fields = changes.fields().into_iter().map(|field| field.to_string());
        let all: Vec<String> = fields.chain(changes.out.iter().map(ToString::to_string)).collect();
        Some(format!("{}: {}", row.seq, all.join("; ")))
    };
    history.iter().filter_map(line).collect()
}

async fn every_step_keeps_its_changes(store: impl Store + Clone) {
    let reader = store.clone();
    let clock = ManualClock::default();
    let dispatcher = start(store, &clock).await;
    dispatcher.publish(opened()).await.unwrap();
    dispatcher.publish(put(250)).await.unwrap();
    dispatcher.publish(Looked { basket: basket() }).await.unwrap();
    dispatcher.publish(Ordered { basket: basket() }).await.unwrap();
    clock.idle().await;
    dispatcher.publish(Sent { basket: basket() }).await.unwrap();
    dispatcher.settled::<BasketState>("B-1").await.unwrap();
    let address = Address::new("basket", Key::new("B-1").unwrap());
    let history = reader.history(&address, 100).await.unwrap();
    assert_eq!(
        changes(&history),
        [
            r#"1: data.owner: new "ada"; data.cents: new 0"#,
            r#"2: data.cents: 0 -> 250; data.items: new ["pen"]"#,
            "4: command basket.pay",
            "5: state.number: new 7",
            "7: state.number: removed 7",
        ],
        "a step without a change has no line"
    );
    for (row, next) in history.iter().zip(history.iter().skip(1)) {
        let is_last = row.seq != next.seq;
        assert!(
            row.entry.kind != HistoryKind::Changed || is_last,
            "it is the last line of its step: {row:?}"
        );
    }
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_step_keeps_its_changes_in_memory() {
    every_step_keeps_its_changes(MemoryStore::new()).await;
}

#[tokio::test]
async fn a_step_keeps_its_changes_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("baskets.db")).unwrap();
    every_step_keeps_its_changes(store).await;
}

#[tokio::test]
async fn a_verb_that_changes_nothing_has_no_line_of_changes() {
    let store = MemoryStore::new();
    let dispatcher = start(store.clone(), &ManualClock::default()).await;
    dispatcher.publish(opened()).await.unwrap();
    let before = changes(&dispatcher.history::<BasketState>("B-1").await.unwrap());
    dispatcher.abort::<BasketState>("B-1", Operator::new("ada").because("a test")).await.unwrap();
    dispatcher.settled::<BasketState>("B-1").await.unwrap();
    let history = dispatcher.history::<BasketState>("B-1").await.unwrap();
    assert!(history.iter().any(|row| row.entry.kind == HistoryKind::Verb), "{history:?}");
    assert_eq!(changes(&history), before);
}

#[test]
fn a_transition_test_sees_the_changes() {
    let given: Given<BasketState> = Given::started(opened()).when(put(5));
    let lines = given.history();
    assert_eq!(lines.last().unwrap(), r#"changed data.cents: 0 -> 5; data.items: new ["pen"]"#, "{lines:?}");
}

#[test]
fn the_stored_definition_names_the_choice() {
    assert!(BasketState::definition().keeps_changes);
}
