//! Routing slips: steps given at run time, undone last in first out.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::prelude::*;
use saga::routing_slip::{RoutingSlip, Slip, SlipError, SlipState};
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Operator, ParkReason, Policy, Position};

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "do", replies(Did, Declined))]
pub struct Do {
    what: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "undo")]
pub struct Undo {
    what: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "once", at_most_once)]
pub struct Once {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "did")]
pub struct Did {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "declined")]
pub struct Declined {}

/// Does what it is told, unless it has been told how to fail at it.
#[derive(Clone, Default)]
struct Worker {
    log: Arc<Mutex<Vec<String>>>,
    /// The numbers of the attempts of undos.
    undos: Arc<Mutex<Vec<u32>>>,
    /// What fails, and how.
    fails: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
}

impl Worker {
    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    fn fails(&self, what: &str) -> Option<&'static str> {
        self.fails.lock().unwrap().iter().find(|(failing, _)| *failing == what).map(|(_, how)| *how)
    }

    fn fail_at(&self, what: &'static str, how: &'static str) {
        *self.fails.lock().unwrap() = vec![(what, how)];
    }
}

impl Handler<Do> for Worker {
    async fn handle(&self, command: Do, _: &HandlerContext) -> HandlerResult<Do> {
        self.note(format!("do {}", command.what));
        match self.fails(&command.what) {
            Some("refuse") => Err(HandlerError::refused("no")),
            Some("indeterminate") => Err("no answer".into()),
            Some(_) => Ok(Declined {}.into()),
            None => Ok(Did {}.into()),
        }
    }
}

impl Handler<Undo> for Worker {
    async fn handle(&self, command: Undo, cx: &HandlerContext) -> HandlerResult<Undo> {
        self.undos.lock().unwrap().push(cx.attempt());
        self.note(format!("undo {}", command.what));
        match self.fails(&format!("undo {}", command.what)) {
            Some(_) => Err(HandlerError::refused("it cannot be undone")),
            None => Ok(Done.into()),
        }
    }
}

struct Works {
    store: MemoryStore,
    clock: ManualClock,
    worker: Worker,
}

impl Works {
    fn new() -> Self {
        Self { store: MemoryStore::new(), clock: ManualClock::default(), worker: Worker::default() }
    }

    async fn open(&self) -> Dispatcher {
        let quick = Policy::default().quick_attempts(2).max_total_time(Duration::ZERO);
        // Slips are asked for before the handlers are there.
        Dispatcher::builder(self.store.clone())
            .routing_slips_with(quick)
            .handler::<Do>(self.worker.clone())
            .handler::<Undo>(self.worker.clone())
            .clock(self.clock.clone())
            .start()
            .await
            .unwrap()
    }

    async fn run(&self, dispatcher: &Dispatcher, slip: RoutingSlip) -> (Position<SlipState>, Slip) {
        dispatcher.publish(slip).await.unwrap();
        let position = dispatcher.settled::<SlipState>("7").await.unwrap();
        (position, dispatcher.instance::<SlipState>("7").await.unwrap().unwrap().data)
    }

    fn log(&self) -> Vec<String> {
        self.worker.log.lock().unwrap().clone()
    }
}

fn slip(steps: &[&str]) -> RoutingSlip {
    let step = |slip: RoutingSlip, what: &&str| {
        let what = (*what).to_owned();
        slip.step(&Do { what: what.clone() }).unwrap().undo(&Undo { what }).unwrap().fails_on::<Declined>()
    };
    steps.iter().fold(RoutingSlip::new("7"), step)
}

#[tokio::test]
async fn the_steps_run_one_after_the_other() {
    let works = Works::new();
    let (position, slip) = works.run(&works.open().await, slip(&["a", "b", "c"])).await;
    assert_eq!(position, Position::In(SlipState::Completed));
    assert_eq!(works.log(), ["do a", "do b", "do c"]);
    assert_eq!((slip.done, slip.why), (3, None));
}

#[tokio::test]
async fn what_a_step_answers_stands_in_the_history_and_changes_no_later_step() {
    let works = Works::new();
    let dispatcher = works.open().await;
    works.run(&dispatcher, slip(&["a", "b"])).await;
    assert_eq!(works.log(), ["do a", "do b"], "as they were published");
    let history = dispatcher.history::<SlipState>("7").await.unwrap();
    let answers: Vec<_> = history.iter().filter(|row| row.entry.name == "saga.step-done").collect();
    assert_eq!(answers.len(), 2);
    for answer in answers {
        let said = answer.entry.payload.as_ref().unwrap().as_str();
        assert!(said.contains(r#""name":"did""#), "{said}");
    }
}

#[tokio::test]
async fn an_empty_slip_completes_at_once() {
    let works = Works::new();
    let (position, _) = works.run(&works.open().await, RoutingSlip::new("7")).await;
    assert_eq!(position, Position::In(SlipState::Completed));
}

#[tokio::test]
async fn a_failed_step_is_not_undone_and_those_before_it_are_last_in_first_out() {
    for (how, why) in [("decline", "step 3: declined"), ("refuse", "step 3: no")] {
        let works = Works::new();
        works.worker.fail_at("c", how);
        let (position, slip) = works.run(&works.open().await, slip(&["a", "b", "c", "d"])).await;
        assert_eq!(position, Position::In(SlipState::Faulted));
        assert_eq!(works.log(), ["do a", "do b", "do c", "undo b", "undo a"]);
        assert_eq!((slip.done, slip.why.as_deref()), (2, Some(why)));
    }
}

#[tokio::test]
async fn a_step_that_nobody_knows_of_is_undone_too() {
    let works = Works::new();
    works.worker.fail_at("b", "indeterminate");
    let (position, slip) = works.run(&works.open().await, slip(&["a", "b"])).await;
    assert_eq!(position, Position::In(SlipState::Faulted));
    assert_eq!(works.log(), ["do a", "do b", "do b", "undo b", "undo a"]);
    assert!(slip.why.unwrap().starts_with("the outcome of step 2 is unknown"));
}

#[tokio::test]
async fn r14_an_undo_counts_its_own_attempts() {
    let works = Works::new();
    works.worker.fail_at("b", "indeterminate");
    works.run(&works.open().await, slip(&["a", "b"])).await;
    let undos = works.worker.undos.lock().unwrap().clone();
    assert_eq!(undos, [1, 1], "the two attempts at `b` are not its undo's");
}

#[tokio::test]
async fn a_failed_undo_parks_and_goes_on_where_it_stopped() {
    let works = Works::new();
    works.worker.fails.lock().unwrap().extend([("c", "refuse"), ("undo b", "refuse")]);
    let dispatcher = works.open().await;
    let (position, _) = works.run(&dispatcher, slip(&["a", "b", "c"])).await;
    let Position::Parked { reason, .. } = position else { panic!("{position:?}") };
    assert_eq!(reason, ParkReason::UndoRefused);
    works.worker.fails.lock().unwrap().clear();
    dispatcher.retry::<SlipState>("7", Operator::new("op").because("mended")).await.unwrap();
    let position = dispatcher.settled::<SlipState>("7").await.unwrap();
    assert_eq!(position, Position::In(SlipState::Faulted));
    assert_eq!(works.log(), ["do a", "do b", "do c", "undo b", "undo b", "undo a"]);
}

#[tokio::test]
async fn a_slip_goes_on_where_it_was_after_a_crash() {
    let works = Works::new();
    works.worker.fail_at("b", "indeterminate");
    let slow = Policy::default().quick_attempts(1).backoff(Duration::from_secs(60), Duration::from_secs(60));
    let dispatcher = Dispatcher::builder(works.store.clone())
        .handler::<Do>(works.worker.clone())
        .handler::<Undo>(works.worker.clone())
        .routing_slips_with(slow)
        .clock(works.clock.clone())
        .start()
        .await
        .unwrap();
    dispatcher.publish(slip(&["a", "b", "c"])).await.unwrap();
    while works.log().len() < 2 {
        tokio::task::yield_now().await;
    }
    dispatcher.kill().await;
    works.worker.fails.lock().unwrap().clear();
    let dispatcher = works.open().await;
    let settled = dispatcher.settled::<SlipState>("7");
    tokio::pin!(settled);
    let position = loop {
        tokio::select! {
            biased;
            position = &mut settled => break position.unwrap(),
            () = works.clock.advance_to_next() => {}
        }
    };
    assert_eq!(position, Position::In(SlipState::Completed));
    assert_eq!(works.log(), ["do a", "do b", "do b", "do c"]);
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "carry-out", was = "do", replies(Did))]
pub struct CarryOut {
    what: String,
}

impl Handler<CarryOut> for Worker {
    async fn handle(&self, command: CarryOut, _: &HandlerContext) -> HandlerResult<CarryOut> {
        self.note(format!("carry out {}", command.what));
        Ok(Did {}.into())
    }
}

#[tokio::test]
async fn r34_a_step_written_under_an_earlier_name_finds_its_handler() {
    let works = Works::new();
    let dispatcher = Dispatcher::builder(works.store.clone())
        .handler::<CarryOut>(works.worker.clone())
        .handler::<Undo>(works.worker.clone())
        .routing_slips()
        .clock(works.clock.clone())
        .start()
        .await
        .unwrap();
    let (position, _) = works.run(&dispatcher, slip(&["a"])).await;
    assert_eq!(position, Position::In(SlipState::Completed));
    assert_eq!(works.log(), ["carry out a"]);
}

#[test]
fn what_cannot_be_a_step_is_refused_when_the_slip_is_written() {
    let once = RoutingSlip::new("7").step(&Once {}).unwrap_err();
    assert!(matches!(once, SlipError::AtMostOnce("once")), "{once}");
    let nothing = RoutingSlip::new("7").undo(&Undo { what: String::new() }).unwrap_err();
    assert!(matches!(nothing, SlipError::NoStep), "{nothing}");
}

/// The command as a later build sends it.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "do", version = 2, replies(Did, Declined))]
pub struct DoLater {
    how: String,
}

#[tokio::test]
async fn r34_a_step_that_cannot_be_read_parks_the_slip_and_undoes_nothing() {
    let works = Works::new();
    let dispatcher = works.open().await;
    let slip = RoutingSlip::new("1").step(&Do { what: "first".to_owned() }).unwrap();
    let slip = slip.undo(&Undo { what: "first".to_owned() }).unwrap();
    let slip = slip.step(&DoLater { how: "otherwise".to_owned() }).unwrap();
    dispatcher.publish(slip).await.unwrap();
    let position = dispatcher.settled::<SlipState>("1").await.unwrap();
    let Position::Parked { reason, detail, .. } = position else { panic!("{position:?}") };
    assert_eq!(reason, ParkReason::Unreadable);
    assert!(detail.contains("the stored version is 2; this build has version 1"), "{detail}");
    assert_eq!(*works.worker.log.lock().unwrap(), ["do first"]);
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}
