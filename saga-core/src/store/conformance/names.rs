//! Laws of stored names and retired names (rule R34).

use super::fixtures::{
    Driver, address, change, create, dedup_record, mail, next, obligation, ok, task, time, timer,
};
use super::{Address, Subject};
use crate::message::{Alias, Key};
use crate::store::DeadLetterReason;
use crate::store::{
    AliasChange, ConsumerRow, DeadId, DeadLetter, InstanceChange, Loaded, Mail, MailKind, NameOf,
    ObligationChange, RetiredName, Status, Step, StepOutcome, Store, StoreError, StoredName, TaskChange,
    TimerChange,
};

/// Returns the retired name `was` of a saga with the present name `name`.
fn saga(was: &str, name: &str) -> RetiredName {
    of(NameOf::Saga, "", was, name)
}

fn of(what: NameOf, saga: &str, was: &str, name: &str) -> RetiredName {
    RetiredName { what, saga: saga.to_owned(), was: was.to_owned(), name: name.to_owned() }
}

async fn retired(store: &dyn Store) -> Vec<RetiredName> {
    ok(store.retired().await)
}

/// The present name takes over all rows of the saga. Other sagas and subscribers keep their rows.
pub async fn a_renamed_saga_keeps_everything_that_is_stored_for_it<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let key = |text: &str| Key::new(text).expect("a good key");
    let (old, new) = (Address::new("order", key("a")), Address::new("purchase", key("a")));
    let alias = Alias::new("x").expect("a good alias");
    let mut first = create(&old);
    first.aliases = vec![AliasChange::Claim(alias.clone())];
    first.mail = vec![mail(&old, "waits")];
    first.dedup = vec![dedup_record(&old, "m", 1, 1)];
    let letter = |kind| DeadLetter {
        to: old.clone(),
        kind,
        message: mail(&old, "dead").message,
        id: None,
        hops: 0,
        trace: None,
        reason: DeadLetterReason::Unhandled,
        detail: String::new(),
        times: 1,
        at: time(8),
    };
    first.dead = vec![letter(MailKind::Event), letter(MailKind::Delivery)];
    let row = driver.created(first.clone()).await;
    let other = Address::new("invoice", key("a"));
    driver.created(create(&other)).await;
    let consumer =
        |consumer: &str, subscriber| ConsumerRow { event: "e".into(), consumer: consumer.into(), subscriber };
    ok(driver
        .store
        .register(&[consumer("order", false), consumer("order", true), consumer("invoice", false)])
        .await);

    let purchase = [saga("order", "purchase")];
    assert_eq!(ok(driver.store.rename(&purchase).await), [1]);
    assert!(ok(driver.store.load(std::slice::from_ref(&old)).await)[0].is_none());
    let found = driver.snapshot(&new).await;
    assert_eq!((found.row, &found.instance.address, found.aliases), (row, &new, vec![alias.clone()]));
    let by_alias = ok(driver.store.load(&[Address::new("purchase", alias)]).await).remove(0);
    assert_eq!(by_alias, Some(Loaded::Alias(key("a"))));
    assert_eq!(ok(driver.store.waiting(&new, 9).await).len(), 1);
    assert!(ok(driver.store.waiting(&old, 9).await).is_empty());
    let again = dedup_record(&new, "m", 1, 2);
    assert_eq!(driver.one(Step { dedup: vec![again], ..Step::default() }).await, StepOutcome::Duplicate);
    let letters = ok(driver.store.dead_letters(DeadId(0), 9).await);
    assert_eq!(letters.iter().map(|row| &row.letter.to).collect::<Vec<_>>(), [&new, &old]);
    let consumers = ok(driver.store.consumers().await);
    assert_eq!(consumers, [consumer("invoice", false), consumer("order", true), consumer("purchase", false)]);
    driver.snapshot(&other).await;
    // The saga continues under its new name. A second rename moves nothing.
    let mut moved = change(&first);
    moved.address = new.clone();
    driver.committed(next(row, &moved)).await;
    assert_eq!(ok(driver.store.rename(&purchase).await), [0]);
}

/// Counts are by consumer, kind, name and version. Names of ended instances and tasks do not count. Names in dead
/// letters count.
pub async fn names_are_counted_where_they_stand<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mut first = create(&address("a"));
    first.tasks = vec![TaskChange::Add(task(1, 0)), TaskChange::Add(task(1, 1))];
    first.timers = vec![TimerChange::Set(timer("t", 9))];
    first.obligations =
        vec![ObligationChange::Put(obligation(1, 0)), ObligationChange::Put(obligation(1, 1))];
    let report = Mail { kind: MailKind::Report, ..mail(&address("a"), "report") };
    first.mail = vec![mail(&address("a"), "waits"), mail(&address("none"), "waits"), report];
    let mut second = create(&address("b"));
    let mut ended = create(&address("c"));
    for (step, version, status) in [(&mut second, 7, Status::Compensating), (&mut ended, 8, Status::Failed)] {
        step.instance = Some(InstanceChange { version, status, ..change(step) });
    }
    let (tasks, owed) = (first.tasks.clone(), first.obligations.clone());
    driver.commit(vec![first, second, ended]).await;
    let names = ok(driver.store.names().await);
    let line = |name: &StoredName| {
        let StoredName { consumer, what, name, version, count } = name;
        format!("{consumer} {what:?} {name} v{version} x{count}")
    };
    let found: Vec<String> = names.iter().map(line).collect();
    let TaskChange::Add(task) = &tasks[0] else { panic!("a task is added") };
    let undo = |at: usize| match &owed[at] {
        ObligationChange::Put(owed) => owed.undo.to_string(),
        ObligationChange::Drop(_) => panic!("an obligation is put"),
    };
    assert_eq!(undo(0), undo(1), "the sample's undos have one name");
    for expected in [
        "order State started v3 x1".to_owned(),
        "order State started v7 x1".to_owned(),
        format!("order Command {} v{} x2", task.command.name, task.command.version),
        format!("order Undo {} v0 x2", undo(0)),
        "order Timer t v0 x1".to_owned(),
        "order Event waits v2 x2".to_owned(),
    ] {
        assert!(found.contains(&expected), "no {expected} in {found:#?}");
    }
    assert!(!found.iter().any(|line| line.contains("v8") || line.contains("report")), "{found:#?}");
}

/// A clash changes nothing: no saga is renamed, and no name is retired.
pub async fn a_saga_is_not_renamed_to_one_that_has_the_same_key<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let of = |saga: &str, key: &str| Address::new(saga.to_owned(), Key::new(key).expect("a good key"));
    let (bill, purchase) = (of("bill", "a"), of("purchase", "b"));
    driver.commit(vec![create(&address("a")), create(&address("b")), create(&purchase), create(&bill)]).await;
    let names = [saga("bill", "invoice"), saga("order", "purchase")];
    let clash = driver.store.rename(&names).await.expect_err("both have `b`");
    assert!(matches!(&clash, StoreError::Clash { key, .. } if key.text() == "b"), "{clash}");
    for address in [address("a"), address("b"), purchase, bill] {
        driver.snapshot(&address).await;
    }
    assert!(retired(&*driver.store).await.is_empty());
    // Two sagas merged into one may clash only with each other.
    let names = [saga("bill", "receipt"), saga("order", "receipt")];
    let clash = driver.store.rename(&names).await.expect_err("both have `a`");
    let StoreError::Clash { was, name, key, .. } = &clash else { panic!("{clash}") };
    assert_eq!((&**was, &**name, key.text()), ("order", "receipt", "a"));
    assert!(retired(&*driver.store).await.is_empty());
}

/// A name is retired even without any stored row. The retired name is durable.
pub async fn a_retired_name_is_remembered<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    let names = [
        saga("order", "purchase"),
        of(NameOf::State, "purchase", "paid", "settled"),
        of(NameOf::Event, "purchase", "paid", "payment.taken"),
        of(NameOf::Command, "purchase", "pay", "payment.take"),
    ];
    assert_eq!(ok(driver.store.rename(&names).await), [0, 0, 0, 0]);
    assert_eq!(retired(&*driver.store).await, names);
    ok(driver.store.rename(&names).await);
    assert_eq!(retired(&*driver.store).await, names, "once");
    ok(driver.store.release(&driver.lease).await);
    drop(driver);
    assert_eq!(retired(&*subject.open()).await, names);
}

/// Every retired name leads to the present name, after any number of renames.
pub async fn a_retired_name_leads_to_the_present_one<S: Subject>(subject: &S) {
    let driver = Driver::start(subject).await;
    let rename = async |name: RetiredName| drop(ok(driver.store.rename(&[name]).await));
    rename(saga("order", "purchase")).await;
    rename(of(NameOf::State, "purchase", "paid", "settled")).await;
    rename(of(NameOf::State, "other", "paid", "stays")).await;
    rename(of(NameOf::Event, "purchase", "paid", "stays")).await;
    rename(of(NameOf::Command, "purchase", "paid", "stays")).await;
    rename(saga("purchase", "sale")).await;
    rename(of(NameOf::State, "sale", "settled", "closed")).await;
    assert_eq!(
        retired(&*driver.store).await,
        [
            saga("order", "sale"),
            saga("purchase", "sale"),
            of(NameOf::State, "other", "paid", "stays"),
            of(NameOf::State, "sale", "paid", "closed"),
            of(NameOf::State, "sale", "settled", "closed"),
            of(NameOf::Event, "sale", "paid", "stays"),
            of(NameOf::Command, "sale", "paid", "stays"),
        ]
    );
}

/// The name in between is retired, and all earlier names lead to the reused name.
pub async fn a_retired_name_that_is_given_again_is_in_use<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    driver.created(create(&address("a"))).await;
    let names = [saga("order", "sale"), saga("purchase", "sale")];
    assert_eq!(ok(driver.store.rename(&names).await), [1, 0]);
    assert_eq!(ok(driver.store.rename(&[saga("sale", "order")]).await), [1]);
    assert_eq!(retired(&*driver.store).await, [saga("purchase", "order"), saga("sale", "order")]);
    driver.snapshot(&address("a")).await;
}

/// Maintenance needs the lease.
pub async fn renaming_needs_the_lease<S: Subject>(subject: &S) {
    let store = subject.open();
    let renamed = store.rename(&[saga("order", "purchase")]).await;
    assert!(matches!(renamed, Err(StoreError::Fenced { .. })), "{renamed:?}");
    assert!(retired(&*store).await.is_empty());
}
