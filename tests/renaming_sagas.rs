//! A saga that is called otherwise from now on keeps its instances, with their parents and children, and its earlier name
//! is retired (R34).

#![allow(missing_docs, unreachable_pub, dead_code)] // The types of a test need no manual, and not all are used.

use std::time::Duration;

use saga::error::{StartError, chain};
use saga::prelude::*;
use saga::store::{InboxId, InstanceFilter, MemoryStore, Store, StoreError};
use saga::testing::ManualClock;
use saga::{AllFinished, Dispatcher, Disposition, Key, Operator, Position, SqliteStore};

macro_rules! build {
    ($module:ident, $crew:literal [$($crew_was:tt)*], $hand:literal [$($hand_was:tt)*]) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(
                name = $crew, $($crew_was)* version = 1, data(Crew), actions(CrewActions),
                on_abort(Dismissed)
            )]
            #[initially(when(Formed, run(form), claim(ship), start(HandState, each, limit = 2, with(hands)), transition_to(Hiring)))]
            #[missing_instance(defer(minutes = 5))]
            #[unhandled(reject)]
            pub enum CrewState {
                #[during(when(all_finished(HandState), run(count), transition_to(Ready)))]
                Hiring,
                #[during(when(Sailed, transition_to(AtSea)))]
                Ready,
                #[terminal]
                AtSea,
                #[terminal(failure)]
                Dismissed,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Crew {
                pub ship: String,
                pub hired: u32,
            }

            impl CrewActions for Crew {
                fn form(event: &Formed, _: &mut Context) -> ActionResult<Self> {
                    Ok(Self { ship: event.ship.clone(), hired: 0 })
                }
                fn ship(&self, _: &Formed, _: &mut Context) -> String {
                    self.ship.clone()
                }
                fn hands(&self, event: &Formed, _: &mut Context) -> Vec<Asked> {
                    event.hands.iter().map(|hand| Asked { hand: hand.clone() }).collect()
                }
                fn count(&mut self, all: &AllFinished, _: &mut Context) -> ActionResult<()> {
                    self.hired = all.completed;
                    Ok(())
                }
            }

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga(name = $hand, $($hand_was)* version = 1, data(Hand), actions(HandActions))]
            #[initially(when(Asked, run(ask), transition_to(Thinking)))]
            #[unhandled(reject)]
            pub enum HandState {
                #[during(when(Agreed, transition_to(Hired)))]
                Thinking,
                #[terminal]
                Hired,
            }

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Hand {}

            impl HandActions for Hand {
                fn ask(_: &Asked, _: &mut Context) -> ActionResult<Self> {
                    Ok(Self {})
                }
            }

            pub async fn start(store: impl Store, clock: &ManualClock) -> Result<Dispatcher, StartError> {
                let builder = Dispatcher::builder(store).saga::<CrewState>().saga::<HandState>();
                builder.clock(clock.clone()).start().await
            }
        }
    };
}

build!(before, "team" [], "member" []);
build!(after, "crew" [was = "gang", was = "team",], "hand" [was = "member",]);
build!(again, "ship" [was = "team",], "other-hand" []);
build!(clash, "crew" [was = "hand",], "hand" []);
build!(later, "company" [was = "crew",], "hand" [was = "member",]);
build!(fork, "club" [was = "team",], "hand" [was = "member",]);
build!(back, "team" [was = "crew",], "member" [was = "hand",]);

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "formed", key(crew))]
pub struct Formed {
    crew: String,
    ship: String,
    hands: Vec<String>,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "sailed", alias(ship))]
pub struct Sailed {
    ship: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "asked", key(hand))]
pub struct Asked {
    hand: String,
}
#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "agreed", key(hand))]
pub struct Agreed {
    hand: String,
}

fn formed() -> Formed {
    let hands = ["ann", "bob", "cid"].map(str::to_owned).to_vec();
    Formed { crew: "7".to_owned(), ship: "argo".to_owned(), hands }
}

fn agreed(hand: &str) -> Agreed {
    Agreed { hand: hand.to_owned() }
}

const SECOND: Duration = Duration::from_secs(1);

/// Until the child has been started by its parent.
async fn thinks(dispatcher: &Dispatcher, hand: &str) {
    dispatcher.wait_for::<after::HandState, _>(hand, SECOND, |_| Some(())).await.unwrap();
}

/// A crew whose first hand has agreed, and whose second and third have not.
async fn hiring(store: &(impl Store + Clone), clock: &ManualClock) {
    let dispatcher = before::start(store.clone(), clock).await.unwrap();
    dispatcher.publish(formed()).await.unwrap();
    for hand in ["ann", "bob"] {
        dispatcher.wait_for::<before::HandState, _>(hand, SECOND, |_| Some(())).await.unwrap();
    }
    dispatcher.publish(agreed("ann")).await.unwrap();
    dispatcher.wait_for::<before::HandState, _>("cid", SECOND, |_| Some(())).await.unwrap();
    dispatcher.kill().await;
}

#[tokio::test]
async fn r34_a_renamed_saga_goes_on_with_its_children_and_aliases() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("crews.db")).unwrap();
    let clock = ManualClock::default();
    hiring(&store, &clock).await;

    let dispatcher = after::start(store.clone(), &clock).await.unwrap();
    thinks(&dispatcher, "cid").await;
    for hand in ["bob", "cid"] {
        let receipt = dispatcher.publish(agreed(hand)).await.unwrap();
        assert_eq!(receipt.consumers[0].disposition, Disposition::Applied, "{receipt:?}");
    }
    let ready = |crew: &saga::Instance<after::CrewState>| {
        (crew.position == Position::In(after::CrewState::Ready)).then_some(crew.data.hired)
    };
    let hired = dispatcher.wait_for::<after::CrewState, _>("7", SECOND, ready).await.unwrap();
    assert_eq!(hired, 3, "the one that had agreed before is counted");
    dispatcher.publish(Sailed { ship: "argo".to_owned() }).await.unwrap();
    let end = dispatcher.settled::<after::CrewState>("7").await.unwrap();
    assert_eq!(end, Position::In(after::CrewState::AtSea));
    // An event that starts it finds the one that is there.
    let again = dispatcher.publish(formed()).await.unwrap();
    assert!(matches!(again.consumers[0].disposition, Disposition::Ignored { .. }), "{again:?}");
    dispatcher.shutdown(SECOND).await.unwrap();
}

#[tokio::test]
async fn r34_a_renamed_saga_that_is_aborted_aborts_its_renamed_children() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("crews.db")).unwrap();
    let clock = ManualClock::default();
    hiring(&store, &clock).await;
    let dispatcher = after::start(store.clone(), &clock).await.unwrap();
    thinks(&dispatcher, "cid").await;
    dispatcher.abort::<after::CrewState>("7", Operator::new("me").because("no wind")).await.unwrap();
    let end = dispatcher.settled::<after::CrewState>("7").await.unwrap();
    assert_eq!(end, Position::In(after::CrewState::Dismissed));
    for hand in ["bob", "cid"] {
        assert_eq!(dispatcher.settled::<after::HandState>(hand).await.unwrap(), Position::Aborted);
    }
    dispatcher.shutdown(SECOND).await.unwrap();
}

#[tokio::test]
async fn r34_what_waits_for_a_saga_is_taken_up_under_its_present_name() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let dispatcher = before::start(store.clone(), &clock).await.unwrap();
    let early = dispatcher.publish(Sailed { ship: "argo".to_owned() }).await.unwrap();
    assert_eq!(early.consumers[0].disposition, Disposition::Deferred);
    dispatcher.kill().await;
    let dispatcher = after::start(store.clone(), &clock).await.unwrap();
    dispatcher.publish(Formed { hands: Vec::new(), ..formed() }).await.unwrap();
    let at_sea = |crew: &saga::Instance<after::CrewState>| {
        (crew.position == Position::In(after::CrewState::AtSea)).then_some(())
    };
    dispatcher.wait_for::<after::CrewState, _>("7", SECOND, at_sea).await.unwrap();
}

#[tokio::test]
async fn r34_a_saga_does_not_get_a_name_under_which_one_of_its_keys_is_stored() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let crew = || Formed { hands: Vec::new(), ..formed() };
    let dispatcher = before::start(store.clone(), &clock).await.unwrap();
    dispatcher.publish(crew()).await.unwrap();
    dispatcher.shutdown(SECOND).await.unwrap();
    // As if a build had been put into operation that forgot to say what it was called.
    let forgetful = Dispatcher::builder(store.clone()).saga::<named_crew::CrewState>().start().await.unwrap();
    forgetful.publish(crew()).await.unwrap();
    forgetful.shutdown(SECOND).await.unwrap();
    let refused = after::start(store.clone(), &clock).await.unwrap_err();
    assert!(matches!(&refused, StartError::Store(StoreError::Clash { .. })), "{refused}");
    assert_eq!(
        chain(&refused).to_string(),
        "cannot start: saga `team` of the memory store cannot be renamed to `crew`: both sagas have `7`; choose another name"
    );
    // Nothing was changed or run, so nothing is suspected, and the build before it still runs.
    let lease = store.lease("test").await.unwrap();
    assert_eq!(lease.unclean, 0);
    store.release(&lease).await.unwrap();
    let dispatcher = before::start(store, &clock).await.unwrap();
    assert!(dispatcher.instance::<before::CrewState>("7").await.unwrap().is_some());
}

mod named_crew {
    use super::*;

    #[derive(Saga, Clone, Debug, PartialEq)]
    #[saga(name = "crew", version = 1, data(Crew), actions(CrewActions))]
    #[initially(when(Formed, run(form), transition_to(Formed2)))]
    pub enum CrewState {
        #[terminal]
        Formed2,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Crew {}

    impl CrewActions for Crew {
        fn form(_: &Formed, _: &mut Context) -> ActionResult<Self> {
            Ok(Self {})
        }
    }
}

#[tokio::test]
async fn r34_an_earlier_name_of_a_saga_that_another_one_has_is_refused() {
    let started = clash::start(MemoryStore::new(), &ManualClock::default()).await;
    let Err(StartError::Registration { problems }) = started else { panic!("it started") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["saga `crew` has the earlier name `hand`; another saga has this name now; rename one of the sagas"]
    );
}

#[tokio::test]
async fn r34_two_consumers_cannot_share_an_earlier_name() {
    struct Deaf;
    impl Subscriber<Sailed> for Deaf {
        async fn handle(&self, _: Sailed, _: &HandlerContext) -> Result<(), HandlerError> {
            Ok(())
        }
    }
    let builder =
        Dispatcher::builder(MemoryStore::new()).saga::<after::CrewState>().saga::<after::HandState>();
    let started = builder.saga::<again::CrewState>().subscriber::<Sailed>("member", Deaf).start().await;
    let Err(StartError::Registration { problems }) = started else { panic!("it started") };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "sagas `crew` and `ship` both have the earlier name `team`: remove `was` from one of the sagas",
            "saga `hand` has the earlier name `member`; a subscriber has this name now; consumers need different names",
            "saga `other-hand`, which saga `ship` starts, is not registered: add `.saga::<HandState>()`",
        ]
    );
}

/// Tells the story on both stores.
macro_rules! on_each_store {
    ($story:ident) => {{
        $story(MemoryStore::new()).await;
        let folder = tempfile::tempdir().unwrap();
        $story(SqliteStore::open(folder.path().join("crews.db")).unwrap()).await;
    }};
}

/// Everything that a start could change, except who had the lease.
async fn contents(store: &impl Store) -> String {
    let instances = store.instances(&InstanceFilter::default()).await.unwrap().instances;
    let addresses: Vec<_> = instances.iter().map(|view| view.address.clone()).collect();
    let loaded = store.load(&addresses).await.unwrap();
    let inbox = store.inbox(InboxId(0), 100).await.unwrap();
    let (consumers, retired) = (store.consumers().await.unwrap(), store.retired().await.unwrap());
    format!("{instances:#?}\n{loaded:#?}\n{inbox:#?}\n{consumers:#?}\n{retired:#?}")
}

/// A start that ends at once.
async fn run(started: Result<Dispatcher, StartError>) {
    started.unwrap().shutdown(SECOND).await.unwrap();
}

/// Why a build must not start.
fn refusal(started: Result<Dispatcher, StartError>) -> Vec<String> {
    match started {
        Err(StartError::Retired { problems }) => problems.iter().map(ToString::to_string).collect(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it started"),
    }
}

fn renamed(was: &str, name: &str) -> String {
    format!(
        "saga `{was}` has been renamed to `{name}` by a later build; run that build, or declare the rename with `#[saga(name = \"{was}\", was = \"{name}\")]`"
    )
}

async fn an_older_build_is_refused(store: impl Store + Clone) {
    let clock = ManualClock::default();
    hiring(&store, &clock).await;
    run(after::start(store.clone(), &clock).await).await;
    let as_it_was = contents(&store).await;

    let refused = before::start(store.clone(), &clock).await;
    let text = refused.as_ref().unwrap_err().to_string();
    assert_eq!(text, format!("cannot start: {}; {}", renamed("member", "hand"), renamed("team", "crew")));
    assert_eq!(refusal(refused).len(), 2);
    assert_eq!(contents(&store).await, as_it_was, "nothing was written");
    let lease = store.lease("test").await.unwrap();
    assert!(!lease.is_suspect(lease.epoch - 1), "nothing was run");
    store.release(&lease).await.unwrap();

    // The build that knows the names goes on with the one crew there is.
    let dispatcher = after::start(store.clone(), &clock).await.unwrap();
    thinks(&dispatcher, "cid").await;
    for hand in ["bob", "cid"] {
        dispatcher.publish(agreed(hand)).await.unwrap();
    }
    let ready = |crew: &saga::Instance<after::CrewState>| {
        (crew.position == Position::In(after::CrewState::Ready)).then_some(crew.data.hired)
    };
    assert_eq!(dispatcher.wait_for::<after::CrewState, _>("7", SECOND, ready).await.unwrap(), 3);
    assert_eq!(
        store.instances(&InstanceFilter::default()).await.unwrap().instances.len(),
        4,
        "a crew and its hands"
    );
    dispatcher.shutdown(SECOND).await.unwrap();
}

#[tokio::test]
async fn r34_a_build_from_before_a_saga_was_renamed_does_not_start() {
    on_each_store!(an_older_build_is_refused);
}

async fn a_name_is_retired_by_the_first_start(store: impl Store + Clone) {
    let clock = ManualClock::default();
    run(after::start(store.clone(), &clock).await).await;
    let problems = refusal(before::start(store.clone(), &clock).await);
    assert_eq!(problems, [renamed("member", "hand"), renamed("team", "crew")]);
}

#[tokio::test]
async fn r34_an_earlier_name_is_retired_also_when_nothing_is_stored_under_it() {
    on_each_store!(a_name_is_retired_by_the_first_start);
}

async fn only_the_last_of_three_builds_starts(store: impl Store + Clone) {
    let clock = ManualClock::default();
    hiring(&store, &clock).await;
    run(after::start(store.clone(), &clock).await).await;
    run(later::start(store.clone(), &clock).await).await;
    let as_it_was = contents(&store).await;
    let problems = refusal(before::start(store.clone(), &clock).await);
    assert_eq!(problems, [renamed("member", "hand"), renamed("team", "company")]);
    let problems = refusal(after::start(store.clone(), &clock).await);
    assert_eq!(problems, [renamed("crew", "company")]);
    // Taking back a name that was left long ago would not find the instances either.
    let problems = refusal(back::start(store.clone(), &clock).await);
    assert_eq!(problems, [renamed("team", "company")]);
    assert_eq!(contents(&store).await, as_it_was);
    let dispatcher = later::start(store, &clock).await.unwrap();
    assert!(dispatcher.instance::<later::CrewState>("7").await.unwrap().is_some());
    dispatcher.shutdown(SECOND).await.unwrap();
}

#[tokio::test]
async fn r34_of_a_saga_that_was_renamed_twice_every_earlier_build_is_refused() {
    on_each_store!(only_the_last_of_three_builds_starts);
}

async fn a_fork_is_refused(store: impl Store + Clone) {
    let clock = ManualClock::default();
    hiring(&store, &clock).await;
    run(after::start(store.clone(), &clock).await).await;
    let problems = refusal(fork::start(store.clone(), &clock).await);
    assert_eq!(
        problems,
        [
            "saga `club` (earlier name `team`) has been renamed to `crew` by a later build; run that build, or declare the rename with `#[saga(name = \"club\", was = \"crew\")]`"
        ]
    );
}

#[tokio::test]
async fn r34_a_build_that_gives_an_earlier_saga_yet_another_name_is_refused() {
    on_each_store!(a_fork_is_refused);
}

async fn a_name_is_taken_back(store: impl Store + Clone) {
    let clock = ManualClock::default();
    hiring(&store, &clock).await;
    run(after::start(store.clone(), &clock).await).await;
    let dispatcher = back::start(store.clone(), &clock).await.unwrap();
    assert!(dispatcher.instance::<back::CrewState>("7").await.unwrap().is_some());
    dispatcher.shutdown(SECOND).await.unwrap();
    run(before::start(store.clone(), &clock).await).await;
    // Now the name in between is the retired one, for a build that does not know the other.
    let forgetful = Dispatcher::builder(store.clone()).saga::<named_crew::CrewState>().start().await;
    assert_eq!(refusal(forgetful), [renamed("crew", "team")]);
    // And once more the other way.
    run(after::start(store.clone(), &clock).await).await;
    let problems = refusal(before::start(store, &clock).await);
    assert_eq!(problems, [renamed("member", "hand"), renamed("team", "crew")]);
}

#[tokio::test]
async fn r34_a_saga_may_be_renamed_back_on_purpose() {
    on_each_store!(a_name_is_taken_back);
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "hailed", key(harbour), alias_for(after::CrewState, ship), key_for(after::HandState, hand))]
struct Hailed {
    harbour: String,
    ship: String,
    hand: String,
}

#[test]
fn r34_an_event_with_a_key_for_one_saga_has_it_under_the_earlier_names_of_that_saga_too() {
    let hailed = Hailed { harbour: "hull".into(), ship: "ann".into(), hand: "bo".into() };
    for name in ["crew", "gang", "team"] {
        assert_eq!(
            Correlated::correlation(&hailed, name).unwrap(),
            saga::InstanceName::from(saga::Alias::new("ann").unwrap()),
            "{name}"
        );
    }
    for name in ["hand", "member"] {
        assert_eq!(Correlated::correlation(&hailed, name).unwrap(), Key::new("bo").unwrap(), "{name}");
    }
    for name in ["ship", ""] {
        assert_eq!(Correlated::correlation(&hailed, name).unwrap(), Key::new("hull").unwrap(), "{name}");
    }
}
