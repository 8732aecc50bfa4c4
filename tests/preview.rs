//! A preview says what a verb or an event would do, and then exactly this happens. The preview itself changes nothing.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use saga::error::InstanceError;
use saga::prelude::*;
use saga::store::{Address, MemoryStore, Status};
use saga::testing::ManualClock;
use saga::{Dispatcher, Done, Key, Message, Operator, OperatorVerb, Payload, Preview, Proposed, Resolved};

static MENDED: AtomicBool = AtomicBool::new(false);

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions), on_abort(Cancelled))]
#[initially(when(Placed, run(place), send(Pay, undo(Refund)), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(Paid, run(paid), send(Label, undo(VoidLabel)), publish(Packed), transition_to(Shipping)),
        when(any(failed(Pay), unknown(Pay)), park),
        timeout(minutes = 15, compensate, transition_to(Cancelled))
    )]
    Paying,
    #[during(
        when(Checked, run(check), stay),
        when(Labelled, transition_to(Completed)),
        when(any(failed(Label), unknown(Label)), park),
        timeout(days = 1, compensate, transition_to(Cancelled))
    )]
    Shipping,
    #[terminal]
    Completed,
    #[terminal(failure)]
    #[on_enter(publish(Gone))]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    id: String,
    checks: u32,
    paid: u32,
}

impl OrderActions for Order {
    fn place(event: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { id: event.order.clone(), checks: 0, paid: 0 })
    }
    fn pay(&self, _: &Placed, _: &mut Context) -> Pay {
        Pay {}
    }
    fn refund(&self, _: &Pay, _: &mut Context) -> Refund {
        Refund { cents: self.paid }
    }
    fn paid(&mut self, event: &Paid, _: &mut Context) -> ActionResult<()> {
        self.paid = event.cents;
        Ok(())
    }
    fn label(&self, _: &Paid, _: &mut Context) -> Label {
        Label {}
    }
    fn void_label(&self, _: &Label, _: &mut Context) -> VoidLabel {
        VoidLabel {}
    }
    fn packed(&self, _: &Paid, _: &mut Context) -> Packed {
        Packed { order: self.id.clone() }
    }
    fn check(&mut self, _: &Checked, _: &mut Context) -> ActionResult<()> {
        if !MENDED.load(Ordering::SeqCst) {
            return Err("the scale is broken".into());
        }
        self.checks += 1;
        Ok(())
    }
    fn gone(&self, _: &mut Context) -> Gone {
        Gone { order: self.id.clone() }
    }
}

macro_rules! events {
    ($($name:ident $text:literal $(key($key:ident))? { $($field:ident: $type:ty),* })*) => {$(
        #[derive(saga::Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[event(name = $text $(, key($key))?)]
        pub struct $name { $($field: $type),* }
    )*};
}
events! {
    Placed "placed" key(order) { order: String }
    Checked "checked" key(order) { order: String }
    Packed "packed" key(order) { order: String }
    Gone "gone" key(order) { order: String }
    Paid "paid" { cents: u32 }
    Labelled "labelled" {}
}

macro_rules! commands {
    ($($name:ident $text:literal $(replies($reply:ident))? { $($field:ident: $type:ty),* })*) => {$(
        #[derive(saga::Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[command(name = $text $(, replies($reply))?)]
        pub struct $name { $($field: $type),* }
    )*};
}
commands! {
    Pay "pay" replies(Paid) {}
    Refund "refund" { cents: u32 }
    Label "label" replies(Labelled) {}
    VoidLabel "void-label" {}
}

/// Refuses to pay and to label, until it is open.
#[derive(Clone, Default)]
struct World(Arc<AtomicBool>);

impl Handler<Pay> for World {
    async fn handle(&self, _: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        Err(HandlerError::refused_for_good("no money"))
    }
}
impl Handler<Label> for World {
    async fn handle(&self, _: Label, cx: &HandlerContext) -> HandlerResult<Label> {
        if self.0.load(Ordering::SeqCst) {
            return Ok(Labelled {}.into());
        }
        cx.cancelled().await;
        Err("the instance does not want it any more".into())
    }
}
impl Handler<Refund> for World {
    async fn handle(&self, _: Refund, _: &HandlerContext) -> HandlerResult<Refund> {
        Ok(Done.into())
    }
}
impl Handler<VoidLabel> for World {
    async fn handle(&self, _: VoidLabel, _: &HandlerContext) -> HandlerResult<VoidLabel> {
        Ok(Done.into())
    }
}
impl Subscriber<Packed> for World {
    async fn handle(&self, _: Packed, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}
impl Subscriber<Gone> for World {
    async fn handle(&self, _: Gone, _: &HandlerContext) -> Result<(), HandlerError> {
        Ok(())
    }
}

struct Bench {
    dispatcher: Dispatcher,
    clock: ManualClock,
}

fn at(key: &str) -> Address {
    Address::new("order", Key::new(key).unwrap())
}

impl Bench {
    /// An order that is parked over its payment.
    async fn parked() -> Self {
        let clock = ManualClock::default();
        let world = World::default();
        let dispatcher = Dispatcher::builder(MemoryStore::new())
            .saga::<OrderState>()
            .handler::<Pay>(world.clone())
            .handler::<Label>(world.clone())
            .handler::<Refund>(world.clone())
            .handler::<VoidLabel>(world.clone())
            .subscriber::<Packed>("packer", world.clone())
            .subscriber::<Gone>("mailer", world)
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        let bench = Self { dispatcher, clock };
        bench.publish(Placed { order: "1".to_owned() }).await;
        bench
    }

    async fn publish<E: Correlated>(&self, event: E) {
        self.dispatcher.publish(event).await.unwrap();
        self.clock.idle().await;
    }

    async fn preview(&self, proposed: Proposed) -> Preview {
        let before = self.dispatcher.store().instance(&at("1")).await.unwrap();
        let preview = self.dispatcher.preview(&at("1"), proposed).await.unwrap();
        assert_eq!(self.dispatcher.store().instance(&at("1")).await.unwrap(), before, "nothing is written");
        preview
    }

    /// Previews the verb, does it, and compares.
    async fn check(&self, verb: OperatorVerb) -> Preview {
        let preview = self.preview(Proposed::Verb(verb.clone())).await;
        self.dispatcher.decide(at("1"), verb, Operator::new("ann").because("a test")).await.unwrap();
        self.clock.idle().await;
        self.compare(&preview).await;
        preview
    }

    async fn compare(&self, preview: &Preview) {
        let found = self.dispatcher.store().instance(&at("1")).await.unwrap().unwrap();
        let owed: Vec<String> = found.obligations.iter().map(|owed| owed.undo.to_string()).collect();
        assert_eq!((&*found.instance.state, found.instance.status), (&*preview.state, preview.status));
        assert_eq!((&found.instance.data, &owed), (&preview.data, &preview.owed));
        let timers: Vec<_> = found.timers.iter().map(|timer| (timer.name.to_string(), timer.due)).collect();
        assert_eq!(timers, preview.timers);
        assert_eq!(found.instance.parked.is_some(), preview.parked.is_some());
    }
}

fn names(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| &*message.name).collect()
}

#[tokio::test]
async fn an_abort_shows_each_undo_and_the_end() {
    let bench = Bench::parked().await;
    bench.check(OperatorVerb::Resolve(Resolved::reply(&Paid { cents: 7 }).unwrap())).await;
    let preview = bench.check(OperatorVerb::Abort).await;
    assert_eq!(names(&preview.undos), ["void-label", "refund"]);
    assert_eq!(preview.undos[1].payload.as_str(), r#"{"cents":7}"#);
    assert_eq!((&*preview.state, preview.status), ("cancelled", Status::Failed));
    assert_eq!(names(&preview.published), ["gone"]);
}

#[tokio::test]
async fn a_resolved_command_shows_what_its_row_does() {
    let bench = Bench::parked().await;
    let preview = bench.check(OperatorVerb::Resolve(Resolved::reply(&Paid { cents: 7 }).unwrap())).await;
    assert_eq!((names(&preview.commands), names(&preview.published)), (vec!["label"], vec!["packed"]));
    assert_eq!((&*preview.state, preview.data.as_str()), ("shipping", r#"{"id":"1","checks":0,"paid":7}"#));
    assert_eq!(preview.owed, ["refund", "void-label"]);
    assert_eq!(preview.timers.len(), 1);
}

#[tokio::test]
async fn a_retry_shows_the_command_that_runs_again() {
    let bench = Bench::parked().await;
    let preview = bench.preview(Proposed::Verb(OperatorVerb::Retry)).await;
    assert_eq!((&*preview.again, &preview.parked), (&["pay".to_owned()][..], &None));
}

#[tokio::test]
async fn a_retry_shows_the_waiting_event_and_a_skip_its_dead_letter() {
    let bench = Bench::parked().await;
    bench.check(OperatorVerb::Resolve(Resolved::reply(&Paid { cents: 7 }).unwrap())).await;
    bench.publish(Checked { order: "1".to_owned() }).await;
    let again = bench.preview(Proposed::Verb(OperatorVerb::Retry)).await;
    assert_eq!(again.parked.as_deref(), Some("an action failed: Checked: the scale is broken"));
    let skipped = bench.preview(Proposed::Verb(OperatorVerb::Skip)).await;
    assert_eq!((skipped.dead[0].0.as_str(), &skipped.parked), ("skipped", &None));
    MENDED.store(true, Ordering::SeqCst);
    let preview = bench.check(OperatorVerb::Retry).await;
    assert_eq!(preview.data.as_str(), r#"{"id":"1","checks":1,"paid":7}"#);
}

#[tokio::test]
async fn a_fired_timer_shows_the_whole_compensation() {
    let bench = Bench::parked().await;
    bench.check(OperatorVerb::Resolve(Resolved::reply(&Paid { cents: 7 }).unwrap())).await;
    let preview = bench.check(OperatorVerb::Fire { timer: "1d".to_owned() }).await;
    assert_eq!(names(&preview.undos), ["void-label", "refund"]);
    assert_eq!(&*preview.state, "cancelled");
}

#[tokio::test]
async fn an_event_shows_its_row_or_its_dead_letter() {
    let bench = Bench::parked().await;
    bench.check(OperatorVerb::Resolve(Resolved::reply(&Paid { cents: 7 }).unwrap())).await;
    let event = |name: &'static str, payload: &str| {
        Proposed::Event(Message { name: name.into(), version: 1, payload: Payload::from(payload) })
    };
    let unknown = bench.preview(event("nothing", "{}")).await;
    assert_eq!((unknown.dead[0].0.as_str(), &*unknown.state), ("unknown-event", "shipping"));
    let unreadable = bench.preview(event("checked", "[]")).await;
    assert_eq!(unreadable.dead[0].0.as_str(), "undecodable");
}

#[tokio::test]
async fn an_impossible_verb_says_why() {
    let bench = Bench::parked().await;
    let fire = bench.preview(Proposed::Verb(OperatorVerb::Fire { timer: "2d".to_owned() })).await;
    assert!(fire.declined.unwrap().contains("has no timer `2d`; set are: 15m"));
    let missing = bench.dispatcher.preview(&at("2"), Proposed::Verb(OperatorVerb::Abort)).await.unwrap_err();
    assert!(matches!(missing, InstanceError::Declined(_)), "{missing}");
    let other = Address::new("refund", Key::new("1").unwrap());
    let elsewhere = bench.dispatcher.preview(&other, Proposed::Verb(OperatorVerb::Abort)).await.unwrap_err();
    assert!(elsewhere.to_string().contains("does not run the saga `refund`"), "{elsewhere}");
}
