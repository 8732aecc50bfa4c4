//! A handler is tested without a dispatcher.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use saga::error::PublishError;
use saga::prelude::*;

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "letters.send")]
pub struct SendLetters {
    to: Vec<String>,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "letter.sent", key(to))]
pub struct LetterSent {
    to: String,
}

/// Sends one letter after the other, and gives up at one that comes back.
struct Post {
    returns: Option<&'static str>,
}

impl Handler<SendLetters> for Post {
    async fn handle(&self, command: SendLetters, cx: &HandlerContext) -> HandlerResult<SendLetters> {
        let done: usize = cx.progress()?.unwrap_or(0);
        for (nth, to) in command.to.iter().enumerate().skip(done) {
            if cx.is_cancelled() || self.returns == Some(to.as_str()) {
                return Err(format!("no answer about {to}").into());
            }
            let name: String = cx.run_once(to, || async { Ok(format!("{}-{to}", cx.instance())) }).await?;
            cx.publish(LetterSent { to: name }).await?;
            cx.save_progress(&(nth + 1)).await?;
        }
        Ok(Done.into())
    }
}

fn letters() -> SendLetters {
    SendLetters { to: ["ada", "bob", "cid"].map(str::to_owned).to_vec() }
}

fn sent(to: &[&str]) -> Vec<LetterSent> {
    to.iter().map(|to| LetterSent { to: format!("7-{to}") }).collect()
}

#[tokio::test]
async fn what_a_handler_saves_and_publishes_is_there_to_be_seen() {
    let cx = HandlerContext::builder().instance("post", "7").consumer_of::<LetterSent>().build();
    let stuck = Post { returns: Some("cid") }.handle(letters(), &cx).await;
    assert_eq!(stuck.unwrap_err().to_string(), "no answer about cid");
    assert_eq!(cx.saved::<usize>().unwrap(), Some(2));
    assert_eq!(cx.published::<LetterSent>(), sent(&["ada", "bob"]));
}

#[tokio::test]
async fn the_next_attempt_goes_on_with_what_was_saved() {
    let cx = HandlerContext::builder().instance("post", "7").consumer_of::<LetterSent>().build();
    Post { returns: Some("bob") }.handle(letters(), &cx).await.unwrap_err();
    let next = cx.next_attempt();
    assert_eq!((next.attempt(), next.idempotency_key()), (2, cx.idempotency_key()));
    Post { returns: None }.handle(letters(), &next).await.unwrap();
    assert_eq!(next.published::<LetterSent>(), sent(&["bob", "cid"]), "the first letter is not sent again");
}

#[tokio::test]
async fn a_cancelled_handler_learns_of_it() {
    let cx = HandlerContext::builder().build();
    cx.cancel();
    let ended = Post { returns: None }.handle(letters(), &cx).await;
    assert_eq!(ended.unwrap_err().to_string(), "no answer about ada");
}

#[tokio::test]
async fn an_event_without_a_consumer_is_refused_as_by_a_dispatcher() {
    let cx = HandlerContext::builder().build();
    let refused = cx.publish(LetterSent { to: "ada".to_owned() }).await;
    assert!(matches!(refused, Err(PublishError::NoConsumer { .. })), "{refused:?}");
}
