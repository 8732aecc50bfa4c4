//! What the page for those who come from MassTransit says and no other test shows.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![allow(clippy::duplicated_attributes)] // Several rows on the enum share words.

use saga::{DeadLetterReason, IgnoredReason};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::StartError;
use saga::prelude::*;
use saga::store::{Address, Inspect, MemoryStore};
use saga::testing::ManualClock;
use saga::testing::{Given, days, hours, minutes};
use saga::{Clock, Dispatcher, Disposition, Failed, Key, Policy, Position, Tick, Unknown};
use tokio::sync::Notify;

/// Adds the text of every source file in `folder`.
fn read_sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_row_of_the_page_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["examples", "saga-core", "saga-macros", "saga-sqlite", "tests"] {
        read_sources(&root.join(folder), &mut sources);
    }
    let is_there = |name: &str| match name.ends_with(".rs") {
        true => root.join(name).is_file(),
        false => ["(", "<"].iter().any(|then| sources.contains(&format!("fn {name}{then}"))),
    };
    let page = include_str!("../src/docs/coming_from_masstransit.md");
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, _, proof] = cells[..] else { continue };
        if ["proved by", "nothing to test"].contains(&proof) {
            continue;
        }
        let names: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        let missing: Vec<&str> = names.into_iter().filter(|name| !is_there(name)).collect();
        assert!(missing.is_empty(), "there is no {missing:?}: {row}");
        rows += 1;
    }
    assert!(rows > 100, "only {rows} rows were found");
}

/// Events for the one instance of a test.
macro_rules! events {
    ($($name:ident $wire:literal { $($field:ident: $ty:ty),* })*) => {$(
        #[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[event(name = $wire, key(by(of)))]
        pub struct $name { $($field: $ty),* }
        impl $name {
            fn of(&self) -> String {
                "1".to_owned()
            }
        }
    )*};
}

/// Commands without replies.
macro_rules! commands {
    ($($name:ident $wire:literal { $($field:ident: $ty:ty),* })*) => {$(
        #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[command(name = $wire)]
        pub struct $name { $($field: $ty),* }
    )*};
}

async fn start<S: Saga>(store: &MemoryStore, clock: &ManualClock) -> Dispatcher {
    Dispatcher::builder(store.clone()).saga::<S>().clock(clock.clone()).start().await.unwrap()
}

// The shape of a machine.

/// A build of the saga `book` with these states.
macro_rules! build {
    ($module:ident { $($states:tt)* }) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = "book", version = 1, data(Book), actions(BookActions))]
            #[initially(when(Bought, run(buy), transition_to(OnShelf)))]
            #[during_any(when(Thrown, transition_to(Gone)))]
            #[unhandled(reject)]
            pub enum BookState {
                $($states)*
            }

            impl BookActions for Book {
                fn buy(_: &Bought, _: &mut Context) -> ActionResult<Self> {
                    Ok(Self {})
                }
            }
        }
    };
}

build!(before {
    #[during(when(Lent, transition_to(Away)), when(Damaged, transition_to(AtTheBinder)))]
    OnShelf,
    #[during(when(Mended, transition_to(OnShelf)))]
    AtTheBinder,
    #[state(name = "lent")]
    #[during(when(Returned, transition_to(OnShelf)))]
    Away,
    #[terminal]
    Gone,
});

build!(after {
    #[terminal]
    Gone,
    #[state(name = "lent")]
    #[during(when(Returned, transition_to(OnShelf)))]
    Away,
    #[during(when(Lent, transition_to(Away)))]
    OnShelf,
});

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Book {}

events! {
    Bought "bought" {}
    Lent "lent" {}
    Returned "returned" {}
    Damaged "damaged" {}
    Mended "mended" {}
    Thrown "thrown" {}
}

#[tokio::test]
async fn states_are_stored_by_name_and_may_be_reordered_and_removed() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let stored = async || {
        let address = Address::new("book", Key::new("1").unwrap());
        store.instance(&address).await.unwrap().unwrap().instance.state
    };
    let dispatcher = start::<before::BookState>(&store, &clock).await;
    dispatcher.publish(Bought {}).await.unwrap();
    assert_eq!(stored().await, "on-shelf", "the variant in kebab case");
    dispatcher.publish(Lent {}).await.unwrap();
    assert_eq!(stored().await, "lent", "the name it has been given");
    dispatcher.shutdown(minutes(1)).await.unwrap();

    let dispatcher = start::<after::BookState>(&store, &clock).await;
    let position = async || dispatcher.instance::<after::BookState>("1").await.unwrap().unwrap().position;
    assert_eq!(position().await, Position::In(after::BookState::Away));
    dispatcher.publish(Returned {}).await.unwrap();
    assert_eq!(position().await, Position::In(after::BookState::OnShelf));
    dispatcher.publish(Thrown {}).await.unwrap();
    assert_eq!(position().await, Position::In(after::BookState::Gone));
}

#[tokio::test]
async fn before_the_start_there_is_no_instance() {
    let dispatcher = start::<before::BookState>(&MemoryStore::new(), &ManualClock::default()).await;
    let receipt = dispatcher.publish(Thrown {}).await.unwrap();
    assert!(!receipt.is_accepted(), "a row of every state does not stand before the start");
    assert!(dispatcher.instance::<before::BookState>("1").await.unwrap().is_none());
}

#[tokio::test]
async fn an_ended_instance_is_kept_for_seven_days_unless_set_otherwise() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let dispatcher = start::<before::BookState>(&store, &clock).await;
    dispatcher.publish(Bought {}).await.unwrap();
    dispatcher.publish(Thrown {}).await.unwrap();
    let is_kept = async || dispatcher.instance::<before::BookState>("1").await.unwrap().is_some();
    clock.advance(days(7) - hours(1));
    clock.idle().await;
    assert!(is_kept().await);
    while is_kept().await {
        clock.advance(hours(1));
        clock.idle().await;
    }
    assert!(clock.now().mono < days(8), "{:?}", clock.now().mono);
}

// Where behaviour binds.

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "door", version = 1, data(Door), actions(DoorActions))]
#[initially(when(Hung, run(hang), transition_to(Shut)))]
#[during_any(when(Knocked, run(knocked_anywhere), stay), when(Pushed, run(pushed), stay))]
#[during_any(when(Torn, transition_to(Gone)))]
#[unhandled(reject)]
pub enum DoorState {
    #[during(
        when(Knocked, run(knocked_here), stay),
        when(Oiled, guard(is_nothing), stay),
        when_all(Hung, Pushed, Turned, transition_to(Open))
    )]
    Shut,
    #[unhandled(ignore)]
    #[during(when(Oiled, guard(is_nothing), stay), when(Oiled, run(oiled), stay))]
    Open,
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Door {
    trace: Vec<String>,
}

impl Door {
    fn note(&mut self, what: &str) -> ActionResult<()> {
        self.trace.push(what.to_owned());
        Ok(())
    }
}

impl DoorActions for Door {
    fn hang(_: &Hung, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { trace: Vec::new() })
    }
    fn knocked_here(&mut self, _: &Knocked, _: &mut Context) -> ActionResult<()> {
        self.note("knocked here")
    }
    fn knocked_anywhere(&mut self, _: &Knocked, _: &mut Context) -> ActionResult<()> {
        self.note("knocked anywhere")
    }
    fn pushed(&mut self, _: &Pushed, _: &mut Context) -> ActionResult<()> {
        self.note("pushed")
    }
    fn is_nothing(&self, event: &Oiled, _: &Context) -> bool {
        event.drops == 0
    }
    fn oiled(&mut self, _: &Oiled, _: &mut Context) -> ActionResult<()> {
        self.note("oiled")
    }
}

events! {
    Hung "hung" {}
    Knocked "knocked" {}
    Pushed "pushed" {}
    Turned "turned" {}
    Oiled "oiled" { drops: u32 }
    Torn "torn" {}
}

fn shut() -> Given<DoorState> {
    Given::started(Hung {})
}

fn open() -> Given<DoorState> {
    shut().when(Pushed {}).when(Turned {})
}

#[test]
fn a_row_of_a_state_comes_before_a_row_of_every_state() {
    assert_eq!(shut().when(Knocked {}).data().trace, ["knocked here"]);
    assert_eq!(open().when(Knocked {}).data().trace, ["pushed", "knocked anywhere"]);
}

#[test]
fn a_row_of_every_state_stands_in_each_that_is_not_an_end() {
    assert_eq!(shut().when(Torn {}).state(), &DoorState::Gone);
    let gone = open().when(Torn {});
    assert_eq!(gone.state(), &DoorState::Gone);
    let gone = gone.when(Knocked {});
    assert_eq!(gone.ignored(), Some(IgnoredReason::Ended));
    assert_eq!(gone.data().trace, ["pushed"]);
}

#[test]
fn rows_come_before_sets_and_sets_before_already_started_and_that_before_unhandled() {
    let shut = shut().when(Pushed {});
    assert_eq!(shut.history().last().unwrap(), "applied pushed", "it is a member of the set too");
    let shut = shut.when(Hung {});
    assert_eq!(shut.history().last().unwrap(), "joined hung");
    let open = shut.when(Turned {});
    assert_eq!(open.state(), &DoorState::Open, "all three have come");
    let open = open.when(Hung {});
    assert_eq!(open.ignored(), Some(IgnoredReason::AlreadyStarted));
    let open = open.when(Turned {});
    assert_eq!(open.ignored(), Some(IgnoredReason::Unhandled), "the variant decides, not the enum");
    assert!(open.dead_letters().is_empty());
}

#[test]
fn a_guarded_row_that_stays_stands_for_a_filtered_ignore() {
    let shut = shut().when(Oiled { drops: 0 });
    assert!(shut.data().trace.is_empty() && shut.dead_letters().is_empty());
    assert_eq!(shut.history().last().unwrap(), "applied oiled");
    let shut = shut.when(Oiled { drops: 2 });
    assert_eq!(shut.dead_letters()[0].reason, DeadLetterReason::Unhandled, "no row takes the rest");
    let open = open().when(Oiled { drops: 0 }).when(Oiled { drops: 2 });
    assert_eq!(open.data().trace, ["pushed", "oiled"], "the next row takes the rest");
}

// Commands: what becomes of them, and time-outs beside them.

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "call", version = 1, data(Call), actions(CallActions))]
#[initially(when(Dialled, run(dial), send(Ring), transition_to(Ringing)))]
#[unhandled(reject)]
pub enum CallState {
    #[during(
        when(Answered, run(hear), transition_to(Elsewhere)),
        when(failed(Ring), guard(is_busy), run(note_failed), stay),
        when(failed(Ring), run(note_failed), transition_to(Elsewhere)),
        when(unknown(Ring), run(note_unknown), transition_to(Elsewhere)),
        when(Calmed, run(calm), stay),
        when(Left, transition_to(Elsewhere)),
        timeout(minutes = 15, guard(is_impatient), transition_to(Over)),
        timeout(minutes = 15, stay)
    )]
    Ringing,
    #[during(when(Answered, run(hear), stay), when(HungUp, transition_to(Over)))]
    Elsewhere,
    #[terminal]
    Over,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    calm: bool,
    trace: Vec<String>,
}

impl CallActions for Call {
    fn dial(_: &Dialled, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { calm: false, trace: Vec::new() })
    }
    fn ring(&self, event: &Dialled, _: &mut Context) -> Ring {
        Ring { number: event.number }
    }
    fn hear(&mut self, _: &Answered, _: &mut Context) -> ActionResult<()> {
        self.trace.push("heard".to_owned());
        Ok(())
    }
    fn is_busy(&self, event: &Failed<Ring>, _: &Context) -> bool {
        event.reason == "busy"
    }
    fn note_failed(&mut self, event: &Failed<Ring>, _: &mut Context) -> ActionResult<()> {
        let Failed { command, attempts, reason, .. } = event;
        self.trace.push(format!("{} failed after {attempts}: {reason}", command.number));
        Ok(())
    }
    fn note_unknown(&mut self, event: &Unknown<Ring>, _: &mut Context) -> ActionResult<()> {
        let Unknown { command, attempts, reason, .. } = event;
        self.trace.push(format!("{} unknown after {attempts}: {reason}", command.number));
        Ok(())
    }
    fn calm(&mut self, _: &Calmed, _: &mut Context) -> ActionResult<()> {
        self.calm = true;
        Ok(())
    }
    fn is_impatient(&self, _: &Context) -> bool {
        !self.calm
    }
}

events! {
    Dialled "dialled" { number: u32 }
    Answered "answered" {}
    Calmed "calmed" {}
    Left "left" {}
    HungUp "hung-up" {}
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "ring", replies(Answered))]
pub struct Ring {
    number: u32,
}

fn dialled() -> Given<CallState> {
    Given::started(Dialled { number: 7 })
}

#[test]
fn a_failure_that_leaves_the_state_cancels_its_time_out_and_one_that_stays_does_not() {
    let left = dialled().failed::<Ring>("no such number");
    assert_eq!(left.state(), &CallState::Elsewhere);
    assert!(left.timers().is_empty());
    assert_eq!(left.elapsed(hours(1)).state(), &CallState::Elsewhere);
    let stayed = dialled().elapsed(minutes(5)).failed::<Ring>("busy");
    assert_eq!(stayed.timers(), [("15m", minutes(10))]);
    assert_eq!(stayed.elapsed(minutes(10)).state(), &CallState::Over);
}

#[test]
fn a_time_out_that_its_guard_does_not_want_any_more_is_used_up_by_the_next_row() {
    let calm = dialled().when(Calmed {});
    assert_eq!(calm.timers(), [("15m", minutes(15))], "it is still set");
    let calm = calm.elapsed(minutes(15));
    assert_eq!(calm.history().last().unwrap(), "applied timeout 15m");
    assert_eq!(calm.state(), &CallState::Ringing);
    assert!(calm.timers().is_empty());
}

#[test]
fn a_reply_that_comes_when_its_state_has_been_left_is_an_event_like_any_other() {
    let elsewhere = dialled().when(Left {}).when(Answered {});
    assert_eq!(elsewhere.data().trace, ["heard"], "by a row of the present state");
    let over = dialled().when(Left {}).when(HungUp {}).when(Answered {});
    assert_eq!(over.history().last().unwrap(), "replied answered");
    assert!(over.data().trace.is_empty() && over.dead_letters().is_empty());
}

/// Never gets a line.
struct Phone;

impl Handler<Ring> for Phone {
    async fn handle(&self, _: Ring, _: &HandlerContext) -> HandlerResult<Ring> {
        Err("no line".into())
    }
}

async fn calling(policy: Policy) -> Dispatcher {
    let builder = Dispatcher::builder(MemoryStore::new()).saga::<CallState>();
    let builder = builder.handler_with::<Ring>(Phone, policy).clock(ManualClock::default());
    builder.start().await.unwrap()
}

#[tokio::test]
async fn failed_and_unknown_carry_the_command_the_attempts_and_the_reason() {
    let failed = dialled().failed::<Ring>("no such number");
    assert_eq!(failed.data().trace, ["7 failed after 1: no such number"]);

    let dispatcher = calling(Policy::default().quick_attempts(2).max_total_time(Duration::ZERO)).await;
    dispatcher.publish(Dialled { number: 7 }).await.unwrap();
    let unknown = dispatcher.wait_for::<CallState, _>("1", minutes(1), |call| {
        (call.position == Position::In(CallState::Elsewhere)).then(|| call.data.trace.clone())
    });
    assert_eq!(unknown.await.unwrap(), ["7 unknown after 2: 2 attempts failed; last error: no line"]);
}

#[tokio::test]
async fn the_publisher_of_a_rejected_event_is_told() {
    let dispatcher = calling(Policy::default()).await;
    dispatcher.publish(Dialled { number: 7 }).await.unwrap();
    let receipt = dispatcher.publish(HungUp {}).await.unwrap();
    let became = &receipt.consumers[0].disposition;
    assert!(
        matches!(became, Disposition::Dead { reason, .. } if *reason == DeadLetterReason::Unhandled),
        "{became:?}"
    );
}

#[tokio::test]
async fn a_command_has_one_handler() {
    let builder = Dispatcher::builder(MemoryStore::new()).saga::<CallState>();
    let started = builder.handler::<Ring>(Phone).handler::<Ring>(Phone).start().await;
    let Err(StartError::Registration { problems }) = started else { panic!("it started") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["command `ring` has two handlers: a command needs exactly one handler"]);
}

// Visits, hooks, and what is owed.

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "stay", version = 1, data(Stay), actions(StayActions))]
#[initially(when(Arrived, run(arrive), send(TakeRoom, undo(FreeRoom)), transition_to(Inside)))]
#[unhandled(reject)]
pub enum StayState {
    #[compensate_with(Refund)]
    #[on_enter(run(entered))]
    #[on_leave(run(left))]
    #[during(
        when(Looked, run(looked), stay),
        when(Renewed, reenter),
        when(Cancelled, compensate, run(cancelled), send(Tell), transition_to(Leaving)),
        timeout(minutes = 15, compensate, transition_to(Gone)),
        defer(Departed)
    )]
    Inside,
    #[on_enter(run(packed))]
    #[during(
        when(Departed, transition_to(Gone)),
        every(minutes = 10, guard(is_second), run(hurried), stay),
        ignore(Renewed),
        reject(Looked)
    )]
    Leaving,
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stay {
    trace: Vec<String>,
}

impl Stay {
    fn note(&mut self, what: &str) -> ActionResult<()> {
        self.trace.push(what.to_owned());
        Ok(())
    }
}

impl StayActions for Stay {
    fn arrive(_: &Arrived, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { trace: Vec::new() })
    }
    fn take_room(&self, _: &Arrived, _: &mut Context) -> TakeRoom {
        TakeRoom {}
    }
    fn free_room(&self, _: &TakeRoom, _: &mut Context) -> FreeRoom {
        FreeRoom {}
    }
    fn refund(&self, _: &mut Context) -> Refund {
        Refund {}
    }
    fn entered(&mut self, _: &mut Context) -> ActionResult<()> {
        self.note("entered")
    }
    fn left(&mut self, _: &mut Context) -> ActionResult<()> {
        self.note("left")
    }
    fn looked(&mut self, _: &Looked, _: &mut Context) -> ActionResult<()> {
        self.note("looked")
    }
    fn cancelled(&mut self, _: &Cancelled, _: &mut Context) -> ActionResult<()> {
        self.note("cancelled")
    }
    fn tell(&self, _: &Cancelled, _: &mut Context) -> Tell {
        Tell { after: self.trace.join(" ") }
    }
    fn packed(&mut self, _: &mut Context) -> ActionResult<()> {
        self.note("packed")
    }
    fn is_second(&self, event: &Tick, _: &Context) -> bool {
        event.nth == 2
    }
    fn hurried(&mut self, _: &Tick, _: &mut Context) -> ActionResult<()> {
        self.note("hurried")
    }
}

events! {
    Arrived "arrived" {}
    Looked "looked" {}
    Renewed "renewed" {}
    Cancelled "cancelled" {}
    Departed "departed" {}
}

commands! {
    TakeRoom "room.take" {}
    FreeRoom "room.free" {}
    Refund "refund" {}
    Tell "tell" { after: String }
}

fn arrived() -> Given<StayState> {
    Given::started(Arrived {}).done::<TakeRoom>()
}

#[test]
fn done_is_a_line_of_history_and_moves_nothing() {
    let stay = arrived();
    assert_eq!(stay.history().last().unwrap(), "done room.take");
    assert_eq!((stay.state(), stay.data().trace.len()), (&StayState::Inside, 1));
}

#[test]
fn stay_goes_on_with_the_visit_and_reenter_begins_another() {
    let same = arrived().elapsed(minutes(5)).when(Looked {});
    assert_eq!(same.data().trace, ["entered", "looked"]);
    assert_eq!(same.timers(), [("15m", minutes(10))]);
    assert_eq!(same.obligations(), ["room.free", "refund"]);
    let another = arrived().elapsed(minutes(5)).when(Renewed {});
    assert_eq!(another.data().trace, ["entered", "left", "entered"]);
    assert_eq!(another.timers(), [("15m", minutes(15))]);
    assert_eq!(another.obligations(), ["room.free", "refund", "refund"]);
}

#[test]
fn on_leave_runs_at_the_turn_and_the_rest_of_the_row_at_the_arrival() {
    let turned = arrived().holding_undos().when(Cancelled {});
    assert!(matches!(turned.position(), Position::Compensating { .. }), "{:?}", turned.position());
    assert_eq!(turned.data().trace, ["entered", "left"]);
    assert!(turned.sent::<Tell>().is_empty());
    let arrived = turned.done::<Refund>().done::<FreeRoom>();
    assert_eq!(arrived.position(), Position::In(StayState::Leaving), "a state that goes on");
    assert_eq!(arrived.data().trace, ["entered", "left", "cancelled", "packed"]);
    assert_eq!(arrived.sent::<Tell>(), [Tell { after: "entered left cancelled".to_owned() }]);
    assert_eq!(arrived.when(Departed {}).state(), &StayState::Gone);
}

#[test]
fn a_refused_undo_that_is_skipped_is_given_up_and_the_next_one_follows() {
    let parked = arrived().holding_undos().when(Cancelled {}).failed::<Refund>("account closed");
    assert!(parked.position().is_parked());
    assert_eq!(parked.obligations(), ["room.free", "refund"], "both are still owed");
    assert!(parked.sent::<FreeRoom>().is_empty());
    let skipped = parked.skip();
    assert_eq!(skipped.parked(), None);
    assert_eq!(skipped.obligations(), ["room.free"]);
    let history = skipped.history();
    assert!(history.iter().any(|line| line.starts_with("given-up refund")), "{history:?}");
    assert_eq!(skipped.sent::<FreeRoom>().len(), 1);
    let arrived = skipped.done::<FreeRoom>();
    assert_eq!(arrived.state(), &StayState::Leaving);
    assert_eq!(arrived.sent::<Refund>().len(), 1, "nobody tried it again");
}

#[test]
fn a_firing_that_no_guard_lets_through_is_used_up_and_the_history_says_so() {
    let leaving = arrived().when(Cancelled {}).elapsed(minutes(10));
    assert_eq!(leaving.history().last().unwrap(), "ignored every 10m (no guard returned true)");
    assert_eq!(leaving.timers(), [("every 10m", minutes(10))], "the next one is set");
    assert_eq!(leaving.elapsed(minutes(10)).data().trace.last().unwrap(), "hurried");
}

#[test]
fn the_drawing_has_guards_timers_outcomes_and_debts_and_leaves_out_what_only_decides() {
    let stay = StayState::definition().mermaid();
    for line in [
        "[*] --> Inside: Arrived / send TakeRoom\n",
        "Inside --> Leaving: Cancelled / compensate, send Tell\n",
        "Inside --> Gone: timeout 15m / compensate\n",
        "Leaving --> Leaving: every 10m [is_second]\n",
        "note right of Inside: owes Refund\n",
    ] {
        assert!(stay.contains(line), "{line}{stay}");
    }
    for line in ["Inside: Departed", "Leaving: Renewed", "Leaving: Looked"] {
        assert!(!stay.contains(line), "{line}\n{stay}");
    }
    let call = CallState::definition().mermaid();
    assert!(call.contains("Ringing --> Ringing: failed(Ring) [is_busy]\n"), "{call}");
}

/// Has no room, and waits for one until nobody wants it any more.
#[derive(Clone, Default)]
struct Clerk {
    asked: Arc<Notify>,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Handler<TakeRoom> for Clerk {
    async fn handle(&self, _: TakeRoom, cx: &HandlerContext) -> HandlerResult<TakeRoom> {
        self.asked.notify_one();
        cx.cancelled().await;
        self.log.lock().unwrap().push("stopped");
        Err("there was no room yet".into())
    }
}

macro_rules! done {
    ($($command:ident)*) => {$(
                impl Handler<$command> for Clerk {
            async fn handle(&self, _: $command, _: &HandlerContext) -> HandlerResult<$command> {
                self.log.lock().unwrap().push(<$command as Command>::NAME);
                Ok(Done.into())
            }
        }
    )*};
}
done! { FreeRoom Refund Tell }

async fn reception(clerk: &Clerk) -> Dispatcher {
    Dispatcher::builder(MemoryStore::new())
        .saga::<StayState>()
        .handler::<TakeRoom>(clerk.clone())
        .handler::<FreeRoom>(clerk.clone())
        .handler::<Refund>(clerk.clone())
        .handler::<Tell>(clerk.clone())
        .clock(ManualClock::default())
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_running_handler_sees_that_it_is_not_wanted_and_the_undos_wait_for_its_end() {
    let clerk = Clerk::default();
    let dispatcher = reception(&clerk).await;
    dispatcher.publish(Arrived {}).await.unwrap();
    clerk.asked.notified().await;
    dispatcher.publish(Cancelled {}).await.unwrap();
    let leaving =
        |stay: &saga::Instance<StayState>| (stay.position == Position::In(StayState::Leaving)).then_some(());
    dispatcher.wait_for::<StayState, _>("1", minutes(1), leaving).await.unwrap();
    let log = clerk.log.lock().unwrap().clone();
    assert_eq!(log[..3], ["stopped", "refund", "room.free"]);
}

#[tokio::test]
async fn a_running_instance_tells_its_state_data_debts_timers_and_open_commands() {
    let dispatcher = reception(&Clerk::default()).await;
    dispatcher.publish(Arrived {}).await.unwrap();
    let stay = dispatcher.instance::<StayState>("1").await.unwrap().unwrap();
    assert_eq!(stay.position, Position::In(StayState::Inside));
    assert_eq!(stay.data.trace, ["entered"]);
    assert_eq!(stay.obligations, ["room.free", "refund"]);
    let timers: Vec<_> = stay.timers.iter().map(|timer| (timer.name.as_str(), timer.due)).collect();
    assert_eq!(timers, [("15m", stay.created_at.plus(minutes(15)))]);
    let open: Vec<(&str, u32)> = stay.open.iter().map(|open| (&*open.command, open.attempts)).collect();
    assert_eq!(open, [("room.take", 0)]);
}

/// Several undos of one name, of which a row drops one.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "basket", version = 1, data(Basket), actions(BasketActions))]
#[initially(when(Filled, run(fill), send(Hold, each, undo(LetGo)), transition_to(Holding)))]
#[unhandled(reject)]
pub enum BasketState {
    #[during(when(Emptied, not_owed(LetGo), transition_to(Empty)))]
    Holding,
    #[terminal(failure)]
    Empty,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basket {}

impl BasketActions for Basket {
    fn fill(_: &Filled, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn hold(&self, event: &Filled, _: &mut Context) -> Vec<Hold> {
        (0..event.items).map(|item| Hold { item }).collect()
    }
    fn let_go(&self, command: &Hold, _: &mut Context) -> LetGo {
        LetGo { item: command.item }
    }
}

events! {
    Filled "filled" { items: u32 }
    Emptied "emptied" {}
}

commands! {
    Hold "hold" { item: u32 }
    LetGo "let-go" { item: u32 }
}

#[test]
fn a_failure_end_with_something_owed_is_refused_at_run_time_too() {
    let one = Given::<BasketState>::started(Filled { items: 1 }).when(Emptied {});
    assert_eq!(one.state(), &BasketState::Empty);
    let two = Given::<BasketState>::started(Filled { items: 2 }).when(Emptied {});
    assert_eq!(two.state(), &BasketState::Holding);
    assert_eq!(
        two.parked().unwrap(),
        "failure end with open obligations: Emptied leads to a failure end; `let-go` is still owed"
    );
    assert_eq!(two.obligations(), ["let-go", "let-go"]);
}

// Composite events.

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "tour", version = 1, data(Tour), actions(TourActions))]
#[initially(when(Begun, run(begin), transition_to(Outward)))]
#[unhandled(reject)]
pub enum TourState {
    #[during(when(Walked, transition_to(Homeward)), when_all(Rested, Walked, transition_to(Lost)))]
    Outward,
    #[during(when_all(Rested, Walked, transition_to(Home)))]
    Homeward,
    #[terminal]
    Home,
    #[terminal(failure)]
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tour {}

impl TourActions for Tour {
    fn begin(_: &Begun, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
}

events! {
    Begun "begun" {}
    Rested "rested" {}
    Walked "walked" {}
}

#[test]
fn a_set_is_judged_in_the_state_to_which_the_row_of_its_last_member_has_led() {
    let tour = Given::<TourState>::started(Begun {}).when(Rested {}).when(Walked {});
    assert_eq!(tour.state(), &TourState::Home);
    let history = tour.history();
    assert_eq!(history[history.len() - 2], "applied walked: outward -> homeward");
    assert_eq!(history[history.len() - 1], "applied when_all(Rested, Walked): homeward -> home");
}

// Who takes an event.

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "list", version = 1, data(List), actions(ListActions))]
#[initially(when(Opened, run(open), transition_to(Listing)))]
#[unhandled(reject)]
pub enum ListState {
    #[during(when(Posted, run(count), publish(Mailed, each), stay), when(Closed, transition_to(Done)))]
    Listing,
    #[terminal]
    Done,
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "counter", version = 1, data(List), actions(CounterActions))]
#[initially(when(Opened, run(open), transition_to(Counting)))]
#[unhandled(reject)]
pub enum CounterState {
    #[during(when(Posted, run(count), stay), when(Closed, transition_to(Done)))]
    Counting,
    #[terminal]
    Done,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List {
    posted: u32,
}

impl ListActions for List {
    fn open(_: &Opened, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { posted: 0 })
    }
    fn count(&mut self, _: &Posted, _: &mut Context) -> ActionResult<()> {
        self.posted += 1;
        Ok(())
    }
    fn mailed(&self, event: &Posted, _: &mut Context) -> Vec<Mailed> {
        event.to.iter().map(|to| mailed(to)).collect()
    }
}

impl CounterActions for List {
    fn open(_: &Opened, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { posted: 0 })
    }
    fn count(&mut self, _: &Posted, _: &mut Context) -> ActionResult<()> {
        self.posted += 1;
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "list.opened", key(list))]
pub struct Opened {
    list: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "list.posted", key(list))]
pub struct Posted {
    list: String,
    to: Vec<String>,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "list.closed", key(list))]
pub struct Closed {
    list: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "mailed", key(to))]
pub struct Mailed {
    to: String,
}

fn opened(list: &str) -> Opened {
    Opened { list: list.to_owned() }
}

fn posted(list: &str, to: &[&str]) -> Posted {
    Posted { list: list.to_owned(), to: to.iter().map(|&to| to.to_owned()).collect() }
}

fn mailed(to: &str) -> Mailed {
    Mailed { to: to.to_owned() }
}

/// Notes under which name it was given what.
#[derive(Clone, Default)]
struct Postman(Arc<Mutex<Vec<String>>>);

impl Subscriber<Mailed> for Postman {
    async fn handle(&self, event: Mailed, cx: &HandlerContext) -> Result<(), HandlerError> {
        let line = format!("{} {}: to {}", cx.saga(), cx.instance(), event.to);
        self.0.lock().unwrap().push(line);
        Ok(())
    }
}

impl Postman {
    /// What it was given, once that is so much.
    async fn given(&self, count: usize) -> Vec<String> {
        while self.0.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
        let mut given = self.0.lock().unwrap().clone();
        given.sort();
        given
    }
}

/// With the postman as a subscriber under each of these names.
async fn post(
    store: &MemoryStore,
    clock: &ManualClock,
    postman: &Postman,
    names: &[&'static str],
) -> Dispatcher {
    let builder = Dispatcher::builder(store.clone()).saga::<ListState>().saga::<CounterState>();
    let builder = names.iter().fold(builder.clock(clock.clone()), |builder, &name| {
        builder.subscriber::<Mailed>(name, postman.clone())
    });
    builder.start().await.unwrap()
}

/// How often the list has been posted to, once that is so often.
async fn count<S: Saga<Data = List>>(dispatcher: &Dispatcher, list: &str, least: u32) -> u32 {
    let posted = |found: &saga::Instance<S>| (found.data.posted >= least).then_some(found.data.posted);
    dispatcher.wait_for::<S, _>(list, minutes(1), posted).await.unwrap()
}

#[test]
fn publish_each_publishes_as_many_as_its_method_returns() {
    let list = Given::<ListState>::started(opened("a")).when(posted("a", &["ada", "bo"]));
    assert_eq!(list.published::<Mailed>(), [mailed("ada"), mailed("bo")]);
    assert_eq!(list.when(posted("a", &[])).published::<Mailed>().len(), 2, "none was added");
}

#[tokio::test]
async fn an_event_goes_to_one_instance_of_each_saga_that_takes_it() {
    let (store, clock, postman) = (MemoryStore::new(), ManualClock::default(), Postman::default());
    let dispatcher = post(&store, &clock, &postman, &["letters"]).await;
    dispatcher.publish(opened("a")).await.unwrap();
    dispatcher.publish(opened("b")).await.unwrap();
    let receipt = dispatcher.publish(posted("a", &[])).await.unwrap();
    let mut consumers: Vec<_> =
        receipt.consumers.iter().map(|consumer| (consumer.consumer.as_str(), consumer.key.text())).collect();
    consumers.sort_unstable();
    assert_eq!(consumers, [("counter", "a"), ("list", "a")]);
    assert_eq!(count::<ListState>(&dispatcher, "a", 1).await, 1);
    assert_eq!(count::<CounterState>(&dispatcher, "a", 1).await, 1);
    assert_eq!(count::<ListState>(&dispatcher, "b", 0).await, 0);
    assert_eq!(count::<CounterState>(&dispatcher, "b", 0).await, 0);
}

#[tokio::test]
async fn an_event_that_a_saga_publishes_without_a_key_is_a_dead_letter() {
    let (store, clock, postman) = (MemoryStore::new(), ManualClock::default(), Postman::default());
    let dispatcher = post(&store, &clock, &postman, &["letters"]).await;
    dispatcher.publish(opened("a")).await.unwrap();
    dispatcher.publish(posted("a", &["", "ada"])).await.unwrap();
    assert_eq!(postman.given(1).await, ["letters ada: to ada"], "the other one goes its way");
    let letters = dispatcher.dead_letters(None).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].letter.reason, DeadLetterReason::BadKey);
    assert!(letters[0].letter.detail.contains("the key is empty"), "{}", letters[0].letter.detail);
    assert_eq!(count::<ListState>(&dispatcher, "a", 1).await, 1, "the step was taken all the same");
}

#[tokio::test]
async fn each_subscriber_sees_its_own_name_and_the_key_of_the_event() {
    let (store, clock, postman) = (MemoryStore::new(), ManualClock::default(), Postman::default());
    let dispatcher = post(&store, &clock, &postman, &["letters", "archive"]).await;
    dispatcher.publish(mailed("ada")).await.unwrap();
    assert_eq!(postman.given(2).await, ["archive ada: to ada", "letters ada: to ada"]);
}

#[tokio::test]
async fn a_delivery_waits_for_the_subscriber_of_its_name() {
    let (store, clock, postman) = (MemoryStore::new(), ManualClock::default(), Postman::default());
    post(&store, &clock, &postman, &["letters"]).await.shutdown(minutes(1)).await.unwrap();
    let renamed = post(&store, &clock, &postman, &["archive"]).await;
    renamed.publish(mailed("ada")).await.unwrap();
    assert_eq!(postman.given(1).await, ["archive ada: to ada"]);
    renamed.shutdown(minutes(1)).await.unwrap();
    assert_eq!(postman.given(1).await.len(), 1, "the other name does not get it");
    let _dispatcher = post(&store, &clock, &postman, &["letters"]).await;
    assert_eq!(postman.given(2).await, ["archive ada: to ada", "letters ada: to ada"]);
}
