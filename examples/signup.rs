//! Somebody signs up. An activation mail goes out, then a reminder a day, three at most; whoever clicks is welcomed,
//! whoever has not clicked after four days is forgotten. All of it is in the table: the days, the count, the end. The
//! timers are rows in the database, so a restart in between changes nothing, and a click that comes too late is
//! answered with the reason it has no effect.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use std::sync::Arc;
use std::time::Duration;

use saga::Tick;
use saga::prelude::*;
use tokio::sync::Notify;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "signup", version = 1, data(Person), actions(SignupActions))]
#[initially(when(SignedUp, run(sign_up), send(MailActivation), transition_to(AwaitingClick)))]
#[ended_instance(ignore)]
pub enum SignupState {
    #[during(
        when(Clicked, send(MailWelcome), transition_to(Active)),
        every(days = 1, times = 3, send(MailReminder), stay),
        timeout(days = 4, transition_to(Expired))
    )]
    AwaitingClick,

    #[terminal]
    Active,
    #[terminal(failure)]
    Expired,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    address: String,
}

impl SignupActions for Person {
    fn sign_up(event: &SignedUp, _: &mut Context) -> ActionResult<Self> {
        Ok(Person { address: event.address.clone() })
    }

    fn mail_activation(&self, _: &SignedUp, _: &mut Context) -> MailActivation {
        MailActivation { address: self.address.clone() }
    }

    fn mail_reminder(&self, event: &Tick, _: &mut Context) -> MailReminder {
        MailReminder { address: self.address.clone(), nth: event.nth }
    }

    fn mail_welcome(&self, _: &Clicked, _: &mut Context) -> MailWelcome {
        MailWelcome { address: self.address.clone() }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "signup.signed-up", key(address))]
pub struct SignedUp {
    address: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "signup.clicked", key(address))]
pub struct Clicked {
    address: String,
}

// A mail that cannot be delivered changes nothing about the sign-up.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.activation", best_effort)]
pub struct MailActivation {
    address: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.reminder", best_effort)]
pub struct MailReminder {
    address: String,
    nth: u32,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "mail.welcome", best_effort)]
pub struct MailWelcome {
    address: String,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Default)]
struct MailServer {
    /// Told of every reminder.
    reminded: Arc<Notify>,
}

impl Handler<MailActivation> for MailServer {
    async fn handle(&self, command: MailActivation, _: &HandlerContext) -> HandlerResult<MailActivation> {
        println!("  to {}: please click", command.address);
        Ok(Done.into())
    }
}

impl Handler<MailReminder> for MailServer {
    async fn handle(&self, command: MailReminder, _: &HandlerContext) -> HandlerResult<MailReminder> {
        println!("  to {}: you have not clicked yet ({} of 3)", command.address, command.nth);
        self.reminded.notify_one();
        Ok(Done.into())
    }
}

impl Handler<MailWelcome> for MailServer {
    async fn handle(&self, command: MailWelcome, _: &HandlerContext) -> HandlerResult<MailWelcome> {
        println!("  to {}: welcome", command.address);
        Ok(Done.into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    // Four days pass in a moment, because the program owns the clock.
    let (clock, server) = (saga::testing::ManualClock::default(), MailServer::default());
    let dispatcher = saga::Dispatcher::builder(saga::SqliteStore::open(folder.path().join("signups.db"))?)
        .saga::<SignupState>()
        .handler::<MailActivation>(server.clone())
        .handler::<MailReminder>(server.clone())
        .handler::<MailWelcome>(server.clone())
        .clock(clock.clone())
        .start()
        .await?;
    let (ada, bob) = ("ada@example.org", "bob@example.org");
    dispatcher.publish(SignedUp { address: ada.into() }).await?;
    dispatcher.publish(SignedUp { address: bob.into() }).await?;
    dispatcher.publish(Clicked { address: ada.into() }).await?;
    println!("ada is {:?}", dispatcher.settled::<SignupState>(ada).await?);
    for _ in 0..3 {
        clock.advance(DAY);
        server.reminded.notified().await;
    }
    clock.advance(DAY);
    let bob_is = dispatcher.settled::<SignupState>(bob).await?;
    println!("bob is {bob_is:?}");
    let late = dispatcher.publish(Clicked { address: bob.into() }).await?;
    println!("bob's late click: {:?}", late.consumers[0].disposition);
    dispatcher.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::testing::Given;

    use super::*;
    use saga::IgnoredReason;

    fn signed_up() -> Given<SignupState> {
        Given::started(SignedUp { address: "ada".into() })
    }

    fn clicked() -> Clicked {
        Clicked { address: "ada".into() }
    }

    #[test]
    fn a_click_welcomes_and_stops_the_reminders() {
        let person = signed_up().elapsed(DAY + DAY / 2).when(clicked());
        assert_eq!(person.state(), &SignupState::Active);
        assert_eq!(person.sent::<MailWelcome>().len(), 1);
        assert_eq!(person.elapsed(10 * DAY).sent::<MailReminder>().len(), 1);
    }

    #[test]
    fn three_reminders_a_day_apart_and_not_a_fourth() {
        let person = signed_up().elapsed(DAY - Duration::from_secs(1));
        assert!(person.sent::<MailReminder>().is_empty());
        let person = person.elapsed(Duration::from_secs(1));
        assert_eq!(person.sent::<MailReminder>().len(), 1);
        let nth: Vec<u32> = person.elapsed(10 * DAY).sent::<MailReminder>().iter().map(|r| r.nth).collect();
        assert_eq!(nth, [1, 2, 3]);
    }

    #[test]
    fn after_four_days_the_sign_up_expires_and_a_click_comes_too_late() {
        let person = signed_up().elapsed(4 * DAY);
        assert_eq!(person.state(), &SignupState::Expired);
        let person = person.when(clicked());
        assert_eq!(person.ignored(), Some(IgnoredReason::Ended));
        assert!(person.sent::<MailWelcome>().is_empty());
    }

    #[test]
    fn a_mail_that_fails_changes_nothing() {
        let person = signed_up().failed::<MailActivation>("mailbox full");
        assert_eq!((person.state(), person.parked()), (&SignupState::AwaitingClick, None));
    }
}
