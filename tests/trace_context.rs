//! The trace context of a publisher goes through everything that follows from the event, also over a restart.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::prelude::*;
use saga::store::{MemoryStore, Store};
use saga::testing::ManualClock;
use saga::{
    ChildEnd, Dispatcher, DispatcherBuilder, Finished, PublishOptions, SqliteStore, TraceContext, Traced,
    TracedKind, Tracer,
};

/// Cooks a meal.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "meal", version = 1, data(Meal), actions(MealActions))]
#[initially(when(Ordered, run(order), send(Cook), transition_to(Cooking)))]
#[unhandled(reject)]
pub enum MealState {
    #[during(
        when(Cooked, start(BillState), publish(Served), transition_to(Paying)),
        when(any(failed(Cook), unknown(Cook)), park)
    )]
    Cooking,
    #[during(when(finished(BillState), run(paid), transition_to(Eating)), timeout(hours = 9, park))]
    Paying,
    #[during(timeout(hours = 1, send(Clean), transition_to(Cleaning)))]
    Eating,
    #[during(when(Cleaned, transition_to(Done_)), when(any(failed(Clean), unknown(Clean)), park))]
    Cleaning,
    #[terminal]
    Done_,
}

/// Writes a bill.
#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "bill", version = 1, data(Bill), actions(BillActions))]
#[initially(when(BillAsked, run(ask), send(Charge), transition_to(Charging)))]
#[unhandled(reject)]
pub enum BillState {
    #[during(when(Charged, transition_to(Settled)), when(any(failed(Charge), unknown(Charge)), park))]
    Charging,
    #[terminal]
    Settled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meal {
    id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bill {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "meal.ordered", key(meal))]
pub struct Ordered {
    meal: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "meal.served", key(meal))]
pub struct Served {
    meal: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "bill.tipped", key(bill))]
pub struct Tipped {
    bill: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "bill.asked", key(bill))]
pub struct BillAsked {
    bill: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "cooked")]
pub struct Cooked {}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "charged")]
pub struct Charged {}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "cleaned")]
pub struct Cleaned {}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "cook", replies(Cooked))]
pub struct Cook {}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "charge", replies(Charged))]
pub struct Charge {}
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "clean", replies(Cleaned))]
pub struct Clean {}

impl MealActions for Meal {
    fn order(event: &Ordered, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.meal.clone() })
    }
    fn cook(&self, _: &Ordered, _: &mut Context) -> Cook {
        Cook {}
    }
    fn bill_state(&self, _: &Cooked, _: &mut Context) -> BillAsked {
        BillAsked { bill: format!("bill of {}", self.id) }
    }
    fn served(&self, _: &Cooked, _: &mut Context) -> Served {
        Served { meal: self.id.clone() }
    }
    fn paid(&mut self, bill: &Finished<BillState>, _: &mut Context) -> ActionResult<()> {
        assert_eq!(bill.end, ChildEnd::Completed);
        Ok(())
    }
    fn clean(&self, _: &mut Context) -> Clean {
        Clean {}
    }
}

impl BillActions for Bill {
    fn ask(_: &BillAsked, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn charge(&self, _: &BillAsked, _: &mut Context) -> Charge {
        Charge {}
    }
}

type Contexts = BTreeMap<(&'static str, String), Option<TraceContext>>;

/// The context that each handler and subscriber has seen, by its instance.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Contexts>>);

impl Seen {
    fn note(&self, what: &'static str, cx: &HandlerContext) {
        self.0.lock().unwrap().insert((what, cx.instance().to_owned()), cx.trace());
    }

    fn take(&self) -> Contexts {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Handler<Cook> for Seen {
    async fn handle(&self, _: Cook, cx: &HandlerContext) -> HandlerResult<Cook> {
        self.note("cook", cx);
        Ok(Cooked {}.into())
    }
}
impl Handler<Charge> for Seen {
    async fn handle(&self, _: Charge, cx: &HandlerContext) -> HandlerResult<Charge> {
        self.note("charge", cx);
        cx.publish(Tipped { bill: cx.instance().to_owned() }).await?;
        Ok(Charged {}.into())
    }
}
impl Handler<Clean> for Seen {
    async fn handle(&self, _: Clean, cx: &HandlerContext) -> HandlerResult<Clean> {
        self.note("clean", cx);
        Ok(Cleaned {}.into())
    }
}
impl Subscriber<Served> for Seen {
    async fn handle(&self, _: Served, cx: &HandlerContext) -> Result<(), HandlerError> {
        self.note("served", cx);
        Ok(())
    }
}
impl Subscriber<Tipped> for Seen {
    async fn handle(&self, _: Tipped, cx: &HandlerContext) -> Result<(), HandlerError> {
        self.note("tipped", cx);
        Ok(())
    }
}

fn builder(store: impl Store, clock: &ManualClock, seen: &Seen) -> DispatcherBuilder {
    Dispatcher::builder(store)
        .saga::<MealState>()
        .saga::<BillState>()
        .handler::<Cook>(seen.clone())
        .handler::<Charge>(seen.clone())
        .handler::<Clean>(seen.clone())
        .subscriber::<Served>("waiter", seen.clone())
        .subscriber::<Tipped>("jar", seen.clone())
        .clock(clock.clone())
}

fn ordered(meal: &str) -> Ordered {
    Ordered { meal: meal.to_owned() }
}

/// Everything that happens before the timer of a meal.
fn before_the_timer(meal: &str, trace: Option<TraceContext>) -> Contexts {
    let of = |what, of: String| ((what, of), trace);
    let bill = format!("bill of {meal}");
    [
        of("cook", meal.to_owned()),
        of("served", meal.to_owned()),
        of("charge", bill.clone()),
        of("tipped", bill),
    ]
    .into()
}

async fn goes_through(store: impl Store + Clone) {
    let (clock, seen) = (ManualClock::default(), Seen::default());
    let dispatcher = builder(store.clone(), &clock, &seen).start().await.unwrap();
    let traces = [TraceContext::new(7 << 100, 1, 1), TraceContext::new(5, u64::MAX, 0), None];
    for (meal, trace) in ["1", "2", "3"].into_iter().zip(traces) {
        let options = trace.map_or_else(PublishOptions::new, |trace| PublishOptions::new().trace(trace));
        dispatcher.publish_with(ordered(meal), options).await.unwrap();
        clock.idle().await;
        assert_eq!(seen.take(), before_the_timer(meal, trace));
    }
    dispatcher.shutdown(Duration::ZERO).await.unwrap();

    // The timers are read by another process.
    let dispatcher = builder(store.clone(), &clock, &seen).start().await.unwrap();
    clock.advance(Duration::from_secs(3_601));
    clock.idle().await;
    let expected = ["1", "2", "3"].map(|meal| ("clean", meal.to_owned())).into_iter().zip(traces);
    assert_eq!(seen.take(), expected.collect());
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_context_goes_through_memory() {
    goes_through(MemoryStore::new()).await;
}

#[tokio::test]
async fn a_context_goes_through_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    goes_through(SqliteStore::open(dir.path().join("saga.db")).unwrap()).await;
}

/// Gives each instance a trace of its own, and counts the spans.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<Mutex<Vec<Joined>>>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Joined {
    kind: TracedKind,
    cause: Option<TraceContext>,
    own: TraceContext,
}

impl Tracer for Counting {
    fn current(&self) -> Option<TraceContext> {
        TraceContext::new(99, 99, 0)
    }

    fn join(&self, _: &tracing::Span, of: &Traced<'_>) -> Option<TraceContext> {
        let mut joined = self.0.lock().unwrap();
        let trace = of.incarnation.map(|incarnation| incarnation.as_u128());
        let trace = trace.or(of.cause.map(|cause| cause.trace_id())).unwrap_or(1);
        let own = TraceContext::new(trace, joined.len() as u64 + 1, 1)?;
        joined.push(Joined { kind: of.kind, cause: of.cause, own });
        Some(own)
    }
}

#[tokio::test]
async fn a_tracer_gives_each_span_its_place() {
    let (clock, seen, tracer) = (ManualClock::default(), Seen::default(), Counting::default());
    let dispatcher = builder(MemoryStore::new(), &clock, &seen).tracer(tracer.clone()).start().await.unwrap();
    dispatcher.publish(ordered("1")).await.unwrap();
    clock.idle().await;
    let joined = tracer.0.lock().unwrap().clone();
    assert_eq!(joined[0].kind, TracedKind::Step);
    assert_eq!(joined[0].cause, TraceContext::new(99, 99, 0), "the publisher's own span");
    let attempt = joined.iter().find(|one| one.kind == TracedKind::Attempt).unwrap();
    assert_eq!(attempt.cause, Some(joined[0].own), "the attempt of `cook` belongs to the step that sent it");
    assert_eq!(seen.take()[&("cook", "1".to_owned())], Some(attempt.own));
    let known: Vec<_> = joined.iter().map(|one| Some(one.own)).collect();
    for one in &joined[1..] {
        assert!(
            known.contains(&one.cause),
            "each further span has a span of this dispatcher as its cause: {joined:?}"
        );
    }
    let traces: std::collections::BTreeSet<_> = joined.iter().map(|one| one.own.trace_id()).collect();
    assert_eq!(traces.len(), 2, "one trace for the meal and one for the bill: {joined:?}");
    dispatcher.shutdown(Duration::ZERO).await.unwrap();
}
