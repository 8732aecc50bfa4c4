//! What can be seen of a process in the log: the spans around its handlers and actions, failures once, starts and ends.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

#[path = "support/log.rs"]
mod log;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use log::{Line, about};
use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, MessageId, Policy, Position};
use tracing::Level;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "call", version = 1, data(Call), actions(CallActions))]
#[initially(when(CallWanted, run(begin), send(Dial), transition_to(Dialing)))]
#[unhandled(reject)]
pub enum CallState {
    #[during(
        when(Answered, run(connect), publish(CallMade), transition_to(Made)),
        when(Fumbled, run(fumble), stay),
        when(any(failed(Dial), unknown(Dial)), transition_to(Missed))
    )]
    Dialing,
    #[terminal]
    Made,
    #[terminal(failure)]
    Missed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    call: String,
}

impl CallActions for Call {
    fn begin(event: &CallWanted, _: &mut Context) -> ActionResult<Self> {
        tracing::info!("begun");
        Ok(Self { call: event.call.clone() })
    }
    fn dial(&self, _: &CallWanted, _: &mut Context) -> Dial {
        Dial {}
    }
    fn connect(&mut self, _: &Answered, _: &mut Context) -> ActionResult<()> {
        tracing::info!("connected");
        Ok(())
    }
    fn call_made(&self, _: &Answered, _: &mut Context) -> CallMade {
        CallMade { call: self.call.clone() }
    }
    fn fumble(&mut self, _: &Fumbled, _: &mut Context) -> ActionResult<()> {
        Err("the receiver fell down".into())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "call.wanted", key(call))]
pub struct CallWanted {
    call: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "call.fumbled", key(call))]
pub struct Fumbled {
    call: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "call.answered")]
pub struct Answered {}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "call.made", key(call))]
pub struct CallMade {
    call: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "call.dial", replies(Answered))]
pub struct Dial {}

/// How one attempt to dial ends.
#[derive(Clone, Copy)]
enum Plan {
    Indeterminate(&'static str),
    Refuse(&'static str),
    Hang,
}

/// Does as the plans say, and then answers.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<VecDeque<Plan>>>);

impl Handler<Dial> for Wire {
    async fn handle(&self, _: Dial, _: &HandlerContext) -> HandlerResult<Dial> {
        tracing::info!("dialing");
        tokio::task::yield_now().await;
        tracing::info!("ringing");
        let plan = self.0.lock().unwrap().pop_front();
        match plan {
            Some(Plan::Indeterminate(error)) => Err(error.into()),
            Some(Plan::Refuse(error)) => Err(HandlerError::refused(error)),
            Some(Plan::Hang) => std::future::pending().await,
            None => Ok(Answered {}.into()),
        }
    }
}

impl Subscriber<CallMade> for Wire {
    async fn handle(&self, _: CallMade, _: &HandlerContext) -> Result<(), HandlerError> {
        tracing::info!("charged");
        Ok(())
    }
}

struct Exchange {
    store: MemoryStore,
    clock: ManualClock,
    wire: Wire,
    dispatcher: Dispatcher,
}

impl Exchange {
    async fn open(plans: &[Plan]) -> Self {
        Self::with(plans, Policy::default()).await
    }

    async fn with(plans: &[Plan], policy: Policy) -> Self {
        log::listen();
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let wire = Wire(Arc::new(Mutex::new(plans.iter().copied().collect())));
        let dispatcher = start(&store, &clock, &wire, policy).await;
        Self { store, clock, wire, dispatcher }
    }

    /// An orderly end, and another process on the same store.
    async fn restart(self) -> Self {
        self.dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
        let dispatcher = start(&self.store, &self.clock, &self.wire, Policy::default()).await;
        Self { dispatcher, ..self }
    }

    async fn call(&self, key: &str) -> Position<CallState> {
        self.dispatcher.publish(wanted(key)).await.unwrap();
        self.settled(key).await
    }

    /// Lets time pass, in step with the dispatcher, until the call has ended.
    async fn settled(&self, key: &str) -> Position<CallState> {
        let settled = self.dispatcher.settled::<CallState>(key);
        tokio::pin!(settled);
        loop {
            tokio::select! {
                biased;
                position = &mut settled => return position.unwrap(),
                () = self.clock.advance_to_next() => {}
            }
        }
    }
}

async fn start(store: &MemoryStore, clock: &ManualClock, wire: &Wire, policy: Policy) -> Dispatcher {
    Dispatcher::builder(store.clone())
        .saga::<CallState>()
        .handler_with::<Dial>(wire.clone(), policy)
        .subscriber::<CallMade>("till", wire.clone())
        .clock(clock.clone())
        .start()
        .await
        .unwrap()
}

fn wanted(call: &str) -> CallWanted {
    CallWanted { call: call.to_owned() }
}

/// The lines about `key` that say this.
fn saying(key: &str, message: &str) -> Vec<Line> {
    about(key).into_iter().filter(|line| line.message == message).collect()
}

/// The warnings about `key`: which attempt, and what it said.
fn warnings(key: &str) -> Vec<(String, String)> {
    let warnings = about(key).into_iter().filter(|line| line.level == Level::WARN);
    warnings.map(|line| (line.field("attempt").to_owned(), line.field("error").to_owned())).collect()
}

/// The one span around a line.
fn span(line: &Line) -> (&'static str, Vec<(&str, &str)>) {
    assert_eq!(line.spans.len(), 1, "{line:?}");
    let (name, fields) = &line.spans[0];
    (*name, fields.iter().map(|(field, value)| (field.as_str(), value.as_str())).collect())
}

#[tokio::test]
async fn what_a_handler_logs_carries_its_attempt() {
    let exchange = Exchange::open(&[Plan::Indeterminate("engaged")]).await;
    exchange.call("carries").await;
    let said = about("carries").into_iter().filter(|line| ["dialing", "ringing"].contains(&&*line.message));
    let said: Vec<Line> = said.collect();
    assert_eq!(said.len(), 4, "before and after it has waited, twice: {said:?}");
    let key = said[0].spans[0].1["idempotency_key"].as_str();
    assert_eq!(key.len(), 36, "{key}");
    for (line, attempt) in said.iter().zip(["1", "1", "2", "2"]) {
        let fields = vec![
            ("attempt", attempt),
            ("command", "call.dial"),
            ("idempotency_key", key),
            ("key", "carries"),
            ("saga", "call"),
        ];
        assert_eq!(span(line), ("attempt", fields));
    }
}

#[tokio::test]
async fn what_an_action_logs_carries_its_step() {
    let exchange = Exchange::open(&[]).await;
    let id = MessageId::new("web/7").unwrap();
    exchange.dispatcher.publish_as(id, wanted("steps")).await.unwrap();
    exchange.settled("steps").await;
    let begun = &saying("steps", "begun")[0];
    let fields = vec![
        ("key", "steps"),
        ("message_id", "web/7"),
        ("saga", "call"),
        ("seq", "1"),
        ("trigger", "call.wanted"),
    ];
    assert_eq!(span(begun), ("step", fields));
    let connected = &saying("steps", "connected")[0];
    let fields = vec![
        ("command", "call.dial"),
        ("key", "steps"),
        ("saga", "call"),
        ("seq", "2"),
        ("trigger", "replied"),
    ];
    assert_eq!(span(connected), ("step", fields));
}

#[tokio::test]
async fn what_a_subscriber_logs_carries_its_delivery() {
    let exchange = Exchange::open(&[]).await;
    exchange.call("charged").await;
    exchange.clock.idle().await;
    let charged = &saying("charged", "charged")[0];
    let (name, fields) = span(charged);
    let named: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
    assert_eq!((name, named), ("delivery", vec!["attempt", "event", "key", "message_id", "subscriber"]));
    assert!(fields.contains(&("event", "call.made")) && fields.contains(&("subscriber", "till")));
}

#[tokio::test]
async fn a_failure_is_a_warning_once_and_again_when_it_says_something_else() {
    let (refused, engaged) = (Plan::Indeterminate("connection refused"), Plan::Indeterminate("engaged"));
    let exchange = Exchange::open(&[refused, refused, refused, engaged, refused]).await;
    assert_eq!(exchange.call("fails").await, Position::In(CallState::Made));
    let warning = |attempt: &str, error: &str| (attempt.to_owned(), error.to_owned());
    assert_eq!(
        warnings("fails"),
        [warning("1", "connection refused"), warning("4", "engaged"), warning("5", "connection refused")]
    );
    let all = saying("fails", "an attempt was indeterminate");
    assert_eq!(all.len(), 5, "the others are there for those who look closely");
    assert_eq!((all[0].field("saga"), all[0].field("command")), ("call", "call.dial"));
}

#[tokio::test]
async fn a_failure_that_goes_on_is_a_warning_of_every_process() {
    let exchange = Exchange::open(&[Plan::Indeterminate("connection refused"); 4]).await;
    exchange.dispatcher.publish(wanted("goes-on")).await.unwrap();
    exchange.clock.idle().await;
    assert_eq!(warnings("goes-on").len(), 1);
    let exchange = exchange.restart().await;
    assert_eq!(exchange.settled("goes-on").await, Position::In(CallState::Made));
    let attempts: Vec<String> = warnings("goes-on").into_iter().map(|(attempt, _)| attempt).collect();
    assert_eq!(attempts, ["1", "4"]);
}

#[tokio::test]
async fn no_answer_in_time_is_a_failure_like_others() {
    let exchange = Exchange::open(&[Plan::Hang, Plan::Hang]).await;
    assert_eq!(exchange.call("hangs").await, Position::In(CallState::Made));
    assert_eq!(warnings("hangs"), [("1".to_owned(), "no answer within 60s".to_owned())]);
    assert_eq!(saying("hangs", "an attempt was indeterminate").len(), 2);
}

#[tokio::test]
async fn a_refusal_is_a_warning_that_says_so() {
    let exchange = Exchange::open(&[Plan::Refuse("no such number")]).await;
    assert_eq!(exchange.call("refused").await, Position::In(CallState::Missed));
    let refused = &saying("refused", "an attempt was refused")[0];
    assert_eq!((refused.level, refused.field("error")), (Level::WARN, "no such number"));
}

#[tokio::test]
async fn a_breaker_that_opens_is_a_warning_and_one_that_stays_open_is_not() {
    let policy = Policy::default().circuit_breaker(2, Duration::from_secs(60));
    let exchange = Exchange::with(&[Plan::Indeterminate("engaged"); 3], policy).await;
    assert_eq!(exchange.call("breaks").await, Position::In(CallState::Made));
    let breaker = log::lines().into_iter().filter(|line| line.message.contains("breaker"));
    let breaker: Vec<Line> = breaker.collect();
    let levels: Vec<Level> = breaker.iter().map(|line| line.level).collect();
    assert_eq!(levels, [Level::WARN, Level::INFO], "{breaker:?}");
    assert_eq!((breaker[0].field("handler"), breaker[0].field("error")), ("call.dial", "engaged"));
}

#[tokio::test]
async fn an_instance_starts_and_ends_with_a_line_each() {
    let exchange = Exchange::open(&[]).await;
    exchange.call("lives").await;
    // It is ignored, and the history says so.
    exchange.dispatcher.publish(wanted("lives")).await.unwrap();
    let told: Vec<Line> = about("lives").into_iter().filter(|line| line.level == Level::DEBUG).collect();
    let words: Vec<&str> = told.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(words, ["started", "ended"]);
    assert_eq!((told[1].field("state"), told[1].field("status")), ("made", "completed"));
}

#[tokio::test]
async fn an_instance_that_is_parked_is_a_warning_that_says_why() {
    let exchange = Exchange::open(&[Plan::Hang]).await;
    exchange.dispatcher.publish(wanted("parks")).await.unwrap();
    exchange.dispatcher.publish(Fumbled { call: "parks".to_owned() }).await.unwrap();
    assert!(exchange.settled("parks").await.is_parked());
    let parked = &saying("parks", "the instance is parked and waits for an operator")[0];
    assert_eq!(parked.level, Level::WARN);
    let why = parked.field("why");
    assert!(why.starts_with("an action failed: Fumbled: the receiver fell down; parked since "), "{why}");
}
