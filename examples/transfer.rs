//! Money is transferred from one account to another. Each account is an instance of its own, and the only one that
//! changes its balance: it decides debits one at a time, so two transfers at the same moment cannot both spend the
//! last cent, and nobody takes a lock. Transfer and account talk in events, each of which commits together with the
//! step that publishes it. A crash between debit and credit leaves the credit on its way; it arrives after the
//! restart. An account that does not take the money makes it go back.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.
#![allow(clippy::duplicated_attributes)] // Two starting rows lead to the same state, which is no mistake.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "transfer", version = 1, data(Transfer), actions(TransferActions))]
#[initially(when(TransferOrdered, run(order), publish(Debit), transition_to(Debiting)))]
#[unhandled(reject)]
pub enum TransferState {
    #[during(
        when(Debited, publish(Credit), transition_to(Crediting)),
        when(DebitRefused, transition_to(Refused))
    )]
    Debiting,
    #[during(
        when(Credited, transition_to(Completed)),
        when(CreditRefused, publish(Credit, with(give_back)), transition_to(GivingBack))
    )]
    Crediting,
    #[during(when(Credited, transition_to(Refused)), when(CreditRefused, park))]
    GivingBack,
    #[terminal]
    Completed,
    #[terminal(failure)]
    Refused,
}

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "account", version = 1, data(Account), actions(AccountActions))]
#[initially(
    when(AccountOpened, run(open), transition_to(Open)),
    when(Debit, run(nobodys), publish(DebitRefused), transition_to(Closed)),
    when(Credit, run(nobodys), publish(CreditRefused), transition_to(Closed))
)]
#[unhandled(reject)]
pub enum AccountState {
    #[during(
        when(Debit, guard(covers), run(take), publish(Debited), stay),
        when(Debit, publish(DebitRefused), stay),
        when(Credit, run(add), publish(Credited), stay),
        when(AccountClosed, guard(is_empty), transition_to(Closed))
    )]
    Open,
    #[during(
        when(Debit, publish(DebitRefused), stay),
        when(Credit, publish(CreditRefused), stay),
        when(AccountOpened, run(reopen), transition_to(Open)),
        timeout(days = 3650, transition_to(Forgotten))
    )]
    Closed,
    #[terminal]
    Forgotten,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    id: String,
    from: String,
    to: String,
    cents: u64,
}

impl TransferActions for Transfer {
    fn order(event: &TransferOrdered, _: &mut Context) -> ActionResult<Self> {
        let TransferOrdered { transfer, from, to, cents } = event.clone();
        Ok(Transfer { id: transfer, from, to, cents })
    }

    fn debit(&self, _: &TransferOrdered, _: &mut Context) -> Debit {
        Debit { account: self.from.clone(), transfer: self.id.clone(), cents: self.cents }
    }

    fn credit(&self, _: &Debited, _: &mut Context) -> Credit {
        Credit { account: self.to.clone(), transfer: self.id.clone(), cents: self.cents }
    }

    fn give_back(&self, _: &CreditRefused, _: &mut Context) -> Credit {
        Credit { account: self.from.clone(), transfer: self.id.clone(), cents: self.cents }
    }
}

/// The balance is never below zero, and nothing but the steps of this instance changes it. Between sagas every event
/// arrives exactly once, so there is no list of what was booked already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    cents: u64,
}

impl AccountActions for Account {
    fn open(event: &AccountOpened, _: &mut Context) -> ActionResult<Self> {
        Ok(Account { cents: event.cents })
    }

    fn reopen(&mut self, event: &AccountOpened, _: &mut Context) -> ActionResult<()> {
        self.cents = event.cents;
        Ok(())
    }

    fn nobodys(_: &mut Context) -> ActionResult<Self> {
        Ok(Account::default())
    }

    fn covers(&self, event: &Debit, _: &Context) -> bool {
        self.cents >= event.cents
    }

    fn take(&mut self, event: &Debit, _: &mut Context) -> ActionResult<()> {
        self.cents = self.cents.checked_sub(event.cents).ok_or("more than there is")?;
        Ok(())
    }

    fn add(&mut self, event: &Credit, _: &mut Context) -> ActionResult<()> {
        self.cents = self.cents.checked_add(event.cents).ok_or("more than an account holds")?;
        Ok(())
    }

    fn is_empty(&self, _: &AccountClosed, _: &Context) -> bool {
        self.cents == 0
    }

    fn debited(&self, event: &Debit, _: &mut Context) -> Debited {
        Debited { transfer: event.transfer.clone() }
    }

    fn debit_refused(&self, event: &Debit, _: &mut Context) -> DebitRefused {
        DebitRefused { transfer: event.transfer.clone() }
    }

    fn credited(&self, event: &Credit, _: &mut Context) -> Credited {
        Credited { transfer: event.transfer.clone() }
    }

    fn credit_refused(&self, event: &Credit, _: &mut Context) -> CreditRefused {
        CreditRefused { transfer: event.transfer.clone() }
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "transfer.ordered", key(transfer))]
pub struct TransferOrdered {
    transfer: String,
    from: String,
    to: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "account.opened", key(account))]
pub struct AccountOpened {
    account: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "account.closed", key(account))]
pub struct AccountClosed {
    account: String,
}

/// From a transfer to an account.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "account.debit", key(account))]
pub struct Debit {
    account: String,
    transfer: String,
    cents: u64,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "account.credit", key(account))]
pub struct Credit {
    account: String,
    transfer: String,
    cents: u64,
}

/// From an account back to the transfer.
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "account.debited", key(transfer))]
pub struct Debited {
    transfer: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "account.debit-refused", key(transfer))]
pub struct DebitRefused {
    transfer: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "account.credited", key(transfer))]
pub struct Credited {
    transfer: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "account.credit-refused", key(transfer))]
pub struct CreditRefused {
    transfer: String,
}

// No handlers: nothing here leaves the file.

use std::time::Duration;

use saga::error::{PublishError, StartError};
use saga::store::{Inspect, Status};
use saga::{Dispatcher, SqliteStore};

type AnyError = Box<dyn std::error::Error>;

async fn open(store: &SqliteStore) -> Result<Dispatcher, StartError> {
    Dispatcher::builder(store.clone()).saga::<TransferState>().saga::<AccountState>().start().await
}

async fn open_accounts(bank: &Dispatcher) -> Result<(), PublishError> {
    for (account, cents) in [("ada", 10_000), ("berta", 0)] {
        bank.publish(AccountOpened { account: account.into(), cents }).await?;
    }
    Ok(())
}

async fn transfer(bank: &Dispatcher, id: &str, from: &str, to: &str, cents: u64) -> Result<(), PublishError> {
    let (transfer, from, to) = (id.to_owned(), from.to_owned(), to.to_owned());
    bank.publish(TransferOrdered { transfer, from, to, cents }).await.map(drop)
}

async fn balance(bank: &Dispatcher, account: &str) -> Result<u64, AnyError> {
    Ok(bank.instance::<AccountState>(account).await?.ok_or("no such account")?.data.cents)
}

/// Twenty transfers are ordered and the process is killed, with some of them anywhere between debit and credit.
async fn killed_in_the_middle(store: &SqliteStore, bank: Dispatcher) -> Result<Dispatcher, AnyError> {
    for n in 0..20 {
        transfer(&bank, &format!("small-{n}"), "berta", "ada", 100).await?;
    }
    bank.kill().await;
    let counts = store.counts().await?;
    let running = counts.iter().filter(|of| of.saga == "transfer" && of.status == Some(Status::Running));
    println!("    {} are under way", running.map(|of| of.instances).sum::<u64>());
    let bank = open(store).await?;
    for n in 0..20 {
        let settled = bank.settled::<TransferState>(format!("small-{n}")).await?;
        assert_eq!(settled.state(), Some(&TransferState::Completed));
    }
    Ok(bank)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("bank.db"))?;
    let bank = open(&store).await?;
    open_accounts(&bank).await?;

    println!("ada has 100.00 and transfers 60.00 twice at the same moment");
    let (one, two) = tokio::join!(
        transfer(&bank, "first", "ada", "berta", 6_000),
        transfer(&bank, "second", "ada", "berta", 6_000)
    );
    one.and(two)?;
    for id in ["first", "second"] {
        println!("  {id}: {:?}", bank.settled::<TransferState>(id).await?);
    }
    println!("the exact rest may be spent; an account nobody has opened neither pays nor takes");
    transfer(&bank, "rest", "ada", "berta", balance(&bank, "ada").await?).await?;
    println!("  rest: {:?}", bank.settled::<TransferState>("rest").await?);
    transfer(&bank, "from-nobody", "nobody", "ada", 1).await?;
    println!("  from-nobody: {:?}", bank.settled::<TransferState>("from-nobody").await?);
    transfer(&bank, "to-nobody", "berta", "nobody", 1).await?;
    println!("  to-nobody: {:?}", bank.settled::<TransferState>("to-nobody").await?);
    for line in bank.history::<TransferState>("to-nobody").await? {
        println!("    {} {} -> {}", line.entry.name, line.entry.from, line.entry.to);
    }
    println!("berta transfers 1.00 to ada twenty times, and the process is killed");
    let bank = killed_in_the_middle(&store, bank).await?;
    println!(
        "  ada has {} and berta has {} cents",
        balance(&bank, "ada").await?,
        balance(&bank, "berta").await?
    );
    bank.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::testing::{Given, days};

    use super::*;

    fn ordered() -> Given<TransferState> {
        let (from, to) = ("ada".to_owned(), "berta".to_owned());
        Given::started(TransferOrdered { transfer: "t".into(), from, to, cents: 60 })
    }

    fn crediting() -> Given<TransferState> {
        ordered().when(Debited { transfer: "t".into() })
    }

    fn debit(cents: u64) -> Debit {
        Debit { account: "ada".into(), transfer: "t".into(), cents }
    }

    fn credit(account: &str, cents: u64) -> Credit {
        Credit { account: account.into(), transfer: "t".into(), cents }
    }

    fn account() -> Given<AccountState> {
        Given::started(AccountOpened { account: "ada".into(), cents: 100 })
    }

    #[test]
    fn debited_and_credited_is_completed() {
        assert_eq!(ordered().published::<Debit>(), [debit(60)]);
        assert_eq!(crediting().published::<Credit>(), [credit("berta", 60)]);
        let transfer = crediting().when(Credited { transfer: "t".into() });
        assert_eq!(transfer.state(), &TransferState::Completed);
    }

    #[test]
    fn a_refused_debit_refuses_the_transfer() {
        let transfer = ordered().when(DebitRefused { transfer: "t".into() });
        assert_eq!(transfer.state(), &TransferState::Refused);
        assert!(transfer.published::<Credit>().is_empty());
    }

    #[test]
    fn a_refused_credit_goes_back() {
        let back = || crediting().when(CreditRefused { transfer: "t".into() });
        assert_eq!(back().published::<Credit>(), [credit("berta", 60), credit("ada", 60)]);
        assert_eq!(back().when(Credited { transfer: "t".into() }).state(), &TransferState::Refused);
        assert!(back().when(CreditRefused { transfer: "t".into() }).position().is_parked());
    }

    #[test]
    fn an_account_pays_what_it_has_to_the_last_cent_and_no_more() {
        let account = account().when(debit(60)).when(debit(60)).when(debit(40)).when(debit(1));
        assert_eq!(account.data(), &Account { cents: 0 });
        assert_eq!(account.published::<Debited>().len(), 2);
        assert_eq!(account.published::<DebitRefused>().len(), 2);
    }

    #[test]
    fn an_account_takes_money() {
        let account = account().when(credit("ada", 5));
        assert_eq!(account.data(), &Account { cents: 105 });
        assert_eq!(account.published::<Credited>().len(), 1);
    }

    #[test]
    fn only_an_empty_account_is_closed() {
        let closed = || AccountClosed { account: "ada".into() };
        let full = account().when(closed());
        assert_eq!((full.state(), full.dead_letters().len()), (&AccountState::Open, 1));
        let empty = account().when(debit(100)).when(closed()).when(credit("ada", 1)).when(debit(0));
        assert_eq!(empty.state(), &AccountState::Closed);
        assert_eq!(empty.published::<CreditRefused>().len(), 1);
        assert_eq!(empty.published::<DebitRefused>().len(), 1);
        assert_eq!(empty.elapsed(days(3650)).state(), &AccountState::Forgotten);
    }

    #[test]
    fn an_account_nobody_has_opened_refuses_and_can_be_opened_later() {
        assert_eq!(Given::<AccountState>::started(debit(1)).published::<DebitRefused>().len(), 1);
        let account = Given::<AccountState>::started(credit("ada", 1));
        assert_eq!(account.published::<CreditRefused>().len(), 1);
        let account = account.when(AccountOpened { account: "ada".into(), cents: 5 });
        assert_eq!((account.state(), account.data()), (&AccountState::Open, &Account { cents: 5 }));
    }

    #[tokio::test]
    async fn two_transfers_at_once_never_spend_the_same_money() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("bank.db")).unwrap();
        let bank = open(&store).await.unwrap();
        open_accounts(&bank).await.unwrap();
        let (one, two) = tokio::join!(
            transfer(&bank, "1", "ada", "berta", 6_000),
            transfer(&bank, "2", "ada", "berta", 6_000)
        );
        one.and(two).unwrap();
        let mut ends = Vec::new();
        for id in ["1", "2"] {
            ends.extend(bank.settled::<TransferState>(id).await.unwrap().state().cloned());
        }
        ends.sort_by_key(|end| format!("{end:?}"));
        assert_eq!(ends, [TransferState::Completed, TransferState::Refused]);
        assert_eq!(balance(&bank, "ada").await.unwrap(), 4_000);
        assert_eq!(balance(&bank, "berta").await.unwrap(), 6_000);
        bank.shutdown(Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_crash_between_debit_and_credit_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("bank.db")).unwrap();
        let bank = open(&store).await.unwrap();
        open_accounts(&bank).await.unwrap();
        transfer(&bank, "all", "ada", "berta", 10_000).await.unwrap();
        bank.settled::<TransferState>("all").await.unwrap();
        let bank = killed_in_the_middle(&store, bank).await.unwrap();
        assert_eq!(balance(&bank, "ada").await.unwrap(), 2_000);
        assert_eq!(balance(&bank, "berta").await.unwrap(), 8_000);
        bank.shutdown(Duration::from_secs(1)).await.unwrap();
    }
}
