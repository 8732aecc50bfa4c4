//! A newsletter goes to every subscriber, once. Three times the same flow: with the cursor in one long handler, which
//! saves how far it is after every mail; with the cursor in the saga, which sends one small batch at a time; and with
//! four children at a time, each of which writes to its share of the subscribers. None keeps anything that grows with
//! the number of subscribers, all go on after a crash where they were, and what a cursor names is the subscriber to
//! write to *next*, so that none is written to twice by an off-by-one. The call that a crash may repeat carries the
//! same key both times.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use saga::Finished;
use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "issue", version = 1, data(Issue), actions(IssueActions))]
#[initially(when(IssueWritten, run(write), send(MailEverybody), transition_to(Mailing)))]
pub enum IssueState {
    #[during(
        when(EverybodyMailed, run(count), transition_to(Sent)),
        when(any(failed(MailEverybody), unknown(MailEverybody)), park)
    )]
    Mailing,
    #[terminal]
    Sent,
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "batched-issue", version = 1, data(BatchedIssue), actions(BatchActions))]
#[initially(when(IssueWritten, run(begin), send(MailBatch, with(first_batch)), transition_to(Mailing)))]
pub enum BatchState {
    #[during(
        when(BatchMailed, guard(is_last), run(finish), transition_to(Sent)),
        when(BatchMailed, run(advance), send(MailBatch, with(next_batch)), stay),
        when(any(failed(MailBatch), unknown(MailBatch)), park)
    )]
    Mailing,
    #[terminal]
    Sent,
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "shared-issue", version = 1, data(SharedIssue), actions(SharedActions))]
#[initially(when(IssueWritten, run(begin), start(ShareState, each, with(shares)), transition_to(Mailing)))]
#[unhandled(ignore)]
pub enum SharedState {
    #[during(when(finished(ShareState), run(add), stay), when(all_finished(ShareState), transition_to(Sent)))]
    Mailing,
    #[terminal]
    Sent,
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "share", version = 1, data(Share), actions(ShareActions))]
#[initially(when(ShareGiven, run(take), send(MailShare), transition_to(Mailing)))]
pub enum ShareState {
    #[during(
        when(ShareMailed, run(count), transition_to(Sent)),
        when(any(failed(MailShare), unknown(MailShare)), park)
    )]
    Mailing,
    #[terminal]
    Sent,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    id: String,
    mails: u32,
}

impl IssueActions for Issue {
    fn write(event: &IssueWritten, _: &mut Context) -> ActionResult<Self> {
        Ok(Issue { id: event.issue.clone(), mails: 0 })
    }

    fn mail_everybody(&self, _: &IssueWritten, _: &mut Context) -> MailEverybody {
        MailEverybody { issue: self.id.clone() }
    }

    fn count(&mut self, event: &EverybodyMailed, _: &mut Context) -> ActionResult<()> {
        self.mails = event.mails;
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchedIssue {
    id: String,
    /// The subscriber to write to next.
    next: u32,
}

impl BatchActions for BatchedIssue {
    fn begin(event: &IssueWritten, _: &mut Context) -> ActionResult<Self> {
        Ok(BatchedIssue { id: event.issue.clone(), next: 0 })
    }

    fn first_batch(&self, _: &IssueWritten, _: &mut Context) -> MailBatch {
        MailBatch { issue: self.id.clone(), from: self.next }
    }

    fn is_last(&self, event: &BatchMailed, _: &Context) -> bool {
        event.last
    }

    fn advance(&mut self, event: &BatchMailed, _: &mut Context) -> ActionResult<()> {
        self.next = event.next;
        Ok(())
    }

    fn next_batch(&self, _: &BatchMailed, _: &mut Context) -> MailBatch {
        MailBatch { issue: self.id.clone(), from: self.next }
    }

    fn finish(&mut self, event: &BatchMailed, _: &mut Context) -> ActionResult<()> {
        self.next = event.next;
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedIssue {
    id: String,
    mails: u32,
}

impl SharedActions for SharedIssue {
    fn begin(event: &IssueWritten, _: &mut Context) -> ActionResult<Self> {
        Ok(SharedIssue { id: event.issue.clone(), mails: 0 })
    }

    fn shares(&self, _: &IssueWritten, _: &mut Context) -> Vec<ShareGiven> {
        (0..SHARES).map(|nth| ShareGiven { issue: self.id.clone(), nth }).collect()
    }

    fn add(&mut self, event: &Finished<ShareState>, _: &mut Context) -> ActionResult<()> {
        self.mails += event.data.mails;
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    nth: u32,
    mails: u32,
}

impl ShareActions for Share {
    fn take(event: &ShareGiven, _: &mut Context) -> ActionResult<Self> {
        Ok(Share { nth: event.nth, mails: 0 })
    }

    fn mail_share(&self, event: &ShareGiven, _: &mut Context) -> MailShare {
        MailShare { issue: event.issue.clone(), nth: self.nth }
    }

    fn count(&mut self, event: &ShareMailed, _: &mut Context) -> ActionResult<()> {
        self.mails = event.mails;
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "issue.written", key(issue))]
pub struct IssueWritten {
    issue: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.everybody", replies(EverybodyMailed))]
pub struct MailEverybody {
    issue: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "mail.everybody-mailed")]
pub struct EverybodyMailed {
    mails: u32,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.batch", replies(BatchMailed))]
pub struct MailBatch {
    issue: String,
    from: u32,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "mail.batch-mailed")]
pub struct BatchMailed {
    next: u32,
    last: bool,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "share.given", key(issue, nth))]
pub struct ShareGiven {
    issue: String,
    nth: u32,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.share", replies(ShareMailed))]
pub struct MailShare {
    issue: String,
    nth: u32,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "mail.share-mailed")]
pub struct ShareMailed {
    mails: u32,
}

/// Mails of one batch.
const BATCH: u32 = 10;
/// Children that share the subscribers.
const SHARES: u32 = 4;

/// The mail server, which knows the keys it has seen, and the process that may fall at any mail.
#[derive(Clone, Default)]
struct MailServer {
    subscribers: u32,
    sent: Arc<Mutex<BTreeSet<String>>>,
    calls: Arc<Mutex<u32>>,
    /// At this call the process hangs, as if it had been killed there; the mail is out already.
    falls_at: Option<u32>,
    fallen: Arc<tokio::sync::Notify>,
}

impl MailServer {
    async fn mail(&self, key: String) {
        let nth = {
            let mut calls = self.calls.lock().expect("nobody panics with it");
            *calls += 1;
            *calls
        };
        self.sent.lock().expect("nobody panics with it").insert(key);
        if self.falls_at == Some(nth) {
            self.fallen.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Mails that went out, and calls it took.
    fn figures(&self) -> (usize, u32) {
        let sent = self.sent.lock().expect("nobody panics with it").len();
        (sent, *self.calls.lock().expect("nobody panics with it"))
    }
}

impl Handler<MailEverybody> for MailServer {
    async fn handle(&self, _: MailEverybody, cx: &HandlerContext) -> HandlerResult<MailEverybody> {
        let next = cx.progress::<u32>()?.unwrap_or(0);
        for subscriber in next..self.subscribers {
            self.mail(cx.idempotency_key_for(subscriber)).await;
            cx.save_progress(&(subscriber + 1)).await?;
            cx.heartbeat();
        }
        Ok(EverybodyMailed { mails: self.subscribers }.into())
    }
}

impl Handler<MailBatch> for MailServer {
    async fn handle(&self, command: MailBatch, cx: &HandlerContext) -> HandlerResult<MailBatch> {
        let next = (command.from + BATCH).min(self.subscribers);
        for subscriber in command.from..next {
            self.mail(cx.idempotency_key_for(subscriber)).await;
        }
        Ok(BatchMailed { next, last: next == self.subscribers }.into())
    }
}

impl Handler<MailShare> for MailServer {
    async fn handle(&self, command: MailShare, cx: &HandlerContext) -> HandlerResult<MailShare> {
        let mine: Vec<u32> = (command.nth..self.subscribers).step_by(SHARES as usize).collect();
        let next = cx.progress::<usize>()?.unwrap_or(0);
        for (nth, subscriber) in mine.iter().enumerate().skip(next) {
            self.mail(cx.idempotency_key_for(subscriber)).await;
            cx.save_progress(&(nth + 1)).await?;
            cx.heartbeat();
        }
        let mails = u32::try_from(mine.len()).map_err(|_| "more subscribers than people")?;
        Ok(ShareMailed { mails }.into())
    }
}

async fn open(
    store: &saga::SqliteStore,
    server: &MailServer,
) -> Result<saga::Dispatcher, saga::error::StartError> {
    saga::Dispatcher::builder(store.clone())
        .saga::<IssueState>()
        .saga::<BatchState>()
        .saga::<SharedState>()
        .saga::<ShareState>()
        .handler::<MailEverybody>(server.clone())
        .handler::<MailBatch>(server.clone())
        .handler::<MailShare>(server.clone())
        .start()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = saga::SqliteStore::open(folder.path().join("letters.db"))?;
    let server = MailServer { subscribers: 200, falls_at: Some(77), ..MailServer::default() };
    let dispatcher = open(&store, &server).await?;
    // One event starts all three sagas.
    dispatcher.publish(IssueWritten { issue: "november".into() }).await?;
    server.fallen.notified().await;
    println!("the process falls after (mails, calls) {:?}", server.figures());
    dispatcher.kill().await;

    let server = MailServer { falls_at: None, ..server };
    let dispatcher = open(&store, &server).await?;
    println!("one handler:  {:?}", dispatcher.settled::<IssueState>("november").await?);
    println!("batch by batch: {:?}", dispatcher.settled::<BatchState>("november").await?);
    println!("four at a time: {:?}", dispatcher.settled::<SharedState>("november").await?);
    let (mails, calls) = server.figures();
    println!("{mails} mails went out in {calls} calls: three letters to 200 subscribers, none of them twice");
    dispatcher.shutdown(std::time::Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::Position;
    use saga::testing::Given;

    use super::*;

    fn written() -> IssueWritten {
        IssueWritten { issue: "november".into() }
    }

    #[test]
    fn one_command_mails_everybody() {
        let issue = Given::<IssueState>::started(written()).when(EverybodyMailed { mails: 200 });
        assert_eq!((issue.state(), issue.data().mails), (&IssueState::Sent, 200));
    }

    #[test]
    fn the_saga_sends_batch_after_batch_and_keeps_a_cursor_only() {
        let issue = Given::<BatchState>::started(written())
            .when(BatchMailed { next: 10, last: false })
            .when(BatchMailed { next: 20, last: false })
            .when(BatchMailed { next: 25, last: true });
        assert_eq!(issue.state(), &BatchState::Sent);
        let from: Vec<u32> = issue.sent::<MailBatch>().iter().map(|batch| batch.from).collect();
        assert_eq!(from, [0, 10, 20]);
        assert_eq!(issue.data(), &BatchedIssue { id: "november".into(), next: 25 });
    }

    #[test]
    fn a_batch_that_fails_waits_for_a_person_and_goes_on_there() {
        let issue = Given::<BatchState>::started(written())
            .when(BatchMailed { next: 10, last: false })
            .unknown::<MailBatch>("no answer");
        assert!(issue.parked().is_some());
        let issue = issue.retry().when(BatchMailed { next: 15, last: true });
        assert_eq!(issue.state(), &BatchState::Sent);
        let issue = Given::<IssueState>::started(written()).failed::<MailEverybody>("no list");
        assert!(issue.parked().is_some());
    }

    #[test]
    fn children_share_the_subscribers_and_the_parent_adds_up() {
        let mut issue = Given::<SharedState>::started_as("november", written());
        assert_eq!(issue.children::<ShareState>().len(), 4);
        for nth in 0..4 {
            issue =
                issue.child_finished(&format!("november/{nth}"), ShareState::Sent, Share { nth, mails: 50 });
        }
        assert_eq!((issue.state(), issue.data().mails), (&SharedState::Sent, 200));
    }

    #[test]
    fn a_share_that_fails_waits_for_a_person_and_the_issue_waits_for_it() {
        let share = Given::<ShareState>::started(ShareGiven { issue: "november".into(), nth: 2 });
        let share = share.unknown::<MailShare>("no answer");
        assert!(share.parked().is_some());
        let share = share.retry().when(ShareMailed { mails: 50 });
        assert_eq!((share.state(), share.data().mails), (&ShareState::Sent, 50));
    }

    #[tokio::test]
    async fn a_crash_in_the_middle_of_the_list_repeats_no_mail() {
        let folder = tempfile::tempdir().unwrap();
        let store = saga::SqliteStore::open(folder.path().join("letters.db")).unwrap();
        let server = MailServer { subscribers: 60, falls_at: Some(31), ..MailServer::default() };
        let dispatcher = open(&store, &server).await.unwrap();
        dispatcher.publish(written()).await.unwrap();
        server.fallen.notified().await;
        dispatcher.kill().await;
        let server = MailServer { falls_at: None, ..server };
        let dispatcher = open(&store, &server).await.unwrap();
        assert_eq!(
            dispatcher.settled::<IssueState>("november").await.unwrap(),
            Position::In(IssueState::Sent)
        );
        assert_eq!(
            dispatcher.settled::<BatchState>("november").await.unwrap(),
            Position::In(BatchState::Sent)
        );
        assert_eq!(
            dispatcher.settled::<SharedState>("november").await.unwrap(),
            Position::In(SharedState::Sent)
        );
        let (mails, calls) = server.figures();
        assert_eq!(mails, 180, "three letters each");
        let again = 1 + BATCH + SHARES;
        assert!(calls <= 180 + again, "what was under way came twice, and nothing else: {calls}");
        dispatcher.shutdown(std::time::Duration::from_secs(1)).await.unwrap();
    }
}
