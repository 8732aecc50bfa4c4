//! Words of the table that the other tests do not need: where shared rows stand, ignoring, keys for one saga, own events.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.
#![allow(clippy::duplicated_attributes)] // Several rows on the enum share words.

use saga::{DeadLetterReason, HistoryKind, IgnoredReason};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{Dispatcher, Disposition};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "visit", version = 1, data(Visit), actions(VisitActions))]
#[initially(when(Came, run(come), send(Greet, with(first)), send(Greet, with(second)), transition_to(Hall)))]
#[during_any(only(Hall, Garden), when(Rained, transition_to(Indoors)))]
#[during_any(except(Hall), when(Called, run(called), stay))]
#[during_any(when(Rang, transition_to(Garden)))]
#[missing_instance(ignore)]
#[unhandled(reject)]
pub enum VisitState {
    #[during(
        when_all(Came, TookHat, run(settled), stay),
        when(Greeted, run(greeted), stay),
        when(Spoke, publish(Echoed, with(echo)), stay),
        when(Echoed, run(echoed), stay),
        when(Moved, run(moved), stay),
        ignore(Called, failed(Greet), unknown(Greet))
    )]
    Hall,
    #[during(when(Left, send(Tidy), send(Farewell), transition_to(Gone)))]
    Garden,
    #[during(when(Left, transition_to(Gone)))]
    Indoors,
    #[terminal]
    Gone,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    guest: String,
    trace: Vec<String>,
}

impl Visit {
    fn note(&mut self, what: impl Into<String>) -> ActionResult<()> {
        self.trace.push(what.into());
        Ok(())
    }
}

impl VisitActions for Visit {
    fn come(event: &Came, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { guest: event.guest.clone(), trace: Vec::new() })
    }
    fn first(&self, _: &Came, _: &mut Context) -> Greet {
        Greet { how: "hello".to_owned() }
    }
    fn second(&self, _: &Came, _: &mut Context) -> Greet {
        Greet { how: "welcome".to_owned() }
    }
    fn called(&mut self, _: &Called, _: &mut Context) -> ActionResult<()> {
        self.note("called")
    }
    fn settled(&mut self, _: &mut Context) -> ActionResult<()> {
        self.note("settled")
    }
    fn greeted(&mut self, _: &Greeted, cx: &mut Context) -> ActionResult<()> {
        let how = cx.command::<Greet>().map_or_else(|| "nothing".to_owned(), |greet| greet.how);
        self.note(format!("answered {how}"))
    }
    fn echoed(&mut self, event: &Echoed, _: &mut Context) -> ActionResult<()> {
        self.note(format!("heard {}", event.what))
    }
    fn moved(&mut self, event: &Moved, _: &mut Context) -> ActionResult<()> {
        self.note(format!("moved to {}", event.house))
    }
    fn echo(&self, event: &Spoke, _: &mut Context) -> Echoed {
        Echoed { guest: self.guest.clone(), what: event.what.clone() }
    }
    fn tidy(&self, _: &Left, _: &mut Context) -> Tidy {
        Tidy {}
    }
    fn farewell(&self, _: &Left, _: &mut Context) -> Farewell {
        Farewell {}
    }
}

macro_rules! events {
    ($($name:ident $wire:literal { $($field:ident),* })*) => {$(
        #[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[event(name = $wire, key(guest))]
        pub struct $name { guest: String, $($field: String),* }
    )*};
}
events! {
    Came "came" {}
    TookHat "took-hat" {}
    Rained "rained" {}
    Called "called" {}
    Rang "rang" {}
    Spoke "spoke" { what }
    Echoed "echoed" { what }
    Left "left" {}
}

/// The house is its key for everybody but the visit, for which it is the guest.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "moved", key(house, street), key_for(VisitState, guest))]
pub struct Moved {
    house: String,
    street: String,
    guest: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "greeted")]
pub struct Greeted {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "greet", replies(Greeted))]
pub struct Greet {
    how: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "tidy")]
pub struct Tidy {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "farewell", best_effort)]
pub struct Farewell {}

macro_rules! ada {
    ($name:ident) => {
        $name { guest: "ada".to_owned() }
    };
}

fn came() -> Given<VisitState> {
    Given::started_as("ada", ada!(Came))
}

#[test]
fn r02_shared_rows_stand_in_the_states_they_name() {
    assert_eq!(came().when(ada!(Rained)).state(), &VisitState::Indoors);
    let indoors = came().when(ada!(Rained)).when(ada!(Rained));
    assert_eq!(indoors.dead_letters()[0].reason, DeadLetterReason::Unhandled, "`only` names others");
    let garden = came().when(ada!(Rang)).when(ada!(Called));
    assert_eq!(garden.data().trace, ["called"], "`except` does not name it");
}

#[test]
fn r02_a_shared_row_does_not_stand_in_its_own_target() {
    let garden = came().when(ada!(Rang));
    assert_eq!(garden.state(), &VisitState::Garden);
    assert_eq!(garden.when(ada!(Rang)).dead_letters()[0].reason, DeadLetterReason::Unhandled);
}

#[test]
fn r01_an_ignored_event_says_so() {
    let hall = came().when(ada!(Called));
    assert_eq!(hall.ignored(), Some(IgnoredReason::RowIgnores));
    assert_eq!(hall.history().last().unwrap(), "ignored called (the row has `ignore`)");
    assert!(hall.data().trace.is_empty());
}

#[test]
fn r05_the_starting_event_counts_and_a_set_fires_once() {
    let hall = came().when(ada!(TookHat));
    assert_eq!(hall.data().trace, ["settled"]);
    let hall = hall.when(ada!(TookHat)).when(ada!(Came));
    assert_eq!(hall.data().trace, ["settled"]);
}

#[test]
fn a_reply_knows_the_command_it_answers() {
    let hall = came().when(Greeted {}).when(Greeted {});
    assert_eq!(hall.data().trace, ["answered hello", "answered welcome"]);
}

#[test]
fn the_table_reads_as_data_and_as_drawings() {
    let definition = VisitState::definition();
    let hall = definition.states.iter().find(|state| state.variant == "Hall").unwrap();
    let ignored = hall.rows.iter().filter(|&&row| definition.rows[row].verdict.is_some()).count();
    assert_eq!(ignored, 1);
    let dot = definition.dot();
    assert!(dot.contains("Hall -> Garden [label=\"Rang\"];"), "{dot}");
    assert!(dot.contains("Gone [shape=doublecircle"), "{dot}");
    assert!(!dot.contains("Hall -> Hall [label=\"Called"), "what is ignored is left out: {dot}");
}

/// Greets, and notes who asks; refuses to tidy and to say farewell.
#[derive(Clone, Default)]
struct Host {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Handler<Greet> for Host {
    async fn handle(&self, command: Greet, cx: &HandlerContext) -> HandlerResult<Greet> {
        let line = format!("{} for {} {}", command.how, cx.saga(), cx.instance());
        self.asked.lock().unwrap().push(line);
        Ok(Greeted {}.into())
    }
}

impl Handler<Tidy> for Host {
    async fn handle(&self, _: Tidy, _: &HandlerContext) -> HandlerResult<Tidy> {
        Err(HandlerError::refused("no broom"))
    }
}

impl Handler<Farewell> for Host {
    async fn handle(&self, _: Farewell, _: &HandlerContext) -> HandlerResult<Farewell> {
        Err(HandlerError::refused("no voice"))
    }
}

impl Subscriber<Moved> for Host {
    async fn handle(&self, event: Moved, cx: &HandlerContext) -> Result<(), HandlerError> {
        let line = format!("{} moved, says {} {}", event.guest, cx.saga(), cx.instance());
        self.asked.lock().unwrap().push(line);
        Ok(())
    }
}

struct House {
    host: Host,
    dispatcher: Dispatcher,
}

impl House {
    async fn open() -> Self {
        let host = Host::default();
        let dispatcher = Dispatcher::builder(MemoryStore::new())
            .saga::<VisitState>()
            .handler::<Greet>(host.clone())
            .handler::<Tidy>(host.clone())
            .handler::<Farewell>(host.clone())
            .subscriber::<Moved>("register", host.clone())
            .clock(ManualClock::default())
            .start()
            .await
            .unwrap();
        Self { host, dispatcher }
    }

    async fn publish<E: Correlated>(&self, event: E) -> Disposition {
        self.dispatcher.publish(event).await.unwrap().consumers[0].disposition.clone()
    }

    /// Waits until the visit has noted this.
    async fn noted(&self, what: &str) {
        let noted = |visit: &saga::Instance<VisitState>| {
            visit.data.trace.iter().any(|line| line == what).then_some(())
        };
        self.dispatcher.wait_for::<VisitState, _>("ada", Duration::from_secs(60), noted).await.unwrap();
    }

    async fn asked(&self, count: usize) -> Vec<String> {
        while self.host.asked.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
        let mut asked = self.host.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

#[tokio::test]
async fn r27_an_event_without_instance_may_be_ignored() {
    let house = House::open().await;
    let ignored = house.publish(ada!(Rained)).await;
    assert_eq!(format!("{ignored:?}"), "Ignored { why: NoInstance }");
    assert!(house.dispatcher.dead_letters(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_event_that_a_saga_publishes_to_itself_is_a_later_step() {
    let house = House::open().await;
    house.publish(ada!(Came)).await;
    house.publish(Spoke { guest: "ada".to_owned(), what: "ahoy".to_owned() }).await;
    house.noted("heard ahoy").await;
    let history = house.dispatcher.history::<VisitState>("ada").await.unwrap();
    let seq = |name: &str| history.iter().find(|line| line.entry.name == name).unwrap().seq;
    assert!(seq("echoed") > seq("spoke"));
}

#[tokio::test]
async fn r35_an_event_has_another_key_for_one_saga() {
    let house = House::open().await;
    house.publish(ada!(Came)).await;
    let moved = Moved { house: "7/a".to_owned(), street: "Mill Lane".to_owned(), guest: "ada".to_owned() };
    house.publish(moved).await;
    house.noted("moved to 7/a").await;
    let asked = house.asked(3).await;
    assert_eq!(
        asked,
        ["ada moved, says register 7%2Fa/Mill Lane", "hello for visit ada", "welcome for visit ada"]
    );
}

#[tokio::test]
async fn r03_what_fails_after_the_end_is_a_dead_letter_for_a_person() {
    let house = House::open().await;
    house.publish(ada!(Came)).await;
    house.publish(ada!(Rang)).await;
    house.publish(ada!(Left)).await;
    let over = async |name: &str| {
        let history = house.dispatcher.history::<VisitState>("ada").await.unwrap();
        history.iter().any(|line| line.entry.name == name && line.entry.kind == HistoryKind::Refused)
    };
    while !(over("farewell").await && over("tidy").await) {
        tokio::task::yield_now().await;
    }
    let dead = house.dispatcher.dead_letters(None).await.unwrap();
    let after_the_end = dead.iter().filter(|row| row.letter.reason == DeadLetterReason::OutcomeAfterEnd);
    let details: Vec<_> = after_the_end.map(|row| &*row.letter.detail).collect();
    let (tidy, farewell) = (
        "`tidy` ended as refused after the end of the instance: no broom",
        "`farewell` ended as refused after the end of the instance: no voice",
    );
    assert!(details.contains(&tidy) && details.contains(&farewell) && details.len() == 2, "{details:?}");
}
