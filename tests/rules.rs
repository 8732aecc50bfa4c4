//! Rules that need a table of their own: the order inside a row, superseded answers, at most once.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::HistoryKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::prelude::*;
use saga::store::{Batch, Inspect, MemoryStore, StepOutcome as Stored, Store};
use saga::testing::Given;
use saga::testing::ManualClock;
use saga::{Dispatcher, ParkReason, Position};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "parcel", version = 1, data(Parcel), actions(ParcelActions))]
#[initially(when(Packed, run(pack), send(Ship), transition_to(Shipping)))]
#[unhandled(reject)]
pub enum ParcelState {
    #[on_leave(run(left))]
    #[during(
        when(Shipped, guard(in_time), run(moved), send(Tell), transition_to(Gone)),
        when(Shipped, transition_to(Lost)),
        when(Again, send(Ship), reenter),
        when(any(failed(Ship), unknown(Ship)), transition_to(Lost))
    )]
    Shipping,
    #[on_enter(run(entered), send(Tell, with(tell_at_the_end)))]
    #[terminal]
    Gone,
    #[terminal(failure)]
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    id: String,
    trace: Vec<String>,
}

impl ParcelActions for Parcel {
    fn pack(event: &Packed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.parcel.clone(), trace: Vec::new() })
    }
    fn ship(&self, _: &mut Context) -> Ship {
        Ship { parcel: self.id.clone() }
    }
    fn in_time(&self, _: &Shipped, _: &Context) -> bool {
        self.trace.is_empty()
    }
    fn left(&mut self, _: &mut Context) -> ActionResult<()> {
        self.trace.push("on_leave".to_owned());
        Ok(())
    }
    fn moved(&mut self, _: &Shipped, _: &mut Context) -> ActionResult<()> {
        self.trace.push("run".to_owned());
        Ok(())
    }
    fn entered(&mut self, _: &mut Context) -> ActionResult<()> {
        self.trace.push("on_enter".to_owned());
        Ok(())
    }
    fn tell(&self, _: &Shipped, _: &mut Context) -> Tell {
        Tell { after: self.trace.join(" ") }
    }
    fn tell_at_the_end(&self, _: &mut Context) -> Tell {
        Tell { after: self.trace.join(" ") }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "parcel.packed", key(parcel))]
pub struct Packed {
    parcel: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "parcel.again", key(parcel))]
pub struct Again {
    parcel: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "parcel.shipped")]
pub struct Shipped {}

/// The carrier knows no keys: it is called at most once.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "parcel.ship", replies(Shipped), at_most_once)]
pub struct Ship {
    parcel: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.send", best_effort)]
pub struct Tell {
    after: String,
}

fn packed() -> Packed {
    Packed { parcel: "1".to_owned() }
}

#[test]
fn r04_guard_leave_run_send_move_enter() {
    let parcel = Given::<ParcelState>::started(packed()).when(Shipped {});
    assert_eq!(parcel.state(), &ParcelState::Gone, "the guard saw the data as it was before");
    assert_eq!(parcel.data().trace, ["on_leave", "run", "on_enter"]);
    let after: Vec<String> = parcel.sent::<Tell>().into_iter().map(|tell| tell.after).collect();
    assert_eq!(after, ["on_leave run", "on_leave run on_enter"]);
}

#[test]
fn r03_a_best_effort_command_never_parks() {
    let parcel = Given::<ParcelState>::started(packed()).when(Shipped {}).unknown::<Tell>("no answer");
    assert_eq!((parcel.parked(), parcel.state()), (None, &ParcelState::Gone));
}

#[tokio::test]
async fn r03_a_best_effort_command_that_fails_is_counted() {
    let (store, carrier) = (MemoryStore::new(), Carrier { refuses: true, ..Carrier::default() });
    let clock = ManualClock::default();
    let dispatcher = open_with(&store, &carrier, &clock).await;
    dispatcher.publish(packed()).await.unwrap();
    assert_eq!(dispatcher.settled::<ParcelState>("1").await.unwrap(), Position::In(ParcelState::Gone));
    clock.idle().await;
    // The counts for people are renewed once a second.
    clock.advance(Duration::from_secs(1));
    clock.idle().await;
    assert_eq!(dispatcher.counters().best_effort_failures, 2, "one of the row, one of the end");
}

#[test]
fn r09_an_answer_to_a_command_sent_again_since_parks() {
    let parcel = Given::<ParcelState>::started(packed()).when(Again { parcel: "1".to_owned() });
    assert_eq!(parcel.sent::<Ship>().len(), 2);
    let parcel = parcel.when(Shipped {});
    let Position::Parked { reason, .. } = parcel.position() else { panic!("{:?}", parcel.position()) };
    assert_eq!(reason, ParkReason::Superseded);
    assert_eq!(
        parcel.skip().when(Shipped {}).state(),
        &ParcelState::Lost,
        "the later answer is an event like any other"
    );
}

/// What a call of the carrier does: notes the number of its attempt, then hangs if it should.
#[derive(Clone, Default)]
struct Carrier {
    attempts: Arc<Mutex<Vec<u32>>>,
    called: Arc<tokio::sync::Notify>,
    hangs: bool,
    /// Whether a best-effort command is refused.
    refuses: bool,
}

impl Handler<Ship> for Carrier {
    async fn handle(&self, _: Ship, cx: &HandlerContext) -> HandlerResult<Ship> {
        self.attempts.lock().unwrap().push(cx.attempt());
        self.called.notify_one();
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Shipped {}.into())
    }
}

impl Handler<Tell> for Carrier {
    async fn handle(&self, _: Tell, _: &HandlerContext) -> HandlerResult<Tell> {
        if self.refuses {
            return Err(HandlerError::refused("nobody is at home"));
        }
        Ok(Done.into())
    }
}

async fn open(store: &MemoryStore, carrier: &Carrier) -> Dispatcher {
    open_with(store, carrier, &ManualClock::default()).await
}

async fn open_with(store: &MemoryStore, carrier: &Carrier, clock: &ManualClock) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .saga::<ParcelState>()
        .handler::<Ship>(carrier.clone())
        .handler::<Tell>(carrier.clone())
        .clock(clock.clone())
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn r18_a_call_that_may_have_begun_is_never_repeated() {
    let (store, carrier) = (MemoryStore::new(), Carrier { hangs: true, ..Carrier::default() });
    let dispatcher = open(&store, &carrier).await;
    dispatcher.publish(packed()).await.unwrap();
    carrier.called.notified().await;
    dispatcher.kill().await;
    let dispatcher = open(&store, &Carrier { hangs: false, ..carrier.clone() }).await;
    assert_eq!(dispatcher.settled::<ParcelState>("1").await.unwrap(), Position::In(ParcelState::Lost));
    assert_eq!(*carrier.attempts.lock().unwrap(), [1], "unknown, never a second call");
}

#[tokio::test]
async fn r25_an_idle_instance_takes_an_event_in_one_commit_without_the_inbox() {
    let (store, carrier) = (MemoryStore::new(), Carrier::default());
    let dispatcher = open(&store, &carrier).await;
    dispatcher.publish(packed()).await.unwrap();
    dispatcher.settled::<ParcelState>("1").await.unwrap();
    let address = saga::store::Address::new("parcel", saga::Key::new("1").unwrap());
    assert!(store.waiting(&address, 10).await.unwrap().is_empty());
    let history = dispatcher.history::<ParcelState>("1").await.unwrap();
    assert_eq!(history[0].entry.kind, HistoryKind::Started);
    assert_eq!((history[0].seq, history[1].seq), (1, 2), "nothing was written in between");
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn r32_the_same_step_sent_again_is_recognised_by_instance_seq_and_step() {
    let (store, carrier) = (MemoryStore::new(), Carrier::default());
    let dispatcher = open(&store, &carrier).await;
    dispatcher.publish(packed()).await.unwrap();
    dispatcher.settled::<ParcelState>("1").await.unwrap();
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
    let address = saga::store::Address::new("parcel", saga::Key::new("1").unwrap());
    let snapshot = store.instance(&address).await.unwrap().unwrap();
    let lease = store.lease("test").await.unwrap();
    let again = |step: saga::Id| {
        let instance = saga::store::InstanceChange { step, ..snapshot.instance.clone() };
        saga::store::Step { row: Some(snapshot.row), instance: Some(instance), ..Default::default() }
    };
    let steps = [again(snapshot.instance.step), again(saga::Id::from_u128(7))];
    let outcomes =
        store.commit(&lease, Arc::new(Batch { number: 1, steps: vec![steps[0].clone()] })).await.unwrap();
    assert_eq!(outcomes, [Stored::Repeated]);
    let outcomes =
        store.commit(&lease, Arc::new(Batch { number: 2, steps: vec![steps[1].clone()] })).await.unwrap();
    assert_eq!(outcomes, [Stored::Conflict], "another step of that number");
}
