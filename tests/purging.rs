//! The verb `purge` (R27): an operator removes an ended instance with its history before its retention is over.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[cfg(feature = "postgres")]
#[path = "../saga-postgres/tests/support/mod.rs"]
mod server;

use std::time::Duration;

use saga::error::InstanceError;
use saga::prelude::*;
use saga::store::{Address, AuditFilter, MemoryStore, Store};
use saga::testing::ManualClock;
use saga::{
    DeclinedReason, Dispatcher, DispatcherBuilder, Disposition, Key, MessageId, Operator, OperatorVerb,
    Proposed, PublishOptions, Receipt, SqliteStore,
};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(when(Placed, run(place), claim(named), transition_to(Open)))]
#[unhandled(ignore)]
pub enum OrderState {
    #[during(when(Closed, transition_to(Done)), when(Broken, run(fail), stay))]
    Open,
    #[terminal]
    Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {}

impl OrderActions for Order {
    fn place(_: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn named(&self, event: &Placed, _: &mut Context) -> String {
        format!("alias-of-{}", event.order)
    }
    fn fail(&mut self, _: &Broken, _: &mut Context) -> ActionResult<()> {
        Err("it is broken".into())
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(order))]
        pub struct $name {
            order: String,
        }
    )*};
}

events! { Placed "placed" Closed "closed" Broken "broken" }

#[derive(Clone)]
enum Kept {
    InMemory(MemoryStore),
    InFile(SqliteStore),
    #[cfg(feature = "postgres")]
    OnServer(saga::PostgresStore),
}

impl Kept {
    fn store(&self) -> &dyn Store {
        match self {
            Self::InMemory(store) => store,
            Self::InFile(store) => store,
            #[cfg(feature = "postgres")]
            Self::OnServer(store) => store,
        }
    }

    fn builder(&self) -> DispatcherBuilder {
        match self {
            Self::InMemory(store) => Dispatcher::builder(store.clone()),
            Self::InFile(store) => Dispatcher::builder(store.clone()),
            #[cfg(feature = "postgres")]
            Self::OnServer(store) => Dispatcher::builder(store.clone()),
        }
    }
}

struct Shop {
    dispatcher: Dispatcher,
    kept: Kept,
    clock: ManualClock,
}

impl Shop {
    async fn open(kept: &Kept, clock: &ManualClock) -> Self {
        let builder = kept.builder().saga::<OrderState>().clock(clock.clone());
        Self { dispatcher: builder.start().await.unwrap(), kept: kept.clone(), clock: clock.clone() }
    }

    async fn place(&self, order: &str) -> Disposition {
        let options = PublishOptions::new().message_id(MessageId::new(format!("place-{order}")).unwrap());
        let placed = Placed { order: order.to_owned() };
        disposition(self.dispatcher.publish_with(placed, options).await.unwrap())
    }

    async fn close(&self, order: &str) {
        self.dispatcher.publish(Closed { order: order.to_owned() }).await.unwrap();
    }

    async fn purge(&self, order: &str) -> Result<(), InstanceError> {
        self.dispatcher.purge::<OrderState>(order, ada()).await
    }

    /// Lets the next pulse do its work.
    async fn pulse(&self) {
        self.clock.advance(Duration::from_secs(1));
        self.clock.idle().await;
    }

    /// Whether the store has the instance, its history and its alias.
    async fn has(&self, order: &str) -> (bool, bool, bool) {
        let alias = saga::Alias::new(format!("alias-of-{order}")).unwrap();
        let alias = Address::new("order", alias);
        (
            self.kept.store().instance(&at(order)).await.unwrap().is_some(),
            !self.kept.store().history(&at(order), 10).await.unwrap().is_empty(),
            self.kept.store().instance(&alias).await.unwrap().is_some(),
        )
    }

    async fn audit(&self) -> Vec<String> {
        let rows = self.kept.store().audit(&AuditFilter::default()).await.unwrap();
        let line = |row: saga::store::AuditRow| {
            let to = row.entry.to.map(|to| to.to_string()).unwrap_or_default();
            format!("{} {to} {}", row.entry.verb, row.entry.declined.unwrap_or_default()).trim().to_owned()
        };
        rows.into_iter().map(line).collect()
    }
}

fn ada() -> Operator {
    Operator::new("ada").because("ticket 7")
}

fn disposition(mut receipt: Receipt) -> Disposition {
    receipt.consumers.remove(0).disposition
}

fn at(order: &str) -> Address {
    Address::new("order", Key::new(order).unwrap())
}

/// Runs the check on a store in memory, on a file, and on PostgreSQL if there is one.
async fn on_each_store(check: impl AsyncFn(Kept)) {
    check(in_memory()).await;
    let dir = tempfile::tempdir().unwrap();
    check(Kept::InFile(SqliteStore::open(dir.path().join("saga.db")).unwrap())).await;
    #[cfg(feature = "postgres")]
    if let Some(schema) = server::Schema::new() {
        check(Kept::OnServer(schema.open(schema.options()))).await;
    }
}

fn in_memory() -> Kept {
    Kept::InMemory(MemoryStore::new())
}

#[tokio::test]
async fn r27_a_purged_instance_is_gone_and_the_audit_stays() {
    on_each_store(async |kept| {
        let shop = Shop::open(&kept, &ManualClock::default()).await;
        for order in ["a", "b"] {
            shop.place(order).await;
            shop.close(order).await;
        }
        shop.pulse().await;
        assert_eq!(shop.has("a").await, (true, true, true));
        shop.purge("a").await.unwrap();
        shop.pulse().await;
        assert_eq!(shop.has("a").await, (false, false, false));
        assert_eq!(shop.has("b").await, (true, true, true), "it is younger than its retention");
        assert_eq!(shop.audit().await, ["purge order `a`"]);
        // The record of the message stays, so its repetition starts nothing. Another message does.
        assert_eq!(shop.place("a").await, Disposition::Duplicate);
        let again = shop.dispatcher.publish(Placed { order: "a".to_owned() }).await.unwrap();
        assert_eq!(disposition(again), Disposition::Applied);
    })
    .await;
}

#[tokio::test]
async fn r27_only_an_ended_instance_is_purged() {
    on_each_store(async |kept| {
        let shop = Shop::open(&kept, &ManualClock::default()).await;
        shop.place("open").await;
        shop.place("parked").await;
        shop.dispatcher.publish(Broken { order: "parked".to_owned() }).await.unwrap();
        for (order, word) in [("open", "has not ended"), ("parked", "is parked"), ("none", "does not exist")]
        {
            let why = shop.purge(order).await.unwrap_err();
            assert!(matches!(why, InstanceError::Declined(_)) && why.to_string().contains(word), "{why}");
        }
        shop.pulse().await;
        assert_eq!(shop.has("open").await, (true, true, true));
        assert_eq!(shop.has("parked").await, (true, true, true));
        assert_eq!(shop.audit().await.len(), 3, "each declined verb has its row");
    })
    .await;
}

#[tokio::test]
async fn r27_a_purge_of_an_instance_that_has_moved_on_is_declined() {
    let shop = Shop::open(&in_memory(), &ManualClock::default()).await;
    shop.place("a").await;
    shop.close("a").await;
    let old = shop.dispatcher.decide(at("a"), OperatorVerb::Purge, ada().at_step(1)).await.unwrap_err();
    assert!(matches!(old, InstanceError::Declined(DeclinedReason::MovedOn { .. })), "{old}");
}

/// Two short lives of one key end at the same step.
#[tokio::test]
async fn r27_a_purge_of_another_instance_with_the_same_key_is_declined() {
    let shop = Shop::open(&in_memory(), &ManualClock::default()).await;
    shop.place("a").await;
    shop.close("a").await;
    let seen = shop.kept.store().instance(&at("a")).await.unwrap().unwrap().instance;
    let ben = || ada().at_step(seen.seq).created_at(seen.created_at);
    shop.purge("a").await.unwrap();
    shop.pulse().await;
    shop.dispatcher.publish(Placed { order: "a".to_owned() }).await.unwrap();
    shop.close("a").await;
    let again = shop.kept.store().instance(&at("a")).await.unwrap().unwrap().instance;
    assert_eq!(again.seq, seen.seq, "the step says nothing");
    let why = shop.dispatcher.decide(at("a"), OperatorVerb::Purge, ben()).await.unwrap_err();
    assert!(matches!(why, InstanceError::Declined(DeclinedReason::Replaced { .. })), "{why}");
    shop.pulse().await;
    assert_eq!(shop.has("a").await, (true, true, true));
}

/// An event that waits at a paused saga would start the instance again with the same data.
#[tokio::test]
async fn r27_an_instance_with_waiting_events_is_not_purged() {
    let shop = Shop::open(&in_memory(), &ManualClock::default()).await;
    shop.place("a").await;
    shop.close("a").await;
    let saga = saga::PauseOf::Saga("order".to_owned());
    shop.dispatcher.operate(saga::StoreVerb::Pause(saga.clone()), ada()).await.unwrap();
    shop.dispatcher.publish(Placed { order: "a".to_owned() }).await.unwrap();
    let why = shop.purge("a").await.unwrap_err();
    assert!(why.to_string().contains("events wait for it in the inbox"), "{why}");
    shop.dispatcher.operate(saga::StoreVerb::Resume(saga), ada()).await.unwrap();
    shop.clock.idle().await;
    shop.purge("a").await.unwrap();
    shop.pulse().await;
    assert_eq!(shop.has("a").await, (false, false, false));
}

/// A retention without end does not keep what an operator has purged.
#[tokio::test]
async fn r27_a_purge_needs_no_retention() {
    let (kept, clock) = (in_memory(), ManualClock::default());
    let builder = kept.builder().saga::<OrderState>().clock(clock.clone());
    let dispatcher = builder.dedup_window(Duration::MAX).start().await.unwrap();
    let shop = Shop { dispatcher, kept, clock };
    shop.place("a").await;
    shop.close("a").await;
    shop.purge("a").await.unwrap();
    shop.pulse().await;
    assert_eq!(shop.has("a").await, (false, false, false));
}

/// The mark outlives a crash, and events that come before the removal do not withdraw it.
#[tokio::test]
async fn r27_a_purge_that_was_answered_happens_after_a_crash() {
    on_each_store(async |kept| {
        let clock = ManualClock::default();
        let shop = Shop::open(&kept, &clock).await;
        shop.place("a").await;
        shop.close("a").await;
        shop.purge("a").await.unwrap();
        shop.dispatcher.kill().await;
        let shop = Shop::open(&kept, &clock).await;
        assert_eq!(shop.has("a").await, (true, true, true));
        shop.close("a").await;
        shop.purge("a").await.unwrap();
        shop.close("a").await;
        shop.pulse().await;
        assert_eq!(shop.has("a").await, (false, false, false));
    })
    .await;
}

#[tokio::test]
async fn a_preview_tells_that_the_instance_would_be_removed() {
    let shop = Shop::open(&in_memory(), &ManualClock::default()).await;
    shop.place("a").await;
    let early = shop.dispatcher.preview(&at("a"), Proposed::Verb(OperatorVerb::Purge)).await.unwrap();
    assert!(!early.removed && early.declined.unwrap().contains("has not ended"));
    shop.close("a").await;
    let preview = shop.dispatcher.preview(&at("a"), Proposed::Verb(OperatorVerb::Purge)).await.unwrap();
    assert!(preview.removed && preview.declined.is_none());
}
