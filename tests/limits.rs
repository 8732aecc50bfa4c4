//! Calls while the store is in trouble: each ends within its limit, and says what is known.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[path = "support/faulty.rs"]
mod faulty;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::mpsc::channel;
use std::task::{Poll, Waker};
use std::time::Duration;

use faulty::{Condition, Faulty};
use saga::error::{AskError, InstanceError, PublishError, ShutdownError, StartError};
use saga::prelude::*;
use saga::sqlite::TransactionError;
use saga::store::{DeadLetterRow, Inspect, MemoryStore, Store, StoreError};
use saga::testing::ManualClock;
use saga::{
    Clock, Dispatcher, DispatcherBuilder, Disposition, Health, MessageId, Operator, Position, PublishOptions,
    Resolved, SqliteStore,
};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "ticket", version = 1, data(Ticket), actions(TicketActions))]
#[initially(when(Bought, run(buy), claim(number), transition_to(Valid)))]
#[unhandled(reject)]
pub enum TicketState {
    #[during(
        when(Punched, run(punch), stay),
        when(PrintAsked, send(Print), stay),
        when(Printed, stay),
        when(failed(Print), park),
        when(Used, transition_to(Spent))
    )]
    Valid,
    #[terminal]
    Spent,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    holes: u32,
}

impl TicketActions for Ticket {
    fn buy(_: &Bought, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { holes: 0 })
    }
    fn number(&self, event: &Bought, _: &mut Context) -> String {
        format!("number-{}", event.ticket)
    }
    fn punch(&mut self, _: &Punched, cx: &mut Context) -> ActionResult<()> {
        if cx.key() == "hard" {
            return Err("nothing goes through it".into());
        }
        self.holes += 1;
        Ok(())
    }
    fn print(&self, _: &PrintAsked, _: &mut Context) -> Print {
        Print {}
    }
}

macro_rules! events {
    ($($name:ident $text:literal)*) => {$(
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = $text, key(ticket))]
        pub struct $name { ticket: String }
        impl $name {
            fn of(ticket: &str) -> Self {
                Self { ticket: ticket.to_owned() }
            }
        }
    )*};
}
events! { Bought "ticket.bought" Punched "ticket.punched" PrintAsked "ticket.print-asked" Used "ticket.used" }

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "ticket.printed")]
pub struct Printed {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ticket.print", replies(Printed))]
pub struct Print {}

/// Has no paper.
struct Printer;

impl Handler<Print> for Printer {
    async fn handle(&self, _: Print, _: &HandlerContext) -> HandlerResult<Print> {
        Err(HandlerError::refused("no paper"))
    }
}

const TICK: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// The limit of a call that has none of its own.
const CALL: Duration = Duration::from_secs(30);
/// The limit that a caller gives.
const OWN: Duration = Duration::from_secs(5);

fn builder(store: impl Store, clock: &ManualClock) -> DispatcherBuilder {
    Dispatcher::builder(store).saga::<TicketState>().handler::<Print>(Printer).clock(clock.clone())
}

/// Polls a future once, so that its limit counts from here.
async fn polled<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        })
    })
    .await
}

/// What a future answers at once, without a runtime that could go on with it.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// Lets time pass, in step with the dispatcher, until `future` ends.
async fn in_time<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            () = clock.advance_to_next() => {}
        }
    }
}

async fn until_degraded(dispatcher: &Dispatcher) {
    loop {
        let changed = dispatcher.health_changed();
        if matches!(dispatcher.health(), Health::Degraded { .. }) {
            return;
        }
        changed.await;
    }
}

struct Stall {
    store: MemoryStore,
    faulty: Faulty,
    clock: ManualClock,
    dispatcher: Dispatcher,
}

impl Stall {
    /// Asserts that a call waits, and lets the dispatcher look at the call.
    async fn waits<F: Future>(&self, call: Pin<&mut F>) {
        assert!(polled(call).await.is_none());
        self.clock.looked().await;
    }

    async fn open() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(change: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder) -> Self {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let faulty = Faulty::new(store.clone());
        let dispatcher = change(builder(faulty.clone(), &clock)).start().await.unwrap();
        clock.idle().await;
        Self { store, faulty, clock, dispatcher }
    }

    /// With an instance that is `running`, one that is `parked` over a command, and a dead letter.
    async fn stocked() -> (Self, DeadLetterRow) {
        let stall = Self::open().await;
        stall.dispatcher.publish(Bought::of("running")).await.unwrap();
        stall.dispatcher.publish(Bought::of("parked")).await.unwrap();
        stall.dispatcher.publish(PrintAsked::of("parked")).await.unwrap();
        stall.dispatcher.publish(Punched::of("nobody")).await.unwrap();
        stall.clock.idle().await;
        let parked = stall.dispatcher.instance::<TicketState>("parked").await.unwrap().unwrap();
        assert!(parked.position.is_parked(), "{:?}", parked.position);
        let letter = stall.dispatcher.dead_letters(None).await.unwrap().remove(0);
        (stall, letter)
    }

    /// The store is fine again, and everything that waited for it is done.
    async fn mend(&self) {
        self.faulty.set(Condition::Fine);
        while self.dispatcher.health() != Health::Running {
            self.clock.advance_to_next().await;
        }
        self.clock.idle().await;
    }

    async fn holes(&self, ticket: &str) -> u32 {
        self.dispatcher.instance::<TicketState>(ticket).await.unwrap().unwrap().data.holes
    }

    async fn position(&self, ticket: &str) -> Option<Position<TicketState>> {
        let found = self.dispatcher.instance::<TicketState>(ticket).await.unwrap();
        found.map(|found| found.position)
    }

    /// How many instances are stored.
    async fn stored(&self) -> u64 {
        self.store.counts().await.unwrap().iter().map(|count| count.instances).sum()
    }
}

// Every call, whatever the store does.

/// What a caller knows when a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Answered,
    /// Surely not done, and it will not be.
    NotDone,
    /// Nobody knows.
    Nobody,
    Stopped,
    /// What the store said.
    Store,
    /// No answer yet.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Publish,
    PublishAs,
    PublishWithin,
    PublishFailFast,
    Abort,
    Retry,
    Skip,
    Resolve,
    Redrive,
    Instance,
    InstanceByAlias,
    History,
    DeadLetters,
    Ask,
    Answer,
}

const CALLS: [Call; 15] = [
    Call::Publish,
    Call::PublishAs,
    Call::PublishWithin,
    Call::PublishFailFast,
    Call::Abort,
    Call::Retry,
    Call::Skip,
    Call::Resolve,
    Call::Redrive,
    Call::Instance,
    Call::InstanceByAlias,
    Call::History,
    Call::DeadLetters,
    Call::Ask,
    Call::Answer,
];

impl Call {
    fn reads(self) -> bool {
        matches!(self, Self::Instance | Self::InstanceByAlias | Self::History | Self::DeadLetters)
    }

    /// What it answers, and after how long, where reading answers `read`.
    fn expected(self, read: (Known, Duration)) -> (Known, Duration) {
        match self {
            call if call.reads() => read,
            Self::PublishWithin | Self::Ask => (Known::Nobody, OWN),
            Self::Answer => (Known::Late, OWN),
            _ => (Known::Nobody, CALL),
        }
    }

    async fn make(self, dispatcher: Dispatcher, letter: DeadLetterRow) -> Known {
        let (new, by, why) = (Bought::of("new"), "ann", "she said so");
        match self {
            Self::Publish => of_publish(dispatcher.publish(new).await),
            Self::PublishAs => of_publish(dispatcher.publish_as(MessageId::new("m-1").unwrap(), new).await),
            Self::PublishWithin => {
                of_publish(dispatcher.publish_with(new, PublishOptions::new().deadline(OWN)).await)
            }
            Self::PublishFailFast => {
                of_publish(dispatcher.publish_with(new, PublishOptions::new().fail_fast()).await)
            }
            Self::Abort => {
                of_instance(dispatcher.abort::<TicketState>("running", Operator::new(by).because(why)).await)
            }
            Self::Retry => {
                of_instance(dispatcher.retry::<TicketState>("parked", Operator::new(by).because(why)).await)
            }
            Self::Skip => {
                of_instance(dispatcher.skip::<TicketState>("parked", Operator::new(by).because(why)).await)
            }
            Self::Resolve => {
                let reply = Resolved::reply(&Printed {}).unwrap();
                of_instance(
                    dispatcher.resolve::<TicketState>("parked", reply, Operator::new(by).because(why)).await,
                )
            }
            Self::Redrive => of_instance(dispatcher.redrive(letter.id, Operator::new("op")).await),
            Self::Instance => of_instance(dispatcher.instance::<TicketState>("running").await),
            Self::InstanceByAlias => {
                of_instance(dispatcher.instance_by_alias::<TicketState>("number-running").await)
            }
            Self::History => of_instance(dispatcher.history::<TicketState>("running").await),
            Self::DeadLetters => of_instance(dispatcher.dead_letters(None).await),
            Self::Ask => of_ask(dispatcher.ask::<TicketState, _, ()>(new, OWN, |_| None).await),
            Self::Answer => of_ask(dispatcher.wait_for::<TicketState, ()>("running", OWN, |_| None).await),
        }
    }
}

fn of_publish<T>(answer: Result<T, PublishError>) -> Known {
    match answer {
        Ok(_) => Known::Answered,
        Err(PublishError::NotStored { .. }) => Known::NotDone,
        Err(PublishError::Unknown { .. }) => Known::Nobody,
        Err(PublishError::Stopped) => Known::Stopped,
        Err(error) => panic!("{error}"),
    }
}

fn of_instance<T>(answer: Result<T, InstanceError>) -> Known {
    match answer {
        Ok(_) => Known::Answered,
        Err(InstanceError::NotDone { .. }) => Known::NotDone,
        Err(InstanceError::Unknown { .. }) => Known::Nobody,
        Err(InstanceError::Stopped) => Known::Stopped,
        Err(InstanceError::Store(_)) => Known::Store,
        Err(error) => panic!("{error}"),
    }
}

fn of_ask<T>(answer: Result<T, AskError>) -> Known {
    match answer {
        Ok(_) => Known::Answered,
        Err(AskError::Publish(error)) => of_publish::<T>(Err(error)),
        Err(AskError::Instance(error)) => of_instance::<T>(Err(error)),
        Err(AskError::Late { .. }) => Known::Late,
        Err(error) => panic!("{error}"),
    }
}

/// Each call ends exactly when its limit has passed, or at once.
async fn each_call(condition: Condition, read: (Known, Duration)) {
    for call in CALLS {
        let (stall, letter) = Stall::stocked().await;
        stall.faulty.set(condition);
        let (known, within) = call.expected(read);
        let mut made = pin!(call.make(stall.dispatcher.clone(), letter));
        if within.is_zero() {
            assert_eq!(polled(made.as_mut()).await, Some(known), "{call:?}");
        } else {
            assert_eq!(polled(made.as_mut()).await, None, "{call:?}");
            stall.clock.looked().await;
            stall.clock.advance(within - TICK);
            stall.clock.looked().await;
            assert_eq!(polled(made.as_mut()).await, None, "{call:?} before its limit");
            stall.clock.advance(TICK);
            assert_eq!(polled(made.as_mut()).await, Some(known), "{call:?} at its limit");
        }
        // `answer` asks for what is in memory.
        let needs_none = known == Known::Answered || call == Call::Answer;
        if !needs_none {
            // A read may be on its way there.
            stall.faulty.until_struck(1).await;
        }
    }
}

#[tokio::test]
async fn every_call_ends_within_its_limit_while_the_store_is_locked() {
    each_call(Condition::Locked, (Known::Store, Duration::ZERO)).await;
}

#[tokio::test]
async fn every_call_ends_within_its_limit_while_the_store_is_full() {
    each_call(Condition::Full, (Known::Answered, Duration::ZERO)).await;
}

#[tokio::test]
async fn every_call_ends_within_its_limit_while_the_store_does_not_answer() {
    each_call(Condition::Hung, (Known::NotDone, CALL)).await;
}

#[tokio::test]
async fn every_call_ends_without_waiting_when_the_store_has_gone() {
    for call in CALLS {
        let (stall, letter) = Stall::stocked().await;
        stall.faulty.set(Condition::Gone);
        let known = match call {
            call if call.reads() => Known::Store,
            Call::Answer => Known::Stopped,
            _ => Known::Nobody,
        };
        let mut made = pin!(call.make(stall.dispatcher.clone(), letter));
        let answer = match polled(made.as_mut()).await {
            Some(answer) => answer,
            None => {
                stall.clock.looked().await;
                // The file is looked at once a second.
                stall.clock.advance(SECOND);
                made.await
            }
        };
        assert_eq!(answer, known, "{call:?}");
        assert!(stall.faulty.struck() > 0, "{call:?} met no trouble");
        if !call.reads() {
            let Health::Stopped { why, .. } = stall.dispatcher.health() else {
                panic!("{call:?}: not stopped")
            };
            assert!(why.contains("deleted or replaced"), "{why}");
            let later = stall.dispatcher.publish(Bought::of("later")).await.unwrap_err();
            assert!(matches!(later, PublishError::Stopped), "{later}");
        }
    }
}

#[tokio::test]
async fn comparing_names_is_held_to_the_limit_of_a_call() {
    let stall = Stall::open().await;
    stall.faulty.set(Condition::Hung);
    let mut names = pin!(stall.dispatcher.unknown_names());
    assert!(polled(names.as_mut()).await.is_none());
    stall.clock.advance(CALL);
    let answer = polled(names.as_mut()).await;
    assert!(matches!(answer, Some(Err(InstanceError::NotDone { .. }))), "{answer:?}");
}

#[tokio::test]
async fn the_limit_of_a_call_is_a_setting() {
    let stall = Stall::with(|builder| builder.call_limit(2 * CALL)).await;
    stall.faulty.set(Condition::Hung);
    let mut publishing = pin!(stall.dispatcher.publish(Bought::of("a")));
    stall.waits(publishing.as_mut()).await;
    stall.clock.advance(2 * CALL - TICK);
    assert!(polled(publishing.as_mut()).await.is_none());
    stall.clock.advance(TICK);
    let answer = polled(publishing.as_mut()).await;
    assert!(matches!(answer, Some(Err(PublishError::Unknown { id: None, .. }))), "{answer:?}");
}

// Trouble comes and goes.

#[tokio::test]
async fn a_look_at_a_store_that_is_not_available_stops_nobody() {
    let stall = Stall::open().await;
    stall.faulty.set(Condition::Locked);
    stall.clock.advance(SECOND);
    stall.faulty.until_struck(1).await;
    stall.faulty.set(Condition::Fine);
    stall.clock.idle().await;
    assert!(!matches!(stall.dispatcher.health(), Health::Stopped { .. }), "{:?}", stall.dispatcher.health());
    stall.dispatcher.publish(Bought::of("a")).await.unwrap();
    assert_eq!(stall.dispatcher.health(), Health::Running);
}

#[tokio::test]
async fn a_store_that_could_not_be_read_is_available_again_once_it_can() {
    let Stall { faulty, clock, dispatcher, .. } = Stall::open().await;
    dispatcher.publish(Bought::of("a")).await.unwrap();
    dispatcher.shutdown(SECOND).await.unwrap();
    // The next one has nothing in memory.
    let dispatcher = builder(faulty.clone(), &clock).start().await.unwrap();
    clock.idle().await;
    faulty.set(Condition::Locked);
    {
        let mut reading = pin!(dispatcher.publish(Punched::of("a")));
        assert!(polled(reading.as_mut()).await.is_none());
        until_degraded(&dispatcher).await;
        // Its caller gives up, so nothing will be written.
    }
    assert!(faulty.struck() > 0);
    faulty.set(Condition::Fine);
    clock.advance_to_next().await;
    assert_eq!(dispatcher.health(), Health::Running);
    let options = PublishOptions::new().fail_fast();
    assert!(dispatcher.publish_with(Punched::of("a"), options).await.unwrap().is_accepted());
}

#[tokio::test]
async fn fail_fast_is_not_stored_at_once_while_the_store_is_not_available() {
    for condition in [Condition::Locked, Condition::Full] {
        let stall = Stall::open().await;
        stall.faulty.set(condition);
        let mut patient = pin!(stall.dispatcher.publish(Bought::of("patient")));
        assert!(polled(patient.as_mut()).await.is_none());
        until_degraded(&stall.dispatcher).await;
        let fast = || stall.dispatcher.publish_with(Bought::of("hasty"), PublishOptions::new().fail_fast());
        let answer = polled(pin!(fast())).await;
        assert!(matches!(answer, Some(Err(PublishError::NotStored { .. }))), "{condition:?}: {answer:?}");
        stall.mend().await;
        assert!(patient.await.unwrap().is_accepted());
        assert_eq!(stall.position("hasty").await, None);
        assert!(stall.faulty.struck() > 0);
        assert_eq!(fast().await.unwrap().consumers[0].disposition, Disposition::Applied);
        stall.dispatcher.publish(Used::of("hasty")).await.unwrap();
        assert_eq!(stall.position("hasty").await, Some(Position::In(TicketState::Spent)));
    }
}

#[tokio::test]
async fn fail_fast_waits_for_no_place_while_the_store_is_not_available() {
    let stall = Stall::with(|builder| builder.max_in_flight_publishes(1)).await;
    stall.faulty.set(Condition::Full);
    let mut first = pin!(stall.dispatcher.publish(Bought::of("first")));
    assert!(polled(first.as_mut()).await.is_none());
    until_degraded(&stall.dispatcher).await;
    let options = PublishOptions::new().fail_fast();
    let answer = polled(pin!(stall.dispatcher.publish_with(Bought::of("second"), options))).await;
    assert!(matches!(answer, Some(Err(PublishError::NotStored { .. }))), "{answer:?}");
    stall.mend().await;
    assert_eq!(stall.stored().await, 1);
}

#[tokio::test]
async fn what_waits_for_a_place_is_not_stored_when_its_limit_has_passed() {
    let stall = Stall::with(|builder| builder.max_in_flight_publishes(1)).await;
    stall.faulty.set(Condition::Hung);
    let mut first =
        pin!(stall.dispatcher.publish_with(Bought::of("first"), PublishOptions::new().deadline(2 * CALL)));
    stall.waits(first.as_mut()).await;
    let mut second = pin!(stall.dispatcher.publish(Bought::of("second")));
    assert!(polled(second.as_mut()).await.is_none());
    stall.clock.advance(CALL);
    let answer = polled(second.as_mut()).await;
    let Some(Err(PublishError::NotStored { why })) = answer else { panic!("{answer:?}") };
    assert!(why.contains("1 publishes, the limit of `max_in_flight_publishes`"), "{why}");
    stall.faulty.set(Condition::Fine);
    assert!(first.await.unwrap().is_accepted());
    stall.clock.idle().await;
    assert_eq!(stall.stored().await, 1);
}

#[tokio::test]
async fn a_deadline_that_passes_behind_another_event_is_not_stored_and_never_will_be() {
    let stall = Stall::open().await;
    stall.dispatcher.publish(Bought::of("a")).await.unwrap();
    stall.faulty.set(Condition::Hung);
    let mut first = pin!(stall.dispatcher.publish(Punched::of("a")));
    stall.waits(first.as_mut()).await;
    let id = MessageId::new("second").unwrap();
    let options = PublishOptions::new().deadline(OWN).message_id(id.clone());
    let mut second = pin!(stall.dispatcher.publish_with(Punched::of("a"), options));
    stall.waits(second.as_mut()).await;
    stall.clock.advance(OWN);
    let answer = polled(second.as_mut()).await;
    assert!(matches!(answer, Some(Err(PublishError::NotStored { .. }))), "{answer:?}");
    assert!(stall.faulty.struck() > 0);
    stall.faulty.set(Condition::Fine);
    assert_eq!(first.await.unwrap().consumers[0].disposition, Disposition::Applied);
    stall.clock.idle().await;
    assert_eq!(stall.holes("a").await, 1);
    // Its message id is as good as new.
    let again = stall.dispatcher.publish_as(id, Punched::of("a")).await.unwrap();
    assert_eq!(again.consumers[0].disposition, Disposition::Applied);
    assert_eq!(stall.holes("a").await, 2);
}

#[tokio::test]
async fn a_deadline_that_passes_while_the_event_is_being_stored_leaves_nobody_knowing() {
    let stall = Stall::open().await;
    stall.faulty.set(Condition::Hung);
    let id = MessageId::new("m-1").unwrap();
    let options = PublishOptions::new().deadline(OWN).message_id(id.clone());
    let mut publishing = pin!(stall.dispatcher.publish_with(Bought::of("a"), options));
    stall.waits(publishing.as_mut()).await;
    stall.clock.advance(OWN);
    let answer = polled(publishing.as_mut()).await;
    let Some(Err(PublishError::Unknown { id: Some(told), .. })) = answer else { panic!("{answer:?}") };
    assert_eq!(told, id);
    assert!(stall.faulty.struck() > 0);
    stall.faulty.set(Condition::Fine);
    stall.clock.idle().await;
    assert_eq!(stall.position("a").await, Some(Position::In(TicketState::Valid)), "it was stored after all");
    let again = stall.dispatcher.publish_as(id, Bought::of("a")).await.unwrap();
    assert_eq!(again.consumers[0].disposition, Disposition::Duplicate);
}

#[tokio::test]
async fn a_verb_that_waits_behind_an_event_is_not_done_when_its_limit_has_passed() {
    let stall = Stall::open().await;
    stall.dispatcher.publish(Bought::of("a")).await.unwrap();
    stall.faulty.set(Condition::Hung);
    let mut punching = pin!(stall.dispatcher.publish(Punched::of("a")));
    stall.waits(punching.as_mut()).await;
    let mut aborting = pin!(stall.dispatcher.abort::<TicketState>("a", Operator::new("ann").because("lost")));
    stall.waits(aborting.as_mut()).await;
    stall.clock.advance(CALL);
    let answer = polled(aborting.as_mut()).await;
    assert!(matches!(answer, Some(Err(InstanceError::NotDone { .. }))), "{answer:?}");
    assert!(stall.faulty.struck() > 0);
    stall.faulty.set(Condition::Fine);
    stall.clock.idle().await;
    assert_eq!(stall.holes("a").await, 1);
    assert_eq!(stall.position("a").await, Some(Position::In(TicketState::Valid)));
}

#[tokio::test]
async fn a_verb_that_is_still_finding_what_it_skips_is_not_done_when_its_limit_has_passed() {
    let stall = Stall::open().await;
    stall.dispatcher.publish(Bought::of("hard")).await.unwrap();
    stall.dispatcher.publish(Punched::of("hard")).await.unwrap();
    stall.clock.idle().await;
    stall.faulty.set(Condition::Hung);
    let mut skipping =
        pin!(stall.dispatcher.skip::<TicketState>("hard", Operator::new("ann").because("no use")));
    assert!(polled(skipping.as_mut()).await.is_none());
    // The inbox is being read for what it skips.
    stall.faulty.until_struck(1).await;
    stall.clock.advance(CALL);
    let answer = polled(skipping.as_mut()).await;
    assert!(matches!(answer, Some(Err(InstanceError::NotDone { .. }))), "{answer:?}");
    stall.faulty.set(Condition::Fine);
    stall.clock.idle().await;
    assert!(stall.position("hard").await.unwrap().is_parked());
    assert!(stall.dispatcher.dead_letters(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_that_is_dropped_before_anything_was_done_is_withdrawn() {
    let stall = Stall::open().await;
    stall.dispatcher.publish(Bought::of("a")).await.unwrap();
    stall.faulty.set(Condition::Hung);
    let mut first = pin!(stall.dispatcher.publish(Punched::of("a")));
    stall.waits(first.as_mut()).await;
    {
        let mut punching = pin!(stall.dispatcher.publish(Punched::of("a")));
        let mut aborting =
            pin!(stall.dispatcher.abort::<TicketState>("a", Operator::new("ann").because("lost")));
        assert!(polled(punching.as_mut()).await.is_none());
        stall.waits(aborting.as_mut()).await;
    }
    assert!(stall.faulty.struck() > 0);
    stall.faulty.set(Condition::Fine);
    assert!(first.await.unwrap().is_accepted());
    stall.clock.idle().await;
    assert_eq!(stall.holes("a").await, 1);
    assert_eq!(stall.position("a").await, Some(Position::In(TicketState::Valid)));
}

#[tokio::test]
async fn of_five_thousand_calls_that_are_cancelled_those_with_a_place_are_stored_and_no_other() {
    let stall = Stall::with(|builder| builder.max_in_flight_publishes(10)).await;
    stall.faulty.set(Condition::Locked);
    let publish = |n: u32| Box::pin(stall.dispatcher.publish(Bought::of(&n.to_string())));
    let mut calls: Vec<_> = (0..5_000).map(publish).collect();
    for call in &mut calls {
        assert!(polled(call.as_mut()).await.is_none());
    }
    // Those that have a place are being stored when their callers go.
    stall.clock.looked().await;
    drop(calls);
    stall.clock.looked().await;
    assert!(stall.faulty.struck() > 0);
    stall.mend().await;
    assert_eq!(stall.stored().await, 10);
    assert!(stall.position("9").await.is_some() && stall.position("10").await.is_none());
}

#[tokio::test]
async fn five_thousand_calls_that_are_cancelled_one_by_one_hold_no_more_than_the_places() {
    let stall = Stall::with(|builder| builder.max_in_flight_publishes(10)).await;
    stall.faulty.set(Condition::Locked);
    let mut first = pin!(stall.dispatcher.publish(Bought::of("first")));
    assert!(polled(first.as_mut()).await.is_none());
    until_degraded(&stall.dispatcher).await;
    for n in 0..5_000 {
        // The engine may or may not have begun it when its caller goes.
        let mut call = pin!(stall.dispatcher.publish(Bought::of(&n.to_string())));
        assert!(polled(call.as_mut()).await.is_none());
    }
    stall.clock.looked().await;
    assert!(stall.faulty.struck() > 0);
    stall.mend().await;
    let stored = stall.stored().await;
    assert!((1..=10).contains(&stored), "{stored} are stored");
    assert!(first.await.unwrap().is_accepted());
}

// Inside a transaction of the application.

#[tokio::test]
async fn a_call_inside_a_transaction_on_the_same_store_is_refused_at_once() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let store = SqliteStore::open(dir.path().join("tickets.db")).unwrap();
    let dispatcher = builder(store.clone(), &clock).start().await.unwrap();
    dispatcher.publish(Bought::of("a")).await.unwrap();
    // Another handle on the file is the same store.
    let other = SqliteStore::open(dir.path().join("tickets.db")).unwrap();
    for store in [&store, &other] {
        store
            .transaction(|tx| {
                let options = PublishOptions::new().deadline(OWN);
                let answers = [
                    at_once(dispatcher.publish(Bought::of("b"))),
                    at_once(dispatcher.publish_with(Bought::of("b"), options)),
                ];
                for answer in answers {
                    let Some(Err(PublishError::NotStored { why })) = answer else { panic!("{answer:?}") };
                    assert!(why.contains("transaction"), "{why}");
                }
                let asked = at_once(dispatcher.ask::<TicketState, _, ()>(Bought::of("b"), OWN, |_| None));
                assert!(
                    matches!(asked, Some(Err(AskError::Publish(PublishError::NotStored { .. })))),
                    "{asked:?}"
                );
                let aborted =
                    at_once(dispatcher.abort::<TicketState>("a", Operator::new("ann").because("lost")));
                assert!(matches!(aborted, Some(Err(InstanceError::NotDone { .. }))), "{aborted:?}");
                tx.publish(&Punched::of("a"))
            })
            .unwrap();
    }
    // What the other handle has published is looked for once a second.
    clock.advance(SECOND);
    clock.idle().await;
    let found = dispatcher.instance::<TicketState>("a").await.unwrap().unwrap();
    assert_eq!((found.position, found.data.holes), (Position::In(TicketState::Valid), 2));
    assert!(dispatcher.instance::<TicketState>("b").await.unwrap().is_none());
    dispatcher.publish(Bought::of("b")).await.unwrap();
    dispatcher.shutdown(SECOND).await.unwrap();
}

#[tokio::test]
async fn publish_waits_for_a_transaction_that_sleeps_no_longer_than_its_limit() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let options = SqliteStore::options().transaction_limit(Duration::from_millis(20)).busy_timeout(CALL);
    let store = options.open(dir.path().join("tickets.db")).unwrap();
    let dispatcher = builder(store.clone(), &clock).start().await.unwrap();
    let ((begun, has_begun), (published, has_published)) = (channel::<()>(), channel::<()>());
    let sleeper = std::thread::spawn(move || {
        store.transaction(|tx| {
            begun.send(()).expect("somebody waits");
            // On a busy machine the limit may have passed already.
            let _ = tx.publish(&Bought::of("asleep"));
            // It runs no SQL until somebody else has written.
            has_published.recv().expect("somebody publishes");
            Ok(())
        })
    });
    has_begun.recv().unwrap();
    assert!(dispatcher.publish(Bought::of("awake")).await.unwrap().is_accepted());
    published.send(()).unwrap();
    let slept = sleeper.join().unwrap();
    assert!(matches!(slept, Err(TransactionError::TooLong { .. })), "{slept:?}");
    clock.idle().await;
    assert!(dispatcher.instance::<TicketState>("asleep").await.unwrap().is_none(), "it was rolled back");
    dispatcher.shutdown(SECOND).await.unwrap();
}

// Starting and stopping.

#[tokio::test]
async fn start_waits_for_a_store_that_is_not_available_and_starts_when_it_is() {
    for condition in [Condition::Locked, Condition::Full] {
        let (faulty, clock) = (Faulty::new(MemoryStore::new()), ManualClock::default());
        faulty.set(condition);
        let mut starting = pin!(builder(faulty.clone(), &clock).start());
        for _ in 0..5 {
            assert!(polled(starting.as_mut()).await.is_none(), "{condition:?}");
            clock.advance_to_next().await;
        }
        assert!(faulty.struck() >= 5);
        faulty.set(Condition::Fine);
        let dispatcher = in_time(&clock, starting).await.unwrap();
        assert_eq!(dispatcher.health(), Health::Running);
        dispatcher.publish(Bought::of("a")).await.unwrap();
    }
}

#[tokio::test]
async fn start_ends_within_its_limit_and_says_that_the_store_is_not_available() {
    for condition in [Condition::Locked, Condition::Full] {
        let (faulty, clock) = (Faulty::new(MemoryStore::new()), ManualClock::default());
        faulty.set(condition);
        let error = in_time(&clock, builder(faulty.clone(), &clock).start()).await.unwrap_err();
        let StartError::NotAvailable { within, source } = error else { panic!("{error}") };
        assert!(within == CALL && source.is_temporary(), "{source}");
        // No wait between two attempts is longer than five seconds.
        let took = clock.now().mono;
        assert!((CALL - OWN..=CALL).contains(&took), "{condition:?}: {took:?}");
        assert!(faulty.struck() > 5);
    }
}

#[tokio::test]
async fn start_ends_within_its_limit_while_the_store_does_not_answer() {
    let (faulty, clock) = (Faulty::new(MemoryStore::new()), ManualClock::default());
    faulty.set(Condition::Hung);
    let mut starting = pin!(builder(faulty.clone(), &clock).start());
    assert!(polled(starting.as_mut()).await.is_none());
    clock.advance(CALL);
    let answer = polled(starting.as_mut()).await;
    assert!(matches!(answer, Some(Err(StartError::NotAvailable { .. }))), "{answer:?}");
    assert!(faulty.struck() > 0);
}

#[tokio::test]
async fn start_says_at_once_that_the_store_has_gone() {
    let (faulty, clock) = (Faulty::new(MemoryStore::new()), ManualClock::default());
    faulty.set(Condition::Gone);
    let answer = polled(pin!(builder(faulty.clone(), &clock).start())).await;
    assert!(matches!(answer, Some(Err(StartError::Store(StoreError::Moved { .. })))), "{answer:?}");
    assert!(faulty.struck() > 0);
}

#[tokio::test]
async fn shutdown_says_at_once_that_the_store_does_not_take_the_lease_back() {
    for condition in [Condition::Locked, Condition::Full, Condition::Gone] {
        let Stall { faulty, clock, dispatcher, store } = Stall::open().await;
        dispatcher.publish(Bought::of("a")).await.unwrap();
        faulty.set(condition);
        let began = clock.now().mono;
        let error = dispatcher.shutdown(CALL).await.unwrap_err();
        assert!(matches!(error, ShutdownError::Store(_)), "{condition:?}: {error}");
        assert_eq!(clock.now().mono, began);
        assert!(faulty.struck() > 0);
        // Nothing that was answered is lost.
        let dispatcher = builder(store, &clock).start().await.unwrap();
        assert!(dispatcher.instance::<TicketState>("a").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn shutdown_waits_five_seconds_for_the_lease_to_be_taken_back() {
    let Stall { faulty, clock, dispatcher, .. } = Stall::open().await;
    faulty.set(Condition::Hung);
    let mut ending = pin!(dispatcher.shutdown(CALL));
    assert!(polled(ending.as_mut()).await.is_none());
    faulty.until_asked("release", 1).await;
    clock.advance(5 * SECOND - TICK);
    assert!(polled(ending.as_mut()).await.is_none());
    clock.advance(TICK);
    let error = ending.await.unwrap_err();
    assert!(matches!(error, ShutdownError::NotWritten { .. }), "{error}");
    assert!(faulty.struck() > 0);
}

#[tokio::test]
async fn shutdown_ends_within_its_grace_and_six_seconds_with_something_unwritten() {
    let grace = 10 * SECOND;
    for condition in [Condition::Full, Condition::Hung] {
        let Stall { store, faulty, clock, dispatcher } = Stall::open().await;
        dispatcher.publish(Bought::of("answered")).await.unwrap();
        faulty.set(condition);
        let mut publishing = pin!(dispatcher.publish(Bought::of("unwritten")));
        assert!(polled(publishing.as_mut()).await.is_none());
        clock.looked().await;
        let mut ending = pin!(dispatcher.clone().shutdown(grace));
        assert!(polled(ending.as_mut()).await.is_none());
        // For handlers, for those that were dropped, and for the store.
        for wait in [grace, SECOND, 5 * SECOND] {
            clock.looked().await;
            clock.advance(wait - TICK);
            clock.looked().await;
            assert!(polled(ending.as_mut()).await.is_none(), "{condition:?}");
            clock.advance(TICK);
        }
        let error = ending.await.unwrap_err();
        assert!(matches!(error, ShutdownError::NotWritten { .. }), "{condition:?}: {error}");
        if condition == Condition::Full {
            assert!(error.to_string().contains("is full"), "{error}");
        }
        let unknown = publishing.await.unwrap_err();
        assert!(matches!(unknown, PublishError::Unknown { .. }), "{condition:?}: {unknown}");
        assert!(faulty.struck() > 0);
        let dispatcher = builder(store, &clock).start().await.unwrap();
        assert!(dispatcher.instance::<TicketState>("answered").await.unwrap().is_some());
    }
}
