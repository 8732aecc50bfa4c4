//! What was stored under earlier names is still read (R34): states, events, commands, undos, timers and sets.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::StartError;
use saga::prelude::*;
use saga::store::MemoryStore;
use saga::testing::ManualClock;
use saga::{Dispatcher, Disposition, Operator, Position};

/// What is told of a call: the command as its handler knows it, and the key.
type Calls = Arc<Mutex<Vec<(&'static str, String)>>>;

/// Refuses to answer until it is told to.
#[derive(Clone, Debug, Default)]
pub struct Bank {
    calls: Calls,
    answers: bool,
}

impl Bank {
    fn call(&self, name: &'static str, cx: &HandlerContext) -> Result<(), HandlerError> {
        self.calls.lock().unwrap().push((name, cx.idempotency_key().to_owned()));
        if self.answers { Ok(()) } else { Err("no answer".into()) }
    }
}

macro_rules! build {
    ($module:ident, [$($state_was:tt)*], [$($other_was:tt)*], $wait:literal, [$($timer_was:tt)*],
     $opened:literal [$($opened_was:tt)*], $papers:literal [$($papers_was:tt)*], $stamp:literal [$($stamp_was:tt)*],
     $charge:literal [$($charge_was:tt)*], $refund:literal [$($refund_was:tt)*]) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = "account", version = 1, data(Account), actions(AccountActions))]
            #[initially(when(Opened, run(open), send(Charge, undo(Refund)), transition_to(Charging)))]
            #[unhandled(reject)]
            pub enum AccountState {
                #[state($($state_was)*)]
                #[during(
                    when(Charged, transition_to(Checking)),
                    when(any(failed(Charge), unknown(Charge)), compensate, transition_to(Closed)),
                    timeout(hours = $wait, $($timer_was)* compensate, transition_to(Closed)),
                    defer(Papers, Stamp)
                )]
                Charging,
                #[state($($other_was)*)]
                #[during(
                    when_all(Papers, Stamp, transition_to(Active)),
                    timeout(days = 3, name = "papers", compensate, transition_to(Closed))
                )]
                Checking,
                #[terminal]
                Active,
                #[terminal(failure)]
                Closed,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Account {}

            impl AccountActions for Account {
                fn open(_: &Opened, _: &mut Context) -> ActionResult<Self> {
                    Ok(Self {})
                }
                fn charge(&self, _: &Opened, _: &mut Context) -> Charge {
                    Charge {}
                }
                fn refund(&self, _: &Charge, _: &mut Context) -> Refund {
                    Refund {}
                }
            }

            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $opened, $($opened_was)* key(of))]
            pub struct Opened {
                pub of: String,
            }
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $papers, $($papers_was)* key(of))]
            pub struct Papers {
                pub of: String,
            }
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = $stamp, $($stamp_was)* key(of))]
            pub struct Stamp {
                pub of: String,
            }
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = "charged")]
            pub struct Charged {}
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = $charge, $($charge_was)* replies(Charged))]
            pub struct Charge {}
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = $refund, $($refund_was)*)]
            pub struct Refund {}

                        impl Handler<Charge> for Bank {
                async fn handle(&self, _: Charge, cx: &HandlerContext) -> HandlerResult<Charge> {
                    self.call($charge, cx)?;
                    Ok(Charged {}.into())
                }
            }

                        impl Handler<Refund> for Bank {
                async fn handle(&self, _: Refund, cx: &HandlerContext) -> HandlerResult<Refund> {
                    self.call($refund, cx)?;
                    Ok(Done.into())
                }
            }

            pub async fn start(store: &MemoryStore, clock: &ManualClock, bank: &Bank) -> Dispatcher {
                try_start(store, clock, bank).await.unwrap()
            }

            pub async fn try_start(
                store: &MemoryStore,
                clock: &ManualClock,
                bank: &Bank,
            ) -> Result<Dispatcher, StartError> {
                Dispatcher::builder(store.clone())
                    .saga::<AccountState>()
                    .handler::<Charge>(bank.clone())
                    .handler::<Refund>(bank.clone())
                    .clock(clock.clone())
                    .start()
                    .await
            }

        }
    };
}

build!(
    before, [name = "charging"], [name = "checking"], 1, [name = "patience",],
    "opened"[], "papers"[], "stamp"[], "charge"[], "refund"[]
);
build!(
    after, [name = "awaiting-money", was = "charging"], [name = "inspecting", was = "checking"],
    1, [name = "hour", was = "patience",],
    "account.opened"[was = "opened",], "account.papers"[was = "papers",], "account.stamp"[was = "stamp",],
    "money.take"[was = "charge",], "money.return"[was = "refund",]
);

build!(
    returned, [name = "charging", was = "awaiting-money"], [name = "checking", was = "inspecting"],
    1, [name = "patience", was = "hour",],
    "opened"[was = "account.opened",], "papers"[was = "account.papers",], "stamp"[was = "account.stamp",],
    "charge"[was = "money.take",], "refund"[was = "money.return",]
);

build!(
    strange, [name = "waiting-for-money"], [name = "checking"], 1, [name = "patience",],
    "opened"[], "papers"[], "stamp"[], "charge"[], "refund"[]
);

#[derive(Default)]
struct Town {
    store: MemoryStore,
    clock: ManualClock,
    bank: Bank,
}

impl Town {
    fn calls(&self) -> Vec<(&'static str, String)> {
        self.bank.calls.lock().unwrap().clone()
    }

    /// Lets time pass until the account is in this state.
    async fn comes_to(&self, dispatcher: &Dispatcher, state: after::AccountState) {
        let state = Position::In(state);
        self.clock.idle().await;
        while dispatcher.instance::<after::AccountState>("7").await.unwrap().unwrap().position != state {
            self.clock.advance_to_next().await;
        }
    }

    /// An account whose bank has been asked and has not answered, and the build before has ended.
    async fn charging() -> Self {
        let town = Self::default();
        let dispatcher = before::start(&town.store, &town.clock, &town.bank).await;
        dispatcher.publish(before::Opened { of: "7".to_owned() }).await.unwrap();
        dispatcher.publish(before::Papers { of: "7".to_owned() }).await.unwrap();
        while town.calls().len() < 3 {
            tokio::task::yield_now().await;
        }
        dispatcher.shutdown(Duration::from_secs(1)).await.unwrap();
        town
    }
}

#[tokio::test]
async fn r34_a_renamed_command_is_tried_again_under_the_key_it_had() {
    let town = Town::charging().await;
    let answering = Bank { answers: true, ..town.bank.clone() };
    let dispatcher = after::start(&town.store, &town.clock, &answering).await;
    let position = dispatcher.instance::<after::AccountState>("7").await.unwrap().unwrap().position;
    assert_eq!(position, Position::In(after::AccountState::Charging));
    // What was deferred under its earlier name completes the set together with one under the present name.
    dispatcher.publish(after::Stamp { of: "7".to_owned() }).await.unwrap();
    town.comes_to(&dispatcher, after::AccountState::Active).await;
    let calls = town.calls();
    assert_eq!(calls.first().unwrap().0, "charge");
    assert_eq!(calls.last().unwrap().0, "money.take");
    assert!(calls.iter().all(|(_, key)| *key == calls[0].1), "one payment has one key: {calls:?}");
}

#[tokio::test]
async fn r34_a_renamed_timer_fires_and_a_renamed_undo_is_run() {
    let town = Town::charging().await;
    let answering = Bank { answers: true, ..town.bank.clone() };
    town.clock.advance(Duration::from_secs(60 * 60));
    let silent = after::start(&town.store, &town.clock, &town.bank).await;
    silent.publish(after::Stamp { of: "7".to_owned() }).await.unwrap();
    let turned = |account: &saga::Instance<after::AccountState>| {
        matches!(account.position, Position::Compensating { .. }).then_some(())
    };
    silent.wait_for::<after::AccountState, _>("7", Duration::from_secs(60), turned).await.unwrap();
    silent.kill().await;

    let dispatcher = after::start(&town.store, &town.clock, &answering).await;
    town.comes_to(&dispatcher, after::AccountState::Closed).await;
    assert_eq!(town.calls().last().unwrap().0, "money.return");
}

#[tokio::test]
async fn r34_an_instance_in_a_renamed_state_goes_on() {
    let town = Town::default();
    let answering = Bank { answers: true, ..town.bank.clone() };
    let dispatcher = before::start(&town.store, &town.clock, &answering).await;
    dispatcher.publish(before::Opened { of: "7".to_owned() }).await.unwrap();
    let checking = |account: &saga::Instance<before::AccountState>| {
        (account.position == Position::In(before::AccountState::Checking)).then_some(())
    };
    dispatcher.wait_for::<before::AccountState, _>("7", Duration::from_secs(60), checking).await.unwrap();
    dispatcher.publish(before::Papers { of: "7".to_owned() }).await.unwrap();
    dispatcher.kill().await;

    let dispatcher = after::start(&town.store, &town.clock, &answering).await;
    dispatcher.publish(after::Stamp { of: "7".to_owned() }).await.unwrap();
    let position = dispatcher.settled::<after::AccountState>("7").await.unwrap();
    assert_eq!(position, Position::In(after::AccountState::Active), "the set remembers what had come");
}

#[tokio::test]
async fn r34_a_state_that_a_build_does_not_know_parks_its_instance_until_one_does() {
    let town = Town::charging().await;
    let dispatcher = strange::start(&town.store, &town.clock, &town.bank).await;
    dispatcher.publish(strange::Opened { of: "8".to_owned() }).await.unwrap();
    let told = dispatcher.publish(strange::Stamp { of: "7".to_owned() }).await.unwrap();
    assert_eq!(told.consumers[0].disposition, Disposition::Queued, "it waits, and is not lost");
    let unreadable = dispatcher.settled::<strange::AccountState>("7").await.unwrap_err();
    assert!(unreadable.to_string().contains("`account` v1 has no state `charging`"), "{unreadable}");
    let other = dispatcher.instance::<strange::AccountState>("8").await.unwrap().unwrap();
    assert_eq!(other.position, Position::In(strange::AccountState::Charging), "it harms no other");
    dispatcher.kill().await;

    let answering = Bank { answers: true, ..town.bank.clone() };
    let dispatcher = after::start(&town.store, &town.clock, &answering).await;
    dispatcher
        .retry::<after::AccountState>("7", Operator::new("op").because("the build is back"))
        .await
        .unwrap();
    town.comes_to(&dispatcher, after::AccountState::Active).await;
}

#[tokio::test]
async fn r34_a_build_from_before_states_events_and_commands_were_renamed_does_not_start() {
    let town = Town::charging().await;
    after::start(&town.store, &town.clock, &town.bank).await.kill().await;
    let refused = before::try_start(&town.store, &town.clock, &town.bank).await;
    let Err(StartError::Retired { problems }) = refused else { panic!("it started") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let renamed = |what: &str, was: &str, name: &str| {
        format!(
            "{what} `{was}` of saga `account` has been renamed to `{name}` by a later build; run that build, or declare the rename with `#[{what}(name = \"{was}\", was = \"{name}\")]`"
        )
    };
    assert_eq!(
        problems,
        [
            renamed("state", "charging", "awaiting-money"),
            renamed("state", "checking", "inspecting"),
            renamed("event", "opened", "account.opened"),
            renamed("event", "papers", "account.papers"),
            renamed("event", "stamp", "account.stamp"),
            renamed("command", "charge", "money.take"),
            renamed("command", "refund", "money.return"),
        ]
    );
    // The build that knows the names goes on.
    let answering = Bank { answers: true, ..town.bank.clone() };
    let dispatcher = after::start(&town.store, &town.clock, &answering).await;
    dispatcher.publish(after::Stamp { of: "7".to_owned() }).await.unwrap();
    town.comes_to(&dispatcher, after::AccountState::Active).await;
}

#[tokio::test]
async fn r34_states_events_and_commands_may_be_renamed_back_on_purpose() {
    let town = Town::charging().await;
    after::start(&town.store, &town.clock, &town.bank).await.kill().await;
    let dispatcher = returned::start(&town.store, &town.clock, &town.bank).await;
    assert!(unknown(&dispatcher).await.is_empty());
    dispatcher.kill().await;
    before::start(&town.store, &town.clock, &town.bank).await.kill().await;
    after::start(&town.store, &town.clock, &town.bank).await.kill().await;
    assert!(before::try_start(&town.store, &town.clock, &town.bank).await.is_err());
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "new", was = "charge")]
pub struct Other {}

impl Handler<Other> for Bank {
    async fn handle(&self, _: Other, cx: &HandlerContext) -> HandlerResult<Other> {
        self.call("new", cx)?;
        Ok(Done.into())
    }
}

#[tokio::test]
async fn r34_an_earlier_name_that_is_taken_is_refused() {
    let bank = Bank::default();
    let started = Dispatcher::builder(MemoryStore::new())
        .saga::<before::AccountState>()
        .handler::<before::Charge>(bank.clone())
        .handler::<before::Refund>(bank.clone())
        .handler::<Other>(bank)
        .start()
        .await;
    let Err(StartError::Registration { problems }) = started else { panic!("it started") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "command `new` has the earlier name `charge`; another command has this name now; rename one of the commands"
        ]
    );
}

/// Knows nothing of what the others have stored.
mod unrelated {
    use super::*;

    #[derive(Saga, Clone, Debug, PartialEq)]
    #[saga(name = "account", version = 1, data(Account), actions(AccountActions))]
    #[initially(when(Begun, run(begin), transition_to(Ended)))]
    pub enum AccountState {
        #[terminal]
        Ended,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Account {}

    impl AccountActions for Account {
        fn begin(_: &Begun, _: &mut Context) -> ActionResult<Self> {
            Ok(Self {})
        }
    }

    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "begun", key(of))]
    pub struct Begun {
        of: String,
    }
}

async fn unknown(dispatcher: &Dispatcher) -> Vec<String> {
    dispatcher.unknown_names().await.unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn r34_what_a_build_does_not_know_is_told_with_counts() {
    let town = Town::charging().await;
    let known = after::start(&town.store, &town.clock, &town.bank).await;
    assert!(unknown(&known).await.is_empty(), "earlier names are known");
    known.kill().await;

    let builder = Dispatcher::builder(town.store.clone()).saga::<unrelated::AccountState>();
    let dispatcher = builder.clock(town.clock.clone()).start().await.unwrap();
    assert_eq!(
        unknown(&dispatcher).await,
        [
            "1 instance of `account` is in state `charging`; `account` v1 does not have this state",
            "1 task of `account` runs command `charge`; `account` v1 does not send this command",
            "1 obligation of `account` owes undo `refund`; `account` v1 does not run this undo",
            "1 obligation of `account` is for command `charge`; `account` v1 does not send this command",
            "1 timer of `account` is called `patience`; no state of `account` v1 has this timer; this timer will not fire",
            "1 waiting event of `account` is a `papers`; `account` v1 does not take this event",
        ]
    );
    dispatcher.kill().await;

    let dispatcher = Dispatcher::builder(town.store.clone()).clock(town.clock.clone()).start().await.unwrap();
    let unknown = unknown(&dispatcher).await;
    assert_eq!(unknown.len(), 6);
    assert_eq!(
        unknown[0],
        "1 instance of `account` is in state `charging`; this build has no consumer `account`"
    );
}

#[tokio::test]
async fn r34_a_turn_towards_a_state_that_is_gone_is_told() {
    let town = Town::charging().await;
    let silent = before::start(&town.store, &town.clock, &town.bank).await;
    town.clock.advance(Duration::from_secs(60 * 60));
    let turned = |account: &saga::Instance<before::AccountState>| {
        matches!(account.position, Position::Compensating { .. }).then_some(())
    };
    silent.wait_for::<before::AccountState, _>("7", Duration::from_secs(60), turned).await.unwrap();
    silent.kill().await;
    let builder = Dispatcher::builder(town.store.clone()).saga::<unrelated::AccountState>();
    let dispatcher = builder.clock(town.clock.clone()).start().await.unwrap();
    let told =
        "1 turn of `account` leads to state `closed`; `account` v1 does not have this state".to_owned();
    let unknown = unknown(&dispatcher).await;
    assert!(unknown.contains(&told), "{unknown:#?}");
}
