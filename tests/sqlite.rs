//! A dispatcher on a file: other processes that write to it, and what it is told when it cannot start.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::path::PathBuf;
use std::time::Duration;

use saga::error::{InstanceError, PublishError, StartError, chain};
use saga::prelude::*;
use saga::sqlite::{Durability, TransactionError, rusqlite};
use saga::store::{Address, DeadId, InboxId, Inspect, InstanceFilter, MailKind, Store, StoreError};
use saga::testing::ManualClock;
use saga::{
    Dispatcher, Disposition, Health, Key, MessageId, Operator, OperatorVerb, ParkReason, Position,
    SqliteStore,
};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "visit", version = 1, data(Visit), actions(VisitActions), on_abort(Gone))]
#[initially(when(Arrived, run(greet), transition_to(Inside)))]
#[unhandled(reject)]
pub enum VisitState {
    #[during(when(Left, transition_to(Outside)))]
    Inside,
    #[terminal]
    Outside,
    #[terminal(failure)]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    guest: String,
}

impl VisitActions for Visit {
    fn greet(event: &Arrived, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { guest: event.guest.clone() })
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "arrived", key(guest))]
pub struct Arrived {
    guest: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "left", key(guest))]
pub struct Left {
    guest: String,
}

fn arrived(guest: &str) -> Arrived {
    Arrived { guest: guest.to_owned() }
}

fn left(guest: &str) -> Left {
    Left { guest: guest.to_owned() }
}

struct House {
    dir: tempfile::TempDir,
    clock: ManualClock,
    dispatcher: Dispatcher,
}

impl House {
    async fn open() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
        let store = SqliteStore::options().busy_timeout(Duration::from_millis(1));
        let store = store.open(dir.path().join("house.db")).unwrap();
        let dispatcher = start(store, &clock).await.unwrap();
        Self { dir, clock, dispatcher }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("house.db")
    }

    /// Lets time pass, in step with the dispatcher, until `future` ends.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> T {
        tokio::pin!(future);
        loop {
            tokio::select! {
                biased;
                done = &mut future => return done,
                () = self.clock.advance_to_next() => {}
            }
        }
    }

    async fn settled(&self, guest: &str) -> Position<VisitState> {
        self.in_time(self.dispatcher.settled::<VisitState>(guest)).await.unwrap()
    }

    /// The result of an event, once it is taken up.
    async fn taken_up<E: Correlated>(&self, id: &MessageId, event: &E) -> Option<Disposition> {
        let receipt = self.in_time(self.dispatcher.taken_up(id, event)).await.unwrap()?;
        Some(receipt.consumers[0].disposition.clone())
    }
}

async fn start(store: SqliteStore, clock: &ManualClock) -> Result<Dispatcher, StartError> {
    Dispatcher::builder(store).saga::<VisitState>().clock(clock.clone()).start().await
}

#[tokio::test]
async fn callers_wait_while_another_process_holds_the_write_lock() {
    let house = House::open().await;
    let foreign = rusqlite::Connection::open(house.path()).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let publishing = tokio::spawn({
        let dispatcher = house.dispatcher.clone();
        async move { dispatcher.publish(arrived("ada")).await }
    });
    loop {
        let changed = house.dispatcher.health_changed();
        if matches!(house.dispatcher.health(), Health::Degraded { .. }) {
            break;
        }
        house.in_time(changed).await;
    }
    assert!(!publishing.is_finished(), "nobody is told anything before it is durable");
    foreign.execute_batch("ROLLBACK").unwrap();
    let receipt = house.in_time(publishing).await.unwrap().unwrap();
    assert_eq!(receipt.consumers[0].disposition, Disposition::Applied);
    assert_eq!(house.dispatcher.health(), Health::Running);
}

#[tokio::test]
async fn r23_what_another_process_publishes_in_its_transaction_is_taken_up() {
    let house = House::open().await;
    let elsewhere = SqliteStore::open(house.path()).unwrap();
    elsewhere
        .transaction(|tx| {
            tx.connection()?
                .execute_batch("CREATE TABLE guest (name TEXT); INSERT INTO guest VALUES ('ada')")?;
            tx.publish(&arrived("ada"))?;
            tx.publish(&left("ada"))
        })
        .unwrap();
    // It is looked for once a second.
    house.clock.advance(Duration::from_secs(1));
    house.clock.idle().await;
    assert_eq!(house.settled("ada").await, Position::In(VisitState::Outside));
}

#[tokio::test]
async fn r23_what_a_transaction_has_published_can_be_read_once_it_is_taken_up() {
    let house = House::open().await;
    let id = |text: &str| MessageId::new(text).unwrap();
    // By another process: its look once a second is not waited for.
    let elsewhere = SqliteStore::open(house.path()).unwrap();
    elsewhere.transaction(|tx| tx.publish_as(&id("m-1"), &arrived("ada"))).unwrap();
    assert_eq!(house.taken_up(&id("m-1"), &arrived("ada")).await, Some(Disposition::Taken));
    let ada = house.dispatcher.instance::<VisitState>("ada").await.unwrap().unwrap();
    assert_eq!(ada.position, Position::In(VisitState::Inside));

    elsewhere.transaction(|tx| tx.publish_as(&id("m-1"), &left("ada"))).unwrap();
    assert_eq!(
        house.taken_up(&id("m-1"), &left("ada")).await,
        Some(Disposition::Conflict),
        "the id was used"
    );
    assert_eq!(house.dispatcher.dead_letters(None).await.unwrap().len(), 1);

    let sold_out = |tx: &saga::sqlite::Transaction<'_>| {
        tx.publish_as(&id("m-2"), &left("ada"))?;
        Err::<(), TransactionError>(TransactionError::Application("not yet".into()))
    };
    elsewhere.transaction(sold_out).unwrap_err();
    assert_eq!(house.taken_up(&id("m-2"), &left("ada")).await, None, "it was rolled back");

    elsewhere.transaction(|tx| tx.publish_as(&id("m-3"), &left("ada"))).unwrap();
    assert_eq!(house.taken_up(&id("m-3"), &left("ada")).await, Some(Disposition::Taken));
    assert_eq!(house.settled("ada").await, Position::In(VisitState::Outside));
}

#[tokio::test]
async fn r26_a_repeated_transaction_delivers_once_and_leaves_nothing_in_the_inbox() {
    struct Bell(std::sync::Arc<std::sync::Mutex<u32>>);
    impl Subscriber<Rung> for Bell {
        async fn handle(&self, _: Rung, _: &HandlerContext) -> Result<(), HandlerError> {
            *self.0.lock().unwrap() += 1;
            Ok(())
        }
    }
    let (dir, clock, rung) =
        (tempfile::tempdir().unwrap(), ManualClock::default(), std::sync::Arc::default());
    let store = SqliteStore::open(dir.path().join("house.db")).unwrap();
    let dispatcher = Dispatcher::builder(store.clone())
        .subscriber::<Rung>("bell", Bell(std::sync::Arc::clone(&rung)))
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    let id = saga::MessageId::new("once").unwrap();
    for _ in 0..2 {
        store.transaction(|tx| tx.publish_as(&id, &Rung { door: "front".to_owned() })).unwrap();
    }
    let left = async || {
        let inbox = store.inbox(saga::store::InboxId(0), 10).await.unwrap().len();
        inbox + store.deliveries(saga::store::DeliveryId(0), 10).await.unwrap().len()
    };
    clock.idle().await;
    assert_eq!(left().await, 0);
    assert_eq!(*rung.lock().unwrap(), 1);
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "rung", key(door))]
pub struct Rung {
    door: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "knocked", key(door))]
pub struct Knocked {
    door: String,
    times: u32,
}

fn knocked(times: u32) -> Knocked {
    Knocked { door: "front".to_owned(), times }
}

#[tokio::test]
async fn r26_ten_thousand_conflicts_from_transactions_leave_one_dead_letter() {
    struct Porter;
    impl Subscriber<Knocked> for Porter {
        async fn handle(&self, _: Knocked, _: &HandlerContext) -> Result<(), HandlerError> {
            Ok(())
        }
    }
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let options = SqliteStore::options().durability(Durability::Relaxed);
    let store =
        options.transaction_limit(Duration::from_secs(600)).open(dir.path().join("house.db")).unwrap();
    let dispatcher = Dispatcher::builder(store.clone())
        .subscriber::<Knocked>("porter", Porter)
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    let id = saga::MessageId::new("one-id").unwrap();
    store.transaction(|tx| tx.publish_as(&id, &knocked(0))).unwrap();
    clock.idle().await;
    store.transaction(|tx| (1..=10_000).try_for_each(|times| tx.publish_as(&id, &knocked(times)))).unwrap();
    clock.idle().await;
    let letters = dispatcher.dead_letters(None).await.unwrap();
    let kept: Vec<_> =
        letters.iter().map(|row| (row.letter.times, row.letter.message.payload.as_str())).collect();
    assert_eq!(kept, [(10_000, r#"{"door":"front","times":1}"#)]);
    assert!(store.inbox(saga::store::InboxId(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn r23_an_operator_elsewhere_aborts_through_the_inbox() {
    let house = House::open().await;
    house.dispatcher.publish(arrived("ada")).await.unwrap();
    let elsewhere = SqliteStore::open(house.path()).unwrap();
    let abort = |guest: &str| {
        elsewhere.transaction(|tx| {
            tx.operate::<VisitState>(
                guest,
                OperatorVerb::Abort,
                Operator::new("the porter").because("the house is closed"),
            )
        })
    };
    abort("nobody").unwrap();
    abort("ada").unwrap();
    // It is looked for once a second.
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.settled("ada").await, Position::In(VisitState::Gone));
    let history = house.dispatcher.history::<VisitState>("ada").await.unwrap();
    let said = history.iter().any(|row| format!("{row:?}").contains("the porter"));
    assert!(said, "{history:?}");
    let error = abort("").unwrap_err();
    assert!(matches!(error, TransactionError::InstanceKey { saga: "visit", .. }), "{error}");
}

#[tokio::test]
async fn r23_a_verb_from_elsewhere_that_is_declined_is_answered_where_it_can_be_read() {
    let house = House::open().await;
    house.dispatcher.publish(arrived("ada")).await.unwrap();
    let elsewhere = SqliteStore::open(house.path()).unwrap();
    for guest in ["ada", "nobody"] {
        elsewhere
            .transaction(|tx| {
                tx.operate::<VisitState>(
                    guest,
                    OperatorVerb::Skip,
                    Operator::new("the porter").because("it is stuck"),
                )
            })
            .unwrap();
    }
    // It is looked for once a second.
    house.clock.advance(Duration::from_secs(1));
    house.clock.idle().await;
    assert!(elsewhere.inbox(InboxId(0), 10).await.unwrap().is_empty(), "both are answered");

    let ada = Address::new("visit", Key::new("ada").unwrap());
    let history = elsewhere.history(&ada, 10).await.unwrap();
    assert_eq!(
        history.iter().map(|row| row.entry.kind.as_str()).collect::<Vec<_>>(),
        ["started", "declined"]
    );
    let answer = &history[1].entry;
    assert_eq!((&*answer.name, answer.cause.as_deref()), ("skip", Some("the porter")));
    assert_eq!(answer.note.as_deref(), Some("visit `ada` is not parked; `skip` needs a parked instance"));

    let letter = elsewhere.dead_letters(DeadId(0), 10).await.unwrap().remove(0);
    assert_eq!((letter.letter.kind, letter.letter.reason.as_str()), (MailKind::Verb, "declined"));
    assert_eq!(
        letter.letter.detail,
        "visit `nobody` does not exist; the verb was requested by the porter: it is stuck"
    );
    let again = house.dispatcher.redrive(letter.id, Operator::new("op")).await.unwrap_err();
    assert_eq!(again.to_string(), "a declined verb cannot be delivered again; request the verb again");

    // Whoever asks the dispatcher itself is answered by it, and nothing is written.
    house
        .dispatcher
        .skip::<VisitState>("ada", Operator::new("the porter").because("it is stuck"))
        .await
        .unwrap_err();
    assert_eq!(elsewhere.history(&ada, 10).await.unwrap().len(), 2);
    let ada = house.dispatcher.instance::<VisitState>("ada").await.unwrap().unwrap();
    assert_eq!(ada.position, Position::In(VisitState::Inside), "it goes on");
}

#[tokio::test]
async fn a_reason_that_cannot_be_read_is_a_line_of_the_list_and_harms_no_other() {
    let house = House::open().await;
    for guest in ["ada", "bob", "cyd"] {
        house.dispatcher.publish(arrived(guest)).await.unwrap();
    }
    let foreign = rusqlite::Connection::open(house.path()).unwrap();
    for (guest, reason) in
        [("ada", "'{\"parked\":[],'"), ("bob", "CAST(x'7b227061726b6564223a22ff222c' AS TEXT)")]
    {
        let park = format!(
            "UPDATE saga_instance SET parked = 1, body = {reason} || substr(body, 2) WHERE key = '{guest}'"
        );
        foreign.execute_batch(&park).unwrap();
    }
    let mut filter = InstanceFilter::default();
    filter.parked = Some(true);
    let list = house.dispatcher.store().instances(&filter).await.unwrap().instances;
    assert_eq!(list.iter().map(|line| line.address.key.text()).collect::<Vec<_>>(), ["ada", "bob"]);
    for line in list {
        let parked = line.parked.expect("it is parked");
        assert_eq!((parked.reason, parked.since), (ParkReason::Unreadable, line.changed_at));
        let said = parked.to_string();
        assert!(said.starts_with("this build cannot read a stored value: the parking record "), "{said}");
    }
}

#[tokio::test]
async fn a_second_dispatcher_on_the_file_is_told_who_holds_it() {
    let house = House::open().await;
    let second = start(SqliteStore::open(house.path()).unwrap(), &house.clock).await.unwrap_err();
    let said = chain(&second).to_string();
    assert!(said.contains("house.db") && said.contains(&std::process::id().to_string()), "{said}");
    house.dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
    let dir = house.dir;
    let store = SqliteStore::open(dir.path().join("house.db")).unwrap();
    start(store, &house.clock).await.unwrap().shutdown(Duration::from_secs(1)).await.unwrap();
}

/// What becomes of the file while it is open: nobody will find in it what is written to it from then on.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Deleted,
    Replaced,
}

impl Gone {
    fn happen(self, house: &House) {
        let path = house.path();
        match self {
            Self::Deleted => std::fs::remove_file(path).unwrap(),
            Self::Replaced => {
                let copy = house.dir.path().join("backup.db");
                std::fs::copy(&path, &copy).unwrap();
                std::fs::rename(copy, path).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_answered_from_a_file_that_is_gone() {
    for gone in [Gone::Deleted, Gone::Replaced] {
        let house = House::open().await;
        house.dispatcher.publish(arrived("ada")).await.unwrap();
        // Opens a connection for reading and one for transactions, which both stay open.
        house.dispatcher.instance::<VisitState>("ada").await.unwrap().unwrap();
        let store = SqliteStore::open(house.path()).unwrap();
        store.transaction(|_| Ok(())).unwrap();
        gone.happen(&house);

        let read = house.dispatcher.instance::<VisitState>("bob").await;
        assert!(matches!(read, Err(InstanceError::Store(StoreError::Moved { .. }))), "{gone:?}: {read:?}");
        let list = house.dispatcher.store().dead_letters(DeadId(0), 10).await;
        assert!(matches!(list, Err(StoreError::Moved { .. })), "{gone:?}: {list:?}");
        let transaction = store.transaction(|tx| tx.publish(&arrived("bob")).map(drop));
        assert!(matches!(transaction, Err(TransactionError::Store(StoreError::Moved { .. }))), "{gone:?}");
        let published = house.dispatcher.publish(arrived("bob")).await;
        assert!(matches!(published, Err(PublishError::Unknown { .. })), "{gone:?}: {published:?}");
        let Health::Stopped { why, .. } = house.dispatcher.health() else { panic!("{gone:?}: it goes on") };
        assert!(why.contains("deleted or replaced"), "{why}");
    }
}

#[tokio::test]
async fn a_step_whose_file_goes_away_is_not_answered_as_stored() {
    let house = House::open().await;
    house.dispatcher.publish(arrived("ada")).await.unwrap();
    Gone::Deleted.happen(&house);
    // The instance is in memory, so the step is written without reading.
    let published = house.dispatcher.publish(left("ada")).await;
    assert!(matches!(published, Err(PublishError::Unknown { .. })), "{published:?}");
    let ended = house.dispatcher.shutdown(Duration::from_secs(1)).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn a_file_that_vanished_stops_the_dispatcher_and_says_so() {
    let house = House::open().await;
    std::fs::remove_file(house.path()).unwrap();
    let changed = house.dispatcher.health_changed();
    // It is looked for once a second.
    house.clock.advance(Duration::from_secs(1));
    let health = changed.await;
    let Health::Stopped { why, .. } = health else { panic!("{health:?}") };
    assert!(why.contains("house.db"), "{why}");
}
