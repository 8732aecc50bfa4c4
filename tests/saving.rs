//! What a handler keeps for the attempts to come: a cursor, results, its time.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::prelude::*;
use saga::testing::ManualClock;
use saga::{Dispatcher, Policy, Position, SqliteStore};
use tokio::sync::Notify;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "issue", version = 1, data(Issue), actions(IssueActions))]
#[initially(when(Written, run(write), send(Mail), transition_to(Mailing)))]
#[unhandled(ignore)]
pub enum IssueState {
    #[during(when(Mailed, transition_to(Done)), when(any(failed(Mail), unknown(Mail)), transition_to(Lost)))]
    Mailing,
    #[terminal]
    Done,
    #[terminal(failure)]
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    readers: u32,
}

impl IssueActions for Issue {
    fn write(event: &Written, _: &mut Context) -> ActionResult<Self> {
        Ok(Self { readers: event.readers })
    }
    fn mail(&self, _: &Written, _: &mut Context) -> Mail {
        Mail { readers: self.readers }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "written", key(issue))]
pub struct Written {
    issue: String,
    readers: u32,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "mailed")]
pub struct Mailed {}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail", replies(Mailed))]
pub struct Mail {
    readers: u32,
}

/// Mails to every reader, and waits at one of them for as long as it is told to.
#[derive(Clone, Default)]
struct Post {
    mailed: Arc<Mutex<Vec<(u32, String)>>>,
    counted: Arc<Mutex<u32>>,
    stuck_at: Option<u32>,
    reached: Arc<Notify>,
}

impl Handler<Mail> for Post {
    async fn handle(&self, command: Mail, cx: &HandlerContext) -> HandlerResult<Mail> {
        let readers = cx
            .run_once("count the readers", || async {
                *self.counted.lock().unwrap() += 1;
                Ok(command.readers)
            })
            .await?;
        let next = cx.progress::<u32>()?.unwrap_or(0);
        for reader in next..readers {
            if self.stuck_at == Some(reader) {
                self.reached.notify_one();
                std::future::pending::<()>().await;
            }
            self.mailed.lock().unwrap().push((reader, cx.idempotency_key_for(reader)));
            cx.save_progress(&(reader + 1)).await?;
        }
        Ok(Mailed {}.into())
    }
}

struct Press {
    store: SqliteStore,
    clock: ManualClock,
    _dir: tempfile::TempDir,
}

impl Press {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("press.db")).unwrap();
        Self { store, clock: ManualClock::default(), _dir: dir }
    }

    async fn open(&self, post: &Post) -> Dispatcher {
        Dispatcher::builder(self.store.clone())
            .saga::<IssueState>()
            .handler_with::<Mail>(post.clone(), Policy::default().timeout(Duration::from_secs(60)))
            .clock(self.clock.clone())
            .start()
            .await
            .unwrap()
    }
}

fn written(readers: u32) -> Written {
    Written { issue: "1".to_owned(), readers }
}

#[tokio::test]
async fn a_cursor_outlives_a_crash_and_repeats_nothing() {
    let press = Press::new();
    let stuck = Post { stuck_at: Some(3), ..Post::default() };
    let dispatcher = press.open(&stuck).await;
    dispatcher.publish(written(6)).await.unwrap();
    stuck.reached.notified().await;
    dispatcher.kill().await;

    let free = Post { stuck_at: None, ..stuck.clone() };
    let dispatcher = press.open(&free).await;
    assert_eq!(dispatcher.settled::<IssueState>("1").await.unwrap(), Position::In(IssueState::Done));
    let mailed = free.mailed.lock().unwrap().clone();
    let readers: Vec<u32> = mailed.iter().map(|(reader, _)| *reader).collect();
    assert_eq!(readers, [0, 1, 2, 3, 4, 5], "each once, none left out");
    let keys: std::collections::BTreeSet<&String> = mailed.iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 6, "every mail has a key of its own");
    assert_eq!(*free.counted.lock().unwrap(), 1, "the result was remembered");
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn an_attempt_that_times_out_is_followed_by_one_that_goes_on() {
    let press = Press::new();
    let stuck = Post { stuck_at: Some(2), ..Post::default() };
    let dispatcher = press.open(&stuck).await;
    dispatcher.publish(written(2_000)).await.unwrap();
    stuck.reached.notified().await;
    let reached_again = async {
        // The attempt is dropped after a minute; the next one starts where it was.
        stuck.reached.notified().await;
    };
    tokio::pin!(reached_again);
    loop {
        tokio::select! {
            biased;
            () = &mut reached_again => break,
            () = press.clock.advance_to_next() => {}
        }
    }
    assert_eq!(stuck.mailed.lock().unwrap().len(), 2, "nobody was written to twice");
}

#[tokio::test]
async fn what_is_saved_by_an_attempt_that_is_over_is_refused() {
    /// Saves through the context of an attempt after that has ended.
    #[derive(Clone, Default)]
    struct Late {
        kept: Arc<Mutex<Option<HandlerContext>>>,
    }
    impl Handler<Mail> for Late {
        async fn handle(&self, _: Mail, cx: &HandlerContext) -> HandlerResult<Mail> {
            *self.kept.lock().unwrap() = Some(cx.clone());
            Ok(Mailed {}.into())
        }
    }
    let press = Press::new();
    let late = Late::default();
    let dispatcher = Dispatcher::builder(press.store.clone())
        .saga::<IssueState>()
        .handler::<Mail>(late.clone())
        .clock(press.clock.clone())
        .start()
        .await
        .unwrap();
    dispatcher.publish(written(1)).await.unwrap();
    dispatcher.settled::<IssueState>("1").await.unwrap();
    let cx = late.kept.lock().unwrap().take().unwrap();
    let error = cx.save_progress(&1).await.unwrap_err();
    assert_eq!(error.to_string(), "the attempt is over, so nothing was saved");
    dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
    let error = cx.save_progress(&1).await.unwrap_err();
    assert_eq!(error.to_string(), "the dispatcher has stopped, so nothing was saved");
}

#[tokio::test]
async fn a_heartbeat_gives_the_attempt_its_time_anew() {
    /// Works for as long as it is told to, and says so.
    #[derive(Clone, Default)]
    struct Slow {
        attempts: Arc<Mutex<u32>>,
        beaten: Arc<Notify>,
        go: Arc<Notify>,
    }
    impl Handler<Mail> for Slow {
        async fn handle(&self, command: Mail, cx: &HandlerContext) -> HandlerResult<Mail> {
            *self.attempts.lock().unwrap() += 1;
            for _ in 0..command.readers {
                cx.heartbeat();
                self.beaten.notify_one();
                self.go.notified().await;
            }
            Ok(Mailed {}.into())
        }
    }
    let press = Press::new();
    let slow = Slow::default();
    let dispatcher = Dispatcher::builder(press.store.clone())
        .saga::<IssueState>()
        .handler_with::<Mail>(slow.clone(), Policy::default().timeout(Duration::from_secs(60)))
        .clock(press.clock.clone())
        .start()
        .await
        .unwrap();
    dispatcher.publish(written(5)).await.unwrap();
    for _ in 0..5 {
        slow.beaten.notified().await;
        // The heartbeat has reached the dispatcher before time passes.
        press.clock.looked().await;
        press.clock.advance(Duration::from_secs(50));
        slow.go.notify_one();
    }
    assert_eq!(dispatcher.settled::<IssueState>("1").await.unwrap(), Position::In(IssueState::Done));
    assert_eq!(*slow.attempts.lock().unwrap(), 1, "250 seconds, in one attempt of 60");
}

#[tokio::test]
async fn what_is_saved_at_the_same_time_or_by_a_call_that_is_dropped_is_all_kept() {
    /// Counts how often each part is done, all at once, and fails at the first attempt.
    #[derive(Clone, Default)]
    struct Parts {
        done: Arc<Mutex<Vec<&'static str>>>,
    }
    impl Handler<Mail> for Parts {
        async fn handle(&self, _: Mail, cx: &HandlerContext) -> HandlerResult<Mail> {
            let part = |name: &'static str| {
                cx.run_once(name, move || async move {
                    self.done.lock().unwrap().push(name);
                    Ok(name.to_owned())
                })
            };
            let (a, b, saved) = tokio::join!(part("a"), part("b"), cx.save_progress(&7));
            saved?;
            {
                // Polled until it waits for the disk, and given up.
                let mut dropped = std::pin::pin!(part("c"));
                let polled =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(dropped.as_mut().poll(cx))).await;
                assert_eq!(polled.is_pending(), cx.attempt() == 1);
            }
            let c = part("c").await?;
            assert_eq!((a?, b?, c), ("a".to_owned(), "b".to_owned(), "c".to_owned()));
            if cx.attempt() == 1 {
                return Err("once more".into());
            }
            assert_eq!(cx.progress::<u32>()?, Some(7));
            Ok(Mailed {}.into())
        }
    }
    let press = Press::new();
    let parts = Parts::default();
    let dispatcher = Dispatcher::builder(press.store.clone())
        .saga::<IssueState>()
        .handler::<Mail>(parts.clone())
        .clock(press.clock.clone())
        .start()
        .await
        .unwrap();
    dispatcher.publish(written(1)).await.unwrap();
    let position = dispatcher.settled::<IssueState>("1");
    tokio::pin!(position);
    let position = loop {
        tokio::select! {
            biased;
            position = &mut position => break position.unwrap(),
            () = press.clock.advance_to_next() => {}
        }
    };
    assert_eq!(position, Position::In(IssueState::Done));
    assert_eq!(*parts.done.lock().unwrap(), ["a", "b", "c"], "each once");
}
