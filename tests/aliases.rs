//! Further names of an instance (R35): claimed in a step, held by one instance, resolved when an event is taken up.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![allow(clippy::duplicated_attributes)] // Two starting rows share words.

use saga::DeadLetterReason;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::PublishError;
use saga::prelude::*;
use saga::store::{MemoryStore, Store};
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{Dispatcher, Disposition, MessageId, Operator, Position, Receipt, Resolved, SqliteStore};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "invoice", version = 1, data(Invoice), actions(InvoiceActions))]
#[initially(
    when(Issued, guard(is_prepaid), run(issue), claim(prepaid), transition_to(AwaitingMoney)),
    when(Issued, run(issue), transition_to(Drafted))
)]
#[during_any(when(Cancelled, compensate, claim(cancellation), transition_to(Void)))]
#[unhandled(reject)]
#[missing_instance(defer(minutes = 5))]
pub enum InvoiceState {
    #[during(
        when(Referenced, run(refer), claim(references, each), transition_to(AwaitingMoney)),
        ignore(Paid)
    )]
    Drafted,
    #[on_leave(release(slot))]
    #[during(
        when(Paid, run(book), transition_to(Settled)),
        when(Referenced, run(refer), claim(references, each), stay),
        timeout(days = 30, claim(overdue), stay)
    )]
    AwaitingMoney,
    #[on_enter(claim(receipt))]
    #[during(when(Archived, transition_to(Closed)), ignore(Paid))]
    Settled,
    #[terminal]
    Closed,
    #[terminal(failure)]
    Void,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    references: Vec<String>,
    paid: u64,
}

impl InvoiceActions for Invoice {
    fn is_prepaid(event: &Issued, _: &Context) -> bool {
        event.prepaid.is_some()
    }
    fn issue(_: &Issued, _: &mut Context) -> ActionResult<Self> {
        Ok(Self::default())
    }
    fn prepaid(&self, event: &Issued, _: &mut Context) -> String {
        event.prepaid.clone().unwrap_or_default()
    }
    fn refer(&mut self, event: &Referenced, _: &mut Context) -> ActionResult<()> {
        self.references.clone_from(&event.references);
        Ok(())
    }
    fn references(&self, event: &Referenced, _: &mut Context) -> Vec<String> {
        event.references.clone()
    }
    fn book(&mut self, event: &Paid, _: &mut Context) -> ActionResult<()> {
        self.paid += event.cents;
        Ok(())
    }
    fn overdue(&self, cx: &mut Context) -> String {
        format!("overdue-{}", cx.key())
    }
    fn slot(&self, _: &mut Context) -> String {
        "slot".to_owned()
    }
    fn receipt(&self, cx: &mut Context) -> String {
        format!("receipt-{}", cx.key())
    }
    fn cancellation(&self, event: &Cancelled, _: &mut Context) -> String {
        event.number.clone()
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "invoice.issued", key(invoice))]
pub struct Issued {
    invoice: String,
    prepaid: Option<String>,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "invoice.referenced", key(invoice))]
pub struct Referenced {
    invoice: String,
    references: Vec<String>,
}

/// What the bank knows: its own reference, and nothing of our invoices.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "bank.paid", alias(reference))]
pub struct Paid {
    reference: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "invoice.archived", alias(receipt))]
pub struct Archived {
    receipt: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "invoice.cancelled", alias(number), key_for(InvoiceState, invoice))]
pub struct Cancelled {
    invoice: String,
    number: String,
}

fn issued(invoice: &str) -> Issued {
    Issued { invoice: invoice.to_owned(), prepaid: None }
}

fn prepaid(invoice: &str, reference: &str) -> Issued {
    Issued { invoice: invoice.to_owned(), prepaid: Some(reference.to_owned()) }
}

fn referenced(invoice: &str, references: &[&str]) -> Referenced {
    let references = references.iter().map(|&reference| reference.to_owned()).collect();
    Referenced { invoice: invoice.to_owned(), references }
}

fn paid(reference: &str) -> Paid {
    Paid { reference: reference.to_owned(), cents: 700 }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

async fn start(store: impl Store, clock: &ManualClock) -> Dispatcher {
    Dispatcher::builder(store).saga::<InvoiceState>().clock(clock.clone()).start().await.unwrap()
}

async fn opened() -> (Dispatcher, MemoryStore, ManualClock) {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    (start(store.clone(), &clock).await, store, clock)
}

/// The instance that is the only consumer, and the result of the event there.
fn one(receipt: &Receipt) -> (&str, &str) {
    let consumer = &receipt.consumers[0];
    let became = match &consumer.disposition {
        Disposition::Applied => "applied",
        Disposition::Ignored { why, .. } => why.as_str(),
        Disposition::Queued => "queued",
        Disposition::Deferred => "deferred",
        Disposition::Dead { reason, .. } => reason.as_str(),
        Disposition::Duplicate => "duplicate",
        _ => "something new",
    };
    (consumer.key.text(), became)
}

async fn position(dispatcher: &Dispatcher, invoice: &str) -> Position<InvoiceState> {
    dispatcher.instance::<InvoiceState>(invoice).await.unwrap().unwrap().position
}

/// Until a step has led there; the clock stands still meanwhile.
async fn reaches(dispatcher: &Dispatcher, invoice: &str, state: InvoiceState) -> Invoice {
    let answer = dispatcher.wait_for::<InvoiceState, _>(invoice, MINUTE, |found| {
        (found.position == Position::In(state.clone())).then(|| found.data.clone())
    });
    answer.await.unwrap()
}

#[tokio::test]
async fn r35_an_event_by_alias_reaches_the_instance_that_has_claimed_it() {
    let (dispatcher, ..) = opened().await;
    dispatcher.publish(issued("inv-1")).await.unwrap();
    dispatcher.publish(referenced("inv-1", &["ref-a", "ref-b"])).await.unwrap();
    let receipt = dispatcher.publish(paid("ref-b")).await.unwrap();
    assert_eq!(one(&receipt), ("inv-1", "applied"), "the receipt names the instance");
    let found = dispatcher.instance_by_alias::<InvoiceState>("ref-a").await.unwrap().unwrap();
    assert_eq!((found.key.as_str(), found.data.paid), ("inv-1", 700));
    assert_eq!(found.aliases, ["receipt-inv-1", "ref-a", "ref-b"], "also what entering a state claims");
    let archived = Archived { receipt: "receipt-inv-1".to_owned() };
    assert_eq!(one(&dispatcher.publish(archived).await.unwrap()).1, "applied");
    // An ended instance keeps its aliases, so what comes late finds it.
    let late = dispatcher.publish(paid("ref-a")).await.unwrap();
    assert_eq!(one(&late), ("inv-1", "ended"));
    assert!(dispatcher.instance_by_alias::<InvoiceState>("none").await.unwrap().is_none());
}

#[tokio::test]
async fn r35_an_alias_is_no_key_and_a_key_no_alias() {
    let (dispatcher, ..) = opened().await;
    dispatcher.publish(prepaid("x", "y")).await.unwrap();
    dispatcher.publish(prepaid("y", "x")).await.unwrap();
    assert_eq!(one(&dispatcher.publish(paid("x")).await.unwrap()), ("y", "applied"));
    assert_eq!(one(&dispatcher.publish(paid("y")).await.unwrap()), ("x", "applied"));
}

#[tokio::test]
async fn r35_an_empty_alias_is_an_error_and_never_silence() {
    let (dispatcher, ..) = opened().await;
    let nameless = dispatcher.publish(paid("")).await.unwrap_err();
    assert!(matches!(nameless, PublishError::Key { .. }), "{nameless}");
    dispatcher.publish(issued("inv-1")).await.unwrap();
    dispatcher.publish(referenced("inv-1", &[""])).await.unwrap();
    let Position::Parked { detail, .. } = position(&dispatcher, "inv-1").await else {
        panic!("an empty alias is claimed")
    };
    assert!(detail.contains("cannot claim the alias ``: the key is empty"), "{detail}");
}

#[tokio::test]
async fn r35_a_claim_that_is_taken_parks_with_alias_taken() {
    let (dispatcher, ..) = opened().await;
    dispatcher.publish(prepaid("first", "ref")).await.unwrap();
    dispatcher.publish(issued("second")).await.unwrap();
    let receipt = dispatcher.publish(referenced("second", &["own", "ref"])).await.unwrap();
    assert_eq!(one(&receipt), ("second", "queued"));
    let Position::Parked { reason, detail, .. } = position(&dispatcher, "second").await else {
        panic!("it is not parked")
    };
    assert_eq!(reason.to_string(), "alias taken");
    assert_eq!(detail, "Referenced: the alias `ref` is held by `first`");
    let second = dispatcher.instance::<InvoiceState>("second").await.unwrap().unwrap();
    assert!(
        second.aliases.is_empty() && second.data.references.is_empty(),
        "nothing of it is done: {second:?}"
    );
    // Nothing has changed, so it is parked again; `skip` lets it go on without the event.
    dispatcher.retry::<InvoiceState>("second", Operator::new("me").because("again")).await.unwrap();
    dispatcher.settled::<InvoiceState>("second").await.unwrap();
    assert!(matches!(position(&dispatcher, "second").await, Position::Parked { .. }));
    dispatcher.skip::<InvoiceState>("second", Operator::new("me").because("wrong reference")).await.unwrap();
    assert_eq!(one(&dispatcher.publish(referenced("second", &["own"])).await.unwrap()).1, "applied");
    assert_eq!(one(&dispatcher.publish(paid("ref")).await.unwrap()), ("first", "applied"));
}

#[tokio::test]
async fn r35_a_start_that_claims_what_is_taken_is_a_dead_letter() {
    let (dispatcher, store, _) = opened().await;
    dispatcher.publish(prepaid("first", "ref")).await.unwrap();
    let receipt = dispatcher.publish(prepaid("second", "ref")).await.unwrap();
    assert_eq!(one(&receipt), ("second", "alias-taken"));
    let letters = dispatcher.dead_letters(None).await.unwrap();
    assert_eq!(
        letters[0].letter.detail,
        "`invoice.issued` could not start invoice `second`: the alias `ref` is held by `first`"
    );
    assert!(dispatcher.instance::<InvoiceState>("second").await.unwrap().is_none());
    drop(store);
}

#[tokio::test]
async fn r35_events_wait_for_an_alias_to_be_claimed_and_give_up() {
    let (dispatcher, _, clock) = opened().await;
    assert_eq!(one(&dispatcher.publish(paid("early")).await.unwrap()), ("early", "deferred"));
    dispatcher.publish(paid("never")).await.unwrap();
    dispatcher.publish(issued("inv-1")).await.unwrap();
    dispatcher.publish(referenced("inv-1", &["early"])).await.unwrap();
    assert_eq!(reaches(&dispatcher, "inv-1", InvoiceState::Settled).await.paid, 700);
    clock.advance(5 * MINUTE + SECOND);
    let letter = loop {
        if let Some(letter) = dispatcher.dead_letters(None).await.unwrap().pop() {
            break letter;
        }
    };
    assert_eq!(letter.letter.reason, DeadLetterReason::MissingInstance);
    assert_eq!(
        letter.letter.detail,
        "no instance of `invoice` has claimed the alias `never` of `bank.paid`; the event waited for 300000 ms"
    );
    // Redriven, it is resolved anew.
    dispatcher.publish(prepaid("inv-2", "never")).await.unwrap();
    dispatcher.redrive(letter.id, Operator::new("op")).await.unwrap();
    assert_eq!(reaches(&dispatcher, "inv-2", InvoiceState::Settled).await.paid, 700);
}

#[tokio::test]
async fn r35_what_waits_for_an_alias_survives_a_crash() {
    let (dispatcher, store, clock) = opened().await;
    dispatcher.publish(paid("early")).await.unwrap();
    dispatcher.kill().await;
    let dispatcher = start(store, &clock).await;
    dispatcher.publish(prepaid("inv-1", "early")).await.unwrap();
    assert_eq!(reaches(&dispatcher, "inv-1", InvoiceState::Settled).await.paid, 700);
}

#[tokio::test]
async fn r35_an_alias_is_resolved_when_its_event_is_taken_up() {
    let (dispatcher, ..) = opened().await;
    // Given up on leaving the state by whoever holds it.
    dispatcher.publish(prepaid("first", "slot")).await.unwrap();
    assert_eq!(one(&dispatcher.publish(paid("slot")).await.unwrap()), ("first", "applied"));
    assert_eq!(one(&dispatcher.publish(paid("slot")).await.unwrap()), ("slot", "deferred"));
    dispatcher.publish(prepaid("second", "slot")).await.unwrap();
    assert_eq!(reaches(&dispatcher, "second", InvoiceState::Settled).await.paid, 700);
    assert_eq!(reaches(&dispatcher, "first", InvoiceState::Settled).await.paid, 700, "not twice");
}

#[tokio::test]
async fn r35_what_a_parked_instance_holds_back_stays_with_it() {
    let (dispatcher, ..) = opened().await;
    dispatcher.publish(prepaid("first", "ref")).await.unwrap();
    dispatcher.publish(prepaid("second", "slot")).await.unwrap();
    dispatcher.publish(referenced("second", &["ref"])).await.unwrap();
    let held = dispatcher.publish(paid("slot")).await.unwrap();
    assert_eq!(one(&held), ("second", "queued"));
    dispatcher
        .skip::<InvoiceState>("second", Operator::new("me").because("not its reference"))
        .await
        .unwrap();
    assert_eq!(reaches(&dispatcher, "second", InvoiceState::Settled).await.paid, 700);
}

#[tokio::test]
async fn r26_an_event_by_alias_is_recognised_as_a_duplicate_before_and_after_the_claim() {
    let (dispatcher, ..) = opened().await;
    let id = || MessageId::new("m-1").unwrap();
    let publish = |event: Paid| dispatcher.publish_as(id(), event);
    assert_eq!(one(&publish(paid("ref")).await.unwrap()).1, "deferred");
    assert_eq!(one(&publish(paid("ref")).await.unwrap()).1, "duplicate");
    dispatcher.publish(prepaid("inv-1", "ref")).await.unwrap();
    assert_eq!(one(&publish(paid("ref")).await.unwrap()).1, "duplicate");
    let other = publish(Paid { cents: 1, ..paid("ref") }).await.unwrap_err();
    assert!(matches!(other, PublishError::IdConflict { .. }), "{other}");
    assert_eq!(reaches(&dispatcher, "inv-1", InvoiceState::Settled).await.paid, 700);
}

#[tokio::test]
async fn r15_an_arrival_that_claims_what_is_taken_parks_and_is_repeated() {
    let (dispatcher, ..) = opened().await;
    dispatcher.publish(prepaid("first", "c-1")).await.unwrap();
    dispatcher.publish(prepaid("second", "ref")).await.unwrap();
    let cancelled = Cancelled { invoice: "second".to_owned(), number: "c-1".to_owned() };
    dispatcher.publish(cancelled).await.unwrap();
    let parked = dispatcher.settled::<InvoiceState>("second").await.unwrap();
    assert!(
        matches!(&parked, Position::Parked { reason, .. } if reason.to_string() == "alias taken"),
        "{parked:?}"
    );
    dispatcher.abort::<InvoiceState>("first", Operator::new("me").because("why")).await.unwrap();
    dispatcher.retry::<InvoiceState>("second", Operator::new("me").because("again")).await.unwrap();
    let parked = dispatcher.settled::<InvoiceState>("second").await.unwrap();
    assert!(matches!(parked, Position::Parked { .. }), "an instance that has ended keeps what it claimed");
}

#[tokio::test]
async fn r15_an_abort_releases_an_arrival_that_waits_for_an_alias() {
    let (dispatcher, ..) = opened().await;
    dispatcher.publish(prepaid("first", "c-1")).await.unwrap();
    dispatcher.publish(prepaid("second", "ref")).await.unwrap();
    let cancelled = Cancelled { invoice: "second".to_owned(), number: "c-1".to_owned() };
    dispatcher.publish(cancelled).await.unwrap();
    assert!(dispatcher.settled::<InvoiceState>("second").await.unwrap().is_parked());
    dispatcher.abort::<InvoiceState>("second", Operator::new("me").because("give it up")).await.unwrap();
    assert_eq!(dispatcher.settled::<InvoiceState>("second").await.unwrap(), Position::Aborted);
}

#[tokio::test]
async fn r35_an_alias_of_a_purged_instance_leads_nowhere() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let hour = 60 * MINUTE;
    let builder = Dispatcher::builder(store.clone()).saga::<InvoiceState>().clock(clock.clone());
    let dispatcher = builder.dedup_window(hour).start().await.unwrap();
    dispatcher.publish(prepaid("inv-1", "ref")).await.unwrap();
    dispatcher.abort::<InvoiceState>("inv-1", Operator::new("me").because("test")).await.unwrap();
    dispatcher.settled::<InvoiceState>("inv-1").await.unwrap();
    assert_eq!(one(&dispatcher.publish(paid("ref")).await.unwrap()).0, "inv-1", "a tombstone until then");
    while dispatcher.instance::<InvoiceState>("inv-1").await.unwrap().is_some() {
        clock.advance(hour);
        clock.idle().await;
    }
    // Started anew, without that reference.
    dispatcher.publish(prepaid("inv-1", "other")).await.unwrap();
    let late = loop {
        // The dispatcher hears of what was removed when all of it is.
        let receipt = dispatcher.publish(paid("ref")).await.unwrap();
        if one(&receipt).0 == "ref" {
            break receipt;
        }
    };
    assert_eq!(one(&late), ("ref", "deferred"));
}

/// Seats are taken by tickets; whether one is free, nobody knows but the store.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "ticket", version = 1, data(Ticket), actions(TicketActions))]
#[initially(when(Asked, run(ask), send(Reserve), transition_to(Reserving)))]
#[unhandled(reject)]
pub enum TicketState {
    #[during(
        when(Reserved, claim(seat), publish(Called), transition_to(Seated)),
        when(any(failed(Reserve), unknown(Reserve)), park)
    )]
    Reserving,
    #[during(when(Called, run(call), stay), when(Left, release(left), transition_to(Home)))]
    Seated,
    #[terminal]
    Home,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    called: u32,
}

impl TicketActions for Ticket {
    fn ask(_: &Asked, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { called: 0 })
    }
    fn reserve(&self, _: &Asked, _: &mut Context) -> Reserve {
        Reserve {}
    }
    fn seat(&self, event: &Reserved, _: &mut Context) -> String {
        event.seat.clone()
    }
    fn called(&self, event: &Reserved, _: &mut Context) -> Called {
        Called { seat: event.seat.clone() }
    }
    fn call(&mut self, _: &Called, _: &mut Context) -> ActionResult<()> {
        self.called += 1;
        Ok(())
    }
    fn left(&self, event: &Left, _: &mut Context) -> String {
        event.seat.clone()
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "ticket.asked", key(ticket))]
pub struct Asked {
    ticket: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "seat.reserved")]
pub struct Reserved {
    seat: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "seat.called", alias(seat))]
pub struct Called {
    seat: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "seat.left", alias(seat))]
pub struct Left {
    seat: String,
}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "seat.reserve", replies(Reserved))]
pub struct Reserve {}

/// Knows nothing for sure.
struct Theatre;

impl Handler<Reserve> for Theatre {
    async fn handle(&self, _: Reserve, _: &HandlerContext) -> HandlerResult<Reserve> {
        Err(HandlerError::refused("ask at the counter"))
    }
}

async fn theatre() -> Dispatcher {
    let builder = Dispatcher::builder(MemoryStore::new()).saga::<TicketState>().handler::<Reserve>(Theatre);
    builder.clock(ManualClock::default()).start().await.unwrap()
}

/// A person at the counter has found this seat for the ticket.
async fn seat(dispatcher: &Dispatcher, ticket: &str, seat: &str) -> Position<TicketState> {
    dispatcher.publish(Asked { ticket: ticket.to_owned() }).await.unwrap();
    assert!(dispatcher.settled::<TicketState>(ticket).await.unwrap().is_parked());
    let reply = Resolved::reply(&Reserved { seat: seat.to_owned() }).unwrap();
    dispatcher
        .resolve::<TicketState>(ticket, reply, Operator::new("counter").because("by hand"))
        .await
        .unwrap();
    dispatcher.instance::<TicketState>(ticket).await.unwrap().unwrap().position
}

async fn called(dispatcher: &Dispatcher, ticket: &str) {
    let called = |ticket: &saga::Instance<TicketState>| (ticket.data.called == 1).then_some(());
    dispatcher.wait_for::<TicketState, _>(ticket, MINUTE, called).await.unwrap();
}

#[tokio::test]
async fn r35_what_a_step_publishes_by_an_alias_it_claims_finds_it() {
    let dispatcher = theatre().await;
    // The alias has been asked for, so that it is known to be nobody's.
    let early = dispatcher.publish(Called { seat: "12A".to_owned() }).await.unwrap();
    assert_eq!(one(&early), ("12A", "missing-instance"));
    assert_eq!(seat(&dispatcher, "1", "12A").await, Position::In(TicketState::Seated));
    called(&dispatcher, "1").await;
}

#[tokio::test]
async fn r16_an_outcome_that_a_person_supplied_is_kept_until_its_row_can_be_applied() {
    let dispatcher = theatre().await;
    assert_eq!(seat(&dispatcher, "1", "12A").await, Position::In(TicketState::Seated));
    let position = seat(&dispatcher, "2", "12A").await;
    let Position::Parked { reason, detail, .. } = position else { panic!("{position:?}") };
    assert_eq!(reason.to_string(), "alias taken");
    assert!(detail.contains("the alias `12A` is held by `1`"), "{detail}");
    dispatcher.retry::<TicketState>("2", Operator::new("counter").because("perhaps now")).await.unwrap();
    assert!(dispatcher.settled::<TicketState>("2").await.unwrap().is_parked(), "not yet");
    dispatcher.publish(Left { seat: "12A".to_owned() }).await.unwrap();
    dispatcher.retry::<TicketState>("2", Operator::new("counter").because("it is free")).await.unwrap();
    called(&dispatcher, "2").await;
    let ticket = dispatcher.instance::<TicketState>("2").await.unwrap().unwrap();
    assert_eq!(ticket.position, Position::In(TicketState::Seated));
    assert!(ticket.open.is_empty(), "its command is answered: {:?}", ticket.open);
}

#[tokio::test]
async fn r35_one_may_ask_by_an_alias_that_is_given_up_over_it() {
    let dispatcher = theatre().await;
    seat(&dispatcher, "1", "12A").await;
    let home = |ticket: &saga::Instance<TicketState>| {
        (ticket.position == Position::In(TicketState::Home)).then(|| ticket.key.to_string())
    };
    let left = Left { seat: "12A".to_owned() };
    assert_eq!(dispatcher.ask::<TicketState, _, _>(left, MINUTE, home).await.unwrap(), "1");
}

/// Sees all payments, so that they go through the inbox.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<Vec<Paid>>>);

impl Subscriber<Paid> for Books {
    async fn handle(&self, event: Paid, _: &HandlerContext) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }
}

#[tokio::test]
async fn r35_an_event_of_several_consumers_is_moved_from_the_alias_to_its_instance() {
    let (store, clock, books) = (MemoryStore::new(), ManualClock::default(), Books::default());
    let builder = Dispatcher::builder(store.clone()).saga::<InvoiceState>().clock(clock.clone());
    let dispatcher = builder.subscriber::<Paid>("books", books.clone()).start().await.unwrap();
    dispatcher.publish(prepaid("inv-1", "ref")).await.unwrap();
    let id = MessageId::new("m-1").unwrap();
    dispatcher.publish_as(id.clone(), paid("ref")).await.unwrap();
    assert_eq!(reaches(&dispatcher, "inv-1", InvoiceState::Settled).await.paid, 700);
    let again = dispatcher.publish_as(id, paid("ref")).await.unwrap();
    assert_eq!(one(&again).1, "duplicate");
    dispatcher.shutdown(SECOND).await.unwrap();
    assert_eq!(*books.0.lock().unwrap(), [paid("ref")]);
    assert!(store.inbox(saga::store::InboxId(0), 10).await.unwrap().is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn r35_an_event_of_the_apps_transaction_finds_its_instance_by_alias() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("invoices.db")).unwrap();
    let dispatcher = start(store.clone(), &ManualClock::default()).await;
    dispatcher.publish(prepaid("inv-1", "ref")).await.unwrap();
    store.transaction(|tx| tx.publish(&paid("ref"))).unwrap();
    assert_eq!(reaches(&dispatcher, "inv-1", InvoiceState::Settled).await.paid, 700);
    dispatcher.shutdown(SECOND).await.unwrap();
}

#[tokio::test]
async fn r35_one_may_ask_by_alias() {
    let (dispatcher, ..) = opened().await;
    dispatcher.publish(prepaid("inv-1", "ref")).await.unwrap();
    let answer = |found: &saga::Instance<InvoiceState>| (found.data.paid > 0).then(|| found.key.to_string());
    let answered = dispatcher.ask::<InvoiceState, _, _>(paid("ref"), MINUTE, answer).await.unwrap();
    assert_eq!(answered, "inv-1");
}

#[test]
fn r35_a_transition_test_sees_what_is_claimed_and_given_up() {
    let given = Given::<InvoiceState>::started(issued("test")).when(referenced("test", &["b", "slot", "a"]));
    assert_eq!(given.aliases(), ["a", "b", "slot"]);
    let given = given.when(referenced("test", &["a"])).elapsed(31 * 24 * 60 * MINUTE);
    assert_eq!(
        given.aliases(),
        ["a", "b", "overdue-test", "slot"],
        "claiming one's own again changes nothing"
    );
    let given = given.when(paid("a"));
    assert_eq!(given.aliases(), ["a", "b", "overdue-test", "receipt-test"], "given up on leaving");
}

#[test]
fn r35_a_transition_test_says_that_an_alias_is_taken() {
    let given = Given::<InvoiceState>::started(prepaid("test", "ref"))
        .alias_taken("overdue-test", "another")
        .elapsed(30 * 24 * 60 * MINUTE);
    let parked = given.parked().unwrap();
    assert_eq!(parked, "alias taken: timeout 30d: the alias `overdue-test` is held by `another`");
    let given = given.alias_free("overdue-test").retry().elapsed(SECOND);
    assert_eq!(given.parked(), None);
    assert_eq!(given.aliases(), ["overdue-test", "ref"]);
}
