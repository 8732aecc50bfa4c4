//! The move of everything from one store to another: the same rows, also after a death at each commit, and never two stores
//! that advance.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![allow(clippy::duplicated_attributes)] // Two starting rows share words.

#[path = "support/faulty.rs"]
mod faulty;
#[cfg(feature = "postgres")]
#[path = "../saga-postgres/tests/support/mod.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faulty::{Faulty, Side};
use saga::prelude::*;
use saga::store::{
    AliasChange, AuditEntry, AuditFilter, ConsumerRow, DeadId, DeadLetter, DeadLetterReason, DeliveryChange,
    DeliveryId, InboxId, InstanceFilter, Loaded, MailKind, MemoryStore, ObligationChange, Pause, PauseChange,
    Relocation, RelocationError, Step, Store, TaskChange, TimerChange,
};
use saga::testing::ManualClock;
use saga::testing::conformance::{
    Driver, address, create, dedup_record, delivery, labelled, mail, next, obligation, payload, task, time,
    timer,
};
use saga::{Alias, Dispatcher, LabelValue, PauseOf, Position, SqliteStore, StoreVerb};

/// How many instances the store has besides the special ones.
const MANY: usize = 120;

/// Fills a store with rows of each kind, under a lease that ends cleanly.
async fn fill(store: Arc<dyn Store>) {
    let mut driver = Driver::lease(Arc::clone(&store)).await;
    let consumer = |event: &str, consumer: &str, subscriber| ConsumerRow {
        event: event.to_owned(),
        consumer: consumer.to_owned(),
        subscriber,
    };
    let consumers = [consumer("order.placed", "order", false), consumer("order.completed", "mailer", true)];
    store.register(&consumers).await.unwrap();
    let mut first = labelled(create(&address("special")), "customer", Some(LabelValue::text("C-7")));
    first.aliases = vec![AliasChange::Claim(Alias::new("one").unwrap())];
    let change = first.instance.as_mut().unwrap();
    (change.parked, change.data) = (Some(payload("why")), "{\"cents\":12345678901234567890.10}".into());
    let mut failing = task(1, 0);
    (failing.progress.attempts, failing.progress.error) = (3, Some("reset".to_owned()));
    failing.progress.epoch = driver.lease.epoch;
    first.tasks = vec![TaskChange::Add(failing), TaskChange::Add(task(1, 1))];
    first.timers = vec![TimerChange::Set(timer("due", 9))];
    first.obligations = vec![ObligationChange::Put(obligation(1, 0))];
    let row = driver.created(first.clone()).await;
    let mut before = first.instance.unwrap();
    for lines in [2, 0, 1] {
        let mut step = next(row, &before);
        step.history = vec![step.history[0].clone(); lines];
        before = step.instance.clone().unwrap();
        driver.committed(step).await;
    }
    for n in 0..MANY {
        driver.created(create(&address(&format!("k{n:03}")))).await;
    }
    let letter = |n: i64| {
        let message = mail(&address("a"), "m").message;
        DeadLetter {
            detail: format!("letter {n}"),
            ..DeadLetter::new(address("a"), MailKind::Event, message, DeadLetterReason::Unhandled, time(n))
        }
    };
    let entry = |n: i64| AuditEntry {
        at: time(n),
        who: "ada".to_owned(),
        why: format!("ticket {n}"),
        verb: "retry".into(),
        to: Some(address("special")),
        object: String::new(),
        payload: None,
        declined: None,
        request: None,
    };
    let pause = |of| {
        let (who, why) = ("ada".to_owned(), "slow".to_owned());
        PauseChange::Pause(Pause { of, who, why, at: time(3) })
    };
    let pauses = vec![
        pause(PauseOf::Handler("pay".to_owned())),
        pause(PauseOf::Handler("mailer".to_owned())),
        pause(PauseOf::Saga("order".to_owned())),
    ];
    driver
        .committed(Step {
            dedup: (0..150).map(|n| dedup_record(&address("a"), &format!("id {n}"), 7, n)).collect(),
            dead: (0..130).map(letter).collect(),
            audit: (0..130).map(entry).collect(),
            pauses,
            deliveries: (0..130).map(|n| DeliveryChange::Add(delivery(&format!("d{n}")))).collect(),
            mail: (0..130).map(|n| mail(&address("special"), &format!("m{n}"))).collect(),
            ..Step::default()
        })
        .await;
    store.release(&driver.lease).await.unwrap();
}

/// Everything in a store, without the numbers of rows and the epochs.
async fn everything(store: &dyn Store) -> Vec<String> {
    let mut all = vec![
        format!("{:?}", store.counts().await.unwrap()),
        format!("{:?}", store.consumers().await.unwrap()),
        format!("{:?}", store.definitions().await.unwrap()),
        format!("{:?}", store.retired().await.unwrap()),
        format!("{:?}", store.dedup_records(None, 1_000).await.unwrap()),
    ];
    let mut filter = InstanceFilter::default();
    filter.limit = 200;
    let views = store.instances(&filter).await.unwrap().instances;
    assert_eq!(views.len(), MANY + 1);
    for view in views {
        let Some(Loaded::Snapshot(mut found)) =
            store.load(std::slice::from_ref(&view.address)).await.unwrap().remove(0)
        else {
            panic!("{} is not there", view.address)
        };
        found.row = saga::store::RowId(0);
        found.tasks.iter_mut().for_each(|task| task.progress.epoch = 0);
        all.push(format!("{found:?}"));
        all.push(format!("{:?}", store.history(&view.address, 100).await.unwrap()));
    }
    let mut audit = AuditFilter::default();
    audit.limit = 1_000;
    let rows = store.audit(&audit).await.unwrap();
    all.extend(rows.into_iter().map(|row| format!("{:?} {:?}", row.entry, row.link)));
    let letters = store.dead_letters(DeadId(0), 1_000).await.unwrap();
    all.extend(letters.into_iter().map(|row| format!("{:?}", row.letter)));
    for (_, mut delivery) in store.deliveries(DeliveryId(0), 1_000).await.unwrap() {
        delivery.progress.epoch = 0;
        all.push(format!("{delivery:?}"));
    }
    for (_, mut mail) in store.inbox(InboxId(0), 1_000).await.unwrap() {
        mail.epoch = 0;
        all.push(format!("{mail:?}"));
    }
    all
}

/// Compares two stores row by row, so that a failure shows only the row.
#[track_caller]
fn same(one: &[String], other: &[String]) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

async fn pauses(store: &dyn Store) -> Vec<(String, String)> {
    let pauses = store.pauses().await.unwrap();
    let mut pauses: Vec<_> = pauses.into_iter().map(|pause| (pause.of.to_string(), pause.who)).collect();
    pauses.sort();
    pauses
}

/// Moves, and checks that the target has everything and alone may go on.
async fn moves(from: Arc<dyn Store>, to: Arc<dyn Store>) {
    fill(Arc::clone(&from)).await;
    let (before, paused) = (everything(&*from).await, pauses(&*from).await);
    let mut portions = 0;
    let done = Relocation::new(&*from, &*to).on_progress(|_| portions += 1).run().await.unwrap();
    assert_eq!((done.instances, done.inbox, done.deliveries), (MANY as u64 + 1, 130, 130));
    assert_eq!((done.dedup, done.dead_letters, done.audit), (150, 130, 130));
    assert!(portions > 2, "{portions}");
    same(&everything(&*to).await, &before);
    assert_eq!(pauses(&*to).await, paused, "only the pause of a person is left");
    let sealed = pauses(&*from).await;
    assert!(paused.iter().all(|pause| sealed.contains(pause)), "the pauses of people stay: {sealed:?}");
    assert!(refuses(&from).await.contains("was moved to another one"), "no dispatcher starts there");
    same(&everything(&*from).await, &before);
    let again = Relocation::new(&*from, &*to).run().await.unwrap_err();
    assert!(matches!(again, RelocationError::AlreadyMoved), "{again}");
}

/// Why a dispatcher does not start on a store.
async fn refuses(store: &Arc<dyn Store>) -> String {
    let pauses = store.pauses().await.unwrap();
    let copy = MemoryStore::new();
    let mut driver = Driver::lease(Arc::new(copy.clone())).await;
    let pauses = pauses.into_iter().map(PauseChange::Pause).collect();
    driver.committed(Step { pauses, ..Step::default() }).await;
    copy.release(&driver.lease).await.unwrap();
    let started = Dispatcher::builder(copy).saga::<OrderState>();
    let started = started.handler::<Pay>(Bank::default()).handler::<Ship>(Bank::default()).start().await;
    started.expect_err("a marked store").to_string()
}

fn file(dir: &tempfile::TempDir, name: &str) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(dir.path().join(name)).unwrap())
}

#[tokio::test]
async fn everything_moves_between_memory_and_files() {
    let dir = tempfile::tempdir().unwrap();
    moves(Arc::new(MemoryStore::new()), file(&dir, "one.db")).await;
    moves(file(&dir, "two.db"), file(&dir, "three.db")).await;
    moves(file(&dir, "four.db"), Arc::new(MemoryStore::new())).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn everything_moves_to_postgres_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let (Some(one), Some(two)) = (server::Schema::new(), server::Schema::new()) else { return };
    moves(file(&dir, "one.db"), Arc::new(one.open(one.options()))).await;
    moves(Arc::new(two.open(two.options())), file(&dir, "two.db")).await;
}

/// Runs a move that dies at a commit. Returns whether it died, and its result otherwise.
async fn dies(from: &Faulty, to: &Faulty) -> bool {
    tokio::select! {
        moved = Relocation::new(from, to).run() => {
            moved.unwrap();
            false
        }
        () = from.died() => true,
        () = to.died() => true,
    }
}

/// A death at each commit of the move, each followed by the next run: the last one finds what the others have left.
#[tokio::test]
async fn a_move_that_dies_at_each_commit_goes_on() {
    for side in [Side::Before, Side::After] {
        let (from, to) = (MemoryStore::new(), MemoryStore::new());
        fill(Arc::new(from.clone())).await;
        let (before, paused) = (everything(&from).await, pauses(&from).await);
        let (mut deaths, mut nth) = (0, 0);
        loop {
            nth += 1;
            let (source, target) = (Faulty::new(from.clone()), Faulty::new(to.clone()));
            target.die(nth, side);
            if !dies(&source, &target).await {
                break;
            }
            deaths += 1;
        }
        // A death after the last commit is a move that was done.
        if let Err(error) = Relocation::new(&from, &to).run().await {
            assert!(matches!(error, RelocationError::AlreadyMoved), "{error}");
        }
        assert!(deaths > 5, "{deaths} deaths on the side {side:?}");
        same(&everything(&to).await, &before);
        assert_eq!(pauses(&to).await, paused, "the pauses of people, and no others");
    }
}

/// The source has two commits: the marks and the seal.
#[tokio::test]
async fn a_move_that_dies_at_a_commit_of_the_source_goes_on() {
    for (nth, side) in [(1, Side::Before), (1, Side::After), (2, Side::Before), (2, Side::After)] {
        let (from, to) = (MemoryStore::new(), MemoryStore::new());
        fill(Arc::new(from.clone())).await;
        let (before, paused) = (everything(&from).await, pauses(&from).await);
        let (source, target) = (Faulty::new(from.clone()), Faulty::new(to.clone()));
        source.die(nth, side);
        assert!(dies(&source, &target).await, "it died");
        Relocation::new(&from, &to).run().await.unwrap();
        same(&everything(&to).await, &before);
        assert_eq!(pauses(&to).await, paused, "{nth} {side:?}");
    }
}

/// A move can run in a task of a server.
#[tokio::test]
async fn a_move_runs_in_a_task() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    let moved = tokio::spawn(async move { Relocation::new(&from, &to).run().await });
    assert_eq!(moved.await.unwrap().unwrap().instances, 0);
}

#[tokio::test]
async fn a_store_with_rows_is_no_target() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    fill(Arc::new(from.clone())).await;
    to.deliver(vec![mail(&address("a"), "m")]).await.unwrap();
    let error = Relocation::new(&from, &to).run().await.unwrap_err();
    assert!(matches!(error, RelocationError::NotEmpty { what: "inbox rows", .. }), "{error}");
    assert_eq!(pauses(&from).await.len(), 3, "nothing was marked");
}

#[tokio::test]
async fn a_target_that_was_used_in_between_is_refused() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    fill(Arc::new(from.clone())).await;
    let (source, target) = (Faulty::new(from.clone()), Faulty::new(to.clone()));
    source.die(2, Side::Before);
    assert!(dies(&source, &target).await);
    to.deliver(vec![mail(&address("a"), "new")]).await.unwrap();
    let error = Relocation::new(&from, &to).run().await.unwrap_err();
    assert!(error.to_string().contains("an inbox row differs between the stores"), "{error}");
}

#[tokio::test]
async fn a_store_with_a_dispatcher_is_not_moved() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (SqliteStore::open(dir.path().join("one.db")).unwrap(), MemoryStore::new());
    let dispatcher = app(from, &ManualClock::default(), &Bank::default()).await;
    let other = SqliteStore::open(dir.path().join("one.db")).unwrap();
    let error = Relocation::new(&other, &to).run().await.unwrap_err();
    assert!(matches!(error, RelocationError::Store(_)), "{error}");
    dispatcher.shutdown(Duration::from_secs(60)).await.unwrap();
}

// An application on both sides.

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions))]
#[initially(
    when(Placed, guard(is_shipped), run(place), send(Ship), transition_to(Shipping)),
    when(Placed, run(place), send(Pay), transition_to(Paying))
)]
#[unhandled(ignore)]
pub enum OrderState {
    #[during(when(Paid, transition_to(Done)), when(any(failed(Ship), unknown(Ship)), park))]
    Shipping,
    #[during(when(Paid, transition_to(Waiting)), when(any(failed(Pay), unknown(Pay)), park))]
    Paying,
    #[during(timeout(minutes = 10, transition_to(Done)))]
    Waiting,
    #[terminal]
    Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {}

impl OrderActions for Order {
    fn place(_: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn is_shipped(event: &Placed, _: &Context) -> bool {
        event.order.starts_with("shipped")
    }
    fn pay(&self, _: &Placed, _: &mut Context) -> Pay {
        Pay {}
    }
    fn ship(&self, _: &Placed, _: &mut Context) -> Ship {
        Ship {}
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    order: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "paid")]
pub struct Paid {}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "pay", replies(Paid))]
pub struct Pay {}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ship", replies(Paid), at_most_once)]
pub struct Ship {}

/// Counts its calls.
#[derive(Clone, Default)]
struct Bank(Arc<AtomicU32>);

impl Handler<Pay> for Bank {
    async fn handle(&self, _: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Paid {}.into())
    }
}

/// Never answers.
impl Handler<Ship> for Bank {
    async fn handle(&self, _: Ship, _: &HandlerContext) -> HandlerResult<Ship> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

async fn app(store: impl Store, clock: &ManualClock, bank: &Bank) -> Dispatcher {
    let builder = Dispatcher::builder(store).saga::<OrderState>();
    let builder = builder.handler::<Pay>(bank.clone()).handler::<Ship>(bank.clone());
    builder.clock(clock.clone()).start().await.unwrap()
}

async fn position(app: &Dispatcher, order: &str) -> Position<OrderState> {
    app.instance::<OrderState>(order).await.unwrap().unwrap().position
}

/// Orders in flight finish on the target, each command is called once, and nothing advances on the source.
#[tokio::test]
async fn orders_in_flight_finish_on_the_target_alone() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| SqliteStore::open(dir.path().join(name)).unwrap();
    let (clock, bank) = (ManualClock::default(), Bank::default());
    let hour = Duration::from_secs(3_600);
    let first = app(open("from.db"), &clock, &bank).await;
    first.publish(Placed { order: "waiting".to_owned() }).await.unwrap();
    clock.idle().await;
    let (pay, ada) = (PauseOf::Handler("pay".to_owned()), saga::Operator::new("ada").because("slow"));
    first.operate(StoreVerb::Pause(pay.clone()), ada.clone()).await.unwrap();
    first.publish(Placed { order: "paying".to_owned() }).await.unwrap();
    clock.idle().await;
    first.shutdown(hour).await.unwrap();

    Relocation::new(&open("from.db"), &open("to.db")).run().await.unwrap();

    let source: Arc<dyn Store> = Arc::new(open("from.db"));
    assert!(refuses(&source).await.contains("use the other store"));
    drop(source);

    clock.advance(hour);
    let target = app(open("to.db"), &clock, &bank).await;
    clock.idle().await;
    assert_eq!(position(&target, "waiting").await, Position::In(OrderState::Done), "its timer was due");
    assert_eq!(position(&target, "paying").await, Position::In(OrderState::Paying), "a person has paused it");
    target.operate(StoreVerb::Resume(pay), ada).await.unwrap();
    clock.idle().await;
    assert_eq!(position(&target, "paying").await, Position::In(OrderState::Waiting));
    assert_eq!(bank.0.load(Ordering::SeqCst), 2, "one call for each order");
    target.shutdown(hour).await.unwrap();
}

/// A process dies while an at-most-once command runs, and the move comes before any next start. Also a move that was
/// interrupted keeps the doubt.
#[tokio::test]
async fn a_command_that_may_have_run_is_not_called_again_on_the_target() {
    for interrupted in [false, true] {
        let (from, to) = (MemoryStore::new(), MemoryStore::new());
        let (clock, bank) = (ManualClock::default(), Bank::default());
        let first = app(from.clone(), &clock, &bank).await;
        first.publish(Placed { order: "shipped".to_owned() }).await.unwrap();
        clock.idle().await;
        assert_eq!(bank.0.load(Ordering::SeqCst), 1, "it runs");
        first.kill().await;
        if interrupted {
            let (source, target) = (Faulty::new(from.clone()), Faulty::new(to.clone()));
            source.die(2, Side::After);
            assert!(dies(&source, &target).await);
        }
        Relocation::new(&from, &to).run().await.unwrap();
        let target = app(to, &clock, &bank).await;
        clock.idle().await;
        let position = position(&target, "shipped").await;
        assert!(matches!(position, Position::Parked { .. }), "its outcome is unknown: {position:?}");
        assert_eq!(bank.0.load(Ordering::SeqCst), 1, "it was not called again");
    }
}

/// A move that was begun belongs to one target, and a target to one source.
#[tokio::test]
async fn a_move_goes_to_one_target_and_can_be_given_up() {
    let (from, one, two) = (MemoryStore::new(), MemoryStore::new(), MemoryStore::new());
    fill(Arc::new(from.clone())).await;
    let (before, paused) = (everything(&from).await, pauses(&from).await);
    let target = Faulty::new(one.clone());
    target.die(4, Side::After);
    assert!(dies(&Faulty::new(from.clone()), &target).await);
    let shared: Arc<dyn Store> = Arc::new(from.clone());
    assert!(refuses(&shared).await.contains("a move of this store is under way"));

    let other = Relocation::new(&from, &two).run().await.unwrap_err();
    assert!(matches!(other, RelocationError::OtherTarget), "{other}");
    assert_eq!(pauses(&two).await, [], "nothing was written there");
    let joined = Relocation::new(&two, &one).run().await.unwrap_err();
    assert!(matches!(joined, RelocationError::NotEmpty { .. }), "{joined}");
    Relocation::new(&from, &one).run().await.unwrap();
    same(&everything(&one).await, &before);

    // Back into the sealed store, and out of a target that is not complete.
    let back = Relocation::new(&one, &from).run().await.unwrap_err();
    assert!(matches!(back, RelocationError::NotEmpty { .. }), "{back}");
    assert!(matches!(Relocation::give_up(&from).await.unwrap_err(), RelocationError::AlreadyMoved));

    let from = MemoryStore::new();
    fill(Arc::new(from.clone())).await;
    let target = Faulty::new(MemoryStore::new());
    target.die(4, Side::After);
    assert!(dies(&Faulty::new(from.clone()), &target).await);
    Relocation::give_up(&from).await.unwrap();
    assert_eq!(pauses(&from).await, paused);
}

/// Nobody removes the doubt about a command by giving up a move.
#[tokio::test]
async fn a_move_after_one_that_was_given_up_knows_what_may_have_run() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    let (clock, bank) = (ManualClock::default(), Bank::default());
    fill(Arc::new(from.clone())).await;
    let target = Faulty::new(MemoryStore::new());
    target.die(3, Side::After);
    assert!(dies(&Faulty::new(from.clone()), &target).await);
    Relocation::give_up(&from).await.unwrap();
    let mut driver = Driver::lease(Arc::new(from.clone())).await;
    let resumed = vec![PauseChange::Resume(PauseOf::Saga("order".to_owned()))];
    driver.committed(Step { pauses: resumed, ..Step::default() }).await;
    from.release(&driver.lease).await.unwrap();
    let first = app(from.clone(), &clock, &bank).await;
    first.publish(Placed { order: "shipped".to_owned() }).await.unwrap();
    clock.idle().await;
    assert_eq!(bank.0.load(Ordering::SeqCst), 1);
    first.kill().await;
    Relocation::new(&from, &to).run().await.unwrap();
    let target = app(to, &clock, &bank).await;
    clock.idle().await;
    assert!(matches!(position(&target, "shipped").await, Position::Parked { .. }));
    assert_eq!(bank.0.load(Ordering::SeqCst), 1, "it was not called again");
}
