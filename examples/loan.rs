//! A loan is applied for at three banks at once. Two offers within 15 minutes approve it, and one bank that rejects it
//! rejects it. That can be read in two ways, and here are both, started by the same event: decide as soon as the second
//! offer is there; or hear all three banks, because the third may still reject, and count when the time is up. The
//! quarter of an hour is a row in the file, so a restart does not begin it anew.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "loan-by-two", version = 1, data(Loan), actions(ByTwoActions))]
#[initially(when(LoanApplied, run(apply), send(AskBank, each), transition_to(Asking)))]
#[unhandled(reject)]
pub enum ByTwoState {
    #[during(
        when(Offered, guard(is_second), run(keep), transition_to(Approved)),
        when(Offered, run(keep), stay),
        when(Rejected, transition_to(Denied)),
        timeout(minutes = 15, transition_to(Denied)),
        ignore(failed(AskBank), unknown(AskBank)) // A bank that cannot be reached has not rejected.
    )]
    Asking,
    #[terminal]
    Approved,
    #[terminal(failure)]
    Denied,
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "loan-by-all", version = 1, data(Loan), actions(ByAllActions))]
#[initially(when(LoanApplied, run(apply), send(AskBank, each), transition_to(Asking)))]
#[unhandled(reject)]
pub enum ByAllState {
    #[during(
        when(Offered, guard(is_third), run(keep), transition_to(Approved)),
        when(Offered, run(keep), stay),
        when(Rejected, transition_to(Denied)),
        timeout(minutes = 15, guard(has_two), transition_to(Approved)),
        timeout(minutes = 15, transition_to(Denied)),
        ignore(failed(AskBank), unknown(AskBank))
    )]
    Asking,
    #[terminal]
    Approved,
    #[terminal(failure)]
    Denied,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loan {
    id: String,
    euros: u64,
    offers: Vec<Offered>,
}

impl Loan {
    fn applied(event: &LoanApplied) -> Self {
        Loan { id: event.loan.clone(), euros: event.euros, offers: Vec::new() }
    }

    fn ask_all(&self) -> Vec<AskBank> {
        let ask = |bank: &str| AskBank { bank: bank.into(), loan: self.id.clone(), euros: self.euros };
        ["North", "South", "West"].map(ask).into()
    }
}

impl ByTwoActions for Loan {
    fn apply(event: &LoanApplied, _: &mut Context) -> ActionResult<Self> {
        Ok(Loan::applied(event))
    }

    fn ask_bank(&self, _: &LoanApplied, _: &mut Context) -> Vec<AskBank> {
        self.ask_all()
    }

    fn is_second(&self, _: &Offered, _: &Context) -> bool {
        self.offers.len() == 1
    }

    fn keep(&mut self, event: &Offered, _: &mut Context) -> ActionResult<()> {
        self.offers.push(event.clone());
        Ok(())
    }
}

impl ByAllActions for Loan {
    fn apply(event: &LoanApplied, _: &mut Context) -> ActionResult<Self> {
        Ok(Loan::applied(event))
    }

    fn ask_bank(&self, _: &LoanApplied, _: &mut Context) -> Vec<AskBank> {
        self.ask_all()
    }

    fn is_third(&self, _: &Offered, _: &Context) -> bool {
        self.offers.len() == 2
    }

    fn keep(&mut self, event: &Offered, _: &mut Context) -> ActionResult<()> {
        self.offers.push(event.clone());
        Ok(())
    }

    fn has_two(&self, _: &Context) -> bool {
        self.offers.len() >= 2
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "loan.applied", key(loan))]
pub struct LoanApplied {
    loan: String,
    euros: u64,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "bank.ask", replies(Offered, Rejected))]
pub struct AskBank {
    bank: String,
    loan: String,
    euros: u64,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "bank.offered")]
pub struct Offered {
    bank: String,
    percent: f64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "bank.rejected")]
pub struct Rejected {
    bank: String,
}

// The banks.

use std::time::Duration;

use saga::error::StartError;
use saga::testing::ManualClock;
use saga::{Dispatcher, SqliteStore};

/// North and West offer at once, South thinks about large loans and then rejects them, and West cannot be reached about
/// loans called `silent`.
struct Banks;

impl Handler<AskBank> for Banks {
    async fn handle(&self, command: AskBank, _: &HandlerContext) -> HandlerResult<AskBank> {
        let AskBank { bank, loan, euros } = command;
        match bank.as_str() {
            "West" if loan.contains("silent") => Err("nobody answers".into()),
            "South" if euros > 10_000 => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(Rejected { bank }.into())
            }
            "South" => Ok(Offered { bank, percent: 4.5 }.into()),
            _ => Ok(Offered { bank, percent: 5.0 }.into()),
        }
    }
}

async fn open(store: &SqliteStore, clock: &ManualClock) -> Result<Dispatcher, StartError> {
    Dispatcher::builder(store.clone())
        .saga::<ByTwoState>()
        .saga::<ByAllState>()
        .handler::<AskBank>(Banks)
        .clock(clock.clone())
        .start()
        .await
}

/// Ends when so many offers have come in. Nothing tells when an instance merely stays, so this looks again and again.
async fn offers(loans: &Dispatcher, loan: &str, many: usize) -> Result<(), Box<dyn std::error::Error>> {
    while loans.instance::<ByAllState>(loan).await?.is_none_or(|loan| loan.data.offers.len() < many) {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("loans.db"))?;
    let clock = ManualClock::default();
    let loans = open(&store, &clock).await?;

    for (loan, euros) in [("house", 9_000), ("yacht", 200_000)] {
        println!("loan {loan} of {euros} euros");
        loans.publish(LoanApplied { loan: loan.into(), euros }).await?;
        println!("  by two: {:?}", loans.settled::<ByTwoState>(loan).await?);
        println!("  by all: {:?}", loans.settled::<ByAllState>(loan).await?);
    }

    println!("loan silent-west of 9000 euros");
    loans.publish(LoanApplied { loan: "silent-west".into(), euros: 9_000 }).await?;
    println!("  by two: {:?}", loans.settled::<ByTwoState>("silent-west").await?);
    offers(&loans, "silent-west", 2).await?;
    clock.advance(Duration::from_secs(10 * 60));
    println!("  ten minutes pass, and the process is started again");
    loans.shutdown(Duration::from_secs(10)).await?;
    let loans = open(&store, &clock).await?;
    clock.advance(Duration::from_secs(5 * 60));
    println!("  five minutes pass");
    println!("  by all: {:?}", loans.settled::<ByAllState>("silent-west").await?);
    loans.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::testing::{Given, minutes, seconds};

    use super::*;

    fn applied() -> LoanApplied {
        LoanApplied { loan: "7".into(), euros: 9_000 }
    }

    fn by_two() -> Given<ByTwoState> {
        Given::started(applied())
    }

    fn by_all() -> Given<ByAllState> {
        Given::started(applied())
    }

    fn offer() -> Offered {
        Offered { bank: "North".into(), percent: 5.0 }
    }

    fn no() -> Rejected {
        Rejected { bank: "South".into() }
    }

    #[test]
    fn three_banks_are_asked() {
        let banks: Vec<String> = by_two().sent::<AskBank>().into_iter().map(|ask| ask.bank).collect();
        assert_eq!(banks, ["North", "South", "West"]);
        assert_eq!(by_all().sent::<AskBank>().len(), 3);
    }

    #[test]
    fn by_two_the_second_offer_approves() {
        assert_eq!(by_two().when(offer()).state(), &ByTwoState::Asking);
        let loan = by_two().when(offer()).when(offer());
        assert_eq!((loan.state(), loan.data().offers.len()), (&ByTwoState::Approved, 2));
        let late = loan.when(no());
        assert_eq!(late.state(), &ByTwoState::Approved, "decided is decided");
    }

    #[test]
    fn by_two_one_rejection_denies() {
        assert_eq!(by_two().when(no()).state(), &ByTwoState::Denied);
        assert_eq!(by_two().when(offer()).when(no()).state(), &ByTwoState::Denied);
    }

    #[test]
    fn by_two_fifteen_minutes_with_one_offer_deny() {
        let waiting = by_two().when(offer()).elapsed(minutes(15) - seconds(1));
        assert_eq!(waiting.state(), &ByTwoState::Asking);
        assert_eq!(waiting.elapsed(seconds(1)).state(), &ByTwoState::Denied);
    }

    #[test]
    fn by_two_a_bank_that_cannot_be_reached_is_not_waited_for() {
        let loan = by_two().unknown::<AskBank>("no answer").failed::<AskBank>("closed");
        assert_eq!(loan.state(), &ByTwoState::Asking);
        let loan = by_two().unknown::<AskBank>("no answer").when(offer()).when(offer());
        assert_eq!(loan.state(), &ByTwoState::Approved);
    }

    #[test]
    fn by_all_the_third_offer_approves() {
        assert_eq!(by_all().when(offer()).when(offer()).state(), &ByAllState::Asking);
        let loan = by_all().when(offer()).when(offer()).when(offer());
        assert_eq!((loan.state(), loan.data().offers.len()), (&ByAllState::Approved, 3));
    }

    #[test]
    fn by_all_the_third_bank_may_still_reject() {
        assert_eq!(by_all().when(offer()).when(offer()).when(no()).state(), &ByAllState::Denied);
        assert_eq!(by_all().when(no()).state(), &ByAllState::Denied);
    }

    #[test]
    fn by_all_two_offers_are_enough_when_the_time_is_up() {
        let two = by_all().when(offer()).when(offer());
        assert_eq!(two.elapsed(minutes(15)).state(), &ByAllState::Approved);
        let one = by_all().when(offer()).unknown::<AskBank>("no answer");
        assert_eq!(one.elapsed(minutes(15)).state(), &ByAllState::Denied);
    }

    #[tokio::test]
    async fn a_restart_does_not_begin_the_quarter_of_an_hour_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("loans.db")).unwrap();
        let clock = ManualClock::default();
        let loans = open(&store, &clock).await.unwrap();
        loans.publish(LoanApplied { loan: "silent".into(), euros: 9_000 }).await.unwrap();
        let due = |loan: saga::Instance<ByAllState>| loan.timers[0].due;
        offers(&loans, "silent", 2).await.unwrap();
        let before = loans.instance::<ByAllState>("silent").await.unwrap().map(due);
        clock.advance(minutes(10));
        loans.kill().await;
        let loans = open(&store, &clock).await.unwrap();
        assert_eq!(loans.instance::<ByAllState>("silent").await.unwrap().map(due), before);
        clock.advance(minutes(5));
        let settled = loans.settled::<ByAllState>("silent").await.unwrap();
        assert_eq!(settled.state(), Some(&ByAllState::Approved));
    }
}
