//! The relatives on the page of an instance.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

mod support;

use saga::Dispatcher;
use saga::prelude::*;
use saga::store::MemoryStore;
use saga_dashboard::Source;
use support::{Browser, OPERATOR, Shop};

/// Ships parcels, and each parcel has a letter.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "batch", version = 1, data(Batch), actions(BatchActions))]
#[initially(when(Ordered, run(order), start(ParcelState, with(parcels), each), transition_to(Shipping)))]
#[unhandled(ignore)]
pub enum BatchState {
    #[during(when(finished(ParcelState), stay), when(all_finished(ParcelState), transition_to(Shipped)))]
    Shipping,
    #[terminal]
    Shipped,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {}

impl BatchActions for Batch {
    fn order(_: &Ordered, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn parcels(&self, event: &Ordered, _: &mut Context) -> Vec<Packed> {
        event.parcels.iter().map(|parcel| Packed { parcel: parcel.clone() }).collect()
    }
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "parcel", version = 1, data(Parcel), actions(ParcelActions))]
#[initially(when(Packed, run(pack), start(LetterState, with(letter)), transition_to(OnTheWay)))]
#[unhandled(ignore)]
pub enum ParcelState {
    #[during(when(Arrived, transition_to(Delivered)), when(finished(LetterState), stay))]
    OnTheWay,
    #[terminal]
    Delivered,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {}

impl ParcelActions for Parcel {
    fn pack(_: &Packed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn letter(&self, event: &Packed, _: &mut Context) -> Written {
        Written { letter: format!("letter-{}", event.parcel) }
    }
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "letter", version = 1, data(Letter), actions(LetterActions))]
#[initially(when(Written, run(write), transition_to(Sealed)))]
#[unhandled(ignore)]
pub enum LetterState {
    #[during(when(Read, transition_to(Gone)))]
    Sealed,
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {}

impl LetterActions for Letter {
    fn write(_: &Written, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "ordered", key(batch))]
pub struct Ordered {
    batch: String,
    parcels: Vec<String>,
}

macro_rules! events {
    ($($name:ident $text:literal $key:ident)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key($key))]
        pub struct $name {
            $key: String,
        }
    )*};
}

events! { Packed "packed" parcel Arrived "arrived" parcel Written "written" letter Read "read" letter }

async fn shop() -> (Dispatcher, Browser) {
    let builder = Dispatcher::builder(MemoryStore::new());
    let builder = builder.saga::<BatchState>().saga::<ParcelState>().saga::<LetterState>();
    let dispatcher = builder.start().await.unwrap();
    let ordered = Ordered { batch: "b".to_owned(), parcels: vec!["p1".to_owned(), "p2".to_owned()] };
    dispatcher.publish(ordered).await.unwrap();
    for parcel in ["p1", "p2"] {
        let sealed = |letter: &saga::Instance<LetterState>| (letter.seq > 0).then_some(());
        let (key, most) = (format!("letter-{parcel}"), std::time::Duration::from_secs(60));
        dispatcher.wait_for::<LetterState, _>(key, most, sealed).await.unwrap();
    }
    let router = saga_dashboard::router(Source::dispatcher(&dispatcher), Shop::options());
    (dispatcher, Browser::of(router).log_in(OPERATOR).await)
}

/// The lines of the tree: depth, key, and the state for people.
fn tree(page: &str) -> Vec<(u32, String, String)> {
    let lines = page.split("<li data-depth=\"").skip(1);
    let line = |line: &str| {
        let line = line.split("</li>").next().unwrap();
        let after =
            |text: &str, mark: &str| text.split(mark).nth(1).unwrap().split('<').next().unwrap().to_owned();
        let key = after(line, "class=\"id\" title=\"");
        let key = key.split('"').next().unwrap().to_owned();
        (line[..1].parse().unwrap(), key, after(line, "</svg>"))
    };
    lines.map(line).collect()
}

#[tokio::test]
async fn the_tree_has_the_children_and_their_children() {
    let (dispatcher, browser) = shop().await;
    let page = browser.get("/saga/instance?saga=batch&key=b").await.text;
    let line = |depth, key: &str, state: &str| (depth, key.to_owned(), state.to_owned());
    let all = [
        line(0, "p1", "OnTheWay"),
        line(1, "letter-p1", "Sealed"),
        line(0, "p2", "OnTheWay"),
        line(1, "letter-p2", "Sealed"),
    ];
    assert_eq!(tree(&page), all, "{page}");
    let letter = browser.get("/saga/instance?saga=letter&key=letter-p1").await.text;
    assert!(letter.contains("Child of <a href=\"/saga/instance?saga=parcel&amp;key=p1\">"), "{letter}");

    // A child that has ended stays in the tree, by the history of its parent.
    dispatcher.publish(Read { letter: "letter-p1".to_owned() }).await.unwrap();
    dispatcher.publish(Arrived { parcel: "p1".to_owned() }).await.unwrap();
    let seen = |batch: &saga::Instance<BatchState>| (batch.seq > 1).then_some(());
    dispatcher.wait_for::<BatchState, _>("b", std::time::Duration::from_secs(60), seen).await.unwrap();
    let page = browser.get("/saga/instance?saga=batch&key=b").await.text;
    assert!(tree(&page).contains(&line(0, "p1", "Delivered")), "{:?}", tree(&page));
}
