//! Shapes change (R34): what an earlier version wrote is read through its upcasts, what a later one wrote is not touched.

#![allow(missing_docs, unreachable_pub)] // The types of a test need no manual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::prelude::*;
use saga::store::{MemoryStore, Store};
use saga::testing::ManualClock;
use saga::{Dispatcher, Operator, Position, Resolved};

const SECOND: Duration = Duration::from_secs(1);

/// What the handlers were called with, and whether they answer.
#[derive(Clone, Debug, Default)]
pub struct World {
    calls: Arc<Mutex<Vec<String>>>,
    answers: bool,
}

impl World {
    fn call(&self, what: String) -> Result<(), HandlerError> {
        self.calls.lock().unwrap().push(what);
        if self.answers { Ok(()) } else { Err("no answer".into()) }
    }

    fn answering(&self) -> Self {
        Self { answers: true, ..self.clone() }
    }

    fn last(&self) -> Option<String> {
        self.calls.lock().unwrap().last().cloned()
    }
}

macro_rules! sale {
    ($version:literal, [$(#[$of_saga:meta])*], [$(#[$of_paid:meta])*]) => {
        #[derive(Saga, Clone, Debug, PartialEq)]
        #[saga(name = "sale", version = $version, data(Sale), actions(SaleActions))]
        $(#[$of_saga])*
        #[initially(when(Sold, run(sell), transition_to(Paid)))]
        #[unhandled(reject)]
        pub enum SaleState {
            #[compensate_with(Refund)]
            $(#[$of_paid])*
            #[during(when(Picked, send(Pack), transition_to(Packing)))]
            Paid(Receipt),
            #[during(
                when(Packed, waive, transition_to(Done)),
                when(any(failed(Pack), unknown(Pack)), compensate, transition_to(Refunded))
            )]
            Packing,
            #[terminal]
            Done,
            #[terminal(failure)]
            Refunded,
        }

        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = "picked", key(sale))]
        pub struct Picked {
            pub sale: String,
        }
        #[derive(Event, Clone, Debug, Serialize, Deserialize)]
        #[event(name = "packed")]
        pub struct Packed {}

        impl SaleActions for Sale {
            fn sell(event: &Sold, _: &mut Context) -> ActionResult<(Self, Receipt)> {
                Ok((Self::of(event), Receipt::of(event)))
            }
            fn pack(&self, _: &Receipt, _: &Picked, _: &mut Context) -> Pack {
                Pack::of(self)
            }
            fn refund(&self, state: &Receipt, _: &mut Context) -> Refund {
                Refund { what: format!("{state:?}") }
            }
        }

        #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[command(name = "refund")]
        pub struct Refund {
            what: String,
        }

                impl Handler<Pack> for World {
            async fn handle(&self, command: Pack, _: &HandlerContext) -> HandlerResult<Pack> {
                self.call(format!("{command:?}"))?;
                Ok(Packed {}.into())
            }
        }

                impl Handler<Refund> for World {
            async fn handle(&self, command: Refund, _: &HandlerContext) -> HandlerResult<Refund> {
                self.call(format!("refund {}", command.what))?;
                Ok(Done.into())
            }
        }

        pub async fn start(store: &MemoryStore, clock: &ManualClock, world: &World) -> Dispatcher {
            Dispatcher::builder(store.clone())
                .saga::<SaleState>()
                .handler::<Pack>(world.clone())
                .handler::<Refund>(world.clone())
                .clock(clock.clone())
                .start()
                .await
                .unwrap()
        }
    };
}

/// Everything in cents.
mod v1 {
    use super::*;

    sale!(1, [], []);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Sale {
        pub cents: u64,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Receipt {
        pub number: u64,
    }
    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "sold", key(sale))]
    pub struct Sold {
        pub sale: String,
        pub cents: u64,
    }
    #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[command(name = "pack", replies(Packed))]
    pub struct Pack {
        pub cents: u64,
    }
    impl Sale {
        fn of(event: &Sold) -> Self {
            Self { cents: event.cents }
        }
    }
    impl Receipt {
        fn of(event: &Sold) -> Self {
            Self { number: event.cents + 1 }
        }
    }
    impl Pack {
        fn of(sale: &Sale) -> Self {
            Self { cents: sale.cents }
        }
    }
}

/// Prices have a currency since version 2, receipts a text and commands a note since version 3.
mod v3 {
    use super::*;

    sale!(3, [#[upcast(from = 1, with(with_currency))]], [#[upcast(from = 2, with(as_text))]]);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Sale {
        pub price: String,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Receipt {
        pub text: String,
    }
    #[derive(Event, Clone, Debug, Serialize, Deserialize)]
    #[event(name = "sold", version = 3, key(sale))]
    #[upcast(from = 1, with(Sold1::renamed, Sold2::with_currency))]
    pub struct Sold {
        pub sale: String,
        pub price: String,
    }
    #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[command(name = "pack", version = 2, replies(Packed))]
    #[upcast(from = 1, with(with_note))]
    pub struct Pack {
        pub price: String,
        pub note: String,
    }

    fn with_currency(old: v1::Sale) -> Sale {
        Sale { price: format!("EUR {}", old.cents) }
    }
    fn as_text(old: v1::Receipt) -> Receipt {
        Receipt { text: format!("no. {}", old.number) }
    }
    #[derive(Deserialize)]
    struct Sold1 {
        sale: String,
        cents: u64,
    }
    /// The second version only gave the field another name.
    struct Sold2 {
        sale: String,
        amount: u64,
    }
    impl Sold1 {
        fn renamed(self) -> Sold2 {
            Sold2 { sale: self.sale, amount: self.cents }
        }
    }
    impl<'de> Deserialize<'de> for Sold2 {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("nothing was stored as version 2"))
        }
    }
    impl Sold2 {
        fn with_currency(self) -> Sold {
            Sold { sale: self.sale, price: format!("EUR {}", self.amount) }
        }
    }
    fn with_note(old: v1::Pack) -> Pack {
        assert_ne!(old.cents, 13, "thirteen cents cannot be converted");
        Pack { price: format!("EUR {}", old.cents), note: "from version 1".to_owned() }
    }

    impl Sale {
        fn of(event: &Sold) -> Self {
            Self { price: event.price.clone() }
        }
    }
    impl Receipt {
        fn of(event: &Sold) -> Self {
            Self { text: format!("no. {}", event.price) }
        }
    }
    impl Pack {
        fn of(sale: &Sale) -> Self {
            Self { price: sale.price.clone(), note: String::new() }
        }
    }
}

fn sold1(cents: u64) -> v1::Sold {
    v1::Sold { sale: "1".to_owned(), cents }
}

fn picked1() -> v1::Picked {
    v1::Picked { sale: "1".to_owned() }
}

fn opened() -> (MemoryStore, ManualClock, World) {
    (MemoryStore::new(), ManualClock::default(), World::default())
}

async fn stored(store: &MemoryStore) -> (u32, String, Option<String>) {
    let key = saga::Key::new("1").unwrap();
    let found = store.load(&[saga::store::Address::new("sale", key)]).await.unwrap().remove(0);
    let Some(saga::store::Loaded::Snapshot(found)) = found else { panic!("{found:?}") };
    let text = |payload: &saga::Payload| payload.as_str().to_owned();
    let instance = found.instance;
    (instance.version, text(&instance.data), instance.payload.as_ref().map(text))
}

#[tokio::test]
async fn r34_data_and_states_of_an_earlier_version_go_on_in_their_present_shape() {
    let (store, clock, world) = opened();
    let dispatcher = v1::start(&store, &clock, &world).await;
    dispatcher.publish(sold1(700)).await.unwrap();
    dispatcher.shutdown(SECOND).await.unwrap();
    let before = stored(&store).await;
    assert_eq!(before, (1, r#"{"cents":700}"#.to_owned(), Some(r#"{"number":701}"#.to_owned())));

    let dispatcher = v3::start(&store, &clock, &world.answering()).await;
    let sale = dispatcher.instance::<v3::SaleState>("1").await.unwrap().unwrap();
    assert_eq!(sale.data, v3::Sale { price: "EUR 700".to_owned() });
    let receipt = v3::Receipt { text: "no. 701".to_owned() };
    assert_eq!(sale.position, Position::In(v3::SaleState::Paid(receipt)));
    assert_eq!(stored(&store).await, before, "reading rewrites nothing");
    dispatcher.publish(v3::Picked { sale: "1".to_owned() }).await.unwrap();
    let end = dispatcher.settled::<v3::SaleState>("1").await.unwrap();
    assert_eq!(end, Position::In(v3::SaleState::Done));
    assert_eq!(world.last().unwrap(), r#"Pack { price: "EUR 700", note: "" }"#);
    assert_eq!(stored(&store).await, (3, r#"{"price":"EUR 700"}"#.to_owned(), None));
}

#[tokio::test]
async fn r34_a_command_that_was_sent_earlier_is_handed_on_in_its_present_shape() {
    let (store, clock, world) = opened();
    let dispatcher = v1::start(&store, &clock, &world).await;
    dispatcher.publish(sold1(700)).await.unwrap();
    dispatcher.publish(picked1()).await.unwrap();
    // The quick attempts are over, so the next one waits.
    clock.idle().await;
    dispatcher.shutdown(SECOND).await.unwrap();
    let dispatcher = v3::start(&store, &clock, &world.answering()).await;
    clock.advance(60 * SECOND);
    assert_eq!(dispatcher.settled::<v3::SaleState>("1").await.unwrap(), Position::In(v3::SaleState::Done));
    assert_eq!(world.last().unwrap(), r#"Pack { price: "EUR 700", note: "from version 1" }"#);
}

#[tokio::test]
async fn r34_what_is_owed_for_a_state_that_was_left_earlier_is_built_from_its_present_shape() {
    let (store, clock, world) = opened();
    let dispatcher = v1::start(&store, &clock, &world).await;
    dispatcher.publish(sold1(700)).await.unwrap();
    dispatcher.publish(picked1()).await.unwrap();
    // The quick attempts are over, so the next one waits.
    clock.idle().await;
    dispatcher.shutdown(SECOND).await.unwrap();
    let dispatcher = v3::start(&store, &clock, &world.answering()).await;
    dispatcher.abort::<v3::SaleState>("1", Operator::new("me").because("test")).await.unwrap();
    assert_eq!(dispatcher.settled::<v3::SaleState>("1").await.unwrap(), Position::Aborted);
    assert_eq!(world.last().unwrap(), r#"refund Receipt { text: "no. 701" }"#);
}

#[tokio::test]
async fn r34_an_event_that_waits_goes_through_all_upcasts_from_its_version_on() {
    let (store, clock, world) = opened();
    let old =
        saga::Message { name: "sold".into(), version: 1, payload: r#"{"sale":"1","cents":700}"#.into() };
    let to = saga::store::Address::new("sale", saga::Key::new("1").unwrap());
    let mail = saga::store::Mail::event(to, old, Timestamp::from_millis(1_767_225_600_000));
    store.deliver(vec![mail]).await.unwrap();
    let dispatcher = v3::start(&store, &clock, &world).await;
    let answer = |sale: &saga::Instance<v3::SaleState>| Some(sale.data.price.clone());
    let price = dispatcher.wait_for::<v3::SaleState, _>("1", SECOND, answer).await.unwrap();
    assert_eq!(price, "EUR 700");
}

#[tokio::test]
async fn r34_what_a_later_version_wrote_parks_its_instance_and_stays_as_it_is() {
    let (store, clock, world) = opened();
    let dispatcher = v3::start(&store, &clock, &world).await;
    let sold = v3::Sold { sale: "1".to_owned(), price: "USD 9".to_owned() };
    dispatcher.publish(sold).await.unwrap();
    dispatcher.shutdown(SECOND).await.unwrap();
    let before = stored(&store).await;

    let dispatcher = v1::start(&store, &clock, &world).await;
    let unreadable = dispatcher.instance::<v1::SaleState>("1").await.unwrap_err();
    assert!(
        unreadable.to_string().contains("the stored version is 3; this build has version 1"),
        "{unreadable}"
    );
    let told = dispatcher.unknown_names().await.unwrap();
    assert_eq!(
        told.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "1 instance of `sale` is in state `paid`; the stored version is 3; this build has version 1",
            "1 obligation of `sale` is for state `paid`; the stored version is 3; this build has version 1",
        ]
    );
    dispatcher.publish(picked1()).await.unwrap();
    dispatcher.publish(v1::Sold { sale: "2".to_owned(), cents: 1 }).await.unwrap();
    assert!(dispatcher.instance::<v1::SaleState>("2").await.unwrap().is_some(), "others go on");
    dispatcher.shutdown(SECOND).await.unwrap();
    assert_eq!(stored(&store).await, before, "nothing of it is lost");

    let dispatcher = v3::start(&store, &clock, &world.answering()).await;
    let position = dispatcher.instance::<v3::SaleState>("1").await.unwrap().unwrap().position;
    assert!(
        matches!(&position, Position::Parked { reason, .. } if reason.to_string() == "this build cannot read a stored value"),
        "{position:?}"
    );
    dispatcher
        .retry::<v3::SaleState>("1", Operator::new("me").because("the right build runs again"))
        .await
        .unwrap();
    let end = dispatcher.settled::<v3::SaleState>("1").await.unwrap();
    assert_eq!(end, Position::In(v3::SaleState::Done));
    assert_eq!(world.last().unwrap(), r#"Pack { price: "USD 9", note: "" }"#);
}

#[tokio::test]
async fn r34_a_command_that_cannot_be_read_parks_and_is_never_taken_for_failed() {
    let (store, clock, world) = opened();
    let dispatcher = v1::start(&store, &clock, &world).await;
    dispatcher.publish(sold1(13)).await.unwrap();
    dispatcher.publish(picked1()).await.unwrap();
    // The quick attempts are over, so the next one waits.
    clock.idle().await;
    dispatcher.shutdown(SECOND).await.unwrap();
    let calls = world.calls.lock().unwrap().len();

    let dispatcher = v3::start(&store, &clock, &world.answering()).await;
    clock.advance(60 * SECOND);
    let position = dispatcher.settled::<v3::SaleState>("1").await.unwrap();
    let Position::Parked { reason, detail, .. } = position else { panic!("{position:?}") };
    assert_eq!(reason.to_string(), "this build cannot read a stored value");
    assert!(detail.contains("`pack`") && detail.contains("thirteen cents cannot be converted"), "{detail}");
    assert_eq!(world.calls.lock().unwrap().len(), calls, "nothing was called");
    // A person knows its outcome.
    let reply = Resolved::reply(&v3::Packed {}).unwrap();
    dispatcher
        .resolve::<v3::SaleState>("1", reply, Operator::new("me").because("packed by hand"))
        .await
        .unwrap();
    assert_eq!(dispatcher.settled::<v3::SaleState>("1").await.unwrap(), Position::In(v3::SaleState::Done));
}

/// A sale that is over sends its invoice, and a call that is made once at most.
macro_rules! mailing {
    ($module:ident, $version:literal, [$(#[$upcast:meta])*], { $($types:tt)* }) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = "mailing", version = 1, data(Mailing), actions(MailingActions))]
            #[initially(when(Begun, run(begin), send(Call), transition_to(Calling)))]
            #[unhandled(reject)]
            pub enum MailingState {
                #[during(
                    when(Called, send(Invoice), send(Greeting), transition_to(Over)),
                    when(any(failed(Call), unknown(Call)), park)
                )]
                Calling,
                #[terminal]
                Over,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Mailing {}

            impl MailingActions for Mailing {
                fn begin(_: &Begun, _: &mut Context) -> ActionResult<Self> {
                    Ok(Self {})
                }
                fn call(&self, _: &Begun, _: &mut Context) -> Call {
                    Call { number: 1 }
                }
                fn invoice(&self, _: &Called, _: &mut Context) -> Invoice {
                    Invoice { number: 1 }
                }
                fn greeting(&self, _: &Called, _: &mut Context) -> Greeting {
                    Greeting { number: 1 }
                }
            }

            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = "begun", key(mailing))]
            pub struct Begun {
                pub mailing: String,
            }
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = "called")]
            pub struct Called {}
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = "call", version = $version, replies(Called), at_most_once)]
            $(#[$upcast])*
            pub struct Call {
                number: u8,
            }
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = "invoice", version = $version)]
            $(#[$upcast])*
            pub struct Invoice {
                number: u8,
            }
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = "greeting", version = $version, best_effort)]
            $(#[$upcast])*
            pub struct Greeting {
                number: u8,
            }

            $($types)*

                        impl Handler<Call> for World {
                async fn handle(&self, _: Call, _: &HandlerContext) -> HandlerResult<Call> {
                    self.call("call".to_owned())?;
                    Ok(Called {}.into())
                }
            }
                        impl Handler<Invoice> for World {
                async fn handle(&self, _: Invoice, _: &HandlerContext) -> HandlerResult<Invoice> {
                    self.call("invoice".to_owned())?;
                    Ok(Done.into())
                }
            }
                        impl Handler<Greeting> for World {
                async fn handle(&self, _: Greeting, _: &HandlerContext) -> HandlerResult<Greeting> {
                    self.call("greeting".to_owned())?;
                    Ok(Done.into())
                }
            }

            pub async fn start(store: &MemoryStore, clock: &ManualClock, world: &World) -> Dispatcher {
                let builder = Dispatcher::builder(store.clone()).saga::<MailingState>();
                let builder = builder.handler::<Call>(world.clone()).handler::<Invoice>(world.clone());
                builder.handler::<Greeting>(world.clone()).clock(clock.clone()).start().await.unwrap()
            }
        }
    };
}

mailing!(mail1, 1, [], {});
mailing!(mail2, 2, [#[upcast(from = 1, with(refuse))]], {
    /// A mistake in a deployment.
    fn refuse<T>(_: Earlier) -> T {
        panic!("nobody has written this")
    }
    #[derive(Deserialize)]
    struct Earlier {}
});

/// Lets time pass until this has been called.
async fn until_called(clock: &ManualClock, world: &World, what: &str) {
    while !world.calls.lock().unwrap().iter().any(|call| call == what) {
        clock.advance_to_next().await;
    }
}

#[tokio::test]
async fn r34_an_unreadable_command_of_an_ended_instance_waits_for_a_build_that_reads_it() {
    let (store, clock, world) = opened();
    let begun = || mail1::Begun { mailing: "1".to_owned() };
    // Its invoice and its greeting are not answered.
    let dispatcher = mail1::start(&store, &clock, &world).await;
    dispatcher.publish(begun()).await.unwrap();
    let parked = dispatcher.settled::<mail1::MailingState>("1").await.unwrap();
    assert!(parked.is_parked(), "at most once, and no answer: {parked:?}");
    let reply = Resolved::reply(&mail1::Called {}).unwrap();
    dispatcher
        .resolve::<mail1::MailingState>("1", reply, Operator::new("me").because("called by hand"))
        .await
        .unwrap();
    until_called(&clock, &world, "greeting").await;
    dispatcher.shutdown(SECOND).await.unwrap();

    let dispatcher = mail2::start(&store, &clock, &world.answering()).await;
    for _ in 0..3 {
        clock.advance_to_next().await;
    }
    let mailing = dispatcher.instance::<mail2::MailingState>("1").await.unwrap().unwrap();
    assert_eq!(mailing.position, Position::In(mail2::MailingState::Over), "nobody is bothered");
    assert_eq!(mailing.open.len(), 2, "and nothing is lost: {:?}", mailing.open);
    dispatcher.shutdown(SECOND).await.unwrap();

    world.calls.lock().unwrap().clear();
    let dispatcher = mail1::start(&store, &clock, &world.answering()).await;
    until_called(&clock, &world, "invoice").await;
    until_called(&clock, &world, "greeting").await;
    dispatcher.shutdown(SECOND).await.unwrap();
}

/// An instance whose call stands in the store and has not been made.
async fn about_to_call(store: &MemoryStore, clock: &ManualClock, world: &World) {
    struct Nobody;
    impl Handler<mail1::Call> for Nobody {
        async fn handle(&self, _: mail1::Call, _: &HandlerContext) -> HandlerResult<mail1::Call> {
            std::future::pending().await
        }
    }
    // The one place of the handler is taken by another call.
    let policy = saga::Policy::default().concurrency(1);
    let builder = Dispatcher::builder(store.clone()).saga::<mail1::MailingState>();
    let builder =
        builder.handler_with::<mail1::Call>(Nobody, policy).handler::<mail1::Invoice>(world.clone());
    let builder = builder.handler::<mail1::Greeting>(world.clone()).clock(clock.clone());
    let dispatcher = builder.start().await.unwrap();
    dispatcher.publish(mail1::Begun { mailing: "0".to_owned() }).await.unwrap();
    dispatcher.publish(mail1::Begun { mailing: "1".to_owned() }).await.unwrap();
    dispatcher.kill().await;
}

#[tokio::test]
async fn r34_a_call_that_could_not_be_read_was_not_made_and_may_be_made_once() {
    let (store, clock, world) = opened();
    about_to_call(&store, &clock, &world).await;
    let dispatcher = mail2::start(&store, &clock, &world.answering()).await;
    let position = dispatcher.settled::<mail2::MailingState>("1").await.unwrap();
    let Position::Parked { reason, .. } = position else { panic!("{position:?}") };
    assert_eq!(reason.to_string(), "this build cannot read a stored value");
    dispatcher.shutdown(SECOND).await.unwrap();

    let dispatcher = mail1::start(&store, &clock, &world.answering()).await;
    dispatcher
        .retry::<mail1::MailingState>("1", Operator::new("me").because("the build is back"))
        .await
        .unwrap();
    let end = dispatcher.settled::<mail1::MailingState>("1").await.unwrap();
    assert_eq!(end, Position::In(mail1::MailingState::Over));
    assert_eq!(world.calls.lock().unwrap().iter().filter(|call| *call == "call").count(), 1);
}
