//! Decisions from the command line are steps of the running dispatcher.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use saga::prelude::*;
use saga::{Dispatcher, Position, SqliteStore};

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "order", version = 1, data(Order), actions(OrderActions), on_abort(Cancelled))]
#[initially(when(Placed, run(place), send(Pay, undo(Void)), transition_to(Paying)))]
#[unhandled(reject)]
pub enum OrderState {
    #[during(
        when(Paid, not_owed(Void), transition_to(Done)),
        when(Noted, stay),
        when(any(failed(Pay), unknown(Pay)), park),
        timeout(days = 1, compensate, transition_to(Cancelled))
    )]
    Paying,
    #[terminal]
    Done,
    #[terminal(failure)]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {}

impl OrderActions for Order {
    fn place(_: &Placed, _: &mut Context) -> ActionResult<Self> {
        Ok(Self {})
    }
    fn pay(&self, _: &Placed, _: &mut Context) -> Pay {
        Pay {}
    }
    fn void(&self, _: &Pay, _: &mut Context) -> Void {
        Void {}
    }
}

#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "placed", key(order))]
pub struct Placed {
    pub order: String,
}
#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "noted", key(order))]
pub struct Noted {
    pub order: String,
}
#[derive(saga::Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "paid")]
pub struct Paid {
    pub cents: u32,
}
#[derive(saga::Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "pay", replies(Paid))]
pub struct Pay {}
#[derive(saga::Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "void")]
pub struct Void {}

/// Pays once the shop is mended.
struct Bank(Arc<AtomicBool>);

impl Handler<Pay> for Bank {
    async fn handle(&self, _: Pay, _: &HandlerContext) -> HandlerResult<Pay> {
        if self.0.load(Ordering::SeqCst) {
            Ok(Paid { cents: 1 }.into())
        } else {
            Err(HandlerError::refused_for_good("no money"))
        }
    }
}
impl Handler<Void> for Bank {
    async fn handle(&self, _: Void, _: &HandlerContext) -> HandlerResult<Void> {
        Ok(saga::Done.into())
    }
}

/// A shop with one parked order.
struct Shop {
    dir: tempfile::TempDir,
    /// The arguments that name the store.
    store: Vec<String>,
    dispatcher: Dispatcher,
    mended: Arc<AtomicBool>,
}

impl Shop {
    async fn parked() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let store = SqliteStore::open(&path).unwrap();
        Self::parked_in(store, vec!["--db".to_owned(), path.to_str().unwrap().to_owned()], dir).await
    }

    async fn parked_in(store: impl saga::store::Store, named: Vec<String>, dir: tempfile::TempDir) -> Self {
        let mended = Arc::new(AtomicBool::new(false));
        let bank = || Bank(Arc::clone(&mended));
        let builder = Dispatcher::builder(store).saga::<OrderState>();
        let dispatcher = builder.handler::<Pay>(bank()).handler::<Void>(bank()).start().await.unwrap();
        dispatcher.publish(Placed { order: "A-1".to_owned() }).await.unwrap();
        let settled = dispatcher.settled::<OrderState>("A-1").await.unwrap();
        assert!(matches!(settled, Position::Parked { .. }), "{settled:?}");
        Self { dir, store: named, dispatcher, mended }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("shop.db")
    }

    async fn says(&self, args: &[&str]) -> (i32, String) {
        let mut all = self.store.clone();
        all.extend(args.iter().map(|&arg| arg.to_owned()));
        let output = tokio::task::spawn_blocking(move || saga(&all)).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }

    async fn position(&self) -> Position<OrderState> {
        self.dispatcher.settled::<OrderState>("A-1").await.unwrap()
    }
}

fn saga(args: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saga"));
    command.env_remove("SAGA_DB").env("USER", "ada").args(args).stdin(std::process::Stdio::null());
    command.output().unwrap()
}

#[cfg(feature = "postgres")]
#[path = "../../saga-postgres/tests/support/mod.rs"]
mod support;

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_reach_the_dispatcher_in_postgres() {
    let Some(schema) = support::Schema::new() else { return };
    let named = ["--postgres", &schema.config, "--schema", &schema.name].map(str::to_owned).to_vec();
    let store = schema.open(schema.options());
    let shop = Shop::parked_in(store, named, tempfile::tempdir().unwrap()).await;
    let why = ["--because", "test", "--yes", "--wait", "60"];
    let says = async |verb: &[&str]| shop.says(&[verb, &why].concat()).await;
    let (code, said) = says(&["pause", "saga", "order"]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = says(&["resume", "saga", "order"]).await;
    assert_eq!(code, 0, "{said}");
    shop.mended.store(true, Ordering::SeqCst);
    let (code, said) = says(&["retry", "order", "A-1"]).await;
    assert!(code == 0 && said.starts_with("retry: done in step "), "{said}");
    assert_eq!(shop.position().await, Position::In(OrderState::Done));
    let (code, said) = says(&["retry", "order", "A-1"]).await;
    assert_eq!(code, 4, "an instance that has ended declines it: {said}");
    let (_, audit) = shop.says(&["audit"]).await;
    assert!(audit.contains("retry") && audit.contains("pause"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_applied_by_the_dispatcher_and_stands_in_the_history() {
    let shop = Shop::parked().await;
    shop.mended.store(true, Ordering::SeqCst);
    let (code, said) =
        shop.says(&["retry", "order", "A-1", "--because", "the bank is back", "--yes", "--wait", "60"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("retry: done in step "), "{said}");
    assert_eq!(shop.position().await, Position::In(OrderState::Done));
    let (_, history) = shop.says(&["trace", "order", "A-1"]).await;
    assert!(history.contains("the bank is back") && history.contains("ada"), "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_undoes_what_is_owed() {
    let shop = Shop::parked().await;
    let (code, said) = shop
        .says(&["-o", "json", "abort", "order", "A-1", "--because", "a mistake", "--yes", "--wait", "60"])
        .await;
    assert_eq!(code, 0, "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((answer["verb"].as_str(), &answer["declined"]), (Some("abort"), &serde_json::Value::Null));
    assert_eq!(shop.position().await, Position::In(OrderState::Cancelled));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_about_an_earlier_step_is_declined() {
    let shop = Shop::parked().await;
    let args = ["skip", "order", "A-1", "--because", "tired", "--step", "1", "--yes", "--wait", "60"];
    let (code, said) = shop.says(&args).await;
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("declined: ") && said.contains("not at step 1"), "{said}");
    assert!(matches!(shop.position().await, Position::Parked { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_person_to_ask_nothing_is_decided() {
    let shop = Shop::parked().await;
    let (code, said) = shop.says(&["abort", "order", "A-1", "--because", "a mistake"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("add --yes") && said.contains("parked"), "{said}");
    assert!(matches!(shop.position().await, Position::Parked { .. }));
    let (code, said) = shop.says(&["abort", "order", "A-7", "--because", "a mistake", "--yes"]).await;
    assert_eq!(code, 3, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_instance_is_purged() {
    let shop = Shop::parked().await;
    let purge = ["purge", "order", "A-1", "--because", "to be forgotten", "--yes", "--wait", "60"];
    let (code, said) = shop.says(&purge).await;
    assert!(code == 4 && said.contains("is parked; release it first"), "{code} {said}");
    let (code, said) = shop.says(&["abort", "order", "A-1", "--because", "a mistake", "--yes"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(shop.position().await, Position::In(OrderState::Cancelled));
    let (code, said) = shop.says(&purge).await;
    assert!(code == 0 && said.contains("purge: done"), "{code} {said}");
    let (_, audit) = shop.says(&["audit"]).await;
    assert!(audit.contains("purge"), "{audit}");
    // The removal follows within a second of the decision.
    let mut code = 0;
    for _ in 0..1_000 {
        (code, _) = shop.says(&["show", "order", "A-1"]).await;
        if code != 0 {
            break;
        }
    }
    assert_eq!(code, 3, "the instance is not found any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_counts_first_and_decides_about_the_instances_that_meet_the_conditions() {
    let shop = Shop::parked().await;
    for n in 2..5 {
        shop.dispatcher.publish(Placed { order: format!("A-{n}") }).await.unwrap();
        shop.dispatcher.settled::<OrderState>(format!("A-{n}")).await.unwrap();
    }
    let batch = ["batch", "retry", "--error", "no money", "--key", "A-", "--because", "mended"];
    let (code, said) = shop.says(&batch).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("4 instances meet the conditions") && said.contains("add --yes"), "{said}");
    let (code, said) = shop.says(&[&batch[..], &["--not-parked", "--yes"]].concat()).await;
    assert!(code == 1 && said.contains("leave out --not-parked"), "{said}");
    shop.mended.store(true, Ordering::SeqCst);
    let (code, said) = shop.says(&[&batch[..], &["--limit", "3", "--yes"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("for 3 instances"), "{said}");
    let (code, said) = shop.says(&["batch", "skip", "--error", "thunder", "--because", "no", "--yes"]).await;
    assert_eq!(code, 3, "{said}");
    let done =
        |order: &saga::Instance<OrderState>| (order.position == Position::In(OrderState::Done)).then_some(());
    for n in 1..4 {
        let key = format!("A-{n}");
        shop.dispatcher.wait_for::<OrderState, _>(key, Duration::from_secs(60), done).await.unwrap();
    }
    let left = shop.dispatcher.settled::<OrderState>("A-4").await.unwrap();
    assert!(matches!(left, Position::Parked { .. }), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_waits_in_the_inbox_for_the_next_dispatcher() {
    let shop = Shop::parked().await;
    shop.dispatcher.clone().shutdown(Duration::from_secs(5)).await.unwrap();
    let args = ["abort", "order", "A-1", "--because", "a mistake", "--yes", "--wait", "0"];
    let (code, said) = shop.says(&args).await;
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("stays in the inbox"), "{said}");
    let bank = || Bank(Arc::clone(&shop.mended));
    let builder = Dispatcher::builder(SqliteStore::open(shop.path()).unwrap()).saga::<OrderState>();
    let next = builder.handler::<Pay>(bank()).handler::<Void>(bank()).start().await.unwrap();
    let ended = |order: &saga::Instance<OrderState>| {
        (order.position == Position::In(OrderState::Cancelled)).then_some(())
    };
    next.wait_for::<OrderState, _>("A-1", Duration::from_secs(60), ended).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_checked_before_it_resolves_a_command() {
    let shop = Shop::parked().await;
    let resolve = ["resolve", "order", "A-1", "--because", "the bank statement", "--yes", "--wait", "60"];
    let says = async |more: &[&str]| shop.says(&[&resolve[..], more].concat()).await;
    let (code, said) = says(&["--reply", "paid", "--body", r#"{"cent":1}"#]).await;
    let expected = "the body is no `Paid`: `cents` is missing; `cent` is not a field of `Paid`";
    assert!(code == 1 && said.contains(expected), "{said}");
    let (code, said) = says(&["--reply", "refunded", "--body", "{}"]).await;
    assert!(
        code == 1 && said.contains("`order` has no event `refunded`; its events are: placed, paid, noted"),
        "{said}"
    );
    let (code, said) = says(&["--done"]).await;
    assert!(code == 4 && said.contains("`pay` needs a reply"), "{said}");
    let (code, said) = says(&[]).await;
    assert!(code == 2 && said.contains("--done"), "{said}");
    let (code, said) = says(&["--reply", "paid", "--body", r#"{"cents":12}"#]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(shop.position().await, Position::In(OrderState::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_is_fired_and_postponed() {
    let shop = Shop::parked().await;
    let because = ["--because", "a test", "--yes", "--wait", "60"];
    let says = async |verb: &[&str]| shop.says(&[verb, &because].concat()).await;
    let postpone = ["postpone", "order", "A-1", "--timer", "1d", "--until", "2999-01-01T00:00:00Z"];
    let (code, said) = says(&postpone).await;
    assert!(code == 0 && said.starts_with("postpone: done"), "{said}");
    assert!(shop.says(&["show", "order", "A-1"]).await.1.contains("1d at 2999-01-01T00:00:00"));
    let (code, said) = says(&["fire", "order", "A-1", "--timer", "2d"]).await;
    assert!(code == 4 && said.contains("has no timer `2d`; set are: 1d"), "{said}");
    let (code, said) = says(&["fire", "order", "A-1", "--timer", "1d"]).await;
    assert_eq!(code, 0, "{said}");
    // The parked instance keeps the due timer until a person releases it.
    let (code, said) = says(&["skip", "order", "A-1"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(shop.position().await, Position::In(OrderState::Cancelled));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_sent_once_under_its_message_id() {
    let shop = Shop::parked().await;
    let body = r#"{"order":"A-2"}"#;
    shop.mended.store(true, Ordering::SeqCst);
    let send = ["send", "order", "A-2", "placed", "--body", body, "--id", "m-1"];
    let because = ["--because", "it was lost", "--yes", "--wait", "60"];
    let says = async |verb: &[&str]| shop.says(&[verb, &because].concat()).await;
    let (code, said) = says(&send).await;
    assert!(code == 0 && said.contains("send: done 1"), "{said}");
    let (code, said) = says(&send).await;
    assert!(code == 4 && said.contains("has already taken an event with this message id"), "{said}");
    let id = saga::MessageId::new("m-1").unwrap();
    let event = Placed { order: "A-2".to_owned() };
    let receipt = shop.dispatcher.taken_up(&id, &event).await.unwrap().unwrap();
    assert!(receipt.is_accepted(), "{receipt:?}");
    assert_eq!(shop.dispatcher.settled::<OrderState>("A-2").await.unwrap(), Position::In(OrderState::Done));
    let (code, said) = says(&["send", "order", "A-3", "placed", "--body", "{"]).await;
    assert!(code == 1 && said.contains("the body is not JSON"), "{said}");
    let (code, said) = says(&["send", "order", "A-3", "placed", "--body", "{}"]).await;
    assert!(code == 1 && said.contains("`order` is missing"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_delivered_again_edited_and_discarded() {
    let shop = Shop::parked().await;
    for order in ["B-1", "B-2", "B-3"] {
        shop.dispatcher.publish(Noted { order: order.to_owned() }).await.unwrap();
    }
    let because = ["--because", "a test", "--yes", "--wait", "60"];
    let says = async |verb: &[&str]| shop.says(&[verb, &because].concat()).await;
    let (code, said) = shop.says(&["dead", "discard", "1", "--because", "a test"]).await;
    assert!(code == 2 && said.contains("1 dead letters; the first one is 1: noted"), "{said}");
    let (code, said) = says(&["dead", "edit", "1", "--body", r#"{"key":"B-1"}"#]).await;
    assert!(code == 4 && said.contains("`noted` cannot have this body"), "{said}");
    shop.dispatcher.publish(Placed { order: "B-1".to_owned() }).await.unwrap();
    let (code, said) = says(&["dead", "edit", "1", "--body", r#"{"order":"B-1"}"#]).await;
    assert!(code == 0 && said.contains("edit: done 1"), "{said}");
    let (code, said) =
        says(&["dead", "redrive", "--reason", "missing-instance", "--consumer", "order"]).await;
    assert!(code == 0 && said.contains("redrive: done 2"), "{said}");
    let (code, said) = says(&["dead", "discard", "--message", "noted"]).await;
    assert!(code == 0 && said.contains("discard: done 2"), "they came back: {said}");
    let (code, said) = says(&["dead", "discard", "--message", "noted"]).await;
    assert_eq!(code, 3, "{said}");
    let (code, said) = says(&["dead", "redrive", "77"]).await;
    assert_eq!(code, 3, "{said}");
    let (_, audit) = shop.says(&["-o", "jsonl", "audit", "--after", "0"]).await;
    let rows: Vec<serde_json::Value> =
        audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verbs: Vec<&str> = rows.iter().map(|row| row["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["edit", "edit", "redrive", "redrive", "discard", "discard"]);
    assert!(rows[0]["declined"].is_string() && rows[5]["payload"]["order"].is_string(), "{audit}");
    assert_eq!((rows[0]["who"].as_str(), rows[0]["why"].as_str()), (Some("ada"), Some("a test")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_is_paused_and_resumed() {
    let shop = Shop::parked().await;
    let because = ["--because", "the bank is down", "--yes", "--wait", "60"];
    let says = async |verb: &[&str]| shop.says(&[verb, &because].concat()).await;
    let (code, said) = says(&["pause", "saga", "parcel"]).await;
    assert!(code == 4 && said.contains("there is no saga `parcel` here; known are: order"), "{said}");
    let (code, said) = says(&["retire", "order"]).await;
    assert!(code == 4 && said.contains("this build has the consumer `order`"), "{said}");
    let (code, said) = says(&["pause", "saga", "order"]).await;
    assert!(code == 0 && said.contains("pause: done 1"), "{said}");
    let (_, said) = shop.says(&["pauses"]).await;
    assert!(said.contains("the bank is down") && said.contains("order"), "{said}");
    shop.dispatcher.publish(Placed { order: "B-1".to_owned() }).await.unwrap();
    assert_eq!(shop.says(&["show", "order", "B-1"]).await.0, 3);
    let (code, said) = says(&["resume", "saga", "order"]).await;
    assert!(code == 0 && said.contains("resume: done 1"), "{said}");
    assert!(matches!(shop.dispatcher.settled::<OrderState>("B-1").await.unwrap(), Position::Parked { .. }));
    let (_, said) = shop.says(&["audit", "--by", "ada"]).await;
    assert!(said.contains("resume") && said.contains("pause") && said.contains("saga `order`"), "{said}");
    let (code, said) = shop.says(&["check"]).await;
    assert!(code == 0 && said.contains("4 rows of the audit end with "), "{said}");
}
