//! Children: fan-out with a limit, joining, partial failure, and what happens to them when their parent turns (R21).

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::{DeadLetterReason, HistoryKind};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::StartError;
use saga::prelude::*;
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{
    AllFinished, ChildEnd, ChildParked, Dispatcher, Disposition, Finished, Operator, ParkReason, Position,
    SqliteStore,
};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "batch", version = 1, data(Batch), actions(BatchActions), on_abort(CalledOff))]
#[initially(when(
    BatchPlaced,
    run(place),
    send(BookTruck, undo(CancelTruck)),
    start(ParcelState, each, limit = 2, with(parcels)),
    transition_to(Packing)
))]
#[during_any(when(Cancelled, compensate, transition_to(CalledOff)))]
#[unhandled(ignore)]
pub enum BatchState {
    #[during(
        when(all_finished(ParcelState), run(sum), publish(BatchPacked), transition_to(Packed)),
        when(parked(ParcelState), run(worry), stay),
        when(Hurried, transition_to(Packed)),
        when(Paused, transition_to(OnHold))
    )]
    Packing,
    #[during(when(Resumed, transition_to(Packing)))]
    OnHold,
    #[terminal]
    Packed,
    #[terminal(failure)]
    CalledOff,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    parcels: Vec<String>,
    worries: Vec<String>,
    delivered: u32,
    lost: u32,
}

impl BatchActions for Batch {
    fn place(event: &BatchPlaced, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { parcels: event.parcels.clone(), ..Self::default() })
    }
    fn book_truck(&self, _: &BatchPlaced, cx: &mut Context) -> BookTruck {
        BookTruck { batch: cx.key().to_owned() }
    }
    fn cancel_truck(&self, command: &BookTruck, _: &mut Context) -> CancelTruck {
        CancelTruck { batch: command.batch.clone() }
    }
    fn parcels(&self, _: &BatchPlaced, _: &mut Context) -> Vec<ParcelOrdered> {
        self.parcels.iter().map(|parcel| ParcelOrdered { parcel: parcel.clone() }).collect()
    }
    fn sum(&mut self, all: &AllFinished, _: &mut Context) -> ActionResult<()> {
        (self.delivered, self.lost) = (all.completed, all.failed + all.aborted);
        Ok(())
    }
    fn worry(&mut self, parked: &ChildParked, _: &mut Context) -> ActionResult<()> {
        self.worries.push(parked.key.to_string());
        Ok(())
    }
    fn batch_packed(&self, _: &AllFinished, cx: &mut Context) -> BatchPacked {
        BatchPacked { batch: cx.key().to_owned(), delivered: self.delivered }
    }
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "parcel", version = 1, data(Parcel), actions(ParcelActions))]
#[initially(when(ParcelOrdered, run(order), send(Ship, undo(TakeBack)), transition_to(Shipping)))]
pub enum ParcelState {
    #[during(
        when(Shipped, transition_to(Delivered)),
        when(failed(Ship), transition_to(Lost)),
        when(unknown(Ship), park)
    )]
    #[unhandled(ignore)]
    Shipping,
    #[terminal]
    Delivered,
    #[terminal(failure)]
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    name: String,
}

impl ParcelActions for Parcel {
    fn order(event: &ParcelOrdered, _: &mut Context) -> ActionResult<Self> {
        if event.parcel == "nothing" {
            return Err("there is nothing in it".into());
        }
        Ok(Self { name: event.parcel.clone() })
    }
    fn ship(&self, _: &ParcelOrdered, _: &mut Context) -> Ship {
        Ship { parcel: self.name.clone() }
    }
    fn take_back(&self, command: &Ship, _: &mut Context) -> TakeBack {
        TakeBack { parcel: command.parcel.clone() }
    }
}

/// Hears of every child by itself, and lets others go their way.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "pair", version = 1, data(Pair), actions(PairActions))]
#[initially(when(
    PairPlaced,
    run(place),
    start(ParcelState, each, with(both)),
    start(BatchState, detached, with(elsewhere)),
    transition_to(Waiting)
))]
#[unhandled(ignore)]
pub enum PairState {
    #[during(
        when(finished(ParcelState), guard(lost), compensate, transition_to(Apart)),
        when(finished(ParcelState), run(count), stay),
        when(all_finished(ParcelState), transition_to(Together))
    )]
    Waiting,
    #[terminal]
    Together,
    #[terminal(failure)]
    Apart,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    there: Vec<String>,
}

impl PairActions for Pair {
    fn place(_: &PairPlaced, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { there: Vec::new() })
    }
    fn both(&self, _: &PairPlaced, _: &mut Context) -> Vec<ParcelOrdered> {
        ["left", "right"].into_iter().map(|parcel| ParcelOrdered { parcel: parcel.to_owned() }).collect()
    }
    fn elsewhere(&self, _: &PairPlaced, cx: &mut Context) -> BatchPlaced {
        BatchPlaced { batch: format!("of {}", cx.key()), parcels: Vec::new() }
    }
    fn lost(&self, child: &Finished<ParcelState>, _: &Context) -> bool {
        child.state == ParcelState::Lost
    }
    fn count(&mut self, child: &Finished<ParcelState>, _: &mut Context) -> ActionResult<()> {
        assert_eq!(child.end, ChildEnd::Completed);
        self.there.push(child.data.name.clone());
        Ok(())
    }
}

macro_rules! events {
    ($($name:ident $wire:literal $key:ident { $($field:ident: $ty:ty),* })*) => {$(
        #[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[event(name = $wire, key($key))]
        pub struct $name { $key: String, $($field: $ty),* }
    )*};
}
events! {
    BatchPlaced "batch.placed" batch { parcels: Vec<String> }
    Cancelled "batch.cancelled" batch {}
    Hurried "batch.hurried" batch {}
    Paused "batch.paused" batch {}
    Resumed "batch.resumed" batch {}
    BatchPacked "batch.packed" batch { delivered: u32 }
    ParcelOrdered "parcel.ordered" parcel {}
    PairPlaced "pair.placed" pair {}
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "parcel.shipped")]
pub struct Shipped {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ship", replies(Shipped))]
pub struct Ship {
    parcel: String,
}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "take-back")]
pub struct TakeBack {
    parcel: String,
}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "truck.book")]
pub struct BookTruck {
    batch: String,
}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "truck.cancel")]
pub struct CancelTruck {
    batch: String,
}

fn placed(parcels: &[&str]) -> BatchPlaced {
    BatchPlaced { batch: "test".to_owned(), parcels: parcels.iter().map(|&name| name.to_owned()).collect() }
}

fn given(parcels: &[&str]) -> Given<BatchState> {
    Given::started(placed(parcels)).done::<BookTruck>()
}

fn parcel(name: &str) -> Parcel {
    Parcel { name: name.to_owned() }
}

fn hurried() -> Hurried {
    Hurried { batch: "test".to_owned() }
}

// As plain functions.

#[test]
fn r21_children_start_up_to_the_limit_and_the_next_when_one_has_ended() {
    let started = |batch: &Given<BatchState>| -> Vec<String> {
        batch.started_children::<ParcelOrdered>().into_iter().map(|event| event.parcel).collect()
    };
    let batch = given(&["a", "b", "c", "d"]);
    assert_eq!(started(&batch), ["a", "b"]);
    assert_eq!(batch.children::<ParcelState>(), ["a", "b", "c", "d"]);
    let batch = batch.child_finished("b", ParcelState::Delivered, parcel("b"));
    assert_eq!(started(&batch), ["a", "b", "c"]);
    assert_eq!(batch.children::<ParcelState>(), ["a", "c", "d"]);
}

#[test]
fn r21_all_finished_follows_the_last_end_in_its_step_and_counts_them() {
    let batch = given(&["a", "b", "c"])
        .child_finished("a", ParcelState::Delivered, parcel("a"))
        .child_finished("b", ParcelState::Lost, parcel("b"));
    assert_eq!(batch.state(), &BatchState::Packing);
    let steps = batch.history().len();
    let batch = batch.child_finished("c", ParcelState::Shipping, parcel("c"));
    assert_eq!(batch.state(), &BatchState::Packed, "one that ended in no end was aborted");
    assert_eq!((batch.data().delivered, batch.data().lost), (1, 2));
    assert_eq!(batch.history().len(), steps + 1, "{:?}", batch.history());
}

#[test]
fn r21_when_there_are_none_all_finished_follows_at_once() {
    let batch = given(&[]);
    assert_eq!(batch.state(), &BatchState::Packed);
    assert_eq!(batch.published::<BatchPacked>(), [BatchPacked { batch: "test".to_owned(), delivered: 0 }]);
}

#[test]
fn r21_a_row_of_its_own_hears_of_each_and_all_finished_follows() {
    let pair = Given::<PairState>::started(PairPlaced { pair: "test".to_owned() });
    assert_eq!(pair.started_children::<BatchPlaced>()[0].batch, "of test", "detached, and not waited for");
    let pair = pair.child_finished("right", ParcelState::Delivered, parcel("right"));
    assert_eq!(pair.state(), &PairState::Waiting);
    let pair = pair.child_finished("left", ParcelState::Delivered, parcel("left"));
    assert_eq!(pair.data().there, ["right", "left"]);
    assert_eq!(pair.state(), &PairState::Together);
}

#[test]
fn r21_a_row_may_turn_by_the_end_of_one_and_the_others_are_aborted_and_awaited() {
    let pair = Given::<PairState>::started(PairPlaced { pair: "test".to_owned() });
    let pair = pair.child_finished("left", ParcelState::Lost, parcel("left"));
    assert_eq!(pair.aborted_children(), ["right"]);
    let waiting = pair.position();
    assert!(
        matches!(&waiting, Position::Compensating { waiting_for: Some(child), .. } if child == "parcel"),
        "{waiting:?}"
    );
    let pair = pair.child_finished("right", ParcelState::Shipping, parcel("right"));
    assert_eq!(pair.state(), &PairState::Apart);
}

#[test]
fn r21_a_turn_aborts_its_children_and_awaits_them_before_the_first_undo() {
    let batch = given(&["a", "b", "c"]).when(Cancelled { batch: "test".to_owned() });
    assert_eq!(batch.aborted_children(), ["a", "b"], "the third had not been started");
    assert_eq!(batch.children::<ParcelState>(), ["a", "b"]);
    assert_eq!(batch.sent::<CancelTruck>(), []);
    let batch = batch.child_finished("a", ParcelState::Shipping, parcel("a"));
    assert_eq!(batch.sent::<CancelTruck>(), []);
    let batch = batch.child_finished("b", ParcelState::Delivered, parcel("b"));
    assert_eq!(batch.sent::<CancelTruck>().len(), 1);
    assert_eq!(batch.state(), &BatchState::CalledOff);
}

#[test]
fn r21_parked_is_a_notice_and_not_an_end() {
    let batch = given(&["a", "b"]).child_parked::<ParcelState>("a", "unknown(Ship)");
    assert_eq!(batch.data().worries, ["a"]);
    assert_eq!(batch.children::<ParcelState>(), ["a", "b"]);
    let batch = batch.when(Paused { batch: "test".to_owned() }).child_parked::<ParcelState>("b", "again");
    assert_eq!(batch.data().worries, ["a"], "no row takes it here");
    assert_eq!(batch.parked(), None, "and that is no reason to park");
}

#[test]
fn r21_a_parent_enters_no_end_while_children_run() {
    let batch = given(&["a"]).when(hurried());
    let why = batch.parked().unwrap();
    assert!(why.contains("children of `parcel` have not ended"), "{why}");
    assert_eq!(batch.state(), &BatchState::Packing);
    let batch = batch.skip();
    assert_eq!(
        batch.dead_letters()[0].reason,
        DeadLetterReason::Skipped,
        "to be redriven when they have ended"
    );
    let batch = batch.child_finished("a", ParcelState::Delivered, parcel("a"));
    assert_eq!(batch.state(), &BatchState::Packed);
}

#[test]
fn r03_an_end_that_no_row_takes_parks() {
    let batch = given(&["a", "b"]).when(Paused { batch: "test".to_owned() });
    let batch = batch.child_finished("a", ParcelState::Delivered, parcel("a"));
    let why = batch.parked().unwrap();
    assert!(
        why.contains("no row takes the outcome: `on-hold` has no row for finished(ParcelState)"),
        "{why}"
    );
    let batch = batch.skip().when(Resumed { batch: "test".to_owned() });
    assert_eq!(batch.children::<ParcelState>(), ["b"]);
    let batch = batch.child_finished("b", ParcelState::Delivered, parcel("b"));
    assert_eq!(batch.data().delivered, 2, "what was skipped is counted");
}

#[test]
fn r21_what_has_ended_before_is_not_forgotten_when_its_state_comes() {
    let batch = given(&["a"]).when(Paused { batch: "test".to_owned() });
    let batch = batch.child_finished("a", ParcelState::Delivered, parcel("a")).skip();
    assert_eq!(batch.state(), &BatchState::OnHold);
    let batch = batch.when(Resumed { batch: "test".to_owned() });
    assert_eq!(batch.state(), &BatchState::Packed, "all had ended when it came back");
}

#[test]
fn r21_a_child_that_did_not_start_waits_for_a_person() {
    let batch = given(&["a", "b"]).child_not_started::<ParcelState>("a", "there is nothing in it");
    let why = batch.parked().unwrap();
    assert_eq!(why, "a child did not start: parcel `a`: there is nothing in it");
    let batch = batch.skip().child_finished("b", ParcelState::Delivered, parcel("b"));
    assert_eq!((batch.data().delivered, batch.data().lost), (1, 1));
}

#[test]
fn r15_an_aborted_parent_aborts_its_children_too() {
    let batch = given(&["a"]).abort("closed");
    assert_eq!(batch.aborted_children(), ["a"]);
    let batch = batch.child_finished("a", ParcelState::Shipping, parcel("a"));
    assert_eq!(batch.state(), &BatchState::CalledOff);
}

// In the dispatcher.

/// Ships what it is told to, and holds the rest.
#[derive(Clone, Default)]
struct Carrier {
    calls: Arc<Mutex<Calls>>,
}

#[derive(Default)]
struct Calls {
    held: BTreeSet<String>,
    lost: BTreeSet<String>,
    shipping: BTreeSet<String>,
    most: usize,
    log: Vec<String>,
}

impl Handler<Ship> for Carrier {
    async fn handle(&self, command: Ship, _: &HandlerContext) -> HandlerResult<Ship> {
        {
            let mut calls = self.calls.lock().unwrap();
            calls.shipping.insert(command.parcel.clone());
            calls.most = calls.most.max(calls.shipping.len());
        }
        while self.calls.lock().unwrap().held.contains(&command.parcel) {
            tokio::task::yield_now().await;
        }
        let mut calls = self.calls.lock().unwrap();
        calls.shipping.remove(&command.parcel);
        if calls.lost.contains(&command.parcel) {
            return Err(HandlerError::refused("it fell off"));
        }
        calls.log.push(format!("shipped {}", command.parcel));
        Ok(Shipped {}.into())
    }
}

impl Handler<TakeBack> for Carrier {
    async fn handle(&self, command: TakeBack, _: &HandlerContext) -> HandlerResult<TakeBack> {
        self.calls.lock().unwrap().log.push(format!("took back {}", command.parcel));
        Ok(Done.into())
    }
}

impl Handler<BookTruck> for Carrier {
    async fn handle(&self, _: BookTruck, _: &HandlerContext) -> HandlerResult<BookTruck> {
        Ok(Done.into())
    }
}

impl Handler<CancelTruck> for Carrier {
    async fn handle(&self, _: CancelTruck, _: &HandlerContext) -> HandlerResult<CancelTruck> {
        self.calls.lock().unwrap().log.push("cancelled the truck".to_owned());
        Ok(Done.into())
    }
}

impl Subscriber<BatchPacked> for Carrier {
    async fn handle(&self, event: BatchPacked, _: &HandlerContext) -> Result<(), HandlerError> {
        self.calls.lock().unwrap().log.push(format!("packed {}", event.delivered));
        Ok(())
    }
}

struct Depot {
    store: SqliteStore,
    clock: ManualClock,
    carrier: Carrier,
    _dir: tempfile::TempDir,
}

impl Depot {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("depot.db")).unwrap();
        Self { store, clock: ManualClock::default(), carrier: Carrier::default(), _dir: dir }
    }

    async fn open(&self) -> Dispatcher {
        // So small a cache keeps no parent that waits for its children.
        Dispatcher::builder(self.store.clone())
            .saga::<BatchState>()
            .saga::<ParcelState>()
            .handler::<Ship>(self.carrier.clone())
            .handler::<TakeBack>(self.carrier.clone())
            .handler::<BookTruck>(self.carrier.clone())
            .handler::<CancelTruck>(self.carrier.clone())
            .subscriber::<BatchPacked>("log", self.carrier.clone())
            .cache_bytes(0)
            .clock(self.clock.clone())
            .start()
            .await
            .unwrap()
    }

    fn hold(&self, parcels: &[&str]) {
        self.carrier.calls.lock().unwrap().held = parcels.iter().map(|&name| name.to_owned()).collect();
    }

    async fn shipping(&self, count: usize) {
        while self.carrier.calls.lock().unwrap().shipping.len() < count {
            tokio::task::yield_now().await;
        }
    }

    fn log(&self) -> Vec<String> {
        self.carrier.calls.lock().unwrap().log.clone()
    }
}

#[tokio::test]
async fn r21_a_batch_survives_a_crash_and_never_runs_more_than_its_limit() {
    let depot = Depot::new();
    let dispatcher = depot.open().await;
    depot.hold(&["c", "d"]);
    depot.carrier.calls.lock().unwrap().lost.insert("e".to_owned());
    dispatcher.publish(placed(&["a", "b", "c", "d", "e", "f"])).await.unwrap();
    while depot.log().len() < 2 {
        tokio::task::yield_now().await;
    }
    depot.shipping(2).await;
    dispatcher.kill().await;
    depot.carrier.calls.lock().unwrap().shipping.clear();

    let dispatcher = depot.open().await;
    depot.hold(&[]);
    let position = dispatcher.settled::<BatchState>("test").await.unwrap();
    assert_eq!(position, Position::In(BatchState::Packed));
    let batch = dispatcher.instance::<BatchState>("test").await.unwrap().unwrap().data;
    assert_eq!((batch.delivered, batch.lost), (5, 1));
    assert_eq!(depot.carrier.calls.lock().unwrap().most, 2);
    let lost = dispatcher.instance::<ParcelState>("e").await.unwrap().unwrap();
    assert_eq!(lost.position, Position::In(ParcelState::Lost));
    while !depot.log().contains(&"packed 5".to_owned()) {
        tokio::task::yield_now().await;
    }
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn r21_whatever_the_moment_of_a_crash_each_child_is_counted_once() {
    let mut cut = 0;
    for moment in 0..40 {
        let depot = Depot::new();
        depot.carrier.calls.lock().unwrap().lost.insert("c".to_owned());
        let dispatcher = depot.open().await;
        dispatcher.publish(placed(&["a", "b", "c", "d", "e"])).await.unwrap();
        for _ in 0..moment * 25 {
            tokio::task::yield_now().await;
        }
        dispatcher.kill().await;
        let dispatcher = depot.open().await;
        let before = dispatcher.instance::<BatchState>("test").await.unwrap().unwrap();
        cut += u32::from(before.position == Position::In(BatchState::Packing));
        let position = dispatcher.settled::<BatchState>("test").await.unwrap();
        assert_eq!(position, Position::In(BatchState::Packed), "crash at {moment}");
        let batch = dispatcher.instance::<BatchState>("test").await.unwrap().unwrap().data;
        assert_eq!((batch.delivered, batch.lost), (4, 1), "crash at {moment}");
        dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
    }
    assert!(cut > 0, "no crash came in the middle");
}

#[tokio::test]
async fn r21_a_turn_of_the_parent_undoes_the_children_first() {
    let depot = Depot::new();
    let dispatcher = depot.open().await;
    depot.hold(&["a", "b"]);
    dispatcher.publish(placed(&["a", "b", "c"])).await.unwrap();
    depot.shipping(2).await;
    let cancelled = dispatcher.publish(Cancelled { batch: "test".to_owned() }).await.unwrap();
    assert_eq!(cancelled.consumers[0].disposition, Disposition::Applied);
    depot.hold(&[]);
    let position = dispatcher.settled::<BatchState>("test").await.unwrap();
    assert_eq!(position, Position::In(BatchState::CalledOff));
    let mut log = depot.log();
    assert_eq!(log.pop().unwrap(), "cancelled the truck", "after everything else: {log:?}");
    for name in ["a", "b"] {
        assert!(log.contains(&format!("took back {name}")), "{log:?}");
        let child = dispatcher.instance::<ParcelState>(name).await.unwrap().unwrap();
        assert_eq!(child.position, Position::Aborted);
    }
    assert!(dispatcher.instance::<ParcelState>("c").await.unwrap().is_none(), "it was never started");
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn r21_a_child_that_cannot_start_is_reported_to_its_parent() {
    for (parcels, why) in [
        (["nothing", "a"], "there is nothing in it"),
        (["taken", "a"], "parcel `taken` already exists and is not a child of this parent"),
    ] {
        let depot = Depot::new();
        let dispatcher = depot.open().await;
        dispatcher.publish(ParcelOrdered { parcel: "taken".to_owned() }).await.unwrap();
        dispatcher.settled::<ParcelState>("taken").await.unwrap();
        dispatcher.publish(placed(&parcels)).await.unwrap();
        let position = dispatcher.settled::<BatchState>("test").await.unwrap();
        let Position::Parked { reason, detail, .. } = position else { panic!("{position:?}") };
        assert_eq!(reason, ParkReason::ChildNotStarted);
        assert!(detail.contains(why), "{detail}");
        let taken = dispatcher.history::<ParcelState>("taken").await.unwrap();
        let ignored = taken.iter().filter(|line| line.entry.kind == HistoryKind::Ignored);
        let notes: Vec<Option<&str>> = ignored.map(|line| line.entry.note.as_deref()).collect();
        assert!(notes.iter().all(|note| *note == Some("the instance has ended")), "{notes:?}");
        assert_eq!(notes.len(), usize::from(parcels[0] == "taken"));
        dispatcher
            .skip::<BatchState>("test", Operator::new("op").because("it does not matter"))
            .await
            .unwrap();
        let position = dispatcher.settled::<BatchState>("test").await.unwrap();
        assert_eq!(position, Position::In(BatchState::Packed));
        dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
    }
}

/// A parcel with the key of a child that was not started is no child, so its order is not undone with the batch.
#[tokio::test]
async fn r21_a_parent_aborts_only_its_own_child() {
    let depot = Depot::new();
    let dispatcher = depot.open().await;
    let operator = || Operator::new("op").because("the truck is broken");
    let ship = saga::PauseOf::Handler(<Ship as Command>::NAME.to_owned());
    dispatcher.operate(saga::StoreVerb::Pause(ship), operator()).await.unwrap();
    dispatcher.publish(ParcelOrdered { parcel: "taken".to_owned() }).await.unwrap();
    dispatcher.publish(placed(&["taken", "a"])).await.unwrap();
    let parked =
        |batch: &saga::Instance<BatchState>| matches!(batch.position, Position::Parked { .. }).then_some(());
    dispatcher.wait_for::<BatchState, _>("test", Duration::from_secs(60), parked).await.unwrap();
    dispatcher.abort::<BatchState>("test", operator()).await.unwrap();
    let ended = |parcel: &saga::Instance<ParcelState>| {
        (parcel.position != Position::In(ParcelState::Shipping)).then_some(())
    };
    let own = dispatcher.wait_for::<ParcelState, _>("a", Duration::from_secs(60), ended).await;
    own.expect("its own child is aborted");
    let other = dispatcher.instance::<ParcelState>("taken").await.unwrap().unwrap();
    assert_eq!(other.position, Position::In(ParcelState::Shipping));
    let over = |batch: &saga::Instance<BatchState>| {
        let open = matches!(batch.position, Position::Compensating { .. } | Position::Parked { .. });
        (!open && batch.position != Position::In(BatchState::Packing)).then_some(())
    };
    let batch = dispatcher.wait_for::<BatchState, _>("test", Duration::from_secs(60), over).await;
    batch.expect("the batch does not wait for the other parcel");
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn r21_start_refuses_a_parent_without_the_saga_of_its_children() {
    let depot = Depot::new();
    let started = Dispatcher::builder(depot.store.clone())
        .saga::<BatchState>()
        .handler::<BookTruck>(depot.carrier.clone())
        .handler::<CancelTruck>(depot.carrier.clone())
        .subscriber::<BatchPacked>("log", depot.carrier.clone())
        .start()
        .await;
    let Err(StartError::Registration { problems }) = started else { panic!("it started") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["saga `parcel`, which saga `batch` starts, is not registered: add `.saga::<ParcelState>()`"]
    );
}
