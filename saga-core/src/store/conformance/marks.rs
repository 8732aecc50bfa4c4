//! Laws of the marks against duplicates (rule R26).

use super::Subject;
use super::fixtures::{Driver, address, create, mail, mark, ok, time};
use crate::message::Key;
use crate::store::{Address, InboxId, Mark, Outcome, Purged, Step};

fn only(mark: &Mark) -> Step {
    Step { marks: vec![mark.clone()], ..Step::default() }
}

/// In a later batch, in the same batch, and in the same step.
pub async fn a_mark_makes_the_next_one_a_duplicate<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mark_1 = mark(&address("a"), "1", 7, 1);
    let mark_2 = mark(&address("a"), "2", 7, 1);
    let outcomes = driver.commit(vec![only(&mark_1), only(&mark_1)]).await;
    assert!(matches!(outcomes[..], [Outcome::Committed(_), Outcome::Duplicate]), "{outcomes:?}");
    assert_eq!(driver.one(only(&mark_1)).await, Outcome::Duplicate);
    let twice = Step { marks: vec![mark_2.clone(), mark_2.clone()], ..Step::default() };
    assert_eq!(driver.one(twice).await, Outcome::Duplicate);
    driver.committed(only(&mark_2)).await;
}

/// Somebody has used an id for two things.
pub async fn the_same_id_with_other_content_is_a_conflict<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    driver.committed(only(&mark(&address("a"), "1", u64::MAX, 1))).await;
    assert_eq!(driver.one(only(&mark(&address("a"), "1", 0, 1))).await, Outcome::IdConflict);
    assert_eq!(driver.one(only(&mark(&address("a"), "1", u64::MAX, 2))).await, Outcome::Duplicate);
}

/// One event may go to many.
pub async fn marks_are_per_taker_and_key<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let other = Address::new("invoice", Key::new("a").expect("a good key"));
    for to in [address("a"), address("b"), other] {
        driver.committed(only(&mark(&to, "1", 7, 1))).await;
        driver.committed(only(&mark(&to, "2", 7, 1))).await;
    }
}

/// Neither the marks before it nor anything else of the step.
pub async fn a_duplicate_leaves_nothing_behind<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let to = address("a");
    driver.committed(only(&mark(&to, "taken", 1, 1))).await;
    let mut step = create(&to);
    step.mail = vec![mail(&to, "m")];
    step.marks = vec![mark(&to, "free", 1, 1), mark(&to, "taken", 1, 1)];
    assert_eq!(driver.one(step).await, Outcome::Duplicate);
    assert_eq!(ok(driver.store.load(std::slice::from_ref(&to)).await), [None]);
    assert!(ok(driver.store.inbox(InboxId(0), 1).await).is_empty());
    driver.committed(only(&mark(&to, "free", 2, 1))).await;
}

/// The instance is looked at before the marks.
pub async fn a_repeated_step_is_not_a_duplicate_of_itself<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let mut step = create(&address("a"));
    step.marks = vec![mark(&address("a"), "1", 7, 1)];
    driver.committed(step.clone()).await;
    assert_eq!(driver.one(step).await, Outcome::Repeated);
}

/// By the time they carry, a bite at a time.
pub async fn old_marks_are_purged_and_young_ones_kept<S: Subject>(subject: &S) {
    let mut driver = Driver::start(subject).await;
    let marks: Vec<Mark> = (0..5).map(|n| mark(&address("a"), &n.to_string(), 7, n)).collect();
    driver.committed(Step { marks: marks.clone(), ..Step::default() }).await;
    let gone = |marks| Purged { instances: 0, marks };
    assert_eq!(ok(driver.store.purge(time(3), 2).await), gone(2));
    assert_eq!(ok(driver.store.purge(time(3), 2).await), gone(1));
    assert_eq!(ok(driver.store.purge(time(3), 2).await), gone(0));
    for mark in &marks[..3] {
        driver.committed(only(mark)).await;
    }
    for mark in &marks[3..] {
        assert_eq!(driver.one(only(mark)).await, Outcome::Duplicate);
    }
}
