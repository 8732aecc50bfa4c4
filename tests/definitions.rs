//! The start of a dispatcher writes the definitions of its sagas. Tools draw and check with them, without the build.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[path = "support/faulty.rs"]
mod faulty;

use faulty::Faulty;
use saga::definition::StoredDefinition;
use saga::prelude::*;
use saga::store::{Inspect, MemoryStore};
use saga::{Dispatcher, Done, SqliteStore};

/// Lends a book.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "loan", version = 3, data(Loan), actions(LoanActions), label(title, days))]
#[initially(when(Asked, run(ask), send(Fetch, undo(PutBack)), transition_to(Fetching)))]
pub enum LoanState {
    /// The book is on its way.
    #[during(
        when(Fetched, transition_to(Lent)),
        when(failed(Fetch), transition_to(Refused)),
        when(unknown(Fetch), compensate, transition_to(Refused)),
        timeout(hours = 2, park)
    )]
    Fetching,
    #[terminal]
    Lent,
    #[terminal(failure)]
    Refused,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loan {
    title: String,
    days: Option<u16>,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "loan.asked", key(loan))]
pub struct Asked {
    loan: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "book.fetched")]
pub struct Fetched {
    shelf: Shelf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Shelf {
    Floor(u8),
    Cellar,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "book.fetch", replies(Fetched))]
pub struct Fetch {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "book.put-back")]
pub struct PutBack {}

impl LoanActions for Loan {
    fn ask(_: &Asked, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { title: String::new(), days: None })
    }
    fn fetch(&self, _: &Asked, _: &mut Context) -> Fetch {
        Fetch {}
    }
    fn put_back(&self, _: &Fetch, _: &mut Context) -> PutBack {
        PutBack {}
    }
}

impl Handler<Fetch> for Shelves {
    async fn handle(&self, _: Fetch, _: &HandlerContext) -> HandlerResult<Fetch> {
        Ok(Fetched { shelf: Shelf::Cellar }.into())
    }
}

impl Handler<PutBack> for Shelves {
    async fn handle(&self, _: PutBack, _: &HandlerContext) -> HandlerResult<PutBack> {
        Ok(Done.into())
    }
}

#[derive(Clone)]
struct Shelves;

async fn run_once(store: impl saga::store::Store) {
    let dispatcher = Dispatcher::builder(store)
        .saga::<LoanState>()
        .handler::<Fetch>(Shelves)
        .handler::<PutBack>(Shelves)
        .start()
        .await
        .unwrap();
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn the_start_writes_the_definition_of_each_saga() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("saga.db")).unwrap();
    run_once(store.clone()).await;
    let written = store.definitions().await.unwrap();
    assert_eq!(written, [StoredDefinition::from(LoanState::definition())]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&written[0]).unwrap());
    assert_eq!(written[0].mermaid(), LoanState::definition().mermaid());
    assert_eq!(written[0].dot(), LoanState::definition().dot());
}

#[tokio::test]
async fn a_start_with_known_definitions_writes_none() {
    let store = Faulty::new(MemoryStore::new());
    for _ in 0..2 {
        run_once(store.clone()).await;
        assert_eq!(store.asked("define"), 1);
    }
}
