//! Labels: fields of the data by which people find an instance. They follow the data in the same commit.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::prelude::*;
use saga::store::{Inspect, InstanceFilter, LabelCondition, MemoryStore, Store};
use saga::{Dispatcher, Label, LabelValue, SqliteStore};

macro_rules! rental {
    ($($setting:tt)*) => {
        /// Rents a car.
        #[derive(Saga, Clone, Debug, PartialEq)]
        #[saga(name = "rental", version = 1, data(Rental), actions(RentalActions) $($setting)*)]
        #[initially(when(Reserved, run(reserve), transition_to(Waiting)))]
        #[unhandled(reject)]
        pub enum RentalState {
            #[during(
                when(Extended, run(extend), stay),
                when(Noted, stay),
                when(Returned, transition_to(Over))
            )]
            Waiting,
            #[terminal]
            Over,
        }

        impl RentalActions for Rental {
            fn reserve(event: &Reserved, _: &mut Context) -> ActionResult<Self> {
                let customer = $crate::Customer(event.customer.clone());
                Ok(Self { customer, days: 3, desk: None, kind: $crate::Kind::Small })
            }
            $crate::extend!();
        }

        pub async fn start(store: impl Store) -> Dispatcher {
            Dispatcher::builder(store).saga::<RentalState>().start().await.unwrap()
        }
    };
}

#[macro_export]
macro_rules! extend {
    () => {
        fn extend(&mut self, event: &Extended, _: &mut Context) -> ActionResult<()> {
            self.days += event.days;
            self.desk = event.desk.clone();
            Ok(())
        }
    };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rental {
    customer: Customer,
    days: u16,
    desk: Option<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Customer(String);

impl Label for Customer {
    fn label(&self) -> Option<LabelValue> {
        assert_ne!(self.0, "panic", "the label cannot be read");
        self.0.label()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    Small,
}

impl Label for Kind {
    fn label(&self) -> Option<LabelValue> {
        Some(LabelValue::text("small"))
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "rental.reserved", key(id))]
pub struct Reserved {
    id: String,
    customer: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "rental.extended", key(id))]
pub struct Extended {
    id: String,
    days: u16,
    desk: Option<String>,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "rental.noted", key(id))]
pub struct Noted {
    id: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "rental.returned", key(id))]
pub struct Returned {
    id: String,
}

mod labelled {
    use super::*;
    rental!(, label(customer, days, desk, kind));
}

mod unlabelled {
    use super::*;
    rental!();
}

mod other {
    use super::*;
    rental!(, label(kind));
}

fn reserved(id: &str, customer: &str) -> Reserved {
    Reserved { id: id.to_owned(), customer: customer.to_owned() }
}

fn extended(id: &str, desk: Option<&str>) -> Extended {
    Extended { id: id.to_owned(), days: 4, desk: desk.map(str::to_owned) }
}

/// Returns the keys of the instances that meet the conditions.
async fn found(store: &dyn Inspect, conditions: &[&str]) -> Vec<String> {
    let mut filter = InstanceFilter::default();
    filter.labels = conditions.iter().map(|text| text.parse::<LabelCondition>().unwrap()).collect();
    let page = store.instances(&filter).await.unwrap();
    page.instances.iter().map(|view| view.address.key.text().to_owned()).collect()
}

async fn follows_the_data(store: impl Store + Clone) {
    let dispatcher = labelled::start(store.clone()).await;
    for (id, customer) in [("a", "C-1"), ("b", "C-2")] {
        dispatcher.publish(reserved(id, customer)).await.unwrap();
    }
    dispatcher.publish(extended("b", Some("north"))).await.unwrap();
    assert_eq!(found(&store, &["customer=C-1"]).await, ["a"]);
    assert_eq!(found(&store, &["days=3"]).await, ["a"]);
    assert_eq!(found(&store, &["days>=7", "kind=small"]).await, ["b"]);
    assert_eq!(found(&store, &["desk=north"]).await, ["b"]);
    dispatcher.publish(extended("b", None)).await.unwrap();
    assert_eq!(found(&store, &["desk=north"]).await, [""; 0]);
    dispatcher.publish(Returned { id: "b".to_owned() }).await.unwrap();
    assert_eq!(found(&store, &["customer=C-2"]).await, ["b"], "an ended instance is found as well");
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn labels_follow_the_data_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    follows_the_data(SqliteStore::open(dir.path().join("saga.db")).unwrap()).await;
}

#[tokio::test]
async fn labels_follow_the_data_in_memory() {
    follows_the_data(MemoryStore::new()).await;
}

#[tokio::test]
async fn another_list_of_labels_applies_from_the_next_step_on() {
    let store = MemoryStore::new();
    let dispatcher = unlabelled::start(store.clone()).await;
    dispatcher.publish(reserved("a", "C-1")).await.unwrap();
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();

    let dispatcher = labelled::start(store.clone()).await;
    assert_eq!(found(&store, &["customer=C-1"]).await, [""; 0]);
    // The step leaves the data unchanged.
    dispatcher.publish(Noted { id: "a".to_owned() }).await.unwrap();
    assert_eq!(found(&store, &["customer=C-1", "kind=small"]).await, ["a"]);
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();

    let dispatcher = other::start(store.clone()).await;
    dispatcher.publish(Noted { id: "a".to_owned() }).await.unwrap();
    assert_eq!(found(&store, &["customer=C-1"]).await, [""; 0]);
    assert_eq!(found(&store, &["kind=small"]).await, ["a"]);
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_label_that_panics_starts_nothing() {
    let store = MemoryStore::new();
    let dispatcher = labelled::start(store.clone()).await;
    dispatcher.publish(reserved("a", "panic")).await.unwrap();
    let letters = dispatcher.dead_letters(None).await.unwrap();
    assert!(letters[0].letter.detail.contains("the label cannot be read"), "{letters:?}");
    assert_eq!(found(&store, &[]).await, [""; 0]);
    dispatcher.shutdown(std::time::Duration::ZERO).await.unwrap();
}

#[test]
fn the_definition_names_the_labels() {
    assert_eq!(labelled::RentalState::definition().labels, ["customer", "days", "desk", "kind"]);
    assert!(unlabelled::RentalState::definition().labels.is_empty());
}
