//! Names: which ones stand in a store, and a saga that is called otherwise from now on (rule R34).

use super::fixtures::{Driver, address, change, create, mail, mark, next, obligation, ok, task, time, timer};
use super::{Address, Subject};
use crate::message::Key;
use crate::store::{
    AliasChange, DeadId, DeadLetter, InstanceChange, Loaded, Mail, MailKind, ObligationChange, Outcome,
    Status, Step, StoreError, StoredName, TakerRow, TaskChange, TimerChange,
};

/// Instances, aliases, what waits, marks, dead letters and takers; other sagas and subscribers keep theirs.
pub async fn a_renamed_saga_keeps_everything_that_is_stored_for_it<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let key = |text: &str| Key::new(text).expect("a good key");
    let (old, new) = (Address::new("order", key("a")), Address::new("purchase", key("a")));
    let alias = Key::alias("x").expect("a good alias");
    let mut first = create(&old);
    first.aliases = vec![AliasChange::Claim(alias.clone())];
    first.mail = vec![mail(&old, "waits")];
    first.marks = vec![mark(&old, "m", 1, 1)];
    let letter = |kind| DeadLetter {
        to: old.clone(),
        kind,
        message: mail(&old, "dead").message,
        id: None,
        hops: 0,
        reason: "unhandled".into(),
        detail: String::new(),
        at: time(8),
    };
    first.dead = vec![letter(MailKind::Event), letter(MailKind::Delivery)];
    let row = driver.created(first.clone()).await;
    let other = Address::new("invoice", key("a"));
    driver.created(create(&other)).await;
    let taker = |taker: &str, subscriber| TakerRow { event: "e".into(), taker: taker.into(), subscriber };
    ok(driver.store.register(&[taker("order", false), taker("order", true), taker("invoice", false)]).await);

    assert_eq!(ok(driver.store.rename("order", "purchase").await), 1);
    assert!(ok(driver.store.load(std::slice::from_ref(&old)).await)[0].is_none());
    let found = driver.snapshot(&new).await;
    assert_eq!((found.row, &found.instance.address, found.aliases), (row, &new, vec![alias.clone()]));
    let by_alias = ok(driver.store.load(&[Address::new("purchase", alias)]).await).remove(0);
    assert_eq!(by_alias, Some(Loaded::Alias(key("a"))));
    assert_eq!(ok(driver.store.waiting(&new, 9).await).len(), 1);
    assert!(ok(driver.store.waiting(&old, 9).await).is_empty());
    let again = mark(&new, "m", 1, 2);
    assert_eq!(driver.one(Step { marks: vec![again], ..Step::default() }).await, Outcome::Duplicate);
    let letters = ok(driver.store.dead_letters(DeadId(0), 9).await);
    assert_eq!(letters.iter().map(|row| &row.letter.to).collect::<Vec<_>>(), [&new, &old]);
    let takers = ok(driver.store.takers().await);
    assert_eq!(takers, [taker("invoice", false), taker("order", true), taker("purchase", false)]);
    driver.snapshot(&other).await;
    // It goes on under its new name, and again nothing is left to rename.
    let mut moved = change(&first);
    moved.address = new.clone();
    driver.committed(next(row, &moved)).await;
    assert_eq!(ok(driver.store.rename("order", "purchase").await), 0);
}

/// By taker, kind, name and version; what has ended does not count, except that dead letters do.
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
        let StoredName { taker, what, name, version, count } = name;
        format!("{taker} {what:?} {name} v{version} x{count}")
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

/// All or nothing: not even those are renamed that could be.
pub async fn a_saga_is_not_renamed_to_one_that_has_the_same_key<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let purchase = Address::new("purchase", Key::new("b").expect("a good key"));
    driver.commit(vec![create(&address("a")), create(&address("b")), create(&purchase)]).await;
    let clash = driver.store.rename("order", "purchase").await.expect_err("both have `b`");
    assert!(matches!(&clash, StoreError::Clash { key, .. } if key.text() == "b"), "{clash}");
    driver.snapshot(&address("a")).await;
}
